/**
 * Mixtures of Gaussians fitted to a data set, and their denoisers.
 *
 * @module
 */
import {
  checkOptionNames,
  optionsFor,
  type OptionTable,
  type Read,
  readOptions,
} from "../../base/_options.ts";
import type { State } from "../../compute/batch.ts";
import { DEVICE_OPTION } from "../../compute/use_device.ts";
import type { DeviceChoice, DeviceOption } from "../../compute/use_device.ts";
import { WORK_OPTIONS } from "../../compute/work_options.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { StatesOf } from "../base_denoiser.ts";
import { keepCapabilities } from "../_capabilities.ts";
import { heldData } from "../data_source.ts";
import type { DataSource } from "../data_source.ts";
import type { GaussianLaw } from "./gaussian_law.ts";
import { kMeans } from "../../linalg/k_means.ts";
import { mixtureLaw } from "./mixture_law.ts";
import type { MixtureLaw } from "./mixture_law.ts";
import { mixtureOf } from "./mixture_of.ts";
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

/** Options of {@linkcode mixture}. */
export interface MixtureDenoiserOptions<D extends DeviceChoice = DeviceChoice>
  extends MixtureFitOptions, DeviceOption<D> {}

const MIXTURE_OPTIONS = { ...OPTIONS, ...DEVICE_OPTION } satisfies OptionTable<
  MixtureDenoiserOptions
>;

const ACTION = "make the denoiser of a mixture";

/**
 * The denoiser of a mixture fitted to a data set.
 *
 * ```text
 * D(x, σ) = Σₘ pₘ Dₘ(x, σ),   p = softmaxₘ(ln wₘ + ln N(x; μₘ, Σₘ + σ²I)),   Dₘ the Wiener filter of component m
 * ```
 *
 * @param source The data, or a denoiser that holds them.
 * @param options Device; components, rank, ridge, seed, class as of {@linkcode fitMixture}.
 * @returns The denoiser, on tensors of shape `[B, …data.shape]`, or on a `Float64Array` of rows on the device `float64`, with the
 * posterior over its components.
 * @throws {RangeError} If the number of components, the rank or the ridge is out of range, or there are no classes.
 * @throws {DeviceError} If the device is not there, or cannot hold the axes.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { mixture, moons } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * using denoiser = await mixture(moons(400), { components: 6, device: "wasm" });
 * const x = tensorSpace.from([3, 0], [1, 2]);
 * const denoised = (await denoiser.denoise(x, 2)).mean;
 * assert.ok((await tensorSpace.values(denoised))[0] < 1);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function mixture<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: MixtureDenoiserOptions<D> = {},
): Promise<MixtureDenoiser<StatesOf<S, D>>> {
  checkOptionNames(ACTION, options, MIXTURE_OPTIONS);
  const { dataset, device } = await heldData(ACTION, source, options);
  const law = await fitMixture(dataset, { ...optionsFor(OPTIONS, options), class: undefined });
  const denoiser = await mixtureOf(law, {
    device,
    shape: dataset.shape,
    name: `a mixture of ${law.components.length} on ${dataset.name}`,
  });
  keepCapabilities(denoiser, { data: { dataset, device } });
  return denoiser as MixtureDenoiser<State> as MixtureDenoiser<StatesOf<S, D>>;
}
