/**
 * Statements: the divergence of the denoiser measures information, and the denoiser's change along
 * the flow is a covariance of the posterior.
 *
 * @module
 */
import { isotropicMixture } from "./flows/isotropic_mixture.ts";
import { sphereTarget } from "./flows/targets.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * Over all noise levels the divergence of the denoiser adds up to the entropy of the data: `ln M` for
 * `M` equal points that can be told apart at the end and not at the start.
 *
 * ```text
 * E ∫ tr ∇D dℓ = I(x₀; x at σ_min) − I(x₀; x at σ_max) = ln M,   ℓ = −ln σ
 * ```
 *
 * It is the reason why a solver that adapts its steps pays for `ln M`, not for `R/σ_min`.
 *
 * Reference: D. Guo, S. Shamai, S. Verdú (2005), Mutual information and minimum mean-square error in
 * Gaussian channels, arXiv:cs/0412108.
 *
 * @returns The largest relative deviation for M = 8 and 64 on the unit sphere of 8 dimensions, with fresh draws at each of 181 levels, and 2 %.
 */
export function informationIdentity(): Report {
  const levels = 181;
  const step = Math.log(40 / 0.005) / (levels - 1);
  let worst = 0;
  for (const [modes, draws] of [[8, 500], [64, 150]]) {
    const { draw, divergence } = sphereTarget(8, { seed: 6, modes, spread: 0 });
    let integral = 0;
    for (let k = 0; k < levels; k++) {
      const sigma = 40 * Math.exp(-step * k);
      const x = draw(draws, sigma, 1000 + k);
      let sum = 0;
      for (let r = 0; r < draws; r++) sum += divergence(x.subarray(8 * r, 8 * r + 8), sigma);
      // The trapezoidal rule.
      integral += sum / draws * step * (k === 0 || k === levels - 1 ? 0.5 : 1);
    }
    worst = Math.max(worst, Math.abs(integral / Math.log(modes) - 1));
  }
  return report("E ∫ tr ∇D dℓ = ln M (relative deviation, M = 8, 64)", worst, 0.02);
}

/**
 * The same for two points on the line, where the expectation is an integral over one number.
 *
 * ```text
 * ∫ dℓ E[1 − tanh²(x/σ²)]/σ² = ln 2,   x = 1 + σn,   n ~ N(0, 1)
 * ```
 *
 * @returns The relative deviation, by trapezoidal rules in `n` and in `ℓ` for σ from 1e4 to 0.05, and 1e-6.
 */
export function informationOfTwoPoints(): Report {
  const { divergence } = isotropicMixture([[-1], [1]]);
  const step = 0.05;
  let integral = 0;
  for (let ell = -Math.log(1e4); ell < -Math.log(0.05); ell += step) {
    const sigma = Math.exp(-ell);
    for (let n = -8; n <= 8; n += step) {
      const density = Math.exp(-n * n / 2) / Math.sqrt(2 * Math.PI);
      integral += step * step * density * divergence(Float64Array.of(1 + sigma * n), sigma);
    }
  }
  const deviation = Math.abs(integral / Math.LN2 - 1);
  return report("∫ E tr ∇D dℓ = ln 2 for two points (relative deviation)", deviation, 1e-6);
}

/**
 * Along the flow the denoiser changes by moments of the posterior.
 *
 * ```text
 * dD/dℓ = (1/σ²) ( C (x − D) − E[(u − D) ‖u − D‖²] ),   C = Cov(u),   u a draw of x₀ given x
 * ```
 *
 * From `d/dℓ E f = Cov(f, ψ)` with `ψ(u) = ((x−D)·(u−D) − ‖u−D‖²)/σ²`.
 *
 * @returns The largest difference between the right side, summed over the points, and central differences along the flow, relative to the largest value, and 1e-5.
 */
export async function denoiserAlongFlow(): Promise<Report> {
  const points = [[1, 0, 0, 1], [-1, 0.5, 0, 0], [0, -1, 1, 0], [0.5, 0.5, -1, 0.3]];
  const { denoiser, transport, draw } = isotropicMixture(points);
  const step = 1e-4;
  let error = 0, size = 0;
  for (const sigma of [0.4, 0.8, 2]) {
    const x = draw(8, sigma, 7);
    const [before, after] = await Promise.all([-step, step].map(async (t) => {
      const to = sigma * Math.exp(-t);
      return (await denoiser.denoise(await transport(x, sigma, to), to)).mean;
    }));
    for (let r = 0; r < 8; r++) {
      const expected = changeOfMean(points, x.subarray(4 * r, 4 * r + 4), sigma);
      expected.forEach((v, c) => {
        const measured = (after[4 * r + c] - before[4 * r + c]) / (2 * step);
        error = Math.max(error, Math.abs(measured - v));
        size = Math.max(size, Math.abs(v));
      });
    }
  }
  return report("dD/dℓ is a covariance of the posterior (relative difference)", error / size, 1e-5);
}

/** The right side, from the posterior weights of the points. */
function changeOfMean(
  points: readonly (readonly number[])[],
  x: Float64Array,
  sigma: number,
): Float64Array {
  const squares = points.map((u) => u.reduce((sum, v, c) => sum + (x[c] - v) ** 2, 0));
  const least = Math.min(...squares);
  const weights = squares.map((s) => Math.exp((least - s) / (2 * sigma ** 2)));
  const total = weights.reduce((a, b) => a + b);
  const mean = x.map((_, c) => points.reduce((sum, u, m) => sum + weights[m] * u[c], 0) / total);
  const change = new Float64Array(x.length);
  points.forEach((u, m) => {
    const away = mean.map((v, c) => u[c] - v);
    const psi = away.reduce((sum, v, c) => sum + v * (x[c] - mean[c]) - v * v, 0);
    away.forEach((v, c) => change[c] += weights[m] / total * v * psi / sigma ** 2);
  });
  return change;
}
