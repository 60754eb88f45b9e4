/**
 * The optimal denoiser: the exact posterior mean of the data set.
 *
 * @module
 */
import { checkOptionNames, optionsFor, type OptionTable, readOptions } from "../base/_options.ts";
import { checkKind } from "../base/_kinds.ts";
import { inTurns } from "../base/_turns.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { DataStore, Device } from "../compute/device.ts";
import { checkRegion } from "../compute/pixel_region.ts";
import type { PixelRegion } from "../compute/pixel_region.ts";
import { checkEvaluateOptions, POSTERIOR_ACTION } from "../compute/posterior.ts";
import type { EvaluateOptions, PosteriorFacts, Sigma } from "../compute/posterior.ts";
import { posteriorInParts } from "../compute/float64/posterior.ts";
import {
  STREAM_OPTIONS,
  STREAMED_MEAN_OPTIONS,
  streamedMean,
  streamedRms,
  streamStore,
} from "../compute/streamed/store.ts";
import type { StreamOptions } from "../compute/streamed/store.ts";
import { float64Tilted } from "../compute/tilted.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { FileRows } from "../datasets/file_rows.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { arraySpace, tensorSpace } from "../states/linear_space.ts";
import { keepCapabilities } from "./_capabilities.ts";
import { inWholeSet } from "./_whole_items.ts";
import type { Denoised, Denoiser } from "./denoiser.ts";

const REFERENCES = [
  "T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of diffusion-based generative models, arXiv:2206.00364",
];

/** A tensor denoiser that holds data on a device. */
export interface StoredDenoiser extends Denoiser<AnyTensor>, Disposable {
  /** Releases the data that it holds on the device. */
  dispose(): void;
}

/** The exact posterior mean over stored data, or over some of them. */
export interface OptimalDenoiser extends StoredDenoiser {
  /** Number of items, `N`. */
  readonly count: number;
  /** The data on their device. */
  readonly store: DataStore;
  /** The posterior mean of each row and the facts that come with it. */
  denoise(
    x: AnyTensor,
    sigma: Sigma,
    options?: EvaluateOptions,
  ): Promise<Denoised<AnyTensor, PosteriorFacts>>;
}

/** Options of the optimal denoisers. */
export interface OptimalOptions {
  /** Restrict the data to one class, by number or by name. Default: all classes. */
  readonly class?: number | string;
}

const OPTIONS = { class: undefined } satisfies OptionTable<OptimalOptions>;

/**
 * The optimal denoiser of a data set, on a device: the exact, training-free
 * posterior mean over the whole set or one class.
 *
 * ```text
 * D(x, σ) = Σᵢ wᵢ xᵢ,   wᵢ = softmaxᵢ( −‖x − xᵢ‖² / 2σ² )
 * ```
 *
 * With `R` half the diagonal of a box around the data, differences of logits of a query that is `L > 3R` away from its middle are right
 * to `7e-6 R (R + 2L)/σ²` nats in float32, in the worst case for up to 20,000 floats per row, as a rule to a tenth of that or less; nearer
 * by to `7e-6` of the logits. For bytes on the CPU it is `5e-5` nats, root mean square, where that is more. No offset of the data enters.
 *
 * @param dataset The data, `N` rows of shape `dataset.shape`.
 * @param device Where to compute.
 * @param options Restriction to a class.
 * @returns The denoiser, on tensors of shape `[B, …dataset.shape]`. Dispose it after use.
 * @throws {RangeError} If the class does not exist.
 * @throws {DeviceError} If the device cannot hold the data.
 * @throws {TypeError} If there is no such option.
 *
 * @example Far below the distance between two points, the denoiser returns the nearer one
 * ```ts
 * import { Dataset, openDevice, optimal, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
 * using device = await openDevice("wasm");
 * using denoiser = await optimal(dataset, device);
 * const x = tensorSpace.from([0.6, 0.3], [1, 2]);
 * const { mean } = await denoiser.denoise(x, 0.1);
 * assert.deepEqual([...await tensorSpace.values(mean)], [1, 0]);
 * tensorSpace.dispose(x, mean);
 * ```
 */
export async function optimal(
  dataset: Dataset,
  device: Device,
  options: OptimalOptions = {},
): Promise<OptimalDenoiser> {
  checkKind("make the optimal denoiser", "dataset", dataset, "dataset");
  checkKind("make the optimal denoiser", "device", device, "device");
  checkOptionNames("make the optimal denoiser", options, OPTIONS);
  const data = restricted(dataset, options);
  const store = await device.store(data);
  return storedOptimal(store, data, {
    mean: () => data.mean(),
    draw: (stream) => data.values(stream.below(data.count)),
    rms: (enough) => data.rms(enough),
  });
}

/** Options of {@linkcode optimalStreamed}. */
export interface OptimalStreamedOptions extends StreamOptions {
  /** Whether to read the data once now for their mean, which grids that start at it need. Default false. */
  readonly mean?: boolean;
  /** Cancels this. */
  readonly signal?: AbortSignal;
}

const STREAMED_OPTIONS = {
  ...STREAM_OPTIONS,
  mean: false,
  signal: undefined,
} satisfies OptionTable<OptimalStreamedOptions>;

