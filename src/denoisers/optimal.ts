/**
 * The optimal denoiser: the exact posterior mean of the data set.
 *
 * @module
 */
import { optionsFor, type OptionTable, readOptions } from "../base/_options.ts";
import { checkKind, isKind } from "../base/_kinds.ts";
import { batchOf, disposeState, numbersOf } from "../compute/batch.ts";
import type { State } from "../compute/batch.ts";
import type { DataStore, Device } from "../compute/device.ts";
import { checkRegion, cropImages } from "../compute/pixel_region.ts";
import type { EvaluateOptions, PosteriorFacts, Sigma } from "../compute/posterior.ts";
import {
  STREAM_OPTIONS,
  STREAMED_MEAN_OPTIONS,
  streamedMean,
  streamedRms,
  streamStore,
} from "../compute/streamed/store.ts";
import type { StreamOptions } from "../compute/point_source.ts";
import { deviceOf } from "../compute/use_device.ts";
import type { DeviceChoice, StateOf } from "../compute/use_device.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { FileRows } from "../datasets/file_rows.ts";
import type { AnyTensor, StateSpace } from "../states/linear_space.ts";
import { keepCapabilities } from "./_capabilities.ts";
import { inWholeSet } from "./_whole_items.ts";
import { DATA_OPTIONS } from "./data_source.ts";
import type { DataOptions } from "./data_source.ts";
import type { Denoised, Denoiser } from "./denoiser.ts";

const REFERENCES = [
  "T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of diffusion-based generative models, arXiv:2206.00364",
];

/** A denoiser that holds something on a device: data, or axes. */
export interface StoredDenoiser<X = AnyTensor> extends Denoiser<X>, Disposable {
  /** Releases what it holds on the device. */
  dispose(): void;
}

/** The exact posterior mean over stored data, or over some of them. */
export interface OptimalDenoiser<X = AnyTensor> extends StoredDenoiser<X> {
  /** Number of items, `N`. */
  readonly count: number;
  /** The data on their device. */
  readonly store: DataStore;
  /** The posterior mean of each row and the facts that come with it. */
  denoise(x: X, sigma: Sigma, options?: EvaluateOptions): Promise<Denoised<X, PosteriorFacts>>;
}

/** Options of {@linkcode optimal}. */
export interface OptimalOptions<D extends DeviceChoice = DeviceChoice>
  extends DataOptions<D>, StreamOptions {
  /** Whether to read data that stay on disk once now for their mean, which grids that start at it need. Default false. */
  readonly mean?: boolean;
  /** Cancels this. */
  readonly signal?: AbortSignal;
}

const OPTIONS = {
  ...DATA_OPTIONS,
  ...STREAM_OPTIONS,
  mean: undefined,
  signal: undefined,
} satisfies OptionTable<OptimalOptions>;

const ACTION = "make the optimal denoiser";

/**
 * The optimal denoiser of a data set: the exact, training-free posterior mean over the whole set or one class.
 *
 * ```text
 * D(x, σ) = Σᵢ wᵢ xᵢ,   wᵢ = softmaxᵢ( −‖x − xᵢ‖² / 2σ² )
 * ```
 *
 * With `R` half the diagonal of a box around the data, differences of logits of a query that is `L > 3R` away from its middle are right
 * to `7e-6 R (R + 2L)/σ²` nats in float32, in the worst case for up to 20,000 floats per row, as a rule to a tenth of that or less; nearer
 * by to `7e-6` of the logits. For bytes on the CPU it is `5e-5` nats, root mean square, where that is more. No offset of the data enters.
 * On the device `float64` all is float64, states too.
 *
 * Data that stay on disk, as `openRows()` gives them, may be larger than memory: every evaluation reads them once, so
 * give it as many queries as possible. They must stay open, and are not closed with the denoiser.
 *
 * @param data The data, `N` items of shape `data.shape`, in memory or on disk.
 * @param options Class, device; of data on disk the size of a chunk, and whether the mean is wanted.
 * @returns The denoiser, on tensors of shape `[B, …data.shape]`, or on the device `float64` on a `Float64Array` of rows. Dispose it
 * to free the device early.
 * @throws {RangeError} If the class does not exist, or the size of a chunk is not positive.
 * @throws {DeviceError} If the device is not there, or cannot hold the data.
 * @throws {TypeError} If there is no such option, or it does not apply to such data.
 *
 * @example Far below the distance between two points, the denoiser returns the nearer one
 * ```ts
 * import { Dataset, optimal } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
 * const exact = await optimal(dataset, { device: "float64" });
 * const { mean } = await exact.denoise(Float64Array.of(0.6, 0.3), 0.1);
 * assert.deepEqual([...mean], [1, 0]);
 * ```
 *
 * @example Data that stay on disk
 * ```ts
 * import { encodeNpy, openRows, optimal } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npy" });
 * await Deno.writeFile(file, encodeNpy(Float32Array.of(-1, 0, 1, 0), [2, 2]));
 * using rows = await openRows(file);
 * const exact = await optimal(rows, { device: "float64" });
 * const { mean } = await exact.denoise(Float64Array.of(0.6, 0.3), 0.1);
 * assert.deepEqual([...mean], [1, 0]);
 * await Deno.remove(file);
 * ```
 */
