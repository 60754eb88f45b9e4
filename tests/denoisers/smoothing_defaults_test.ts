import assert from "node:assert/strict";
import { openDevice } from "../../src/compute/open_device.ts";
import { Dataset } from "../../src/datasets/dataset.ts";
import { readMesh } from "../../src/datasets/mesh.ts";
import { optimal } from "../../src/denoisers/optimal.ts";
import { smoothed } from "../../src/denoisers/smoothed.ts";
import { smoothingDefaults } from "../../src/denoisers/smoothing_defaults.ts";
import { tensorSpace } from "../../src/linear_space.ts";
import { wasserstein2 } from "../../src/metrics/wasserstein.ts";
import { uniformTGrid } from "../../src/noise.ts";
import { startNoise } from "../../src/random.ts";
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
    device,
  );
  assert.deepEqual([line.dimension, line.gap, line.spacing], [1, 2, 2]);
  assert.equal(line.bandwidth, 2 / Math.sqrt(2 * Math.PI));
  const plane = await smoothingDefaults(lattice(20), device);
  // The neighbours around a point of a square lattice are four at 1 and four at √2.
  assert.deepEqual([plane.dimension, plane.gap], [2, 1]);
  assert.ok(Math.abs(plane.spacing - Math.SQRT2) < 1e-6);
  const cloud = await smoothingDefaults(set(startNoise(1, 0, 4000, 3), 3), device);
  assert.equal(cloud.dimension, 3);
});

Deno.test("smoothingDefaults() scales with the data, and does not count copies", async () => {
  using device = await openDevice("wasm");
  // So few that all of them are looked at, once and twice.
  const data = startNoise(2, 0, 256, 2);
  const once = await smoothingDefaults(set(data, 2), device);
  const scaled = await smoothingDefaults(set(data.map((v) => 8 * v), 2), device);
  // Eight is a power of two: nothing is rounded.
  assert.equal(scaled.bandwidth, 8 * once.bandwidth);
  const twice = await smoothingDefaults(set(Float64Array.of(...data, ...data), 2), device);
  assert.equal(twice.gap, once.gap);
});

Deno.test("smoothingDefaults() takes fewer steps from a late start", async () => {
  using device = await openDevice("wasm");
  const data = set(Array.from({ length: 100 }, (_, i) => i / 8), 1);
  const { steps } = await smoothingDefaults(data, device);
  const late = await smoothingDefaults(data, device, { start: 0.75 });
  assert.equal(steps, 160);
  assert.equal(late.steps, 40);
});

Deno.test("smoothingDefaults() refuses copies of one item, and a start out of range", async () => {
  using device = await openDevice("wasm");
  await assert.rejects(() => smoothingDefaults(set([1, 1, 1, 1], 1), device), RangeError);
  await assert.rejects(
    () => smoothingDefaults(set([1, 2, 3], 1), device, { start: 1 }),
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
      const { bandwidth } = await smoothingDefaults(sparse, device);
      using base = await optimal(sparse, device);
      const { x, denoised } = await sample(smoothed(base, { bandwidth }), {
        count: 1000,
        grid: uniformTGrid(100),
        batchSize: 500,
        seed: 5,
      });
      const samples = await tensorSpace.values(x);
      tensorSpace.dispose(x, denoised);
      const repeated = Float64Array.from(
        { length: 3000 },
        (_, at) => sparse.data[at % sparse.data.length],
      );
      const before = (await wasserstein2(repeated, dense.data, 3)).distance;
      const after = (await wasserstein2(samples, dense.data, 3)).distance;
      assert.ok(1 - after / before > least, `${method}: ${before} to ${after}`);
    }
  },
});
