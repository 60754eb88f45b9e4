/**
 * PCA locality: posterior means per coordinate, over the coordinates that vary with it.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../../base/_options.ts";
import { batchOf, queriesOn, roomLike } from "../../compute/batch.ts";
import type { State, StateNumbers } from "../../compute/batch.ts";
import type { DataStore, Device } from "../../compute/device.ts";
import type { DeviceChoice } from "../../compute/use_device.ts";
import { maskColumns } from "../../compute/mask.ts";
import type { Mask } from "../../compute/mask.ts";
import { MASKED_ACTION } from "../../compute/masked_posterior.ts";
import type { MaskedOptions } from "../../compute/masked_posterior.ts";
import { checkRegion } from "../../compute/pixel_region.ts";
import type { PixelRegion } from "../../compute/pixel_region.ts";
import { checkEvaluateOptions, sigmaPerRow } from "../../compute/posterior.ts";
import type { Sigma } from "../../compute/posterior.ts";
import { checkSubsets } from "../../compute/subset.ts";
import type { Subset } from "../../compute/subset.ts";
import { WORK_OPTIONS } from "../../compute/work_options.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { AnyTensor, StateSpace } from "../../states/linear_space.ts";
import { MaskCache } from "./_mask_cache.ts";
import { keepCapabilities } from "../_capabilities.ts";
import type { StatesOf } from "../base_denoiser.ts";
import { DATA_OPTIONS, heldData } from "../data_source.ts";
import type { DataOptions, DataSource } from "../data_source.ts";
import type { SubsetOptions } from "../denoiser.ts";
import { checkRule } from "./locality_mask.ts";
import type { MaskRule } from "./locality_mask.ts";
import type { StoredDenoiser } from "../optimal.ts";
import { dataSpectrum } from "../gaussian/spectrum.ts";
import type { Spectrum } from "../gaussian/spectrum.ts";

const REFERENCES = [
  "A. Lukoianov, C. Yuan, J. Solomon, V. Sitzmann (2025), Locality in image diffusion models emerges from data statistics, arXiv:2509.09672",
];

/** Options of {@linkcode pcaLocality}. */
export interface PcaLocalityOptions<D extends DeviceChoice = DeviceChoice>
  extends Partial<Omit<MaskRule, "theta">>, WorkOptions, DataOptions<D> {
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
export interface PcaLocality<X = AnyTensor> extends StoredDenoiser<X> {
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
 * import { DEFAULT_THETA, publishedTheta } from "./pca_locality.ts";
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
 * import { publishedTheta } from "./pca_locality.ts";
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
 * @param source The data, `N` items of shape `data.shape`, or a denoiser that holds them.
 * @param options The rule of the mask, class, device, temperature, averaging.
 * @returns The denoiser, on tensors of shape `[B, …data.shape]`, or on a `Float64Array` of rows on the device `float64`.
 * @throws {RangeError} If the class does not exist, or a number is out of range.
 * @throws {TypeError} If the spectrum has another dimension than the data, or there is no such option.
 * @throws {DeviceError} If the device cannot hold the data.
 *
 * @example Coordinates without correlation are denoised each by itself
 * ```ts
 * import { Dataset, pcaLocality } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const corners = Float32Array.of(-1, -1, -1, 1, 1, -1, 1, 1);
 * const dataset = new Dataset({ data: corners, shape: [2], name: "a square" });
 * using denoiser = await pcaLocality(dataset, { device: "wasm" });
 * const x = tensorSpace.from([0.3, -2], [1, 2]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * const [a, b] = await tensorSpace.values(denoised);
 * assert.ok(Math.abs(a - Math.tanh(0.3)) < 1e-6 && Math.abs(b - Math.tanh(-2)) < 1e-6);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function pcaLocality<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: PcaLocalityOptions<D> = {},
): Promise<PcaLocality<StatesOf<S, D>>> {
  const settings = readOptions(ACTION, options, OPTIONS);
  const held = await heldData(ACTION, source, settings);
  const model = await makeModel(held.dataset, settings);
  return pcaDenoiser(model, await held.device.store(model.data), held.device) as PcaLocality<
    State
  > as PcaLocality<StatesOf<S, D>>;
}

function pcaDenoiser(model: Model, store: DataStore, device: Device): PcaLocality<State> {
  const { data, masks } = model;
  const estimate = async <X extends State>(
    x: X,
    sigma: Sigma,
    evaluate: SubsetOptions,
    subsets?: readonly Subset[],
  ): Promise<X> => {
    const batch = batchOf(x, data.dimension, MASKED_ACTION);
    const values = await queriesOn(device, batch);
    const { region } = evaluate;
    const means = await perLevel(model, store, values, sigma, { ...evaluate, subsets });
    return batch.like(means, region && [region.height, region.width, data.shape[2]]);
  };
  const denoiser: PcaLocality<State> = {
    label: model.label,
    references: REFERENCES,
    shape: data.shape,
    space: device.space as StateSpace<State>,
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
    data: { dataset: data, device },
    subset: {
      count: data.count,
      denoiseOn: (x, sigma, subsets, evaluate = {}) => estimate(x, sigma, evaluate, subsets),
    },
  });
  return denoiser;
}

/** What it is made of. */
interface Model {
  readonly data: Dataset;
  readonly label: string;
  readonly masks: MaskCache;
  readonly options: Pick<MaskedOptions, "temperature" | "batch">;
}

const OPTIONS = {
  ...WORK_OPTIONS,
  ...DATA_OPTIONS,
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

async function makeModel(
  data: Dataset,
  settings: Read<PcaLocalityOptions, typeof OPTIONS>,
): Promise<Model> {
  const { cache, temperature, average, signal, onProgress } = settings;
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

/** The means of a batch whose rows may be at different noise levels, each of which has a mask of its own. */
async function perLevel(
  { data, masks, options }: Model,
  store: DataStore,
  values: StateNumbers,
  sigma: Sigma,
  { region, subsets, signal }: SubsetOptions & { readonly subsets?: readonly Subset[] },
): Promise<StateNumbers> {
  const d = data.dimension;
  const sigmas = sigmaPerRow(sigma, values.length / d, MASKED_ACTION);
  if (subsets) checkSubsets(subsets, sigmas.length, data.count, MASKED_ACTION);
  const outputs = region && outputsOf(region, data.shape);
  const width = outputs?.length ?? d;
  const means = roomLike(values, sigmas.length * width);
  for (const level of new Set(sigmas)) {
    const rows = Array.from(sigmas.keys()).filter((row) => sigmas[row] === level);
    const queries = roomLike(values, rows.length * d);
    rows.forEach((row, k) => queries.set(values.subarray(row * d, (row + 1) * d), k * d));
    const mask = await masks.of(level, signal);
    const found = await store.masked!(queries, level, outputs ? part(mask, outputs) : mask, {
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
