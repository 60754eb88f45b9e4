/**
 * Data that are larger than memory or than a device: read chunk by chunk, for every evaluation anew.
 *
 * @module
 */
import { checkOptionNames, optionsFor, type OptionTable } from "../../base/_options.ts";
import { Store } from "../_store.ts";
import { batchOf } from "../batch.ts";
import type { Batch, State, StateNumbers } from "../batch.ts";
import { chunkRows } from "../chunk_rows.ts";
import type { DataStore, Device } from "../device.ts";
import { largestRms } from "../largest_rms.ts";
import { mergePosteriors } from "../merge_posteriors.ts";
import { checkNeighbours, NEAREST_ACTION } from "../neighbours.ts";
import type { Neighbours } from "../neighbours.ts";
import type { PointSource, StreamOptions } from "../point_source.ts";
import { affineOf, EVALUATE_OPTIONS, POSTERIOR_ACTION, sigmaPerRow } from "../posterior.ts";
import type { EvaluateOptions, Posterior, Sigma } from "../posterior.ts";
import { streamedRounding } from "../rounding.ts";
import type { StoreRounding } from "../rounding.ts";
import { StreamedRows } from "./rows.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";

/** What a call of the store does, for messages. */
const STREAM_ACTION = "stream the data";

/** The options of {@linkcode StreamOptions}, none with a default. */
export const STREAM_OPTIONS = { chunkBytes: undefined } satisfies OptionTable<StreamOptions>;

/** Those of {@linkcode streamedMean}. */
export const STREAMED_MEAN_OPTIONS = {
  ...STREAM_OPTIONS,
  ...EVALUATE_OPTIONS,
} satisfies OptionTable<StreamOptions & EvaluateOptions>;

/**
 * Data that stay where they are: a store like any other, whose every call reads all rows once, chunk
 * by chunk, and has the device work on one chunk while the next is read and laid out.
 *
 * Results do not depend on the size of the chunks beyond rounding.
 *
 * @param source The rows. It is not closed with the store.
 * @param device Where to compute.
 * @param options The size of a chunk.
 * @returns The store. Its calls take turns; a signal is heard between chunks.
 * @throws {RangeError} If there are no rows, or the size of a chunk is not positive.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { moons, openDevice } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import { streamStore } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const { data, count, dimension } = moons(100);
 * const source = {
 *   count,
 *   dimension,
 *   bytes: false,
 *   read: (first: number, rows: number, target: Uint8Array | Float32Array) => {
 *     target.set(data.subarray(first * dimension, (first + rows) * dimension));
 *     return Promise.resolve();
 *   },
 * };
 * using device = await openDevice("wasm");
 * const store = streamStore(source, device, { chunkBytes: 256 });
 * const x = tensorSpace.from(data.subarray(8, 10), [1, 2]);
 * assert.deepEqual([...(await store.nearest(x, 1)).indices], [4]);
 * x.dispose();
 * ```
 */
export function streamStore(
  source: PointSource,
  device: Device,
  options: StreamOptions = {},
): DataStore {
  checkOptionNames("stream data", options, STREAM_OPTIONS);
  return new StreamedStore(source, device, options);
}

/**
 * The mean of streamed rows in data units, in float64, by reading all of them once.
 *
 * @param source The rows.
 * @param options The size of a chunk, a signal.
 * @returns `dimension` numbers.
 * @throws {RangeError} If there are no rows, or the size of a chunk is not positive.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { streamedMean } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const read = (first: number, rows: number, target: Uint8Array | Float32Array) => {
 *   for (let i = 0; i < rows; i++) target[i] = first + i;
 *   return Promise.resolve();
 * };
 * const source = { count: 101, dimension: 1, bytes: false, read };
 * assert.deepEqual([...await streamedMean(source)], [50]);
 * ```
 */
export async function streamedMean(
  source: PointSource,
  options: StreamOptions & EvaluateOptions = {},
): Promise<Float64Array> {
  checkOptionNames("compute the mean of streamed data", options, STREAMED_MEAN_OPTIONS);
  const { count, dimension } = source;
  const { range: [lo, hi] = [-1, 1] } = source;
  const sum = new Float64Array(dimension);
  const most = chunkRows(source, optionsFor(STREAM_OPTIONS, options));
  const buffer = chunkBuffer(source, most);
  for (let first = 0; first < count; first += most) {
    options.signal?.throwIfAborted();
    const data = await readChunk(source, buffer, first, most, options.signal);
    for (let at = 0; at < data.length;) {
      for (let c = 0; c < dimension; c++) sum[c] += data[at++];
    }
  }
  return source.bytes
    ? sum.map((v) => v / count * ((hi - lo) / 255) + lo)
    : sum.map((v) => v / count);
}

