/**
 * How far a teleport may go: rules that need the data only, and rules that look at the denoiser.
 *
 * @module
 */
import type { CumulantNorms } from "../../denoisers/gaussian/cumulants.ts";

/** What is predicted of a teleport. */
export interface SkipEstimate {
  /** The noise level it lands on. */
  readonly sigma: number;
  /**
   * The root mean square distance, in data units over all numbers of a state, between where it lands
   * and where the flow of the data would be: the larger of the two leading terms.
   */
  readonly displacement: number;
  /** The term of the third cumulants. */
  readonly third: number;
  /** The term of the fourth cumulants. */
  readonly fourth: number;
}

/**
 * Predicts how far a Gaussian teleport lands from the flow of the data.
 *
 * ```text
 * ‖κ₃‖/(3√2 σ²) (1 − (σ/σ₀)³),   ‖κ₄‖/(4√6 σ³) (1 − (σ/σ₀)⁴)
 * ```
 *
 * Leading terms for large `σ`. The deviation of the denoiser is `κ₃:(zzᵀ − I)/2σ² + κ₄:He₃(z)/6σ³` with
 * `z = (x − μ)/σ`, of root mean square `‖κ₃‖/√2σ²` and `‖κ₄‖/√6σ³`; the flow adds it up from `σ₀` on. At levels
 * near the spread of the data they are too large, which is the safe side. The error at the end of the
 * run is smaller by another factor `σ` and more.
 *
 * @param norms The cumulants of the data, from `cumulantNorms()`.
 * @param sigma Where the teleport lands, `σ > 0`.
 * @param start The level it starts from, `σ₀`. Default: infinity.
 * @returns The estimate.
 * @throws {RangeError} If a noise level is not positive.
 *
 * @example
 * ```ts
 * import { skipEstimate } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const norms = { covariance: 1, third: 3 * Math.SQRT2, fourth: 0, variance: 1, rows: 100 };
 * assert.ok(Math.abs(skipEstimate(norms, 10).displacement - 0.01) < 1e-15);
 * ```
 */
export function skipEstimate(
  norms: CumulantNorms,
  sigma: number,
  start: number = Infinity,
): SkipEstimate {
  checkNorms(norms);
  if (!(sigma > 0 && start > 0)) {
    throw new RangeError(
      `Cannot predict a teleport: it goes from ${start} to ${sigma}, wanted numbers > 0`,
    );
  }
  const left = (power: number) => 1 - Math.min(1, sigma / start) ** power;
  const third = norms.third / (3 * Math.SQRT2 * sigma ** 2) * left(3);
  const fourth = norms.fourth / (4 * Math.sqrt(6) * sigma ** 3) * left(4);
  return { sigma, displacement: Math.max(third, fourth), third, fourth };
}

/**
 * The lowest noise level that a Gaussian teleport may land on: where the predicted displacement, from
 * however far above, is within a tolerance.
 *
 * ```text
 * σ = max( √(‖κ₃‖/(3√2 tol)),  ∛(‖κ₄‖/(4√6 tol)),  √λ₁ )
 * ```
 *
 * The second term is what limits data without third cumulants, such as symmetric ones. Below the largest
 * spread of the data, `√λ₁`, the expansion says nothing.
 *
 * @param norms The cumulants of the data, from `cumulantNorms()`.
 * @param tolerance The displacement allowed, in data units over all numbers of a state.
 * @returns The noise level.
 * @throws {RangeError} If the tolerance is not positive.
 *
 * @example
 * ```ts
 * import { skipLevel } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const norms = { covariance: 1, third: 3 * Math.SQRT2, fourth: 0, variance: 1, rows: 100 };
 * assert.ok(Math.abs(skipLevel(norms, 0.01) - 10) < 1e-12);
 * ```
 */
export function skipLevel(norms: CumulantNorms, tolerance: number): number {
  checkNorms(norms);
  if (!(tolerance > 0 && tolerance < Infinity)) {
    throw new RangeError(
      `Cannot choose a level for a teleport: the tolerance is ${tolerance}, wanted a finite number > 0`,
    );
  }
  return Math.max(
    Math.sqrt(norms.third / (3 * Math.SQRT2 * tolerance)),
    Math.cbrt(norms.fourth / (4 * Math.sqrt(6) * tolerance)),
    Math.sqrt(norms.variance),
  );
}

function checkNorms(norms: CumulantNorms): void {
  for (const name of ["third", "fourth", "variance"] as const) {
    if (!(norms[name] >= 0 && norms[name] < Infinity)) {
      throw new RangeError(
        `Cannot predict a teleport: the norm ${name} is ${
          norms[name]
        }, wanted a finite number >= 0`,
      );
    }
  }
}
