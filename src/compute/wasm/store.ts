/**
 * Data in shared WebAssembly memory, and the posterior over them.
 *
 * @module
 */
import { HeldStore } from "../_held_store.ts";
import { batchOf } from "../batch.ts";
import type { Batch, State } from "../batch.ts";
import { chunkRows } from "../chunk_rows.ts";
import type { Mask } from "../mask.ts";
import { MASKED_ACTION } from "../masked_posterior.ts";
import type { MaskedOptions } from "../masked_posterior.ts";
import { boxOfBytes, boxOfRanges, isFromMiddle } from "../data_box.ts";
import type { DataBox } from "../data_box.ts";
import { exactNeighbours, NEAREST_ACTION } from "../neighbours.ts";
import type { Candidates, Neighbours } from "../neighbours.ts";
import type { PointSource } from "../point_source.ts";
import {
  affineOf,
  checkPoints,
  checkRefill,
  emptyFacts,
  POSTERIOR_ACTION,
  sigmaPerRow,
  storedData,
} from "../posterior.ts";
import type { Affine, EvaluateOptions, PointSet, Posterior, Sigma } from "../posterior.ts";
import { wasmRounding } from "../rounding.ts";
import type { StoreRounding } from "../rounding.ts";
import { MEASURE_ACTION } from "../subset_posterior.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";
import { TILT_BYTES, tiltedRows } from "../tilted.ts";
import type { TiltedRows, TiltedStore, TiltOptions, Tilts } from "../tilted.ts";
import { maskedMeans } from "./masked.ts";
import { WINDOW_ACTION } from "../windowed.ts";
import type { WindowJob, WindowOptions, WindowPosterior } from "../windowed.ts";
import { allocate, grow, roundUp } from "./memory.ts";
import { mergeShards } from "./merge.ts";
import type { Partials } from "./merge.ts";
import type { Argument, ThreadPool } from "./pool.ts";
import { rangesOf } from "./ranges.ts";
import type { StoredRows, StoreView } from "./store_view.ts";
import { measureRows, weightedMeans } from "./subset.ts";
import { TiltSlots } from "./tilt_slots.ts";
import { windowedPosterior } from "./windowed.ts";

/** How data are cut up. It decides the last bits of results, so it depends on nothing else. */
export interface StoreLayout {
  /** Parts of the data that are scanned separately and merged. Default 32. */
  readonly shards?: number;
  /** Rows per cache block. Default: as many as fit a quarter of a megabyte, from 8 to 64. */
  readonly blockRows?: number;
}

// Float32 rounding is 2^-24; all rows that are left out weigh less than a quarter of that together.
const LOG_LEFT_OUT = 26 * Math.LN2;
// An error of a logit, in nats, that float32 arithmetic makes as well: then one digit of a query suffices.
const ROUNDING = 5e-5;
// Added to a small number and taken away again, it rounds that to a whole number; Math.round is slower.
const ROUNDER = 1.5 * 2 ** 52;
// Queries per scan: bounds the memory of partial sums.
const MOST_QUERIES = 64;
// Bytes read at a time when data are read into memory.
const READ_BYTES = 2 ** 23;
const PAGE = 65536;
// The first page belongs to the module's own constants.
const DATA = PAGE;
// Sizes that the kernels agree on: bytes of the state and of the parameters of a query, columns converted at a time,
// numbers in a float32 sum.
const STATE = 64, PARAMETERS = 64, COLUMNS = 512, BLOCK_SUM = 256;
// The largest square that float32 holds, about.
const MOST_SQUARE = 3e38;
// Bytes are stored as signed bytes, this much lower.
const SIGNED = 128;

/** What data are stored. */
interface StoredShape extends Affine {
  readonly count: number;
  readonly dimension: number;
  readonly bytes: boolean;
}

/** Addresses of what lies behind the data during a scan. */
interface ScanMemory {
  readonly queries: number;
  readonly parameters: number;
  readonly control: number;
  readonly tilts: number;
  readonly states: number;
  readonly sums: number;
  readonly scratch: number;
  readonly scratchBytes: number;
  readonly end: number;
}