/** Rows that are read at a time to see how large they are: a few will do as a rule. */
const SIZED_ROWS = 256;

/**
 * The root mean square per number, about zero, of the largest of streamed rows.
 *
 * @param source The rows.
 * @param enough Where to stop: the first row of at least this size will do. Default: all are read.
 * @param signal Cancels the reading.
 */
export async function streamedRms(
  source: PointSource,
  enough: number = Infinity,
  signal?: AbortSignal,
): Promise<number> {
  const { dimension, range } = source;
  const buffer = chunkBuffer(source, SIZED_ROWS);
  let largest = 0;
  for (let first = 0; first < source.count && largest < enough; first += SIZED_ROWS) {
    const data = await readChunk(source, buffer, first, SIZED_ROWS, signal);
    largest = Math.max(largest, largestRms({ data, dimension, range }, enough));
  }
  return largest;
}

function chunkBuffer({ dimension, bytes }: PointSource, rows: number): Uint8Array | Float32Array {
  return bytes ? new Uint8Array(rows * dimension) : new Float32Array(rows * dimension);
}

async function readChunk(
  source: PointSource,
  buffer: Uint8Array | Float32Array,
  first: number,
  most: number,
  signal?: AbortSignal,
): Promise<Uint8Array | Float32Array> {
  const rows = Math.min(most, source.count - first);
  const data = buffer.subarray(0, rows * source.dimension);
  await source.read(first, rows, data, signal);
  return data;
}

class StreamedStore extends Store<StateNumbers> {
  override readonly rounding: StoreRounding;
  readonly #source: PointSource;
  readonly #device: Device;
  readonly #chunkRows: number;
  readonly #rows: StreamedRows;
  #chunks: ChunkStores | undefined;

  constructor(source: PointSource, device: Device, options: StreamOptions) {
    super(source);
    this.rounding = streamedRounding(source.dimension);
    this.#source = source;
    this.#device = device;
    this.#chunkRows = chunkRows(source, options);
    const data = chunkBuffer(source, 0), { dimension, range } = source;
    this.#rows = new StreamedRows(source, affineOf({ data, dimension, range }), this.#chunkRows);
  }

  override async posterior<X extends State>(
    x: X,
    sigma: Sigma,
    options: EvaluateOptions = {},
  ): Promise<Posterior<X>> {
    using _call = this.begin(POSTERIOR_ACTION);
    const batch = this.batch(x, options, POSTERIOR_ACTION);
    const sigmas = sigmaPerRow(sigma, batch.rows, POSTERIOR_ACTION);
    let whole: Posterior<Float64Array> | undefined;
    await this.#scan(batch, options, async (store, firstRow, x) => {
      const { mean, facts } = await store.posterior(x, sigmas, options);
      try {
        const part = {
          mean: await batchOf(mean, this.dimension, POSTERIOR_ACTION).values(),
          facts,
          firstRow,
        };
        whole = mergePosteriors(whole ? [whole, part] : [part]);
      } finally {
        batch.dispose(mean);
      }
    });
    const { mean, facts } = whole!;
    return { mean: batch.like(mean), facts };
  }

  override async nearest(x: State, k: number, options: EvaluateOptions = {}): Promise<Neighbours> {
    using _call = this.begin(NEAREST_ACTION);
    const batch = this.batch(x, options, NEAREST_ACTION);
    checkNeighbours(k, this.count);
    let whole: Neighbours | undefined;
    await this.#scan(batch, options, async (store, firstRow, x) => {
      const part = await store.nearest(x, Math.min(k, store.count), options);
      whole = mergeNeighbours(whole, part, firstRow, batch.rows, k);
    });
    return whole!;
  }

  protected override numbers(batch: Batch<unknown>): Promise<StateNumbers> {
    return batch.values();
  }

  protected override distances(
    queries: StateNumbers,
    lists: readonly Uint32Array[],
    signal?: AbortSignal,
  ): Promise<Distances> {
    return this.#rows.distances(queries, lists, signal);
  }

  protected override async means<X extends State>(
    x: X,
    weighted: readonly WeightedRows[],
    signal?: AbortSignal,
  ): Promise<X> {
    const means = await this.#rows.means(weighted, signal);
    return batchOf(x, this.dimension, POSTERIOR_ACTION).like(means);
  }

  protected override free(): void {
    this.#chunks?.dispose();
    this.#chunks = undefined;
  }

  /** Calls `use` with each chunk in order, while the next one is read and laid out on the device. */
  async #scan<X extends State>(
    batch: Batch<X>,
    { signal }: EvaluateOptions,
    use: (store: DataStore, firstRow: number, x: X) => Promise<void>,
  ): Promise<void> {
    // The caller may dispose the queries while this call waits for its turn.
    const queries = batch.copy();
    try {
      await this.inTurn(
        STREAM_ACTION,
        () => this.#walk(signal, (store, first) => use(store, first, queries)),
      );
    } finally {
      batch.dispose(queries);
    }
  }

  async #walk(
    signal: AbortSignal | undefined,
    use: (store: DataStore, firstRow: number) => Promise<void>,
  ): Promise<void> {
    signal?.throwIfAborted();
    const chunks = this.#chunks ??= new ChunkStores(this.#source, this.#device, this.#chunkRows);
    const prepare = (first: number) => {
      const chunk = chunks.layOut(first, signal);
      // It is awaited later; until then a failure must not count as unhandled.
      chunk.catch(() => {});
      return chunk;
    };
    let next: Promise<DataStore> | undefined = prepare(0);
    let done = false;
    try {
      for (let first = 0; next; first += this.#chunkRows) {
        const store: DataStore = await next;
        next = undefined;
        signal?.throwIfAborted();
        this.check(STREAM_ACTION);
        const after = first + this.#chunkRows;
        if (after < this.count) next = prepare(after);
        await use(store, first);
        chunks.release(store);
      }
      done = true;
    } finally {
      // One is under way only after another failure, which is the one to report.
      await next?.catch(() => {});
      if (!done) this.free();
    }
  }
}

