/** The axioms of distances between laws, and problems whose distance is known. */
import assert from "node:assert/strict";
import { energyDistance, mmd } from "../../src/metrics/discrepancy.ts";
import { frechetDistance } from "../../src/metrics/frechet.ts";
import { sinkhorn, sinkhornDivergence } from "../../src/metrics/sinkhorn.ts";
import { slicedWasserstein2 } from "../../src/metrics/sliced_wasserstein.ts";
import {
  wasserstein2,
  wasserstein2OfGaussians,
  wasserstein2OnLine,
} from "../../src/metrics/wasserstein.ts";
import { startNoise } from "../../src/base/random.ts";

type Points = ArrayLike<number>;

/** Every distance, and the power of a factor that it scales by when both sets are scaled. */
const DISTANCES: Record<
  string,
  { of: (a: Points, b: Points, d: number) => number | Promise<number>; power: number }
> = {
  wasserstein2: {
    of: async (a, b, d) => (await wasserstein2(a, b, { dimension: d })).distance,
    power: 1,
  },
  slicedWasserstein2: {
    of: (a, b, d) => slicedWasserstein2(a, b, { dimension: d }).distance,
    power: 1,
  },
  energyDistance: { of: (a, b, d) => energyDistance(a, b, { dimension: d }), power: 1 },
  mmd: { of: (a, b, d) => mmd(a, b, { dimension: d }).squared, power: 0 },
  frechetDistance: { of: (a, b, d) => frechetDistance(a, b, { dimension: d }), power: 2 },
};

const n = 60;
// Sums of some thousand terms of order one.
const ROUNDING = 1e-12;

for (const [name, { of, power }] of Object.entries(DISTANCES)) {
  for (const d of [1, 2, 5]) {
    const a = startNoise(1, 0, n, d), b = startNoise(2, 0, n, d).map((v) => 0.5 * v + 0.3);
    const distance = (x: Points, y: Points) => of(x, y, d);

    Deno.test(`${name}() is positive, symmetric, and zero on identical sets, d = ${d}`, async () => {
      const value = await distance(a, b);
      assert.ok(value > 0.01);
      assert.ok(Math.abs(value - await distance(b, a)) < ROUNDING);
      // A root of a rounding error is as large as its root.
      assert.ok(Math.abs(await distance(a, a)) < 1e-7);
    });

    Deno.test(`${name}() does not depend on order, and scales with power ${power}, d = ${d}`, async () => {
      const value = await distance(a, b);
      const shuffled = Float64Array.from(
        { length: n * d },
        (_, at) => b[(Math.floor(at / d) * 7 % n) * d + at % d],
      );
      assert.ok(Math.abs(value - await distance(a, shuffled)) < ROUNDING);
      const scaled = await distance(a.map((v) => 3 * v), b.map((v) => 3 * v));
      assert.ok(Math.abs(scaled - 3 ** power * value) < 10 * ROUNDING);
    });
  }

  Deno.test(`${name}() refuses sets that are no whole number of finite rows`, async () => {
    for (const bad of [[], [1, 2, 3]]) {
      await assert.rejects(async () => await of([1, 2, 3, 4], bad, 2), TypeError);
    }
    await assert.rejects(async () => await of([1, 2, 3, 4], [1, 2, NaN, 4], 2), RangeError);
  });
}

Deno.test("wasserstein2() of shifted sets is the shift, and its plan is the identity", async () => {
  const a = startNoise(3, 0, 300, 3);
  const b = a.map((v, at) => v + [0.3, -0.4, 1.2][at % 3]);
  const { distance, plan, suboptimality } = await wasserstein2(a, b, { dimension: 3 });
  assert.ok(Math.abs(distance - 1.3) < ROUNDING);
  assert.ok(plan.every((j, i) => i === j));
  assert.ok(suboptimality < ROUNDING);
});

Deno.test("wasserstein2() in one dimension is that of sorted values", async () => {
  const a = startNoise(4, 0, 200, 1), b = startNoise(5, 0, 200, 1).map(Math.exp);
  const { distance } = await wasserstein2(a, b, { dimension: 1 });
  assert.ok(Math.abs(distance - wasserstein2OnLine(a, b)) < ROUNDING);
});

