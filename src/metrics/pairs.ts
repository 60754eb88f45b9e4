/**
 * Distances between paired samples: sample `i` of one set against sample `i` of the other.
 *
 * These are the measures of the published comparisons of analytic denoisers with
 * networks; papers differ in the range of the numbers, so say which one is meant.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { medianOf } from "../base/_quantile.ts";
import { squaredDistance } from "./_distances.ts";
import { checkRows } from "./_rows.ts";
import { pairOf } from "./samples.ts";
import type { RowsOptions, SampleRows, Samples } from "./samples.ts";
import { differenceIn, fromUnit, powerOfTwo } from "../base/_unit.ts";

/** One score per pair, their mean and their median. */
export interface PairScores {
  /** One score per pair. */
  readonly perSample: Float64Array;
  /** The plain mean of the scores. */
  readonly mean: number;
  /** The median of the scores; of an even number, the mean of the middle two. */
  readonly median: number;
}

/** Options of the measures of pairs. */
export interface PairOptions extends RowsOptions {
  /**
   * Map numbers from [-1, 1] to [0, 1] and clamp them there, as most published
   * numbers do. Default `false`: numbers are taken as they are.
   */
  readonly toUnit?: boolean;
}

const OPTIONS = { dimension: undefined, toUnit: undefined } satisfies OptionTable<PairOptions>;

/**
 * The mean squared error of each sample, and its mean over the samples.
 *
 * ```text
 * MSE(a, b) = ‖a − b‖² / d
 * ```
 *
 * As the numbers are, for images in [-1, 1] and not clamped; with
 * {@linkcode PairOptions.toUnit} in [0, 1] and clamped. Where nothing is clamped, the first is 4
 * times the second.
 *
 * @param a Samples, `B` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Samples, `B` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. The range convention.
 * @returns `B` errors, in squared data units, and their mean.
 * @throws {TypeError} If the lengths differ or are no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, or a squared error exceeds float64.
 *
 * @example The two range conventions differ by a factor of 4
 * ```ts
 * import { mse } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const a = Float32Array.of(0, 0.5), b = Float32Array.of(0.5, 0.5);
 * assert.equal(mse(a, b, { dimension: 2 }).mean, 0.125);
 * assert.equal(mse(a, b, { dimension: 2, toUnit: true }).mean, 0.125 / 4);
 * ```
 */
export function mse(
  a: Samples,
  b: Samples,
  options: PairOptions = {},
): PairScores {
  const action = "compute the mean squared error";
  checkOptionNames(action, options, OPTIONS);
  const { first, second, dimension } = pairOf(a, b, action, options.dimension);
  checkPairs(first, second, dimension, action);
  return score(first, second, dimension, options, (x, y) => {
    const { square, unit } = squaredDistance(x, y);
    return fromUnit(square / dimension, unit, 2, action);
  });
}

/**
 * The coefficient of determination of each sample against its reference, and its mean over the samples.
 *
 * ```text
 * r² = 1 − ‖p − q‖² / (d · var(q)),   var(q) = Σ (q_c − mean(q))² / (d − 1)
 * ```
 *
 * The variance is over the numbers of that one reference sample; a variance of 0
 * is replaced by 1. The measure is 1 for equal samples, has no lower end, and
 * changes when the two sets are exchanged. It is not the square of a
 * correlation. Without clamping it does not depend on the range convention.
 *
 * Reference: A. Lukoianov et al. (2025), arXiv:2509.09672, as computed by the code of arXiv:2602.16498.
 *
 * @param predicted Samples `p` to judge, `B` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param reference Samples `q` to judge them by, `B` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. The range convention.
 * @returns `B` scores, at most 1, and their mean.
 * @throws {TypeError} If the lengths differ or are no positive, whole number of rows of at least 2 numbers.
 * @throws {RangeError} If a number is not finite.
 *
 * @example The mean of the reference as a prediction scores 1/d, because var divides by d − 1
 * ```ts
 * import { rSquared } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const reference = Float64Array.of(1, 2, 3, 6);
 * assert.equal(rSquared(reference, reference, { dimension: 4 }).mean, 1);
 * assert.equal(rSquared(Float64Array.of(3, 3, 3, 3), reference, { dimension: 4 }).mean, 0.25);
 * ```
 */
