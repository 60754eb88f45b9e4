/**
 * How far rounding may move what a store computes: bounds, by the longest chain of operations that its kernels state.
 *
 * @module
 */
import type { StateNumbers } from "./batch.ts";
import { FAR, isFromMiddle, spreadOf, squareFrom } from "./data_box.ts";
import type { DataBox } from "./data_box.ts";
import type { Affine } from "./posterior.ts";
import type { PosteriorPlan } from "./posterior_plan.ts";

/** Unit roundoff of float32 and of float64. */
export const EPS32: number = 2 ** -24, EPS64: number = 2 ** -53;

/** A query, and what is known of the data around it. */
export interface RoundedQuery {
  /** The query, `d` numbers in data units. */
  readonly values: StateNumbers;
  /** Its noise level. */
  readonly sigma: number;
  /** The largest squared distance of a row that weighs, in squared data units. */
  readonly square: number;
  /** No two rows are farther apart, in data units. */
  readonly diameter: number;
  /** The entropy of the weights, nats. */
  readonly entropy: number;
}

/** How far rounding may move the posterior of one query. */
export interface PosteriorRounding {
  /** Every logit, nats, apart from what all have in common, which cancels. */
  readonly logits: number;
  /** The weights from these logits: the sum of the changes of all. */
  readonly weights: number;
  /** The weighted sum, per number, relative to the largest distance of a stored number to {@linkcode StoreRounding.origin}. */
  readonly sums: number;
}

/** How far rounding may move what a store computes. */
export interface StoreRounding {
  /** The value in data units that a stored 0 stands for. */
  readonly origin: number;
  /** Whether squared distances to listed rows are right to float64, or nearly. */
  readonly exactDistances: boolean;
  /** Of `posterior()`. */
  posterior(query: RoundedQuery): PosteriorRounding;
  /** Of the weighted sum of `posteriorOn()` over so many rows; relative as {@linkcode PosteriorRounding.sums}. */
  listed(rows: number): number;
}

/** Of the float64 device: what float64 rounds is {@linkcode float64Logits}; sums are float64, results float32. */
export function float64Rounding(count: number, dimension: number): StoreRounding {
  return {
    origin: 0,
    exactDistances: true,
    posterior: ({ sigma, square }) => ({
      logits: float64Logits(dimension, square / (2 * sigma * sigma)),
      weights: 4 * EPS64,
      sums: (count + 4) * EPS64,
    }),
    // What weighs next to nothing is left out.
    listed: (rows) => (rows + 4) * EPS64 + 2 ** -26,
  };
}

/**
 * How far float64 rounding moves a logit of direct differences, nats.
 *
 * @param dimension Numbers per row.
 * @param logit The logit's size, nats.
 */
export function float64Logits(dimension: number, logit: number): number {
  return (dimension + 8) * EPS64 * (1 + Math.abs(logit));
}

/** How data lie in a CPU store. */
export interface WasmShape extends Affine {
  readonly count: number;
  readonly dimension: number;
  /** Whether rows hold bytes; `offset` is that of the signed byte 0. */
  readonly bytes: boolean;
  readonly blockRows: number;
  readonly shards: number;
  /** Whether the scan looks at the first digit of a query alone, at nats per squared stored unit. */
  oneDigit(largest: number, g: number): boolean;
  /** The box of floats, once a posterior was computed. */
  box(): DataBox | undefined;
}

/**
 * Of the CPU device, see `posterior.as` and `subset.as`:
 *
 * - distances to floats: one rounding of each difference, its square, and sums in 4 lanes over 256 numbers; of queries
 *   compared from the middle of the data, one rounding of the query and the same sums of products, relative to `2 ‖q − c‖ ‖xᵢ − c‖`;
 * - distances to bytes: exact but for what is left of the query after one digit or two, `r`: `2⟨r, xᵢ − xⱼ⟩` between rows;
 * - sums, of floats about the middle: a block of rows from zero, then blocks, rescaled when a nearer row is found. Where the weights of a block of
 *   bytes are even they become integers, each off by half a unit: `R/2·32767` of the sum, `R = √N/16`.
 */
export function wasmRounding(shape: WasmShape): StoreRounding {
  const { count, bytes, offset, blockRows, shards } = shape;
  const blocks = Math.ceil(count / shards / blockRows) + 1;
  const evenness = Math.sqrt(count) / 16;
  const quantised = bytes && evenness >= 1 ? 0.51 * evenness / 32767 : 0;
  const sums = (blockRows + 4 * blocks + 4) * EPS32 + quantised;
  return {
    origin: offset,
    exactDistances: true,
    posterior: (query) => ({
      logits: bytes ? digitLogits(shape, query) : floatLogits(shape, query),
      // The exponential is right to 1e-11; rows that are left out weigh 2^-26.
      weights: 2 ** -25,
      sums,
    }),
    listed: (rows) => (Math.min(rows, Math.max(256, Math.ceil(rows / 32))) + 4) * EPS32 + 2 ** -26,
  };
}

