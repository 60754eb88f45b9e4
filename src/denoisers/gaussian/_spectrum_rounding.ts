/**
 * Which variances of a spectrum are rounding, and nothing of the data.
 *
 * @module
 */
import type { GaussianLaw } from "./gaussian_law.ts";
import type { Dataset } from "../../datasets/dataset.ts";

/**
 * The Gaussian law `N(μ, U diag(λ) Uᵀ + τ²(I − U Uᵀ))` of a data set, whose variances fall and whose basis is
 * always there: row `k` of `U` is the direction of `λ[k]`.
 */
export interface Spectrum extends GaussianLaw {
  /** The orthonormal basis `U`, `r` rows of `d` numbers, in the order of the variances. */
  readonly basis: Float64Array;
}

/** The variance of rounding a float32 number `x` is at most that of a uniform error of one unit, `(2⁻²³ x)²/12`. */
const STORED = 2 ** -46 / 12;
/** How far above its expected size the largest of random numbers may lie. */
const SLACK = 2;

/**
 * A spectrum in which variances that are rounding are exactly 0, and come last.
 *
 * Of `N` items `N − 1` directions at most have variance. In these a variance is rounding if it is not above
 *
 * ```text
 * max(N, d) ε₆₄ (λ₁ + (N ε₆₄)² ‖μ‖²)                         of sums and decomposition in float64, and of the centre
 * 2 (1 + √(d/(N−1)))² Σ_c u_c² (2⁻²³)² (μ_c² + Σ_cc) / 12     of numbers that were rounded to float32 when stored
 * ```
 *
 * The second is that of independent errors of each number along the direction `u`, and the edge of Marchenko and Pastur: how
 * far the largest sample variance of pure noise lies above the true one.
 *
 * @param spectrum The spectrum, by whichever decomposition.
 * @param data What it was computed from.
 * @returns The spectrum; the same one if nothing is rounding.
 */
export function cutAtRounding(spectrum: Spectrum, data: Dataset): Spectrum {
  const { variances } = spectrum;
  const limits = roundingLimits(spectrum, data);
  const most = Math.min(variances.length, data.count - 1);
  const kept: number[] = [], cut: number[] = [];
  variances.forEach((v, k) => (k < most && v > limits(k) ? kept : cut).push(k));
  if (cut.every((k) => variances[k] === 0)) return spectrum;
  return {
    ...spectrum,
    variances: Float64Array.from(variances, (_, at) => at < kept.length ? variances[kept[at]] : 0),
    basis: inOrder(spectrum, [...kept, ...cut]),
  };
}

/** How many directions of a spectrum have variance. */
export function directionsOf({ variances }: Spectrum): number {
  const first = variances.findIndex((v) => !(v > 0));
  return first < 0 ? variances.length : first;
}

/** The variance along each direction that rounding alone may leave. */
function roundingLimits(
  { mean, variances, basis }: Spectrum,
  { data, count, dimension: d }: Dataset,
): (k: number) => number {
  const largest = variances[0] ?? 0;
  const centre = (count * Number.EPSILON) ** 2 * mean.reduce((sum, v) => sum + v * v, 0);
  const computed = Math.max(count, d) * Number.EPSILON * (largest + centre);
  if (data instanceof Uint8Array) return () => computed;
  const squares = mean.map((v) => v * v);
  variances.forEach((v, k) => {
    for (let c = 0; c < d; c++) squares[c] += v * basis[k * d + c] ** 2;
  });
  const edge = SLACK * STORED * (1 + Math.sqrt(d / Math.max(1, count - 1))) ** 2;
  return (k) => {
    let stored = 0;
    for (let c = 0; c < d; c++) stored += basis[k * d + c] ** 2 * squares[c];
    return Math.max(computed, edge * stored);
  };
}

/** The rows of the basis in another order; what is in order already is not copied. */
function inOrder({ mean, basis }: Spectrum, order: readonly number[]): Float64Array {
  if (order.every((k, at) => k === at)) return basis;
  const d = mean.length, rows = new Float64Array(basis.length);
  order.forEach((k, at) => rows.set(basis.subarray(k * d, (k + 1) * d), at * d));
  return rows;
}
