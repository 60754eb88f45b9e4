import assert from "node:assert/strict";
import { openDevice } from "../../src/compute/open_device.ts";
import { Dataset } from "../../src/datasets/dataset.ts";
import { functionDenoiser } from "../../src/denoisers/function_denoiser.ts";
import { optimal } from "../../src/denoisers/optimal.ts";
import { smoothed } from "../../src/denoisers/smoothed.ts";
import type { SmoothedOptions } from "../../src/denoisers/smoothed.ts";
import { arraySpace, tensorSpace } from "../../src/states/linear_space.ts";
import { wasserstein2 } from "../../src/metrics/wasserstein.ts";
import { uniformTGrid } from "../../src/base/noise.ts";
import { RandomStream, startNoise } from "../../src/base/random.ts";
import { sample } from "../../src/samplers/sample.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

/** Twelve points of a low-discrepancy sequence in a square. */
function twelve(): Dataset {
  const data = new Float32Array(24);
  for (let i = 1; i <= 12; i++) {
    data[2 * i - 2] = 2 * (.7548776662466927 * i % 1) - 1;
    data[2 * i - 1] = 2 * (.5698402909980532 * i % 1) - 1;
  }
  return new Dataset({ data, shape: [2], name: "twelve points" });
}

function points(...data: number[]): Dataset {
  return new Dataset({ data: Float32Array.from(data), shape: [1], name: "points on a line" });
}

async function draw(
  dataset: Dataset,
  options: SmoothedOptions,
  steps: number,
  count: number,
): Promise<Float64Array> {
  const { x } = await sample(await smoothed(optimalFloat64(dataset), options), {
    count,
    grid: uniformTGrid(steps),
    batchSize: 500,
    seed: 3,
    output: "tensor",
  });
  return x;
}

/** The vectors of one sample, drawn as the denoiser draws them. */
function vectors(sampleIndex: number, M: number, dimension: number, seed = 0): Float64Array {
  const stream = new RandomStream({ seed, sample: sampleIndex, purpose: "smoothing" });
  return Float64Array.from({ length: M * dimension }, () => stream.normal());
}

/** The means of all M-tuples of rows, repeats allowed, without regard to order. */
function barycenters({ data, dimension, count }: Dataset, M: number): number[][] {
  const grow = (tuple: number[]): number[][] => {
    if (tuple.length === M) {
      return [
        Array.from(
          { length: dimension },
          (_, c) => tuple.reduce((sum, i) => sum + data[i * dimension + c], 0) / M,
        ),
      ];
    }
    return Array.from({ length: count - (tuple.at(-1) ?? 0) }, (_, i) => i + (tuple.at(-1) ?? 0))
      .flatMap((i) => grow([...tuple, i]));
  };
  return grow([]);
}

function nearest({ data, dimension, count }: Dataset, q: ArrayLike<number>): number {
  let best = Infinity, index = 0;
  for (let i = 0; i < count; i++) {
    let square = 0;
    for (let c = 0; c < dimension; c++) square += (q[c] - data[i * dimension + c]) ** 2;
    if (square < best) [best, index] = [square, i];
  }
  return index;
}

/** The share of rows that satisfy a condition. */
function share(
  x: ArrayLike<number>,
  dimension: number,
  holds: (row: number[], i: number) => boolean,
): number {
  const n = x.length / dimension;
  let count = 0;
  for (let i = 0; i < n; i++) {
    count += Number(holds(Array.from({ length: dimension }, (_, c) => x[i * dimension + c]), i));
  }
  return count / n;
}

const isNear = (targets: number[][], tolerance: number) => (row: number[]) =>
  targets.some((t) => Math.hypot(...t.map((v, c) => v - row[c])) < tolerance);

