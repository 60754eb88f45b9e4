/**
 * The logits of a posterior and what follows from them, in plain float64: the
 * ground that the statements about truncation stand on.
 *
 * @module
 */
import { affineOf, checkPoints, checkQueries } from "../compute/posterior.ts";
import type { PointSet } from "../compute/posterior.ts";

/**
 * The logits of one query, by direct differences in float64.
 *
 * ```text
 * lᵢ = −‖x − xᵢ‖² / 2σ²
 * ```
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param query The query `x`, `d` numbers in data units.
 * @param sigma Noise level `σ > 0` in data units.
 * @returns `N` logits, nats.
 * @throws {TypeError} If the query does not hold `d` numbers, or the data are no whole number of rows.
 * @throws {RangeError} If a number is not finite or the noise level not positive.
 *
 * @example
 * ```ts
 * import { posteriorLogits } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(0, 0, 3, 4), dimension: 2 };
 * assert.deepEqual([...posteriorLogits(points, [0, 0], 0.5)], [-0, -50]);
 * ```
 */
export function posteriorLogits(
  points: PointSet,
  query: ArrayLike<number>,
  sigma: number,
): Float64Array {
  const count = checkPoints(points);
  const { data, dimension } = points;
  if (query.length !== dimension) {
    throw new TypeError(
      `Cannot compute logits: the query holds ${query.length} numbers, wanted ${dimension}`,
    );
  }
  checkQueries(query, "compute logits");
  if (!(sigma > 0 && sigma < Infinity)) {
    throw new RangeError(`Cannot compute logits: sigma is ${sigma}, wanted a finite number > 0`);
  }
  const { scale, offset } = affineOf(points);
  const x = Float64Array.from(query);
  const logits = new Float64Array(count);
  for (let i = 0, at = 0; i < count; i++) {
    let square = 0;
    for (let c = 0; c < dimension; c++, at++) {
      const difference = x[c] - (data[at] * scale + offset);
      square += difference * difference;
    }
    logits[i] = -square / (2 * sigma * sigma);
  }
  return logits;
}

/**
 * `log Σᵢ exp(lᵢ)` without overflow.
 *
 * @param logits The logits, `N` numbers, nats.
 * @returns Their log-sum-exp, nats; `-Infinity` if there are none.
 * @throws {RangeError} If the largest is not below infinity, or one is not a number.
 *
 * @example
 * ```ts
 * import { logSumExp } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.equal(logSumExp([1000, 1000]), 1000 + Math.log(2));
 * assert.equal(logSumExp([]), -Infinity);
 * ```
 */
export function logSumExp(logits: ArrayLike<number>): number {
  let top = -Infinity, sum = 0;
  for (let i = 0; i < logits.length; i++) top = Math.max(top, logits[i]);
  if (top === -Infinity) return top;
  if (!(top < Infinity)) {
    throw new RangeError(
      `Cannot add in logarithms: the largest is ${top}, wanted numbers below Infinity`,
    );
  }
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - top);
  return top + Math.log(sum);
}

/**
 * The posterior mean under given logits, over all rows or some of them.
 *
 * ```text
 * D_S = Σ_{i∈S} exp(lᵢ) xᵢ / Σ_{i∈S} exp(lᵢ)
 * ```
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param logits One logit per row of the data, nats, whatever they come from.
 * @param rows The rows `S`, at least one. Default: all.
 * @returns The mean, `d` numbers in data units.
 * @throws {TypeError} If there is not one logit per row.
 * @throws {RangeError} If `rows` is empty or one is out of range.
 *
 * @example
 * ```ts
 * import { restrictedMean } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(1, 3, 100), dimension: 1 };
 * assert.deepEqual([...restrictedMean(points, [0, 0, 5], [0, 1])], [2]);
 * ```
 */
export function restrictedMean(
  points: PointSet,
  logits: ArrayLike<number>,
  rows?: ArrayLike<number>,
): Float64Array {
  // Only these rows matter, and only they are looked at: callers go batch by batch.
  const count = checkLengths(points, logits);
  const list = rows ? Array.from(rows) : Array.from({ length: count }, (_, i) => i);
  if (list.length === 0 || list.some((i) => !(Number.isInteger(i) && i >= 0 && i < count))) {
    throw new RangeError(
      `Cannot average over rows: received ${list.length} rows, wanted at least 1, all below ${count}`,
    );
  }
  for (const i of list) checkLogit(logits[i]);
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const top = list.reduce((most, i) => Math.max(most, logits[i]), -Infinity);
  const mean = new Float64Array(dimension);
  let total = 0;
  for (const i of list) {
    const weight = Math.exp(logits[i] - top);
    if (weight === 0) continue;
    total += weight;
    for (let c = 0, at = i * dimension; c < dimension; c++, at++) {
      mean[c] += weight * (data[at] * scale + offset);
    }
  }
  if (!mean.every(Number.isFinite)) checkPoints(points);
  return mean.map((v) => v / total);
}

/**
 * Checks that there is one logit per row.
 *
 * @param points The data.
 * @param logits The logits, one per row, nats.
 * @returns The number of rows.
 * @throws {TypeError} If there is not one logit per row.
 */
export function checkLogits(points: PointSet, logits: ArrayLike<number>): number {
  checkPoints(points);
  const count = checkLengths(points, logits);
  for (let i = 0; i < count; i++) checkLogit(logits[i]);
  return count;
}

function checkLengths(points: PointSet, logits: ArrayLike<number>): number {
  const count = points.data.length / points.dimension;
  if (!Number.isInteger(count) || logits.length !== count) {
    throw new TypeError(
      `Cannot weigh the data: received ${logits.length} logits for ${count} rows, wanted one each`,
    );
  }
  return count;
}

function checkLogit(logit: number): void {
  if (logit < Infinity) return;
  throw new RangeError(`Cannot weigh the data: a logit is ${logit}, wanted numbers below Infinity`);
}

/**
 * Rows by falling logit; equal logits in the order of the rows.
 *
 * @param logits The logits, one per row.
 * @returns All row numbers, the row of the largest logit first.
 *
 * @example
 * ```ts
 * import { rowsByLogit } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...rowsByLogit([-2, -1, -2, 0])], [3, 1, 0, 2]);
 * ```
 */
export function rowsByLogit(logits: ArrayLike<number>): Uint32Array {
  return Uint32Array.from({ length: logits.length }, (_, i) => i)
    .sort((i, j) => logits[j] - logits[i] || i - j);
}
