/**
 * Mixtures of Gaussians fitted to a data set, and their denoisers.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../../base/_options.ts";
import type { Device } from "../../compute/device.ts";
import { WORK_OPTIONS } from "../../compute/work_options.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { Denoiser } from "../denoiser.ts";
import type { GaussianLaw } from "./gaussian_law.ts";
import { kMeans } from "../../linalg/k_means.ts";
import { mixtureLaw } from "./mixture_law.ts";
import type { MixtureLaw } from "./mixture_law.ts";
import { mixtureOf, mixtureOfFloat64 } from "./mixture_of.ts";
import type { MixtureDenoiser } from "./mixture_of.ts";
import { dataSpectrum } from "./spectrum.ts";

/** Options of {@linkcode fitMixture}. */
export interface MixtureFitOptions extends WorkOptions {
  /** Restrict the data to one class, by number or by name. Default: all classes. */
  readonly class?: number | string;
  /** How many clusters are looked for, or `"classes"` for one component per class of the data. Default 10. */
  readonly components?: number | "classes";
  /**
   * Directions kept of each component; the mean variance of the others is spread evenly over them, as in
   * probabilistic PCA. With 0, components are the same in all directions. Default: all.
   */
  readonly rank?: number;
  /**
   * A variance that is added in all directions, so that clusters of few items are not flat; with 0, a single item
   * is a point. Default 1e-5.
   */
  readonly ridge?: number;
  /** Seed of the clusters. Default 0. */
  readonly seed?: number;
}

const OPTIONS = {
  ...WORK_OPTIONS,
  class: undefined,
  components: 10,
  rank: undefined,
  ridge: 1e-5,
  seed: 0,
} satisfies OptionTable<MixtureFitOptions>;

/**
 * Fits a mixture of Gaussians to a data set: clusters by k-means, or the classes; for each its share of the items, their
 * mean, and their covariance with divisor `n` plus a ridge. There are no iterations of expectation and
 * maximisation, as in the published models.
 *
 * With as many components as items, rank 0 and no ridge it is the data set itself, whose denoiser is the optimal one;
 * with one component it is the Gaussian of the data. Many components of many dimensions overfit: few
 * images then stand for each covariance.
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726.
 *
 * @param dataset The data.
 * @param options Components, rank, ridge, seed, class, signal, progress.
 * @returns The mixture; clusters without items are left out.
 * @throws {RangeError} If the number of components, the rank or the ridge is out of range, or there are no classes.
 * @throws {TypeError} If there is no such option.
 *
 * @example Two separate pairs
 * ```ts
 * import { Dataset, fitMixture } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-9, -7, 7, 9), shape: [1], name: "two pairs" });
 * const { weights, components } = await fitMixture(set, { components: 2, ridge: 0 });
 * assert.deepEqual([...weights], [0.5, 0.5]);
 * assert.deepEqual(components.map(({ mean }) => mean[0]).sort(), [-8, 8]);
 * assert.deepEqual(components.map(({ variances }) => variances[0]), [1, 1]);
 * ```
 */
export async function fitMixture(
  dataset: Dataset,
  options: MixtureFitOptions = {},
): Promise<MixtureLaw> {
  const settings = readOptions("fit a mixture", options, OPTIONS);
  const { ridge, signal, onProgress } = settings;
  if (!(ridge >= 0 && ridge < Infinity)) {
    throw new RangeError(
      `Cannot fit a mixture: ridge is ${ridge}, wanted a finite number >= 0`,
    );
  }
  const data = options.class === undefined ? dataset : dataset.classSubset(options.class);
  const members = await membersOf(data, settings);
  const components: GaussianLaw[] = [];
  for (const items of members) {
    signal?.throwIfAborted();
    components.push(await componentOf(data.subset(items), ridge, settings));
    onProgress?.(components.length, members.length);
  }
  return mixtureLaw(members.map(({ length }) => length), components);
}

/** The items of each component. */
async function membersOf(
  data: Dataset,
  { components, seed, signal }: Read<MixtureFitOptions, typeof OPTIONS>,
): Promise<number[][]> {
  const labels = components === "classes"
    ? data.labels
    : (await kMeans(data, components, { seed, signal })).labels;
  if (!labels) {
    throw new RangeError(
      `Cannot fit a mixture: ${data.name} has no labels, wanted a labelled data set or a number of components`,
    );
  }
  const members: number[][] = [];
  labels.forEach((label, i) => (members[label] ??= []).push(i));
  return members.filter((items) => items !== undefined);
}