/** Whether sample `i` is the mean of the points nearest to its perturbed copies. */
function isFixedPoint(dataset: Dataset, M: number, bandwidth: number) {
  return (row: number[], i: number): boolean => {
    const draws = vectors(i, M, 2), mean = [0, 0];
    for (let m = 0; m < M; m++) {
      const pick = nearest(dataset, row.map((v, c) => v + bandwidth * draws[2 * m + c]));
      mean[0] += dataset.data[2 * pick] / M;
      mean[1] += dataset.data[2 * pick + 1] / M;
    }
    return Math.hypot(row[0] - mean[0], row[1] - mean[1]) < 1e-6;
  };
}

/** Whether a point of the plane lies in the convex hull of points, up to a distance. */
function inHull({ data, count }: Dataset, tolerance: number): (row: number[]) => boolean {
  const at = (i: number) => [data[2 * i], data[2 * i + 1]];
  // A half-plane through two points that holds all others.
  const sides: { normal: number[]; offset: number }[] = [];
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      if (i === j) continue;
      const [p, q] = [at(i), at(j)];
      const length = Math.hypot(q[0] - p[0], q[1] - p[1]);
      const normal = [(p[1] - q[1]) / length, (q[0] - p[0]) / length];
      const offset = normal[0] * p[0] + normal[1] * p[1];
      const all = Array.from({ length: count }, (_, k) => at(k));
      if (all.every((r) => normal[0] * r[0] + normal[1] * r[1] >= offset - 1e-12)) {
        sides.push({ normal, offset });
      }
    }
  }
  return (row) =>
    sides.every(({ normal, offset }) =>
      normal[0] * row[0] + normal[1] * row[1] >= offset - tolerance
    );
}

Deno.test("smoothed() with bandwidth zero is the denoiser inside", async () => {
  const base = optimalFloat64(twelve());
  const x = startNoise(1, 0, 5, 2);
  for (const sigma of [10, 1, 0.1]) {
    const plain = (await base.denoise(x, sigma)).mean;
    for (const drawKind of ["fixed", "fresh", "antithetic"] as const) {
      const same =
        (await (await smoothed(base, { bandwidth: 0, drawKind })).denoise(x, sigma)).mean;
      // Four equal numbers over four, summed.
      assert.ok(same.every((v, i) => Math.abs(v - plain[i]) < 1e-15));
    }
  }
});

Deno.test("smoothed() is the mean over tilted logits: the perturbed query and the tilt are the same", async () => {
  const dataset = twelve();
  const M = 3, bandwidth = 0.4;
  const denoiser = await smoothed(optimalFloat64(dataset), { bandwidth, draws: M });
  const x = Float64Array.of(0.7, -0.2);
  const draws = vectors(0, M, 2);
  for (const sigma of [20, 1, 0.2]) {
    const expected = [0, 0];
    for (let m = 0; m < M; m++) {
      const logits = Array.from({ length: 12 }, (_, i) => {
        const [px, py] = [dataset.data[2 * i], dataset.data[2 * i + 1]];
        const tilt = 2 * bandwidth * (1 + sigma) * (draws[2 * m] * px + draws[2 * m + 1] * py);
        return -((x[0] - px) ** 2 + (x[1] - py) ** 2 - tilt) / (2 * sigma * sigma);
      });
      const most = Math.max(...logits);
      const weights = logits.map((l) => Math.exp(l - most));
      const sum = weights.reduce((a, b) => a + b);
      weights.forEach((w, i) => {
        expected[0] += w / sum * dataset.data[2 * i] / M;
        expected[1] += w / sum * dataset.data[2 * i + 1] / M;
      });
    }
    const denoised = (await denoiser.denoise(x, sigma)).mean;
    assert.ok(Math.hypot(denoised[0] - expected[0], denoised[1] - expected[1]) < 1e-12);
  }
});

