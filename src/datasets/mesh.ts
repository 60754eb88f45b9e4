/**
 * Point clouds from the surfaces of triangle meshes.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import { atOnce, inTurns } from "../base/_turns.ts";
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { RandomStream } from "../base/random.ts";
import { checkLimit, checkOneOf } from "./_checks.ts";
import { readUnsized } from "./_files.ts";
import { meshOf } from "./_mesh.ts";
import { Dataset } from "./dataset.ts";
import type { TriangleMesh } from "./parse_mesh.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";

/** Options of {@linkcode sampleMesh} and {@linkcode readMesh}. */
export interface SampleMeshOptions {
  /** Number of points, a whole number from 1 to 2²⁴. Default 2048. */
  readonly count?: number;
  /**
   * `"area"`: independent and uniform over the surface. `"farthest"`: out of eight
   * times as many such points, each one the farthest from those before. Default `"area"`.
   */
  readonly method?: "area" | "farthest";
  /** The seed, a whole number ≥ 0. Default 0. */
  readonly seed?: number;
}

/** Options of {@linkcode readMesh}. */
export interface MeshOptions extends ReadOptions, SampleMeshOptions {
  /** Takes the vertices themselves, in file order, instead of samples of the surface. Default false. */
  readonly vertices?: boolean;
  /**
   * `"unit-cube"`: the mesh is centred and scaled so that the longest side of its
   * bounding box becomes `[-1, 1]`. `"none"`: as it is. Default `"unit-cube"`.
   */
  readonly normalise?: "unit-cube" | "none";
  /** The data set's name. Default: the path. */
  readonly name?: string;
}

const SAMPLE_OPTIONS = { count: 2048, method: "area", seed: 0 } satisfies OptionTable<
  SampleMeshOptions
>;

const OPTIONS = {
  ...READ_OPTIONS,
  ...SAMPLE_OPTIONS,
  vertices: false,
  normalise: "unit-cube",
  name: undefined,
} satisfies OptionTable<MeshOptions>;

/**
 * Reads an OBJ or PLY mesh, gzipped or not, as a point cloud of its surface.
 *
 * @param path The file.
 * @param options How many points and how they are chosen, scale.
 * @returns Points of shape `[3]` in float32.
 * @throws {DatasetError} If the file is missing, no mesh, damaged, or without a surface. Also if a face has more than
 * 65,536 corners, or more than 4,096 and is concave, or a gzipped file becomes more than 50 times as large, and more
 * than 16 MiB.
 * @throws {RangeError} If an option is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { readMesh } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".obj" });
 * await Deno.writeTextFile(file, "v 0 0 5\nv 4 0 5\nv 0 4 5\nf 1 2 3\n");
 * const set = await readMesh(file, { count: 100 });
 * // In the unit cube the triangle is x + y ≤ 0, z = 0.
 * for (let i = 0; i < 100; i++) {
 *   const [x, y, z] = set.values(i);
 *   assert.ok(x >= -1 && y >= -1 && x + y <= 1e-6 && z === 0);
 * }
 * await Deno.remove(file);
 * ```
 */
export async function readMesh(
  path: string,
  options: MeshOptions = {},
): Promise<Dataset> {
  const { vertices, normalise, name = path, count, method, seed } = readOptions(
    `read ${path}`,
    options,
    OPTIONS,
  );
  checkOneOf(`read ${path}`, "normalise", normalise, ["unit-cube", "none"]);
  const limit = checkLimit(options.limit);
  const bytes = await readUnsized(path, 2 ** 29, options.signal);
  const mesh = await inTurns(meshOf(bytes, path), options.signal);
  if (normalise === "unit-cube") fitUnitCube(mesh.vertices, path);
  if (vertices) {
    const all = points(mesh.vertices, name);
    return limit < all.count ? all.take(limit) : all;
  }
  const area = (await inTurns(cumulativeAreas(mesh), options.signal)).at(-1) ?? 0;
  if (!(area > 0)) {
    throw new DatasetError(
      path,
      `a surface of area ${area}`,
      "a positive one, or the option vertices",
    );
  }
  const samples = meshSamples(mesh, { count: Math.min(count, limit), method, seed });
  const set = points(await inTurns(samples, options.signal), name);
  options.onProgress?.(set.count, set.count);
  return set;
}

/**
 * Samples points of a mesh's surface.
 *
 * A triangle is drawn with probability proportional to its area, and in it the point
 * `(1 − √u) a + √u (1 − v) b + √u v c` with `u`, `v` uniform in [0, 1), which is
 * uniform over the triangle. Point `i` of the method `"area"` depends on the mesh, the seed and `i` only.
 *
 * Reference: R. Osada, T. Funkhouser, B. Chazelle, D. Dobkin (2002), Shape distributions, doi:10.1145/571647.571648.
 *
 * @param mesh The mesh.
 * @param options How many points and how they are chosen.
 * @returns `count` rows of `x, y, z`.
 * @throws {RangeError} If an option is out of range, or the mesh has no area.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { sampleMesh } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const triangle = { vertices: Float64Array.of(0, 0, 0, 1, 0, 0, 0, 1, 0), triangles: Uint32Array.of(0, 1, 2) };
 * const [x, y, z] = sampleMesh(triangle, { count: 1 });
 * assert.ok(x >= 0 && y >= 0 && x + y <= 1 && z === 0);
 * ```
 */
