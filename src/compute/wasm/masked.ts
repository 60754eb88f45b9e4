/**
 * The masked posterior mean on the CPU device: the thin caller of `masked.as`.
 *
 * @module
 */
import type { Mask } from "../mask.ts";
import { columnSums, MOST_COORDINATES, treeProgram } from "../mask_tree.ts";
import type { TreeProgram } from "../mask_tree.ts";
import { cutQueries, mergeParts } from "../masked_parts.ts";
import type { RowPart } from "../masked_parts.ts";
import { MASKED_ACTION } from "../masked_posterior.ts";
import type { MaskedOptions } from "../masked_posterior.ts";
import { DeviceError } from "../../errors.ts";
import { allocate, Arena, grow, roundUp } from "./memory.ts";
import * as masked from "./modules/masked.ts";
import type { ThreadPool } from "./pool.ts";
import type { StoreView } from "./store.ts";

/** Bytes of a job and of a column's state; the kernel agrees. */
const JOB = 24, STATE = 32;
/** Column sums are at most so many units, so that differences of two fit 32 bits. */
const UNITS = 2 ** 30 - 2 ** 20;
/** An error of a logit, in nats, that float32 arithmetic makes as well. */
const ROUNDING = 5e-5;
/** Rows that are left out weigh less together than float32 rounding: bits, besides those of their number. */
const BITS_LEFT_OUT = 26;
/** A reference may be above the least sum by so many bits. */
const BITS_ABOVE = 8;

/** A query in stored units and what turns its sums into logits. */
interface MaskedQuery {
  /** The query, float64. */
  readonly q: Float64Array;
  /** The entries are `(x − a)(x − b) − c`. */
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly centre: Float64Array;
  /** Squared stored units per unit of the integers. */
  readonly unit: number;
  /** The middle of the range of the log-weights. */
  readonly middle: number;
  /** Whether integers only sort out. */
  readonly exact: boolean;
}

/**
 * The masked posterior means of a batch of queries.
 *
 * @param view The store.
 * @param queries Rows of `dimension` numbers in data units.
 * @param sigma The noise level in data units.
 * @param mask The mask.
 * @param options Subsets, temperature, averaging, and a signal that cancels.
 * @returns One number per column for each query, in data units.
 * @throws {DeviceError} If the mask has more coordinates than a tree can have.
 */
export async function maskedMeans(
  view: StoreView,
  queries: Float32Array,
  sigma: number,
  mask: Mask,
  options: MaskedOptions,
): Promise<Float32Array> {
  const { dimension, pool, scale } = view;
  const { temperature = 1, subsets } = options;
  await pool.load("masked", masked);
  const program = await programOf(mask, pool);
  const ranges = await rangesOf(view);
  const h = scale * scale / (2 * sigma * sigma * temperature);
  const rows = queries.length / dimension;
  const means = new Float32Array(rows * mask.outputs.length);
  const lengths = Array.from({ length: rows }, (_, q) => subsets?.[q].rows.length ?? view.count);
  for (let first = 0; first < rows;) {
    const parts = cutQueries(first, lengths, mask.outputs.length, options.batch);
    const last = parts[parts.length - 1].query + 1;
    const batch = Array.from({ length: last - first }, (_, k) => {
      const from = (first + k) * dimension;
      const weights = subsets?.[first + k].logWeights;
      return prepare(view, queries.subarray(from, from + dimension), {
        h,
        program,
        ranges,
        weights,
      });
    });
    await scan(view, { mask, program, h, first, batch, parts, means }, options);
    first = last;
  }
  return means;
}

const programs = new WeakMap<Mask, Promise<TreeProgram>>();

/** The program of a mask, made once. */
async function programOf(mask: Mask, pool: ThreadPool): Promise<TreeProgram> {
  if (mask.dimension > MOST_COORDINATES) {
    throw new DeviceError(
      `Cannot ${MASKED_ACTION}: the mask has ${mask.dimension} coordinates, wanted at most ${MOST_COORDINATES}`,
    );
  }
  let program = programs.get(mask);
  if (!program) {
    program = spanningTree(mask, pool).then((parents) => treeProgram(mask, parents));
    programs.set(mask, program);
    program.catch(() => programs.delete(mask));
  }
  return await program;
}

/**
 * The parents of the columns of a mask in their minimum spanning tree.
 *
 * @param mask The mask.
 * @param pool The threads, of which one works.
 * @returns For each column the number of its parent, −1 for the empty column.
 */
export async function spanningTree(mask: Mask, pool: ThreadPool): Promise<Int32Array> {
  await pool.load("masked", masked);
  const columns = mask.outputs.length;
  const arena = new Arena(PAGE);
  const control = arena.take(8), bits = arena.take(mask.bits.byteLength);
  const parents = arena.take(4 * columns), scratch = arena.take(8 * columns);
  const memory = allocate(arena.end);
  new Uint32Array(memory.buffer, bits, mask.bits.length).set(mask.bits);
  await pool.run({
    module: "masked",
    kernel: "spanningTree",
    memory,
    rows: 1,
    shards: 1,
    control,
    arguments: [bits, mask.words / 2, columns, parents, scratch].map((base) => ({ base })),
  });
  return new Int32Array(memory.buffer, parents, columns).slice();
}