Deno.test("smoothed() is a mean of tuple barycenters, weighted by the tuple identity", async () => {
  const M = 3, N = 6, bandwidth = 0.3;
  const all = twelve();
  const dataset = all.take(N);
  const at = (i: number) => [all.data[2 * i], all.data[2 * i + 1]];
  const draws = vectors(0, M, 2);
  const x = [0.2, 0.5];
  for (const t of [0.2, 0.7, 0.95]) {
    const sigma = (1 - t) / t;
    const tuples = Array.from(
      { length: N ** M },
      (_, k) => [k % N, Math.floor(k / N) % N, Math.floor(k / N / N)],
    );
    const logs = tuples.map((tuple) => {
      const c = [0, 1].map((k) => tuple.reduce((sum, i) => sum + at(i)[k], 0) / M);
      const square = tuple.reduce((sum, i) => sum + at(i)[0] ** 2 + at(i)[1] ** 2, 0) / M;
      const variance = square - c[0] ** 2 - c[1] ** 2;
      const tilt = tuple.reduce((sum, i, m) =>
        sum + draws[2 * m] * at(i)[0] + draws[2 * m + 1] * at(i)[1], 0) / M;
      const distance = (x[0] - c[0]) ** 2 + (x[1] - c[1]) ** 2;
      return {
        c,
        log: -M * (distance + variance - 2 * bandwidth * (1 + sigma) * tilt) / (2 * sigma * sigma),
      };
    });
    const most = Math.max(...logs.map(({ log }) => log));
    const weights = logs.map(({ log }) => Math.exp(log - most));
    const sum = weights.reduce((a, b) => a + b);
    const expected = [0, 1].map((k) =>
      logs.reduce((total, { c }, i) => total + weights[i] / sum * c[k], 0)
    );
    const denoised =
      (await (await smoothed(optimalFloat64(dataset), { bandwidth, draws: M })).denoise(
        Float64Array.from(x),
        sigma,
      )).mean;
    assert.ok(Math.hypot(denoised[0] - expected[0], denoised[1] - expected[1]) < 1e-12);
  }
});

Deno.test("smoothed() commutes with rotations of data, state and draws, with translations and permutations", async () => {
  const dataset = twelve();
  const options = { bandwidth: 0.3, draws: 2 };
  const x = Float64Array.of(0.3, -0.1);
  const denoised = (await (await smoothed(optimalFloat64(dataset), options)).denoise(x, 0.4)).mean;
  const moved = new Dataset({
    data: dataset.data.map((v) => v + 0.5) as Float32Array,
    shape: [2],
    name: "moved",
  });
  const shifted = (await (await smoothed(optimalFloat64(moved), options)).denoise(
    x.map((v) => v + 0.5),
    0.4,
  )).mean;
  // The data are rounded to float32 after the shift.
  assert.ok(shifted.every((v, c) => Math.abs(v - 0.5 - denoised[c]) < 1e-6));
  const reversed = new Float32Array(24);
  for (let i = 0; i < 12; i++) reversed.set(dataset.data.subarray(2 * i, 2 * i + 2), 22 - 2 * i);
  const permuted = new Dataset({ data: reversed, shape: [2], name: "reversed" });
  const same = (await (await smoothed(optimalFloat64(permuted), options)).denoise(x, 0.4)).mean;
  assert.ok(same.every((v, c) => Math.abs(v - denoised[c]) < 1e-14));
});

const devices = await testDevices();

const M = 3, bandwidth = 0.5;
// Shares on the twelve points: within 1e-6 of a tuple barycenter, and satisfying x = mean of nearest points.
const SUPPORT = [
  { steps: 50, count: 2000, barycenter: .945, fixedPoint: .79 },
  { steps: 200, count: 2000, barycenter: .997, fixedPoint: .905 },
  { steps: 1000, count: 600, barycenter: 1, fixedPoint: .96 },
];
for (const { steps, count, barycenter, fixedPoint } of SUPPORT) {
  Deno.test(`smoothed() samples are tuple barycenters and fixed points as often as expected, ${steps} steps`, async () => {
    const dataset = twelve();
    const x = await draw(dataset, { bandwidth, draws: M }, steps, count);
    assert.equal(share(x, 2, inHull(dataset, 1e-9)), 1);
    assert.ok(Math.abs(share(x, 2, isNear(barycenters(dataset, M), 1e-6)) - barycenter) < .03);
    assert.ok(Math.abs(share(x, 2, isFixedPoint(dataset, M, bandwidth)) - fixedPoint) < .03);
  });
}

