/**
 * Posterior means with a softmax of its own for each coordinate: what every device computes, and the
 * float64 form that checks them.
 *
 * @module
 */
import { optionsFor, type OptionTable, readOptions } from "../base/_options.ts";
import { checkPositive } from "../base/_checks.ts";
import { atOnce } from "../base/_turns.ts";
import type { Interruptible } from "../base/_turns.ts";
import { maskColumn } from "./mask.ts";
import type { Mask } from "./mask.ts";
import { affineOf, checkPoints, checkQueries, EVALUATE_OPTIONS } from "./posterior.ts";
import type { EvaluateOptions, PointSet } from "./posterior.ts";
import { checkSubsets } from "./subset.ts";
import type { Subset } from "./subset.ts";

/** What a masked posterior does, for messages. */
export const MASKED_ACTION = "compute the masked posterior mean";

/** Options of a masked posterior. */
export interface MaskedOptions extends EvaluateOptions {
  /** The rows of each query, with weights. Default: all rows, for all queries. */
  readonly subsets?: readonly Subset[];
  /** The temperature `τ` by which logits are divided. Default 1. */
  readonly temperature?: number;
  /**
   * Average the means of consecutive parts of so many rows, each with a softmax of its own, instead of
   * taking one softmax over all. Default: one softmax.
   */
  readonly batch?: number;
}

const OPTIONS = {
  ...EVALUATE_OPTIONS,
  subsets: undefined,
  temperature: 1,
  batch: Infinity,
} satisfies OptionTable<MaskedOptions>;

/**
 * Checks a call.
 *
 * @param store The store.
 * @param queries Rows of `dimension` numbers.
 * @param sigma The noise level.
 * @param mask The mask.
 * @param options Its options.
 * @returns The number of queries.
 */
export function checkMasked(
  store: { readonly count: number; readonly dimension: number },
  queries: ArrayLike<number>,
  sigma: number,
  mask: Mask,
  options: MaskedOptions,
): number {
  const { subsets, temperature, batch } = readOptions(MASKED_ACTION, options, OPTIONS);
  const rows = queries.length / store.dimension;
  if (!Number.isInteger(rows)) {
    throw new TypeError(
      `Cannot ${MASKED_ACTION}: received ${queries.length} numbers, wanted rows of ${store.dimension}`,
    );
  }
  if (rows === 0) {
    throw new RangeError(`Cannot ${MASKED_ACTION}: received 0 queries, wanted at least 1`);
  }
  if (mask.dimension !== store.dimension) {
    throw new TypeError(
      `Cannot ${MASKED_ACTION}: the mask has ${mask.dimension} coordinates, wanted ${store.dimension}`,
    );
  }
  checkPositive(MASKED_ACTION, "sigma", sigma);
  checkPositive(MASKED_ACTION, "temperature", temperature);
  if (batch !== Infinity && !(Number.isInteger(batch) && batch >= 1)) {
    throw new RangeError(
      `Cannot ${MASKED_ACTION}: batch is ${batch}, wanted a whole number >= 1`,
    );
  }
  if (subsets) checkSubsets(subsets, rows, store.count, MASKED_ACTION);
  checkQueries(queries, MASKED_ACTION);
  return rows;
}

/**
 * The masked posterior mean in float64, by plain loops.
 *
 * ```text
 * l(i, m) = −(1/2σ²τ) Σₙ G[n, m] (x[n] − xᵢ[n])²,   D[m] = Σᵢ softmaxᵢ( l(i, m) ) xᵢ[m]
 * ```
 *
 * A column without ones gives the plain mean of its rows.
 *
 * Reference: A. Lukoianov et al. (2025), arXiv:2509.09672.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param queries Noisy points, rows of `d` numbers in data units, one after the other.
 * @param sigma Noise level in data units.
 * @param mask The mask `G`.
 * @param options Subsets, temperature, and averaging over parts.
 * @returns One number per column of the mask for each query, in data units.
 * @throws {RangeError} If there are no queries, or a number is out of range.
 * @throws {TypeError} If the queries, the mask or the subsets do not fit the data.
 *
 * @example Each coordinate by itself: a hyperbolic tangent each
 * ```ts
 * import { maskOf, referenceMasked } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(-1, -1, 1, 1), dimension: 2 };
 * const mask = maskOf(2, (n, m) => n === m);
 * const [a, b] = referenceMasked(points, [0.3, -2], 1, mask);
 * assert.ok(Math.abs(a - Math.tanh(0.3)) < 1e-15 && Math.abs(b - Math.tanh(-2)) < 1e-15);
 * ```
 */
export function referenceMasked(
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: number,
  mask: Mask,
  options: MaskedOptions = {},
): Float64Array {
  return atOnce(maskedInParts(points, queries, sigma, mask, options));
}

/** The work of {@linkcode referenceMasked}, which may be interrupted. */
export function* maskedInParts(
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: number,
  mask: Mask,
  options: MaskedOptions = {},
): Interruptible<Float64Array> {
  const count = checkPoints(points);
  const { data, dimension } = points;
  const rows = checkMasked({ count, dimension }, queries, sigma, mask, options);
  const { subsets, temperature, batch } = optionsFor(OPTIONS, options);
  const { scale, offset } = affineOf(points);
  const all = subsets ? undefined : Uint32Array.from({ length: count }, (_, i) => i);
  const columns = Array.from(mask.outputs, (_, m) => maskColumn(mask, m));
  const rate = -0.5 / (sigma * sigma * temperature);
  const means = new Float64Array(rows * columns.length);
  const squares = new Float64Array(dimension);
  for (let q = 0; q < rows; q++) {
    const listed = all ?? subsets![q].rows;
    const size = Math.min(batch, listed.length), parts = Math.ceil(listed.length / size);
    for (let part = 0; part < parts; part++) {
      const from = part * size, length = Math.min(size, listed.length - from);
      const logits = columns.map(() => new Float64Array(length));
      for (let i = 0; i < length; i++) {
        // Each row is compared in as many columns as there are outputs.
        yield;
        const at = listed[from + i] * dimension;
        for (let n = 0; n < dimension; n++) {
          squares[n] = (queries[q * dimension + n] - (data[at + n] * scale + offset)) ** 2;
        }
        const weight = subsets?.[q].logWeights?.[from + i] ?? 0;
        columns.forEach((column, m) => {
          let sum = 0;
          for (const n of column) sum += squares[n];
          logits[m][i] = sum * rate + weight;
        });
      }
      mask.outputs.forEach((output, m) => {
        const top = logits[m].reduce((a, b) => Math.max(a, b), -Infinity);
        let z = 0, y = 0;
        for (let i = 0; i < length; i++) {
          const w = Math.exp(logits[m][i] - top);
          z += w;
          y += w * (data[listed[from + i] * dimension + output] * scale + offset);
        }
        means[q * columns.length + m] += y / z / parts;
      });
    }
  }
  return means;
}
