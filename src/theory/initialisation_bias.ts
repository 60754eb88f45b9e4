/**
 * Statement: starting from pure noise at a finite level biases mean and variance of the samples.
 *
 * @module
 */
import { denoiseGaussian, gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { extrapolateFlow } from "./flows/extrapolation.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * Data `N(μ, Σ)` sampled by their exact flow from `N(0, σ_T² I)` instead of `N(μ, Σ + σ_T² I)` have in mode `k`
 *
 * ```text
 * variance λσ_T²/(λ+σ_T²) instead of λ,   mean μ_k (1 − √(λ/(λ+σ_T²))) instead of μ_k
 * ```
 *
 * A VP start, `√(1+σ_T²) ε`, has `1 + σ_T²` in place of `σ_T²` in the numerator. To draw the state at the landing of a
 * teleport from `N(μ, Σ + σ²I)`, as `drawGaussian()` does, has no bias, but is no state of the same trajectory.
 *
 * The flow is affine, so its mean and variance follow from where it takes 0 and 0 + σ_T.
 *
 * @returns The largest error of the two formulas, against a solver of order 14, over variances from 0.1 to
 * 100 and `σ_T` of 2, 10 and 80, and 1e-10.
 */
export async function initialisationBias(): Promise<Report> {
  // Close enough to 0: relative to the data, what is left to do is σ²/2λ = 1e-15.
  const mean = 3, end = 1e-8;
  let worst = 0;
  for (const variance of [0.1, 1, 10, 100]) {
    const law = gaussianLaw([mean], variance);
    const denoise = (x: Float64Array, sigma: number) => denoiseGaussian(law, x, sigma);
    for (const start of [2, 10, 80]) {
      const [atZero] = await extrapolateFlow(denoise, Float64Array.of(0), start, end);
      const [atOne] = await extrapolateFlow(denoise, Float64Array.of(start), start, end);
      const ratio = variance / (variance + start ** 2);
      worst = Math.max(
        worst,
        Math.abs(atZero - mean * (1 - Math.sqrt(ratio))),
        Math.abs((atOne - atZero) ** 2 - ratio * start ** 2),
      );
    }
  }
  return report(
    "samples begun at N(0, σ_T²I): variance λσ_T²/(λ+σ_T²), mean short by √ of it",
    worst,
    1e-10,
  );
}