export async function optimal<D extends DeviceChoice = "auto">(
  data: Dataset | FileRows,
  options: OptimalOptions<D> = {},
): Promise<OptimalDenoiser<StateOf<D>>> {
  checkKind(ACTION, "data", data, "data");
  const settings = readOptions(ACTION, options, OPTIONS);
  checkApplies(data, settings);
  settings.signal?.throwIfAborted();
  const device = await deviceOf(settings.device);
  const made = isKind(data, "dataset")
    ? await inMemory(data as Dataset, device, settings.class)
    : await onDisk(data as FileRows, device, settings);
  return made as OptimalDenoiser<State> as OptimalDenoiser<StateOf<D>>;
}

/** Refuses what would be ignored. */
function checkApplies(data: Dataset | FileRows, options: OptimalOptions): void {
  const inMemory = isKind(data, "dataset");
  for (const name of inMemory ? ["chunkBytes", "mean"] as const : ["class"] as const) {
    if (options[name] === undefined) continue;
    throw new TypeError(
      `Cannot ${ACTION}: received the option ${name} with ${
        inMemory ? "a data set, which is in memory" : "data that stay on disk"
      }, wanted it with ${inMemory ? "data that stay on disk" : "a data set"} only`,
    );
  }
}

async function inMemory(
  dataset: Dataset,
  device: Device,
  only: OptimalOptions["class"],
): Promise<OptimalDenoiser<State>> {
  const data = only === undefined ? dataset : dataset.classSubset(only);
  return optimalOver(await device.store(data), data, device);
}

/**
 * The optimal denoiser of data that are on a device.
 *
 * @param store The data there. They are disposed with the denoiser.
 * @param data The same in memory.
 * @param device The device.
 * @returns The denoiser.
 */
export function optimalOver(
  store: DataStore,
  data: Dataset,
  device: Device,
): OptimalDenoiser<State> {
  return storedOptimal(store, data, device, {
    mean: () => data.mean(),
    draw: (stream) => data.values(stream.below(data.count)),
    rms: (enough) => data.rms(enough),
  }, data);
}

async function onDisk(
  rows: FileRows,
  device: Device,
  settings: OptimalOptions,
): Promise<OptimalDenoiser<State>> {
  const store = streamStore(rows, device, optionsFor(STREAM_OPTIONS, settings));
  const mean = settings.mean
    ? await streamedMean(rows, optionsFor(STREAMED_MEAN_OPTIONS, settings))
    : undefined;
  return storedOptimal(store, rows, device, {
    ...(mean && { mean: () => mean.slice() }),
    rms: (enough) => streamedRms(rows, enough),
  });
}

function storedOptimal(
  store: DataStore,
  { name, shape, items }: Pick<Dataset, "name" | "shape" | "items">,
  device: Device,
  ofData: Pick<Denoiser<State>, "mean" | "draw" | "rms">,
  dataset?: Dataset,
): OptimalDenoiser<State> {
  const denoiser: OptimalDenoiser<State> = {
    label: `optimal denoiser of ${name}`,
    references: REFERENCES,
    shape,
    space: device.space as StateSpace<State>,
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
  keepCapabilities(denoiser, {
    ...(store.tilted && { tilted: store.tilted }),
    ...(dataset && { data: { dataset, device } }),
    subset: {
      count: store.count,
      store,
      ...(items && { items }),
      async denoiseOn(x, sigma, subsets, { region, signal } = {}) {
        if (region) checkRegion(region, shape, "denoise");
        const { mean } = await store.posteriorOn(x, sigma, subsets, { signal });
        if (!region) return mean;
        const pixels = cropImages(await numbersOf(mean), shape, region);
        disposeState(mean);
        const item = [region.height, region.width, shape[2]];
        return batchOf(x, store.dimension, "denoise").like(pixels, item);
      },
    },
  });
  return denoiser;
}
