/**
 * The buffers and bind groups of one evaluation, kept for the next one of the same size.
 *
 * @module
 */
import type { Affine } from "../posterior.ts";
import {
  CHUNK_UNIFORM_STRIDE,
  type PosteriorPlan,
  rowsPerGroup,
  WORKGROUP,
} from "../posterior_plan.ts";
import {
  distanceShader,
  finishShader,
  normaliseShader,
  PARTIAL_WORDS,
  prepareShader,
  statisticsShader,
  weightedSumShader,
} from "./posterior_wgsl.ts";
import type { Gpu } from "./context.ts";
import type { Middle } from "./upload.ts";

/** The data that are asked. */
export interface StoredRows {
  /** How they are cut. */
  readonly plan: PosteriorPlan;
  /** From stored units to data units. */
  readonly affine: Affine;
  /** What the data are taken relative to. */
  readonly middle: Middle;
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
  /** Whether each is compared from the middle of the data, however far it is. */
  readonly shifted: readonly boolean[];
  /** The squared distance from the middle, stored units, beyond which all are. */
  readonly far: number;
  /** The means of the batch, `[B, d]` floats. */
  readonly mean: GPUBuffer;
}

type Scratch = Record<
  | "raw"
  | "queries"
  | "distances"
  | "state"
  | "partials"
  | "each"
  | "found"
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
    "prepare" | "distance" | "statistics" | "sum" | "normalise" | "finish",
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
      prepare: gpu.pipeline(prepareShader(rows.plan)),
      distance: gpu.pipeline(distanceShader(rows.plan, perGroup)),
      statistics: gpu.pipeline(statisticsShader(perGroup)),
      sum: gpu.pipeline(weightedSumShader(rows.plan, perGroup)),
      normalise: gpu.pipeline(normaliseShader()),
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
      raw: [capacity * dimension * 4, STORAGE | COPY_DST | COPY_SRC],
      queries: [capacity * plan.vectors * 16, STORAGE],
      distances: [capacity * Math.min(plan.chunkRows, count) * 4, STORAGE | COPY_SRC],
      state: [capacity * 8, STORAGE],
      partials: [partials, STORAGE | COPY_SRC],
      each: [capacity * 8, STORAGE | COPY_DST],
      found: [capacity * 8, STORAGE | COPY_SRC],
      sums: [plan.splits * capacity * plan.vectors * 16, STORAGE],
      inverses: [capacity * 4, STORAGE],
      mean: [capacity * dimension * 4, STORAGE | COPY_SRC],
      affine: [32, UNIFORM | COPY_DST],
      finish: [32, UNIFORM | COPY_DST],
      staging: [partials + capacity * (8 + dimension * 4), MAP_READ | COPY_DST],
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
    const { dimension, plan, affine, middle } = this.#rows;
    const { raw, each, queries, found, affine: uniform } = this.#buffers;
    const { queue } = this.#gpu.device;
    const count = job.rates.length;
    const padded = this.padded(count);
    queue.writeBuffer(each, 0, queryWords(job, padded));
    const words = Uint32Array.of(dimension, plan.vectors, count, 0, 0, 0);
    new Float32Array(words.buffer).set(
      [1 / affine.scale, middle.centre.low, job.far],
      3,
    );
    queue.writeBuffer(uniform, 0, words);
    encoder.copyBufferToBuffer(
      job.raw,
      job.from * dimension * 4,
      raw,
      0,
      count * dimension * 4,
    );
    const pass = encoder.beginComputePass();
    const { prepare } = this.#pipelines;
    const { stored, values } = middle.centre;
    // Only bytes are added to the middle again.
    const buffers = [raw, each, queries, found, uniform, values, ...(plan.bytes ? [stored] : [])];
    const group = this.#bind(prepare, ...buffers);
    dispatch(pass, prepare, group, [padded]);
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

  /**
   * Records the distances of one chunk alone, and their copy to a buffer that can be read.
   *
   * @param encoder Where.
   * @param chunk The number of the chunk.
   * @param job What.
   * @param target Takes as many bytes as {@linkcode PosteriorScratch.distanceBytes} says.
   */
  measure(encoder: GPUCommandEncoder, chunk: number, job: Job, target: GPUBuffer): void {
    const { plan, count } = this.#rows;
    const rows = Math.min(plan.chunkRows, count - chunk * plan.chunkRows);
    const blocks = this.padded(job.rates.length) / this.#perGroup;
    const [distance] = this.#groups[chunk] ??= this.#chunkGroups(chunk, rows);
    const pass = encoder.beginComputePass();
    dispatch(pass, this.#pipelines.distance, distance, [
      Math.ceil(rows / rowsPerGroup(plan)),
      blocks,
    ]);
    pass.end();
    const { distances } = this.#buffers;
    encoder.copyBufferToBuffer(distances, 0, target, 0, distances.size);
  }

  /** Bytes of the distances of one chunk. */
  get distanceBytes(): number {
    return this.#buffers.distances.size;
  }

  /**
   * Where {@linkcode PosteriorScratch.measure} puts the distance of a query to a row of the chunk.
   *
   * @param query The query within the block.
   * @param row The row within the chunk.
   * @returns The place among the floats.
   */
  place(query: number, row: number): number {
    const { plan, count } = this.#rows;
    const block = Math.floor(query / this.#perGroup);
    const stride = Math.min(plan.chunkRows, count);
    return (block * stride + row) * this.#perGroup + query % this.#perGroup;
  }

  /** The bind groups of one chunk, whose rows lie in one shard. */
  #chunkGroups(chunk: number, rows: number): GPUBindGroup[] {
    const { plan, shards, chunks, middle: { centre, anchor } } = this.#rows;
    const { each, queries, distances, state, partials, sums } = this.#buffers;
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
      this.#bind(distance, data, each, queries, distances, uniform, centre.stored),
      this.#bind(statistics, distances, state, partials, uniform, each),
      this.#bind(sum, data, distances, state, uniform, sums, anchor.stored),
    ];
  }

  /**
   * Records the end: means in data units, copied to their rows of `job.mean`,
   * and the copy of what {@linkcode PosteriorScratch.read} reads.
   *
   * @param encoder Where.
   * @param job What.
   */
  finish(encoder: GPUCommandEncoder, job: Job): void {
    const { dimension, plan, affine, count, middle } = this.#rows;
    const buffers = this.#buffers;
    const queries = this.padded(job.rates.length);
    const chunks = Math.ceil(count / plan.chunkRows);
    const words = Uint32Array.of(
      dimension,
      plan.vectors,
      plan.splits,
      queries,
      0,
      0,
    );
    new Float32Array(words.buffer).set([affine.scale, middle.anchor.low], 4);
    this.#gpu.device.queue.writeBuffer(buffers.finish, 0, words);
    const { normalise, finish } = this.#pipelines;
    const { raw, partials, found, each, inverses, sums, mean, staging } = buffers;
    const size = chunks * queries * PARTIAL_WORDS * 4;
    const states = { buffer: partials, size };
    const pass = encoder.beginComputePass();
    dispatch(pass, normalise, this.#bind(normalise, states, each, inverses), [
      queries,
    ]);
    dispatch(
      pass,
      finish,
      this.#bind(finish, sums, inverses, mean, buffers.finish, middle.anchor.values),
      [Math.ceil(dimension / WORKGROUP), job.rates.length],
    );
    pass.end();
    const bytes = dimension * 4;
    encoder.copyBufferToBuffer(
      mean,
      0,
      job.mean,
      job.from * bytes,
      job.rates.length * bytes,
    );
    encoder.copyBufferToBuffer(partials, 0, staging, 0, partials.size);
    encoder.copyBufferToBuffer(found, 0, staging, partials.size, found.size);
    encoder.copyBufferToBuffer(raw, 0, staging, partials.size + found.size, raw.size);
  }

  /**
   * Reads what the kernels found.
   *
   * @param queries The number of queries.
   * @returns What is to be merged; the queries, and for each whether it was compared from the middle of the data; the
   * first query that is not finite, or -1.
   * @throws {DeviceError} If the device was lost.
   */
  async read(
    queries: number,
  ): Promise<{ partials: ArrayBuffer; raw: Float32Array; shifted: boolean[]; bad: number }> {
    const { partials, found, staging } = this.#buffers;
    const words = await this.#gpu.read(staging, (bytes) => bytes.slice(0));
    const flags = new Uint32Array(words, partials.size, 2 * queries);
    return {
      partials: words.slice(0, partials.size),
      raw: new Float32Array(words, partials.size + found.size, queries * this.#rows.dimension),
      shifted: Array.from({ length: queries }, (_, q) => flags[2 * q] === 1),
      bad: flags.findIndex((flag, i) => i % 2 === 1 && flag !== 0) >> 1,
    };
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

/** The kernels' `Query` of each query, and of those that fill the last work-group. */
function queryWords({ rates, shifted }: Job, padded: number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(2 * padded);
  const floats = new Float32Array(words.buffer);
  for (let q = 0; q < padded; q++) {
    floats[2 * q] = q < rates.length ? Math.min(rates[q], MAX_RATE) : -1;
    words[2 * q + 1] = shifted[q] ? 1 : 0;
  }
  return words;
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
