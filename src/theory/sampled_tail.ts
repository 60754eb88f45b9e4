/**
 * Statements about the sampled tail: an exact head, and a uniform sample that
 * stands for everything else.
 *
 * @module
 */
import type { PointSet } from "../compute/posterior.ts";
import { RandomStream } from "../base/random.ts";
import { slopeOf } from "./_flow_runs.ts";
import { draw, gaussianPoints, noised } from "./_problems.ts";
import {
  checkLogits,
  logSumExp,
  posteriorLogits,
  restrictedMean,
  rowsByLogit,
} from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/** An estimate of a posterior mean from a head and a sampled tail. */
export interface SampledTail {
  /** The estimate of `D`. */
  readonly mean: Float64Array;
  /** `log Û`, the estimated mass outside the head, nats; `-Infinity` if the head holds all rows. */
  readonly logTail: number;
  /** `log Z_H`, the mass of the head, nats. */
  readonly logHead: number;
  /** The rows that were drawn. */
  readonly drawn: Uint32Array;
}

/**
 * The posterior mean from the `head` rows of largest logit and `tail` rows drawn
 * uniformly without replacement from the others, which stand for all of them.
 *
 * ```text
 * Ẑ = Σ_H e^l + ((N−h)/n) Σ_drawn e^l,   Ŷ likewise with x,   D ≈ Ŷ/Ẑ
 * ```
 *
 * Numerator and denominator are unbiased; the ratio is biased by `O(1/n)`. The
 * error is about `ε` times the spread of the tail over the root of its effective sample size;
 * with `h + n = N` there is none.
 *
 * Derived here; related to the estimator of arXiv:2402.08018.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param logits One logit per row, nats.
 * @param head The number of exact rows `h`.
 * @param tail The number of drawn rows `n`.
 * @param stream Where the draw comes from.
 * @returns The estimate and its parts.
 * @throws {TypeError} If there is not one logit per row.
 * @throws {RangeError} If `h` or `n` is out of range, or nothing is drawn while rows are left.
 *
 * @example A head and a tail of everything else is exact
 * ```ts
 * import { RandomStream } from "@closedform/diffusion";
 * import { restrictedMean, sampledTail } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(1, 2, 3, 4), dimension: 1 };
 * const logits = [-1, -2, -3, -1];
 * const { mean } = sampledTail(points, logits, 1, 3, new RandomStream({ seed: 0 }));
 * assert.ok(Math.abs(mean[0] - restrictedMean(points, logits)[0]) < 1e-14);
 * ```
 */
export function sampledTail(
  points: PointSet,
  logits: ArrayLike<number>,
  head: number,
  tail: number,
  stream: RandomStream,
): SampledTail {
  const count = checkLogits(points, logits);
  const whole = Number.isInteger(head) && Number.isInteger(tail);
  if (!(whole && head >= 1 && head + tail <= count && (tail >= 1 || head === count))) {
    throw new RangeError(
      `Cannot sample a tail: head is ${head} and tail ${tail} of ${count} rows, wanted at least 1 row each and no more than all`,
    );
  }
  const rows = rowsByLogit(logits), kept = rows.subarray(0, head);
  const drawn = draw(stream, rows.subarray(head), tail);
  const scale = Math.log((count - head) / tail);
  const weighted = new Float64Array(count).fill(-Infinity);
  for (const i of kept) weighted[i] = logits[i];
  for (const i of drawn) weighted[i] = logits[i] + scale;
  const massOf = (part: Uint32Array) => logSumExp(Float64Array.from(part, (i) => weighted[i]));
  return {
    mean: restrictedMean(points, weighted, Uint32Array.of(...kept, ...drawn)),
    logTail: massOf(drawn),
    logHead: massOf(kept),
    drawn,
  };
}

/** What a sampled tail says about the mass of all rows outside the head. */
export interface TailSample {
  /** `log Û`, the estimate, nats. */
  readonly logTail: number;
  /** The rows outside the head, `N − h`. */
  readonly count: number;
  /** The rows drawn from them, `n`. */
  readonly drawn: number;
  /** An upper bound of their logits, nats: with a true head, its smallest logit. */
  readonly largest: number;
}

/**
 * An upper bound of the mass outside a head, by Hoeffding's inequality, from a sample of it.
 *
 * ```text
 * U ≤ Û + (N−h) e^{l₍ₕ₎} √( log(1/α) / 2n )   with probability 1 − α
 * ```
 *
 * A certificate in the statistical sense only, and only if `largest` is true.
 *
 * Reference: W. Hoeffding (1963), Probability inequalities for sums of bounded random variables,
 * doi:10.1080/01621459.1963.10500830, where section 6 has draws without replacement.
 *
 * @param sample The sample.
 * @param alpha The probability `α` of being wrong, in (0, 1).
 * @returns A bound of `log U`, nats.
 * @throws {RangeError} If `α` is not in (0, 1) or nothing was drawn.
 *
 * @example
 * ```ts
 * import { tailMassBound } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const sample = { logTail: Math.log(2), count: 100, drawn: 50, largest: -1 };
 * const bound = 2 + 100 * Math.exp(-1) * Math.sqrt(Math.log(100) / 100);
 * assert.ok(Math.abs(tailMassBound(sample, 0.01) - Math.log(bound)) < 1e-14);
 * ```
 */
