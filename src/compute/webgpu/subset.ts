/**
 * Distances to listed rows and their weighted sums, on a GPU device.
 *
 * @module
 */
import { comparisonOf, FAR, isFar, squareFrom } from "../data_box.ts";
import type { Comparison, DataBox } from "../data_box.ts";
import type { Affine } from "../posterior.ts";
import { type PosteriorPlan, WORKGROUP } from "../posterior_plan.ts";
import { finishShader } from "./posterior_wgsl.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";
import { ACROSS, ENTRIES, listedDistanceShader, listedSumShader, SPLITS } from "./subset_wgsl.ts";
import type { Gpu } from "./context.ts";
import type { Point } from "./upload.ts";

/** What kernels in other files need to know of a store. */
export interface GpuRows {
  /** The device. */
  readonly gpu: Gpu;
  /** How the rows are cut. */
  readonly plan: PosteriorPlan;
  /** From stored units to data units. */
  readonly affine: Affine;
  /** The rows, `plan.shardRows` per buffer. */
  readonly shards: readonly GPUBuffer[];
  /** The box of the data, stored units. */
  readonly box: DataBox;
  /** What sums of rows are taken relative to. */
  readonly anchor: Point;
  /** Number of rows. */
  readonly count: number;
  /** Numbers per row. */
  readonly dimension: number;
  /** Bytes of rows that one binding may show. */
  readonly bindingBytes: number;
  /** How many pieces of so much work to submit at once, and a wait for them that learns from its time. */
  readonly pace: { chunks(work: number): number; wait(): Promise<void> };
  /** Records commands and submits them, unless cancelled. */
  submit(signal: AbortSignal | undefined, record: (encoder: GPUCommandEncoder) => void): void;
}

/** Numbers multiplied per submission: a fraction of a second on a software driver. */
const WORK = 2 ** 28;

/** A row of some query's list. */
export interface Place {
  readonly query: number;
  readonly index: number;
  readonly row: number;
}

/** A range of rows that one binding can hold, and the listed ones among them, query by query. */
export interface Segment {
  readonly binding: GPUBufferBinding;
  readonly first: number;
  readonly places: Place[];
}

/**
 * Squared distances of queries to their listed rows.
 *
 * @param rows The data.
 * @param queries Rows of `dimension` numbers in data units.
 * @param lists The rows of each query.
 * @param signal Cancels the work.
 */
export async function measureRows(
  rows: GpuRows,
  queries: Float32Array,
  lists: readonly Uint32Array[],
  signal?: AbortSignal,
): Promise<Distances> {
  const { gpu, plan, affine: { scale } } = rows;
  const squares = lists.map(({ length }) => new Float64Array(length));
  const compared = comparisons(rows, queries, lists.length);
  const stored = vectorsOf(rows, compared);
  const bases = compared.map(({ bases }) => bases.reduce((sum, v) => sum + v, 0));
  const pipeline = gpu.pipeline(listedDistanceShader(plan));
  await using(gpu, async (make) => {
    const { STORAGE, COPY_DST, UNIFORM } = GPUBufferUsage;
    const [query, uniform] = await Promise.all([
      make(stored.byteLength, STORAGE | COPY_DST),
      make(16, UNIFORM | COPY_DST),
    ]);
    gpu.device.queue.writeBuffer(query, 0, stored);
    for (const { binding, first, places } of segments(rows, lists)) {
      await using(gpu, async (make) => {
        const words = new Uint32Array(2 * places.length);
        places.forEach(({ query, row }, i) => {
          words[2 * i] = query;
          words[2 * i + 1] = row - first;
        });
        const bytes = places.length * 4;
        const [entries, distances, staging] = await Promise.all([
          make(words.byteLength, STORAGE | COPY_DST),
          make(bytes, STORAGE | GPUBufferUsage.COPY_SRC),
          make(bytes, GPUBufferUsage.MAP_READ | COPY_DST),
        ]);
        gpu.device.queue.writeBuffer(entries, 0, words);
        const group = bind(gpu, pipeline, [binding, query, entries, distances, uniform]);
        const piece = Math.ceil(WORK / (plan.vectors * 4));
        for (let from = 0; from < places.length; from += piece) {
          const count = Math.min(piece, places.length - from);
          gpu.device.queue.writeBuffer(uniform, 0, Uint32Array.of(from, count, plan.vectors, 0));
          rows.submit(signal, (encoder) => {
            const groups = Math.ceil(count / ENTRIES);
            dispatch(
              encoder,
              pipeline,
              group,
              Math.min(groups, ACROSS),
              Math.ceil(groups / ACROSS),
            );
          });
          const more = from + piece < places.length;
          if (more) await gpu.wait(gpu.device.queue.onSubmittedWorkDone());
        }
        rows.submit(
          signal,
          (encoder) => encoder.copyBufferToBuffer(distances, 0, staging, 0, bytes),
        );
        await gpu.read(staging, (mapped) => {
          const found = new Float32Array(mapped);
          places.forEach((p, i) =>
            squares[p.query][p.index] = Math.max(0, found[i] + bases[p.query]) * scale * scale
          );
        });
      });
    }
  });
  return { squares, errors: distanceErrors(rows, compared, bases, squares) };
}

