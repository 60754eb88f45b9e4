/**
 * Energy distance and maximum mean discrepancy: distances between laws by means over pairs.
 *
 * @module
 */
import { checkPositive } from "../base/_checks.ts";
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { medianOf } from "../base/_quantile.ts";
import { eachRowOfSquares } from "./_distances.ts";
import { checkRows } from "./_rows.ts";
import { pairOf } from "./samples.ts";
import type { RowsOptions, Samples } from "./samples.ts";
import { fromUnit, unitOf } from "../base/_unit.ts";

/** Options of {@linkcode energyDistance}. */
export interface DiscrepancyOptions extends RowsOptions {
  /**
   * Leave out each point's pair with itself, which makes the estimate unbiased but lets it be
   * negative. Default false: the distance between the two samples as they are, never negative.
   */
  readonly unbiased?: boolean;
}

/** Options of {@linkcode mmd}. */
export interface MmdOptions extends DiscrepancyOptions {
  /** The width `h` of the Gaussian kernel, in data units. Default: the median distance over all pairs of points that differ. */
  readonly bandwidth?: number;
}

/** What {@linkcode mmd} returns. */
export interface Mmd {
  /** The squared discrepancy, without unit. */
  readonly squared: number;
  /** The width of the kernel that was used, in data units; NaN where all points are equal and any width gives 0. */
  readonly bandwidth: number;
}

const OPTIONS = { dimension: undefined, unbiased: undefined } satisfies OptionTable<
  DiscrepancyOptions
>;

/**
 * The energy distance between two samples.
 *
 * ```text
 * E(a, b) = 2 E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖
 * ```
 *
 * Reference: G. Székely, M. Rizzo (2013), Energy statistics: a class of statistics based on
 * distances, J. Statistical Planning and Inference 143, 1249-1272.
 *
 * @param a Points, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Points, `m` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. Whether to leave out pairs of a point with itself.
 * @returns The distance, in data units; 0 between equal sets.
 * @throws {TypeError} If a set is no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, distances exceed float64, or an unbiased estimate is asked of a single point.
 *
 * @example
 * ```ts
 * import { energyDistance } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(energyDistance([0], [3], { dimension: 1 }), 6);
 * ```
 */
export function energyDistance(
  a: Samples,
  b: Samples,
  options: DiscrepancyOptions = {},
): number {
  const action = "compute the energy distance";
  checkOptionNames(action, options, OPTIONS);
  const { first, second, dimension } = pairOf(a, b, action, options.dimension);
  checkSets(first, second, dimension, options, action);
  const unit = unitOf(dimension, first, second);
  const mean = (x: ArrayLike<number>, y: ArrayLike<number>, same: boolean) =>
    meanOverPairs(x, y, dimension, unit, same && options.unbiased === true, Math.sqrt, 0);
  const distance = 2 * mean(first, second, false) - mean(first, first, true) -
    mean(second, second, true);
  return fromUnit(distance, unit, 1, action);
}

const MMD_OPTIONS = { ...OPTIONS, bandwidth: undefined } satisfies OptionTable<MmdOptions>;

/**
 * The maximum mean discrepancy between two samples, for a Gaussian kernel.
 *
 * ```text
 * MMD² = E k(X, X') + E k(Y, Y') − 2 E k(X, Y),   k(x, y) = exp(−‖x − y‖² / 2h²)
 * ```
 *
 * Reference: A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola (2012), A kernel two-sample
 * test, J. Machine Learning Research 13, 723-773.
 *
 * @param a Points, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Points, `m` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. The width of the kernel; whether to leave out pairs of a point with itself.
 * @returns The squared discrepancy and the width. Compare only values of one width. Without a width given, the
 * discrepancy of sets that are one point each, the same, is 0.
 * @throws {TypeError} If a set is no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, the width is not positive, or an unbiased estimate is asked of a single point.
 *
 * @example Far apart beside the width, only a point's kernel with itself is left
 * ```ts
 * import { mmd } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(mmd([0], [100], { dimension: 1, bandwidth: 1 }).squared, 2);
 * ```
 */
export function mmd(
  a: Samples,
  b: Samples,
  options: MmdOptions = {},
): Mmd {
  const action = "compute the maximum mean discrepancy";
  checkOptionNames(action, options, MMD_OPTIONS);
  const { first, second, dimension } = pairOf(a, b, action, options.dimension);
  checkSets(first, second, dimension, options, action);
  if (options.bandwidth !== undefined) checkPositive(action, "bandwidth", options.bandwidth);
  const unit = unitOf(dimension, first, second);
  const bandwidth = options.bandwidth ?? medianDistance(first, second, dimension, unit) * unit;
  if (Number.isNaN(bandwidth)) return { squared: 0, bandwidth };
  const width = bandwidth / unit;
  // A width of 0 in this unit tells equal points from others.
  const kernel = (square: number) => square === 0 ? 1 : Math.exp(-square / (2 * width * width));
  const mean = (x: ArrayLike<number>, y: ArrayLike<number>, same: boolean) =>
    meanOverPairs(x, y, dimension, unit, same && options.unbiased === true, kernel, 1);
  return {
    squared: mean(first, first, true) + mean(second, second, true) - 2 * mean(first, second, false),
    bandwidth,
  };
}

function checkSets(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  dimension: number,
  { unbiased }: DiscrepancyOptions,
  action: string,
): void {
  const least = Math.min(checkRows(a, dimension, action), checkRows(b, dimension, action));
  if (unbiased && least < 2) {
    throw new RangeError(
      `Cannot ${action}: received ${least} point, wanted at least 2 for an unbiased estimate`,
    );
  }
}

/** The mean of a function of squared distances over all pairs, or over those of different points. */
function meanOverPairs(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  dimension: number,
  unit: number,
  skipSelf: boolean,
  of: (square: number) => number,
  self: number,
): number {
  const n = x.length / dimension, m = y.length / dimension;
  let sum = 0;
  eachRowOfSquares(x, y, dimension, unit, (_, squares) => {
    let row = 0;
    for (const square of squares) row += of(square);
    sum += row;
  });
  return skipSelf ? (sum - n * self) / (n * (n - 1)) : sum / (n * m);
}

/** Points of each set that the median is taken over; more would not change a width noticeably. */
const MOST_FOR_MEDIAN = 1000;

/** The median distance between points of both sets together, evenly thinned, that differ; NaN if none do. */
function medianDistance(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  dimension: number,
  unit: number,
): number {
  const x = thinned(a, dimension), y = thinned(b, dimension);
  const points = new Float64Array(x.length + y.length);
  points.set(x);
  points.set(y, x.length);
  const n = points.length / dimension;
  const squares = new Float64Array(n * (n - 1) / 2);
  let at = 0;
  eachRowOfSquares(points, points, dimension, unit, (row, all) => {
    squares.set(all.subarray(row + 1), at);
    at += n - row - 1;
  });
  const apart = squares.filter((square) => square > 0);
  if (apart.length > 0) return Math.sqrt(medianOf(apart));
  // Thinning may have left out the few that differ: the unit is about their distance.
  const differ = [a, b].some((set) =>
    Array.prototype.some.call(set, (v, at) => v !== a[at % dimension])
  );
  return differ ? 1 : NaN;
}

function thinned(points: ArrayLike<number>, dimension: number): Float64Array {
  const n = points.length / dimension, kept = Math.min(n, MOST_FOR_MEDIAN);
  return Float64Array.from(
    { length: kept * dimension },
    (_, at) =>
      points[Math.floor(Math.floor(at / dimension) * n / kept) * dimension + at % dimension],
  );
}
