/** Distances between laws on problems whose optimum is known, and the axioms that need more than two sets. */
import {
  energyDistance,
  frechetDistance,
  mmd,
  sinkhorn,
  sinkhornDivergence,
  slicedWasserstein2,
  startNoise,
  wasserstein2,
  wasserstein2OnLine,
} from "@closedform/diffusion";
import { wasserstein2OfGaussians } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import fc from "fast-check";

const SEED = { seed: 31, numRuns: 40 };
// Sums of some hundred terms of order ten, and a root.
const ROUNDING = 1e-10;

/** Distances that are metrics, or whose root is one. */
const METRICS: Record<
  string,
  (a: Float64Array, b: Float64Array, d: number) => number | Promise<number>
> = {
  wasserstein2: async (a, b, d) => (await wasserstein2(a, b, { dimension: d })).distance,
  slicedWasserstein2: (a, b, d) =>
    slicedWasserstein2(a, b, { dimension: d, directions: 16 }).distance,
  "√energyDistance": (a, b, d) => Math.sqrt(Math.max(0, energyDistance(a, b, { dimension: d }))),
  "√mmd": (a, b, d) => Math.sqrt(Math.max(0, mmd(a, b, { dimension: d, bandwidth: 1 }).squared)),
  "√frechetDistance": (a, b, d) => Math.sqrt(frechetDistance(a, b, { dimension: d })),
};

const problems = fc.record({
  seed: fc.integer({ min: 0, max: 1e6 }),
  n: fc.integer({ min: 3, max: 14 }),
  d: fc.integer({ min: 1, max: 4 }),
});

for (const [name, of] of Object.entries(METRICS)) {
  Deno.test(`${name} obeys the triangle inequality`, async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ seed, n, d }) => {
        const [a, b, c] = [0, 1, 2].map((k) =>
          startNoise(seed, 100 * k, n, d).map((v) => (1 + k) * v + k / 2)
        );
        const [ab, bc, ac] = [await of(a, b, d), await of(b, c, d), await of(a, c, d)];
        assert.ok(ac <= ab + bc + 1e-7 && ab <= ac + bc + 1e-7, `${ab} ${bc} ${ac}`);
      }),
      SEED,
    );
  });

  Deno.test(`${name} does not change when both sets are moved${name.startsWith("sliced") ? "" : " and turned"}`, async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ seed, n, d }) => {
        const a = startNoise(seed, 0, n, d), b = startNoise(seed, 100, n, d).map((v) => 2 * v + 1);
        // A reflection along a random vector; the slices of a distance are others after it.
        const u = startNoise(seed, 200, 1, d), norm = u.reduce((sum, v) => sum + v * v, 0);
        const moved = (x: Float64Array) =>
          x.map((v, at) => {
            const start = at - at % d;
            let dot = 0;
            for (let c = 0; c < d; c++) dot += u[c] * x[start + c];
            return v + 3 - (name.startsWith("sliced") ? 0 : 2 * dot / norm * u[at % d]);
          });
        const [before, after] = [await of(a, b, d), await of(moved(a), moved(b), d)];
        assert.ok(Math.abs(before - after) < 1e-6, `${before} ${after}`);
      }),
      SEED,
    );
  });
}

/** `A = BBᵀ` and the image `Ax + s` of points: the gradient of a convex function, whose plan is the identity. */
function convexImage(x: Float64Array, seed: number, d: number): Float64Array {
  const b = startNoise(seed, 300, d, d), shift = startNoise(seed, 400, 1, d);
  return x.map((_, at) => {
    const i = at % d, start = at - i;
    let sum = shift[i];
    for (let j = 0; j < d; j++) {
      let a = 0;
      for (let k = 0; k < d; k++) a += b[i * d + k] * b[j * d + k];
      sum += a * x[start + j];
    }
    return sum;
  });
}

const rms = (x: Float64Array, y: Float64Array, d: number) =>
  Math.sqrt(x.reduce((sum, v, at) => sum + (v - y[at]) ** 2, 0) / (x.length / d));

Deno.test("wasserstein2() to the image under the gradient of a convex function is the length of that map", async () => {
  await fc.assert(
    fc.asyncProperty(problems, async ({ seed, n, d }) => {
      const a = startNoise(seed, 0, n, d), b = convexImage(a, seed, d);
      const { distance, plan } = await wasserstein2(a, b, { dimension: d });
      assert.ok(Math.abs(distance - rms(a, b, d)) < ROUNDING * (1 + distance));
      assert.ok(d > 1 || plan.every((j, i) => i === j));
      if (d === 1) assert.ok(Math.abs(distance - wasserstein2OnLine(a, b)) < ROUNDING);
      // Slices never exceed the whole.
      assert.ok(
        slicedWasserstein2(a, b, { dimension: d, directions: 16 }).distance <= distance + ROUNDING,
      );
    }),
    SEED,
  );
});

