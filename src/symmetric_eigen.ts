/**
 * Eigenvalues and eigenvectors of small symmetric matrices, in float64.
 *
 * @module
 */
import type { EigenDecomposition } from "./compute/eigen/eigen_decomposition.ts";
import { referenceEigen } from "./compute/eigen/eigen_decomposition.ts";

/**
 * The eigen-decomposition `A = Vᵀ diag(λ) V` of a symmetric matrix, by Householder's reduction and
 * implicit QL steps.
 *
 * Reference: G. Golub, C. Van Loan, Matrix computations, section 8.3.
 *
 * @param matrix The matrix, `n` rows of `n` numbers; only symmetric ones make sense.
 * @returns The eigenvalues, falling, and the eigenvectors as rows.
 * @throws {TypeError} If the matrix is not square or not symmetric.
 * @throws {RangeError} If a number is not finite.
 *
 * @example
 * ```ts
 * import { symmetricEigen } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { values, vectors } = symmetricEigen([2, 1, 1, 2]);
 * assert.ok(Math.abs(values[0] - 3) < 1e-15 && Math.abs(values[1] - 1) < 1e-15);
 * assert.ok(Math.abs(vectors[0] - vectors[1]) < 1e-15);
 * ```
 */
export function symmetricEigen(matrix: ArrayLike<number>): EigenDecomposition {
  const n = Math.sqrt(matrix.length);
  checkSymmetric(matrix, n);
  return referenceEigen(Float64Array.from(matrix), n);
}

function checkSymmetric(matrix: ArrayLike<number>, n: number): void {
  if (!Number.isInteger(n) || n < 1) {
    throw new TypeError(
      `Cannot decompose the matrix: received ${matrix.length} numbers, wanted a square of at least one`,
    );
  }
  let largest = 0, odd = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const value = matrix[i * n + j];
      if (!Number.isFinite(value)) {
        throw new RangeError(
          `Cannot decompose the matrix: it holds ${value}, wanted finite numbers`,
        );
      }
      largest = Math.max(largest, Math.abs(value));
      odd = Math.max(odd, Math.abs(value - matrix[j * n + i]));
    }
  }
  if (odd > 1e-12 * largest) {
    throw new TypeError(
      `Cannot decompose the matrix: elements across the diagonal differ by ${odd}, wanted a symmetric matrix`,
    );
  }
}