/**
 * Lays chunks out on a device. Stores that the device can refill are kept for the chunks to come:
 * memory that is given up and taken anew costs more than what is done with it.
 */
class ChunkStores {
  readonly #source: PointSource;
  readonly #device: Device;
  readonly #rows: number;
  // A store copies its data, so that one buffer is enough.
  readonly #buffer: Uint8Array | Float32Array;
  readonly #all = new Set<DataStore>();
  readonly #free = new Set<DataStore>();

  constructor(source: PointSource, device: Device, rows: number) {
    this.#source = source;
    this.#device = device;
    this.#rows = rows;
    this.#buffer = chunkBuffer(source, rows);
  }

  /** Reads a chunk and lays it out; one at a time. */
  async layOut(first: number, signal: AbortSignal | undefined): Promise<DataStore> {
    const { dimension, range } = this.#source;
    const data = await readChunk(this.#source, this.#buffer, first, this.#rows, signal);
    signal?.throwIfAborted();
    const used = this.#free.values().find(({ count }) => count * dimension === data.length);
    if (used) {
      this.#free.delete(used);
      await used.refill!(data);
      return used;
    }
    const store = await this.#device.store({ data, dimension, ...(range && { range }) });
    this.#all.add(store);
    return store;
  }

  /** Gives a store back. */
  release(store: DataStore): void {
    if (store.refill) {
      this.#free.add(store);
    } else {
      store.dispose();
      this.#all.delete(store);
    }
  }

  /** Releases all stores. */
  dispose(): void {
    for (const store of this.#all) store.dispose();
  }
}

/** The `k` nearest of two lists; rows of `part` come after those of `whole`. */
function mergeNeighbours(
  whole: Neighbours | undefined,
  part: Neighbours,
  firstRow: number,
  queries: number,
  k: number,
): Neighbours {
  const size = Math.min(k, (whole?.k ?? 0) + part.k);
  const merged = {
    k: size,
    indices: new Uint32Array(queries * size),
    distances: new Float64Array(queries * size),
  };
  for (let q = 0; q < queries; q++) {
    let a = whole ? q * whole.k : 0, b = q * part.k;
    const endA = whole ? a + whole.k : 0, endB = b + part.k;
    for (let i = q * size; i < (q + 1) * size; i++) {
      const old = a < endA && (b === endB || whole!.distances[a] <= part.distances[b]);
      merged.indices[i] = old ? whole!.indices[a] : firstRow + part.indices[b];
      merged.distances[i] = old ? whole!.distances[a++] : part.distances[b++];
    }
  }
  return merged;
}