Deno.test("wasserstein2() is at least the distance of the Gaussians with the sets' moments", async () => {
  await fc.assert(
    fc.asyncProperty(problems, async ({ seed, n, d }) => {
      const a = startNoise(seed, 0, n, d), b = startNoise(seed, 100, n, d).map(Math.exp);
      const moments = (x: Float64Array) => {
        const mean = Array.from(
          { length: d },
          (_, c) => x.reduce((sum, v, at) => at % d === c ? sum + v / n : sum, 0),
        );
        const covariance = Array.from({ length: d * d }, (_, at) => {
          const [i, j] = [Math.floor(at / d), at % d];
          let sum = 0;
          for (let r = 0; r < n; r++) {
            sum += (x[r * d + i] - mean[i]) * (x[r * d + j] - mean[j]) / n;
          }
          return sum;
        });
        for (let i = 0; i < d; i++) {
          for (let j = 0; j < i; j++) covariance[i * d + j] = covariance[j * d + i];
        }
        return { mean, covariance };
      };
      // Gelbrich's bound.
      const bound = wasserstein2OfGaussians(moments(a), moments(b));
      assert.ok((await wasserstein2(a, b, { dimension: d })).distance >= bound - 1e-6);
    }),
    SEED,
  );
});

Deno.test("wasserstein2() of 1,000 points finds the known optimum", async () => {
  const n = 1000, d = 2;
  const a = startNoise(5, 0, n, d), b = convexImage(a, 5, d);
  const shuffled = Float64Array.from(
    { length: n * d },
    (_, at) => b[(Math.floor(at / d) * 1009 % n) * d + at % d],
  );
  const { distance, suboptimality } = await wasserstein2(a, shuffled, { dimension: d });
  assert.ok(Math.abs(distance - rms(a, b, d)) < ROUNDING * distance && suboptimality < 1e-9);
});

Deno.test("sinkhornDivergence() is symmetric, never negative, and scales with the square", () => {
  fc.assert(
    fc.property(problems, ({ seed, n, d }) => {
      // Costs of a few ε: with many of them the iterations are slow to converge.
      const a = startNoise(seed, 0, n, d).map((v) => v / 2);
      const b = startNoise(seed, 100, n + 2, d).map((v) => (v + 1) / 2);
      const options = { epsilon: 1, tolerance: 1e-9 };
      const { divergence, converged } = sinkhornDivergence(a, b, { dimension: d, ...options });
      assert.ok(converged && divergence > -1e-7);
      const swapped = sinkhornDivergence(b, a, { dimension: d, ...options }).divergence;
      assert.ok(Math.abs(divergence - swapped) < 1e-6 * (1 + divergence));
      const double = (x: Float64Array) => x.map((v) => 2 * v);
      const scaled = sinkhornDivergence(double(a), double(b), {
        dimension: d,
        ...options,
        epsilon: 4,
      });
      assert.ok(Math.abs(scaled.divergence - 4 * divergence) < 1e-6 * (1 + divergence));
    }),
    SEED,
  );
});

Deno.test("sinkhorn() with much regularisation moves mass as if sets were independent", () => {
  const a = startNoise(7, 0, 20, 2), b = startNoise(8, 0, 30, 2);
  let mean = 0;
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 30; j++) {
      mean += ((a[2 * i] - b[2 * j]) ** 2 + (a[2 * i + 1] - b[2 * j + 1]) ** 2) / 600;
    }
  }
  const { transport, converged } = sinkhorn(a, b, { dimension: 2, epsilon: 1e5 });
  assert.ok(converged && Math.abs(transport - mean) < 1e-2);
});

Deno.test("wasserstein2OfGaussians() takes covariances whose tiny elements differ by rounding", () => {
  const p = { mean: [0, 0], covariance: [1, 1e-17, -1e-17, 4] };
  const q = { mean: [0, 0], covariance: [9, 0, 0, 4] };
  assert.ok(Math.abs(wasserstein2OfGaussians(p, q) - 2) < 1e-12);
  assert.throws(
    () => wasserstein2OfGaussians({ mean: [0, 0], covariance: [1, 1e-6, 0, 1] }, q),
    TypeError,
  );
});
