/**
 * Data on a GPU device and their posterior: the thin caller of the kernels in `posterior_wgsl.ts`.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { DeviceError } from "../../base/errors.ts";
import type { AnyTensor } from "../../states/linear_space.ts";
import { HeldStore } from "../_held_store.ts";
import { batchOf } from "../batch.ts";
import type { Batch, State } from "../batch.ts";
import type { Mask } from "../mask.ts";
import { MASKED_ACTION } from "../masked_posterior.ts";
import type { MaskedOptions } from "../masked_posterior.ts";
import { NearestHeap } from "../nearest_heap.ts";
import {
  checkNeighbours,
  exactNeighbours,
  NEAREST_ACTION,
  squaredDistance,
} from "../neighbours.ts";
import type { Candidates, Neighbours } from "../neighbours.ts";
import { affineOf, checkPoints, POSTERIOR_ACTION, sigmaPerRow, storedData } from "../posterior.ts";
import type {
  Affine,
  EvaluateOptions,
  PointSet,
  Posterior,
  PosteriorFacts,
  Sigma,
} from "../posterior.ts";
import { boxOf, FAR, spreadOf, squareFrom } from "../data_box.ts";
import type { DataBox } from "../data_box.ts";
import { planPosterior, type PosteriorPlan } from "../posterior_plan.ts";
import { NO_DISTANCE } from "./posterior_wgsl.ts";
import { gpuRounding } from "../rounding.ts";
import type { StoreRounding } from "../rounding.ts";
import type { Gpu } from "./context.ts";
import { concatenateFacts, mergePartials } from "./partials.ts";
import { type Job, PosteriorScratch } from "./scratch.ts";
import { MEASURE_ACTION } from "../subset_posterior.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";
import { maskedMeans } from "./masked.ts";
import { type GpuRows, measureRows, weightedMeans } from "./subset.ts";
import { freeMiddle, uploadChunks, uploadMiddle, uploadRows } from "./upload.ts";
import type { Middle } from "./upload.ts";
import { windowedPosterior } from "./windowed.ts";
import { WINDOW_ACTION } from "../windowed.ts";
import type { WindowJob, WindowOptions, WindowPosterior } from "../windowed.ts";

/** Bytes of rows that are read back at a time. */
const READ_BYTES = 2 ** 25;

/** A squared distance that the kernel which looks for far queries can tell, stored units. */
const MOST_FAR = 1e29;

/** Sizes that tests make small. */
export interface StoreSizes {
  /** Bytes per chunk. Default 4 MiB. */
  readonly chunkBytes?: number;
  /** Bytes per GPU buffer. Default: as many as the device allows. */
  readonly shardBytes?: number;
  /** Bytes of rows that a kernel for listed rows sees at once. Default: as many as the device allows. */
  readonly bindingBytes?: number;
}

/**
 * How much to submit at once: so little that a signal is heard and no driver
 * takes the GPU for hung, so much that waiting does not count.
 */
