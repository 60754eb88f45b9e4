/**
 * Precision and recall of samples against data: quality and coverage, told apart.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { eachRowOfSquares } from "./_distances.ts";
import { checkRows } from "./_rows.ts";
import { pairOf } from "./samples.ts";
import type { RowsOptions, Samples } from "./samples.ts";
import { unitOf } from "../base/_unit.ts";

const ACTION = "compute precision and recall";

/** What {@linkcode precisionRecall} returns. */
export interface PrecisionRecall {
  /** Share of the samples that lie in the manifold of the data. */
  readonly precision: number;
  /** Share of the data that lie in the manifold of the samples. */
  readonly recall: number;
}

/** Options of {@linkcode precisionRecall}. */
export interface PrecisionRecallOptions extends RowsOptions {
  /** Which nearest neighbour gives the radius of a ball. Default 3. */
  readonly k?: number;
}

const OPTIONS = { dimension: undefined, k: 3 } satisfies OptionTable<PrecisionRecallOptions>;

/**
 * Precision and recall by nearest neighbours: each set's manifold is the union of balls around its
 * points that reach to their `k`-th nearest neighbour.
 *
 * Reference: T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila (2019), Improved precision
 * and recall metric for assessing generative models, arXiv:1904.06991.
 *
 * @param samples Samples, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param data Data that the samples should resemble, `m` rows of `d` numbers; held-out ones if memorising should not count; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. Which neighbour.
 * @returns Both shares, 0 to 1.
 * @throws {TypeError} If a set is no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, or `k` is not below the number of rows of each set.
 *
 * @example Samples at one end of the data are precise and cover little
 * ```ts
 * import { precisionRecall } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { precision, recall } = precisionRecall([0, 0.1, 0.2], [0, 1, 2, 3], { dimension: 1, k: 1 });
 * assert.deepEqual([precision, recall], [1, 0.25]);
 * ```
 */
export function precisionRecall(
  samples: Samples,
  data: Samples,
  options: PrecisionRecallOptions = {},
): PrecisionRecall {
  const { k } = readOptions(ACTION, options, OPTIONS);
  const { first, second, dimension } = pairOf(samples, data, ACTION, options.dimension);
  const least = Math.min(
    checkRows(first, dimension, ACTION),
    checkRows(second, dimension, ACTION),
  );
  if (!Number.isInteger(k) || k < 1 || k >= least) {
    throw new RangeError(
      `Cannot ${ACTION}: k is ${k}, wanted a whole number from 1 to ${least - 1}`,
    );
  }
  const unit = unitOf(dimension, first, second);
  return {
    precision: covered(first, second, dimension, unit, k),
    recall: covered(second, first, dimension, unit, k),
  };
}

/** The share of points that lie in a ball around a point of the support. */
function covered(
  points: ArrayLike<number>,
  support: ArrayLike<number>,
  dimension: number,
  unit: number,
  k: number,
): number {
  const radii = new Float64Array(support.length / dimension);
  // The nearest of all is the point itself.
  eachRowOfSquares(support, support, dimension, unit, (row, squares) => {
    radii[row] = squares.toSorted()[k];
  });
  let count = 0;
  eachRowOfSquares(points, support, dimension, unit, (_, squares) => {
    if (squares.some((square, j) => square <= radii[j])) count++;
  });
  return count / (points.length / dimension);
}
