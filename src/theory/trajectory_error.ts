/**
 * Statement: how the error of a truncated denoiser adds up along a trajectory.
 *
 * @module
 */
import type { PointSet } from "../compute/posterior.ts";
import { moons } from "../datasets/generators.ts";
import { ddpmGrid } from "../base/noise.ts";
import { startNoise } from "../base/random.ts";
import { logSumExp, posteriorLogits, restrictedMean, rowsByLogit } from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * The error recursion along a trajectory.
 *
 * ```text
 * e' ≤ (ρ + (1−ρ)L) e + (1−ρ) δ,   ρ = σ'/σ,   L = max ‖Cov_w‖/σ² on the segment between the states
 * ```
 *
 * with `e` the distance of the approximate state `y` from the exact one `x`, and
 * `δ = ‖D(y) − D_S(y)‖` the error of this step. Proof:
 * `x' − y' = ρ(x − y) + (1−ρ)(D(x) − D(y)) + (1−ρ)(D(y) − D_S(y))`, and the Jacobian
 * of `D` is `Cov_w/σ²`, the covariance of the data under the posterior weights.
 * `L` may be large where a sample is being decided: exact to `δ` per step
 * does not mean that trajectories stay together.
 *
 * @returns The largest left side over its right side, over a DDIM trajectory of 20 steps of 4 samples on 200 moons cut to 20 items, and 1. `L` is the largest of 33 places, so the right side errs on the low side.
 */
export function trajectoryError(): Report {
  const points = moons(200), kept = 20;
  const { sigmas, startScale } = ddpmGrid(20);
  let worst = 0;
  for (let q = 0; q < 4; q++) {
    let x = startNoise(14, q, 1, 2).map((e) => startScale * e), y = x;
    for (let s = 0; s + 1 < sigmas.length; s++) {
      const [sigma, rho] = [sigmas[s], sigmas[s + 1] / sigmas[s]];
      const denoised = meanOf(points, x, sigma), cut = meanOf(points, y, sigma, kept);
      const delta = distance(meanOf(points, y, sigma), cut);
      const lipschitz = largestGain(points, x, y, sigma);
      const bound = (rho + (1 - rho) * lipschitz) * distance(x, y) + (1 - rho) * delta;
      x = x.map((v, c) => rho * v + (1 - rho) * denoised[c]);
      y = y.map((v, c) => rho * v + (1 - rho) * cut[c]);
      // Below this the states are equal up to rounding.
      const rounding = 1e-14 * (1 + sigma);
      worst = Math.max(worst, (distance(x, y) - rounding) / (bound + rounding));
    }
  }
  return report(
    "error after a step ≤ (ρ+(1−ρ)L) error + (1−ρ)δ, L = max ‖Cov‖/σ² (ratio)",
    worst,
    1,
  );
}

function meanOf(points: PointSet, x: Float64Array, sigma: number, kept?: number): Float64Array {
  const logits = posteriorLogits(points, x, sigma);
  return restrictedMean(points, logits, rowsByLogit(logits).subarray(0, kept));
}

/** The largest `‖Cov_w‖/σ²` at 33 places from `x` to `y`, in the plane. */
function largestGain(points: PointSet, x: Float64Array, y: Float64Array, sigma: number): number {
  let largest = 0;
  for (let j = 0; j <= 32; j++) {
    const place = x.map((v, c) => v + j / 32 * (y[c] - v));
    largest = Math.max(largest, covarianceNorm(points, place, sigma) / (sigma * sigma));
  }
  return largest;
}

/** The largest eigenvalue of the posterior covariance of points in the plane. */
function covarianceNorm(points: PointSet, x: Float64Array, sigma: number): number {
  const logits = posteriorLogits(points, x, sigma), total = logSumExp(logits);
  const mean = restrictedMean(points, logits);
  let a = 0, b = 0, c = 0;
  logits.forEach((logit, i) => {
    const weight = Math.exp(logit - total);
    const [u, v] = [points.data[2 * i] - mean[0], points.data[2 * i + 1] - mean[1]];
    a += weight * u * u;
    b += weight * u * v;
    c += weight * v * v;
  });
  return (a + c) / 2 + Math.hypot((a - c) / 2, b);
}

function distance(a: Float64Array, b: Float64Array): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}
