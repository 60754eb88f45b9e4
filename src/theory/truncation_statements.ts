/**
 * The truncation theorem and its first corollaries, measured.
 *
 * @module
 */
import { moons } from "../datasets/generators.ts";
import { RandomStream } from "../base/random.ts";
import { draw, gaussianPoints, noised } from "./_problems.ts";
import { posteriorLogits, rowsByLogit } from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";
import { subsetSizes } from "./sufficient_subset.ts";
import { truncation } from "./truncation.ts";
import type { Truncation } from "./truncation.ts";

/** Random Gaussian sets under random noise, cut to their largest logits or to any rows. */
function* cases(seed: number, number: number): Generator<Truncation> {
  const stream = new RandomStream({ seed, purpose: "theory" });
  for (let n = 0; n < number; n++) {
    const count = 2 + stream.below(300), dimension = 1 + stream.below(8);
    const points = gaussianPoints(1000 + n, count, dimension);
    const sigma = 0.05 * 400 ** stream.uniform();
    const query = noised(points, stream.below(count), sigma, n);
    const logits = posteriorLogits(points, query, sigma);
    const k = Math.min(count - 1, [1, 5, 50, 200, count - 1][stream.below(5)]);
    const rows = rowsByLogit(logits);
    yield truncation(points, logits, rows.subarray(0, k));
    yield truncation(points, logits, draw(stream, rows, k));
  }
}

/**
 * The exact form of the truncation theorem: `D − D_S = ε(D_T − D_S)`.
 *
 * @returns The largest difference of the two sides in a coordinate, relative to `R`, over 400 cases of {@linkcode truncation}, and a rounding error.
 */
export function truncationIdentity(): Report {
  let worst = 0;
  for (const { mean, keptMean, discardedMean, mass, radius } of cases(10, 200)) {
    mean.forEach((v, c) => {
      const sides = v - keptMean[c] - mass * (discardedMean[c] - keptMean[c]);
      worst = Math.max(worst, Math.abs(sides) / radius);
    });
  }
  // Sums over up to 300 rows, each rounded to 2⁻⁵³.
  return report("D − D_S = ε(D_T − D_S) (largest difference, relative to R)", worst, 1e-13);
}

/**
 * The chain of the truncation theorem, in every form.
 *
 * ```text
 * ‖D − D_S‖ = ε‖D_T − D_S‖ ≤ 2Rε ≤ 2R U'/(Z_S+U') ≤ 2R(N−k)e^{−Δ}
 * 2R U'/(Z_S+U') ≤ 2R (N−k)/k e^{−Δₖ},   |D − D_S| ≤ ε·range in every coordinate
 * ```
 *
 * @returns The largest left side over its right side, over 800 cases of {@linkcode truncation}, and 1 and a rounding error.
 */
export function truncationBounds(): Report {
  let worst = 0;
  for (const { error, meanAware, bounds, difference, perCoordinate } of cases(11, 400)) {
    const { mass, largest, gap, kthGap } = bounds;
    const pairs = [[error, meanAware], [meanAware, error], [error, mass], [mass, largest]];
    pairs.push([largest, gap], [largest, kthGap]);
    difference.forEach((v, c) => pairs.push([Math.abs(v), perCoordinate[c]]));
    for (const [left, right] of pairs) {
      // Numbers below the smallest normal one have lost their digits.
      if (left > 1e-300) worst = Math.max(worst, left / right);
    }
  }
  return report(
    "‖D − D_S‖ = ε‖D_T − D_S‖ ≤ 2Rε ≤ 2RU'/(Z_S+U') ≤ gap forms (ratio)",
    worst,
    1 + 1e-9,
  );
}

/**
 * The error of a truncated score vanishes as the noise does.
 *
 * ```text
 * ‖s − s_S‖ = ‖D − D_S‖/σ² ≤ 2R(N−k) e^{−g/2σ²}/σ² → 0,   g = r₍ₖ₊₁₎² − r₍₁₎² > 0
 * ```
 *
 * The right side falls with σ as soon as `2σ² < g`.
 *
 * @returns The largest of true score error over bound, and of bound over the one at the next higher noise level, for 16 queries between items of 300 moons and k = 5; and 1.
 */
export function truncationVanishes(): Report {
  const points = moons(300), k = 5;
  let worst = 0;
  for (let q = 0; q < 16; q++) {
    // A fixed place beside the data: the query does not move as the noise falls.
    const query = noised(points, q, 0.1, 12);
    let before = Infinity;
    for (let sigma = 0.5; sigma > 0.005; sigma /= 1.5) {
      const logits = posteriorLogits(points, query, sigma);
      const rows = rowsByLogit(logits);
      const { error, bounds } = truncation(points, logits, rows.subarray(0, k));
      const gap = 2 * sigma * sigma * (logits[rows[0]] - logits[rows[k]]);
      const bound = bounds.gap / (sigma * sigma);
      if (bound === 0) break;
      worst = Math.max(worst, error / (sigma * sigma) / bound);
      if (gap > 2 * (1.5 * sigma) ** 2) worst = Math.max(worst, bound / before);
      before = bound;
    }
  }
  return report("‖s − s_S‖ ≤ 2R(N−k)e^{−g/2σ²}/σ², falling with σ (ratio)", worst, 1);
}

/**
 * A number of items that is enough: the error is at most `δ` as soon as
 * `l₍₁₎ − l₍ₖ₊₁₎ ≥ log(2R(N−k)/δ)`, and the exact mass asks for no more items.
 *
 * @returns The largest true error over `δ` at the three numbers of {@linkcode subsetSizes}, or 2 if they are not in order; for 48 queries on 500 moons from σ = 0.02 to 2, and 1.
 */
export function sufficientSubset(): Report {
  const points = moons(500), tolerance = 1e-3;
  let worst = 0;
  for (const sigma of [0.02, 0.05, 0.1, 0.3, 1, 2]) {
    for (let q = 0; q < 8; q++) {
      const logits = posteriorLogits(points, noised(points, q, sigma, 13), sigma);
      const rows = rowsByLogit(logits);
      const { radius } = truncation(points, logits, [rows[0]]);
      const { exact, largest, gap } = subsetSizes(logits, tolerance / (2 * radius));
      if (exact > largest || largest > gap) worst = Math.max(worst, 2);
      for (const k of [exact, largest, gap]) {
        const { error } = truncation(points, logits, rows.subarray(0, k));
        worst = Math.max(worst, error / tolerance);
      }
    }
  }
  return report("l₍₁₎ − l₍ₖ₊₁₎ ≥ log(2R(N−k)/δ) makes the error at most δ (error/δ)", worst, 1);
}