/** Data in shared WebAssembly memory. */
export class WasmStore extends HeldStore<Float32Array> {
  override readonly rounding: StoreRounding;
  readonly #pool: ThreadPool;
  readonly #bytes: boolean;
  readonly #stride: number;
  readonly #rowBytes: number;
  /** Data units per stored unit, and the value of a stored 0. */
  readonly #scale: number;
  readonly #offset: number;
  readonly #blockRows: number;
  readonly #shards: number;
  readonly #norms: number;
  /** Address of the middle of floats. */
  readonly #centre: number;
  readonly #rowsEnd: number;
  /** Where rows and kept products end: scans use what lies behind. */
  #dataEnd: number;
  readonly #slots = new TiltSlots();
  #largestNorm = 0;
  #generation = 0;
  /** The generation whose norms are known, and that whose box is. */
  #normed = -1;
  #boxed = -1;
  #box: DataBox | undefined;
  #memory: WebAssembly.Memory | undefined;

  /**
   * Copies data into shared memory.
   *
   * @param points The data.
   * @param pool The threads that will scan them.
   * @param layout How they are cut up.
   * @returns The stored data.
   * @throws {DeviceError} If they do not fit.
   */
  static async create(
    points: PointSet,
    pool: ThreadPool,
    layout: StoreLayout,
  ): Promise<WasmStore> {
    const count = checkPoints(points);
    const { dimension } = points, data = storedData(points);
    const bytes = data instanceof Uint8Array;
    const shape = { count, dimension, bytes, ...affineOf(points) };
    const store = new WasmStore(shape, pool, layout);
    store.#copy(data, 0);
    if (bytes) await store.#computeNorms();
    return store;
  }

  /**
   * Reads data into shared memory, piece by piece.
   *
   * @param source The data.
   * @param pool The threads that will scan them.
   * @param layout How they are cut up.
   * @param signal Cancels the reading.
   * @returns The stored data.
   * @throws {DeviceError} If they do not fit.
   * @throws {RangeError} If there are no rows, or a number is not finite.
   */
  static async load(
    source: PointSource,
    pool: ThreadPool,
    layout: StoreLayout,
    signal?: AbortSignal,
  ): Promise<WasmStore> {
    const { count, dimension, bytes, range } = source;
    const rows = chunkRows(source, { chunkBytes: READ_BYTES });
    const data = bytes ? new Uint8Array(rows * dimension) : new Float32Array(rows * dimension);
    const shape = { count, dimension, bytes, ...affineOf({ data, dimension, range }) };
    const store = new WasmStore(shape, pool, layout);
    for (let first = 0; first < count; first += rows) {
      signal?.throwIfAborted();
      const part = data.subarray(0, Math.min(rows, count - first) * dimension);
      await source.read(first, part.length / dimension, part, signal);
      checkPoints({ data: part, dimension, range }, first);
      store.#copy(part, first);
    }
    if (bytes) await store.#computeNorms();
    return store;
  }

