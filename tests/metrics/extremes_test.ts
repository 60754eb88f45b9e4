import {
  agreement,
  energyDistance,
  explainedVariance,
  frechetDistance,
  mmd,
  mse,
  nearestItems,
  pearson,
  precisionRecall,
  rSquared,
  sinkhorn,
  sinkhornDivergence,
  slicedWasserstein2,
  startNoise,
  wasserstein2,
  wasserstein2OnLine,
} from "@closedform/diffusion";
import { wasserstein2OfGaussians } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { rootMeanSquares } from "../../src/metrics/_distances.ts";

const COUNT = 12, DIMENSION = 3;
const A = startNoise(51, 0, COUNT, DIMENSION), B = startNoise(52, 0, COUNT, DIMENSION);

function times(rows: ArrayLike<number>, factor: number): Float64Array {
  return Float64Array.from(rows, (v) => v * factor);
}

/** Near 1e160 and 1e-300, of which float64 holds no square: powers of two, by which scaling is exact. */
const FACTORS = [2 ** 531, 2 ** -996, 2 ** 1000];

/** Every distance of two sets, and the power of the unit that it has. */
const DISTANCES: Record<string, [power: number, (s: number) => number | Promise<number>]> = {
  wasserstein2: [
    1,
    async (s) => (await wasserstein2(times(A, s), times(B, s), { dimension: 3 })).distance,
  ],
  wasserstein2OnLine: [1, (s) => wasserstein2OnLine(times(A, s), times(B, s))],
  slicedWasserstein2: [
    1,
    (s) => slicedWasserstein2(times(A, s), times(B, s), { dimension: 3 }).distance,
  ],
  "its standard error": [
    1,
    (s) => slicedWasserstein2(times(A, s), times(B, s), { dimension: 3 }).standardError,
  ],
  energyDistance: [1, (s) => energyDistance(times(A, s), times(B, s), { dimension: 3 })],
  "mmd's width": [1, (s) => mmd(times(A, s), times(B, s), { dimension: 3 }).bandwidth],
  mmd: [0, (s) => mmd(times(A, s), times(B, s), { dimension: 3 }).squared],
  "mmd of a width": [
    0,
    (s) => mmd(times(A, s), times(B, s), { dimension: 3, bandwidth: s }).squared,
  ],
  precision: [0, (s) => precisionRecall(times(A, s), times(B, s), { dimension: 3 }).precision],
  pearson: [0, (s) => pearson(times(A, s), times(B, s), { dimension: 3 }).mean],
  rSquared: [0, (s) => rSquared(times(A, s), times(B, s), { dimension: 3 }).mean],
  rootMeanSquares: [1, (s) => rootMeanSquares(times(A, s), times(B, s), 3)[0]],
  meanOfRatios: [
    0,
    (s) => explainedVariance(times(A, s), times(B, s), { dimension: 3 }).meanOfRatios,
  ],
  ratioOfMeans: [
    0,
    (s) => explainedVariance(times(A, s), times(B, s), { dimension: 3 }).ratioOfMeans,
  ],
};

for (const [name, [power, measure]] of Object.entries(DISTANCES)) {
  Deno.test(`${name} follows its unit to the bit where squares are beyond float64`, async () => {
    const plain = await measure(1);
    assert.ok(plain !== 0);
    for (const factor of FACTORS) assert.equal(await measure(factor), plain * factor ** power);
  });
}

Deno.test("nearestItems() of samples beyond float32, and of bytes that stand for tiny numbers", async () => {
  const points = { data: Float32Array.of(0, 0, 3, 4), dimension: 2 };
  const far = await nearestItems([3e160, 4e160], points);
  assert.ok(Math.abs(far.nearestDistance[0] / 5e160 - 1) < 1e-15 && far.second[0] === 1);
  const tiny = {
    data: Uint8Array.of(0, 0, 255, 255),
    dimension: 2,
    range: [0, 1e-200] as const,
  };
  const { nearest, nearestDistance } = await nearestItems([8e-201, 1e-200], tiny);
  assert.equal(nearest[0], 1);
  // The difference of 1e-200 and 8e-201 has lost a digit.
  assert.ok(Math.abs(nearestDistance[0] / 2e-201 - 1) < 1e-14);
});

