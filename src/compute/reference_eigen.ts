/**
 * The eigen-decomposition of symmetric matrices by plain loops, in float64.
 *
 * @module
 */
import { reflectBack, tridiagonalise } from "../linalg/eigen/householder.ts";
import { implicitQl } from "../linalg/eigen/implicit_ql.ts";

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
 * @throws {RangeError} If a number is not finite.
 */
export function referenceEigen(matrix: Float64Array, n: number): EigenDecomposition {
  const size = largest(matrix, n);
  const tridiagonal = tridiagonalise(matrix.map((v) => v / size), n);
  const { diagonal, coupling } = tridiagonal;
  const rows = new Float64Array(n * n);
  for (let i = 0; i < n; i++) rows[i * n + i] = 1;
  implicitQl(diagonal, coupling, rows, n);
  reflectBack(tridiagonal, rows);
  const order = fallingOrder(diagonal);
  const vectors = new Float64Array(n * n);
  order.forEach((i, at) => vectors.set(rows.subarray(i * n, (i + 1) * n), at * n));
  return { values: Float64Array.from(order, (i) => diagonal[i] * size), vectors };
}

/** Matrices are scaled by their largest number, so that no square over- or underflows. */
export function largest(matrix: Float64Array, n: number): number {
  let most = 0;
  for (let i = 0; i < n; i++) {
    for (let at = i * n; at <= i * n + i; at++) {
      if (!(Math.abs(matrix[at]) < Infinity)) {
        throw new RangeError(
          `Cannot decompose the matrix: it holds ${matrix[at]}, wanted finite numbers`,
        );
      }
      most = Math.max(most, Math.abs(matrix[at]));
    }
  }
  return most || 1;
}

/** The places of some numbers, that of the largest first. */
export function fallingOrder(numbers: Float64Array): Uint32Array {
  return Uint32Array.from(numbers.keys()).sort((i, j) => numbers[j] - numbers[i]);
}
