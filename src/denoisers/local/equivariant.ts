/**
 * Equivariant denoisers: what convolutional networks do, who know neither where they are nor more than a window.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../../base/_options.ts";
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

const ACTION = "make an equivariant denoiser";
/** Pairs of pixels that a query meets by default: one to three seconds on two CPU cores. */
const PAIRS = 2 ** 30;

/** Options of {@linkcode equivariant}. */
export interface EquivariantOptions<D extends DeviceChoice = DeviceChoice> extends DataOptions<D> {
  /**
   * The side of the windows: a number, a function of the noise level, a table, or the name of a published one. `Infinity` takes the
   * whole image, which leaves equivariance alone. Default {@linkcode DEFAULT_WINDOWS}, whatever the data are.
   */
  readonly windows?: Patch;
  /**
   * Which patches of the images compete: those at all places of the images continued periodically (`circular`), or those that lie
   * inside of them (`interior`), with the query continued periodically in both cases; or, for networks that pad by zeros and so
   * know how far the border is, those that lie as the window does (`border`). Default `"circular"`.
   */
  readonly dictionary?: "circular" | "interior" | "border";
  /**
   * How many images, taken evenly from the data; their patches are what competes. An evaluation meets each pixel of a query with
   * each of all images, `N (height · width)²` pairs. Default: as many images as make 2³⁰ pairs (1,024 of 32 × 32 pixels), which take one to
   * three seconds per query on two CPU cores; `Infinity` for all.
   */
  readonly limit?: number;
  /** Called now and then during an evaluation with the work that is done and all the work. */
  readonly onProgress?: WorkOptions["onProgress"];
}

/**
 * The equivariant local denoiser of a data set of images, on a device: each pixel is estimated from a window around it alone, by
 * the patches of all images, wherever they are.
 *
 * ```text
 * D(p) = Σ_{i,u} w_{i,u}(p) xᵢ(p+u),   w(p) = softmax_{i,u}( −‖x_{Ω(p)} − xᵢ_{Ω(p+u)}‖² / 2σ² )
 * ```
 *
 * By what competes it is one of four machines of the reference:
 *
 * - **ELS** (`circular`, the default, or `interior`): local and equivariant. It commutes with translations: where a pixel is does not matter;
 * - **boundary-broken ELS** (`border`): a window inside of the image competes with patches inside of images, one that an
 *   edge cuts with patches cut by the same edge at the same distance, one in a corner with the same place only;
 *   windows as large as the image leave one place to each pixel, and it is the local denoiser;
 * - **ES** (`windows: Infinity`): equivariant only, the optimal denoiser of the data and all their translates.
 *
 * The label says if it holds a part of the data only, see `limit`. The cost of an evaluation does not depend on the side of the windows.
 *
 * Reference: M. Kamb, S. Ganguli (2024), arXiv:2412.20292.
 *
 * @param source The data, `N` images of shape `[height, width, channels]`, or a denoiser that holds them.
 * @param options The side of the windows, which patches compete, how many images, class, device.
 * @returns The denoiser, on tensors of shape `[B, height, width, channels]`, or on a `Float64Array` of rows on the device `float64`.
 * @throws {TypeError} If the data are no images, or there is no such option.
 * @throws {RangeError} If the class or the table does not exist, a side is not odd, or the limit is not positive.
 * @throws {DeviceError} If the device cannot hold the data.
 *
 * @example It commutes with translations
 * ```ts
 * import { equivariant, shapes } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const set = shapes(8);
 * const [height, width, channels] = set.shape;
 * const image = set.values(0), row = width * channels;
 * const moved = [...image.slice(row), ...image.slice(0, row)];
 * using denoiser = await equivariant(set, { windows: 3, device: "wasm" });
 * const x = tensorSpace.from([...image, ...moved], [2, height, width, channels]);
 * const denoised = (await denoiser.denoise(x, 0.5)).mean;
 * const values = await tensorSpace.values(denoised);
 * const [first, second] = [values.slice(0, image.length), values.slice(image.length)];
 * assert.ok(second.every((v, i) => Math.abs(v - first[(i + row) % image.length]) < 1e-5));
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function equivariant<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: EquivariantOptions<D> = {},
): Promise<StoredWindowDenoiser<StatesOf<S, D>>> {
  const { class: only, device: choice, ...rest } = readOptions(ACTION, options, OPTIONS);
  const { dataset, device } = await heldData(ACTION, source, { class: only, device: choice });
  const model = equivariantModel(dataset, rest);
  const denoiser = windowDenoiser(model, await device.store(model.data), device);
  return denoiser as StoredWindowDenoiser<StatesOf<S, D>>;
}

const OPTIONS = {
  ...DATA_OPTIONS,
  windows: DEFAULT_WINDOWS,
  dictionary: "circular",
  limit: undefined,
  onProgress: undefined,
} satisfies OptionTable<EquivariantOptions>;

type Settings = Omit<Read<EquivariantOptions, typeof OPTIONS>, "class" | "device">;

/** What an equivariant denoiser of a data set is made of. */
export function equivariantModel(all: Dataset, settings: Settings): WindowModel {
  checkImages(all, ACTION);
  const { windows, dictionary, onProgress } = settings;
  const [height, width] = all.shape;
  const data = limited(all, settings.limit ?? Math.ceil(PAIRS / (height * width) ** 2));
  const machine = windows === Infinity && dictionary !== "border"
    ? "equivariant denoiser (ES)"
    : dictionary === "border"
    ? "boundary-broken equivariant local denoiser (ELS)"
    : "equivariant local denoiser (ELS)";
  const part = data.count < all.count
    ? `${data.count.toLocaleString("en")} of ${all.count.toLocaleString("en")} items of `
    : "";
  const inside = dictionary === "interior" ? " inside of images" : "";
  return {
    data,
    label: `${machine} of ${part}${all.name}, ${describePatch(windows)}${inside}`,
    patch: patchSchedule(windows, Math.min(height, width)),
    translations: dictionary,
    onProgress,
  };
}

/** Items that are taken evenly. */
function limited(data: Dataset, limit: number): Dataset {
  if (!(limit === Infinity || (Number.isInteger(limit) && limit >= 1))) {
    throw new RangeError(
      `Cannot ${ACTION}: limit is ${limit}, wanted a whole number >= 1 or Infinity`,
    );
  }
  if (limit >= data.count) return data;
  return data.subset(
    Array.from({ length: limit }, (_, i) => Math.floor(i * data.count / limit)),
  );
}