Deno.test("squares that float64 holds are exact in scale, others an error rather than infinite", () => {
  const s = 2 ** 400;
  assert.equal(
    mse(times(A, s), times(B, s), { dimension: 3 }).mean,
    mse(A, B, { dimension: 3 }).mean * s * s,
  );
  assert.equal(
    frechetDistance(times(A, s), times(B, s), { dimension: 3 }),
    frechetDistance(A, B, { dimension: 3 }) * s * s,
  );
  const plain = sinkhorn(A, B, { dimension: 3, epsilon: 0.5 });
  const scaled = sinkhorn(times(A, s), times(B, s), { dimension: 3, epsilon: 0.5 * s * s });
  assert.deepEqual([scaled.cost, scaled.transport], [plain.cost * s * s, plain.transport * s * s]);
  assert.equal(scaled.iterations, plain.iterations);
  for (
    const beyond of [
      () => mse(times(A, 1e160), times(B, 1e160), { dimension: 3 }),
      () => agreement(times(A, 1e160), times(B, 1e160), { dimension: 3 }),
      () => frechetDistance(times(A, 1e160), times(B, 1e160), { dimension: 3 }),
      () => sinkhorn(times(A, 1e160), times(B, 1e160), { dimension: 3, epsilon: 1e300 }),
      () => wasserstein2OnLine([-1.5e308], [1.5e308]),
    ]
  ) assert.throws(beyond, RangeError);
});

Deno.test("wasserstein2OfGaussians() of covariances near both ends of float64", () => {
  // (√q − √p)² in one dimension.
  for (const v of [1e-300, 1e-160, 1e160, 1e300]) {
    const found = wasserstein2OfGaussians({ mean: [0], covariance: [v] }, {
      mean: [0],
      covariance: [9 * v],
    });
    assert.ok(Math.abs(found / (2 * Math.sqrt(v)) - 1) < 1e-14, `${v}: ${found}`);
  }
  for (const m of [1e-300, 1e160]) {
    const found = wasserstein2OfGaussians({ mean: [0, 0], covariance: [0, 0, 0, 0] }, {
      mean: [3 * m, 4 * m],
      covariance: [0, 0, 0, 0],
    });
    assert.ok(Math.abs(found / (5 * m) - 1) < 1e-15, `${m}: ${found}`);
  }
});

Deno.test("pearson() is right at 1e160 and at 1e-90, and refuses only what is constant", () => {
  for (const s of [1e160, 1e-90, 1e-300]) {
    const [r] = pearson(times([1, 2, 4], s), times([2, 4, 8.5], s), { dimension: 3 }).perSample;
    const [plain] =
      pearson(Float64Array.of(1, 2, 4), Float64Array.of(2, 4, 8.5), { dimension: 3 }).perSample;
    // Scaling by a power of ten rounds each number once.
    assert.ok(Math.abs(r - plain) < 8 * Number.EPSILON);
  }
  const even = Float64Array.of(1e-300, 1e-300);
  assert.throws(() => pearson(even, Float64Array.of(0, 1), { dimension: 2 }), /sample 0 are equal/);
});

Deno.test("explainedVariance() counts a tiny row like any other", () => {
  const reference = [2, 0, 2e-200, 0], approximation = [1, 0, 1e-200, 0];
  assert.deepEqual([...explainedVariance(reference, approximation, { dimension: 2 }).residuals], [
    0.25,
    0.25,
  ]);
});

Deno.test("rSquared() tells a tiny variance from none", () => {
  const [r] =
    rSquared(times([0, 1, 2], 1e-170), times([0, 1, 2.5], 1e-170), { dimension: 3 }).perSample;
  const [plain] =
    rSquared(Float64Array.of(0, 1, 2), Float64Array.of(0, 1, 2.5), { dimension: 3 }).perSample;
  assert.ok(Math.abs(r - plain) < 1e-14);
});

