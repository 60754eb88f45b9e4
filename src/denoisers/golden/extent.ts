/**
 * How far the items of a data set are apart.
 *
 * @module
 */
import { atOnce, rowsPerPart } from "../../base/_turns.ts";
import type { Interruptible } from "../../base/_turns.ts";
import { affineOf } from "../../compute/posterior.ts";
import type { Dataset } from "../../datasets/dataset.ts";

/** How far items are apart, and between which numbers. */
export interface Extent {
  /** No two points of their convex hull are farther apart, in data units. */
  readonly diameter: number;
  /** The mean squared distance of the items to their mean, in squared data units. */
  readonly spread: number;
  /** The smallest number of all items, in data units. */
  readonly low: number;
  /** The largest one. */
  readonly high: number;
}

/**
 * The extent of a data set: its diameter is at most `2 maxᵢ ‖xᵢ − μ‖`, and at most the diagonal of the
 * box that holds all items; the smaller of the two.
 *
 * @param dataset The data.
 * @returns The extent.
 *
 * @example
 * ```ts
 * import { Dataset } from "@closedform/diffusion";
 * import { extentOf } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, 0, 2, 0), shape: [2], name: "two points" });
 * const { diameter, spread, low, high } = extentOf(set);
 * assert.deepEqual([low, high], [-1, 2]);
 * assert.ok(diameter >= 3 && diameter < 3.000001);
 * assert.equal(spread, 2.25);
 * ```
 */
export function extentOf(dataset: Dataset): Extent {
  return atOnce(extentInParts(dataset));
}

/** The work of {@linkcode extentOf}, which may be interrupted. */
export function* extentInParts(dataset: Dataset): Interruptible<Extent> {
  const { data, count, dimension } = dataset;
  const { scale, offset } = affineOf(dataset);
  const centre = dataset.mean().map((v) => (v - offset) / scale);
  const low = new Float64Array(dimension).fill(Infinity);
  const high = new Float64Array(dimension).fill(-Infinity);
  const every = rowsPerPart(dimension);
  let largest = 0, total = 0;
  for (let i = 0, at = 0; i < count; i++) {
    if (i % every === 0) yield;
    let square = 0;
    for (let c = 0; c < dimension; c++, at++) {
      const v = data[at], e = v - centre[c];
      square += e * e;
      if (v < low[c]) low[c] = v;
      if (v > high[c]) high[c] = v;
    }
    largest = Math.max(largest, square);
    total += square;
  }
  const diagonal = Math.sqrt(high.reduce((sum, v, c) => sum + (v - low[c]) ** 2, 0));
  return {
    // Rounding of the sums is far below one part in 2^30.
    diameter: Math.min(2 * Math.sqrt(largest), diagonal) * scale * (1 + 2 ** -30),
    spread: total / count * scale * scale,
    low: low.reduce((a, b) => Math.min(a, b)) * scale + offset,
    high: high.reduce((a, b) => Math.max(a, b)) * scale + offset,
  };
}
