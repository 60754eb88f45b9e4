/**
 * The small linear systems of collocation: one per row, on the host.
 *
 * @module
 */
import type { CollocationWeights } from "./weights.ts";

/** A sweep as a linear map: new node states from the start of the window and values and states at the nodes. */
export interface SweepMap {
  /** `K` coefficients of the start state. */
  readonly start: Float64Array;
  /** `K × K` coefficients of the denoiser values. */
  readonly values: Float64Array;
  /** `K × K` coefficients of the node states. */
  readonly states: Float64Array;
}

/**
 * The quasi-Newton sweep for scalars `cⱼ` that stand for the Jacobian of the denoiser at the nodes:
 *
 * ```text
 * X' = X − (I − WC)⁻¹ (X − Ex − WD) = G (Ex + W (D − CX)),   G = (I − WC)⁻¹,  C = diag(c)
 * ```
 *
 * With `c = 0` it is Picard's.
 */
export function sweepMap({ decay, weights }: CollocationWeights, c: Float64Array): SweepMap {
  const K = c.length;
  const start = decay.slice(0, K), values = weights.slice(0, K * K);
  if (c.some((v) => v !== 0)) {
    const matrix = new Float64Array(K * K);
    for (let i = 0; i < K; i++) {
      for (let j = 0; j < K; j++) matrix[i * K + j] = Number(i === j) - weights[i * K + j] * c[j];
    }
    solve(matrix, [start, values]);
  }
  return { start, values, states: values.map((w, at) => -w * c[at % K]) };
}

/**
 * Solves `A Y = B` by elimination with partial pivoting, for several right sides of any width.
 *
 * @param a `n × n` numbers, overwritten.
 * @param sides Right sides of `n` rows each, overwritten by the solutions.
 */
export function solve(a: Float64Array, sides: readonly Float64Array[]): void {
  const n = Math.sqrt(a.length);
  const all = [a, ...sides];
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(a[i * n + k]) > Math.abs(a[pivot * n + k])) pivot = i;
    }
    if (pivot !== k) { for (const m of all) swapRows(m, m.length / n, k, pivot); }
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k] / a[k * n + k];
      if (factor !== 0) { for (const m of all) addRow(m, m.length / n, i, k, -factor); }
    }
  }
  for (const side of sides) {
    const width = side.length / n;
    for (let k = n - 1; k >= 0; k--) {
      for (let j = k + 1; j < n; j++) addRow(side, width, k, j, -a[k * n + j]);
      for (let c = 0; c < width; c++) side[k * width + c] /= a[k * n + k];
    }
  }
}

function swapRows(m: Float64Array, width: number, i: number, k: number): void {
  for (let c = 0; c < width; c++) {
    const kept = m[i * width + c];
    m[i * width + c] = m[k * width + c];
    m[k * width + c] = kept;
  }
}

function addRow(m: Float64Array, width: number, to: number, from: number, factor: number): void {
  for (let c = 0; c < width; c++) m[to * width + c] += factor * m[from * width + c];
}