// The first page belongs to the module's own constants.
const PAGE = 65536;

/** The least and the greatest stored number of each coordinate. */
interface Ranges {
  readonly least: Float32Array;
  readonly most: Float32Array;
}

const knownRanges = new WeakMap<WebAssembly.Memory, { generation: number; ranges: Ranges }>();

async function rangesOf(view: StoreView): Promise<Ranges> {
  const { memory, pool, count, dimension, data, rowBytes, bytes, generation } = view;
  const known = knownRanges.get(memory);
  if (known?.generation === generation) return known.ranges;
  const stride = roundUp(dimension, 8), shards = Math.min(count, 8 * pool.threads);
  const arena = new Arena(view.free);
  const control = arena.take(8), out = arena.take(shards * stride * 8);
  grow(memory, arena.end);
  await pool.run({
    module: "masked",
    kernel: "ranges",
    memory,
    rows: count,
    shards,
    control,
    arguments: [
      { base: bytes ? 1 : 0 },
      { base: data, row: rowBytes },
      { rows: 1 },
      { base: rowBytes },
      { base: stride },
      { base: out, shard: stride * 8 },
    ],
  });
  const found = new Float32Array(memory.buffer, out, shards * stride * 2);
  const least = found.slice(0, dimension), most = found.slice(stride, stride + dimension);
  for (let s = 1; s < shards; s++) {
    for (let c = 0, at = 2 * s * stride; c < dimension; c++, at++) {
      least[c] = Math.min(least[c], found[at]);
      most[c] = Math.max(most[c], found[at + stride]);
    }
  }
  const ranges = { least, most };
  knownRanges.set(memory, { generation, ranges });
  return ranges;
}

/** Chooses the integers of a query. */
function prepare(
  { dimension, scale, offset }: StoreView,
  query: Float32Array,
  { h, program, ranges: { least, most }, weights }: {
    h: number;
    program: TreeProgram;
    ranges: Ranges;
    weights?: Float64Array;
  },
): MaskedQuery {
  const q = Float64Array.from(query, (v) => (v - offset) / scale);
  const a = q.slice(), b = q.slice();
  const centre = new Float64Array(dimension), halves = new Float64Array(dimension);
  for (let c = 0; c < dimension; c++) {
    const middle = (least[c] + most[c]) / 2, half = (most[c] - least[c]) / 2;
    // Far from the data (x − q)² would lose their differences; (x − a)(x − b) with a + b = 2q has them still.
    if (Math.abs(q[c] - middle) > 3 * half) [a[c], b[c]] = [middle, 2 * q[c] - middle];
    const ends = [least[c], most[c]].map((x) => (x - a[c]) * (x - b[c]));
    const vertex = q[c] > least[c] && q[c] < most[c] ? (q[c] - a[c]) * (q[c] - b[c]) : ends[0];
    const high = Math.max(...ends), low = Math.min(...ends, vertex);
    centre[c] = (high + low) / 2;
    halves[c] = (high - low) / 2;
  }
  let heaviest = 0, lightest = 0;
  if (weights) {
    [heaviest, lightest] = [-Infinity, Infinity];
    for (const w of weights) {
      heaviest = Math.max(heaviest, w);
      lightest = Math.min(lightest, w);
    }
  }
  const spread = columnSums(program, halves).reduce((x, y) => Math.max(x, y), 0) +
    (heaviest - lightest) / (2 * h);
  if (!(spread < 1e30)) {
    throw new RangeError(
      `Cannot ${MASKED_ACTION}: a query is too far from the data for float32, wanted squared distances below 1e30`,
    );
  }
  const unit = (spread || 1) / UNITS;
  const k = program.largest + 1;
  return {
    q,
    a,
    b,
    centre,
    unit,
    middle: (heaviest + lightest) / 2,
    exact: Math.sqrt(k) * (0.3 + 20 / k) * unit * h > ROUNDING,
  };
}

interface Scan {
  readonly mask: Mask;
  readonly program: TreeProgram;
  readonly h: number;
  readonly first: number;
  readonly batch: readonly MaskedQuery[];
  readonly parts: readonly RowPart[];
  readonly means: Float32Array;
}

