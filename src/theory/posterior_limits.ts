/**
 * Statements about the ends of the noise axis: the exact denoiser tends to the
 * mean of the data at high noise and to the nearest item at low noise.
 *
 * @module
 */
import { referencePosterior } from "../compute/float64/posterior.ts";
import { moons } from "../datasets/generators.ts";
import { startNoise } from "../base/random.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * At high noise the exact denoiser tends to the mean of the data, as `1/σ`.
 *
 * ```text
 * D(x, σ) − μ ≈ Cov (x − μ)/σ²,   x − μ ≈ σε,   so   ‖D − μ‖ ≤ λ_max ‖ε‖/σ to first order
 * ```
 *
 * @returns The largest `σ · max |D − μ|` over σ = 1e2, 1e3, 1e4 and 32 queries, and 10.
 */
export function meanLimit(): Report {
  const data = moons(1000);
  const mean = data.mean();
  let worst = 0;
  for (const sigma of [1e2, 1e3, 1e4]) {
    const x = startNoise(3, 0, 32, 2).map((e) => sigma * e);
    referencePosterior(data, x, sigma).mean.forEach((v, i) => {
      worst = Math.max(worst, sigma * Math.abs(v - mean[i % 2]));
    });
  }
  return report("D(x, σ) → mean of the data as σ → ∞ (σ · largest difference)", worst, 10);
}

/**
 * At low noise the exact denoiser tends to the nearest item, and its distance
 * from it is bounded by the logit gap.
 *
 * ```text
 * ‖D − x₍₁₎‖ ≤ 2R (N−1) exp(−(r₍₂₎² − r₍₁₎²)/2σ²)
 * ```
 *
 * The right side is the truncation theorem for one kept item, with
 * `R = maxᵢ ‖xᵢ − μ‖`.
 *
 * @returns The largest excess of the left side over the right one, for 64 queries at six noise levels, and a rounding error.
 */
export function nearestLimit(): Report {
  const data = moons(300);
  const mean = data.mean();
  let radius = 0;
  for (let i = 0; i < data.count; i++) {
    const [x, y] = data.values(i);
    radius = Math.max(radius, Math.hypot(x - mean[0], y - mean[1]));
  }
  let excess = -Infinity;
  for (const sigma of [0.3, 0.1, 0.03, 0.01, 0.003, 0.001]) {
    const queries = startNoise(4, 0, 64, 2).map((e, i) => data.data[i] + sigma * e);
    const { mean: denoised, facts } = referencePosterior(data, queries, sigma);
    for (let q = 0; q < 64; q++) {
      const [x, y] = data.values(facts.topIndex[q]);
      const distance = Math.hypot(denoised[2 * q] - x, denoised[2 * q + 1] - y);
      const bound = 2 * radius * (data.count - 1) * Math.exp(-facts.logitGap[q]);
      excess = Math.max(excess, distance - bound);
    }
  }
  return report("‖D − nearest item‖ ≤ 2R(N−1)exp(−logit gap) (largest excess)", excess, 1e-15);
}