export function sampleMesh(
  mesh: TriangleMesh,
  options: SampleMeshOptions = {},
): Float64Array {
  return atOnce(meshSamples(mesh, readOptions("sample a mesh", options, SAMPLE_OPTIONS)));
}

function* meshSamples(
  mesh: TriangleMesh,
  { count, method, seed }: Read<SampleMeshOptions, typeof SAMPLE_OPTIONS>,
): Interruptible<Float64Array> {
  checkWhole("sample a mesh", "count", count, 1, 2 ** 24);
  checkOneOf("sample a mesh", "method", method, ["area", "farthest"]);
  const cumulative = yield* cumulativeAreas(mesh);
  const total = cumulative[cumulative.length - 1];
  if (!(total > 0 && total < Infinity)) {
    throw new RangeError(
      `Cannot sample a mesh: its area is ${total}, wanted a positive finite number`,
    );
  }
  return method === "area"
    ? yield* areaSamples(mesh, cumulative, count, seed)
    : yield* farthestPoints(yield* areaSamples(mesh, cumulative, 8 * count, seed), count);
}

/** Triangles or samples between two places where the work may be interrupted. */
const SOME = 1024;

/** The areas of the triangles up to each one, in units of the mesh squared. */
function* cumulativeAreas({ vertices, triangles }: TriangleMesh): Interruptible<Float64Array> {
  const cumulative = new Float64Array(triangles.length / 3);
  let sum = 0;
  for (let t = 0; t < cumulative.length; t++) {
    const a = 3 * triangles[3 * t], b = 3 * triangles[3 * t + 1], c = 3 * triangles[3 * t + 2];
    const ux = vertices[b] - vertices[a], vx = vertices[c] - vertices[a];
    const uy = vertices[b + 1] - vertices[a + 1], vy = vertices[c + 1] - vertices[a + 1];
    const uz = vertices[b + 2] - vertices[a + 2], vz = vertices[c + 2] - vertices[a + 2];
    sum += Math.hypot(uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx) / 2;
    cumulative[t] = sum;
    if (t % SOME === SOME - 1) yield;
  }
  return cumulative;
}

function* areaSamples(
  { vertices, triangles }: TriangleMesh,
  cumulative: Float64Array,
  count: number,
  seed: number,
): Interruptible<Float64Array> {
  const total = cumulative[cumulative.length - 1];
  const samples = new Float64Array(3 * count);
  for (let i = 0; i < count; i++) {
    if (i % SOME === 0) yield;
    const random = new RandomStream({ seed, sample: i, purpose: "data" });
    const t = firstAbove(cumulative, total * random.uniform());
    const root = Math.sqrt(random.uniform());
    const v = random.uniform();
    const weights = [1 - root, root * (1 - v), root * v];
    for (let axis = 0; axis < 3; axis++) {
      for (let corner = 0; corner < 3; corner++) {
        samples[3 * i + axis] += weights[corner] *
          vertices[3 * triangles[3 * t + corner] + axis];
      }
    }
  }
  return samples;
}

/** The first index whose value is above `target`, by bisection; triangles without area are never hit. */
function firstAbove(rising: Float64Array, target: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] > target) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Starts at the first candidate and takes, again and again, the one farthest from all taken. */
function* farthestPoints(candidates: Float64Array, count: number): Interruptible<Float64Array> {
  const chosen = new Float64Array(3 * count);
  const nearest = new Float64Array(candidates.length / 3).fill(Infinity);
  for (let k = 0, farthest = 0; k < count; k++) {
    yield;
    const [x, y, z] = candidates.subarray(3 * farthest, 3 * farthest + 3);
    chosen.set([x, y, z], 3 * k);
    let next = 0;
    for (let i = 0; i < nearest.length; i++) {
      const dx = candidates[3 * i] - x,
        dy = candidates[3 * i + 1] - y,
        dz = candidates[3 * i + 2] - z;
      nearest[i] = Math.min(nearest[i], dx * dx + dy * dy + dz * dz);
      if (nearest[i] > nearest[next]) next = i;
    }
    farthest = next;
  }
  return chosen;
}

function fitUnitCube(vertices: Float64Array, path: string): void {
  const low = [Infinity, Infinity, Infinity];
  const high = low.map((v) => -v);
  vertices.forEach((v, i) => {
    low[i % 3] = Math.min(low[i % 3], v);
    high[i % 3] = Math.max(high[i % 3], v);
  });
  const longest = Math.max(...low.map((v, axis) => high[axis] - v));
  if (!(longest > 0 && longest < Infinity)) {
    throw new DatasetError(
      path,
      `a bounding box of length ${longest}`,
      "a positive length",
    );
  }
  const half = longest / 2;
  vertices.forEach((v, i) => {
    vertices[i] = (v - (low[i % 3] / 2 + high[i % 3] / 2)) / half;
  });
}

function points(coordinates: Float64Array, name: string): Dataset {
  return new Dataset({
    data: Float32Array.from(coordinates),
    shape: [3],
    name,
  });
}