async function scan(view: StoreView, task: Scan, options: MaskedOptions): Promise<void> {
  const { memory, pool, bytes, data, rowBytes, dimension, free } = view;
  const { mask, program, batch, parts, first } = task;
  const columns = mask.outputs.length, inputs = roundUp(dimension, 4);
  const exact = batch.some((query) => query.exact);
  const subset = (k: number) => options.subsets?.[first + k];
  const arena = new Arena(free);
  const at = {
    control: arena.take(8),
    program: arena.take(2 * program.words.length),
    mask: exact ? arena.take(mask.bits.byteLength) : 0,
    queries: batch.map(() => arena.take(64 + 20 * inputs)),
    rows: batch.map((_, k) => subset(k) ? arena.take(4 * subset(k)!.rows.length) : 0),
    weights: batch.map((_, k) =>
      subset(k)?.logWeights ? arena.take(8 * subset(k)!.rows.length) : 0
    ),
    jobs: arena.take(JOB * parts.length),
    states: arena.take(STATE * columns * parts.length),
  };
  const scratchBytes = roundUp(320 + 64 * (program.slots + 2 * inputs), 64);
  const scratch = arena.take(scratchBytes * pool.threads);
  grow(memory, arena.end);
  const { buffer } = memory;
  new Uint16Array(buffer, at.program, program.words.length).set(program.words);
  if (exact) writeMask(new Uint32Array(buffer, at.mask, mask.bits.length), mask, program);
  batch.forEach((query, k) => {
    const { rows, logWeights } = subset(k) ?? {};
    writeQuery(buffer, at.queries[k], inputs, query, {
      h: task.h,
      count: rows?.length ?? view.count,
      largest: program.largest,
    });
    if (rows) new Uint32Array(buffer, at.rows[k], rows.length).set(rows);
    if (logWeights) new Float64Array(buffer, at.weights[k], rows!.length).set(logWeights);
  });
  const table = new Uint32Array(buffer, at.jobs, JOB / 4 * parts.length);
  parts.forEach(({ query, from, count }, i) => {
    const k = query - first, states = at.states + i * columns * STATE;
    table.set([at.rows[k], from, count, at.queries[k], states, at.weights[k]], i * JOB / 4);
  });
  await pool.run({
    module: "masked",
    kernel: "scan",
    memory,
    rows: parts.length,
    shards: parts.length,
    control: at.control,
    arguments: [
      { base: bytes ? 1 : 0 },
      { base: data },
      { base: rowBytes },
      { base: inputs },
      { base: at.program },
      { base: columns },
      { base: at.mask },
      { base: mask.words / 2 },
      { base: program.slots },
      { base: at.jobs, row: JOB },
      { base: scratch, thread: scratchBytes },
      { base: at.control + 4 },
    ],
  }, options.signal);
  merge(view, task, at.states, options.batch !== undefined);
}

/** The columns' bits in the order of the program. */
function writeMask(to: Uint32Array, { bits, words }: Mask, { order }: TreeProgram): void {
  order.forEach((m, i) => to.set(bits.subarray(m * words, (m + 1) * words), i * words));
}

function writeQuery(
  buffer: ArrayBufferLike,
  at: number,
  inputs: number,
  { q, a, b, centre, unit, middle, exact }: MaskedQuery,
  { h, count, largest }: { h: number; count: number; largest: number },
): void {
  const bitsPerUnit = unit * h / Math.LN2;
  const bits = BITS_LEFT_OUT + Math.log2(count);
  const units = (bits: number) => Math.min(2 ** 31 - 1, Math.ceil(bits / bitsPerUnit));
  new Float32Array(buffer, at, 2).set([1 / unit, bitsPerUnit]);
  new Int32Array(buffer, at + 8, 4).set([
    units(bits),
    -units(BITS_ABOVE),
    2 * (largest + 2 ** 9),
    exact ? 1 : 0,
  ]);
  new Float64Array(buffer, at + 24, 3).set([h, bits * Math.LN2, middle]);
  const floats = new Float32Array(buffer, at + 64, 3 * inputs).fill(0);
  floats.set(a);
  floats.set(b, inputs);
  floats.set(centre.map((c) => c / unit), 2 * inputs);
  const query = new Float64Array(buffer, at + 64 + 12 * inputs, inputs).fill(0);
  query.set(q);
}

/** Merges the states of the parts of each query, in float64. */
function merge(
  { memory, scale, offset }: StoreView,
  { program: { order }, h, first, batch, parts, means }: Scan,
  states: number,
  averaged: boolean,
): void {
  const columns = order.length, length = columns * parts.length;
  const integers = new Int32Array(memory.buffer, states, STATE / 4 * length);
  const floats = new Float64Array(memory.buffer, states, STATE / 8 * length);
  const energies = new Float64Array(length), z = new Float64Array(length);
  const y = new Float64Array(length);
  parts.forEach(({ query }, p) => {
    const { unit, exact } = batch[query - first];
    order.forEach((column, i) => {
      const at = STATE / 8 * (p * columns + i), to = p * columns + column;
      energies[to] = exact ? floats[at + 3] : integers[2 * at] * unit;
      z[to] = floats[at + 1];
      y[to] = floats[at + 2];
    });
  });
  const merged = mergeParts(parts, { energies, z, y }, columns, h, averaged);
  means.set(merged.map((v) => v * scale + offset), first * columns);
}
