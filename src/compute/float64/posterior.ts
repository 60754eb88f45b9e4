/**
 * The posterior mean in plain float64: slow, short, and the oracle of every
 * other kernel.
 *
 * @module
 */
import { atOnce, rowsPerPart } from "../../base/_turns.ts";
import type { Interruptible } from "../../base/_turns.ts";
import { affineOf, checkPoints, checkQueries, emptyFacts, sigmaPerRow } from "../posterior.ts";
import type { PointSet, Posterior, Sigma } from "../posterior.ts";

/**
 * The exact posterior mean of a finite data set, by direct differences in
 * float64, two passes over the data per query.
 *
 * ```text
 * D(x, σ) = Σᵢ wᵢ xᵢ,   wᵢ = softmaxᵢ( −‖x − xᵢ‖² / 2σ² )
 * ```
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364, appendix B.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param queries Noisy points `x = x₀ + σε`, rows of `d` numbers in data units, one after the other.
 * @param sigma Noise level in data units, one for all queries or one each.
 * @returns The means, in data units, rows one after the other, and the facts of each.
 * @throws {RangeError} If there are no queries, or a number is not finite, or a noise level not positive.
 * @throws {TypeError} If the queries are no whole number of rows.
 *
 * @example One data point: its posterior mean is the point itself
 * ```ts
 * import { referencePosterior } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(2, 0), dimension: 2 };
 * assert.deepEqual([...referencePosterior(points, [3, -1], 0.5).mean], [2, 0]);
 * ```
 */
export function referencePosterior(
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: Sigma,
): Posterior<Float64Array> {
  return atOnce(posteriorInParts(points, queries, sigma));
}

/** The work of {@linkcode referencePosterior}, which may be interrupted. */
export function* posteriorInParts(
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: Sigma,
): Interruptible<Posterior<Float64Array>> {
  const count = checkPoints(points);
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const rows = queries.length / dimension;
  if (!Number.isInteger(rows)) {
    throw new TypeError(
      `Cannot compute the posterior mean: received ${queries.length} numbers, wanted rows of ${dimension}`,
    );
  }
  const sigmas = sigmaPerRow(sigma, rows, "compute the posterior mean");
  checkQueries(queries);

  const mean = new Float64Array(rows * dimension);
  const facts = emptyFacts(rows);
  const logits = new Float64Array(count);
  const every = rowsPerPart(dimension);
  for (let q = 0; q < rows; q++) {
    const x = Float64Array.from(
      { length: dimension },
      (_, c) => queries[q * dimension + c],
    );
    let top = -Infinity, second = -Infinity, topIndex = 0;
    for (let first = 0; first < count; first += every) {
      yield;
      for (let i = first, end = Math.min(count, first + every); i < end; i++) {
        let sum = 0;
        for (let c = 0, at = i * dimension; c < dimension; c++, at++) {
          const difference = x[c] - (data[at] * scale + offset);
          sum += difference * difference;
        }
        const logit = logits[i] = -sum / (2 * sigmas[q] * sigmas[q]);
        if (logit > top) [top, second, topIndex] = [logit, top, i];
        else if (logit > second) second = logit;
      }
    }
    if (top === -Infinity) {
      throw new RangeError(
        `Cannot compute the posterior mean: query ${q} is too far from the data at sigma ${
          sigmas[q]
        }, wanted logits that are finite`,
      );
    }
    let z = 0, z2 = 0, a = 0;
    const y = mean.subarray(q * dimension, (q + 1) * dimension);
    for (let first = 0; first < count; first += every) {
      yield;
      for (let i = first, end = Math.min(count, first + every); i < end; i++) {
        const shifted = logits[i] - top;
        const weight = Math.exp(shifted);
        if (weight === 0) continue;
        z += weight;
        z2 += weight * weight;
        a += weight * shifted;
        for (let c = 0, at = i * dimension; c < dimension; c++, at++) {
          y[c] += weight * (data[at] * scale + offset);
        }
      }
    }
    for (let c = 0; c < dimension; c++) y[c] /= z;
    facts.logNormaliser[q] = top + Math.log(z);
    facts.topLogit[q] = top;
    facts.logitGap[q] = top - second;
    facts.topIndex[q] = topIndex;
    facts.effectiveSampleSize[q] = z * z / z2;
    facts.entropy[q] = Math.log(z) - a / z;
  }
  return { mean, facts };
}
