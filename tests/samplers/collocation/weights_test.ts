import assert from "node:assert/strict";
import {
  chebyshevNodes,
  collocationRule,
  collocationWeights,
  gaussNodes,
  interpolation,
  legendreAt,
  plainWeights,
} from "../../../src/samplers/collocation/weights.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

const FAMILIES = ["gauss", "chebyshev"] as const;

/** `∫₀ᵗ e^{−(t−u)} uᵏ du`, by its series. */
function decayingMoment(t: number, k: number): number {
  let term = t ** (k + 1) / (k + 1), sum = 0;
  for (let n = 1; n < 100; n++) {
    sum += term;
    term *= -t / (k + 1 + n);
  }
  return sum;
}

Deno.test("gaussNodes() and chebyshevNodes() are the known ones", () => {
  assertClose(gaussNodes(2), [-1, 1].map((s) => (1 + s / Math.sqrt(3)) / 2), 2e-16, "two");
  assertClose(gaussNodes(3), [-1, 0, 1].map((s) => (1 + s * Math.sqrt(0.6)) / 2), 2e-16, "three");
  assertClose(chebyshevNodes(2), [-1, 1].map((s) => (1 + s * Math.SQRT1_2) / 2), 2e-16, "roots");
  for (const n of [8, 16, 48]) {
    // At a root the polynomial is as small as its slope, at most n², times the rounding of the node.
    for (const t of gaussNodes(n)) {
      assert.ok(Math.abs(legendreAt(2 * t - 1, n + 1)[n]) < n * n * 2 ** -52);
    }
  }
});

Deno.test("collocationWeights() sum to what is left of the decay, and integrate polynomials exactly", () => {
  for (const family of FAMILIES) {
    for (const K of [4, 6, 8, 12]) {
      for (const h of [0.1, 1, 3]) {
        const { offsets, decay, weights } = collocationWeights(collocationRule(family, K), h);
        const ends = [...offsets, h];
        // Sums of numbers of order 1, rounded a few times: 2e-15.
        ends.forEach((t, i) => {
          const row = weights.subarray(i * K, (i + 1) * K);
          const sum = row.reduce((a, b) => a + b, 0);
          assertClose([sum, decay[i]], [-Math.expm1(-t), Math.exp(-t)], 2e-15, "row sum");
          for (let k = 0; k < K; k++) {
            const moment = row.reduce((a, w, j) => a + w * (offsets[j] / h) ** k, 0);
            assertClose(
              [moment],
              [decayingMoment(t, k) / h ** k],
              1e-14,
              `${family} ${K} ${h} u^${k}`,
            );
          }
        });
      }
    }
  }
});

Deno.test("plainWeights() integrate polynomials without the decay", () => {
  const K = 5, h = 0.7, rule = collocationRule("chebyshev", K);
  const weights = plainWeights(rule, h);
  [...rule.nodes, 1].forEach((end, i) => {
    for (let k = 0; k < K; k++) {
      const moment = rule.nodes.reduce((a, t, j) => a + weights[i * K + j] * t ** k, 0);
      assertClose([moment], [h * end ** (k + 1) / (k + 1)], 1e-15, `u^${k}`);
    }
  });
});

Deno.test("collocationRule() finds the Legendre coefficients of what its nodes carry", () => {
  for (const family of FAMILIES) {
    for (const K of [2, 6, 12]) {
      const { nodes, legendre } = collocationRule(family, K);
      for (let k = 0; k < K; k++) {
        const values = nodes.map((t) => legendreAt(2 * t - 1, K)[k]);
        const coefficients = Array.from(
          { length: K },
          (_, i) => values.reduce((sum, v, j) => sum + legendre[i * K + j] * v, 0),
        );
        const expected = coefficients.map((_, i) => Number(i === k));
        assertClose(coefficients, expected, 1e-13, `${family} ${K} P_${k}`);
      }
    }
  }
});

Deno.test("interpolation() reproduces polynomials, within the nodes and beyond", () => {
  const from = Float64Array.of(-1, -0.4, 0.1, 0.7), to = Float64Array.of(-0.2, 0.1, 1.5);
  const matrix = interpolation(from, to);
  const polynomial = (t: number) => 1 - 2 * t + 0.5 * t ** 3;
  const values = Array.from(
    to,
    (_, i) => from.reduce((sum, t, j) => sum + matrix[i * 4 + j] * polynomial(t), 0),
  );
  assertClose(values, to.map(polynomial), 1e-14, "values");
});

/** `max_t Σⱼ |∫₀ᵗ lⱼ|` on [0, 1], over 64 times. */
function stability(nodes: Float64Array): number {
  const K = nodes.length;
  // Gauss weights as integrals of the Lagrange polynomials, which is what plain weights are.
  const rule = plainWeights(collocationRule("gauss", 16), 1).subarray(256);
  const gauss = gaussNodes(16);
  let most = 0;
  for (let n = 1; n <= 64; n++) {
    const t = n / 64;
    // Two halves of 16 points are exact to degree 31.
    const at = [...gauss.map((s) => s * t / 2), ...gauss.map((s) => (1 + s) * t / 2)];
    const basis = interpolation(nodes, Float64Array.from(at));
    let sum = 0;
    for (let j = 0; j < K; j++) {
      let integral = 0;
      for (let q = 0; q < at.length; q++) integral += rule[q % 16] * t / 2 * basis[q * K + j];
      sum += Math.abs(integral);
    }
    most = Math.max(most, sum);
  }
  return most;
}

Deno.test("Gauss and Chebyshev nodes integrate without amplification, equispaced ones do not", () => {
  for (const K of [2, 3, 4, 6, 8, 12, 16, 24, 32]) {
    assertClose([stability(gaussNodes(K))], [1], 0.02, `gauss ${K}`);
    assertClose([stability(chebyshevNodes(K))], [1], 0.02, `chebyshev ${K}`);
  }
  const equispaced = Float64Array.from({ length: 24 }, (_, j) => j / 23);
  assert.ok(stability(equispaced) > 100);
});