Deno.test("wasserstein2OnLine() of sets of unlike sizes is that of the sets repeated", () => {
  const a = startNoise(6, 0, 4, 1), b = startNoise(7, 0, 6, 1);
  const repeated = (x: Float64Array, times: number) =>
    Float64Array.from({ length: x.length * times }, (_, i) => x[i % x.length]);
  const expected = wasserstein2OnLine(repeated(a, 3), repeated(b, 2));
  assert.ok(Math.abs(wasserstein2OnLine(a, b) - expected) < ROUNDING);
});

Deno.test("wasserstein2OfGaussians() of diagonal laws is that of their deviations", () => {
  const p = { mean: [1, 2], covariance: [4, 0, 0, 9] };
  const q = { mean: [1, 5], covariance: [1, 0, 0, 25] };
  assert.ok(Math.abs(wasserstein2OfGaussians(p, q) - Math.sqrt(9 + 1 + 4)) < ROUNDING);
  assert.throws(() => wasserstein2OfGaussians(p, { mean: [1], covariance: [1] }), TypeError);
});

Deno.test("wasserstein2OfGaussians() is the length of the optimal map between laws that do not commute", () => {
  // The map x → A x with A symmetric and positive is optimal from N(0, Σ) to N(0, AΣA).
  const sigma = [2, 0.5, 0.5, 1], a = [1.5, -0.4, -0.4, 0.7];
  const times = (x: number[], y: number[]) => [
    x[0] * y[0] + x[1] * y[2],
    x[0] * y[1] + x[1] * y[3],
    x[2] * y[0] + x[3] * y[2],
    x[2] * y[1] + x[3] * y[3],
  ];
  const image = times(times(a, sigma), a);
  const move = [a[0] - 1, a[1], a[2], a[3] - 1];
  const moved = times(times(move, sigma), move);
  const distance = wasserstein2OfGaussians(
    { mean: [0, 0], covariance: sigma },
    { mean: [0, 0], covariance: image },
  );
  assert.ok(Math.abs(distance ** 2 - (moved[0] + moved[3])) < ROUNDING);
});

Deno.test("slicedWasserstein2() of a shift is its length over the root of the dimension", () => {
  const d = 4, a = startNoise(8, 0, 50, d), b = a.map((v) => v + 1);
  const { distance, standardError } = slicedWasserstein2(a, b, { dimension: d, directions: 4000 });
  // ‖shift‖ = 2, over √4. Five standard errors.
  assert.ok(Math.abs(distance - 1) < 5 * standardError);
  assert.ok(standardError < 0.02);
  assert.throws(() => slicedWasserstein2(a, b, { dimension: d, directions: 0 }), RangeError);
});

Deno.test("sinkhorn() tends to the squared Wasserstein distance from above as epsilon falls", async () => {
  const a = startNoise(9, 0, 40, 2), b = startNoise(10, 0, 40, 2);
  const exact = (await wasserstein2(a, b, { dimension: 2 })).distance ** 2;
  let last = Infinity;
  for (const epsilon of [1, 0.3, 0.1]) {
    const { transport, cost, converged, residual, history } = sinkhorn(a, b, {
      dimension: 2,
      epsilon,
      tolerance: 1e-7,
    });
    assert.ok(converged && residual <= 1e-7 && history.at(-1) === residual);
    // What is missing of a marginal may have been moved as far as the sets are wide.
    assert.ok(transport >= exact - 1e-5 && transport <= last);
    assert.ok(cost >= transport && cost <= transport + epsilon * Math.log(40));
    last = transport;
  }
  assert.ok(last - exact < 0.1 * Math.log(40));
});

Deno.test("sinkhorn() says that it did not converge", () => {
  const a = startNoise(9, 0, 40, 2), b = startNoise(10, 0, 40, 2);
  const { converged, iterations } = sinkhorn(a, b, { dimension: 2, epsilon: 0.01, iterations: 3 });
  assert.deepEqual([converged, iterations], [false, 3]);
  assert.throws(() => sinkhorn(a, b, { dimension: 2, epsilon: 0 }), RangeError);
});

