/**
 * What factories of denoisers are given: a data set, or a denoiser that holds one.
 *
 * @module
 */
import { checkKind, isKind } from "../base/_kinds.ts";
import type { Device } from "../compute/device.ts";
import type { OptionTable } from "../base/_options.ts";
import { DEVICE_OPTION, deviceOf } from "../compute/use_device.ts";
import type { DeviceChoice, DeviceOption } from "../compute/use_device.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { dataOf } from "./_capabilities.ts";
import type { HeldData } from "./_capabilities.ts";
import type { Denoiser } from "./denoiser.ts";

/** A data set, or a denoiser that stands on one and says where it computes. */
// deno-lint-ignore no-explicit-any -- whatever its states are
export type DataSource = Dataset | Denoiser<any>;

/** The options of everything that stands on a data set: which part of it, and where it computes. */
export interface DataOptions<D extends DeviceChoice = DeviceChoice> extends DeviceOption<D> {
  /** Of a data set: restriction to one class, by number or by name; a denoiser brings its own. Default: all classes. */
  readonly class?: number | string;
}

/** The options of {@linkcode DataOptions}, which have no defaults of their own. */
export const DATA_OPTIONS = {
  ...DEVICE_OPTION,
  class: undefined,
} satisfies OptionTable<DataOptions>;

/**
 * The data and the device that a factory works with.
 *
 * @param action What is attempted, for the message.
 * @param source A data set, or a denoiser, which brings its class and its device.
 * @param options Class and device, of a data set.
 * @returns Both.
 * @throws {TypeError} If it is neither, a denoiser holds no data in memory, or comes with a class or a device.
 * @throws {RangeError} If the class does not exist.
 * @throws {DeviceError} If the device is not there.
 */
export async function heldData(
  action: string,
  source: DataSource,
  { class: only, device }: DataOptions,
): Promise<HeldData> {
  if (isKind(source, "denoiser")) {
    checkNoneOfOwn(action, { class: only, device });
    return dataOf(source as Denoiser<unknown>, action);
  }
  checkKind(action, "source", source, "source");
  const dataset = source as Dataset;
  return {
    dataset: only === undefined ? dataset : dataset.classSubset(only),
    device: await deviceOf(device) as Device,
  };
}

/**
 * Refuses options of data where a denoiser brings them.
 *
 * @param action What is attempted, for the message.
 * @param options Class and device.
 * @throws {TypeError} If one is given.
 */
export function checkNoneOfOwn(action: string, { class: only, device }: DataOptions): void {
  for (const [name, value] of Object.entries({ class: only, device })) {
    if (value === undefined) continue;
    throw new TypeError(
      `Cannot ${action}: received the option ${name} with a denoiser, which has its own, wanted it where the denoiser is made`,
    );
  }
}