Deno.test("distances do not lose what a common offset leaves", () => {
  // Offsets of 2³⁰ and whole numbers: every difference is exact.
  const whole = (rows: ArrayLike<number>) => Float64Array.from(rows, (v) => Math.round(8 * v));
  const [a, b] = [whole(A), whole(B)], away = (v: number) => v + 2 ** 30;
  const [p, q] = [a.map(away), b.map(away)];
  assert.equal(
    slicedWasserstein2(p, q, { dimension: 3 }).distance,
    slicedWasserstein2(a, b, { dimension: 3 }).distance,
  );
  assert.equal(frechetDistance(p, q, { dimension: 3 }), frechetDistance(a, b, { dimension: 3 }));
  assert.equal(energyDistance(p, q, { dimension: 3 }), energyDistance(a, b, { dimension: 3 }));
  assert.equal(pearson(p, q, { dimension: 3 }).mean, pearson(a, b, { dimension: 3 }).mean);
  const epsilon = 1;
  assert.deepEqual(
    sinkhorn(p, q, { dimension: 3, epsilon }),
    sinkhorn(a, b, { dimension: 3, epsilon }),
  );
});

Deno.test("slicedWasserstein2() has no standard error of one direction, and the right one of many", () => {
  assert.ok(Number.isNaN(slicedWasserstein2(A, B, { dimension: 3, directions: 1 }).standardError));
  // Two directions: the variance with divisor 1, by the delta method.
  const one = (k: number) => {
    const { distance } = slicedWasserstein2(A, B, { dimension: 3, directions: k });
    return distance ** 2 * k;
  };
  const first = one(1), second = one(2) - first;
  const { distance, standardError } = slicedWasserstein2(A, B, { dimension: 3, directions: 2 });
  const wanted = Math.abs(first - second) / 2 / (2 * distance);
  assert.ok(Math.abs(standardError / wanted - 1) < 1e-12);
});

Deno.test("mmd() of collapsed samples needs no width, and speaks of none that was not given", () => {
  // Most pairs are equal: the width is the distance of those that are not.
  const copies = new Float64Array(10), other = Float64Array.of(0, 3);
  const { bandwidth, squared } = mmd(copies, other, { dimension: 1 });
  assert.equal(bandwidth, 3);
  // Two of three kinds of pairs by hand: k(3) is e^(−1/2).
  const k = Math.exp(-0.5);
  assert.ok(Math.abs(squared - (1 + (1 + k) / 2 - (1 + k))) < 1e-15);
  assert.deepEqual(mmd(copies, copies, { dimension: 1 }), { squared: 0, bandwidth: NaN });
  assert.deepEqual(mmd(copies, copies, { dimension: 1, unbiased: true }), {
    squared: 0,
    bandwidth: NaN,
  });
  // Some that differ may be left out where points are thinned.
  const many = new Float64Array(5001);
  many[4999] = 3;
  assert.ok(mmd(many, new Float64Array(2), { dimension: 1 }).bandwidth > 0);
  assert.throws(() => mmd([1], [2], { dimension: 1, bandwidth: 0 }), /bandwidth is 0, wanted/);
});

Deno.test("sinkhorn().transport is at least W₂² whether converged or not", async () => {
  for (let seed = 0; seed < 10; seed++) {
    const a = startNoise(seed, 0, 9, 2), b = startNoise(seed + 100, 0, 9, 2);
    const exact = (await wasserstein2(a, b, { dimension: 2 })).distance ** 2;
    let before = -Infinity;
    for (const iterations of [1, 2, 5, 50]) {
      const options = { epsilon: 0.1, tolerance: 1e-12, iterations };
      const { transport, cost, converged } = sinkhorn(a, b, { dimension: 2, ...options });
      assert.ok(!converged);
      // Rounding of sums of 81 products.
      assert.ok(transport >= exact * (1 - 81 * Number.EPSILON), `${transport} of ${exact}`);
      // The dual value rises.
      assert.ok(cost >= before);
      before = cost;
    }
    const { transport, converged } = sinkhorn(a, b, { dimension: 2, epsilon: 1 });
    assert.ok(converged && transport > exact);
  }
});

Deno.test("sinkhornDivergence() of equal sets is 0 at any scale that float64 holds", () => {
  for (const s of [1e-100, 1e100]) {
    const { divergence } = sinkhornDivergence(times(A, s), times(A, s), {
      dimension: 3,
      epsilon: s * s,
    });
    assert.equal(divergence / s / s, 0);
  }
});
