/**
 * The masked posterior mean on a GPU device: the thin caller of `masked_wgsl.ts`.
 *
 * @module
 */
import { comparisonOf } from "../data_box.ts";
import type { Mask } from "../mask.ts";
import { cutQueries, mergeParts } from "../masked_parts.ts";
import type { RowPart } from "../masked_parts.ts";
import type { MaskedOptions } from "../masked_posterior.ts";
import { maskedShader, NO_ENERGY, TILE } from "./masked_wgsl.ts";
import { WORKGROUP } from "../posterior_plan.ts";
import { bind, dispatch, segments, storedQuery, using, vectorsOf } from "./subset.ts";
import type { GpuRows, Segment } from "./subset.ts";

/** Work-groups along the second axis, at most. */
const MOST_JOBS = 2 ** 15;

/** What all dispatches of one call share. */
interface Call {
  readonly rows: GpuRows;
  readonly values: Float32Array;
  readonly mask: Mask;
  /** Nats per squared stored unit. */
  readonly h: number;
  readonly options: MaskedOptions;
}

/**
 * The masked posterior means of a batch of queries.
 *
 * @param rows The data.
 * @param values Queries, rows of `dimension` numbers in data units.
 * @param sigma The noise level in data units.
 * @param mask The mask.
 * @param options Subsets, temperature, averaging, and a signal that cancels.
 * @returns One number per column for each query, in data units.
 */
export async function maskedMeans(
  rows: GpuRows,
  values: Float32Array,
  sigma: number,
  mask: Mask,
  options: MaskedOptions,
): Promise<Float32Array> {
  const { scale, offset } = rows.affine;
  const { temperature = 1, subsets, batch } = options;
  const h = scale * scale / (2 * sigma * sigma * temperature);
  const queries = values.length / rows.dimension, columns = mask.outputs.length;
  const lengths = Array.from({ length: queries }, (_, q) => subsets?.[q].rows.length ?? rows.count);
  const means = new Float32Array(queries * columns);
  for (let first = 0; first < queries;) {
    const parts = cutQueries(first, lengths, columns, batch);
    const states = await sums({ rows, values, mask, h, options }, parts);
    const column = (k: number) =>
      Float64Array.from({ length: parts.length * columns }, (_, i) => states[4 * i + k]);
    const sum = { energies: column(0), z: column(1), y: column(2) };
    const merged = mergeParts(parts, sum, columns, h, batch !== undefined);
    means.set(merged.map((v) => v * scale + offset), first * columns);
    first = parts[parts.length - 1].query + 1;
  }
  return means;
}

/** The states of all parts: four floats per part and column. */
async function sums(call: Call, parts: readonly RowPart[]): Promise<Float32Array> {
  const { rows, mask, options: { signal } } = call;
  const { gpu, plan } = rows;
  const pipeline = gpu.pipeline(maskedShader(plan));
  const length = 4 * parts.length * mask.outputs.length;
  const states = new Float32Array(length);
  for (let i = 0; i < length; i += 4) states[i] = NO_ENERGY;
  await using(gpu, async (make) => {
    const { STORAGE, COPY_DST, COPY_SRC, UNIFORM, MAP_READ } = GPUBufferUsage;
    const write = async (words: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>) => {
      const buffer = await make(words.byteLength, STORAGE | COPY_DST | COPY_SRC);
      gpu.device.queue.writeBuffer(buffer, 0, words);
      return buffer;
    };
    const common = {
      queries: await write(coefficients(call)),
      mask: await write(Uint32Array.from(mask.bits)),
      outputs: await write(Uint32Array.from(mask.outputs)),
      states: await write(states),
      work: await make(16, UNIFORM | COPY_DST),
    };
    const words = Uint32Array.of(mask.outputs.length, mask.words, plan.vectors, 0);
    new Float32Array(words.buffer)[3] = call.h;
    gpu.device.queue.writeBuffer(common.work, 0, words);
    for (const segment of segments(rows, parts.map((part) => listOf(call, part)))) {
      await using(gpu, async (make) => {
        const { words, starts } = entryWords(call, parts, segment);
        const entries = await make(words.byteLength, STORAGE | COPY_DST);
        gpu.device.queue.writeBuffer(entries, 0, words);
        const table = await make(16 * parts.length, STORAGE | COPY_DST);
        const group = bind(gpu, pipeline, [
          segment.binding,
          common.queries,
          entries,
          table,
          common.mask,
          common.outputs,
          common.states,
          common.work,
        ]);
        for (const jobs of dispatches(call, parts, starts)) {
          gpu.device.queue.writeBuffer(table, 0, jobs);
          const across = Math.ceil(mask.outputs.length / WORKGROUP);
          rows.submit(
            signal,
            (encoder) => dispatch(encoder, pipeline, group, across, jobs.length / 4),
          );
          await rows.pace.wait();
        }
      });
    }
    const staging = await make(states.byteLength, MAP_READ | COPY_DST);
    rows.submit(
      signal,
      (encoder) => encoder.copyBufferToBuffer(common.states, 0, staging, 0, states.byteLength),
    );
    await gpu.read(staging, (bytes) => states.set(new Float32Array(bytes)));
  });
  return states;
}