Deno.test("smoothed() with one draw memorises whatever the bandwidth", async () => {
  const dataset = twelve();
  const training = barycenters(dataset, 1);
  for (const wide of [0.1, 1, 5]) {
    const x = await draw(dataset, { bandwidth: wide, draws: 1 }, 400, 400);
    assert.ok(share(x, 2, isNear(training, 1e-9)) >= .99);
  }
});

Deno.test("smoothed() of two points with a huge bandwidth: a quarter, a half, a quarter; antithetic draws meet in the middle", async () => {
  const n = 4000;
  const law = async (drawKind: "fixed" | "antithetic") => {
    const x = await draw(points(-1, 1), { bandwidth: 50, draws: 2, drawKind }, 200, n);
    return [-1, 0, 1].map((end) => share(x, 1, ([v]) => Math.abs(v - end) < 1e-6));
  };
  const [low, middle, high] = await law("fixed");
  const error = (p: number) => 3 * Math.sqrt(p * (1 - p) / n);
  assert.ok(Math.abs(low - .25) < error(.25) && Math.abs(high - .25) < error(.25));
  assert.ok(Math.abs(middle - .5) < error(.5));
  assert.ok((await law("antithetic"))[1] >= .98);
});

Deno.test("smoothed() fixed samples obey their draws, fresh ones do not", async () => {
  // The negative control of the fixed points above.
  const dataset = twelve();
  const x = await draw(dataset, { bandwidth, draws: M, drawKind: "fresh" }, 400, 1000);
  assert.ok(share(x, 2, isFixedPoint(dataset, M, bandwidth)) < .35);
  assert.equal(share(x, 2, inHull(dataset, 1e-9)), 1);
});

Deno.test("smoothed() of the circle: the distance falls by half near the rule's bandwidth and rises beyond, memorising falls", async () => {
  const ring = (n: number) =>
    Float64Array.from(
      { length: 2 * n },
      (_, at) => (at % 2 ? Math.sin : Math.cos)(2 * Math.PI * Math.floor(at / 2) / n),
    );
  const dataset = new Dataset({ data: Float32Array.from(ring(16)), shape: [2], name: "ring" });
  const dense = ring(800);
  const measured: { w2: number; memorised: number }[] = [];
  const TABLE = [[0, .127, 1], [.10, .079, .576], [.15, .063, .301], [.30, .100, .062], [
    1,
    .387,
    .006,
  ]];
  for (const [beta, w2, memorised] of TABLE) {
    const x = await draw(dataset, { bandwidth: beta, draws: 4 }, 200, 800);
    const at = {
      w2: (await wasserstein2(x, dense, { dimension: 2 })).distance,
      memorised: share(x, 2, isNear(barycenters(dataset, 1), 1e-3)),
    };
    // Three standard errors of a share of 800, and of a distance whose seeds spread by .01.
    assert.ok(
      Math.abs(at.memorised - memorised) < 3 * Math.sqrt(.25 / 800),
      `${beta}: ${at.memorised}`,
    );
    assert.ok(Math.abs(at.w2 - w2) < .03, `${beta}: ${at.w2}`);
    measured.push(at);
  }
  assert.ok(measured[2].w2 < .7 * measured[0].w2 && measured[4].w2 > 2 * measured[0].w2);
  assert.ok(
    measured.every(({ memorised }, i) => i === 0 || memorised <= measured[i - 1].memorised),
  );
});

