/**
 * The eigen-decomposition of large symmetric matrices, in float64.
 *
 * @module
 */
import { reflectBack, tridiagonalise } from "./householder.ts";
import { implicitQl } from "./implicit_ql.ts";

/** Eigenvalues and eigenvectors of a symmetric matrix. */
export interface EigenDecomposition {
  /** The eigenvalues, from the largest to the smallest. */
  readonly values: Float64Array;
  /** The eigenvectors of unit length, one per row, in the order of the values. */
  readonly vectors: Float64Array;
}

/**
 * The eigen-decomposition by plain loops: Householder's reduction and implicit QL steps.
 *
 * @param matrix The matrix, `n` rows of `n` numbers; the part on and below the diagonal counts.
 * @param n Its size.
 */
export function referenceEigen(matrix: Float64Array, n: number): EigenDecomposition {
  const size = matrix.reduce((most, v) => Math.max(most, Math.abs(v)), 0) || 1;
  const tridiagonal = tridiagonalise(matrix.map((v) => v / size), n);
  const { diagonal, coupling } = tridiagonal;
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  implicitQl(diagonal, coupling, vectors, n);
  reflectBack(tridiagonal, vectors);
  return sorted(diagonal.map((v) => v * size), vectors);
}

/** Sorts values and their vectors, the largest first. */
export function sorted(values: Float64Array, vectors: Float64Array): EigenDecomposition {
  const n = values.length;
  const order = Array.from(values.keys()).sort((i, j) => values[j] - values[i]);
  const rows = new Float64Array(n * n);
  order.forEach((i, at) => rows.set(vectors.subarray(i * n, (i + 1) * n), at * n));
  return { values: Float64Array.from(order, (i) => values[i]), vectors: rows };
}
