import { RandomStream, shapes, startNoise } from "@closedform/diffusion";
import {
  posteriorLogits,
  rowsByLogit,
  subsetSizes,
  truncation,
} from "@closedform/diffusion/theory";
import assert from "node:assert/strict";

Deno.test("subsetSizes() are in order, enough and, for the exact one, least, in 10,000 random cases", () => {
  const stream = new RandomStream({ seed: 52, purpose: "theory" });
  let violations = 0, apart = 0;
  for (let n = 0; n < 10_000; n++) {
    const count = 1 + stream.below(80), spread = 10 ** (3 * stream.uniform() - 1);
    const logits = Float64Array.from({ length: count }, () => spread * stream.normal());
    const mass = 10 ** (-6 * stream.uniform()) * 0.999;
    const { exact, largest, gap } = subsetSizes(logits, mass);
    if (!(exact <= largest && largest <= gap && gap <= count)) violations++;
    if (exact < gap) apart++;
    const sorted = [...logits].sort((a, b) => a - b);
    const weights = sorted.map((l) => Math.exp(l - sorted[count - 1]));
    const total = weights.reduce((sum, w) => sum + w, 0);
    const tail = (k: number) => weights.slice(0, count - k).reduce((sum, w) => sum + w, 0) / total;
    // Sums in another order differ by rounding.
    if (tail(exact) > mass * (1 + 1e-12)) violations++;
    if (exact > 1 && tail(exact - 1) < mass * (1 - 1e-12)) violations++;
  }
  assert.equal(violations, 0);
  assert.ok(apart > 1000);
});

Deno.test("subsetSizes() certify the error on images at every noise level", () => {
  const points = shapes(200, { size: 8 });
  for (const sigma of [0.05, 0.3, 1, 3, 10, 50]) {
    for (let q = 0; q < 4; q++) {
      const noise = startNoise(6, q, 1, points.dimension);
      const query = points.values(q).map((v, c) => v + sigma * noise[c]);
      const logits = posteriorLogits(points, query, sigma);
      const rows = rowsByLogit(logits);
      const { radius } = truncation(points, logits, [0]);
      const tolerance = 1e-2;
      const { exact, largest, gap } = subsetSizes(logits, tolerance / (2 * radius));
      assert.ok(exact <= largest && largest <= gap);
      const { error, bounds } = truncation(points, logits, rows.subarray(0, exact));
      assert.ok(error <= bounds.mass && bounds.mass <= tolerance);
    }
  }
});

Deno.test("subsetSizes() refuses no logits and no share", () => {
  assert.throws(() => subsetSizes([], 0.1), TypeError);
  for (const mass of [0, 1, NaN, -1]) assert.throws(() => subsetSizes([0], mass), RangeError);
});
