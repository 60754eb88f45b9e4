/**
 * Distances to listed rows and their weighted sums, on the CPU device.
 *
 * @module
 */
import type { Distances, WeightedRows } from "../subset_posterior.ts";
import { Arena, grow, roundUp } from "./memory.ts";
import * as subset from "./modules/subset.ts";
import type { StoreView } from "./store_view.ts";

/** Rows of one job: enough to hide the cost of handing it out. */
const JOB_ROWS = 256;
/** A query is cut into at most so many jobs, which bounds the memory of partial sums. */
const MOST_JOBS = 32;
/** Bytes of a job and of the numbers in front of a query's digits; the kernels agree. */
const JOB = 32, HEAD = 32;

const WHOLE = 1.5 * 2 ** 52;

/** Some listed rows of one query. */
interface Part {
  readonly query: number;
  readonly from: number;
  readonly count: number;
}

/** Cuts lists into jobs; how depends on the length of each list alone, as the bits of a sum do. */
function cut(lists: readonly { readonly length: number }[]): Part[] {
  return lists.flatMap(({ length }, query) => {
    const size = Math.max(JOB_ROWS, Math.ceil(length / MOST_JOBS));
    const parts: Part[] = [];
    for (let from = 0; from < length; from += size) {
      parts.push({ query, from, count: Math.min(size, length - from) });
    }
    return parts;
  });
}

/**
 * Squared distances of queries to their listed rows.
 *
 * @param view The store.
 * @param queries Rows of `dimension` numbers in data units.
 * @param lists The rows of each query.
 * @param signal Cancels the work.
 */
export async function measureRows(
  view: StoreView,
  queries: Float32Array,
  lists: readonly Uint32Array[],
  signal?: AbortSignal,
): Promise<Distances> {
  const { memory, dimension, bytes, scale } = view;
  const stride = strideOf(view);
  const parts = cut(lists);
  const arena = new Arena(view.free);
  const control = arena.take(8), jobs = arena.take(parts.length * JOB);
  const queryBytes = bytes ? HEAD + 4 * stride : 8 * stride;
  const at = lists.map((list) => ({
    query: arena.take(queryBytes),
    rows: arena.take(4 * list.length),
    out: arena.take(8 * list.length),
  }));
  grow(memory, arena.end);
  const { buffer } = memory;
  const errors: Float64Array[] = [];
  lists.forEach((list, k) => {
    const query = queries.subarray(k * dimension, (k + 1) * dimension);
    const error = (bytes ? writeDigits : writeQuery)(view, at[k].query, query) * scale * scale;
    errors.push(new Float64Array(list.length).fill(error));
    new Uint32Array(buffer, at[k].rows, list.length).set(list);
  });
  const table = new Uint32Array(buffer, jobs, parts.length * JOB / 4);
  parts.forEach(({ query: k, from, count }, i) => {
    table.set([at[k].query, at[k].rows + 4 * from, count, at[k].out + 8 * from], i * JOB / 4);
  });
  await run(view, "measure", { jobs, count: parts.length, control }, signal);
  const squares = lists.map(({ length }, k) => {
    const square = new Float64Array(buffer, at[k].out, length).slice();
    for (let i = 0; i < length; i++) square[i] *= scale * scale;
    return square;
  });
  return { squares, errors };
}

/**
 * Weighted means of rows, in data units.
 *
 * @param view The store.
 * @param weighted The rows and weights of each query.
 * @param signal Cancels the work.
 * @returns `dimension` numbers per query.
 */
