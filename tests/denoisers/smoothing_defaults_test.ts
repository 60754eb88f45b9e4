import assert from "node:assert/strict";
import { openDevice } from "../../src/compute/open_device.ts";
import { medianOf } from "../../src/base/_quantile.ts";
import { Dataset } from "../../src/datasets/dataset.ts";
import { readMnist } from "../../src/datasets/idx.ts";
import { readMesh } from "../../src/datasets/mesh.ts";
import { moons } from "../../src/datasets/generators.ts";
import { shapes } from "../../src/datasets/shapes.ts";
import { optimal } from "../../src/denoisers/optimal.ts";
import { smoothed } from "../../src/denoisers/smoothed.ts";
import { smoothingDefaults, smoothingSteps } from "../../src/denoisers/smoothing_defaults.ts";
import { tensorSpace } from "../../src/states/linear_space.ts";
import { wasserstein2 } from "../../src/metrics/wasserstein.ts";
import { uniformTGrid } from "../../src/base/noise.ts";
import { startNoise } from "../../src/base/random.ts";
import { sample } from "../../src/samplers/sample.ts";
import { dataPath, hasData } from "../_helpers/data.ts";

function set(data: ArrayLike<number>, d: number): Dataset {
  return new Dataset({ data: Float32Array.from(data), shape: [d], name: "points" });
}

/** A square lattice of side n in the plane. */
function lattice(n: number): Dataset {
  return set(
    Array.from(
      { length: 2 * n * n },
      (_, at) => at % 2 ? Math.floor(at / 2 / n) : Math.floor(at / 2) % n,
    ),
    2,
  );
}

Deno.test("smoothingDefaults() finds the dimension and the gap of a line, a plane and a space", async () => {
  using device = await openDevice("wasm");
  const line = await smoothingDefaults(
    set(Array.from({ length: 100 }, (_, i) => 2 * i), 1),
    { device },
  );
  assert.deepEqual([line.dimension, line.gap, line.spacing], [1, 2, 2]);
  assert.equal(line.bandwidth, 2 / Math.sqrt(2 * Math.PI));
  const plane = await smoothingDefaults(lattice(20), { device });
  // The neighbours around a point of a square lattice are four at 1 and four at √2.
  assert.deepEqual([plane.dimension, plane.gap], [2, 1]);
  assert.ok(Math.abs(plane.spacing - Math.SQRT2) < 1e-6);
  const cloud = await smoothingDefaults(set(startNoise(1, 0, 4000, 3), 3), { device });
  assert.equal(cloud.dimension, 3);
});

Deno.test("smoothingDefaults() scales with the data, and is the same for moved data", async () => {
  using device = await openDevice("wasm");
  for (const d of [2, 24]) {
    const data = startNoise(2, 0, 700, d).map(Math.fround);
    const once = await smoothingDefaults(set(data, d), { device });
    const scaled = await smoothingDefaults(set(data.map((v) => 8 * v), d), { device });
    // Eight is a power of two: nothing is rounded.
    assert.equal(scaled.bandwidth, 8 * once.bandwidth);
    const moved = await smoothingDefaults(set(data.map((v) => v + 100), d), { device });
    // Float32 numbers near 100 are 2^-17 apart, and a pick in 256 that changes moves the halvings by one, 4 %.
    assert.ok(Math.abs(moved.bandwidth / once.bandwidth - 1) < 0.05);
  }
});

Deno.test("smoothingDefaults() of a multiset in any order is that of its set", async () => {
  using device = await openDevice("wasm");
  for (const one of [moons(100), shapes(90, { size: 8 }), set(startNoise(2, 0, 700, 24), 24)]) {
    const expected = await smoothingDefaults(one, { device });
    for (const copies of [1, 2, 30, 65]) {
      // 89 shares no factor with the counts.
      const places = Array.from({ length: copies * one.count }, (_, i) => 89 * i % one.count);
      assert.deepEqual(await smoothingDefaults(one.subset(places), { device }), expected);
    }
    // Some items more often than others.
    const uneven = Array.from({ length: 3 * one.count }, (_, i) => i < one.count ? i : i % 7);
    assert.deepEqual(await smoothingDefaults(one.subset(uneven), { device }), expected);
  }
});

Deno.test("smoothingDefaults() of two items is where they merge, of three and of a simplex finite", async () => {
  using device = await openDevice("wasm");
  const two = await smoothingDefaults(set([0, 3], 1), { device });
  assert.deepEqual([two.bandwidth, two.gap, two.dimension], [3 / Math.sqrt(2 * Math.PI), 3, 1]);
  const three = await smoothingDefaults(set([0, 0, 1, 1, 7, 7], 2), { device });
  assert.equal(three.bandwidth, Math.SQRT2 / Math.sqrt(2 * Math.PI));
  // Corners of a simplex: all distances are the same, and grow in no dimension.
  const corners = Array.from({ length: 40 * 40 }, (_, at) => at % 41 === 0 ? 1 : 0);
  const simplex = await smoothingDefaults(set(corners, 40), { device });
  assert.ok(Number.isInteger(simplex.dimension) && simplex.dimension <= 39);
  assert.ok(simplex.bandwidth > 0 && simplex.bandwidth <= Math.SQRT2 / Math.sqrt(2 * Math.PI));
});

Deno.test("smoothingDefaults() in many dimensions stays where picks are neighbours, and reports their share", async () => {
  using device = await openDevice("wasm");
  const d = 32, N = 1000;
  const data = set(startNoise(4, 0, N, d), d);
  const { bandwidth, spacing, neighbourly } = await smoothingDefaults(data, { device });
  // The merging of two points alone would be several times that.
  assert.ok(bandwidth < 0.25 * spacing / Math.sqrt(2 * Math.PI));
  assert.ok(neighbourly >= 0.95);
  // By plain loops and other draws: of 500 picks 95 % are among the 8 nearest, with a standard error of 1 %; the bandwidth is of 256.
  const share = plainShare(data, bandwidth, 500);
  assert.ok(share > 0.9 && share < 0.99, `${share}`);
  assert.ok(plainShare(data, 3 * bandwidth, 500) < 0.7);
});