export function tailMassBound(sample: TailSample, alpha: number): number {
  const { logTail, count, drawn, largest } = sample;
  if (!(alpha > 0 && alpha < 1 && drawn >= 1)) {
    throw new RangeError(
      `Cannot bound the mass of a tail: alpha is ${alpha} and ${drawn} rows were drawn, wanted alpha in (0, 1) and at least 1 row`,
    );
  }
  const deviation = Math.sqrt(Math.log(1 / alpha) / (2 * drawn));
  return logSumExp([logTail, Math.log(count * deviation) + largest]);
}

/** Many draws of one tail: 400 Gaussian points in 3-D at σ = 0.8, head 20, tail 15. */
function draws(seed: number, number: number) {
  const points = gaussianPoints(seed, 400, 3), sigma = 0.8;
  const logits = posteriorLogits(points, noised(points, 0, sigma, seed), sigma);
  const rows = rowsByLogit(logits);
  const stream = new RandomStream({ seed, purpose: "theory" });
  const found = Array.from({ length: number }, () => sampledTail(points, logits, 20, 15, stream));
  return { points, logits, rows, found };
}

/**
 * The estimated numerator and denominator of a sampled tail are unbiased.
 *
 * @returns The largest distance of a mean over 4,000 draws from the exact value, in standard errors; and 4.
 */
export function sampledTailUnbiased(): Report {
  const { points, logits, found } = draws(19, 4000);
  const total = logSumExp(logits), exact = restrictedMean(points, logits);
  // Both relative to the exact denominator, which then is 1.
  const denominators = found.map(({ logHead, logTail }) =>
    Math.exp(logSumExp([logHead, logTail]) - total)
  );
  let worst = Math.abs(zScore(denominators, 1));
  exact.forEach((wanted, c) => {
    const numerators = found.map(({ mean }, j) => mean[c] * denominators[j]);
    worst = Math.max(worst, Math.abs(zScore(numerators, wanted)));
  });
  return report("head + sampled tail: numerator and denominator unbiased (z-score)", worst, 4);
}

function zScore(values: readonly number[], expected: number): number {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  return (mean - expected) / Math.sqrt(variance / n);
}

/**
 * The statistical certificate covers the true mass of the tail as often as it says.
 *
 * @returns The share of 4,000 draws in which {@linkcode tailMassBound} at `α = 0.01` is below the true mass; and 0.01.
 */
export function tailMassCovered(): Report {
  const { logits, rows, found } = draws(20, 4000);
  const truth = logSumExp(Float64Array.from(rows.subarray(20), (i) => logits[i]));
  const sample = { count: rows.length - 20, drawn: 15, largest: logits[rows[19]] };
  const missed = found.filter(({ logTail }) => tailMassBound({ logTail, ...sample }, 0.01) < truth);
  return report(
    "U ≤ Û + Hoeffding's deviation, α = 0.01 (share of misses)",
    missed.length / found.length,
    0.01,
  );
}

/**
 * The ratio of a sampled tail's two unbiased estimates is biased in proportion to `1/n − 1/(N−h)`, the variance of a mean of `n`
 * of `N−h` rows drawn without replacement: by `O(1/n)`.
 *
 * ```text
 * E[Ŷ/Ẑ] − Y/Z = −E[(Ŷ − Ẑ Y/Z)(Ẑ − Z) / ẐZ]
 * ```
 *
 * The right side is what is averaged: it has the same mean as the error and a much smaller variance.
 *
 * @returns The distance from 1 of the slope of log bias against log(1/n − 1/(N−h)), n = 15, 30, 60, 120, over 4,000 draws each; and 0.15.
 */
export function sampledTailBias(): Report {
  const points = gaussianPoints(22, 400, 3), sigma = 0.8, head = 20;
  const logits = posteriorLogits(points, noised(points, 0, sigma, 22), sigma);
  const total = logSumExp(logits), exact = restrictedMean(points, logits);
  const stream = new RandomStream({ seed: 22, purpose: "theory" });
  const sizes = [15, 30, 60, 120], runs = 4000;
  const logBiases = sizes.map((n) => {
    const bias = new Float64Array(3);
    for (let run = 0; run < runs; run++) {
      const { mean, logHead, logTail } = sampledTail(points, logits, head, n, stream);
      const denominator = Math.exp(logSumExp([logHead, logTail]) - total);
      mean.forEach((v, c) => bias[c] -= (v - exact[c]) * (denominator - 1) / runs);
    }
    return Math.log(Math.hypot(...bias));
  });
  const variances = sizes.map((n) => Math.log(1 / n - 1 / (400 - head)));
  return report(
    "head + sampled tail: bias of the ratio ∝ 1/n − 1/(N−h) (|slope − 1|)",
    Math.abs(slopeOf(variances, logBiases) - 1),
    0.15,
  );
}
