/** Tolerances of the posterior, derived from norms and the machine epsilon. */
import { affineOf } from "@closedform/diffusion";
import type { PointSet } from "@closedform/diffusion";
import assert from "node:assert/strict";

/** Unit roundoff of float32. */
export const EPS32 = 2 ** -24;

/** What rounding may do to the posterior of one query. */
export interface PosteriorTolerance {
  /** To a logit of a row that weighs, in nats. */
  readonly logit: number;
  /** To a coordinate of the mean, in data units. */
  readonly mean: number;
}

// Additions in sequence within one float32 partial sum of a distance.
const SEQUENCE = 64;
// Rounding errors are taken as independent; eight standard deviations are never seen by chance.
const DEVIATIONS = 8;

/**
 * A distance `d² = Σ (q − v)²` over n numbers, each term rounded about
 * √SEQUENCE times on its way, is off by about `ε d² √(SEQUENCE/n)`; the
 * rounding of `q` itself, relative to the stored origin, adds `2 ε |d| ‖q‖/√n`.
 * A logit is off by that over `2σ²`. If all logits that weigh are off by at
 * most δ, every weight is off by a factor within `e^{±2δ}`, and coordinate c of
 * the mean by at most `(e^{2δ} − 1) Σ wᵢ |xᵢc − D_c|`. Summing and scaling the
 * mean costs 32 ε of the largest stored value.
 */
export function posteriorTolerance(
  points: PointSet,
  query: ArrayLike<number>,
  sigma: number,
): PosteriorTolerance {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const count = data.length / dimension;
  const squares = new Float64Array(count);
  let least = Infinity, largest = 0, norm = 0;
  for (let c = 0; c < dimension; c++) norm += (query[c] - offset) ** 2;
  for (let i = 0, at = 0; i < count; i++) {
    for (let c = 0; c < dimension; c++, at++) {
      squares[i] += (query[c] - data[at] * scale - offset) ** 2;
      largest = Math.max(largest, Math.abs(data[at] * scale), Math.abs(offset));
    }
    least = Math.min(least, squares[i]);
  }
  // Rows further off than this weigh less than 1e-12 of the nearest one.
  const square = least + 56 * sigma * sigma;
  const error = EPS32 * (square * Math.sqrt(SEQUENCE / dimension) + square +
    2 * Math.sqrt(square * norm / dimension));
  const logit = DEVIATIONS * error / (2 * sigma * sigma);
  const mean = new Float64Array(dimension), spread = new Float64Array(dimension);
  let z = 0;
  const weight = (i: number) => Math.exp((least - squares[i]) / (2 * sigma * sigma));
  for (let i = 0; i < count; i++) {
    const w = weight(i);
    z += w;
    if (w > 0) for (let c = 0; c < dimension; c++) mean[c] += w * (data[i * dimension + c] * scale + offset);
  }
  for (let i = 0; i < count; i++) {
    const w = weight(i) / z;
    if (w === 0) continue;
    for (let c = 0; c < dimension; c++) {
      spread[c] += w * Math.abs(data[i * dimension + c] * scale + offset - mean[c] / z);
    }
  }
  return { logit, mean: Math.expm1(2 * logit) * spread.reduce((a, b) => Math.max(a, b), 0) + 32 * EPS32 * largest };
}

/** Fails with the worst element if two arrays differ by more than `tolerance` anywhere. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: lengths`);
  let worst = -1, error = -1;
  for (let i = 0; i < actual.length; i++) {
    const e = actual[i] === expected[i] ? 0 : Math.abs(actual[i] - expected[i]);
    // Written so that a NaN is the worst of all.
    if (!(e <= error)) [worst, error] = [i, e];
  }
  assert.ok(
    error <= tolerance,
    `${what}: element ${worst} is ${actual[worst]}, expected ${expected[worst]}, off by ${error}, tolerance ${tolerance}`,
  );
}