/**
 * The optimal denoiser of data that stay on disk: the same function as {@linkcode optimal}, for sets
 * larger than memory or than the device. Every evaluation reads the data once; give it as many
 * queries as possible.
 *
 * @param rows The data, as `openRows()` gives them. They must stay open, and are not closed with the denoiser.
 * @param device Where to compute.
 * @param options The size of a chunk; whether the mean is wanted.
 * @returns The denoiser, on tensors of shape `[B, …rows.shape]`. Dispose it after use.
 * @throws {RangeError} If the size of a chunk is not positive.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { encodeNpy, openDevice, openRows, optimalStreamed, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npy" });
 * await Deno.writeFile(file, encodeNpy(Float32Array.of(-1, 0, 1, 0), [2, 2]));
 * using rows = await openRows(file);
 * using device = await openDevice("wasm");
 * using denoiser = await optimalStreamed(rows, device);
 * const x = tensorSpace.from([0.6, 0.3], [1, 2]);
 * const { mean } = await denoiser.denoise(x, 0.1);
 * assert.deepEqual([...await tensorSpace.values(mean)], [1, 0]);
 * tensorSpace.dispose(x, mean);
 * await Deno.remove(file);
 * ```
 */
export async function optimalStreamed(
  rows: FileRows,
  device: Device,
  options: OptimalStreamedOptions = {},
): Promise<OptimalDenoiser> {
  const settings = readOptions("make the optimal denoiser", options, STREAMED_OPTIONS);
  const store = streamStore(rows, device, optionsFor(STREAM_OPTIONS, settings));
  const mean = settings.mean
    ? await streamedMean(rows, optionsFor(STREAMED_MEAN_OPTIONS, settings))
    : undefined;
  return storedOptimal(store, rows, {
    ...(mean && { mean: () => mean.slice() }),
    rms: (enough) => streamedRms(rows, enough),
  });
}

function storedOptimal(
  store: DataStore,
  { name, shape, items }: Pick<Dataset, "name" | "shape" | "items">,
  ofData: Pick<Denoiser<AnyTensor>, "mean" | "draw" | "rms">,
): OptimalDenoiser {
  const denoiser: OptimalDenoiser = {
    label: `optimal denoiser of ${name}`,
    references: REFERENCES,
    shape,
    space: tensorSpace,
    ...ofData,
    async denoise(x, sigma, evaluate) {
      const { mean, facts } = await store.posterior(x, sigma, evaluate);
      return { mean, ...inWholeSet(facts, items) };
    },
    count: store.count,
    store,
    dispose: () => store.dispose(),
    [Symbol.dispose]: () => store.dispose(),
  };
  keepCapabilities<AnyTensor>(denoiser, {
    ...(store.tilted && { tilted: store.tilted }),
    subset: {
      count: store.count,
      store,
      ...(items && { items }),
      async denoiseOn(x, sigma, subsets, { region, signal } = {}) {
        if (region) checkRegion(region, shape, "denoise");
        const { mean } = await store.posteriorOn(x, sigma, subsets, { signal });
        return region ? cropped(mean, region) : mean;
      },
    },
  });
  return denoiser;
}

/** The pixels of a rectangle; disposes the images. */
function cropped(images: AnyTensor, { top, left, height, width }: PixelRegion): AnyTensor {
  const [batch, , , ...channels] = images.shape;
  const part = tf.slice(images, [0, top, left, ...channels.map(() => 0)], [
    batch,
    height,
    width,
    ...channels,
  ]);
  images.dispose();
  return part;
}

/**
 * The optimal denoiser in float64, for theory: the same function as
 * {@linkcode optimal}, on `Float64Array` states, by the reference kernel.
 *
 * @param dataset The data.
 * @param options Restriction to a class.
 * @returns The denoiser, on `Float64Array` states of rows one after the other.
 * @throws {RangeError} If the class does not exist.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { Dataset, optimalFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
 * const { mean } = await optimalFloat64(dataset).denoise(Float64Array.of(0.5, 0), 1);
 * assert.ok(Math.abs(mean[0] - Math.tanh(0.5)) < 1e-15);
 * ```
 */
export function optimalFloat64(
  dataset: Dataset,
  options: OptimalOptions = {},
): Denoiser<Float64Array> {
  checkOptionNames("make the optimal denoiser", options, OPTIONS);
  const data = restricted(dataset, options);
  const denoiser: Denoiser<Float64Array> = {
    label: `optimal denoiser of ${data.name}, float64`,
    references: REFERENCES,
    shape: data.shape,
    space: arraySpace,
    mean: () => data.mean(),
    draw: (stream) => data.values(stream.below(data.count)),
    rms: (enough) => data.rms(enough),
    async denoise(x, sigma, evaluate) {
      checkEvaluateOptions(POSTERIOR_ACTION, evaluate);
      evaluate?.signal?.throwIfAborted();
      const work = posteriorInParts(data, x, sigma);
      const { mean, facts } = await inTurns(work, evaluate?.signal);
      return { mean, ...inWholeSet(facts, data.items) };
    },
  };
  keepCapabilities(denoiser, { tilted: float64Tilted(data) });
  return denoiser;
}

function restricted(dataset: Dataset, options: OptimalOptions): Dataset {
  return options.class === undefined ? dataset : dataset.classSubset(options.class);
}
