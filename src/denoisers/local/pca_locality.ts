/**
 * PCA locality: posterior means per coordinate, over the coordinates that vary with it.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { checkKind } from "../../base/_kinds.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { Device } from "../../compute/device.ts";
import { maskColumns } from "../../compute/mask.ts";
import type { Mask } from "../../compute/mask.ts";
import { MASKED_ACTION, referenceMasked } from "../../compute/masked_posterior.ts";
import type { MaskedOptions } from "../../compute/masked_posterior.ts";
import { checkRegion } from "../../compute/pixel_region.ts";
import type { PixelRegion } from "../../compute/pixel_region.ts";
import { checkEvaluateOptions, checkQueryShape, sigmaPerRow } from "../../compute/posterior.ts";
import type { Sigma } from "../../compute/posterior.ts";
import { checkSubsets } from "../../compute/subset.ts";
import type { Subset } from "../../compute/subset.ts";
import { WORK_OPTIONS } from "../../compute/work_options.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { DeviceError } from "../../base/errors.ts";
import { arraySpace, tensorSpace } from "../../states/linear_space.ts";
import type { AnyTensor } from "../../states/linear_space.ts";
import { MaskCache } from "./_mask_cache.ts";
import { keepCapabilities } from "../_capabilities.ts";
import type { Denoiser, SubsetOptions } from "../denoiser.ts";
import { checkRule } from "./locality_mask.ts";
import type { MaskRule } from "./locality_mask.ts";
import type { StoredDenoiser } from "../optimal.ts";
import { dataSpectrum } from "../gaussian/spectrum.ts";
import type { Spectrum } from "../gaussian/spectrum.ts";

const REFERENCES = [
  "A. Lukoianov, C. Yuan, J. Solomon, V. Sitzmann (2025), Locality in image diffusion models emerges from data statistics, arXiv:2509.09672",
];

/** Options of {@linkcode pcaLocality}. */
export interface PcaLocalityOptions extends Partial<Omit<MaskRule, "theta">>, WorkOptions {
  /** Restrict the data to one class, by number or by name. Default: all classes. */
  readonly class?: number | string;
  /**
   * The threshold `θ` of the mask, from 0 to 1, or the name of a published one, see {@linkcode publishedTheta}. Default
   * {@linkcode DEFAULT_THETA}, whatever the data are.
   */
  readonly theta?: number | ThetaName;
  /** The temperature `τ` by which logits are divided. Default 1. */
  readonly temperature?: number;
  /**
   * Instead of one softmax over all items, average those of consecutive batches of so many items: the
   * published "weighted streaming softmax", which depends on the order of the data. Default: one softmax.
   */
  readonly average?: { readonly batch: number };
  /** The spectrum that masks are made from. Default: that of the data. */
  readonly spectrum?: Spectrum;
  /** Where spectra and masks of 256 and more coordinates are kept, as of {@linkcode dataSpectrum}. */
  readonly cache?: string | boolean;
}

/** A denoiser by PCA locality, over all stored data or some of them. */
export interface PcaLocality extends StoredDenoiser {
  /** Number of items, `N`. */
  readonly count: number;
  /** The mask of a noise level. */
  mask(sigma: number): Promise<Mask>;
}

/** The name of a published threshold: the data, and whose code, that of golden subsets or that of PCA locality. */
export type ThetaName = `${"mnist" | "fashion" | "cifar10" | "celeba" | "afhq" | "imagenet"}-${
  | "golden"
  | "pca"}`;

/** Published thresholds, by their names. */
const THETAS: Readonly<Record<ThetaName, number>> = {
  "mnist-golden": 0.02,
  "mnist-pca": 0.005,
  "fashion-golden": 0.02,
  "fashion-pca": 0.005,
  "cifar10-golden": 0.03,
  "cifar10-pca": 0.05,
  "celeba-golden": 0.03,
  "celeba-pca": 0.02,
  "afhq-golden": 0.04,
  "afhq-pca": 0.02,
  "imagenet-golden": 0.02,
  "imagenet-pca": 0.02,
};

/**
 * The threshold of the mask that is taken where none is given, whatever the data are: the one that both published codes take
 * for data they do not know.
 *
 * @example
 * ```ts
 * import { DEFAULT_THETA, publishedTheta } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(DEFAULT_THETA, publishedTheta("imagenet-golden"));
 * ```
 */