/** How each query is compared, coordinate by coordinate. */
function coefficients({ rows, values }: Call): Float32Array<ArrayBuffer> {
  const queries = values.length / rows.dimension;
  return vectorsOf(
    rows,
    Array.from({ length: queries }, (_, q) => comparisonOf(storedQuery(rows, values, q), rows.box)),
  );
}

/** The rows of a part. */
function listOf({ options: { subsets } }: Call, { query, from, count }: RowPart): Uint32Array {
  return subsets
    ? subsets[query].rows.subarray(from, from + count)
    : Uint32Array.from({ length: count }, (_, i) => from + i);
}

/** The entries of a segment, and where those of each part begin. */
function entryWords(
  { options: { subsets }, h }: Call,
  parts: readonly RowPart[],
  { first, places }: Segment,
) {
  const words = new Uint32Array(2 * places.length);
  const energies = new Float32Array(words.buffer);
  const starts = new Uint32Array(parts.length + 1);
  // Weights relative to the largest: energies of the size of those they are added to.
  const most = subsets?.map(({ logWeights }) => logWeights?.reduce((a, b) => Math.max(a, b)) ?? 0);
  places.forEach(({ query: part, index, row }, i) => {
    const { query, from } = parts[part];
    const weight = subsets?.[query].logWeights?.[from + index] ?? 0;
    words[2 * i] = row - first;
    energies[2 * i + 1] = ((most?.[query] ?? 0) - weight) / h;
    starts[part + 1]++;
  });
  for (let p = 0; p < parts.length; p++) starts[p + 1] += starts[p];
  return { words, starts };
}

/** The jobs of each dispatch: per part a range of its entries, few enough to hear a signal. */
function* dispatches(
  { rows, mask }: Call,
  parts: readonly RowPart[],
  starts: Uint32Array,
): Generator<Uint32Array<ArrayBuffer>> {
  const tile = TILE * 64 * Math.ceil(mask.outputs.length / 64) * 4 * rows.plan.vectors;
  const longest = Math.max(...parts.map((_, p) => starts[p + 1] - starts[p]));
  for (let begin = 0, end = 0; begin < parts.length; begin = end) {
    end = Math.min(parts.length, begin + Math.min(MOST_JOBS, rows.pace.chunks(tile)));
    for (let from = 0; from < longest;) {
      const span = TILE * Math.max(1, Math.floor(rows.pace.chunks(tile) / (end - begin)));
      const jobs: number[] = [];
      for (let p = begin; p < end; p++) {
        const first = starts[p] + from, last = Math.min(starts[p + 1], first + span);
        if (first < last) jobs.push(first, last, parts[p].query, p);
      }
      from += span;
      if (jobs.length > 0) yield Uint32Array.from(jobs);
    }
  }
}
