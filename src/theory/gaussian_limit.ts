/**
 * Statement: on Gaussian data the exact denoiser tends to the Wiener filter.
 *
 * @module
 */
import { referencePosterior } from "../compute/float64/posterior.ts";
import { startNoise } from "../base/random.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * On N samples of N(0, I) in the plane, the exact denoiser differs from the
 * Wiener filter `x/(1 + σ²)` by a sampling error that falls as `1/√N`.
 *
 * @returns The largest `√N · rms difference` over N = 1e3, 1e4, 1e5 at σ = 0.7, and 2.
 */
export function gaussianLimit(): Report {
  const sigma = 0.7, queries = 64;
  const x = startNoise(5, 0, queries, 2).map((e) => Math.hypot(1, sigma) * e);
  let worst = 0;
  for (const count of [1e3, 1e4, 1e5]) {
    const data = Float32Array.from(startNoise(6, 0, count, 2));
    const { mean } = referencePosterior({ data, dimension: 2 }, x, sigma);
    const square = mean.reduce((sum, v, i) => sum + (v - x[i] / (1 + sigma * sigma)) ** 2, 0);
    worst = Math.max(worst, Math.sqrt(count * square / mean.length));
  }
  return report("D → Wiener filter on Gaussian data as N → ∞ (√N · rms difference)", worst, 2);
}