/**
 * Weighted means of rows.
 *
 * @param rows The data.
 * @param weighted The rows and weights of each query.
 * @param signal Cancels the work.
 * @returns A buffer of `dimension` floats per query in data units; the caller frees it.
 */
export async function weightedMeans(
  rows: GpuRows,
  weighted: readonly WeightedRows[],
  signal?: AbortSignal,
): Promise<GPUBuffer> {
  const { gpu, plan, dimension, affine, anchor } = rows;
  const queries = weighted.length, { vectors } = plan;
  const sum = gpu.pipeline(listedSumShader(plan)), finish = gpu.pipeline(finishShader());
  const { STORAGE, COPY_DST, COPY_SRC, UNIFORM } = GPUBufferUsage;
  const mean = await gpu.buffer(queries * dimension * 4, STORAGE | COPY_SRC | COPY_DST);
  try {
    await using(gpu, async (make) => {
      const write = async (
        words: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>,
        usage: number,
      ) => {
        const buffer = await make(words.byteLength, usage | COPY_DST);
        gpu.device.queue.writeBuffer(buffer, 0, words);
        return buffer;
      };
      const words = Uint32Array.of(dimension, vectors, SPLITS, queries, 0, 0, 0, 0);
      new Float32Array(words.buffer).set([affine.scale, anchor.low], 4);
      const [sums, uniform, inverses, end] = await Promise.all([
        // New buffers hold zeros.
        make(SPLITS * queries * vectors * 16, STORAGE),
        write(Uint32Array.of(vectors, 0, 0, 0), UNIFORM),
        write(new Float32Array(queries).fill(1), STORAGE),
        write(words, UNIFORM),
      ]);
      for (const segment of segments(rows, weighted.map(({ rows }) => rows))) {
        await using(gpu, async (make) => {
          const { words, starts } = entryWords(segment, weighted);
          const [entries, from] = await Promise.all([
            make(words.byteLength, STORAGE | COPY_DST),
            make(starts.byteLength, STORAGE | COPY_DST),
          ]);
          gpu.device.queue.writeBuffer(entries, 0, words);
          gpu.device.queue.writeBuffer(from, 0, starts);
          const group = bind(gpu, sum, [
            segment.binding,
            entries,
            from,
            sums,
            uniform,
            anchor.stored,
          ]);
          rows.submit(
            signal,
            (encoder) =>
              dispatch(encoder, sum, group, Math.ceil(vectors / WORKGROUP), SPLITS, queries),
          );
        });
      }
      const group = bind(gpu, finish, [sums, inverses, mean, end, anchor.values]);
      rows.submit(
        signal,
        (encoder) => dispatch(encoder, finish, group, Math.ceil(dimension / WORKGROUP), queries),
      );
      await gpu.wait(gpu.device.queue.onSubmittedWorkDone());
    });
    return mean;
  } catch (error) {
    gpu.free(mean);
    throw error;
  }
}

/** Runs `body` with buffers that are freed after it. */
export async function using(
  gpu: Gpu,
  body: (make: (bytes: number, usage: number) => Promise<GPUBuffer>) => Promise<void>,
): Promise<void> {
  // Several may be under way, and one of them may fail.
  const made: Promise<GPUBuffer>[] = [];
  try {
    await body((bytes, usage) => {
      const buffer = gpu.buffer(bytes, usage);
      made.push(buffer);
      return buffer;
    });
  } finally {
    const settled = await Promise.allSettled(made);
    gpu.free(...settled.flatMap((s) => s.status === "fulfilled" ? [s.value] : []));
  }
}

