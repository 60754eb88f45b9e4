/**
 * Statement: a bound on how far the optimal denoiser is from the Gaussian one, for any points.
 *
 * @module
 */
import { referencePosterior } from "../compute/float64/posterior.ts";
import { denoiseGaussian, gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { RandomStream, startNoise } from "../base/random.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/** What a cloud of points is for the bound. */
export interface PointCloud {
  /** The largest distance from the mean, `R`. */
  readonly radius: number;
  /** The largest variance, divisor `N`, in any direction. */
  readonly variance: number;
}

/**
 * A bound on `‖D(x, σ) − D_G(x, σ)‖` for the optimal denoiser of some points and their Gaussian one:
 *
 * ```text
 * R A² + R³/2σ² + λ₁² y/(σ²(σ²+λ₁)),   y = ‖x − μ‖,   A = R(2y + R)/2σ²
 * ```
 *
 * With `u = (x−μ)/σ²` both are means under tilted measures, and equal to first order in `u`. What is left of the
 * points' is a second derivative of `E[δe^{ta}]/E[e^{ta}]`, at most `2R Var(a) ≤ 2RA²`, and the part of `|δ|²/2σ²`;
 * of the Gaussian's it is `Σ(Σ+σ²)⁻¹ − Σ/σ²`. The bound asks for `σ ≫ R√d`, which is far from sharp.
 *
 * @param cloud Radius and largest variance of the points.
 * @param distance `y`, the distance of `x` from the mean.
 * @param sigma The noise level `σ > 0`.
 * @returns The bound, in data units.
 * @throws {RangeError} If a number is negative or not finite, or `sigma` is 0.
 *
 * @example
 * ```ts
 * import { gaussianDeviationBound } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * // Two points at ±1 and x = 0: both denoisers give 0.
 * assert.ok(gaussianDeviationBound({ radius: 1, variance: 1 }, 0, 10) < 0.006);
 * ```
 */
export function gaussianDeviationBound(
  { radius, variance }: PointCloud,
  distance: number,
  sigma: number,
): number {
  const numbers = [radius, variance, distance, sigma];
  if (!numbers.every((v) => v >= 0 && v < Infinity) || sigma === 0) {
    throw new RangeError(
      `Cannot bound the deviation from a Gaussian: radius, variance, distance and sigma are ${
        numbers.join(", ")
      }, wanted finite numbers >= 0 and sigma > 0`,
    );
  }
  const square = sigma ** 2;
  const tilt = radius * (2 * distance + radius) / (2 * square);
  return radius * tilt ** 2 + radius ** 3 / (2 * square) +
    variance ** 2 * distance / (square * (square + variance));
}

/**
 * The bound of {@linkcode gaussianDeviationBound} is never exceeded.
 *
 * @returns The largest ratio of deviation to bound over 10,000 random points at random noise levels, on twenty
 * clouds of 2 to 40 points in 1 to 6 dimensions, and 1.
 */
export function deviationBound(): Report {
  const stream = new RandomStream({ seed: 68, purpose: "theory" });
  let worst = 0;
  for (let cloud = 0; cloud < 20; cloud++) {
    const d = 1 + stream.below(6), count = 2 + stream.below(39);
    // Skewed, so that the cubic term is there.
    const data = Float32Array.from(startNoise(69, cloud, 1, count * d), (v) => Math.exp(v) - 1.6);
    const { law, radius } = describe(data, d);
    for (let q = 0; q < 500; q++) {
      const sigma = radius * Math.exp(6 * stream.uniform() - 2);
      const reach = sigma * 3 * stream.uniform();
      const x = law.mean.map((m) => m + reach * stream.normal());
      const ours = denoiseGaussian(law, x, sigma);
      const { mean } = referencePosterior({ data, dimension: d }, x, sigma);
      const distance = Math.hypot(...x.map((v, c) => v - law.mean[c]));
      const variance = Math.max(...law.variances);
      const bound = gaussianDeviationBound({ radius, variance }, distance, sigma);
      worst = Math.max(worst, Math.hypot(...mean.map((v, c) => v - ours[c])) / bound);
    }
  }
  return report("‖D − D_G‖ ≤ RA² + R³/2σ² + λ₁²y/σ²(σ²+λ₁) at 10,000 points (ratio)", worst, 1);
}

/** The Gaussian of some points, divisor `N`, and their radius. */
function describe(data: Float32Array, d: number) {
  const count = data.length / d;
  const mean = new Float64Array(d), covariance = new Float64Array(d * d);
  data.forEach((v, at) => mean[at % d] += v / count);
  let radius = 0;
  for (let row = 0; row < data.length; row += d) {
    const away = mean.map((m, c) => data[row + c] - m);
    radius = Math.max(radius, Math.hypot(...away));
    for (let at = 0; at < d * d; at++) {
      covariance[at] += away[Math.floor(at / d)] * away[at % d] / count;
    }
  }
  return { law: gaussianLaw(mean, covariance), radius };
}
