/**
 * The buffers and bind groups of one evaluation, kept for the next one of the same size.
 *
 * @module
 */
import type { Affine } from "./posterior.ts";
import {
  CHUNK_UNIFORM_STRIDE,
  distanceShader,
  finishShader,
  PARTIAL_WORDS,
  type PosteriorPlan,
  prepareShader,
  rowsPerGroup,
  statisticsShader,
  weightedSumShader,
  WORKGROUP,
} from "./posterior_wgsl.ts";
import type { Gpu } from "./webgpu_context.ts";

/** The data that are asked. */
export interface StoredRows {
  /** How they are cut. */
  readonly plan: PosteriorPlan;
  /** From stored units to data units. */
  readonly affine: Affine;
  /** Rows. */
  readonly count: number;
  /** Numbers per row. */
  readonly dimension: number;
  /** The rows, `plan.shardRows` per buffer. */
  readonly shards: readonly GPUBuffer[];
  /** The uniform of each chunk. */
  readonly chunks: GPUBuffer;
}

/** What is asked: some of the queries of a batch. */
export interface Job {
  /** The batch as it came, `[B, d]` floats. */
  readonly raw: GPUBuffer;
  /** The first query. */
  readonly from: number;
  /** `scale²/2σ²` of each. */
  readonly rates: Float64Array;
  /** The means of the batch, `[B, d]` floats. */
  readonly mean: GPUBuffer;
}

type Scratch = Record<
  | "raw"
  | "queries"
  | "distances"
  | "state"
  | "partials"
  | "flags"
  | "rates"
  | "sums"
  | "inverses"
  | "mean"
  | "affine"
  | "finish"
  | "staging",
  GPUBuffer
>;

/** The largest rate that the kernels take: it keeps 0 · rate at 0. */
const MAX_RATE = 1e38;

/** Room for one block of queries. */
export class PosteriorScratch {
  /** Queries that fit. */
  readonly capacity: number;
  readonly #gpu: Gpu;
  readonly #rows: StoredRows;
  readonly #perGroup: 1 | 4;
  readonly #buffers: Scratch;
  readonly #pipelines: Record<
    "prepare" | "distance" | "statistics" | "sum" | "finish",
    GPUComputePipeline
  >;
  readonly #groups: GPUBindGroup[][] = [];

