/**
 * The masked posterior mean on the CPU device: the thin caller of `masked.as`.
 *
 * @module
 */
import type { Mask } from "../mask.ts";
import type { TreeProgram } from "../mask_tree.ts";
import { cutQueries, mergeParts } from "../masked_parts.ts";
import type { RowPart } from "../masked_parts.ts";
import type { MaskedOptions } from "../masked_posterior.ts";
import { programOf } from "./mask_program.ts";
import { prepare, queryBytes, writeQuery } from "./masked_integers.ts";
import type { MaskedQuery } from "./masked_integers.ts";
import { Arena, grow, roundUp } from "./memory.ts";
import * as masked from "./modules/masked.ts";
import { rangesOf } from "./ranges.ts";
import type { StoreView } from "./store_view.ts";

/** Bytes of a job and of a column's state; the kernel agrees. */
const JOB = 24, STATE = 32;
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
      const query = queries.subarray(from, from + dimension);
      return prepare(view, query, { h, program, ranges }, subsets?.[first + k].logWeights);
    });
    await scan(view, { mask, program, h, first, batch, parts, means }, options);
    first = last;
  }
  return means;
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
    queries: batch.map(() => arena.take(queryBytes(inputs))),
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
    writeQuery(buffer, at.queries[k], inputs, query, task.h, rows?.length ?? view.count);
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