Deno.test("sinkhornDivergence() is zero on equal sets, positive else, and the squared shift of a shifted set", () => {
  const a = startNoise(11, 0, 30, 2), b = a.map((v) => v + 0.6);
  const options = { epsilon: 0.5, tolerance: 1e-12 };
  assert.ok(Math.abs(sinkhornDivergence(a, a, { dimension: 2, ...options }).divergence) < 1e-10);
  const { divergence, converged } = sinkhornDivergence(a, b, { dimension: 2, ...options });
  assert.ok(converged);
  // The entropic cost of a translate is that of the set itself plus the squared shift.
  assert.ok(Math.abs(divergence - 2 * 0.36) < 1e-9);
});

Deno.test("sinkhornDivergence() has converged where all three of its costs have", () => {
  // One point takes one iteration, against any others; these others take many among themselves.
  const [point, spread] = [[0, 0], startNoise(2, 0, 20, 2)];
  const options = { epsilon: 0.01, tolerance: 1e-9 };
  const few = { ...options, iterations: 2 };
  assert.equal(sinkhornDivergence(point, point, { dimension: 2, ...few }).converged, true);
  assert.equal(sinkhorn(point, spread, { dimension: 2, ...few }).converged, true);
  assert.equal(sinkhorn(spread, spread, { dimension: 2, ...few }).converged, false);
  assert.equal(sinkhornDivergence(point, spread, { dimension: 2, ...few }).converged, false);
  assert.equal(sinkhornDivergence(spread, point, { dimension: 2, ...few }).converged, false);
  // Two sets that are far apart, each a point: only the cost between them is left.
  assert.equal(sinkhornDivergence(point, [3, 4], { dimension: 2, ...few }).converged, true);
});

Deno.test("mmd() takes the median distance of all points, also of many that are sorted", () => {
  // Evenly spread over [0, 1]: half of all pairs are closer than 1 − √½.
  const n = 3001;
  const line = Float64Array.from({ length: n }, (_, i) => i / (n - 1));
  const { bandwidth } = mmd(line, line, { dimension: 1 });
  assert.ok(Math.abs(bandwidth - (1 - Math.SQRT1_2)) < 2e-3, `${bandwidth}`);
});

Deno.test("energyDistance() and mmd() of one-dimensional Gaussians are the closed forms within sampling error", () => {
  const count = 2000, shift = 1;
  const a = startNoise(12, 0, count, 1), b = startNoise(13, 0, count, 1).map((v) => v + shift);
  // E|Z − s| for Z ~ N(0, 2): 2/√π·exp(−s²/4) + s·erf(s/2), and 2/√π for s = 0.
  const erfHalf = 0.5204998778130465;
  const expected = 2 * (2 / Math.sqrt(Math.PI) * Math.exp(-0.25) + erfHalf) -
    4 / Math.sqrt(Math.PI);
  // The error of a two-sample statistic of order one is about 2/√n; three of those.
  const allowed = 6 / Math.sqrt(count);
  assert.ok(Math.abs(energyDistance(a, b, { dimension: 1, unbiased: true }) - expected) < allowed);
  // E k(X, Y) for h = 1 and X − Y ~ N(s, 2): exp(−s²/6)/√3.
  const kernel = 2 / Math.sqrt(3) * (1 - Math.exp(-1 / 6));
  const { squared } = mmd(a, b, { dimension: 1, bandwidth: 1, unbiased: true });
  assert.ok(Math.abs(squared - kernel) < allowed / 2);
});

Deno.test("unbiased estimates refuse a single point", () => {
  assert.throws(() => energyDistance([1], [2, 3], { dimension: 1, unbiased: true }), RangeError);
  assert.throws(() => mmd([1], [2], { dimension: 1, unbiased: true }), RangeError);
});

Deno.test("wasserstein2() refuses sets of unlike or enormous sizes", async () => {
  await assert.rejects(() => wasserstein2([1, 2], [1], { dimension: 1 }), TypeError);
  const many = new Float64Array(8193);
  await assert.rejects(
    () => wasserstein2(many, many, { dimension: 1 }),
    /slicedWasserstein2 takes any number/,
  );
});

Deno.test("wasserstein2() can be cancelled", async () => {
  const a = startNoise(1, 0, 2000, 8), b = startNoise(2, 0, 2000, 8);
  const controller = new AbortController();
  const running = wasserstein2(a, b, { dimension: 8, signal: controller.signal });
  controller.abort(new DOMException("enough", "AbortError"));
  await assert.rejects(running, { name: "AbortError" });
});