  private constructor(
    gpu: Gpu,
    rows: StoredRows,
    perGroup: 1 | 4,
    capacity: number,
    buffers: Scratch,
  ) {
    this.#gpu = gpu;
    this.#rows = rows;
    this.#perGroup = perGroup;
    this.capacity = capacity;
    this.#buffers = buffers;
    this.#pipelines = {
      prepare: gpu.pipeline(prepareShader()),
      distance: gpu.pipeline(distanceShader(rows.plan, perGroup)),
      statistics: gpu.pipeline(statisticsShader(perGroup)),
      sum: gpu.pipeline(weightedSumShader(rows.plan, perGroup)),
      finish: gpu.pipeline(finishShader()),
    };
  }

  /**
   * Makes the buffers.
   *
   * @param gpu The device.
   * @param rows The data.
   * @param perGroup Queries per work-group.
   * @param queries Queries that must fit.
   * @returns The scratch.
   * @throws {DeviceError} If the device has no memory left for it.
   */
  static async create(
    gpu: Gpu,
    rows: StoredRows,
    perGroup: 1 | 4,
    queries: number,
  ): Promise<PosteriorScratch> {
    const { plan, count, dimension } = rows;
    const capacity = Math.ceil(queries / perGroup) * perGroup;
    const chunks = Math.ceil(count / plan.chunkRows);
    const { STORAGE, COPY_SRC, COPY_DST, UNIFORM, MAP_READ } = GPUBufferUsage;
    const partials = chunks * capacity * PARTIAL_WORDS * 4;
    const wanted: Record<keyof Scratch, [size: number, usage: number]> = {
      raw: [capacity * dimension * 4, STORAGE | COPY_DST],
      queries: [capacity * plan.vectors * 16, STORAGE],
      distances: [capacity * Math.min(plan.chunkRows, count) * 4, STORAGE],
      state: [capacity * 8, STORAGE],
      partials: [partials, STORAGE | COPY_SRC],
      flags: [capacity * 4, STORAGE | COPY_SRC | COPY_DST],
      rates: [capacity * 4, STORAGE | COPY_DST],
      sums: [plan.splits * capacity * plan.vectors * 16, STORAGE],
      inverses: [capacity * 4, STORAGE | COPY_DST],
      mean: [capacity * dimension * 4, STORAGE | COPY_SRC],
      affine: [32, UNIFORM | COPY_DST],
      finish: [32, UNIFORM | COPY_DST],
      staging: [partials + capacity * 4, MAP_READ | COPY_DST],
    };
    const buffers: Partial<Scratch> = {};
    try {
      for (const name of Object.keys(wanted) as (keyof Scratch)[]) {
        buffers[name] = await gpu.buffer(...wanted[name]);
      }
    } catch (error) {
      gpu.free(...Object.values(buffers));
      throw error;
    }
    return new PosteriorScratch(
      gpu,
      rows,
      perGroup,
      capacity,
      buffers as Scratch,
    );
  }

  /** Frees the buffers. */
  free(): void {
    this.#gpu.free(...Object.values(this.#buffers));
  }

  /**
   * Queries rounded up to whole work-groups.
   *
   * @param queries Their number.
   * @returns The number that the kernels work on.
   */
  padded(queries: number): number {
    return Math.ceil(queries / this.#perGroup) * this.#perGroup;
  }

  /**
   * Records the start: queries in stored units.
   *
   * @param encoder Where.
   * @param job What.
   */
  prepare(encoder: GPUCommandEncoder, job: Job): void {
    const { dimension, plan, affine } = this.#rows;
    const { raw, queries, flags, rates, affine: uniform } = this.#buffers;
    const { queue } = this.#gpu.device;
    const count = job.rates.length;
    // A negative rate marks a query that only fills its work-group.
    const padded = new Float32Array(this.padded(count)).fill(-1);
    job.rates.forEach((rate, q) => padded[q] = Math.min(rate, MAX_RATE));
    queue.writeBuffer(rates, 0, padded);
    const words = Uint32Array.of(dimension, plan.vectors, count, 0, 0);
    new Float32Array(words.buffer).set(
      [1 / affine.scale, -affine.offset / affine.scale],
      3,
    );
    queue.writeBuffer(uniform, 0, words);
    encoder.clearBuffer(flags);
    encoder.copyBufferToBuffer(
      job.raw,
      job.from * dimension * 4,
      raw,
      0,
      count * dimension * 4,
    );
    const pass = encoder.beginComputePass();
    const { prepare } = this.#pipelines;
    dispatch(pass, prepare, this.#bind(prepare, raw, queries, flags, uniform), [
      Math.ceil(plan.vectors / WORKGROUP),
      padded.length,
    ]);
    pass.end();
  }

  /**
   * Records the three kernels of one chunk.
   *
   * @param encoder Where.
   * @param chunk The number of the chunk.
   * @param job What.
   */
  chunk(encoder: GPUCommandEncoder, chunk: number, job: Job): void {
    const { plan, count } = this.#rows;
    const rows = Math.min(plan.chunkRows, count - chunk * plan.chunkRows);
    const queries = this.padded(job.rates.length);
    const blocks = queries / this.#perGroup;
    const [distance, statistics, sum] = this.#groups[chunk] ??= this
      .#chunkGroups(chunk, rows);
    const pass = encoder.beginComputePass();
    dispatch(pass, this.#pipelines.distance, distance, [
      Math.ceil(rows / rowsPerGroup(plan)),
      blocks,
    ]);
    dispatch(pass, this.#pipelines.statistics, statistics, [queries]);
    dispatch(pass, this.#pipelines.sum, sum, [
      Math.ceil(plan.vectors / plan.columns),
      plan.splits,
      blocks,
    ]);
    pass.end();
  }

  /** The bind groups of one chunk, whose rows lie in one shard. */
  #chunkGroups(chunk: number, rows: number): GPUBindGroup[] {
    const { plan, shards, chunks } = this.#rows;
    const { queries, distances, state, partials, rates, sums } = this.#buffers;
    const first = chunk * plan.chunkRows;
    const data = {
      buffer: shards[Math.floor(first / plan.shardRows)],
      offset: (first % plan.shardRows) * plan.rowBytes,
      size: rows * plan.rowBytes,
    };
    const uniform = {
      buffer: chunks,
      offset: chunk * CHUNK_UNIFORM_STRIDE,
      size: 32,
    };
    const { distance, statistics, sum } = this.#pipelines;
    return [
      this.#bind(distance, data, queries, distances, uniform),
      this.#bind(statistics, distances, state, partials, uniform, rates),
      this.#bind(sum, data, distances, state, uniform, sums),
    ];
  }

  /**
   * Records the copy of what {@linkcode PosteriorScratch.read} reads.
   *
   * @param encoder Where.
   */
  collect(encoder: GPUCommandEncoder): void {
    const { partials, flags, staging } = this.#buffers;
    encoder.copyBufferToBuffer(partials, 0, staging, 0, partials.size);
    encoder.copyBufferToBuffer(flags, 0, staging, partials.size, flags.size);
  }

  /**
   * Reads what the kernels found.
   *
   * @param queries The number of queries.
   * @returns The partial states of all chunks, and 1 for each query that is not finite.
   * @throws {DeviceError} If the device was lost.
   */
  async read(
    queries: number,
  ): Promise<{ partials: ArrayBuffer; flags: Uint32Array }> {
    const { partials, staging } = this.#buffers;
    await this.#gpu.wait(staging.mapAsync(GPUMapMode.READ));
    const words = staging.getMappedRange().slice(0);
    staging.unmap();
    return {
      partials: words.slice(0, partials.size),
      flags: new Uint32Array(words, partials.size, queries),
    };
  }

  /**
   * Records the end: means in data units, copied to their rows of `job.mean`.
   *
   * @param encoder Where.
   * @param job What.
   * @param inverse `1/Z` of each query.
   */
  finish(encoder: GPUCommandEncoder, job: Job, inverse: Float32Array): void {
    const { dimension, plan, affine } = this.#rows;
    const { sums, inverses, mean, finish: uniform } = this.#buffers;
    const { queue } = this.#gpu.device;
    const count = job.rates.length;
    queue.writeBuffer(inverses, 0, inverse as Float32Array<ArrayBuffer>);
    const words = Uint32Array.of(
      dimension,
      plan.vectors,
      plan.splits,
      this.padded(count),
      0,
      0,
    );
    new Float32Array(words.buffer).set([affine.scale, affine.offset], 4);
    queue.writeBuffer(uniform, 0, words);
    const pass = encoder.beginComputePass();
    const { finish } = this.#pipelines;
    dispatch(pass, finish, this.#bind(finish, sums, inverses, mean, uniform), [
      Math.ceil(dimension / WORKGROUP),
      count,
    ]);
    pass.end();
    encoder.copyBufferToBuffer(
      mean,
      0,
      job.mean,
      job.from * dimension * 4,
      count * dimension * 4,
    );
  }

  #bind(
    pipeline: GPUComputePipeline,
    ...resources: (GPUBuffer | GPUBufferBinding)[]
  ): GPUBindGroup {
    return this.#gpu.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: resources.map((resource, binding) => ({
        binding,
        resource: "buffer" in resource ? resource : { buffer: resource },
      })),
    });
  }
}

function dispatch(
  pass: GPUComputePassEncoder,
  pipeline: GPUComputePipeline,
  group: GPUBindGroup,
  [x, y = 1, z = 1]: number[],
): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(x, y, z);
}