export const DEFAULT_THETA: number = 0.02;

/**
 * A published threshold of the mask, by its name.
 *
 * | data | `-golden` | `-pca` |
 * |---|---|---|
 * | `mnist`, `fashion` | 0.02 | 0.005 |
 * | `cifar10` | 0.03 | 0.05 |
 * | `celeba` | 0.03 | 0.02 |
 * | `afhq` | 0.04 | 0.02 |
 * | `imagenet` | 0.02 | 0.02 |
 *
 * Source: the code of arXiv:2602.16498 (`-golden`) and of arXiv:2509.09672 (`-pca`).
 *
 * @param name The name of the threshold.
 * @returns The threshold `θ`.
 * @throws {RangeError} If there is none of that name.
 *
 * @example
 * ```ts
 * import { publishedTheta } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(publishedTheta("cifar10-golden"), 0.03);
 * assert.equal(publishedTheta("cifar10-pca"), 0.05);
 * ```
 */
export function publishedTheta(name: ThetaName): number {
  if (!Object.hasOwn(THETAS, name)) {
    throw new RangeError(
      `Cannot look up the threshold ${name}: wanted one of ${Object.keys(THETAS).join(", ")}`,
    );
  }
  return THETAS[name];
}

/**
 * PCA locality on a device: each coordinate has a softmax of its own, over distances in the
 * coordinates whose Wiener filter weights are large.
 *
 * ```text
 * l(i, m) = −(1/2σ²τ) Σₙ G[n, m] (x[n] − xᵢ[n])²,   D[m] = Σᵢ softmaxᵢ( l(i, m) ) xᵢ[m]
 * ```
 *
 * `G` is the mask of {@linkcode localityMask}. With `θ = 0` all coordinates count, and it is the optimal
 * denoiser. The softmax is exact, whatever the order of the data; `average` gives the published approximation.
 *
 * Masks are made when a noise level is first asked for (3,072 coordinates: one to two seconds), and kept.
 *
 * Reference: A. Lukoianov et al. (2025), arXiv:2509.09672.
 *
 * @param dataset The data, `N` rows of shape `dataset.shape`.
 * @param device Where to compute.
 * @param options The rule of the mask, class, temperature, averaging.
 * @returns The denoiser, on tensors of shape `[B, …dataset.shape]`. Dispose it after use.
 * @throws {RangeError} If the class does not exist, or a number is out of range.
 * @throws {TypeError} If the spectrum has another dimension than the data.
 * @throws {DeviceError} If the device cannot hold the data.
 *
 * @example Coordinates without correlation are denoised each by itself
 * ```ts
 * import { Dataset, openDevice, pcaLocality, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const corners = Float32Array.of(-1, -1, -1, 1, 1, -1, 1, 1);
 * const dataset = new Dataset({ data: corners, shape: [2], name: "a square" });
 * using device = await openDevice("wasm");
 * using denoiser = await pcaLocality(dataset, device);
 * const x = tensorSpace.from([0.3, -2], [1, 2]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * const [a, b] = await tensorSpace.values(denoised);
 * assert.ok(Math.abs(a - Math.tanh(0.3)) < 1e-6 && Math.abs(b - Math.tanh(-2)) < 1e-6);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function pcaLocality(
  dataset: Dataset,
  device: Device,
  options: PcaLocalityOptions = {},
): Promise<PcaLocality> {
  checkKind(ACTION, "device", device, "device");
  const model = await makeModel(dataset, options);
  const { data, masks } = model;
  const store = await device.store(data);
  const estimate = async (
    x: AnyTensor,
    sigma: Sigma,
    evaluate: SubsetOptions,
    subsets?: readonly Subset[],
  ) => {
    checkQueryShape(x.shape, data.dimension, MASKED_ACTION);
    if (!store.masked) {
      throw new DeviceError(
        `Cannot ${MASKED_ACTION}: the data are streamed, wanted data in memory`,
      );
    }
    const values = await x.data<"float32">();
    const means = await perLevel(model, values, sigma, { ...evaluate, subsets }, {
      means: async (queries, ...rest) =>
        Float32Array.from(await store.masked!(Float32Array.from(queries), ...rest)),
      room: (length) => new Float32Array(length),
    });
    return tf.tensor(means, outputShape(x.shape, evaluate.region), "float32");
  };
  const denoiser: PcaLocality = {
    label: model.label,
    references: REFERENCES,
    shape: data.shape,
    space: tensorSpace,
    count: data.count,
    mean: () => data.mean(),
    draw: (stream) => data.values(stream.below(data.count)),
    rms: (enough) => data.rms(enough),
    mask: (sigma) => masks.of(sigma),
    async denoise(x, sigma, evaluate = {}) {
      checkEvaluateOptions(MASKED_ACTION, evaluate);
      return { mean: await estimate(x, sigma, evaluate) };
    },
    dispose: () => store.dispose(),
    [Symbol.dispose]: () => store.dispose(),
  };
  keepCapabilities(denoiser, {
    subset: {
      count: data.count,
      denoiseOn: (x, sigma, subsets, evaluate = {}) => estimate(x, sigma, evaluate, subsets),
    },
  });
  return denoiser;
}

/**
 * PCA locality in float64, for theory: the same function as {@linkcode pcaLocality}, on `Float64Array`
 * states, by plain loops.
 *
 * @param dataset The data.
 * @param options The rule of the mask, class, temperature, averaging.
 * @returns The denoiser, on states of rows one after the other.
 * @throws {RangeError} If the class does not exist, or a number is out of range.
 * @throws {TypeError} If the spectrum has another dimension than the data.
 *
 * @example
 * ```ts
 * import { Dataset, pcaLocalityFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const corners = Float32Array.of(-1, -1, -1, 1, 1, -1, 1, 1);
 * const dataset = new Dataset({ data: corners, shape: [2], name: "a square" });
 * const denoiser = await pcaLocalityFloat64(dataset);
 * const [a] = (await denoiser.denoise(Float64Array.of(0.3, -2), 1)).mean;
 * assert.ok(Math.abs(a - Math.tanh(0.3)) < 1e-15);
 * ```
 */
