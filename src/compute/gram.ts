/**
 * The eigenvectors of a covariance of fewer rows than dimensions, from the inner products of the rows.
 *
 * @module
 */
import { ThreadedBasis } from "./wasm/basis.ts";
import type { WorkOptions } from "./work_options.ts";
import { eigenDecomposition } from "./eigen_decomposition.ts";
import type { EigenDecomposition } from "./reference_eigen.ts";

// Rows that are multiplied between two looks at the signal.
const ROWS = 64;

/**
 * The eigenvalues of `YᵀY` that are not 0, and their eigenvectors, for `N` rows `Y` of `d > N` numbers.
 *
 * ```text
 * Y Yᵀ = V diag(λ) Vᵀ,   uₖ = Yᵀ vₖ / √λₖ
 * ```
 *
 * Time is about `N³ + 6 N² d` instead of `d³`. Rounding leaves the `uₖ` of small `λₖ` askew by about `ε λ₁/λₖ`;
 * one step of Newton's iteration for the nearest orthonormal rows squares that.
 *
 * @param rows `Y`, `N` rows of `d` numbers.
 * @param d Numbers per row.
 * @param options Signal, progress.
 * @returns The values above the rounding of the largest, and their vectors, at most `N` rows of `d` numbers.
 */
export async function gramEigen(
  rows: Float64Array,
  d: number,
  { signal, onProgress }: WorkOptions = {},
): Promise<EigenDecomposition> {
  const n = rows.length / d;
  // The shares of the three stages, by operations: products, decomposition, products.
  const shares = [2 * n * n * d, 5 * n ** 3, 8 * n * n * d];
  const total = shares[0] + shares[1] + shares[2];
  const stage = (before: number, share: number): WorkOptions => ({
    signal,
    onProgress: (done, all) => onProgress?.(before + share * done / all, total),
  });
  using data = await ThreadedBasis.open(rows, d);
  const gram = await inParts(rows, d, (part) => data.coordinates(part), stage(0, shares[0]));
  const { values, vectors } = await eigenDecomposition(gram, n, stage(shares[0], shares[1]));
  const rank = values.findIndex((v) => v <= 2 * d * Number.EPSILON * values[0]);
  const kept = rank < 0 ? n : rank;
  const scaled = vectors.subarray(0, kept * n).map((v, at) =>
    v / Math.sqrt(values[Math.floor(at / n)])
  );
  const last = stage(shares[0] + shares[1], shares[2]);
  const askew = await inParts(scaled, n, (part) => data.combinations(part), last);
  return { values: values.subarray(0, kept), vectors: await straightened(askew, d, signal) };
}

/** One step of Newton's iteration to orthonormal rows: `(3 I − U Uᵀ) U / 2`. */
async function straightened(
  rows: Float64Array,
  d: number,
  signal?: AbortSignal,
): Promise<Float64Array> {
  if (rows.length === 0) return rows;
  const rank = rows.length / d;
  using basis = await ThreadedBasis.open(rows, d);
  const overlaps = await inParts(rows, d, (part) => basis.coordinates(part), { signal });
  const step = overlaps.map((v, at) => ((at % (rank + 1) === 0 ? 3 : 0) - v) / 2);
  return await inParts(step, rank, (part) => basis.combinations(part), { signal });
}

/** Maps rows of `width` numbers a part at a time. */
async function inParts(
  rows: Float64Array,
  width: number,
  map: (part: Float64Array) => Promise<Float64Array>,
  { signal, onProgress }: WorkOptions,
): Promise<Float64Array> {
  const parts: Float64Array[] = [];
  for (let at = 0; at < rows.length; at += ROWS * width) {
    signal?.throwIfAborted();
    parts.push(await map(rows.subarray(at, at + ROWS * width)));
    onProgress?.(Math.min(rows.length, at + ROWS * width), rows.length);
  }
  const mapped = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    mapped.set(part, at);
    at += part.length;
  }
  return mapped;
}
