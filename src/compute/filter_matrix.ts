/**
 * Symmetric functions of a covariance as full matrices, in float64.
 *
 * @module
 */
import { roundUp } from "./wasm/memory.ts";
import { Workspace } from "./wasm/spectral.ts";
import type { WorkOptions } from "./work_options.ts";

/** Panels of 4 rows per shard: with the columns they meet, they fit the cache. */
const PANELS = 8;
/** Below so many multiplications, threads take longer to start than to work. */
const LEAST_THREADED = 2 ** 24;

/**
 * The matrix `Σₖ wₖ uₖ uₖᵀ` of a weighted orthonormal basis.
 *
 * @param basis The vectors `uₖ`, `r` rows of `d` numbers.
 * @param weights The weights `wₖ`.
 * @param dimension `d`.
 * @param options Cancels the work.
 * @returns `d` rows of `d` numbers, symmetric to the bit.
 */
export async function filterMatrix(
  basis: Float64Array,
  weights: Float64Array,
  dimension: number,
  options: Pick<WorkOptions, "signal"> = {},
): Promise<Float64Array> {
  options.signal?.throwIfAborted();
  const upper = weights.length * dimension ** 2 < LEAST_THREADED
    ? plainProduct(basis, weights, dimension)
    : await threadedProduct(basis, weights, dimension, options);
  for (let a = 0; a < dimension; a++) {
    for (let b = 0; b < a; b++) upper[a * dimension + b] = upper[b * dimension + a];
  }
  return upper;
}

function plainProduct(basis: Float64Array, weights: Float64Array, dimension: number): Float64Array {
  const matrix = new Float64Array(dimension * dimension);
  weights.forEach((weight, k) => {
    const u = basis.subarray(k * dimension, (k + 1) * dimension);
    for (let a = 0; a < dimension; a++) {
      const value = weight * u[a], at = a * dimension;
      for (let b = a; b < dimension; b++) matrix[at + b] += value * u[b];
    }
  });
  return matrix;
}

/** By the kernel of covariances: the basis as panels of 4 columns, with weights and without. */
async function threadedProduct(
  basis: Float64Array,
  weights: Float64Array,
  dimension: number,
  options: Pick<WorkOptions, "signal">,
): Promise<Float64Array> {
  const depth = weights.length, panels = roundUp(Math.ceil(dimension / 4), 2);
  const stride = 4 * panels, panelBytes = 32 * depth;
  const space = 8 * stride * stride + 2 * panels * panelBytes + 192;
  using work = await Workspace.open(space, {}, options.signal);
  const out = work.take(8 * stride * stride);
  const [weighted, plain] = [work.take(panels * panelBytes), work.take(panels * panelBytes)];
  const [a, b] = [weighted, plain].map((at) => work.numbers(at, panels * 4 * depth));
  for (let k = 0; k < depth; k++) {
    for (let c = 0; c < dimension; c++) {
      const at = ((c >> 2) * depth + k) * 4 + (c & 3);
      const u = basis[k * dimension + c];
      a[at] = weights[k] * u;
      b[at] = u;
    }
  }
  await work.run(
    "products",
    panels,
    Math.ceil(panels / PANELS),
    ...[weighted, panelBytes, plain, panelBytes, panels, depth, 1, out, 8 * stride, work.stop],
  );
  const matrix = new Float64Array(dimension * dimension);
  for (let c = 0; c < dimension; c++) {
    matrix.set(work.numbers(out + 8 * c * stride, dimension), c * dimension);
  }
  return matrix;
}
