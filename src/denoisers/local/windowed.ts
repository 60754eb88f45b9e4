/**
 * What denoisers by windows have in common: one softmax per pixel, over patches of the data.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../../base/_options.ts";
import { batchOf, queriesOn } from "../../compute/batch.ts";
import type { State } from "../../compute/batch.ts";
import type { DataStore, Device } from "../../compute/device.ts";
import { checkEvaluateOptions, EVALUATE_OPTIONS, sigmaPerRow } from "../../compute/posterior.ts";
import type { Sigma } from "../../compute/posterior.ts";
import type { Subset } from "../../compute/subset.ts";
import { axisShifts, WINDOW_ACTION } from "../../compute/windowed.ts";
import type { Translations, WindowOptions, WindowPosterior } from "../../compute/windowed.ts";
import { WORK_OPTIONS, type WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { AnyTensor, StateSpace } from "../../states/linear_space.ts";
import { keepCapabilities } from "../_capabilities.ts";
import type { Denoiser, SubsetOptions } from "../denoiser.ts";
import type { StoredDenoiser } from "../optimal.ts";
import type { Patch, PatchSchedule } from "./patch_schedule.ts";

const REFERENCES = [
  "M. Kamb, S. Ganguli (2024), An analytic theory of creativity in convolutional diffusion models, arXiv:2412.20292",
];

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
export interface StoredWindowDenoiser<X = AnyTensor> extends StoredDenoiser<X>, WindowDenoiser<X> {}

/** What a denoiser by windows is made of. */
export interface WindowModel {
  /** The images. */
  readonly data: Dataset;
  /** What it is, in a few words. */
  readonly label: string;
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
 * A denoiser by windows over data that are on a device.
 *
 * @param model What it is made of.
 * @param store The data there. They are disposed with the denoiser.
 * @param device The device.
 * @returns The denoiser.
 */
export function windowDenoiser(
  model: WindowModel,
  store: DataStore,
  device: Device,
): StoredWindowDenoiser<State> {
  const { data, label, patch, translations } = model;
  const { shape, dimension } = data;
  const evaluate = async <X extends State>(x: X, sigma: Sigma, options: PixelOptions) => {
    const batch = batchOf(x, dimension, WINDOW_ACTION);
    // The caller may dispose the state while it is read.
    const values = await queriesOn(device, batch);
    const { mean, logNormaliser } = await store.windowed!(
      values,
      sigma,
      windowOptions(model, sigma, batch.rows, options),
    );
    const { region } = options;
    const item = region ? [region.height, region.width, shape[2]] : undefined;
    return { mean: batch.like(mean, item), logNormaliser };
  };
  const denoiser: StoredWindowDenoiser<State> = {
    label,
    references: REFERENCES,
    shape,
    space: device.space as StateSpace<State>,
    count: data.count,
    patch,
    mean: () => meanOf(data, patch(Infinity), translations),
    draw: (stream) => data.values(stream.below(data.count)),
    rms: (enough) => data.rms(enough),
    async perPixel(x, sigma, options = {}) {
      checkOptionNames(WINDOW_ACTION, options, PIXEL_OPTIONS);
      return await evaluate(x, sigma, options);
    },
    async denoise(x, sigma, options) {
      checkEvaluateOptions(WINDOW_ACTION, options);
      return { mean: (await evaluate(x, sigma, { signal: options?.signal })).mean };
    },
    dispose: () => store.dispose(),
    [Symbol.dispose]: () => store.dispose(),
  };
  keepCapabilities(denoiser, {
    data: { dataset: data, device },
    subset: {
      count: data.count,
      denoiseOn: async (x, sigma, subsets, { region, signal } = {}) =>
        (await evaluate(x, sigma, { subsets, region, signal })).mean,
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
