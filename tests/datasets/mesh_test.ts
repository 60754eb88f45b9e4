import { parseMesh, readMesh, sampleMesh } from "@closedform/diffusion";
import { gzipSync } from "fflate";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";
import { BOX_FACES, boxCorners, encodeObj, surfaceMoments } from "../_helpers/meshes.ts";
import { assertMean } from "../_helpers/statistics.ts";

const HALF = [0.5, 1, 2];
const BOX_TEXT = encodeObj(boxCorners(0.5, 1, 2), BOX_FACES);
const BOX = parseMesh(new TextEncoder().encode(BOX_TEXT), "box.obj");

function coordinate(points: ArrayLike<number>, axis: number): number[] {
  return Array.from({ length: points.length / 3 }, (_, i) => points[3 * i + axis]);
}

Deno.test("sampleMesh() is uniform over the surface of a box", () => {
  const points = sampleMesh(BOX, { count: 20_000, seed: 1 });
  const area = HALF.map((_, axis) => 8 * HALF[(axis + 1) % 3] * HALF[(axis + 2) % 3]);
  const total = area.reduce((a, b) => a + b);
  for (const axis of [0, 1, 2]) {
    const x = coordinate(points, axis);
    const h = HALF[axis];
    // Two faces lie at ±h; on the four others the coordinate is uniform in [−h, h].
    const square = h * h * (area[axis] + (total - area[axis]) / 3) / total;
    assertMean(`mean ${axis}`, x, 0);
    assertMean(`square ${axis}`, x.map((v) => v * v), square);
    assertMean(
      `share of the faces ${axis}`,
      x.map((v) => Math.abs(Math.abs(v) - h) < 1e-12 ? 1 : 0),
      area[axis] / total,
    );
    // The helper that checks other meshes agrees with the box's closed form to rounding.
    assert.ok(Math.abs(surfaceMoments(BOX, axis).square - square) < 1e-14);
  }
  assertMean("xy", coordinate(points, 0).map((v, i) => v * points[3 * i + 1]), 0);
});

Deno.test("sampleMesh() points depend on the mesh, the seed and their index only", () => {
  const points = sampleMesh(BOX, { count: 50, seed: 3 });
  assert.deepEqual(sampleMesh(BOX, { count: 20, seed: 3 }), points.slice(0, 60));
  assert.notDeepEqual(sampleMesh(BOX, { count: 50, seed: 4 }), points);
});

Deno.test("sampleMesh() never hits a triangle without area", () => {
  const vertices = Float64Array.of(0, 0, 0, 1, 0, 0, 0, 1, 0, 9, 9, 9);
  const triangles = Uint32Array.of(3, 3, 3, 0, 1, 2, 0, 3, 3);
  const points = sampleMesh({ vertices, triangles }, { count: 500 });
  assert.ok(coordinate(points, 2).every((z) => z === 0));
});

Deno.test("sampleMesh() by farthest points spreads them out over the area samples", () => {
  const count = 64;
  const points = sampleMesh(BOX, { count, method: "farthest", seed: 2 });
  const candidates = sampleMesh(BOX, { count: 8 * count, seed: 2 });
  const row = (from: Float64Array, i: number) => from.subarray(3 * i, 3 * i + 3);
  const distance = (a: Float64Array, b: Float64Array) => Math.hypot(...a.map((v, k) => v - b[k]));
  assert.deepEqual(row(points, 0), row(candidates, 0));
  let last = Infinity;
  for (let k = 1; k < count; k++) {
    const toChosen = (p: Float64Array) => {
      let nearest = Infinity;
      for (let j = 0; j < k; j++) nearest = Math.min(nearest, distance(p, row(points, j)));
      return nearest;
    };
    const own = toChosen(row(points, k));
    for (let i = 0; i < 8 * count; i++) {
      // Squares are compared inside, their roots here: a difference of some 1e-15 is rounding.
      assert.ok(toChosen(row(candidates, i)) <= own + 1e-12, `point ${k}`);
    }
    assert.ok(own <= last + 1e-12);
    last = own;
  }
});

Deno.test("readMesh() fits the mesh into the unit cube, or leaves it", async () => {
  await withFolder(async (folder) => {
    const text = BOX_TEXT.replace(/^v (\S+)/gm, (_, x) => `v ${Number(x) + 7}`);
    const path = await write(folder, "box.obj", gzipSync(new TextEncoder().encode(text)));
    const unit = await readMesh(path, { vertices: true });
    // Half sides 1/2, 1, 2 become 1/4, 1/2, 1.
    assert.deepEqual([...unit.data], boxCorners(0.25, 0.5, 1).flat());
    const raw = await readMesh(path, { vertices: true, normalise: "none", limit: 2, name: "n" });
    assert.deepEqual([...raw.data], [6.5, -1, -2, 7.5, -1, -2]);
    assert.equal(raw.summary(), "n: 2 items of 3 floats");
    const set = await readMesh(path, { count: 10, seed: 5 });
    const expected = sampleMesh(
      { ...BOX, vertices: Float64Array.from(boxCorners(0.25, 0.5, 1).flat()) },
      { count: 10, seed: 5 },
    );
    assert.deepEqual(set.data, Float32Array.from(expected));
    assert.equal((await readMesh(path)).count, 2048);
    assert.deepEqual(
      (await readMesh(path, { limit: 9 })).data,
      (await readMesh(path)).take(9).data,
    );
  });
});

Deno.test("readMesh() and sampleMesh() refuse what has no surface, and bad options", async () => {
  await withFolder(async (folder) => {
    const flat = await write(folder, "flat.obj", "v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n");
    await rejectsAbout(
      readMesh(flat),
      flat,
      /a surface of area 0, wanted a positive one, or the option vertices/,
    );
    assert.equal((await readMesh(flat, { vertices: true })).count, 3);
    const point = await write(folder, "point.obj", "v 1 1 1\n");
    await rejectsAbout(readMesh(point), point, /a bounding box of length 0/);
    await rejectsAbout(readMesh(folder), folder, /a folder/);
    await assert.rejects(readMesh(flat, { normalise: "half" as "none" }), RangeError);
    await assert.rejects(readMesh(flat, { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
  assert.throws(() => sampleMesh(BOX, { count: 0 }), RangeError);
  assert.throws(() => sampleMesh(BOX, { method: "random" as "area" }), RangeError);
  const empty = { vertices: new Float64Array(3), triangles: new Uint32Array(0) };
  assert.throws(() => sampleMesh(empty), RangeError);
});

Deno.test({
  name: "readMesh() samples Spot by area (needs ../shared/data/meshes)",
  ignore: !hasData("meshes/spot.obj"),
  async fn() {
    const path = dataPath("meshes/spot.obj");
    const mesh = parseMesh(await Deno.readFile(path), path);
    assert.deepEqual([mesh.vertices.length / 3, mesh.triangles.length / 3], [2930, 5856]);
    const set = await readMesh(path, { count: 20_000, normalise: "none" });
    for (const axis of [0, 1, 2]) {
      const { mean, square } = surfaceMoments(mesh, axis);
      const x = coordinate(set.data, axis);
      assertMean(`mean ${axis}`, x, mean);
      assertMean(`square ${axis}`, x.map((v) => v * v), square);
    }
    const unit = await readMesh(path, { vertices: true });
    const extent = [0, 1, 2].map((axis) => {
      const x = coordinate(unit.data, axis);
      const [low, high] = [Math.min(...x), Math.max(...x)];
      // Centred, to the rounding of float32.
      assert.ok(Math.abs(low + high) < 2 ** -23);
      return high - low;
    });
    assert.equal(Math.max(...extent), 2);
  },
});
