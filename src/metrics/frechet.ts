/**
 * The Fréchet distance between the Gaussian fits of two sets of features.
 *
 * @module
 */
import { checkOptionNames } from "../base/_options.ts";
import { checkRows } from "./_rows.ts";
import { pairOf, ROWS_OPTIONS } from "./samples.ts";
import type { RowsOptions, Samples } from "./samples.ts";
import { differenceIn, fromUnit, unitOf } from "../base/_unit.ts";
import { wasserstein2OfGaussians } from "./wasserstein.ts";
import type { GaussianMoments } from "./wasserstein.ts";

const ACTION = "compute the Fréchet distance";

/**
 * The squared Fréchet distance between Gaussians fitted to two sets of features, as FID is reported.
 *
 * ```text
 * ‖m₁ − m₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½),   Σ with divisor n − 1
 * ```
 *
 * It compares means and covariances and nothing else. In linear features (pixels, principal
 * components) a plain Gaussian therefore scores best of all: use features that are not linear.
 *
 * Reference: M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter (2017), GANs trained
 * by a two time-scale update rule converge to a local Nash equilibrium, arXiv:1706.08500.
 *
 * @param a Features, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Features, `m` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers.
 * @returns The squared distance, in squared units of the features.
 * @throws {TypeError} If a set is no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, a set has a single row, or the squared distance exceeds float64.
 *
 * @example A shift of all features
 * ```ts
 * import { frechetDistance } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const distance = frechetDistance([0, 1, 2], [3, 4, 5], { dimension: 1 });
 * assert.ok(Math.abs(distance - 9) < 1e-12);
 * ```
 */
export function frechetDistance(
  a: Samples,
  b: Samples,
  options: RowsOptions = {},
): number {
  checkOptionNames(ACTION, options, ROWS_OPTIONS);
  const { first, second, dimension } = pairOf(a, b, ACTION, options.dimension);
  for (const rows of [first, second]) {
    if (checkRows(rows, dimension, ACTION) < 2) {
      throw new RangeError(`Cannot ${ACTION}: received 1 row, wanted at least 2`);
    }
  }
  const unit = unitOf(dimension, first, second), inverse = 1 / unit;
  // About the first row, so that a common offset costs no digits.
  const scaled = (rows: ArrayLike<number>) =>
    Float64Array.from(rows, (v, at) => differenceIn(inverse, v, first[at % dimension]));
  const distance = wasserstein2OfGaussians(
    moments(scaled(first), dimension),
    moments(scaled(second), dimension),
  );
  return fromUnit(distance ** 2, unit, 2, ACTION);
}

function moments(rows: Float64Array, dimension: number): GaussianMoments {
  const n = rows.length / dimension;
  const mean = new Float64Array(dimension);
  for (let at = 0; at < rows.length; at++) mean[at % dimension] += rows[at] / n;
  const covariance = new Float64Array(dimension * dimension);
  const centred = new Float64Array(dimension);
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < dimension; c++) centred[c] = rows[i * dimension + c] - mean[c];
    for (let c = 0, at = 0; c < dimension; c++) {
      const factor = centred[c] / (n - 1);
      for (let k = 0; k < dimension; k++, at++) covariance[at] += factor * centred[k];
    }
  }
  // (x/(n−1))·y and (y/(n−1))·x may differ in the last bit.
  for (let c = 0; c < dimension; c++) {
    for (let k = 0; k < c; k++) covariance[c * dimension + k] = covariance[k * dimension + c];
  }
  return { mean, covariance };
}
