/**
 * Eigenvalues and eigenvectors of small symmetric matrices, in float64.
 *
 * @module
 */
import type { EigenDecomposition } from "./reference_eigen.ts";
import { referenceEigen } from "./reference_eigen.ts";
import { checkSymmetric } from "../linalg/_symmetric.ts";

const ACTION = "decompose the matrix";

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
 * import { symmetricEigen } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const { values, vectors } = symmetricEigen([2, 1, 1, 2]);
 * assert.ok(Math.abs(values[0] - 3) < 1e-15 && Math.abs(values[1] - 1) < 1e-15);
 * assert.ok(Math.abs(vectors[0] - vectors[1]) < 1e-15);
 * ```
 */
export function symmetricEigen(matrix: ArrayLike<number>): EigenDecomposition {
  const n = Math.sqrt(matrix.length);
  checkSquare(matrix, n);
  checkSymmetric(matrix, n, ACTION);
  return referenceEigen(Float64Array.from(matrix), n);
}

function checkSquare(matrix: ArrayLike<number>, n: number): void {
  if (!Number.isInteger(n) || n < 1) {
    throw new TypeError(
      `Cannot ${ACTION}: received ${matrix.length} numbers, wanted a square of at least one`,
    );
  }
  for (let at = 0; at < matrix.length; at++) {
    if (!Number.isFinite(matrix[at])) {
      throw new RangeError(`Cannot ${ACTION}: it holds ${matrix[at]}, wanted finite numbers`);
    }
  }
}
