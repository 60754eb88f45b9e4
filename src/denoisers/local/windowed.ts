/**
 * What denoisers by windows have in common: one softmax per pixel, over patches of the data.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../../base/_options.ts";
import { checkKind } from "../../base/_kinds.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { Device } from "../../compute/device.ts";
import {
  checkEvaluateOptions,
  checkQueryShape,
  EVALUATE_OPTIONS,
  sigmaPerRow,
} from "../../compute/posterior.ts";
import type { Sigma } from "../../compute/posterior.ts";
import type { Subset } from "../../compute/subset.ts";
import { axisShifts, WINDOW_ACTION } from "../../compute/windowed.ts";
import type { Translations, WindowOptions, WindowPosterior } from "../../compute/windowed.ts";
import { referenceWindowedInTurns } from "../../compute/float64/windowed.ts";
import { WORK_OPTIONS, type WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { DeviceError } from "../../base/errors.ts";
import { arraySpace, tensorSpace } from "../../states/linear_space.ts";
import type { AnyTensor, StateSpace } from "../../states/linear_space.ts";
import { keepCapabilities } from "../_capabilities.ts";
import type { Denoiser, SubsetOptions } from "../denoiser.ts";
import type { StoredDenoiser } from "../optimal.ts";
import type { Patch, PatchSchedule } from "./patch_schedule.ts";

/** Options of {@linkcode WindowDenoiser.perPixel}. */
export interface PixelOptions extends SubsetOptions, WorkOptions {
  /** Cancels the evaluation, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** The images that compete, one subset per row. Default: all. */
  readonly subsets?: readonly Subset[];
  /** Side of the windows, one for all rows or one each. Default: that of the noise level. */
  readonly patch?: number | ArrayLike<number>;
}

const PIXEL_OPTIONS = {
  ...EVALUATE_OPTIONS,
  ...WORK_OPTIONS,
  region: undefined,
  subsets: undefined,
  patch: undefined,
} satisfies OptionTable<PixelOptions>;

/** A denoiser of images with a softmax of its own for each pixel, over patches of the data. */
export interface WindowDenoiser<X> extends Denoiser<X> {
  /** Number of items, `N`. */
  readonly count: number;
  /** The side of the windows at a noise level. */
  readonly patch: PatchSchedule;
  /**
   * The estimate, and the evidence of each pixel: the difference of two log normalisers is the logarithm of the posterior mass of
   * a subset at that pixel.
   *
   * @param x Noisy images, `B` rows. Not disposed.
   * @param sigma Noise level in data units, one for all rows or one each.
   * @param options Subsets, a region, sides of windows, a signal, whom to tell the progress.
   * @returns The estimate, a new state, and `log Σ exp(logit)` of each pixel.
   */
  perPixel(x: X, sigma: Sigma, options?: PixelOptions): Promise<WindowPosterior<X>>;
}

/** A denoiser by windows that holds its data on a device. */
export interface StoredWindowDenoiser extends StoredDenoiser, WindowDenoiser<AnyTensor> {}

/** What a denoiser by windows is made of. */
export interface WindowModel {
  /** The images. */
  readonly data: Dataset;
  /** What it is, in a few words. */
  readonly label: string;
  /** Where it comes from. */
  readonly references: readonly string[];
  /** The side of the windows by noise level. */
  readonly patch: PatchSchedule;
  /** Which patches compete. */
  readonly translations: Translations;
  /** Whom to tell the progress of an evaluation. */
  readonly onProgress?: WorkOptions["onProgress"];
}

/** Refuses data that are no images. */
export function checkImages({ name, shape }: Dataset, action: string): void {
  if (shape.length !== 3) {
    throw new TypeError(
      `Cannot ${action} of ${name}: its items have shape [${shape}], wanted images of height, width and channels`,
    );
  }
}

/** Windows in words. */
export function describePatch(patch: Patch): string {
  if (patch === Infinity) return "windows that hold the image";
  if (typeof patch === "number") return `windows of ${patch}x${patch}`;
  return typeof patch === "string" ? `windows of ${patch}` : "windows by noise level";
}

/**
 * A denoiser by windows on a device.
 *
 * @param model What it is made of.
 * @param device Where to compute.
 * @returns The denoiser; dispose it after use.
 */