Deno.test("smoothed() draws depend on seed and sample alone", async () => {
  const denoiser = await smoothed(optimalFloat64(twelve()), { bandwidth: .5 });
  const options = { grid: uniformTGrid(20), seed: 1 };
  const whole = await sample(denoiser, { ...options, count: 16, output: "tensor" });
  const small = await sample(denoiser, { ...options, count: 16, batchSize: 5, output: "tensor" });
  assert.deepEqual([...whole.x], [...small.x]);
  const later = await sample(denoiser, { ...options, count: 4, first: 12, output: "tensor" });
  assert.deepEqual([...whole.x.subarray(24)], [...later.x]);
  const other = await smoothed(optimalFloat64(twelve()), { bandwidth: .5, seed: 1 });
  assert.notDeepEqual([...(await sample(other, { ...options, count: 4, output: "tensor" })).x], [
    ...whole.x.subarray(0, 8),
  ]);
});

testOnDevices(
  devices,
  "smoothed() on tensors agrees with float64 and leaks nothing",
  async (device) => {
    const dataset = twelve();
    const options = { bandwidth: .3, draws: 2 };
    const reference = await smoothed(optimalFloat64(dataset), options);
    await withoutLeaks(async () => {
      using base = await optimal(dataset, { device });
      const denoiser = await smoothed(base, options);
      const values = startNoise(1, 0, 6, 2);
      for (const sigma of [5, 1, .3]) {
        const x = tensorSpace.from(values.map((v) => sigma * v), [6, 2]);
        const denoised = (await denoiser.denoise(x, sigma)).mean;
        const expected = (await reference.denoise(
          Float64Array.from(await tensorSpace.values(x)),
          sigma,
        )).mean;
        const got = await tensorSpace.values(denoised);
        // Logits of at most (6/σ)² nats, in float32 at 2^-24 each, move a weight by that much; the data are within 1.
        const tolerance = 8 * 2 ** -24 * (1 + 36 / (sigma * sigma));
        expected.forEach((v, i) =>
          assert.ok(Math.abs(v - got[i]) < tolerance, `${sigma}: ${v} ${got[i]}`)
        );
        tensorSpace.dispose(x, denoised);
      }
    });
  },
);

Deno.test("smoothed() with Gumbel draws ends at modes of the kernel density", async () => {
  using device = await openDevice("float64");
  const corners = [[-1.5, 0], [1.5, 0], [0, 1.8], [0, -3.3]];
  const dataset = new Dataset({
    data: Float32Array.from(corners.flat()),
    shape: [2],
    name: "four",
  });
  using base = await optimal(dataset, { device });
  const variance = .3;
  const denoiser = await smoothed(base, { bandwidth: variance, draws: 500, drawKind: "gumbel" });
  const { x } = await sample(denoiser, {
    count: 3,
    grid: uniformTGrid(100),
    seed: 1,
    output: "tensor",
  });
  const ends = await denoiser.space.values(x);
  // Mean shift from each point to its mode, in float64.
  const modes = corners.map((start) => {
    let at = start;
    for (let i = 0; i < 200; i++) {
      const weights = corners.map((c) =>
        Math.exp(-((at[0] - c[0]) ** 2 + (at[1] - c[1]) ** 2) / (2 * variance))
      );
      const sum = weights.reduce((a, b) => a + b);
      at = [0, 1].map((c) =>
        corners.reduce((mean, corner, i) => mean + weights[i] / sum * corner[c], 0)
      );
    }
    return at;
  });
  // Five hundred picks: the mean of those that miss the mode's own point is below a hundredth of the distances.
  assert.equal(share(ends, 2, isNear(modes, .03)), 1);
});

Deno.test("smoothed() refuses what makes no sense", async () => {
  const base = functionDenoiser((x) => x.map(() => 0), { shape: [1], space: arraySpace });
  await assert.rejects(smoothed(base, { bandwidth: -1 }), RangeError);
  await assert.rejects(smoothed(base, { bandwidth: 1, draws: 0 }), RangeError);
  await assert.rejects(
    smoothed(base, { bandwidth: 1, draws: 3, drawKind: "antithetic" }),
    RangeError,
  );
  await assert.rejects(smoothed(base, { bandwidth: 1, drawKind: "gumbel" }), TypeError);
});
