/** Symmetric matrices with known spectra, and what a decomposition of them must satisfy. */
import { startNoise } from "@closedform/diffusion";
import type { EigenDecomposition } from "@closedform/diffusion";
import assert from "node:assert/strict";

/** A matrix from a function of row and column. */
export function matrixOf(n: number, element: (i: number, j: number) => number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => element(Math.floor(at / n), at % n));
}

/** A matrix whose elements on and below the diagonal are normal numbers. */
export function randomSymmetric(n: number, seed: number): Float64Array {
  const noise = startNoise(seed, 0, n, n);
  return matrixOf(n, (i, j) => noise[Math.max(i, j) * n + Math.min(i, j)]);
}

/** `H diag(values) H` with the reflection `H` along a random vector. */
export function withSpectrum(values: readonly number[], seed: number): Float64Array {
  const n = values.length;
  const u = startNoise(seed, 0, 1, n);
  const beta = 2 / u.reduce((sum, v) => sum + v * v, 0);
  const inner = values.reduce((sum, v, k) => sum + v * u[k] * u[k], 0);
  return matrixOf(
    n,
    (i, j) =>
      (i === j ? values[i] : 0) - beta * u[i] * u[j] * (values[i] + values[j]) +
      beta * beta * inner * u[i] * u[j],
  );
}

/**
 * Fails unless values and vectors decompose the matrix: `A u = λ u`, `uᵀu' = δ`, values falling.
 *
 * Backward stable methods are off by `p(n) ε ‖A‖` with a slowly growing p; n + 8 is far above what is seen.
 */
export function assertDecomposes(
  { values, vectors }: EigenDecomposition,
  matrix: Float64Array,
  what: string,
): void {
  const n = values.length;
  const tolerance = (n + 8) * Number.EPSILON;
  const norm = Math.max(Math.abs(values[0]), Math.abs(values[n - 1]));
  let residual = 0, overlap = 0;
  for (let k = 0; k < n; k++) {
    const u = vectors.subarray(k * n, (k + 1) * n);
    let square = 0;
    for (let i = 0; i < n; i++) {
      let image = 0, product = 0;
      for (let j = 0; j < n; j++) {
        image += matrix[i * n + j] * u[j];
        product += vectors[i * n + j] * u[j];
      }
      square += (image - values[k] * u[i]) ** 2;
      overlap = Math.max(overlap, Math.abs(product - (i === k ? 1 : 0)));
    }
    residual = Math.max(residual, Math.sqrt(square));
    assert.ok(k === 0 || values[k] <= values[k - 1], `${what}: values fall`);
  }
  assert.ok(residual <= tolerance * norm, `${what}: residual ${residual}, norm ${norm}`);
  assert.ok(overlap <= tolerance, `${what}: overlap ${overlap}`);
}

/** Jacobi's method, an independent way to the eigenvalues of small matrices; the largest first. */
export function jacobiValues(matrix: Float64Array, n: number): Float64Array {
  const a = matrix.slice();
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p * n + q] === 0) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1), s = t * c;
        for (let k = 0; k < n; k++) {
          const [x, y] = [a[k * n + p], a[k * n + q]];
          [a[k * n + p], a[k * n + q]] = [c * x - s * y, s * x + c * y];
        }
        for (let k = 0; k < n; k++) {
          const [x, y] = [a[p * n + k], a[q * n + k]];
          [a[p * n + k], a[q * n + k]] = [c * x - s * y, s * x + c * y];
        }
      }
    }
  }
  return Float64Array.from({ length: n }, (_, i) => a[i * n + i]).sort().reverse();
}