export async function windowDenoiser(
  model: WindowModel,
  device: Device,
): Promise<StoredWindowDenoiser> {
  checkKind(WINDOW_ACTION, "device", device, "device");
  const { data } = model;
  const store = await device.store(data);
  const dispose = () => store.dispose();
  const evaluate = async (x: AnyTensor, sigma: Sigma, options: PixelOptions) => {
    const rows = checkQueryShape(x.shape, data.dimension, WINDOW_ACTION);
    if (!store.windowed) {
      throw new DeviceError(
        `Cannot ${WINDOW_ACTION}: the data are streamed, wanted data in memory`,
      );
    }
    // The caller may dispose the state while it is read.
    const values = await x.data<"float32">();
    const { mean, logNormaliser } = await store.windowed(
      values,
      sigma,
      windowOptions(model, sigma, rows, options),
    );
    const { region } = options;
    const shape = region ? [rows, region.height, region.width, data.shape[2]] : x.shape;
    return { mean: tf.tensor(mean, shape, "float32"), logNormaliser };
  };
  return windowedBy(model, tensorSpace, evaluate, { dispose, [Symbol.dispose]: dispose });
}

/**
 * A denoiser by windows in float64.
 *
 * @param model What it is made of.
 * @returns The denoiser.
 */
export function windowDenoiserFloat64(model: WindowModel): WindowDenoiser<Float64Array> {
  const { data } = model;
  const evaluate = (x: Float64Array, sigma: Sigma, options: PixelOptions) => {
    const rows = Math.ceil(x.length / data.dimension);
    return referenceWindowedInTurns(data, x, sigma, windowOptions(model, sigma, rows, options));
  };
  return windowedBy({ ...model, label: `${model.label}, float64` }, arraySpace, evaluate, {});
}

function windowedBy<X, D>(
  { data, label, references, patch, translations }: WindowModel,
  space: StateSpace<X>,
  perPixel: (x: X, sigma: Sigma, options: PixelOptions) => Promise<WindowPosterior<X>>,
  disposal: D,
): WindowDenoiser<X> & D {
  const denoiser: WindowDenoiser<X> & D = {
    ...disposal,
    label,
    references,
    shape: data.shape,
    space,
    count: data.count,
    patch,
    mean: () => meanOf(data, patch(Infinity), translations),
    draw: (stream) => data.values(stream.below(data.count)),
    rms: (enough) => data.rms(enough),
    async perPixel(x, sigma, options = {}) {
      checkOptionNames(WINDOW_ACTION, options, PIXEL_OPTIONS);
      return await perPixel(x, sigma, options);
    },
    async denoise(x, sigma, options) {
      checkEvaluateOptions(WINDOW_ACTION, options);
      return { mean: (await perPixel(x, sigma, { signal: options?.signal })).mean };
    },
  };
  keepCapabilities(denoiser, {
    subset: {
      count: data.count,
      denoiseOn: async (x, sigma, subsets, { region, signal } = {}) =>
        (await perPixel(x, sigma, { subsets, region, signal })).mean,
    },
  });
  return denoiser;
}

/** What the kernel is asked. */
function windowOptions(
  { data, patch, translations, onProgress }: WindowModel,
  sigma: Sigma,
  rows: number,
  options: PixelOptions,
): WindowOptions {
  const { subsets, region, signal } = options;
  const sigmas = sigmaPerRow(sigma, rows, WINDOW_ACTION);
  return {
    shape: data.shape,
    patch: options.patch ?? sigmas.map(patch),
    translations,
    subsets,
    region,
    signal,
    onProgress: options.onProgress ?? onProgress,
  };
}

/** The estimate from pure noise: the mean of all pixels that compete for a pixel. */
function meanOf(data: Dataset, patch: number, translations: Translations): Float64Array {
  const image = data.mean();
  if (translations === "none") return image;
  const [height, width, channels] = data.shape;
  const rows = axisShifts(height, patch, translations, 0, height);
  const columns = axisShifts(width, patch, translations, 0, width);
  const sum = new Float64Array(image.length), terms = new Float64Array(height * width);
  for (const row of rows) {
    for (const column of columns) {
      for (let p = 0; p < height * width; p++) {
        const [y, x] = [Math.floor(p / width), p % width];
        if (!row.outputs[y] || !column.outputs[x]) continue;
        const from = ((y + row.shift) % height * width + (x + column.shift) % width) * channels;
        for (let c = 0; c < channels; c++) sum[p * channels + c] += image[from + c];
        terms[p]++;
      }
    }
  }
  return sum.map((v, i) => v / terms[Math.floor(i / channels)]);
}