export async function weightedMeans(
  view: StoreView,
  weighted: readonly WeightedRows[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { memory, dimension, scale, offset } = view;
  const stride = strideOf(view);
  const parts = cut(weighted.map(({ rows }) => rows));
  const arena = new Arena(view.free);
  const control = arena.take(8), jobs = arena.take(parts.length * JOB);
  const at = weighted.map(({ rows }) => ({
    rows: arena.take(4 * rows.length),
    weights: arena.take(4 * rows.length),
  }));
  const sums = parts.map(() => arena.take(4 * stride));
  grow(memory, arena.end);
  const { buffer } = memory;
  weighted.forEach(({ rows, weights }, k) => {
    new Uint32Array(buffer, at[k].rows, rows.length).set(rows);
    new Float32Array(buffer, at[k].weights, rows.length).set(weights);
  });
  const table = new Uint32Array(buffer, jobs, parts.length * JOB / 4);
  parts.forEach(({ query: k, from, count }, i) => {
    const { rows, weights } = at[k];
    table.set([0, rows + 4 * from, count, sums[i], weights + 4 * from], i * JOB / 4);
  });
  await run(view, "weightedSum", { jobs, count: parts.length, control }, signal);
  const total = new Float64Array(weighted.length * dimension);
  parts.forEach(({ query: k }, i) => {
    const sum = new Float32Array(buffer, sums[i], dimension);
    for (let c = 0; c < dimension; c++) total[k * dimension + c] += sum[c];
  });
  const { centre } = view.box;
  return new Float32Array(
    total.map((sum, i) => (sum + (view.bytes ? 0 : centre[i % dimension])) * scale + offset),
  );
}

async function run(
  { pool, memory, bytes, data, rowBytes, ...view }: StoreView,
  kernel: string,
  { jobs, count, control }: { jobs: number; count: number; control: number },
  signal?: AbortSignal,
): Promise<void> {
  await pool.load("subset", subset);
  await pool.run({
    module: "subset",
    kernel,
    memory,
    rows: count,
    shards: count,
    control,
    arguments: [
      { base: bytes ? 1 : 0 },
      { base: data },
      { base: rowBytes },
      { base: strideOf(view) },
      { base: jobs, row: JOB },
      { rows: 1 },
      { base: view.centre },
    ],
  }, signal);
}

/** Numbers per row and query, the padding being 0 in both. */
function strideOf({ dimension }: Pick<StoreView, "dimension">): number {
  return roundUp(dimension, 8);
}

/** Writes a query for float32 rows; the distances to them are exact. */
function writeQuery(view: StoreView, at: number, query: Float32Array): number {
  const numbers = new Float64Array(view.memory.buffer, at, strideOf(view)).fill(0);
  query.forEach((v, c) => numbers[c] = (v - view.offset) / view.scale);
  return 0;
}

/** Writes a query as two digits; returns by how much squared distances may be off, in stored units. */
function writeDigits(
  { memory: { buffer }, dimension, scale, offset }: StoreView,
  at: number,
  query: Float32Array,
): number {
  const stride = strideOf({ dimension });
  const head = new Float64Array(buffer, at, HEAD / 8);
  const high = new Int16Array(buffer, at + HEAD, stride).fill(0);
  const low = new Int16Array(buffer, at + HEAD + 2 * stride, stride).fill(0);
  let largest = 0, square = 0;
  for (let c = 0; c < dimension; c++) {
    const q = (query[c] - offset) / scale;
    largest = Math.max(largest, Math.abs(q));
    square += q * q;
  }
  const s1 = Math.max(largest, Number.MIN_VALUE * 2 ** 60) / 32767, s2 = s1 / 65534;
  for (let c = 0; c < dimension; c++) {
    const q = (query[c] - offset) / scale;
    // Adding and taking off 1.5 · 2⁵² rounds to whole numbers, several times as fast as Math.round.
    const h = q / s1 + WHOLE - WHOLE;
    high[c] = h;
    low[c] = (q - s1 * h) / s2 + WHOLE - WHOLE;
  }
  head.set([square, s1, s2, 0]);
  // What is left after two digits, times bytes of at most 128; and float64 sums of large terms.
  return s2 * 128 * dimension + 2 ** -50 * (square + 128 ** 2 * dimension);
}
