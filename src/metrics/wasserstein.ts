/**
 * The 2-Wasserstein distance: exact between samples, and closed forms.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { checkSymmetric } from "../linalg/_symmetric.ts";
import { referenceEigen } from "../compute/reference_eigen.ts";
import { eachRowOfSquares } from "./_distances.ts";
import { checkRows } from "./_rows.ts";
import { pairOf } from "./samples.ts";
import type { RowsOptions, Samples } from "./samples.ts";
import { differenceIn, fromUnit, powerOfTwo, spreadOf, unitOf } from "../base/_unit.ts";
import { assignment } from "./assignment.ts";

const ACTION = "compute the 2-Wasserstein distance";
/** Pairs of points beyond which the table of costs would not fit sensibly. */
const MOST_POINTS = 8192;

/** What {@linkcode wasserstein2} returns. */
export interface Wasserstein2 {
  /** The distance, in data units. */
  readonly distance: number;
  /** The point of the second set that each point of the first one goes to. */
  readonly plan: Uint32Array;
  /** By how much the squared distance may exceed the true one, through rounding. */
  readonly suboptimality: number;
}

/** Options of {@linkcode wasserstein2}. */
export interface Wasserstein2Options extends RowsOptions {
  /** Cancels the computation, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

const OPTIONS = { dimension: undefined, signal: undefined } satisfies OptionTable<
  Wasserstein2Options
>;

/**
 * The exact 2-Wasserstein distance between two sets of equally many, equally weighted points.
 *
 * ```text
 * W₂² = min over permutations π of (1/n) Σᵢ ‖aᵢ − b_π(i)‖²
 * ```
 *
 * An optimal plan between such sets is a permutation, found as a linear assignment. 4,000 points
 * take seconds; beyond {@linkcode slicedWasserstein2} is the way.
 *
 * Two samples of one law are at a distance of their own, the floor of any comparison: print it too.
 *
 * Reference: G. Peyré, M. Cuturi (2019), Computational optimal transport, sections 2.2 and 3.
 *
 * @param a Points, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Points, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. A signal that cancels.
 * @returns The distance in data units and the plan.
 * @throws {TypeError} If the sets are not of the same number of points.
 * @throws {RangeError} If there are more than 8,192 points, or a number is not finite.
 *
 * @example A shift moves every point by as much
 * ```ts
 * import { wasserstein2 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { distance } = await wasserstein2([0, 0, 1, 0], [4, 4, 3, 4], { dimension: 2 });
 * assert.equal(distance, 5);
 * ```
 */
export async function wasserstein2(
  a: Samples,
  b: Samples,
  options: Wasserstein2Options = {},
): Promise<Wasserstein2> {
  checkOptionNames(ACTION, options, OPTIONS);
  const { first, second, dimension } = pairOf(a, b, ACTION, options.dimension);
  const n = checkRows(first, dimension, ACTION), m = checkRows(second, dimension, ACTION);
  if (n !== m) {
    throw new TypeError(
      `Cannot ${ACTION}: received ${n} and ${m} points, wanted equally many`,
    );
  }
  if (n > MOST_POINTS) {
    throw new RangeError(
      `Cannot ${ACTION}: received ${n} points, wanted at most ${MOST_POINTS}; slicedWasserstein2 takes any number`,
    );
  }
  const costs = new Float64Array(n * n);
  const unit = unitOf(dimension, first, second);
  eachRowOfSquares(first, second, dimension, unit, (row, squares) => costs.set(squares, row * n));
  const { columns, cost, suboptimality } = await assignment(costs, { signal: options.signal });
  return {
    distance: fromUnit(Math.sqrt(cost / n), unit, 1, ACTION),
    plan: columns,
    suboptimality: suboptimality / n * unit * unit,
  };
}

/**
 * The exact 2-Wasserstein distance between two sets of numbers, of any sizes.
 *
 * ```text
 * W₂² = ∫₀¹ (F_a⁻¹(u) − F_b⁻¹(u))² du
 * ```
 *
 * In one dimension the optimal plan keeps the order: sorted values are matched by their ranks.
 *
 * Reference: G. Peyré, M. Cuturi (2019), Computational optimal transport, remark 2.30.
 *
 * @param a `n` numbers.
 * @param b `m` numbers.
 * @returns The distance, in the unit of the numbers.
 * @throws {TypeError} If a set is empty.
 * @throws {RangeError} If a number is not finite.
 *
 * @example
 * ```ts
 * import { wasserstein2OnLine } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(wasserstein2OnLine([0, 0], [3, 3, 3]), 3);
 * ```
 */
export function wasserstein2OnLine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  checkRows(a, 1, ACTION);
  checkRows(b, 1, ACTION);
  const unit = unitOf(1, a, b), inverse = 1 / unit;
  const sorted = (set: ArrayLike<number>) =>
    Float64Array.from(set, (v) => differenceIn(inverse, v, a[0])).sort();
  return fromUnit(Math.sqrt(sortedSquare(sorted(a), sorted(b))), unit, 1, ACTION);
}