/** The share of picks around an item, itself left out, that are among its 8 nearest. */
function plainShare({ data, dimension: d, count }: Dataset, beta: number, picks: number): number {
  const draws = startNoise(9, 0, picks, d);
  let neighbours = 0;
  for (let i = 0; i < picks; i++) {
    const to = (j: number, step: number) => {
      let sum = 0;
      for (let c = 0; c < d; c++) {
        sum += (data[i * d + c] + step * draws[i * d + c] - data[j * d + c]) ** 2;
      }
      return j === i ? Infinity : sum;
    };
    const others = Array.from({ length: count }, (_, j) => to(j, beta));
    const picked = others.indexOf(Math.min(...others));
    const nearer = Array.from({ length: count }, (_, j) => to(j, 0)).filter((v) =>
      v < to(picked, 0)
    );
    if (nearer.length < 8) neighbours++;
  }
  return neighbours / picks;
}

Deno.test("smoothingDefaults() takes fewer steps from a late start", async () => {
  using device = await openDevice("wasm");
  const data = set(Array.from({ length: 100 }, (_, i) => i / 8), 1);
  const { steps } = await smoothingDefaults(data, { device });
  const late = await smoothingDefaults(data, { device, start: 0.75 });
  assert.equal(steps, 160);
  assert.equal(late.steps, 40);
});

Deno.test("smoothingDefaults() refuses copies of one item, and a start out of range", async () => {
  using device = await openDevice("wasm");
  for (const same of [[5], [1, 1, 1, 1]]) {
    await assert.rejects(
      () => smoothingDefaults(set(same, 1), { device }),
      /all the same, wanted at least 2/,
    );
  }
  await assert.rejects(() => smoothingDefaults(set([1, NaN, 3], 1), { device }), RangeError);
  await assert.rejects(
    () => smoothingDefaults(set([1, 2, 3], 1), { device, start: 1 }),
    RangeError,
  );
});

Deno.test({
  name:
    "smoothed() with the default bandwidth fills in a surface from random and from evenly spread points" +
    (hasData("meshes") ? "" : ", skipped: no meshes"),
  ignore: !hasData("meshes"),
  fn: async () => {
    using device = await openDevice("wasm");
    const path = dataPath("meshes/spot.obj");
    const dense = await readMesh(path, { count: 1000, seed: 99 });
    // Two draws of the surface are themselves .105 apart, so little of the distance can go.
    for (const [method, least] of [["area", .05], ["farthest", .02]] as const) {
      const sparse = await readMesh(path, { count: 200, method, seed: 1 });
      const { bandwidth } = await smoothingDefaults(sparse, { device });
      using base = await optimal(sparse, { device });
      const { x, denoised } = await sample(await smoothed(base, { bandwidth }), {
        count: 1000,
        grid: uniformTGrid(100),
        batchSize: 500,
        seed: 5,
        output: "tensor",
      });
      const samples = await tensorSpace.values(x);
      tensorSpace.dispose(x, denoised);
      const repeated = Float64Array.from(
        { length: 3000 },
        (_, at) => sparse.data[at % sparse.data.length],
      );
      const before = (await wasserstein2(repeated, dense.data, { dimension: 3 })).distance;
      const after = (await wasserstein2(samples, dense.data, { dimension: 3 })).distance;
      assert.ok(1 - after / before > least, `${method}: ${before} to ${after}`);
    }
  },
});

Deno.test({
  name: "smoothed() with the default bandwidth draws digits that are not all copies" +
    (hasData("mnist") ? "" : ", skipped: no MNIST"),
  ignore: !hasData("mnist"),
  fn: async () => {
    using device = await openDevice("wasm");
    const digits = (await readMnist(dataPath("mnist"))).take(2000);
    const { bandwidth, gap } = await smoothingDefaults(digits, { device });
    using base = await optimal(digits, { device });
    const near = async (beta: number) => {
      const { x, denoised } = await sample(await smoothed(base, { bandwidth: beta }), {
        count: 64,
        grid: uniformTGrid(50),
        output: "tensor",
      });
      const { distances } = await base.store.nearest(x, 1);
      tensorSpace.dispose(x, denoised);
      return distances.map((v) => v / gap);
    };
    // Half of the samples or more lie as close to an item as most items to their nearest other; at five times the bandwidth, which the
    // merging of two points would take, all are means of unrelated items.
    const found = await near(bandwidth);
    assert.ok(medianOf(found) < 0.75, `median ${medianOf(found)}`);
    const copies = found.filter((v) => v < 0.1).length;
    assert.ok(copies > 8 && copies < 60, `${copies} of 64 are copies`);
    assert.ok(medianOf(await near(5 * bandwidth)) > 0.9);
    // Where copying starts: at a quarter of the bandwidth nearly all are items.
    assert.ok((await near(bandwidth / 4)).filter((v) => v < 0.1).length > 60);
  },
});

Deno.test("smoothingSteps() gives no more steps than a grid can have, and says so", () => {
  const { error } = console, lines: string[] = [];
  console.error = (line: string) => void lines.push(line);
  try {
    assert.equal(uniformTGrid(smoothingSteps(1e-9)).sigmas.length, 1_000_000);
  } finally {
    console.error = error;
  }
  assert.match(lines[0], /^items 1e-9 apart would take 20000000000 steps, .*: scale the data/);
});
