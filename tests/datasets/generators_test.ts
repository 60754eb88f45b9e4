import {
  checkerboard,
  circle,
  type Dataset,
  gaussianMixture,
  moons,
  spirals,
} from "@closedform/diffusion";
import assert from "node:assert/strict";
import { assertMean } from "../_helpers/statistics.ts";

const N = 20_000;
const ALL: Record<string, (n: number, seed: number) => Dataset> = {
  moons: (n, seed) => moons(n, { seed }),
  circle: (n, seed) => circle(n, { seed }),
  checkerboard: (n, seed) => checkerboard(n, { seed }),
  spirals: (n, seed) => spirals(n, { seed }),
  gaussians: (n, seed) => gaussianMixture(n, { seed }),
};

/** One number per point of a planar set. */
function each(set: Dataset, f: (x: number, y: number) => number): number[] {
  return Array.from(
    { length: set.count },
    (_, i) => f(set.data[2 * i], set.data[2 * i + 1]),
  );
}

for (const [name, generate] of Object.entries(ALL)) {
  Deno.test(`${name} items depend on the seed and their index only`, () => {
    const [long, short] = [generate(100, 3), generate(40, 3)];
    assert.deepEqual(long.take(40).data, short.data);
    assert.deepEqual(long.labels?.subarray(0, 40), short.labels);
    assert.notDeepEqual(generate(40, 4).data, short.data);
  });

  Deno.test(`${name} is about as wide as [-1, 1], in float32`, () => {
    const { data } = generate(2000, 0);
    assert.ok(data instanceof Float32Array);
    const most = data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    assert.ok(most > 0.9 && most < 1.3, `${most}`);
  });

  Deno.test(`${name} refuses a number of points that is none`, () => {
    for (const n of [0, -1, 1.5, NaN, Infinity]) {
      assert.throws(() => generate(n, 0), RangeError);
    }
    assert.throws(() => generate(3, -1), RangeError);
  });
}

Deno.test("moons() has the moments of two half circles plus noise", () => {
  const noise = 0.1;
  const set = moons(N, { seed: 1, noise });
  const s2 = 4 / 9;
  assertMean("x", each(set, (x) => x), 0);
  assertMean("y", each(set, (_, y) => y), 0);
  // With θ uniform in [0, π): E cos² = E sin² = 1/2, E sin = 2/π, E cos = E sin·cos = 0.
  assertMean("x²", each(set, (x) => x * x), s2 * (1 / 2 + 1 / 4) + noise ** 2);
  assertMean(
    "y²",
    each(set, (_, y) => y * y),
    s2 * (1 / 2 - 1 / Math.PI + 1 / 16) + noise ** 2,
  );
  assertMean("xy", each(set, (x, y) => x * y), s2 * (1 / 8 - 1 / Math.PI));
  const upper = set.classSubset("upper");
  assert.equal(upper.count, N / 2);
  assertMean("y in a class", each(upper, (_, y) => y), 2 / 3 * (2 / Math.PI - 1 / 4));
});

Deno.test("circle() is uniform on the unit circle", () => {
  const set = circle(N, { seed: 2 });
  // cos and sin are rounded to float32: the radius is off by at most √2 half units in the last place of 1.
  for (const r of each(set, Math.hypot)) assert.ok(Math.abs(r - 1) < 2 ** -23);
  assertMean("x", each(set, (x) => x), 0);
  assertMean("x²", each(set, (x) => x * x), 1 / 2);
  assertMean("x⁴", each(set, (x) => x ** 4), 3 / 8);
  assertMean("xy", each(set, (x, y) => x * y), 0);
});

Deno.test("circle() noise adds its variance to the squared radius", () => {
  const noise = 0.3;
  const set = circle(N, { noise });
  assertMean("r²", each(set, (x, y) => x * x + y * y), 1 + 2 * noise ** 2);
});

Deno.test("checkerboard() is uniform on the dark squares, for even and odd sides", () => {
  for (const cells of [1, 2, 3, 4, 5]) {
    const set = checkerboard(N, { cells, seed: 5 });
    const square = each(set, (x, y) => {
      const [column, row] = [x, y].map((v) => Math.floor((v + 1) / 2 * cells));
      assert.ok(Math.min(column, row) >= 0 && Math.max(column, row) <= cells);
      return row * cells + column;
    });
    const dark = Array.from({ length: cells * cells }, (_, k) => k)
      .filter((k) => (k % cells + Math.floor(k / cells)) % 2 === 0);
    // Float32 may round a point onto the next square's edge; none of 20,000 seeded points does.
    assert.ok(square.every((k) => dark.includes(k)), `${cells} cells`);
    for (const k of cells === 1 ? [] : dark) {
      assertMean(`square ${k}`, square.map((s) => s === k ? 1 : 0), 1 / dark.length);
    }
    assertMean(
      "place in the square",
      each(set, (x) => (x + 1) / 2 * cells % 1),
      1 / 2,
    );
  }
});