export function rSquared(
  predicted: Samples,
  reference: Samples,
  options: PairOptions = {},
): PairScores {
  const action = "compute r²";
  checkOptionNames(action, options, OPTIONS);
  const { first, second, dimension } = pairOf(predicted, reference, action, options.dimension);
  checkPairs(first, second, dimension, action);
  if (dimension < 2) {
    throw new TypeError(
      `Cannot ${action}: dimension is ${dimension}, wanted at least 2 numbers per sample, since one has no variance`,
    );
  }
  return score(first, second, dimension, options, (p, q) => {
    const error = squaredDistance(p, q), away = centred(q);
    const variance = dot(away.row, away.row) / (dimension - 1);
    // Units come last: their squares may be beyond float64 where their ratio is not.
    const ratio = error.unit / (variance === 0 ? 1 : away.unit);
    return 1 - error.square / (dimension * (variance === 0 ? 1 : variance)) * ratio * ratio;
  });
}

/**
 * Pearson's correlation of each sample with its reference, the agreement that papers of
 * local score machines print as "r²"; they give its median.
 *
 * ```text
 * r = ⟨p − mean(p), q − mean(q)⟩ / (‖p − mean(p)‖ ‖q − mean(q)‖)
 * ```
 *
 * The cosine of the two images, each less the mean of its own numbers. It is not squared,
 * and neither {@linkcode rSquared} nor its root: an image of half the contrast has `r = 1`. Without
 * clamping it does not depend on the range convention.
 *
 * Reference: M. Kamb, S. Ganguli (2024), arXiv:2412.20292.
 *
 * @param a Samples, `B` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Samples, `B` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. The range convention.
 * @returns `B` correlations in [-1, 1], their mean and their median.
 * @throws {TypeError} If the lengths differ or are no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, or a sample is constant.
 *
 * @example Contrast and brightness do not matter, the sign does
 * ```ts
 * import { pearson } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const reference = Float64Array.of(0, 0, 1, 1, 0, 0, 1, 1);
 * const { perSample } = pearson(Float64Array.of(5, 5, 7, 7, 1, 1, 0, 0), reference, { dimension: 4 });
 * assert.deepEqual([...perSample], [1, -1]);
 * ```
 */
export function pearson(
  a: Samples,
  b: Samples,
  options: PairOptions = {},
): PairScores {
  const action = "compute the correlation";
  checkOptionNames(action, options, OPTIONS);
  const { first, second, dimension } = pairOf(a, b, action, options.dimension);
  checkPairs(first, second, dimension, action);
  return score(first, second, dimension, options, (x, y, i) => {
    const u = centred(x).row, v = centred(y).row;
    const squares = dot(u, u) * dot(v, v);
    if (squares === 0) {
      throw new RangeError(
        `Cannot ${action}: all numbers of sample ${i} are equal in one of the sets, wanted samples that vary`,
      );
    }
    // Rounding may leave a cosine a little above 1.
    return Math.max(-1, Math.min(1, dot(u, v) / Math.sqrt(squares)));
  });
}

/**
 * The row less its mean, in a unit near its largest number; exactly 0 for a constant row, because differences
 * from the first number are taken.
 */
function centred(row: Float64Array): { row: Float64Array; unit: number } {
  const unit = powerOfTwo(row.reduce((most, v) => Math.max(most, Math.abs(v - row[0])), 0));
  const shifted = row.map((v) => differenceIn(1 / unit, v, row[0]));
  const mean = shifted.reduce((sum, v) => sum + v, 0) / row.length;
  return { row: shifted.map((v) => v - mean), unit };
}

function dot(x: Float64Array, y: Float64Array): number {
  return x.reduce((sum, v, c) => sum + v * y[c], 0);
}

function score(
  a: SampleRows,
  b: SampleRows,
  dimension: number,
  { toUnit = false }: PairOptions,
  measure: (x: Float64Array, y: Float64Array, i: number) => number,
): PairScores {
  const row = (rows: SampleRows, i: number) => {
    const numbers = Float64Array.from(
      rows.subarray(i * dimension, (i + 1) * dimension),
    );
    return toUnit ? numbers.map(unit) : numbers;
  };
  const perSample = Float64Array.from(
    { length: a.length / dimension },
    (_, i) => measure(row(a, i), row(b, i), i),
  );
  const sum = perSample.reduce((sum, v) => sum + v, 0), n = perSample.length;
  return {
    perSample,
    // The sum of scores may be beyond float64 where their mean is not.
    mean: Number.isFinite(sum) ? sum / n : perSample.reduce((mean, v) => mean + v / n, 0),
    median: medianOf(perSample),
  };
}

function unit(v: number): number {
  return Math.min(1, Math.max(0, (v + 1) / 2));
}

function checkPairs(
  a: SampleRows,
  b: SampleRows,
  dimension: number,
  action: string,
): void {
  if (a.length !== b.length) {
    throw new TypeError(
      `Cannot ${action}: received ${a.length} and ${b.length} numbers, wanted equally many`,
    );
  }
  checkRows(a, dimension, action);
  checkRows(b, dimension, action);
}