  private constructor(shape: StoredShape, pool: ThreadPool, layout: StoreLayout) {
    const { count, dimension, bytes, scale, offset } = shape;
    super(shape);
    this.#pool = pool;
    this.#bytes = bytes;
    this.#scale = scale;
    this.#offset = this.#bytes ? offset + SIGNED * scale : offset;
    this.#stride = roundUp(dimension, 8);
    const rowBytes = this.#rowBytes = spread(this.#stride * (bytes ? 1 : 4));
    this.#blockRows = layout.blockRows ??
      Math.max(8, Math.min(64, Math.floor(PAGE * 4 / rowBytes)));
    this.#shards = Math.min(layout.shards ?? 32, Math.ceil(this.count / this.#blockRows));
    this.rounding = wasmRounding({
      ...{ count, dimension, bytes, scale, offset: this.#offset },
      ...{ blockRows: this.#blockRows, shards: this.#shards },
      oneDigit: (largest, g) => this.#isEnough(Math.max(largest, 2 ** -100) / 32767, g),
      box: () => this.#box,
    });
    this.#norms = roundUp(DATA + this.count * rowBytes, 64);
    this.#centre = this.#norms + roundUp((this.count + 1) * 8, 64);
    this.#rowsEnd = this.#centre + (bytes ? 0 : roundUp(this.#stride * 4, 64));
    this.#dataEnd = this.#rowsEnd;
    this.#memory = allocate(this.#dataEnd);
  }

  override async posterior<X extends State>(
    x: X,
    sigma: Sigma,
    options: EvaluateOptions = {},
  ): Promise<Posterior<X>> {
    using _call = this.begin(POSTERIOR_ACTION);
    const batch = this.batch(x, options, POSTERIOR_ACTION), { rows } = batch;
    const sigmas = sigmaPerRow(sigma, rows, POSTERIOR_ACTION);
    const values = await this.read(batch, options, POSTERIOR_ACTION);
    const mean = new Float32Array(rows * this.dimension);
    const facts = emptyFacts(rows);
    const all = Array.from({ length: rows }, (_, i) => i);
    const far = await this.inTurn(POSTERIOR_ACTION, () => this.#areFar(values, sigmas));
    for (const products of [false, true]) {
      const alike = all.filter((row) => far[row] === products);
      for (let first = 0; first < alike.length; first += MOST_QUERIES) {
        const part = alike.slice(first, first + MOST_QUERIES);
        await this.inTurn(
          POSTERIOR_ACTION,
          () => this.#scan(values, sigmas, part, { mean, facts, products }, options.signal),
        );
      }
    }
    return { mean: batch.like(mean), facts };
  }

  readonly tilted: TiltedStore = {
    capacity: (draws) => Math.floor(TILT_BYTES / this.#slotBytes(draws)),
    mean: (x, sigma, options) => this.#tiltedMean(x, sigma, options),
  };

  async #tiltedMean<X extends State>(x: X, sigma: Sigma, options: TiltOptions): Promise<X> {
    using _call = this.begin(POSTERIOR_ACTION);
    const batch = batchOf(x, this.dimension, POSTERIOR_ACTION), { rows } = batch;
    const tilt = { ...tiltedRows(sigma, rows, options), tilts: options.tilts };
    const values = await this.read(batch, options, POSTERIOR_ACTION);
    const draws = tilt.tilts.count;
    const most = Math.max(4, Math.floor(MOST_QUERIES / draws));
    const mean = new Float32Array(values.length);
    // One turn for all: another call could take the places of the products.
    await this.inTurn(POSTERIOR_ACTION, async () => {
      await this.#keepProducts(tilt.tilts, tilt.samples, options.signal);
      for (let first = 0; first < rows; first += most) {
        const part = Array.from({ length: Math.min(most, rows - first) }, (_, k) => first + k);
        const all = draws * part.length;
        const moved = new Float32Array(all * this.dimension);
        const out = { mean: moved, facts: emptyFacts(all), products: true };
        await this.#scan(values, tilt.sigmas, part, out, options.signal, tilt);
        for (let v = 0, at = 0; v < all; v++) {
          const to = part[v % part.length] * this.dimension;
          for (let c = to; c < to + this.dimension; c++, at++) mean[c] += out.mean[at] / draws;
        }
      }
    });
    return batch.like(mean);
  }

  override async nearest(x: State, k: number, options: EvaluateOptions = {}): Promise<Neighbours> {
    using _call = this.begin(NEAREST_ACTION);
    const batch = this.batch(x, options, NEAREST_ACTION);
    const values = await this.read(batch, options, NEAREST_ACTION);
    const query = (row: number) =>
      values.subarray(row * this.dimension, (row + 1) * this.dimension);
    return await exactNeighbours(
      {
        count: this.count,
        scan: (first, batch, size) =>
          this.inTurn(
            NEAREST_ACTION,
            () => this.#search(query, first, batch, size, options.signal),
          ),
        measure: (first, found) =>
          this.inTurn(NEAREST_ACTION, () => this.#measure(query, first, found, options.signal)),
      },
      batch.rows,
      k,
      MOST_QUERIES,
    );
  }

  protected override numbers(batch: Batch<unknown>): Promise<Float32Array> {
    return batch.float32();
  }

  protected override distances(
    queries: Float32Array,
    lists: readonly Uint32Array[],
    signal?: AbortSignal,
  ): Promise<Distances> {
    return this.#exclusively(MEASURE_ACTION, (view) => measureRows(view, queries, lists, signal));
  }

  protected override async means<X extends State>(
    x: X,
    weighted: readonly WeightedRows[],
    signal?: AbortSignal,
  ): Promise<X> {
    const means = await this.#exclusively(
      POSTERIOR_ACTION,
      (view) => weightedMeans(view, weighted, signal),
    );
    return batchOf(x, this.dimension, POSTERIOR_ACTION).like(means);
  }

  protected override maskedMeans(
    queries: Float32Array,
    sigma: number,
    mask: Mask,
    options: MaskedOptions,
  ): Promise<Float32Array> {
    return this.#exclusively(
      MASKED_ACTION,
      (view) => maskedMeans(view, queries, sigma, mask, options),
    );
  }

  protected override perPixel(
    queries: Float32Array,
    job: WindowJob,
    options: WindowOptions,
  ): Promise<WindowPosterior<Float32Array>> {
    return this.#exclusively(
      WINDOW_ACTION,
      (view) => windowedPosterior(view, queries, job, options),
    );
  }

  async refill(data: Uint8Array | Float32Array): Promise<void> {
    checkRefill(data, { count: this.count, dimension: this.dimension, bytes: this.#bytes });
    this.checkNoCalls();
    await this.inTurn("replace the data", async () => {
      this.#generation++;
      this.#slots.clear();
      this.#copy(data, 0);
      if (this.#bytes) await this.#computeNorms();
    });
  }

  protected override free(): void {
    this.#memory = undefined;
  }

  /** Lets a kernel of another file work on the rows, when no other work is under way. */
  #exclusively<T>(action: string, work: (view: StoreView) => Promise<T>): Promise<T> {
    return this.inTurn(action, async () => await work(await this.#view(this.#memory!)));
  }

  async #view(memory: WebAssembly.Memory): Promise<StoreView> {
    return {
      ...this.#rows(memory),
      box: await this.#knownBox(memory),
      centre: this.#centre,
    };
  }

  #rows(memory: WebAssembly.Memory): StoredRows {
    return {
      memory,
      pool: this.#pool,
      count: this.count,
      dimension: this.dimension,
      data: DATA,
      rowBytes: this.#rowBytes,
      bytes: this.#bytes,
      scale: this.#scale,
      offset: this.#offset,
      free: roundUp(this.#dataEnd, 64),
      generation: this.#generation,
    };
  }

  /** Copies rows to their places. */
  #copy(data: Uint8Array | Float32Array, firstRow: number): void {
    const { dimension } = this;
    const count = data.length / dimension;
    const target = this.#stored(firstRow, count);
    const pitch = this.#rowBytes / data.BYTES_PER_ELEMENT;
    if (data instanceof Uint8Array && dimension % 4 === 0 && data.byteOffset % 4 === 0) {
      // Four bytes at a time: v − 128 is v with its highest bit flipped.
      const from = new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
      const to = new Uint32Array(target.buffer, target.byteOffset, target.length / 4);
      const words = dimension / 4;
      for (let i = 0, at = 0; i < count; i++) {
        for (let w = i * pitch / 4, end = w + words; w < end; w++) to[w] = from[at++] ^ 0x80808080;
      }
      return;
    }
    for (let i = 0, from = 0; i < count; i++, from += dimension) {
      if (data instanceof Float32Array) {
        target.set(data.subarray(from, from + dimension), i * pitch);
      } else {
        // Padding must be 0 as a signed byte, which is what a new memory holds.
        for (let c = 0, to = i * pitch; c < dimension; c++) {
          target[to + c] = data[from + c] - SIGNED;
        }
      }
    }
  }

  /** The rows as they are stored. */
  #stored(firstRow: number, count: number): Int8Array | Float32Array {
    const { buffer } = this.#memory!;
    const from = DATA + firstRow * this.#rowBytes, bytes = count * this.#rowBytes;
    return this.#bytes
      ? new Int8Array(buffer, from, bytes)
      : new Float32Array(buffer, from, bytes / 4);
  }

  /** Whether the distances of each query come from products, see `posterior.as`; for bytes they always do. */
  async #areFar(values: Float32Array, sigmas: Float64Array): Promise<boolean[]> {
    if (this.#bytes) return new Array(sigmas.length).fill(false);
    const box = await this.#knownBox(this.#memory!);
    const far = Array.from(sigmas, (sigma, row) => {
      const from = row * this.dimension;
      return isFromMiddle(values.subarray(from, from + this.dimension), sigma, box);
    });
    if (far.includes(true) && this.#normed !== this.#generation) await this.#computeNorms();
    return far;
  }

  /** The box of the rows; that of floats is found once, bytes are taken to fill their range. */
  async #knownBox(memory: WebAssembly.Memory): Promise<DataBox> {
    if (this.#bytes) return this.#box ??= boxOfBytes(this.dimension, -SIGNED);
    if (this.#box && this.#boxed === this.#generation) return this.#box;
    const { least, most } = await rangesOf(this.#rows(memory));
    this.#box = boxOfRanges(least, most);
    new Float32Array(memory.buffer, this.#centre, this.#stride).fill(0).set(this.#box.centre);
    this.#boxed = this.#generation;
    return this.#box;
  }

  async #computeNorms(): Promise<void> {
    const memory = this.#memory!;
    grow(memory, this.#dataEnd + 8);
    await this.#pool.run({
      module: "posterior",
      kernel: "squaredNorms",
      memory,
      rows: this.count,
      shards: this.#shards,
      control: this.#dataEnd,
      arguments: [
        { base: this.#bytes ? 1 : 0 },
        { base: DATA, row: this.#rowBytes },
        { rows: 1 },
        { base: this.#rowBytes },
        { base: this.#stride },
        { base: this.#norms, row: 8 },
        { base: this.#centre },
      ],
    });
    this.#normed = this.#generation;
    const norms = new Float64Array(memory.buffer, this.#norms, this.count);
    this.#largestNorm = Math.sqrt(norms.reduce((a, b) => Math.max(a, b), 0));
  }

  #layOut(batch: number, draws = 1): ScanMemory {
    const stride = this.#stride, rows = this.#blockRows;
    const queries = this.#dataEnd;
    const parameters = queries + roundUp(batch * stride * (this.#bytes ? 4 : 8), 64);
    const control = parameters + batch * PARAMETERS;
    const tilts = control + 64;
    const states = tilts + roundUp(batch * 4, 64);
    const sums = states + this.#shards * draws * batch * STATE;
    const scratch = roundUp(sums + this.#shards * draws * batch * stride * 4, 64);
    // What scan() lays out in it.
    const places = roundUp(rows, 4);
    const scratchBytes = roundUp(
      64 + 80 * places + Math.ceil(batch / 4) * draws * (64 + 28 * places) + places + 16 +
        COLUMNS * places * 4,
      64,
    );
    const end = scratch + this.#pool.threads * scratchBytes;
    return { queries, parameters, control, tilts, states, sums, scratch, scratchBytes, end };
  }

  /** Runs a kernel over all rows for queries that were written. */
  async #run(
    kernel: "scan" | "tilt" | "nearest",
    { queries, parameters, control }: Pick<ScanMemory, "queries" | "parameters" | "control">,
    batch: number,
    rest: readonly Argument[],
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#pool.run({
      module: "posterior",
      kernel,
      memory: this.#memory!,
      rows: this.count,
      shards: this.#shards,
      control,
      arguments: [...this.#dataArguments(queries, batch, parameters), ...rest],
    }, signal);
  }

  async #scan(
    values: Float32Array,
    sigmas: Float64Array,
    rows: readonly number[],
    out: Posterior<Float32Array> & { readonly products: boolean },
    signal?: AbortSignal,
    tilt?: TiltedRows & { readonly tilts: Tilts },
  ): Promise<void> {
    const memory = this.#memory!;
    const batch = rows.length, draws = tilt?.tilts.count ?? 1, all = draws * batch;
    const at = this.#layOut(batch, draws);
    grow(memory, at.end);
    for (let k = 0; k < batch; k++) {
      const row = rows[k], from = row * this.dimension;
      const query = values.subarray(from, from + this.dimension);
      this.#writeQuery(memory, at, batch, k, query, this.#logitScale(sigmas[row]));
      const parameters = new Float64Array(memory.buffer, at.parameters + k * PARAMETERS, 8);
      if (!this.#bytes && out.products && !(parameters[2] < MOST_SQUARE)) throw tooFar(row);
      if (!tilt) {
        // Only tilted distances are measured again.
        if (!this.#bytes) parameters[5] = 0;
        continue;
      }
      const { strengths, samples } = tilt;
      parameters[7] = 2 * strengths[row] / this.#scale;
      new Uint32Array(memory.buffer, at.tilts, batch)[k] = this.#slotOf(samples[row], draws);
    }
    const stride = this.#stride;
    await this.#run("scan", at, batch, [
      { base: at.states, shard: all * STATE },
      { base: at.sums, shard: all * stride * 4 },
      { base: at.scratch, thread: at.scratchBytes },
      { base: at.control + 4 },
      { base: draws },
      { base: tilt ? at.tilts : 0 },
      { base: this.count * 4 },
      { base: !this.#bytes && out.products ? 1 : 0 },
      { base: this.#centre },
    ], signal);
    const partials = {
      states: new Float64Array(memory.buffer, at.states, this.#shards * all * 8),
      sums: new Float32Array(memory.buffer, at.sums, this.#shards * all * stride),
      shards: this.#shards,
      batch: all,
      stride,
    };
    for (let v = 0; v < all; v++) {
      const row = rows[v % batch];
      this.#write(partials, v, this.#logitScale(sigmas[row]), out, tilt ? v : row);
    }
  }

  /** Bytes of the products of one sample; the last row may be read as a pair. */
  #slotBytes(draws: number): number {
    return roundUp(draws * this.count * 4 + 4, 64);
  }

  #slotOf(sample: number, draws: number): number {
    return roundUp(this.#rowsEnd, 64) + this.#slots.of(sample) * this.#slotBytes(draws);
  }

  /** Computes the products of the vectors of samples with all rows, where they are not kept from an earlier call. */
  async #keepProducts(
    tilts: Tilts,
    samples: ArrayLike<number>,
    signal?: AbortSignal,
  ): Promise<void> {
    // Other scans of floats do without norms.
    if (this.#normed !== this.#generation) {
      if (!this.#bytes) await this.#knownBox(this.#memory!);
      await this.#computeNorms();
    }
    const missing = this.#slots.assign(tilts, samples);
    const { count: draws } = tilts;
    this.#dataEnd = roundUp(this.#rowsEnd, 64) + this.#slots.size * this.#slotBytes(draws);
    const most = Math.max(1, Math.floor(MOST_QUERIES / draws));
    try {
      for (let first = 0; first < missing.length; first += most) {
        await this.#computeProducts(tilts, missing.slice(first, first + most), signal);
      }
    } catch (error) {
      // Some places hold nothing yet.
      this.#slots.clear();
      throw error;
    }
  }

  async #computeProducts(
    tilts: Tilts,
    samples: readonly number[],
    signal?: AbortSignal,
  ): Promise<void> {
    const memory = this.#memory!;
    const { count: draws } = tilts, batch = draws * samples.length;
    const { queries, parameters, control, tilts: outs, states: scratch } = this.#layOut(batch);
    const scratchBytes = 64 * roundUp(this.#blockRows, 4);
    grow(memory, scratch + this.#pool.threads * scratchBytes);
    samples.forEach((sample, s) => {
      const vectors = tilts.of(sample);
      // What follows the last product may be read as its partner.
      new Float32Array(memory.buffer, this.#slotOf(sample, draws) + draws * this.count * 4, 1)[0] =
        0;
      for (let m = 0; m < draws; m++) {
        const k = s * draws + m;
        // A vector is no point: what stands for it is a query as far from the origin.
        const query = vectors.subarray(m * this.dimension, (m + 1) * this.dimension).map((v) =>
          v * this.#scale + this.#offset
        );
        this.#writeQuery(memory, { queries, parameters }, batch, k, query, Infinity, true);
        new Uint32Array(memory.buffer, outs, batch)[k] = this.#slotOf(sample, draws) +
          m * this.count * 4;
      }
    });
    await this.#run("tilt", { queries, parameters, control }, batch, [
      { base: outs },
      { base: scratch, thread: scratchBytes },
      { base: control + 4 },
      { base: this.#centre },
    ], signal);
  }

  async #search(
    query: (row: number) => Float32Array,
    first: number,
    batch: number,
    size: number,
    signal?: AbortSignal,
  ): Promise<Candidates[]> {
    const memory = this.#memory!;
    const { threads } = this.#pool;
    const { queries, parameters, control, states: heaps } = this.#layOut(batch);
    const scratch = heaps + threads * batch * size * 16;
    const scratchBytes = 64 + 32 * (this.#blockRows + 3);
    grow(memory, scratch + threads * scratchBytes);
    for (let k = 0; k < batch; k++) {
      this.#writeQuery(memory, { queries, parameters }, batch, k, query(first + k), Infinity);
    }
    const pairs = new Float64Array(memory.buffer, heaps, threads * batch * size * 2).fill(Infinity);
    await this.#run("nearest", { queries, parameters, control }, batch, [
      { base: size },
      { base: heaps, thread: batch * size * 16 },
      { base: scratch, thread: scratchBytes },
      { base: control + 4 },
    ], signal);
    return Array.from({ length: batch }, (_, k) => {
      const found: { square: number; index: number }[] = [];
      for (let thread = 0; thread < threads; thread++) {
        const from = (thread * batch + k) * size * 2;
        for (let i = from; i < from + 2 * size; i += 2) {
          if (pairs[i] < Infinity) found.push({ square: pairs[i], index: pairs[i + 1] });
        }
      }
      found.sort((a, b) => a.square - b.square || a.index - b.index);
      const best = found.slice(0, size);
      const digit = new Float64Array(memory.buffer, parameters + k * PARAMETERS, 8)[4];
      return {
        indices: best.map(({ index }) => index),
        squares: best.map(({ square }) => square),
        error: this.#bytes
          // What is left after two digits.
          ? digit * Math.sqrt(this.dimension) * this.#largestNorm
          // Float32 sums of 256 numbers in 4 lanes, each term rounded three times.
          : 70 * 2 ** -24 * (best.at(-1)?.square ?? 0),
      };
    });
  }

  /** Squared distances of queries to their candidates, by direct differences in float64. */
  async #measure(
    query: (row: number) => Float32Array,
    first: number,
    found: readonly Candidates[],
    signal?: AbortSignal,
  ): Promise<Float64Array[]> {
    const memory = this.#memory!;
    const batch = found.length, stride = this.#stride;
    const size = Math.max(...found.map(({ indices }) => indices.length));
    const queries = this.#dataEnd;
    const squares = queries + batch * stride * 8;
    const rows = squares + batch * size * 8;
    const control = roundUp(rows + batch * size * 4, 8);
    grow(memory, control + 8);
    found.forEach(({ indices }, k) => {
      const stored = new Float64Array(memory.buffer, queries + k * stride * 8, stride).fill(0);
      query(first + k).forEach((v, c) => stored[c] = (v - this.#offset) / this.#scale);
      // A shorter list is filled up with the first row, whose measure is not looked at.
      new Uint32Array(memory.buffer, rows + k * size * 4, size).fill(0).set(indices);
    });
    await this.#pool.run({
      module: "posterior",
      kernel: "measure",
      memory,
      rows: batch,
      shards: batch,
      control,
      arguments: [
        { base: this.#bytes ? 1 : 0 },
        { base: DATA },
        { base: this.#rowBytes },
        { base: stride },
        { base: queries, row: stride * 8 },
        { base: rows, row: size * 4 },
        { base: size },
        { base: squares, row: size * 8 },
      ],
    }, signal);
    return found.map((_, k) =>
      new Float64Array(memory.buffer, squares + k * size * 8, size).map((d) => d * this.#scale ** 2)
    );
  }

  /** The arguments that both kernels begin with. */
  #dataArguments(queries: number, batch: number, parameters: number): Argument[] {
    return [
      { base: this.#bytes ? 1 : 0 },
      { base: DATA, row: this.#rowBytes },
      { rows: 1 },
      { row: 1 },
      { base: this.#blockRows },
      { base: this.#rowBytes },
      { base: this.#stride },
      { base: this.#norms, row: 8 },
      { base: queries },
      { base: batch },
      { base: parameters },
    ];
  }

  /** Writes a query in stored units, as floats or as two digits, and its parameters. */
  #writeQuery(
    memory: WebAssembly.Memory,
    at: Pick<ScanMemory, "queries" | "parameters">,
    batch: number,
    k: number,
    query: Float32Array | Float64Array,
    g: number,
    isVector = false,
  ): void {
    const stride = this.#stride;
    const parameters = new Float64Array(memory.buffer, at.parameters + k * PARAMETERS, 8).fill(0);
    parameters[0] = g;
    parameters[1] = LOG_LEFT_OUT + Math.log(this.count);
    if (!this.#bytes) {
      const { length } = query;
      const floats = new Float32Array(memory.buffer, at.queries + k * stride * 4, stride);
      const from = at.queries + (batch + k) * stride * 4;
      const centred = new Float32Array(memory.buffer, from, stride);
      const centre = new Float32Array(memory.buffer, this.#centre, stride);
      let square = 0;
      for (let c = 0; c < length; c++) {
        floats[c] = query[c];
        const u = centred[c] = isVector ? query[c] : query[c] - centre[c];
        square += u * u;
      }
      floats.fill(0, length);
      centred.fill(0, length);
      // Only scans by products look at these.
      const d = Math.min(stride, BLOCK_SUM),
        rounding = 2 ** -23 * Math.sqrt(square) * this.#largestNorm;
      const enough = g * rounding * (1 + Math.sqrt(d / 4 / stride)) <= ROUNDING;
      parameters[2] = square;
      parameters[3] = 1;
      parameters[5] = enough ? 0 : rounding * (16 + d / 4);
      return;
    }
    const high = new Int16Array(memory.buffer, at.queries + k * stride * 2, stride).fill(0);
    const low = new Int16Array(memory.buffer, at.queries + (batch + k) * stride * 2, stride).fill(
      0,
    );
    const stored = new Float64Array(query.length);
    let largest = 0, square = 0;
    for (let c = 0; c < query.length; c++) {
      const q = stored[c] = (query[c] - this.#offset) / this.#scale;
      if (Math.abs(q) > largest) largest = Math.abs(q);
      square += q * q;
    }
    const s1 = Math.max(largest, 2 ** -100) / 32767, s2 = s1 / 65534;
    for (let c = 0; c < query.length; c++) {
      const digit = high[c] = stored[c] / s1 + ROUNDER - ROUNDER;
      low[c] = (stored[c] - s1 * digit) / s2 + ROUNDER - ROUNDER;
    }
    const enough = this.#isEnough(s1, g);
    parameters[2] = square;
    parameters[3] = s1;
    parameters[4] = enough ? 0 : s2;
    parameters[6] = Math.sqrt(this.count) / 16;
    parameters[5] = enough ? 0 : s1 * Math.sqrt(this.dimension) * this.#largestNorm;
  }

  /** Whether the first digit of a query, in units of `s1`, will do: it is off by `s1/√12` in the root mean square. */
  #isEnough(s1: number, g: number): boolean {
    return g * s1 / Math.sqrt(3) * this.#largestNorm <= ROUNDING;
  }

  /** Nats per squared distance in stored units. */
  #logitScale(sigma: number): number {
    return this.#scale ** 2 / (2 * sigma * sigma);
  }

  /** Writes the posterior of one query, in data units. */
  #write(
    partials: Partials,
    k: number,
    g: number,
    { mean, facts }: Posterior<Float32Array>,
    row: number,
  ): void {
    const { least, second, index, z, z2, a, mean: stored } = mergeShards(partials, k, g);
    if (!(least < Infinity)) throw tooFar(row);
    const from = row * this.dimension;
    const centre = this.#bytes ? undefined : this.#box?.centre;
    for (let c = 0; c < this.dimension; c++) {
      mean[from + c] = (stored[c] + (centre?.[c] ?? 0)) * this.#scale + this.#offset;
    }
    // A distance of two equal points may come out as a tiny negative number.
    const top = -Math.max(0, least) * g;
    facts.topLogit[row] = top;
    facts.logNormaliser[row] = top + Math.log(z);
    facts.logitGap[row] = (second - least) * g;
    facts.topIndex[row] = index;
    facts.effectiveSampleSize[row] = z * z / z2;
    facts.entropy[row] = Math.log(z) - a / z;
  }
}

function tooFar(row: number): RangeError {
  return new RangeError(
    `Cannot compute the posterior mean: query ${row} is too far from the data for float32, wanted squared distances below 3e38`,
  );
}

/**
 * The pitch of rows in memory. Rows that are a multiple of two cache lines apart would crowd into a
 * few sets of the cache when a column is read.
 */
function spread(rowBytes: number): number {
  return rowBytes % 128 === 0 ? rowBytes + 64 : rowBytes;
}