export async function pcaLocalityFloat64(
  dataset: Dataset,
  options: PcaLocalityOptions = {},
): Promise<Denoiser<Float64Array>> {
  const model = await makeModel(dataset, options);
  const { data } = model;
  const estimate = (
    x: Float64Array,
    sigma: Sigma,
    evaluate: SubsetOptions,
    subsets?: readonly Subset[],
  ) =>
    perLevel(model, x, sigma, { ...evaluate, subsets }, {
      means: (queries, ...rest) => Promise.resolve(referenceMasked(data, queries, ...rest)),
      room: (length) => new Float64Array(length),
    });
  const denoiser: Denoiser<Float64Array> = {
    label: `${model.label}, float64`,
    references: REFERENCES,
    shape: data.shape,
    space: arraySpace,
    mean: () => data.mean(),
    draw: (stream) => data.values(stream.below(data.count)),
    rms: (enough) => data.rms(enough),
    async denoise(x, sigma, evaluate = {}) {
      checkEvaluateOptions(MASKED_ACTION, evaluate);
      return { mean: await estimate(x, sigma, evaluate) };
    },
  };
  keepCapabilities(denoiser, {
    subset: {
      count: data.count,
      denoiseOn: (x, sigma, subsets, evaluate = {}) => estimate(x, sigma, evaluate, subsets),
    },
  });
  return denoiser;
}

/** What both forms share. */
interface Model {
  readonly data: Dataset;
  readonly label: string;
  readonly masks: MaskCache;
  readonly options: Pick<MaskedOptions, "temperature" | "batch">;
}

const OPTIONS = {
  ...WORK_OPTIONS,
  class: undefined,
  theta: DEFAULT_THETA,
  orientation: undefined,
  normalisation: undefined,
  temperature: 1,
  average: undefined,
  spectrum: undefined,
  cache: true,
} satisfies OptionTable<PcaLocalityOptions>;

const AVERAGE_OPTIONS = { batch: undefined } satisfies OptionTable<
  NonNullable<PcaLocalityOptions["average"]>
>;

const ACTION = "make the PCA denoiser";

