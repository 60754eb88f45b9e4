/**
 * What all stores share: reading queries, taking turns, and the end of the data.
 *
 * @module
 */
import { DeviceError } from "../base/errors.ts";
import { batchOf } from "./batch.ts";
import type { Batch, State, StateNumbers } from "./batch.ts";
import type { DataStore } from "./device.ts";
import type { Neighbours } from "./neighbours.ts";
import { checkEvaluateOptions, checkQueries, POSTERIOR_ACTION } from "./posterior.ts";
import type { EvaluateOptions, Posterior, Sigma } from "./posterior.ts";
import type { StoreRounding } from "./rounding.ts";
import type { Subset } from "./subset.ts";
import { checkRows, MEASURE_ACTION, subsetPosterior } from "./subset_posterior.ts";
import type { Distances, WeightedRows } from "./subset_posterior.ts";

/** Data on a device that reads its queries as numbers of type `N`. */
export abstract class Store<N extends StateNumbers> implements DataStore {
  readonly count: number;
  readonly dimension: number;
  abstract readonly rounding: StoreRounding;
  #last: Promise<unknown> = Promise.resolve();
  #calls = 0;
  #disposed = false;

  /** @param shape The number of rows, and of numbers per row. */
  constructor({ count, dimension }: { readonly count: number; readonly dimension: number }) {
    this.count = count;
    this.dimension = dimension;
  }

  abstract posterior<X extends State>(
    x: X,
    sigma: Sigma,
    options?: EvaluateOptions,
  ): Promise<Posterior<X>>;

  abstract nearest(x: State, k: number, options?: EvaluateOptions): Promise<Neighbours>;

  /** The numbers of a batch in the precision of the device. */
  protected abstract numbers(batch: Batch<unknown>): Promise<N>;

  /** Squared distances of queries to the rows of their lists. */
  protected abstract distances(
    queries: N,
    lists: readonly Uint32Array[],
    signal?: AbortSignal,
  ): Promise<Distances>;

  /** Weighted means of rows in data units, of the kind and shape of the queries `x`. */
  protected abstract means<X extends State>(
    x: X,
    weighted: readonly WeightedRows[],
    signal?: AbortSignal,
  ): Promise<X>;

  /** Releases the data. No call is under way. */
  protected abstract free(): void;

  async posteriorOn<X extends State>(
    x: X,
    sigma: Sigma,
    subsets: readonly Subset[],
    options: EvaluateOptions = {},
  ): Promise<Posterior<X>> {
    using _call = this.begin(POSTERIOR_ACTION);
    const batch = batchOf(x, this.dimension, POSTERIOR_ACTION);
    // The caller may dispose the queries meanwhile.
    const queries = batch.copy();
    try {
      return await subsetPosterior(this, queries, sigma, subsets, {
        distances: (lists) => this.distancesTo(queries, lists, options),
        means: (weighted) => this.means(queries, weighted, options.signal),
      }, options);
    } finally {
      batch.dispose(queries);
    }
  }

  async distancesTo(
    x: State,
    lists: readonly Uint32Array[],
    options: EvaluateOptions = {},
  ): Promise<Distances> {
    using _call = this.begin(MEASURE_ACTION);
    const batch = this.batch(x, options, MEASURE_ACTION);
    checkRows(lists, batch.rows, this.count);
    const queries = await this.read(batch, options, MEASURE_ACTION);
    return await this.distances(queries, lists, options.signal);
  }

  /** Releases the data, at once or when the calls in progress have ended: they reject at their next step. */
  dispose(): void {
    this.#disposed = true;
    if (this.#calls === 0) this.free();
  }

  /**
   * Begins a call, which ends with its scope: `using _call = this.begin(action)`.
   *
   * @param action What is attempted, for the message.
   * @throws {DeviceError} If the data were disposed.
   */
  protected begin(action: string): Disposable {
    this.check(action);
    this.#calls++;
    return {
      [Symbol.dispose]: () => {
        this.#calls--;
        if (this.#disposed && this.#calls === 0) this.free();
      },
    };
  }

  /**
   * Refuses to work on data that are gone.
   *
   * @param action What is attempted, for the message.
   * @throws {DeviceError} If the data were disposed.
   */
  protected check(action: string): void {
    if (this.#disposed) throw new DeviceError(`Cannot ${action}: the data were disposed`);
  }

  /**
   * Refuses to replace the rows while calls are under way: some take several turns, and must find the same rows in all.
   *
   * @throws {DeviceError} If a call is under way, or the data were disposed.
   */
  protected checkNoCalls(): void {
    this.check("replace the data");
    if (this.#calls === 0) return;
    throw new DeviceError(
      `Cannot replace the data: ${this.#calls} calls are under way, wanted none`,
    );
  }

  /** Queries whose options and shape are checked. */
  protected batch<X extends State>(x: X, options: EvaluateOptions, action: string): Batch<X> {
    checkEvaluateOptions(action, options);
    return batchOf(x, this.dimension, action);
  }

  /** The numbers of a batch, which are finite. */
  protected async read(
    batch: Batch<unknown>,
    { signal }: EvaluateOptions,
    action: string,
  ): Promise<N> {
    signal?.throwIfAborted();
    const values = await this.numbers(batch);
    signal?.throwIfAborted();
    checkQueries(values, action);
    return values;
  }

  /**
   * Works when all earlier turns have ended.
   *
   * @param action What is attempted, for the message.
   * @param work What to do then.
   * @throws {DeviceError} If the data were disposed meanwhile.
   */
  protected async inTurn<T>(action: string, work: () => T | Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      this.check(action);
      return work();
    });
    this.#last = turn.catch(() => {});
    return await turn;
  }
}
