/**
 * The truncation theorem: what a posterior mean loses when it is taken over
 * some of the data only, exactly and in every bound of it.
 *
 * @module
 */
import { affineOf } from "../compute/posterior.ts";
import type { PointSet } from "../compute/posterior.ts";
import { checkLogits, logSumExp, restrictedMean } from "./posterior_logits.ts";

/** Upper bounds of the error of a truncated posterior mean, Euclidean norms in data units. */
export interface TruncationBounds {
  /** `2Rε`: the exact discarded mass, known when all logits are. */
  readonly mass: number;
  /** `2R · U'/(Z_S + U')` with `U' = (N−k) exp(max_T l)`: never above `2R`. */
  readonly largest: number;
  /** `2R (N−k) exp(−Δ)`, `Δ = max_S l − max_T l`: the published form. */
  readonly gap: number;
  /** `2R (N−k)/k · exp(−Δₖ)`, `Δₖ = min_S l − max_T l`: the form in the k-th gap. */
  readonly kthGap: number;
}

/** A posterior mean, its truncation, and both sides of the theorem. */
export interface Truncation {
  /** Size of the kept set, `k`. */
  readonly kept: number;
  /** The full posterior mean `D`. */
  readonly mean: Float64Array;
  /** The mean `D_S` over the kept set. */
  readonly keptMean: Float64Array;
  /** The mean `D_T` over the rest; the kept mean where nothing is left out. */
  readonly discardedMean: Float64Array;
  /** `log ε`, nats: `-Infinity` where nothing is left out. */
  readonly logMass: number;
  /** The discarded mass `ε = 1 − Σ_S wᵢ`, summed over what is left out, so that a small one is exact. */
  readonly mass: number;
  /** `D − D_S`, as `Σ_T wᵢ (xᵢ − D_S)`, which does not cancel. */
  readonly difference: Float64Array;
  /** The true error `‖D − D_S‖`. */
  readonly error: number;
  /** The mean-aware form `ε ‖D_T − D_S‖`, equal to the error. */
  readonly meanAware: number;
  /** The radius `R = maxᵢ ‖xᵢ − μ‖` around the mean of the data. */
  readonly radius: number;
  /** Bounds of the error. */
  readonly bounds: TruncationBounds;
  /** `ε · rangeₓ` per coordinate: bounds of `|D − D_S|` there. */
  readonly perCoordinate: Float64Array;
}

/**
 * A posterior mean against its truncation to a kept set `S`, for any logits:
 * the true error, the exact discarded mass, and every bound.
 *
 * ```text
 * (a)  D − D_S = ε (D_T − D_S)
 * (b)  ‖D − D_S‖ ≤ 2R ε
 * (c)  ‖D − D_S‖ ≤ 2R (N−k) e^{−Δ},   Δ = max_S l − max_T l
 * ```
 *
 * with `T` the rows left out, `ε = Σ_T wᵢ` their posterior mass and
 * `R = maxᵢ ‖xᵢ − μ‖` for any centre, here the mean of the data.
 *
 * Proof. Splitting the sum, `D = (1−ε)D_S + εD_T`: (a). Both means lie in the
 * convex hull of the data, whose diameter is at most `2R`: (b). With
 * `Z_S = Σ_S e^l` and `U = Σ_T e^l`, `ε = U/(Z_S+U)`, which grows with `U`; so
 * any `U' ≥ U` gives `ε ≤ U'/(Z_S+U')`. The largest logit left out gives
 * `U ≤ U' = (N−k) e^{max_T l}`; and `Z_S ≥ e^{max_S l}`: (c), or
 * `Z_S ≥ k e^{min_S l}`: the form in the k-th gap. ∎
 *
 * Nothing here asks `S` to hold the largest logits, nor the logits to come from
 * distances: for a local estimator, take the values of one coordinate as the
 * data and its own logits. In one coordinate `|D − D_S| ≤ ε · range` by (a).
 * In distances, `Δ = (r_T² − r_S²)/2σ²` with `r_S`, `r_T` the smallest distances
 * inside and outside.
 *
 * Reference: the constant `2R` and the form (c) are attributed to GoldDiff, arXiv:2602.16498;
 * the proof and the sharper forms are derived here.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param logits One logit per row, nats.
 * @param subset The rows `S`, each once, at least one.
 * @returns Both sides of the theorem.
 * @throws {TypeError} If there is not one logit per row.
 * @throws {RangeError} If the subset is empty, repeats a row, or has one that does not exist.
 *
 * @example The nearest of three points, and what the two others would have added
 * ```ts
 * import { posteriorLogits, truncation } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(-1, 0, 1), dimension: 1 };
 * const { error, mass, bounds } = truncation(points, posteriorLogits(points, [0.9], 0.5), [2]);
 * assert.ok(error > 0 && error <= bounds.mass && bounds.mass === 2 * mass);
 * assert.ok(bounds.mass <= bounds.largest && bounds.largest <= bounds.gap);
 * ```
 */
