/**
 * Statements about averaged ("weighted streaming") softmaxes: what the mean of
 * the posterior means of batches has to do with the posterior mean.
 *
 * @module
 */
import type { PointSet } from "../compute/posterior.ts";
import { RandomStream } from "../base/random.ts";
import { noised } from "./_problems.ts";
import { checkLogits, logSumExp, posteriorLogits, restrictedMean } from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/** The averaged softmax of one query. */
export interface AveragedSoftmax {
  /** `(1/J) Σⱼ μⱼ`, the mean of the posterior means of the batches. */
  readonly mean: Float64Array;
  /** `Σⱼ (1/J − Zⱼ/Z) μⱼ`, by which it is off. */
  readonly bias: Float64Array;
}

/**
 * The averaged softmax: one softmax per batch of consecutive rows, and the plain
 * mean of the results; and its bias as a formula.
 *
 * ```text
 * averaged = (1/J) Σⱼ μⱼ,   exact D = Σⱼ (Zⱼ/Z) μⱼ,   bias = Σⱼ (1/J − Zⱼ/Z) μⱼ
 * ```
 *
 * with `μⱼ` the posterior mean over batch `j` and `Zⱼ` its sum of `exp(lᵢ)`. A
 * local softmax sums to 1 whatever its batch has to say, so every batch gets the
 * same vote. The bias vanishes if all `Zⱼ` or all `μⱼ` agree, and depends on the
 * order of the data and the batch size; a short last batch counts like a full one.
 *
 * Reference: A. Lukoianov et al. (2025), arXiv:2509.09672, whose code has it as "weighted streaming softmax".
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param logits One logit per row, nats.
 * @param batch Rows per batch, a whole number ≥ 1.
 * @returns The average and its bias.
 * @throws {TypeError} If there is not one logit per row.
 * @throws {RangeError} If the batch is no whole number ≥ 1.
 *
 * @example Two items, one of which explains the query: batches of one give the other half the vote
 * ```ts
 * import { averagedSoftmax } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(0, 1), dimension: 1 };
 * assert.equal(averagedSoftmax(points, [0, -1000], 1).mean[0], 0.5);
 * assert.equal(averagedSoftmax(points, [0, -1000], 2).mean[0], 0);
 * ```
 */
export function averagedSoftmax(
  points: PointSet,
  logits: ArrayLike<number>,
  batch: number,
): AveragedSoftmax {
  const count = checkLogits(points, logits);
  if (!(Number.isInteger(batch) && batch >= 1)) {
    throw new RangeError(
      `Cannot average softmaxes: batch is ${batch}, wanted a whole number >= 1`,
    );
  }
  const batches = Math.ceil(count / batch);
  const total = logSumExp(logits);
  const mean = new Float64Array(points.dimension), bias = new Float64Array(points.dimension);
  for (let j = 0; j < batches; j++) {
    const from = j * batch;
    const rows = Array.from({ length: Math.min(batch, count - from) }, (_, i) => from + i);
    const share = Math.exp(logSumExp(rows.map((i) => logits[i])) - total);
    restrictedMean(points, logits, rows).forEach((v, c) => {
      mean[c] += v / batches;
      bias[c] += (1 / batches - share) * v;
    });
  }
  return { mean, bias };
}

/** The relative error of averaged softmaxes over batches of so many rows. */
export interface AveragedSoftmaxError {
  /** Rows per batch. */
  readonly batch: number;
  /** `‖averaged − D‖ / ‖D‖`, root mean squares over 64 queries. */
  readonly error: number;
  /** The largest difference between that bias and its formula. */
  readonly mismatch: number;
}

/**
 * The bias of averaged softmaxes in numbers: 4,096 points, uniform in the cube
 * `[-1, 1]⁸`, 64 further ones under noise of level 0.5 as queries.
 * Batches of 4096, 1024, 256, 64, 16 rows are off by 0, 3, 7, 15, 31 %.
 *
 * @returns One entry for each of five batch sizes, from all rows down to 16.
 *
 * @example
 * ```ts
 * import { averagedSoftmaxErrors } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const errors = averagedSoftmaxErrors();
 * assert.deepEqual(errors.map(({ batch }) => batch), [4096, 1024, 256, 64, 16]);
 * assert.ok(errors[0].error < 1e-12 && errors[4].error > 0.3);
 * ```
 */
export function averagedSoftmaxErrors(): AveragedSoftmaxError[] {
  const count = 4096, dimension = 8, sigma = 0.5, queries = 64;
  const stream = new RandomStream({ seed: 18, purpose: "theory" });
  const uniform = (rows: number) =>
    Float32Array.from({ length: rows * dimension }, () => 2 * stream.uniform() - 1);
  const points = { data: uniform(count), dimension };
  const heldOut = { data: uniform(queries), dimension };
  const exact = Array.from({ length: queries }, (_, q) => {
    const logits = posteriorLogits(points, noised(heldOut, q, sigma, 18), sigma);
    return { logits, mean: restrictedMean(points, logits) };
  });
  return [4096, 1024, 256, 64, 16].map((batch) => {
    let error = 0, size = 0, mismatch = 0;
    for (const { logits, mean } of exact) {
      const averaged = averagedSoftmax(points, logits, batch);
      mean.forEach((v, c) => {
        const off = averaged.mean[c] - v;
        error += off * off;
        size += v * v;
        mismatch = Math.max(mismatch, Math.abs(off - averaged.bias[c]));
      });
    }
    return { batch, error: Math.sqrt(error / size), mismatch };
  });
}

/**
 * The bias of an averaged softmax is `Σⱼ (1/J − Zⱼ/Z) μⱼ`, exactly.
 *
 * @returns The largest difference over the cases of {@linkcode averagedSoftmaxErrors}, and a rounding error.
 */
export function averagedSoftmaxBias(): Report {
  const worst = Math.max(...averagedSoftmaxErrors().map(({ mismatch }) => mismatch));
  return report("averaged softmax − D = Σⱼ(1/J − Zⱼ/Z)μⱼ (largest difference)", worst, 1e-13);
}

/**
 * The error of an averaged softmax grows as its batches shrink.
 *
 * @returns The largest error of a batch size over that of a quarter of it, in the cases of {@linkcode averagedSoftmaxErrors}; and 1.
 */
export function averagedSoftmaxGrowth(): Report {
  const errors = averagedSoftmaxErrors().map(({ error }) => error);
  const worst = Math.max(...errors.slice(1).map((error, i) => errors[i] / error));
  return report("averaged softmax: smaller batches, larger error (ratio)", worst, 1);
}