/** Sorts listed rows by the binding that holds them. */
export function segments(rows: GpuRows, lists: readonly Uint32Array[]): Segment[] {
  const { plan, shards, count } = rows;
  const chunks = Math.max(1, Math.floor(rows.bindingBytes / (plan.chunkRows * plan.rowBytes)));
  const size = Math.min(plan.shardRows, chunks * plan.chunkRows);
  const perShard = Math.ceil(plan.shardRows / size);
  const found = new Map<number, Segment>();
  lists.forEach((list, query) =>
    list.forEach((row, index) => {
      const shard = Math.floor(row / plan.shardRows);
      const part = Math.floor((row % plan.shardRows) / size);
      let segment = found.get(shard * perShard + part);
      if (!segment) {
        const first = shard * plan.shardRows + part * size;
        const end = Math.min(first + size, (shard + 1) * plan.shardRows, count);
        const binding = {
          buffer: shards[shard],
          offset: part * size * plan.rowBytes,
          size: (end - first) * plan.rowBytes,
        };
        segment = { binding, first, places: [] };
        found.set(shard * perShard + part, segment);
      }
      segment.places.push({ query, index, row });
    })
  );
  return [...found.entries()].sort(([a], [b]) => a - b).map(([, segment]) => segment);
}

/** The entries of a segment for the sum kernel, and where those of each query begin. */
function entryWords({ first, places }: Segment, weighted: readonly WeightedRows[]) {
  const words = new Uint32Array(2 * places.length);
  const weights = new Float32Array(words.buffer);
  const starts = new Uint32Array(weighted.length + 1);
  places.forEach(({ query, index, row }, i) => {
    words[2 * i] = row - first;
    weights[2 * i + 1] = weighted[query].weights[index];
    starts[query + 1]++;
  });
  for (let q = 0; q < weighted.length; q++) starts[q + 1] += starts[q];
  return { words, starts };
}

/** How each query is compared with the data, in stored units: as a whole close to them, or far from them. */
function comparisons(rows: GpuRows, values: Float32Array, queries: number): Comparison[] {
  return Array.from({ length: queries }, (_, q) => {
    const query = storedQuery(rows, values, q);
    const far = isFar(query, rows.box);
    return comparisonOf(query, rows.box, () => far);
  });
}

/** A query in stored units, float64. */
export function storedQuery(
  { dimension, affine: { scale, offset } }: GpuRows,
  values: Float32Array,
  q: number,
): Float64Array {
  return Float64Array.from(
    values.subarray(q * dimension, (q + 1) * dimension),
    (v) => (v - offset) / scale,
  );
}

/** The points and slopes of queries, padded to whole vectors. */
export function vectorsOf(
  { plan }: GpuRows,
  compared: readonly Comparison[],
): Float32Array<ArrayBuffer> {
  const width = plan.vectors * 4;
  const stored = new Float32Array(2 * width * compared.length);
  compared.forEach(({ points, slopes }, q) => {
    stored.set(points, 2 * q * width);
    stored.set(slopes, (2 * q + 1) * width);
  });
  return stored;
}

/**
 * Bounds on the errors, squared data units: the roundings of a sum of `d` terms in runs of 64 by 16 threads, relative to the size
 * of the terms, `Σ |e(e − t)| ≤ ‖e‖(‖e‖ + ‖t‖)`. An `e` reaches from the query to the row, or from the middle of the data.
 */
function distanceErrors(
  { box, affine: { scale } }: GpuRows,
  compared: readonly Comparison[],
  bases: readonly number[],
  squares: readonly Float64Array[],
): Float64Array[] {
  const dimension = box.centre.length, roundings = 72 + dimension / 1024;
  const none = new Float32Array(dimension);
  return squares.map((list, q) => {
    const slope = scale * Math.sqrt(squareFrom(compared[q].slopes, none));
    const base = scale * Math.sqrt(bases[q]);
    const far = base > FAR * scale * box.radius;
    return list.map((square) => {
      const length = far ? scale * box.radius : Math.sqrt(square) + base;
      return 2 ** -24 * roundings * length * (length + slope);
    });
  });
}

export function bind(
  gpu: Gpu,
  pipeline: GPUComputePipeline,
  resources: (GPUBuffer | GPUBufferBinding)[],
): GPUBindGroup {
  return gpu.device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: resources.map((resource, binding) => ({
      binding,
      resource: "buffer" in resource ? resource : { buffer: resource },
    })),
  });
}

export function dispatch(
  encoder: GPUCommandEncoder,
  pipeline: GPUComputePipeline,
  group: GPUBindGroup,
  ...groups: [number, number?, number?]
): void {
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...groups);
  pass.end();
}