Deno.test("spirals() lie on their arms with uniform squared radius", () => {
  const set = spirals(N, { noise: 0, arms: 3, turns: 2, seed: 6 });
  assertMean("r²", each(set, (x, y) => x * x + y * y), 1 / 2);
  assertMean("r⁴", each(set, (x, y) => (x * x + y * y) ** 2), 1 / 3);
  each(set, (x, y) => Math.hypot(x, y)).forEach((r, i) => {
    const angle = 2 * Math.PI * (2 * r + set.labels![i] / 3);
    // Float32 coordinates shift r by about 1e-7, which turns the arm by 4π times that.
    assert.ok(Math.abs(set.data[2 * i] - r * Math.cos(angle)) < 2e-6);
    assert.ok(Math.abs(set.data[2 * i + 1] - r * Math.sin(angle)) < 2e-6);
  });
});

Deno.test("gaussianMixture() has the weights, means and covariances it is told", () => {
  const means = [[-0.5, 0, 0.25], [0.5, 0.5, -1]];
  const covariances = [[[0.04, 0.01, 0], [0.01, 0.09, -0.02], [0, -0.02, 0.05]], 0.01];
  const set = gaussianMixture(N, { means, weights: [3, 1], covariances, seed: 7 });
  assert.deepEqual(set.shape, [3]);
  assertMean("share", set.labels!, 1 / 4);
  for (const k of [0, 1]) {
    const part = set.classSubset(k);
    const rows = Array.from({ length: part.count }, (_, i) => [...part.values(i)]);
    const covariance = covariances[k];
    for (const a of [0, 1, 2]) {
      assertMean(`mean ${k} ${a}`, rows.map((row) => row[a]), means[k][a]);
      for (const b of [0, 1, 2]) {
        assertMean(
          `covariance ${k} ${a} ${b}`,
          rows.map((row) => (row[a] - means[k][a]) * (row[b] - means[k][b])),
          typeof covariance === "number" ? (a === b ? covariance : 0) : covariance[a][b],
        );
      }
    }
  }
});

Deno.test("gaussianMixture() never draws a component of weight 0", () => {
  const means = [[0], [1], [2], [3]];
  const { labels } = gaussianMixture(1000, { means, weights: [0, 1, 1, 0] });
  assert.deepEqual([...new Set(labels)].sort(), [1, 2]);
});

Deno.test("generators refuse options out of range", () => {
  assert.throws(() => moons(3, { noise: -1 }), /noise is -1, wanted a finite number >= 0/);
  assert.throws(() => circle(3, { noise: NaN }), RangeError);
  assert.throws(() => checkerboard(3, { cells: 0 }), RangeError);
  assert.throws(() => spirals(3, { arms: 1.5 }), RangeError);
  assert.throws(() => spirals(3, { turns: Infinity }), RangeError);
});

Deno.test("gaussianMixture() refuses what is no mixture", () => {
  const means = [[0, 0], [1, 1]];
  const refuse = (options: Parameters<typeof gaussianMixture>[1], type: typeof TypeError) =>
    assert.throws(() => gaussianMixture(3, options), type);
  refuse({ means: [] }, TypeError);
  refuse({ means: [[0], [1, 2]] }, TypeError);
  refuse({ means, weights: [1] }, TypeError);
  refuse({ means, covariances: [1] }, TypeError);
  refuse({ means, weights: [0, 0] }, RangeError);
  refuse({ means, weights: [-1, 2] }, RangeError);
  refuse({ means: [[NaN], [0]] }, RangeError);
  refuse({ means, covariances: [1, 0] }, RangeError);
  refuse({ means, covariances: [1, [[1, 2], [2, 1]]] }, RangeError);
  refuse({ means, covariances: [1, [[1, 0.5], [0, 1]]] }, RangeError);
  refuse({ means, covariances: [1, [[1]]] }, RangeError);
});
