/** Tolerances of the posterior, derived from norms and the machine epsilon. */
import type { PointSet } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { affineOf } from "../../src/compute/posterior.ts";

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
 * First order in the errors of the logits, `ΔD = Σ wᵢ δᵢ (xᵢ − D)`. They have two sources:
 *
 * - each row by itself: a distance `d²` of n terms, each rounded about
 *   √SEQUENCE times on its way and the total a few times, is off by about
 *   `δ = ε d² (√(SEQUENCE/n) + 2)/2σ²`, independently from row to row;
 * - all rows together: the query is rounded relative to the stored origin o, by
 *   `ε |q_c − o|` in coordinate c, so `δᵢ ≈ ε √Σ_c (x_ic − D_c)² (q_c − o)² / σ²`.
 *
 * A logit itself is also off by the common part of the latter, `2ε √Σ (q_c − v_c)² (q_c − o)² / 2σ²`.
 * Summing and scaling the mean costs 32 ε of the largest stored value.
 */
export function posteriorTolerance(
  points: PointSet,
  query: ArrayLike<number>,
  sigma: number,
): PosteriorTolerance {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const count = data.length / dimension;
  const origin = Float64Array.from({ length: dimension }, (_, c) => query[c] - offset);
  const squares = new Float64Array(count);
  let least = Infinity, largest = Math.abs(offset), common = 0;
  for (let i = 0, at = 0; i < count; i++) {
    let square = 0, moved = 0;
    for (let c = 0; c < dimension; c++, at++) {
      const stored = data[at] * scale;
      const away = query[c] - stored - offset;
      square += away * away;
      moved += (away * origin[c]) ** 2;
      if (Math.abs(stored) > largest) largest = Math.abs(stored);
    }
    squares[i] = square;
    if (square < least) [least, common] = [square, Math.sqrt(moved)];
  }
  const variance = sigma * sigma;
  // Rows further off than this weigh less than 1e-12 of the nearest one.
  const square = least + 56 * variance;
  const own = EPS32 * square * (Math.sqrt(SEQUENCE / dimension) + 2) / (2 * variance);
  const logit = DEVIATIONS * (own + EPS32 * common / variance);

  const weights = squares.map((d) => Math.exp((least - d) / (2 * variance)));
  const z = weights.reduce((a, b) => a + b, 0);
  const heavy = [...weights.keys()].filter((i) => weights[i] > 1e-12 * z);
  const mean = new Float64Array(dimension);
  for (const i of heavy) {
    const w = weights[i] / z;
    for (let c = 0; c < dimension; c++) mean[c] += w * (data[i * dimension + c] * scale + offset);
  }
  const alone = new Float64Array(dimension), together = new Float64Array(dimension);
  const away = new Float64Array(dimension);
  for (const i of heavy) {
    let moved = 0;
    for (let c = 0; c < dimension; c++) {
      away[c] = data[i * dimension + c] * scale + offset - mean[c];
      moved += (away[c] * origin[c]) ** 2;
    }
    const w = weights[i] / z;
    const shared = EPS32 * Math.sqrt(moved) / variance;
    for (let c = 0; c < dimension; c++) {
      alone[c] += (w * away[c]) ** 2;
      together[c] += w * shared * Math.abs(away[c]);
    }
  }
  let worst = 0;
  for (let c = 0; c < dimension; c++) {
    worst = Math.max(worst, own * Math.sqrt(alone[c]) + together[c]);
  }
  // Second order: weights move by e^{±2δ}, not by 1 ± 2δ.
  const curvature = Math.expm1(2 * DEVIATIONS * own) / (2 * DEVIATIONS * own);
  return { logit, mean: DEVIATIONS * worst * curvature + 32 * EPS32 * largest };
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
    `${what}: element ${worst} is ${actual[worst]}, expected ${
      expected[worst]
    }, off by ${error}, tolerance ${tolerance}`,
  );
}
