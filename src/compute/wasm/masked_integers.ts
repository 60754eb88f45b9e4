/**
 * The whole numbers that distances to a query become, and their error.
 *
 * @module
 */
import { columnSums } from "../mask_tree.ts";
import type { TreeProgram } from "../mask_tree.ts";
import { MASKED_ACTION } from "../masked_posterior.ts";
import type { Ranges } from "./ranges.ts";
import type { StoreView } from "./store_view.ts";

/** Column sums are at most so many units, so that differences of two fit 32 bits. */
const UNITS = 2 ** 30 - 2 ** 20;
/** An error of a logit, in nats, that float32 arithmetic makes as well. */
const ROUNDING = 5e-5;
/** Rows that are left out weigh less together than float32 rounding: bits, besides those of their number. */
const BITS_LEFT_OUT = 26;
/** A reference may be above the least sum by so many bits. */
const BITS_ABOVE = 8;

/** A query in stored units and what turns its sums into logits. */
export interface MaskedQuery {
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
  /** Twice the largest error of a column sum, in units. */
  readonly margin: number;
}

/** What the integers of a query depend on besides it. */
export interface IntegerContext {
  /** Nats per squared stored unit. */
  readonly h: number;
  /** How columns are summed. */
  readonly program: TreeProgram;
  /** The ranges of the data. */
  readonly ranges: Ranges;
}

/**
 * Chooses the integers of a query.
 *
 * @param view The store.
 * @param query `dimension` numbers in data units.
 * @param context What they depend on besides.
 * @param weights The log-weights of its rows.
 * @throws {RangeError} If the query is too far from the data for float32.
 */
export function prepare(
  { dimension, scale, offset }: StoreView,
  query: Float32Array,
  { h, program, ranges }: IntegerContext,
  weights?: Float64Array,
): MaskedQuery {
  const { least, most } = ranges;
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
  const lightest = weights?.reduce((x, y) => Math.min(x, y)) ?? 0;
  const heaviest = weights ? largest(weights) : 0;
  const spread = largest(columnSums(program, halves)) + (heaviest - lightest) / (2 * h);
  if (!(spread < 1e30)) {
    throw new RangeError(
      `Cannot ${MASKED_ACTION}: a query is too far from the data for float32, wanted squared distances below 1e30`,
    );
  }
  const unit = (spread || 1) / UNITS;
  const k = program.largest + 1;
  const exact = Math.sqrt(k) * (0.3 + 20 / k) * unit * h > ROUNDING;
  const margin = exact ? 2 * (k + 2 ** 9 + queryRounding(program, ranges, a, b) / unit) : 0;
  return { q, a, b, centre, unit, middle: (heaviest + lightest) / 2, exact, margin };
}

function largest(values: Float64Array): number {
  return values.reduce((x, y) => Math.max(x, y));
}

/** By how much rounding a query to float32 may move the differences of column sums, squared stored units. */
function queryRounding(
  program: TreeProgram,
  { least, most }: Ranges,
  a: Float64Array,
  b: Float64Array,
): number {
  // (x − a)(x − b) moves by −x(Δa + Δb), but for what is the same for all rows.
  const moves = a.map((v, c) => 2 ** -24 * (Math.abs(v) + Math.abs(b[c])) * (most[c] - least[c]));
  return largest(columnSums(program, moves));
}

/** Bytes of a query in memory. */
export function queryBytes(inputs: number): number {
  return 64 + 20 * inputs;
}

/**
 * Writes a query as the kernel wants it.
 *
 * @param buffer The memory.
 * @param at Where to.
 * @param inputs Numbers per row that are looked at.
 * @param query The query.
 * @param h Nats per squared stored unit.
 * @param count How many rows it has.
 */
export function writeQuery(
  buffer: ArrayBufferLike,
  at: number,
  inputs: number,
  { q, a, b, centre, unit, middle, exact, margin }: MaskedQuery,
  h: number,
  count: number,
): void {
  const bitsPerUnit = unit * h / Math.LN2;
  const bits = BITS_LEFT_OUT + Math.log2(count);
  const units = (bits: number) => Math.min(2 ** 31 - 1, Math.ceil(bits / bitsPerUnit));
  new Float32Array(buffer, at, 2).set([1 / unit, bitsPerUnit]);
  new Int32Array(buffer, at + 8, 4).set([
    units(bits),
    -units(BITS_ABOVE),
    Math.min(2 ** 31 - 1, Math.ceil(margin)),
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
