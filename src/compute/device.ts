/**
 * Devices: where posteriors are computed. Nothing above this folder asks which one it is.
 *
 * @module
 */
import type { AnyTensor, StateSpace } from "../states/linear_space.ts";
import type { State, StateNumbers } from "./batch.ts";
import type { Mask } from "./mask.ts";
import type { MaskedOptions } from "./masked_posterior.ts";
import type { Neighbours } from "./neighbours.ts";
import type { PointSource } from "./point_source.ts";
import type { EvaluateOptions, PointSet, Posterior, Sigma } from "./posterior.ts";
import type { StoreRounding } from "./rounding.ts";
import type { Subset } from "./subset.ts";
import type { Distances } from "./subset_posterior.ts";
import type { TiltedStore } from "./tilted.ts";
import type { WindowOptions, WindowPosterior } from "./windowed.ts";

/** The kinds of device. */
export type DeviceKind = "webgpu" | "wasm" | "float64";

/** The names by which a device is chosen: a kind, or `"auto"` for what suits the machine. */
export type DeviceName = DeviceKind | "auto";

/**
 * Data laid out on a device. Queries may be a tensor or an array of rows on every device; a result is of the kind and, on
 * the device `float64`, of the precision of the queries. All others compute in float32.
 */
export interface DataStore {
  /** Number of rows, `N`. */
  readonly count: number;
  /** Numbers per row, `d`. */
  readonly dimension: number;
  /** How far rounding may move the results; absent where no bound is stated. */
  readonly rounding?: StoreRounding;
  /**
   * The posterior mean of a batch of queries over all rows: fused, streaming,
   * the same to float32 rounding on every device.
   *
   * @param x Queries, a tensor of shape `[B, …]` with `d` numbers per row or an array of rows, in data units. Not disposed.
   * @param sigma Noise level in data units, one for all queries or one each.
   * @param options A signal that cancels.
   * @returns The means, a new state of the kind and shape of `x`, and facts per query.
   * @throws {RangeError} If `B` is 0, a query is not finite, or a noise level is not positive.
   * @throws {TypeError} If the rows of `x` do not hold `d` numbers.
   * @throws {DeviceError} If the device was lost or disposed.
   */
  posterior<X extends State>(
    x: X,
    sigma: Sigma,
    options?: EvaluateOptions,
  ): Promise<Posterior<X>>;
  /**
   * Posterior means averaged over queries that are moved along kept vectors, with one pass over the
   * data for all of them, where a device has that.
   */
  readonly tilted?: TiltedStore;
  /**
   * The rows nearest to each query, exactly: all rows are looked at, the
   * distances of what is returned are direct differences in float64.
   *
   * @param x Queries, a tensor of shape `[B, …]` with `d` numbers per row or an array of rows, in data units. Not disposed.
   * @param k How many of each, from 1 to `N`.
   * @param options A signal that cancels.
   * @returns Rows and distances, the nearest first; equal distances in the order of the rows.
   * @throws {RangeError} If `B` is 0, `k` is out of range, or a query is not finite.
   * @throws {TypeError} If the rows of `x` do not hold `d` numbers.
   * @throws {DeviceError} If the device was lost or disposed.
   */
  nearest(x: State, k: number, options?: EvaluateOptions): Promise<Neighbours>;
  /**
   * The posterior mean of each query over some rows of its own, as if there were no others.
   *
   * @param x Queries, a tensor of shape `[B, …]` with `d` numbers per row or an array of rows, in data units. Not disposed.
   * @param sigma Noise level in data units, one for all queries or one each.
   * @param subsets The rows of each query, with weights.
   * @param options A signal that cancels.
   * @returns The means, a new state of the kind and shape of `x`, and facts per query: logits include the
   * log-weights, rows are those of the whole.
   * @throws {RangeError} If `B` is 0, a query is not finite, a noise level is not positive, or a subset
   * is empty or has a row or weight that is out of range.
   * @throws {TypeError} If the rows of `x` do not hold `d` numbers, or there is not one subset per query.
   * @throws {DeviceError} If the device was lost or disposed.
   */
  posteriorOn<X extends State>(
    x: X,
    sigma: Sigma,
    subsets: readonly Subset[],
    options?: EvaluateOptions,
  ): Promise<Posterior<X>>;
  /**
   * Squared distances of each query to some rows of its own, with a bound on their error: 0 or as
   * small as rounding a query to 31 bits makes it on the CPU, float32 rounding of direct differences on a GPU.
   *
   * @param x Queries, a tensor of shape `[B, …]` with `d` numbers per row or an array of rows, in data units. Not disposed.
   * @param lists The rows of each query, in any order.
   * @param options A signal that cancels.
   * @returns One list of squared distances per query, in the order of its rows.
   * @throws {RangeError} If `B` is 0, a query is not finite, or a row is out of range.
   * @throws {TypeError} If the rows of `x` do not hold `d` numbers, or there is not one list per query.
   * @throws {DeviceError} If the device was lost or disposed.
   */
  distancesTo(
    x: State,
    lists: readonly Uint32Array[],
    options?: EvaluateOptions,
  ): Promise<Distances>;
  /**
   * The posterior mean of each query with a softmax of its own for each coordinate, over the distances
   * in the coordinates that a mask names for it; not on data that are streamed.
   *
   * @param queries Rows of `d` numbers in data units, one after the other.
   * @param sigma Noise level in data units.
   * @param mask Which coordinates count for which.
   * @param options Subsets, temperature, averaging over parts, and a signal that cancels.
   * @returns One number per column of the mask for each query, in data units.
   * @throws {RangeError} If there are no queries, a number is not finite or out of range, or a subset is empty.
   * @throws {TypeError} If the queries, the mask or the subsets do not fit the data.
   * @throws {DeviceError} If the device was lost or disposed.
   */
  masked?(
    queries: StateNumbers,
    sigma: number,
    mask: Mask,
    options?: MaskedOptions,
  ): Promise<StateNumbers>;
  /**
   * The posterior mean of each pixel of each query, given a window around it, over the pixels at the same place of all
   * images, or at other places too; not on data that are streamed.
   *
   * @param queries Noisy images, rows of `d` numbers in data units, one after the other.
   * @param sigma Noise level in data units, one for all queries or one each.
   * @param options Shape of the images, side of the windows, which patches compete; subsets, a region, a signal, and
   * whom to tell the progress.
   * @returns The means, in data units, and the log normaliser of each pixel.
   * @throws {RangeError} If there are no queries, or a number is not finite or out of range, or a subset is empty.
   * @throws {TypeError} If queries, shape and subsets do not fit the data.
   * @throws {DeviceError} If the device was lost or disposed.
   */
  windowed?(
    queries: StateNumbers,
    sigma: Sigma,
    options: WindowOptions,
  ): Promise<WindowPosterior<StateNumbers>>;
  /**
   * Replaces all rows, where a device can do that faster than by a new store: for data that are
   * streamed.
   *
   * @param data As many numbers of the same kind and range as before. They are copied.
   * @throws {TypeError} If their number or kind is another.
   * @throws {RangeError} If a number is not finite.
   * @throws {DeviceError} If the device was lost, the data disposed, or a call is under way: some take several
   * turns, and must find the same rows in all of them.
   */
  refill?(data: Uint8Array | Float32Array): Promise<void>;
  /** Releases the data. */
  dispose(): void;
}

