/**
 * The kNN importance estimator of the posterior mean, and how its error falls.
 *
 * @module
 */
import type { PointSet } from "../compute/posterior.ts";
import { affineOf } from "../compute/posterior.ts";
import { RandomStream } from "../base/random.ts";
import { slopeOf } from "./_flow_runs.ts";
import { gaussianPoints, noised } from "./_problems.ts";
import { checkLogits, posteriorLogits, restrictedMean, rowsByLogit } from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * The proposal of {@linkcode knnImportance}: how often it draws each row.
 *
 * ```text
 * q_i = e^{max(l_i, l₍ₖ₎)} / (Z_k + (N−k) e^{l₍ₖ₎})   with l_i for the k nearest, l₍ₖ₎ for the rest
 * ```
 *
 * The weights `p_i/q_i` are one and the same on all neighbours, and no larger elsewhere.
 *
 * Reference: M. Niedoba et al. (2024), arXiv:2402.08018.
 *
 * @param logits One logit per row, nats.
 * @param neighbours The number of neighbours `k`, from 1 to `N`.
 * @returns The probabilities `q`, one per row.
 * @throws {RangeError} If `k` is out of range.
 *
 * @example With all rows as neighbours it is the posterior
 * ```ts
 * import { knnProposal } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...knnProposal([0, Math.log(3)], 2)], [0.25, 0.75]);
 * ```
 */
export function knnProposal(logits: ArrayLike<number>, neighbours: number): Float64Array {
  checkCounts(neighbours, 1, logits.length);
  const rows = rowsByLogit(logits);
  const floor = logits[rows[neighbours - 1]];
  const q = Float64Array.from(logits, (l) => Math.exp(Math.max(l, floor) - logits[rows[0]]));
  const total = q.reduce((sum, v) => sum + v, 0);
  return q.map((v) => v / total);
}

/**
 * The kNN importance estimator: rows drawn with replacement from a proposal that
 * is the posterior on the `k` nearest rows and flat on all others, weighted and normalised.
 *
 * ```text
 * q_i ∝ e^{l_i} for the k nearest,  q_i ∝ e^{l₍ₖ₎} for the rest
 * D ≈ Σ_drawn (e^{l_i}/q_i) x_i / Σ_drawn (e^{l_i}/q_i)
 * ```
 *
 * The normaliser of the proposal, `Z_k + (N−k) e^{l₍ₖ₎}`, bounds the true one.
 * With probability `N e^{l₍ₖ₎}` over it, a row is drawn uniformly from all; else a
 * neighbour with probability `∝ e^{l_i} − e^{l₍ₖ₎}`.
 *
 * Reference: M. Niedoba et al. (2024), arXiv:2402.08018.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param logits One logit per row, nats.
 * @param neighbours The number of neighbours `k`, from 1 to `N`.
 * @param draws The number of draws `n ≥ 1`.
 * @param stream Where the draws come from.
 * @returns The estimate of `D`, `d` numbers.
 * @throws {TypeError} If there is not one logit per row.
 * @throws {RangeError} If `k` or `n` is out of range.
 *
 * @example
 * ```ts
 * import { RandomStream } from "@closedform/diffusion";
 * import { knnImportance } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(1, 2, 3), dimension: 1 };
 * const [mean] = knnImportance(points, [0, -1000, -1000], 2, 8, new RandomStream({ seed: 0 }));
 * assert.equal(mean, 1);
 * ```
 */
export function knnImportance(
  points: PointSet,
  logits: ArrayLike<number>,
  neighbours: number,
  draws: number,
  stream: RandomStream,
): Float64Array {
  const count = checkLogits(points, logits);
  checkCounts(neighbours, draws, count);
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const rows = rowsByLogit(logits);
  const terms = Float64Array.from(rows, (i) => Math.exp(logits[i] - logits[rows[0]]));
  const floor = terms[neighbours - 1];
  const above = terms.subarray(0, neighbours).map((term) => term - floor);
  const cumulative = new Float64Array(neighbours);
  let sum = 0;
  above.forEach((term, j) => cumulative[j] = sum += term);
  const flat = count * floor;
  const mean = new Float64Array(dimension);
  let total = 0;
  for (let n = 0; n < draws; n++) {
    // The uniform part is never empty-handed: it also serves where all neighbours are equally near.
    const uniform = stream.uniform() * (flat + sum) < flat || sum === 0;
    const j = uniform ? stream.below(count) : firstAbove(cumulative, stream.uniform() * sum);
    const weight = terms[j] / Math.max(floor, terms[j]);
    total += weight;
    for (let c = 0, at = rows[j] * dimension; c < dimension; c++, at++) {
      mean[c] += weight * (data[at] * scale + offset);
    }
  }
  return mean.map((v) => v / total);
}

/** The first entry above a value, by bisection. */
function firstAbove(cumulative: Float64Array, value: number): number {
  let [lo, hi] = [0, cumulative.length - 1];
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (cumulative[middle] > value) hi = middle;
    else lo = middle + 1;
  }
  return lo;
}

function checkCounts(neighbours: number, draws: number, count: number): void {
  if (!(Number.isInteger(neighbours) && neighbours >= 1 && neighbours <= count)) {
    throw new RangeError(
      `Cannot draw from neighbours: neighbours is ${neighbours}, wanted a whole number from 1 to ${count}`,
    );
  }
  if (!(Number.isInteger(draws) && draws >= 1 && draws <= 2 ** 32)) {
    throw new RangeError(
      `Cannot draw from neighbours: draws is ${draws}, wanted a whole number from 1 to 2^32`,
    );
  }
}

/**
 * The error of the kNN importance estimator falls as `n^{−1/2}`.
 *
 * @returns The distance from −1/2 of the slope of log rms error against log n, n = 16, 64, 256, 1024, on 400 Gaussian points in 3-D at σ = 0.4 with 20 neighbours and 400 runs each; and 0.1.
 */
export function knnImportanceRate(): Report {
  const points = gaussianPoints(21, 400, 3), sigma = 0.4;
  const logits = posteriorLogits(points, noised(points, 0, sigma, 21), sigma);
  const exact = restrictedMean(points, logits);
  const stream = new RandomStream({ seed: 21, purpose: "theory" });
  const sizes = [16, 64, 256, 1024];
  const logErrors = sizes.map((draws) => {
    let square = 0;
    for (let run = 0; run < 400; run++) {
      knnImportance(points, logits, 20, draws, stream)
        .forEach((v, c) => square += (v - exact[c]) ** 2 / 400);
    }
    return Math.log(square) / 2;
  });
  return report(
    "kNN importance estimator: rms error ∝ n^(−1/2) (|slope + 1/2|)",
    Math.abs(slopeOf(sizes.map(Math.log), logErrors) + 0.5),
    0.1,
  );
}
