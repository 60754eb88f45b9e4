/**
 * The local denoiser: the local score machine of convolutional networks without equivariance.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import type { DeviceChoice } from "../../compute/use_device.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { DEFAULT_WINDOWS, patchSchedule } from "./patch_schedule.ts";
import type { Patch } from "./patch_schedule.ts";
import { checkImages, describePatch, windowDenoiser } from "./windowed.ts";
import type { StoredWindowDenoiser, WindowModel } from "./windowed.ts";
import type { StatesOf } from "../base_denoiser.ts";
import { DATA_OPTIONS, heldData } from "../data_source.ts";
import type { DataOptions, DataSource } from "../data_source.ts";

const ACTION = "make a local denoiser";

/** Options of {@linkcode local}. */
export interface LocalOptions<D extends DeviceChoice = DeviceChoice> extends DataOptions<D> {
  /**
   * The side of the windows: a number, a function of the noise level, a table, or the name of a published one, such as
   * `"mnist-unet"`. Default {@linkcode DEFAULT_WINDOWS}, whatever the data are.
   */
  readonly windows?: Patch;
  /** Called now and then during an evaluation with the work that is done and all the work. */
  readonly onProgress?: WorkOptions["onProgress"];
}

/**
 * The local denoiser of a data set of images, on a device: each pixel is estimated from a window around it alone, by the pixels at
 * the same place of all images.
 *
 * ```text
 * D(p) = Σᵢ wᵢ(p) xᵢ(p),   w(p) = softmaxᵢ( −‖x_Ω − xᵢ_Ω‖² / 2σ² ),   Ω the P × P window around p
 * ```
 *
 * Windows hold all channels, and end at the border of the image. It is the exact posterior mean of a network that sees no
 * more than windows; with windows that cover the image it is the optimal denoiser. Its end points are mosaics: each pixel is that of the
 * image whose window is nearest. The cost of an evaluation does not depend on the side of the windows.
 *
 * Reference: M. Kamb, S. Ganguli (2024), arXiv:2412.20292, there "LS".
 *
 * @param source The data, `N` images of shape `[height, width, channels]`, or a denoiser that holds them.
 * @param options The side of the windows, class, device.
 * @returns The denoiser, on tensors of shape `[B, height, width, channels]`, or on a `Float64Array` of rows on the device `float64`.
 * @throws {TypeError} If the data are no images, or there is no such option.
 * @throws {RangeError} If the class or the table does not exist, or a side is not odd.
 * @throws {DeviceError} If the device cannot hold the data.
 *
 * @example With windows of one pixel, each pixel is denoised by itself
 * ```ts
 * import { Dataset, local } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const data = Uint8Array.of(0, 0, 255, 255);
 * const dataset = new Dataset({ data, shape: [1, 2, 1], name: "black and white" });
 * using denoiser = await local(dataset, { windows: 1, device: "wasm" });
 * const x = tensorSpace.from([0.3, -2], [1, 1, 2, 1]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * const [a, b] = await tensorSpace.values(denoised);
 * assert.ok(Math.abs(a - Math.tanh(0.3)) < 1e-6 && Math.abs(b - Math.tanh(-2)) < 1e-6);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function local<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: LocalOptions<D> = {},
): Promise<StoredWindowDenoiser<StatesOf<S, D>>> {
  const { class: only, device: choice, ...rest } = readOptions(ACTION, options, OPTIONS);
  const { dataset, device } = await heldData(ACTION, source, { class: only, device: choice });
  const model = localModel(dataset, rest);
  const denoiser = windowDenoiser(model, await device.store(model.data), device);
  return denoiser as StoredWindowDenoiser<StatesOf<S, D>>;
}

const OPTIONS = {
  ...DATA_OPTIONS,
  windows: DEFAULT_WINDOWS,
  onProgress: undefined,
} satisfies OptionTable<
  LocalOptions
>;

/** What a local denoiser of a data set is made of. */
export function localModel(
  data: Dataset,
  { windows, onProgress }: Pick<LocalOptions, "onProgress"> & { readonly windows: Patch },
): WindowModel {
  checkImages(data, ACTION);
  return {
    data,
    label: `local denoiser (LS) of ${data.name}, ${describePatch(windows)}`,
    patch: patchSchedule(windows, Math.min(data.shape[0], data.shape[1])),
    translations: "none",
    onProgress,
  };
}