/** A computing device. */
export interface Device extends Disposable {
  /** Which kind it is. */
  readonly kind: DeviceKind;
  /** The space of the states of its denoisers: `arraySpace` on the device `float64`, else `tensorSpace`. */
  readonly space: StateSpace<AnyTensor> | StateSpace<Float64Array>;
  /**
   * How products with large matrices are computed best: by plain loops in float64, by the threads of the CPU, or by tensors
   * in float32.
   */
  readonly products: "loops" | "threads" | "tensors";
  /** The hardware, in words: the adapter's name or the number of threads. */
  readonly description: string;
  /** One line: which device was chosen and why. */
  readonly reason: string;
  /**
   * Lays data out on the device.
   *
   * @param points The data; bytes stay bytes. They are copied.
   * @returns The stored data.
   * @throws {TypeError} If the data are no whole number of rows.
   * @throws {RangeError} If a number is not finite.
   * @throws {DeviceError} If the device cannot hold them.
   */
  store(points: PointSet): Promise<DataStore>;
  /**
   * Lays data out on the device as they are read, piece by piece, where a device can: they are never in
   * memory twice. Use `loadStore()`, which works on every device.
   *
   * @param source The rows. It is not closed.
   * @param options A signal that cancels.
   * @returns The stored data.
   * @throws {RangeError} If a number is not finite.
   * @throws {DeviceError} If the device cannot hold them.
   */
  load?(source: PointSource, options?: EvaluateOptions): Promise<DataStore>;
  /** Releases the device and everything stored on it. */
  dispose(): void;
}

/** The device whose states are `Float64Array`s. */
export interface Float64Device extends Device {
  /** Its kind. */
  readonly kind: "float64";
  /** The space of its states. */
  readonly space: StateSpace<Float64Array>;
}
