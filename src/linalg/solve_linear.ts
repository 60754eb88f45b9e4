/**
 * Small dense systems of linear equations, in float64.
 *
 * @module
 */

/**
 * Solves `A x = b` by Gaussian elimination with partial pivoting.
 *
 * @param matrix `A`, `n` rows of `n` numbers.
 * @param right `b`, `n` numbers.
 * @returns `x`, `n` numbers.
 * @throws {TypeError} If the matrix does not fit the right side.
 * @throws {RangeError} If the matrix is singular.
 *
 * @example
 * ```ts
 * import { solveLinear } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(solveLinear([0, 2, 4, 0], [2, 4]), [1, 1]);
 * ```
 */
export function solveLinear(matrix: ArrayLike<number>, right: ArrayLike<number>): number[] {
  const n = right.length;
  if (n < 1 || matrix.length !== n * n) {
    throw new TypeError(
      `Cannot solve the system: received ${matrix.length} coefficients for ${n} equations, wanted ${
        n * n
      }`,
    );
  }
  const rows = Array.from(
    { length: n },
    (_, i) => [...Array.from({ length: n }, (_, j) => matrix[i * n + j]), right[i]],
  );
  for (let k = 0; k < n; k++) eliminate(rows, k);
  const x = new Array<number>(n);
  for (let i = n - 1; i >= 0; i--) {
    let sum = rows[i][n];
    for (let j = i + 1; j < n; j++) sum -= rows[i][j] * x[j];
    x[i] = sum / rows[i][i];
    if (!Number.isFinite(x[i])) {
      throw new RangeError(
        `Cannot solve the system: the solution holds ${x[i]}, wanted finite numbers`,
      );
    }
  }
  return x;
}

/** Makes column `k` zero below the diagonal. */
function eliminate(rows: number[][], k: number): void {
  let pivot = k;
  for (let i = k + 1; i < rows.length; i++) {
    if (Math.abs(rows[i][k]) > Math.abs(rows[pivot][k])) pivot = i;
  }
  [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
  if (!(Math.abs(rows[k][k]) > 0)) {
    throw new RangeError(
      `Cannot solve the system: pivot ${k} is ${rows[k][k]}, wanted a regular matrix`,
    );
  }
  for (let i = k + 1; i < rows.length; i++) {
    const factor = rows[i][k] / rows[k][k];
    for (let j = k; j < rows[i].length; j++) rows[i][j] -= factor * rows[k][j];
  }
}
