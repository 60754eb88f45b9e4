/**
 * Statements: the flow of Gaussian data has a closed form, which composes.
 *
 * @module
 */
import { denoiseGaussian, gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { gaussianTrajectory } from "../denoisers/gaussian/gaussian_trajectory.ts";
import { startNoise } from "../base/random.ts";
import { extrapolateFlow } from "./flows/extrapolation.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

const D = 12;
const LEVELS = [80, 40, 10, 2, 0.5, 0.05, 0.002];

/** Five directions of very different variance, of twelve, all oblique. */
function obliqueLaw() {
  const a = startNoise(61, 0, 5, D);
  const covariance = new Float64Array(D * D);
  [50, 8, 1, 0.1, 1e-3].forEach((variance, k) => {
    for (let at = 0; at < D * D; at++) {
      covariance[at] += variance / D * a[k * D + Math.floor(at / D)] * a[k * D + at % D];
    }
  });
  const law = gaussianLaw(startNoise(62, 0, 1, D), covariance);
  // The seven others are zero but for rounding.
  return { ...law, variances: law.variances.map((v, k) => k < 5 ? v : 0) };
}

function starts(): Float64Array {
  return startNoise(63, 0, 8, D).map((e) => LEVELS[0] * e);
}

/**
 * The flow `dx/dσ = (x − D)/σ` of a Gaussian is, mode by mode, `c ∝ √(λ+σ²)`: from `dc/dσ = cσ/(λ+σ²)`.
 *
 * @returns The largest difference of the closed form from a solver of order 14, over six levels from 80
 * to 0.002 and eight starts in twelve dimensions of which seven carry no variance, and 1e-10.
 */
export async function gaussianClosedForm(): Promise<Report> {
  const law = obliqueLaw(), x = starts();
  const states = gaussianTrajectory(law, x, LEVELS);
  let worst = 0;
  for (let row = 0; row < x.length; row += D) {
    let reached = x.slice(row, row + D) as Float64Array;
    for (let i = 1; i < LEVELS.length; i++) {
      const denoise = (y: Float64Array, sigma: number) => denoiseGaussian(law, y, sigma);
      reached = await extrapolateFlow(denoise, reached, LEVELS[i - 1], LEVELS[i]);
      reached.forEach((v, c) => worst = Math.max(worst, Math.abs(v - states[i].x[row + c])));
    }
  }
  return report("Gaussian flow in closed form = adaptive solver, σ from 80 to 0.002", worst, 1e-10);
}

/**
 * By way of any level, the flow leads to the same state.
 *
 * @returns The largest difference over starts, levels between and ends, and 1e-12.
 */
export function gaussianSemigroup(): Report {
  const law = obliqueLaw(), x = starts();
  let worst = 0;
  for (const between of LEVELS.slice(1)) {
    const [, { x: reached }] = gaussianTrajectory(law, x, [80, between]);
    for (const end of [...LEVELS.slice(1), 0]) {
      const [, straight] = gaussianTrajectory(law, x, [80, end]);
      const [, after] = gaussianTrajectory(law, reached, [between, end]);
      straight.x.forEach((v, i) => {
        // Upwards what rounding left grows as the state does.
        const error = Math.abs(v - after.x[i]) / Math.max(1, end / between);
        worst = Math.max(worst, error);
      });
    }
  }
  return report("Gaussian flow by way of any level = straight", worst, 1e-12);
}
