import { startNoise } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { divideAndConquer } from "../../../src/linalg/eigen/divide_and_conquer.ts";
import type { PanelProduct } from "../../../src/linalg/eigen/divide_and_conquer.ts";
import { secularRoot } from "../../../src/linalg/eigen/secular.ts";
import { assertDecomposes, matrixOf } from "../../_helpers/symmetric.ts";

/** Divide and conquer with products by plain loops. */
async function solve(diagonal: readonly number[], coupling: readonly number[]) {
  const n = diagonal.length, stride = 4 * Math.ceil(n / 4);
  const rows = new Float64Array(stride * stride);
  const left = new Float64Array(stride * stride), right = new Float64Array(stride * (stride + 4));
  const values = Float64Array.from(diagonal);
  await divideAndConquer(values, Float64Array.from(coupling), {
    rows,
    stride,
    left,
    right,
    multiply(product: PanelProduct) {
      const { leftPanels, leftPitch, leftFirst, rightPanels, rightFirst, depth, target } = product;
      for (let r = 0; r < 4 * leftPanels; r++) {
        for (let c = 0; c < 4 * rightPanels; c++) {
          let sum = 0;
          for (let k = 0; k < depth; k++) {
            sum += left[4 * (leftFirst + (r >> 2) * leftPitch + k) + (r & 3)] *
              right[4 * (rightFirst + (c >> 2) * depth + k) + (c & 3)];
          }
          rows[target + r * stride + c] += sum;
        }
      }
      return Promise.resolve();
    },
  });
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
  return {
    values: Float64Array.from(order, (i) => values[i]),
    vectors: Float64Array.from(
      order.flatMap((i) => [...rows.subarray(i * stride, i * stride + n)]),
    ),
  };
}

function tridiagonal(diagonal: readonly number[], coupling: readonly number[]): Float64Array {
  return matrixOf(
    diagonal.length,
    (i, j) => i === j ? diagonal[i] : Math.abs(i - j) === 1 ? coupling[Math.min(i, j)] : 0,
  );
}

Deno.test("divideAndConquer() decomposes tridiagonal matrices of any size and sign", async () => {
  for (const n of [1, 2, 32, 33, 34, 37, 64, 65, 100, 131, 197]) {
    const noise = [...startNoise(n, 0, 1, 2 * n)];
    const [diagonal, coupling] = [noise.slice(0, n), noise.slice(n, 2 * n - 1)];
    assertDecomposes(await solve(diagonal, coupling), tridiagonal(diagonal, coupling), `n = ${n}`);
  }
});

Deno.test("divideAndConquer() sets aside what joints leave alone", async () => {
  const n = 150;
  const cases: Record<string, [number[], number[]]> = {
    "falls apart": [
      Array.from({ length: n }, (_, i) => Math.cos(i)),
      Array.from({ length: n - 1 }, (_, i) => i % 4 === 3 ? 0 : 0.3),
    ],
    "weak joints": [
      Array.from({ length: n }, (_, i) => i / n),
      Array.from({ length: n - 1 }, (_, i) => i % 7 ? 0.1 : 1e-17),
    ],
    constant: [new Array(n).fill(1), new Array(n - 1).fill(-1e-9)],
    // Wilkinson's matrices glued together: eigenvalues in close bunches.
    glued: [
      Array.from({ length: 147 }, (_, i) => Math.abs(i % 21 - 10)),
      Array.from({ length: 146 }, (_, i) => i % 21 === 20 ? 1e-7 : 1),
    ],
  };
  for (const [what, [diagonal, coupling]] of Object.entries(cases)) {
    const matrix = tridiagonal(diagonal, coupling);
    assertDecomposes(await solve(diagonal, coupling), matrix, what);
  }
});

Deno.test("secularRoot() of two poles is the root of a quadratic", () => {
  // diag(0, 1) + ρ z zᵀ with z = (1, 1): λ = ½ + ρ ± √(¼ + ρ²).
  for (const rho of [1e-12, 1e-3, 1, 1e6]) {
    for (const j of [0, 1]) {
      const poles = Float64Array.of(0, 1);
      const { origin, offset } = secularRoot(poles, Float64Array.of(1, 1), rho, j);
      const root = Math.sqrt(0.25 + rho * rho);
      // Without cancellation: the product of the roots is ρ; offsets from 0 and from 1.
      const small = rho / (0.5 + rho + root);
      const expected = j === 0
        ? (origin === 0 ? small : small - 1)
        : origin === 1
        ? 2 * rho * rho / (2 * root + 1) + rho
        : NaN;
      const scale = Math.abs(expected);
      assert.ok(
        Math.abs(offset - expected) <= 64 * Number.EPSILON * scale,
        `rho ${rho}, root ${j}: ${offset} from ${origin}, expected ${expected}`,
      );
    }
  }
});

Deno.test("secularRoot() lies between its poles, where the sign changes, and has the trace", () => {
  for (const [n, spread] of [[2, 1], [10, 1], [60, 1], [60, 1e-6], [200, 1e-3]]) {
    const noise = startNoise(n, 0, 2, n);
    // Rising poles, some of them very close, and numbers of very different size.
    let pole = -1;
    const poles = noise.slice(0, n).map((v) => pole += spread ** Math.abs(v) * 0.01 + 1e-14);
    const z = noise.slice(n).map((v, i) => v * 10 ** (-(i % 5)));
    const rho = 0.7, square = z.reduce((sum, v) => sum + v * v, 0);
    let shift = 0;
    for (let j = 0; j < n; j++) {
      const { origin, offset } = secularRoot(poles, z, rho, j);
      const below = poles[j] - poles[origin];
      const above = j + 1 < n ? poles[j + 1] - poles[origin] : rho * square * (1 + 1e-14);
      assert.ok(offset > below && offset < above, `root ${j} of ${n}: ${below} ${offset} ${above}`);
      shift += offset + (poles[origin] - poles[j]);
      // f at the root is 0 within the rounding of its terms; the terms rise in size with 1/(d − λ).
      const terms = Array.from(z, (v, i) => v * v / (poles[i] - poles[origin] - offset));
      const size = terms.reduce((sum, t) => sum + Math.abs(t), 1 / rho);
      const value = terms.reduce((sum, t) => sum + t, 1 / rho);
      const slope = terms.reduce((sum, t, i) => sum + (t / z[i]) ** 2, 0);
      // The bits of the offset decide the value where the slope is steep.
      const tolerance = 2 * Number.EPSILON * ((n + 8) * size + Math.abs(offset) * slope);
      assert.ok(Math.abs(value) <= tolerance, `root ${j} of ${n}: f = ${value}, ${tolerance}`);
    }
    // Σ λ − Σ d = ρ ‖z‖².
    assert.ok(Math.abs(shift - rho * square) <= n * n * Number.EPSILON * Math.max(1, square));
  }
});