function floatLogits({ dimension, box }: WasmShape, query: RoundedQuery): number {
  const { values, sigma, square } = query, known = box();
  // Nothing was computed yet that could be off.
  if (!known) return Infinity;
  const rate = 0.5 / (sigma * sigma);
  const roundings = (Math.ceil(Math.min(dimension + 7, 256) / 4) + 6) * EPS32;
  if (!isFromMiddle(values, sigma, known)) {
    return roundings * square * rate + float64Logits(dimension / 64, square * rate);
  }
  const away = Math.sqrt(squareFrom(values, known.centre)), { radius } = known;
  return 2 * roundings * away * radius * rate +
    (dimension + 8) * EPS64 * (away + radius) ** 2 * rate;
}

function digitLogits(
  { scale, offset, dimension, oneDigit }: WasmShape,
  { values, sigma, diameter }: RoundedQuery,
): number {
  let largest = 0, square = 0;
  for (const v of values) {
    const q = (v - offset) / scale;
    largest = Math.max(largest, Math.abs(q));
    square += q * q;
  }
  const g = 0.5 * (scale / sigma) ** 2;
  const s1 = Math.max(largest, 2 ** -100) / 32767;
  let left = s1 / 65534 / 2 * Math.sqrt(dimension);
  if (oneDigit(largest, g)) {
    let rest = 0;
    for (const v of values) {
      const q = (v - offset) / scale;
      rest += (q - s1 * Math.round(q / s1)) ** 2;
    }
    left = Math.sqrt(rest) * (1 + 1e-6);
  }
  // The terms of a distance are added in float64.
  const terms = 8 * EPS64 * (square + 2 ** 14 * dimension);
  return g * (left * diameter / scale + terms);
}

/** How data lie in a GPU store. */
export interface GpuShape extends Affine {
  readonly plan: PosteriorPlan;
  readonly count: number;
  readonly dimension: number;
  /** The box of the data, stored units. */
  readonly box: DataBox;
  /** Parts of the data that kernels for listed rows see one after the other. */
  readonly segments: number;
}

/**
 * Of the GPU device, see `posterior_wgsl.ts` and `subset_wgsl.ts`, where WGSL rounds sums and products correctly:
 *
 * - a query is rounded relative to the middle `c` of the data, four times, and once more for bytes, `2⟨Δq, xᵢ − xⱼ⟩` between
 *   rows; floats near the data are taken as they are;
 * - distances: runs of 64 numbers, runs, a tree; relative to the distance, or for a query compared from the middle
 *   to `‖c − xᵢ‖ (‖c − xᵢ‖ + 2‖q − c‖)`;
 * - weights: two roundings and three of the exponent;
 * - sums: the rows of a split, chunks, splits; Z likewise.
 */
export function gpuRounding(shape: GpuShape): StoreRounding {
  const { plan, count, scale, offset, segments } = shape;
  const chunks = Math.ceil(count / plan.chunkRows);
  const rows = Math.min(count, plan.chunkRows);
  const sums =
    (Math.ceil(rows / plan.splits) + Math.ceil(rows / 256) + 6 * chunks + plan.splits + 40) *
    EPS32;
  // The way back to data units: two products and a sum, of constants that are rounded.
  const back = 6 * (1 + Math.abs(offset) / (255 * scale)) * EPS32;
  return {
    origin: offset,
    exactDistances: false,
    posterior: (query) => ({
      logits: gpuLogits(shape, query),
      weights: (8 + 4 * query.entropy) * EPS32 + 2 ** -25,
      sums: sums + (plan.bytes ? back : 6 * EPS32),
    }),
    listed: (rows) =>
      (16 + Math.ceil(rows / 128) + 2 * segments + 8 + 4) * EPS32 + 2 ** -26 +
      (plan.bytes ? back : 6 * EPS32),
  };
}

function gpuLogits(
  { plan, dimension, scale, offset, box }: GpuShape,
  { values, sigma, square, diameter }: RoundedQuery,
): number {
  const { lanes } = plan;
  const roundings = 64 + Math.ceil(dimension / (64 * lanes)) + Math.log2(lanes) + 8;
  const rate = 0.5 / (sigma * sigma), radius = box.radius * scale;
  const stored = Float64Array.from(values, (v) => (v - offset) / scale);
  const away = Math.sqrt(squareFrom(stored, box.centre)) * scale;
  const moved = plan.bytes ? EPS32 * (5 * away + radius) : 0;
  const near = rate * (roundings * EPS32 * square + moved * diameter);
  const middle = rate *
    (roundings * EPS32 * radius * (radius + 2 * away) + 10 * EPS32 * away * diameter);
  // Which of the two it is, the kernel decides in float32.
  const share = Math.max(away / (FAR * radius), sigma / (scale * spreadOf(box)));
  if (share < 0.999) return near;
  return share > 1.001 ? middle : Math.max(near, middle);
}

/**
 * Of data that are streamed: rows that are listed are measured and summed in float64. Chunks of a GPU are measured
 * from a centre of their own each, so that no bound is stated for the posterior over all.
 */
export function streamedRounding(dimension: number): StoreRounding {
  return {
    ...float64Rounding(0, dimension),
    posterior: () => ({ logits: Infinity, weights: 0, sums: 0 }),
  };
}