class Pace {
  readonly #gpu: Gpu;
  /** Multiplications per submission; the first is a fraction of a second on a software driver. */
  #work = 2 ** 29;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Chunks to submit, each of so many multiplications. */
  chunks(work: number): number {
    return Math.max(1, Math.floor(this.#work / work));
  }

  /** Waits for what was submitted. */
  async wait(): Promise<void> {
    const start = performance.now();
    await this.#gpu.wait(this.#gpu.device.queue.onSubmittedWorkDone());
    const elapsed = performance.now() - start;
    if (elapsed < 60) this.#work *= 2;
    if (elapsed > 400) this.#work /= 2;
  }
}

/** Data on a GPU device. */
export class GpuStore extends HeldStore<Float32Array> {
  override readonly rounding: StoreRounding;
  readonly #gpu: Gpu;
  readonly #plan: PosteriorPlan;
  readonly #bindingBytes: number;
  readonly #affine: Affine;
  readonly #box: DataBox;
  readonly #middle: Middle;
  readonly #pace: Pace;
  readonly #shards: GPUBuffer[];
  readonly #chunks: GPUBuffer;
  readonly #scratch = new Map<1 | 4, PosteriorScratch>();

  private constructor(
    gpu: Gpu,
    points: PointSet,
    plan: PosteriorPlan,
    box: DataBox,
    middle: Middle,
    shards: GPUBuffer[],
    chunks: GPUBuffer,
    bindingBytes: number,
  ) {
    super({ count: points.data.length / points.dimension, dimension: points.dimension });
    this.#gpu = gpu;
    this.#plan = plan;
    this.#bindingBytes = bindingBytes;
    this.#affine = affineOf(points);
    this.#box = box;
    this.#middle = middle;
    this.#pace = new Pace(gpu);
    this.#shards = shards;
    this.#chunks = chunks;
    this.rounding = gpuRounding({
      ...{ plan, count: this.count, dimension: this.dimension, box },
      ...this.#affine,
      segments: Math.ceil(this.count / Math.max(1, Math.floor(bindingBytes / plan.rowBytes))) +
        shards.length,
    });
  }

  /**
   * Copies data to a GPU device.
   *
   * @param gpu The device.
   * @param points The data.
   * @param sizes Sizes of chunks and shards.
   * @returns The store.
   * @throws {TypeError} If the data are no whole number of rows.
   * @throws {RangeError} If a number is not finite.
   * @throws {DeviceError} If the device cannot hold them.
   */
  static async create(
    gpu: Gpu,
    points: PointSet,
    sizes: StoreSizes,
  ): Promise<GpuStore> {
    gpu.check();
    const count = checkPoints(points), data = storedData(points);
    const {
      maxBufferSize,
      maxStorageBufferBindingSize,
      maxComputeWorkgroupsPerDimension,
    } = gpu.device.limits;
    const bytes = data instanceof Uint8Array;
    const plan = planPosterior(points.dimension, bytes, {
      maxBufferSize,
      maxStorageBufferBindingSize,
      maxComputeWorkgroupsPerDimension,
      ...sizes,
    });
    if (!plan) {
      throw new DeviceError(
        `Cannot store the data: rows hold ${points.dimension} numbers, wanted rows that fit a binding of ${maxStorageBufferBindingSize} bytes`,
      );
    }
    const box = boxOf(data, points.dimension);
    const shards = await uploadRows(gpu, { ...points, data }, plan);
    try {
      const middle = await uploadMiddle(gpu, plan, box, affineOf(points));
      const chunks = await uploadChunks(gpu, plan, count).catch((error) => {
        freeMiddle(gpu, middle);
        throw error;
      });
      const { bindingBytes = maxStorageBufferBindingSize } = sizes;
      return new GpuStore(gpu, points, plan, box, middle, shards, chunks, bindingBytes);
    } catch (error) {
      gpu.free(...shards);
      throw error;
    }
  }

  override async posterior<X extends State>(
    x: X,
    sigma: Sigma,
    options: EvaluateOptions = {},
  ): Promise<Posterior<X>> {
    using _call = this.begin(POSTERIOR_ACTION);
    const { rows } = this.batch(x, options, POSTERIOR_ACTION), { signal } = options;
    const sigmas = sigmaPerRow(sigma, rows, POSTERIOR_ACTION);
    signal?.throwIfAborted();
    const taken = this.#take(x), shape = this.#shapeOf(x);
    // It is awaited later; until then a failure must not count as unhandled.
    taken.catch(() => {});
    try {
      const { mean, facts } = await this.inTurn(
        POSTERIOR_ACTION,
        async () => await this.#evaluate((await taken).buffer, shape, sigmas, signal),
      );
      return { mean: await this.#like(x, mean), facts };
    } finally {
      await taken.then(({ release }) => release(), () => {});
    }
  }

  override async nearest(x: State, k: number, options: EvaluateOptions = {}): Promise<Neighbours> {
    using _call = this.begin(NEAREST_ACTION);
    const batch = this.batch(x, options, NEAREST_ACTION), { signal } = options;
    checkNeighbours(k, this.count);
    const values = await this.read(batch, options, NEAREST_ACTION);
    const query = (row: number) =>
      values.subarray(row * this.dimension, (row + 1) * this.dimension);
    return await this.inTurn(NEAREST_ACTION, async () => {
      const { buffer, release } = await this.#take(values);
      try {
        return await exactNeighbours(
          {
            count: this.count,
            scan: (first, batch, size) => this.#search(buffer, query, first, batch, size, signal),
            measure: async (first, found) => {
              const rows = [...new Set(found.flatMap(({ indices }) => indices))];
              const measure = await this.#readRows(rows);
              return found.map(({ indices }, i) =>
                indices.map((index) => measure(query(first + i), index))
              );
            },
          },
          batch.rows,
          k,
          this.#plan.block,
        );
      } finally {
        release();
      }
    });
  }

  protected override numbers(batch: Batch<unknown>): Promise<Float32Array> {
    return this.#gpu.wait(batch.float32());
  }

  protected override distances(
    queries: Float32Array,
    lists: readonly Uint32Array[],
    signal?: AbortSignal,
  ): Promise<Distances> {
    return this.inTurn(MEASURE_ACTION, () => measureRows(this.#rows, queries, lists, signal));
  }

  protected override async means<X extends State>(
    x: X,
    weighted: readonly WeightedRows[],
    signal?: AbortSignal,
  ): Promise<X> {
    const mean = await this.inTurn(POSTERIOR_ACTION, async () => {
      const buffer = await weightedMeans(this.#rows, weighted, signal);
      try {
        const shape = this.#shapeOf(x);
        return this.#gpu.backend.createTensorFromGPUData({ buffer }, shape, "float32");
      } finally {
        this.#gpu.free(buffer);
      }
    });
    return await this.#like(x, mean);
  }

  protected override maskedMeans(
    queries: Float32Array,
    sigma: number,
    mask: Mask,
    options: MaskedOptions,
  ): Promise<Float32Array> {
    return this.inTurn(
      MASKED_ACTION,
      () => maskedMeans(this.#rows, queries, sigma, mask, options),
    );
  }

  protected override perPixel(
    queries: Float32Array,
    job: WindowJob,
    options: WindowOptions,
  ): Promise<WindowPosterior<Float32Array>> {
    return this.inTurn(
      WINDOW_ACTION,
      () => windowedPosterior(this.#rows, queries, job, options),
    );
  }

  #shapeOf(x: State): number[] {
    return x instanceof tf.Tensor ? x.shape : [x.length / this.dimension, this.dimension];
  }

  /** A tensor as a state of the kind of `x`. It belongs to the result from now on. */
  async #like<X extends State>(x: X, tensor: AnyTensor): Promise<X> {
    if (x instanceof tf.Tensor) return tensor as State as X;
    try {
      const values = await this.#gpu.wait(tensor.data<"float32">());
      return batchOf(x, this.dimension, POSTERIOR_ACTION).like(values);
    } finally {
      tensor.dispose();
    }
  }

  /** What kernels in other files need to know. */
  get #rows(): GpuRows {
    return {
      gpu: this.#gpu,
      plan: this.#plan,
      affine: this.#affine,
      box: this.#box,
      anchor: this.#middle.anchor,
      shards: this.#shards,
      count: this.count,
      dimension: this.dimension,
      bindingBytes: this.#bindingBytes,
      pace: this.#pace,
      submit: (signal, record) => this.#submit(signal, record),
    };
  }

  protected override free(): void {
    for (const scratch of this.#scratch.values()) scratch.free();
    this.#scratch.clear();
    freeMiddle(this.#gpu, this.#middle);
    this.#gpu.free(this.#chunks, ...this.#shards.splice(0));
  }

  protected override check(action: string): void {
    super.check(action);
    this.#gpu.check();
  }

  /** The queries in a buffer of their own: a copy on the GPU if they lie there, else uploaded. */
  async #take(
    x: State,
  ): Promise<{ buffer: GPUBuffer; release: () => void }> {
    const { backend, device } = this.#gpu;
    const resident = x instanceof tf.Tensor && x.dtype === "float32" &&
      backend.tensorMap.has(x.dataId) &&
      backend.tensorMap.get(x.dataId).resource;
    if (resident) {
      const { tensorRef, buffer } = x.dataToGPU();
      tensorRef.kept = true;
      return { buffer: buffer!, release: () => tensorRef.dispose() };
    }
    const values = x instanceof tf.Tensor ? await this.#gpu.wait(x.data()) : x;
    const buffer = await this.#gpu.buffer(
      values.length * 4,
      GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    );
    device.queue.writeBuffer(buffer, 0, Float32Array.from(values));
    return { buffer, release: () => this.#gpu.free(buffer) };
  }

  async #evaluate(
    raw: GPUBuffer,
    shape: number[],
    sigmas: Float64Array,
    signal?: AbortSignal,
  ): Promise<Posterior<AnyTensor>> {
    const { backend } = this.#gpu;
    const size = sigmas.length * this.dimension * 4;
    const mean = await this.#gpu.buffer(
      size,
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC |
        GPUBufferUsage.COPY_DST,
    );
    try {
      const facts: PosteriorFacts[] = [];
      for (let from = 0; from < sigmas.length; from += this.#plan.block) {
        const part = sigmas.subarray(from, from + this.#plan.block);
        facts.push(await this.#evaluateBlock(raw, from, part, mean, signal));
      }
      return {
        mean: backend.createTensorFromGPUData(
          { buffer: mean },
          shape,
          "float32",
        ),
        facts: concatenateFacts(facts),
      };
    } finally {
      this.#gpu.free(mean);
    }
  }

  /** One block of queries: from the raw numbers to their rows of `mean`. */
  async #evaluateBlock(
    raw: GPUBuffer,
    from: number,
    sigmas: Float64Array,
    mean: GPUBuffer,
    signal?: AbortSignal,
  ): Promise<PosteriorFacts> {
    const { scale } = this.#affine;
    const rates = sigmas.map((s) => 0.5 * (scale / s) ** 2);
    const spread = spreadOf(this.#box);
    const shifted = Array.from(sigmas, (s) => s / scale > spread);
    const far = Math.min(MOST_FAR, (FAR * this.#box.radius) ** 2);
    const scratch = await this.#scratchFor(sigmas.length);
    const job: Job = { raw, from, rates, shifted, far, mean };
    this.#submit(signal, (encoder) => scratch.prepare(encoder, job));
    const chunks = Math.ceil(this.count / this.#plan.chunkRows);
    for (let first = 0; first < chunks;) {
      const work = sigmas.length * this.#plan.chunkRows * this.dimension;
      const end = Math.min(chunks, first + this.#pace.chunks(work));
      this.#submit(signal, (encoder) => {
        for (let i = first; i < end; i++) scratch.chunk(encoder, i, job);
      });
      first = end;
      if (first < chunks) await this.#pace.wait();
    }
    this.#submit(signal, (encoder) => scratch.finish(encoder, job));
    const { partials, raw: values, shifted: were, bad } = await scratch.read(rates.length);
    signal?.throwIfAborted();
    this.check(POSTERIOR_ACTION);
    if (bad >= 0) {
      throw new RangeError(
        `Cannot compute the posterior mean: query ${
          from + bad
        } is not finite, wanted finite numbers`,
      );
    }
    const stride = scratch.padded(rates.length);
    const bases = were.map((shifted, q) => shifted ? this.#squareFromMiddle(values, q) : 0);
    const { facts, overflow } = mergePartials(
      partials,
      chunks,
      stride,
      rates,
      bases,
      this.count,
    );
    if (overflow >= 0) {
      throw new RangeError(
        `Cannot compute the posterior mean: the squared distances of query ${
          from + overflow
        } exceed float32, wanted numbers below 1e18`,
      );
    }
    return facts;
  }

  /** The squared distance of a query from the middle of the data, stored units. */
  #squareFromMiddle(values: Float32Array, q: number): number {
    const { scale, offset } = this.#affine, { centre } = this.#box;
    const query = values.subarray(q * this.dimension, (q + 1) * this.dimension);
    return squareFrom(Float64Array.from(query, (v) => (v - offset) / scale), centre);
  }

  /** The `size` nearest rows of a block of queries, as float32 measures them. */
  async #search(
    raw: GPUBuffer,
    query: (row: number) => Float32Array,
    first: number,
    batch: number,
    size: number,
    signal?: AbortSignal,
  ): Promise<Candidates[]> {
    const { chunkRows } = this.#plan;
    const scratch = await this.#scratchFor(batch);
    // Direct differences at any distance: what is compared from the middle lacks a term that differs from query to query.
    const job: Job = {
      raw,
      from: first,
      rates: new Float64Array(batch).fill(1),
      shifted: new Array(batch).fill(false),
      far: NO_DISTANCE,
      mean: raw,
    };
    const heaps = Array.from({ length: batch }, () => new NearestHeap(size));
    const staging = await this.#gpu.buffer(
      scratch.distanceBytes,
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    );
    try {
      this.#submit(signal, (encoder) => scratch.prepare(encoder, job));
      for (let chunk = 0; chunk * chunkRows < this.count; chunk++) {
        this.#submit(signal, (encoder) => scratch.measure(encoder, chunk, job, staging));
        await this.#gpu.read(staging, (bytes) => {
          const distances = new Float32Array(bytes);
          const rows = Math.min(chunkRows, this.count - chunk * chunkRows);
          heaps.forEach((heap, q) => {
            const step = scratch.place(q, 1) - scratch.place(q, 0);
            let at = scratch.place(q, 0);
            for (let row = 0; row < rows; row++, at += step) {
              // Rows come in order, so that an equal distance never replaces an earlier one.
              if (distances[at] < heap.worst) heap.offer(distances[at], chunk * chunkRows + row);
            }
          });
        });
      }
    } finally {
      this.#gpu.free(staging);
    }
    return heaps.map((heap, q) => {
      const { values: squares, indices } = heap.sorted();
      const { scale, offset } = this.#affine;
      const length = Math.hypot(...query(first + q).map((v) => (v - offset) / scale));
      const largest = squares.at(-1) ?? 0;
      // Runs of 64 numbers, and one rounding of each number of the query.
      const error = 2 ** -24 * (80 * largest + 4 * Math.sqrt(largest) * length);
      return { indices, squares, error };
    });
  }

  /** Reads rows back, and gives the function that measures distances to them. */
  async #readRows(
    indices: readonly number[],
  ): Promise<(query: ArrayLike<number>, index: number) => number> {
    const { rowBytes, shardRows, bytes } = this.#plan;
    const piece = Math.max(1, Math.floor(READ_BYTES / rowBytes));
    const copy = new Uint8Array(indices.length * rowBytes);
    const staging = await this.#gpu.buffer(
      Math.min(piece, indices.length) * rowBytes,
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    );
    try {
      for (let from = 0; from < indices.length; from += piece) {
        const part = indices.slice(from, from + piece);
        this.#submit(undefined, (encoder) =>
          part.forEach((index, i) =>
            encoder.copyBufferToBuffer(
              this.#shards[Math.floor(index / shardRows)],
              (index % shardRows) * rowBytes,
              staging,
              i * rowBytes,
              rowBytes,
            )
          ));
        await this.#gpu.read(
          staging,
          (mapped) => copy.set(new Uint8Array(mapped, 0, part.length * rowBytes), from * rowBytes),
        );
      }
      const places = new Map(indices.map((index, i) => [index, i]));
      const stored = bytes ? copy : new Float32Array(copy.buffer);
      const stride = bytes ? rowBytes : rowBytes / 4;
      return (query, index) =>
        squaredDistance(query, stored, places.get(index)! * stride, this.#affine);
    } finally {
      this.#gpu.free(staging);
    }
  }

  #submit(
    signal: AbortSignal | undefined,
    record: (encoder: GPUCommandEncoder) => void,
  ): void {
    signal?.throwIfAborted();
    this.check(POSTERIOR_ACTION);
    const encoder = this.#gpu.device.createCommandEncoder();
    record(encoder);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** The scratch of single queries or of batches, which grows with them. */
  async #scratchFor(queries: number): Promise<PosteriorScratch> {
    const perGroup = queries === 1 ? 1 : 4;
    const found = this.#scratch.get(perGroup);
    if (found && found.capacity >= queries) return found;
    found?.free();
    this.#scratch.delete(perGroup);
    const scratch = await PosteriorScratch.create(
      this.#gpu,
      {
        plan: this.#plan,
        affine: this.#affine,
        middle: this.#middle,
        count: this.count,
        dimension: this.dimension,
        shards: this.#shards,
        chunks: this.#chunks,
      },
      perGroup,
      queries,
    );
    this.#scratch.set(perGroup, scratch);
    return scratch;
  }
}
