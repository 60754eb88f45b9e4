/**
 * The denoiser that a wrapper stands on: the one that it is given, or the optimal one of a data set.
 *
 * @module
 */
import { isKind } from "../base/_kinds.ts";
import type { State } from "../compute/batch.ts";
import type { StateOf } from "../compute/use_device.ts";
import { checkNoneOfOwn, heldData } from "./data_source.ts";
import type { DataOptions, DataSource } from "./data_source.ts";
import type { Denoiser } from "./denoiser.ts";
import { optimal } from "./optimal.ts";

/** The states of what stands on a source: those of the denoiser, or of the device that a data set goes to. */
export type StatesOf<S, D> = S extends Denoiser<infer X> ? X : StateOf<D>;

/**
 * The base of a wrapper.
 *
 * @param action What is attempted, for the message.
 * @param source A denoiser, or a data set.
 * @param options Class and device, of a data set.
 * @param resources Takes the denoiser that is made of a data set.
 * @returns The base.
 */
export async function baseOf(
  action: string,
  source: DataSource,
  options: DataOptions,
  resources: DisposableStack,
): Promise<Denoiser<State>> {
  if (isKind(source, "denoiser")) {
    checkNoneOfOwn(action, options);
    return source as Denoiser<State>;
  }
  const { dataset, device } = await heldData(action, source, options);
  return resources.use(await optimal(dataset, { device })) as Denoiser<State>;
}
