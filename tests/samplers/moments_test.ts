import assert from "node:assert/strict";
import { moments, momentWeights } from "../../src/samplers/_moments.ts";
import { assertClose } from "../_helpers/tolerance.ts";

/** `∫₀^h e^{−(h−u)} f(u/h) du` by Simpson's rule with 4000 panels: error `h⁵/180/4000⁴ < 1e-14` for h = 3. */
function quadrature(h: number, f: (r: number) => number): number {
  const panels = 4000;
  let sum = 0;
  for (let i = 0; i <= panels; i++) {
    const weight = i === 0 || i === panels ? 1 : i % 2 ? 4 : 2;
    sum += weight * Math.exp(-h * (1 - i / panels)) * f(i / panels);
  }
  return sum * h / panels / 3;
}

Deno.test("moments() are the integrals they stand for", () => {
  for (const h of [0.01, 0.1, 0.49, 0.5, 1, 3]) {
    moments(h, 4).forEach((value, k) => {
      assertClose([value], [quadrature(h, (r) => r ** k)], 1e-13, `M_${k} at h = ${h}`);
    });
  }
});

Deno.test("moments() by series and by recursion agree where they meet", () => {
  // The recursion loses a factor 2 per level at h = 0.5.
  const [below, above] = [moments(0.5 - 1e-14, 4), moments(0.5, 4)];
  below.forEach((value, k) => assertClose([value], [above[k]], 1e-12, `M_${k}`));
});

Deno.test("momentWeights() integrate polynomials exactly, whatever the nodes", () => {
  for (const nodes of [[], [-1], [1], [-0.7, 1], [-1.3, -2], [-1, -2.5, 1], [-1, -2, -3]]) {
    for (const h of [0.05, 0.4, 2]) {
      const weights = momentWeights(h, nodes);
      for (let k = 0; k <= nodes.length; k++) {
        const sum = [0, ...nodes].reduce((total, r, j) => total + weights[j] * r ** k, 0);
        assertClose(
          [sum],
          [quadrature(h, (r) => r ** k)],
          1e-13,
          `u^${k}, nodes ${nodes}, h = ${h}`,
        );
      }
    }
  }
});

Deno.test("momentWeights() with a node at the end and without are not the same", () => {
  assert.notDeepEqual(momentWeights(0.3, [-1]), momentWeights(0.3, [1]));
});
