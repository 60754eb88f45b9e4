/**
 * The local denoiser: the local score machine of convolutional networks without equivariance.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import type { Device } from "../../compute/device.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { DEFAULT_WINDOWS, patchSchedule } from "./patch_schedule.ts";
import type { Patch } from "./patch_schedule.ts";
import { checkImages, describePatch, windowDenoiser, windowDenoiserFloat64 } from "./windowed.ts";
import type { StoredWindowDenoiser, WindowDenoiser, WindowModel } from "./windowed.ts";

const REFERENCES = [
  "M. Kamb, S. Ganguli (2024), An analytic theory of creativity in convolutional diffusion models, arXiv:2412.20292",
];

/** Options of {@linkcode local}. */
export interface LocalOptions {
  /** Restrict the data to one class, by number or by name. Default: all classes. */
  readonly class?: number | string;
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
 * @param dataset The data, `N` images of shape `[height, width, channels]`.
 * @param device Where to compute.
 * @param options The side of the windows, restriction to a class.
 * @returns The denoiser, on tensors of shape `[B, …dataset.shape]`. Dispose it after use.
 * @throws {TypeError} If the data are no images.
 * @throws {RangeError} If the class or the table does not exist, or a side is not odd.
 * @throws {DeviceError} If the device cannot hold the data.
 *
 * @example With windows of one pixel, each pixel is denoised by itself
 * ```ts
 * import { Dataset, local, openDevice, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const data = Uint8Array.of(0, 0, 255, 255);
 * const dataset = new Dataset({ data, shape: [1, 2, 1], name: "black and white" });
 * using device = await openDevice("wasm");
 * using denoiser = await local(dataset, device, { windows: 1 });
 * const x = tensorSpace.from([0.3, -2], [1, 1, 2, 1]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * const [a, b] = await tensorSpace.values(denoised);
 * assert.ok(Math.abs(a - Math.tanh(0.3)) < 1e-6 && Math.abs(b - Math.tanh(-2)) < 1e-6);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function local(
  dataset: Dataset,
  device: Device,
  options: LocalOptions = {},
): Promise<StoredWindowDenoiser> {
  return await windowDenoiser(localModel(dataset, options), device);
}

/**
 * The local denoiser in float64, for theory: the same function as {@linkcode local}, on `Float64Array` states.
 *
 * @param dataset The data, images.
 * @param options The side of the windows, restriction to a class.
 * @returns The denoiser, on states of rows one after the other.
 * @throws {TypeError} If the data are no images.
 * @throws {RangeError} If the class or the table does not exist, or a side is not odd.
 *
 * @example With windows that cover the image it is the optimal denoiser
 * ```ts
 * import { localFloat64, optimalFloat64, shapes } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = shapes(20);
 * const x = Float64Array.from(set.values(4), (v, i) => v + Math.sin(i));
 * const a = (await localFloat64(set, { windows: 2 * set.shape[0] - 1 }).denoise(x, 1)).mean;
 * const b = (await optimalFloat64(set).denoise(x, 1)).mean;
 * assert.ok(a.every((v, i) => Math.abs(v - b[i]) < 1e-12));
 * ```
 */
export function localFloat64(
  dataset: Dataset,
  options: LocalOptions = {},
): WindowDenoiser<Float64Array> {
  return windowDenoiserFloat64(localModel(dataset, options));
}

const OPTIONS = {
  class: undefined,
  windows: DEFAULT_WINDOWS,
  onProgress: undefined,
} satisfies OptionTable<
  LocalOptions
>;

function localModel(dataset: Dataset, options: LocalOptions): WindowModel {
  const { windows, onProgress, class: only } = readOptions(
    "make a local denoiser",
    options,
    OPTIONS,
  );
  checkImages(dataset, "make a local denoiser");
  const data = only === undefined ? dataset : dataset.classSubset(only);
  return {
    data,
    label: `local denoiser (LS) of ${data.name}, ${describePatch(windows)}`,
    references: REFERENCES,
    patch: patchSchedule(windows, Math.min(data.shape[0], data.shape[1])),
    translations: "none",
    onProgress,
  };
}