/** The squared distance of two sorted lists of numbers near 1: both quantile functions are steps. */
export function sortedSquare(x: Float64Array, y: Float64Array): number {
  const n = x.length, m = y.length;
  let sum = 0;
  // Ranks in units of 1/(n·m), which are whole numbers.
  for (let i = 0, j = 0, rank = 0; i < n;) {
    const next = Math.min((i + 1) * m, (j + 1) * n);
    sum += (next - rank) * (x[i] - y[j]) ** 2;
    rank = next;
    if (rank === (i + 1) * m) i++;
    if (rank === (j + 1) * n) j++;
  }
  return sum / (n * m);
}

/** A Gaussian law. */
export interface GaussianMoments {
  /** Its mean, `d` numbers. */
  readonly mean: ArrayLike<number>;
  /** Its covariance, `d` rows of `d` numbers, symmetric and positive semi-definite. */
  readonly covariance: ArrayLike<number>;
}

/**
 * The 2-Wasserstein distance between two Gaussian laws, in closed form.
 *
 * ```text
 * W₂² = ‖m₁ − m₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½)
 * ```
 *
 * References: D. Dowson, B. Landau (1982), The Fréchet distance between multivariate normal
 * distributions, J. Multivariate Analysis 12, 450-455; G. Peyré, M. Cuturi (2019), remark 2.31.
 *
 * @param p One law.
 * @param q The other law.
 * @returns The distance, in data units.
 * @throws {TypeError} If the sizes do not fit, or a covariance is not symmetric.
 * @throws {RangeError} If a number is not finite, or the distance exceeds float64.
 *
 * @example
 * ```ts
 * import { wasserstein2OfGaussians } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const p = { mean: [0], covariance: [1] }, q = { mean: [3], covariance: [25] };
 * assert.equal(wasserstein2OfGaussians(p, q), 5);
 * ```
 */
export function wasserstein2OfGaussians(p: GaussianMoments, q: GaussianMoments): number {
  const d = p.mean.length;
  for (const { mean, covariance } of [p, q]) {
    if (mean.length !== d || covariance.length !== d * d || d === 0) {
      throw new TypeError(
        `Cannot ${ACTION}: received means of ${p.mean.length} and ${q.mean.length} numbers and covariances of ` +
          `${p.covariance.length} and ${q.covariance.length}, wanted d and d rows of d`,
      );
    }
    checkRows(mean, d, ACTION);
    checkRows(covariance, d, ACTION);
    checkSymmetric(covariance, d, ACTION);
  }
  const unit = powerOfTwo(Math.max(spreadOf(d, p.mean, q.mean), deviationOf(p), deviationOf(q)));
  return fromUnit(distanceIn(unit, p, q), unit, 1, ACTION);
}

/** The largest standard deviation. */
function deviationOf({ covariance }: GaussianMoments): number {
  let most = 0;
  for (let at = 0; at < covariance.length; at++) most = Math.max(most, Math.abs(covariance[at]));
  return Math.sqrt(most);
}

function distanceIn(unit: number, p: GaussianMoments, q: GaussianMoments): number {
  const d = p.mean.length, inverse = 1 / unit;
  const scaled = (covariance: ArrayLike<number>) =>
    Float64Array.from(covariance, (v) => v * inverse * inverse);
  const ours = scaled(p.covariance), theirs = scaled(q.covariance);
  let square = 0;
  for (let c = 0; c < d; c++) {
    square += differenceIn(inverse, p.mean[c], q.mean[c]) ** 2 + ours[c * d + c] +
      theirs[c * d + c];
  }
  const root = squareRoot(ours, d);
  const inner = product(product(root, theirs, d), root, d);
  const { values } = referenceEigen(inner, d);
  const crossing = values.reduce((sum, v) => sum + Math.sqrt(Math.max(0, v)), 0);
  return Math.sqrt(Math.max(0, square - 2 * crossing));
}

/** The symmetric square root of a positive semi-definite matrix. */
function squareRoot(matrix: Float64Array, d: number): Float64Array {
  const { values, vectors } = referenceEigen(matrix, d);
  const root = new Float64Array(d * d);
  values.forEach((value, k) => {
    const scale = Math.sqrt(Math.max(0, value));
    for (let i = 0; i < d; i++) {
      const factor = scale * vectors[k * d + i];
      for (let j = 0; j < d; j++) root[i * d + j] += factor * vectors[k * d + j];
    }
  });
  return root;
}

function product(a: ArrayLike<number>, b: ArrayLike<number>, d: number): Float64Array {
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let k = 0; k < d; k++) {
      const factor = a[i * d + k];
      for (let j = 0; j < d; j++) out[i * d + j] += factor * b[k * d + j];
    }
  }
  return out;
}
