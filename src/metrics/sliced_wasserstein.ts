/**
 * The sliced 2-Wasserstein distance.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { RandomStream } from "../base/random.ts";
import { checkRows } from "./_rows.ts";
import { pairOf } from "./samples.ts";
import type { RowsOptions, Samples } from "./samples.ts";
import { differenceIn, fromUnit, unitOf } from "../base/_unit.ts";
import { sortedSquare } from "./wasserstein.ts";

const ACTION = "compute the sliced Wasserstein distance";

/** What {@linkcode slicedWasserstein2} returns. */
export interface SlicedWasserstein2 {
  /** The distance, in data units. */
  readonly distance: number;
  /** The standard error of the distance over the directions, in data units; NaN for one direction, which tells no spread. */
  readonly standardError: number;
}

/** Options of {@linkcode slicedWasserstein2}. */
export interface SlicedOptions extends RowsOptions {
  /** Number of directions. Default 256. */
  readonly directions?: number;
  /** Seed of the directions. Default 0. */
  readonly seed?: number;
}

const OPTIONS = { dimension: undefined, directions: 256, seed: 0 } satisfies OptionTable<
  SlicedOptions
>;

/**
 * The sliced 2-Wasserstein distance between two sets of points, of any sizes.
 *
 * ```text
 * SW₂² = mean over directions θ of W₂²(⟨θ, a⟩, ⟨θ, b⟩),   θ uniform on the unit sphere
 * ```
 *
 * It is a distance of its own, not an estimate of `W₂`: a shift by `s` moves it by `‖s‖/√d`.
 *
 * Reference: N. Bonneel, J. Rabin, G. Peyré, H. Pfister (2015), Sliced and Radon Wasserstein
 * barycenters of measures, J. Mathematical Imaging and Vision 51, 22-45.
 *
 * @param a Points, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Points, `m` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. How many directions, their seed.
 * @returns The distance and its standard error, in data units.
 * @throws {TypeError} If a set is no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, or the number of directions is not a whole number from 1 to 1,000,000.
 *
 * @example In one dimension it is the Wasserstein distance
 * ```ts
 * import { slicedWasserstein2 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(slicedWasserstein2([0, 1], [3, 4], { dimension: 1 }).distance, 3);
 * ```
 */
export function slicedWasserstein2(
  a: Samples,
  b: Samples,
  options: SlicedOptions = {},
): SlicedWasserstein2 {
  const { directions, seed } = readOptions(ACTION, options, OPTIONS);
  const { first, second, dimension } = pairOf(a, b, ACTION, options.dimension);
  const n = checkRows(first, dimension, ACTION), m = checkRows(second, dimension, ACTION);
  if (!Number.isInteger(directions) || directions < 1 || directions > 1e6) {
    throw new RangeError(
      `Cannot ${ACTION}: directions is ${directions}, wanted a whole number from 1 to 1000000`,
    );
  }
  const x = new Float64Array(n), y = new Float64Array(m);
  const unit = unitOf(dimension, first, second), inverse = 1 / unit;
  // About the first row, so that a common offset costs no digits.
  const scaled = (rows: ArrayLike<number>) =>
    Float64Array.from(rows, (v, at) => differenceIn(inverse, v, first[at % dimension]));
  const ours = scaled(first), theirs = scaled(second);
  const squares = Float64Array.from({ length: directions }, (_, k) => {
    const theta = direction(seed, k, dimension);
    project(ours, theta, x);
    project(theirs, theta, y);
    return sortedSquare(x.sort(), y.sort());
  });
  const mean = squares.reduce((sum, v) => sum + v, 0) / directions;
  const distance = Math.sqrt(mean);
  return {
    distance: fromUnit(distance, unit, 1, ACTION),
    standardError: standardErrorOf(squares, mean) * unit,
  };
}

/** The standard error of the root of a mean over draws, from their variance with divisor `n − 1`. */
function standardErrorOf(squares: Float64Array, mean: number): number {
  const n = squares.length;
  if (n < 2) return NaN;
  const variance = squares.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  // d√v = dv / 2√v.
  return mean > 0 ? Math.sqrt(variance / n) / (2 * Math.sqrt(mean)) : 0;
}

/** A direction, uniform on the unit sphere. */
function direction(seed: number, k: number, dimension: number): Float64Array {
  const stream = new RandomStream({ seed, sample: k, purpose: "metric" });
  const theta = Float64Array.from({ length: dimension }, () => stream.normal());
  const norm = Math.sqrt(theta.reduce((sum, v) => sum + v * v, 0));
  return theta.map((v) => v / norm);
}

function project(points: Float64Array, theta: Float64Array, out: Float64Array): void {
  for (let i = 0, at = 0; i < out.length; i++) {
    let dot = 0;
    for (let c = 0; c < theta.length; c++, at++) dot += theta[c] * points[at];
    out[i] = dot;
  }
}