async function componentOf(
  data: Dataset,
  ridge: number,
  { rank = data.dimension, signal }: MixtureFitOptions,
): Promise<GaussianLaw> {
  // No covariance matrix for what is the same in all directions.
  if (rank === 0 || data.count === 1) return isotropic(data, ridge);
  const spectrum = await dataSpectrum(data, { rank, signal, cache: false });
  // Divisor n, of the law of the items themselves.
  const share = (data.count - 1) / data.count;
  return {
    ...spectrum,
    variances: spectrum.variances.map((v) => share * v + ridge),
    floor: share * spectrum.floor + ridge,
  };
}

function isotropic(data: Dataset, ridge: number): GaussianLaw {
  const mean = data.mean();
  let sum = 0;
  for (let i = 0; i < data.count; i++) {
    data.values(i).forEach((v, c) => sum += (v - mean[c]) ** 2);
  }
  const floor = sum / (data.count * data.dimension) + ridge;
  return { mean, variances: new Float64Array(0), floor };
}

/**
 * The denoiser of a mixture fitted to a data set, on a device.
 *
 * ```text
 * D(x, σ) = Σₘ pₘ Dₘ(x, σ),   p = softmaxₘ(ln wₘ + ln N(x; μₘ, Σₘ + σ²I)),   Dₘ the Wiener filter of component m
 * ```
 *
 * @param dataset The data.
 * @param device Where to compute.
 * @param options Components, rank, ridge, seed, class: those of {@linkcode fitMixture}.
 * @returns The denoiser, on tensors of shape `[B, …dataset.shape]`, with the posterior over its components.
 * Dispose it after use.
 * @throws {RangeError} If the number of components, the rank or the ridge is out of range, or there are no classes.
 * @throws {DeviceError} If the device cannot hold the axes.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { mixture, moons, openDevice, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * using denoiser = await mixture(moons(400), device, { components: 6 });
 * const x = tensorSpace.from([3, 0], [1, 2]);
 * const denoised = (await denoiser.denoise(x, 2)).mean;
 * assert.ok((await tensorSpace.values(denoised))[0] < 1);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function mixture(
  dataset: Dataset,
  device: Device,
  options: MixtureFitOptions = {},
): Promise<MixtureDenoiser> {
  const law = await fitMixture(dataset, options);
  return await mixtureOf(law, device, describe(dataset, law, options));
}

/**
 * The denoiser of a mixture fitted to a data set, in float64: the same function as {@linkcode mixture}, on
 * `Float64Array` states.
 *
 * @param dataset The data.
 * @param options Components, rank, ridge, seed, class: those of {@linkcode fitMixture}.
 * @returns The denoiser, on rows of `dataset.dimension` numbers, with the posterior over its components.
 * @throws {RangeError} If the number of components, the rank or the ridge is out of range, or there are no classes.
 * @throws {TypeError} If there is no such option.
 *
 * @example As many components as items: the optimal denoiser
 * ```ts
 * import { mixtureFloat64, moons, optimalFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = moons(8), x = Float64Array.of(1, 0.5);
 * const [y] = (await (await mixtureFloat64(set, { components: 8, rank: 0, ridge: 0 })).denoise(x, 1)).mean;
 * const [z] = (await optimalFloat64(set).denoise(x, 1)).mean;
 * assert.ok(Math.abs(y - z) < 1e-14);
 * ```
 */
export async function mixtureFloat64(
  dataset: Dataset,
  options: MixtureFitOptions = {},
): Promise<Denoiser<Float64Array>> {
  const law = await fitMixture(dataset, options);
  return mixtureOfFloat64(law, describe(dataset, law, options));
}

function describe(dataset: Dataset, { components }: MixtureLaw, options: MixtureFitOptions) {
  const name = options.class === undefined
    ? dataset.name
    : `${dataset.name}, class ${options.class}`;
  return { shape: dataset.shape, name: `a mixture of ${components.length} on ${name}` };
}