async function makeModel(dataset: Dataset, options: PcaLocalityOptions): Promise<Model> {
  const settings = readOptions(ACTION, options, OPTIONS);
  const { cache, temperature, average, signal, onProgress } = settings;
  const data = settings.class === undefined ? dataset : dataset.classSubset(settings.class);
  const batch = average && readOptions(ACTION, average, AVERAGE_OPTIONS).batch;
  const { theta, orientation, normalisation } = settings;
  const rule = {
    theta: typeof theta === "string" ? publishedTheta(theta) : theta,
    orientation,
    normalisation,
  };
  checkRule(rule);
  const { spectrum = await dataSpectrum(data, { cache, signal, onProgress }) } = settings;
  if (spectrum.mean.length !== data.dimension) {
    throw new TypeError(
      `Cannot make a denoiser of ${data.name}: the spectrum has ${spectrum.mean.length} coordinates, wanted ${data.dimension}`,
    );
  }
  const averaged = average ? `, averaged over batches of ${batch}` : "";
  return {
    data,
    label: `PCA locality of ${data.name}, theta ${rule.theta}${averaged}`,
    masks: new MaskCache(spectrum, rule, cache),
    options: { temperature, ...(average && { batch }) },
  };
}

/** How the means of queries at one noise level are computed. */
interface Kernel<A extends Float32Array | Float64Array> {
  means(queries: A, sigma: number, mask: Mask, options: MaskedOptions): Promise<A>;
  room(length: number): A;
}

/** The means of a batch whose rows may be at different noise levels, each of which has a mask of its own. */
async function perLevel<A extends Float32Array | Float64Array>(
  { data, masks, options }: Model,
  values: A,
  sigma: Sigma,
  { region, subsets, signal }: SubsetOptions & { readonly subsets?: readonly Subset[] },
  kernel: Kernel<A>,
): Promise<A> {
  const d = data.dimension;
  if (values.length % d !== 0) {
    throw new TypeError(
      `Cannot ${MASKED_ACTION}: received ${values.length} numbers, wanted rows of ${d}`,
    );
  }
  const sigmas = sigmaPerRow(sigma, values.length / d, MASKED_ACTION);
  if (subsets) checkSubsets(subsets, sigmas.length, data.count, MASKED_ACTION);
  const outputs = region && outputsOf(region, data.shape);
  const width = outputs?.length ?? d;
  const means = kernel.room(sigmas.length * width);
  for (const level of new Set(sigmas)) {
    const rows = Array.from(sigmas.keys()).filter((row) => sigmas[row] === level);
    const queries = kernel.room(rows.length * d);
    rows.forEach((row, k) => queries.set(values.subarray(row * d, (row + 1) * d), k * d));
    const mask = await masks.of(level, signal);
    const found = await kernel.means(queries, level, outputs ? part(mask, outputs) : mask, {
      ...options,
      signal,
      ...(subsets && { subsets: rows.map((row) => subsets[row]) }),
    });
    rows.forEach((row, k) => means.set(found.subarray(k * width, (k + 1) * width), row * width));
  }
  return means;
}

const parts = new WeakMap<Mask, Map<string, Mask>>();

/** Some columns of a mask, made once. */
function part(mask: Mask, outputs: Uint32Array): Mask {
  const known = parts.get(mask) ?? new Map<string, Mask>();
  parts.set(mask, known);
  const key = `${outputs[0]} ${outputs.length} ${outputs.at(-1)}`;
  const found = known.get(key) ?? maskColumns(mask, outputs);
  known.set(key, found);
  return found;
}

/** The coordinates of a rectangle of pixels. */
function outputsOf(region: PixelRegion, shape: readonly number[]): Uint32Array {
  if (shape.length !== 3) {
    throw new TypeError(
      `Cannot ${MASKED_ACTION}: a region was asked for of items of shape [${shape}], wanted images`,
    );
  }
  checkRegion(region, shape, MASKED_ACTION);
  const [, width, channels] = shape;
  const outputs: number[] = [];
  for (let y = region.top; y < region.top + region.height; y++) {
    for (let x = region.left; x < region.left + region.width; x++) {
      for (let c = 0; c < channels; c++) outputs.push((y * width + x) * channels + c);
    }
  }
  return Uint32Array.from(outputs);
}

function outputShape(shape: readonly number[], region?: PixelRegion): number[] {
  return region ? [shape[0], region.height, region.width, shape[3]] : [...shape];
}