export function truncation(
  points: PointSet,
  logits: ArrayLike<number>,
  subset: ArrayLike<number>,
): Truncation {
  const count = checkLogits(points, logits);
  const { kept, rest } = split(subset, count);
  const at = (rows: readonly number[]) => rows.map((i) => logits[i]);
  const logKept = logSumExp(at(kept)), logRest = logSumExp(at(rest));
  const logMass = logRest === -Infinity ? -Infinity : logRest - logSumExp([logKept, logRest]);
  const mass = Math.exp(logMass);
  const { radius, ranges } = extentOf(points);
  const keptMean = restrictedMean(points, logits, kept);
  const discardedMean = rest.length ? restrictedMean(points, logits, rest) : keptMean;
  const difference = offsetOf(points, logits, rest, keptMean, logSumExp([logKept, logRest]));
  return {
    kept: kept.length,
    mean: restrictedMean(points, logits),
    keptMean,
    discardedMean,
    logMass,
    mass,
    difference,
    error: norm(difference),
    meanAware: mass * distance(discardedMean, keptMean),
    radius,
    bounds: boundsOf(at(kept), at(rest), logKept, radius, mass),
    perCoordinate: ranges.map((range) => mass * range),
  };
}

function boundsOf(
  kept: readonly number[],
  rest: readonly number[],
  logKept: number,
  radius: number,
  mass: number,
): TruncationBounds {
  const diameter = 2 * radius;
  if (rest.length === 0) return { mass: 0, largest: 0, gap: 0, kthGap: 0 };
  const extreme = (values: readonly number[], pick: typeof Math.max) =>
    values.reduce((a, b) => pick(a, b));
  const outside = extreme(rest, Math.max);
  const logUnseen = Math.log(rest.length) + outside;
  return {
    mass: diameter * mass,
    largest: diameter * Math.exp(logUnseen - logSumExp([logKept, logUnseen])),
    gap: diameter * Math.exp(logUnseen - extreme(kept, Math.max)),
    kthGap: diameter * Math.exp(logUnseen - extreme(kept, Math.min) - Math.log(kept.length)),
  };
}

function split(subset: ArrayLike<number>, count: number) {
  const inside = new Uint8Array(count);
  for (let j = 0; j < subset.length; j++) {
    const row = subset[j];
    if (!(Number.isInteger(row) && row >= 0 && row < count) || inside[row]) {
      throw new RangeError(
        `Cannot truncate the posterior: the subset holds row ${row}${
          inside[row] ? " twice" : ""
        }, wanted rows below ${count}, each once`,
      );
    }
    inside[row] = 1;
  }
  if (subset.length === 0) {
    throw new RangeError(
      "Cannot truncate the posterior: the subset is empty, wanted at least 1 row",
    );
  }
  const rest: number[] = [];
  for (let i = 0; i < count; i++) if (!inside[i]) rest.push(i);
  return { kept: Array.from(subset), rest };
}

/** `Σ_T wᵢ (xᵢ − D_S)`. */
function offsetOf(
  points: PointSet,
  logits: ArrayLike<number>,
  rest: readonly number[],
  keptMean: Float64Array,
  logTotal: number,
): Float64Array {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const sum = new Float64Array(dimension);
  for (const i of rest) {
    const weight = Math.exp(logits[i] - logTotal);
    if (weight === 0) continue;
    for (let c = 0, at = i * dimension; c < dimension; c++, at++) {
      sum[c] += weight * (data[at] * scale + offset - keptMean[c]);
    }
  }
  return sum;
}

/** The radius around the mean, and the range of each coordinate. */
function extentOf(points: PointSet): { radius: number; ranges: Float64Array } {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const count = data.length / dimension;
  const mean = new Float64Array(dimension);
  const lo = new Float64Array(dimension).fill(Infinity);
  const hi = new Float64Array(dimension).fill(-Infinity);
  for (let i = 0, at = 0; i < count; i++) {
    for (let c = 0; c < dimension; c++, at++) {
      const v = data[at] * scale + offset;
      mean[c] += v / count;
      if (v < lo[c]) lo[c] = v;
      if (v > hi[c]) hi[c] = v;
    }
  }
  let largest = 0;
  for (let i = 0, at = 0; i < count; i++) {
    let square = 0;
    for (let c = 0; c < dimension; c++, at++) {
      square += (data[at] * scale + offset - mean[c]) ** 2;
    }
    largest = Math.max(largest, square);
  }
  return { radius: Math.sqrt(largest), ranges: hi.map((v, c) => v - lo[c]) };
}

function distance(a: Float64Array, b: Float64Array): number {
  return norm(a.map((v, c) => v - b[c]));
}

/** The Euclidean norm, relative to the largest number, so that the squares of small ones do not vanish. */
function norm(values: Float64Array): number {
  const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  if (largest === 0) return 0;
  return largest * Math.sqrt(values.reduce((sum, v) => sum + (v / largest) ** 2, 0));
}
