/** Splits polygons of space into triangles. */
import earcut, { deviation } from "earcut";
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import type { Polygons } from "./_polygons.ts";

/** Triangles cover a polygon if their areas add up to its own but for this share. */
const COVERED = 1e-6;
/** A polygon counts as convex if its corners turn back by no more than this share of its area. */
const FLAT = 1e-9;

/**
 * The triangles of polygons, in their order and with their sense of rotation: the fan around the first corner where a
 * polygon is convex, else ears cut off one by one, since a fan would leave the polygon. One that crosses itself has no
 * inside to keep to, and is a fan.
 */
export function* triangulate(
  vertices: Float64Array,
  { corners, sizes }: Polygons,
  file: string,
): Interruptible<Uint32Array<ArrayBuffer>> {
  // Two fewer than corners for each polygon, or less.
  const triangles = new Triangles(corners.length - 2 * sizes.length, file);
  let at = 0, heard = 0;
  for (const size of sizes) {
    const polygon: number[] = [];
    // A plain loop: parts of typed arrays take longer to make than most polygons to cut.
    for (let k = at; size > 3 && k < at + size; k++) polygon.push(corners[k]);
    if (size === 3 || !cutConcave(vertices, polygon, triangles)) {
      for (let k = 2; k < size; k++) {
        triangles.push(corners[at], corners[at + k - 1], corners[at + k]);
      }
    }
    at += size;
    if (at - heard < TURN) continue;
    heard = at;
    yield;
  }
  return triangles.values;
}

/** Corners between two turns of others. */
const TURN = 2 ** 12;

/** Corners of a concave polygon whose ears are cut without a second thought: the time is quadratic in them, or worse. */
const FEW = 16;
/** Corners of a concave polygon, and the sum of their squares over all polygons but those of few: seconds at most. */
const MOST_CONCAVE = 2 ** 12, MOST_SQUARES = 2 ** 26;

/** Triangles as they come, of at most so many. */
class Triangles {
  readonly #corners: Uint32Array<ArrayBuffer>;
  readonly #file: string;
  #length = 0;
  #squares = 0;

  constructor(most: number, file: string) {
    this.#corners = new Uint32Array(3 * most);
    this.#file = file;
  }

  /** Fails if ears would be cut off polygons for longer than anyone waits. */
  expectCut(size: number): void {
    if (size > FEW) this.#squares += size ** 2;
    if (size <= MOST_CONCAVE && this.#squares <= MOST_SQUARES) return;
    throw new DatasetError(
      this.#file,
      size > MOST_CONCAVE
        ? `a concave face of ${size.toLocaleString("en")} corners`
        : "concave faces whose numbers of corners, squared, sum to more than 67,108,864",
      size > MOST_CONCAVE ? `at most ${MOST_CONCAVE.toLocaleString("en")}` : "no more",
    );
  }

  push(a: number, b: number, c: number): void {
    this.#corners[this.#length++] = a;
    this.#corners[this.#length++] = b;
    this.#corners[this.#length++] = c;
  }

  get values(): Uint32Array<ArrayBuffer> {
    const whole = this.#length === this.#corners.length;
    return whole ? this.#corners : this.#corners.slice(0, this.#length);
  }
}

/** Cuts a polygon if it is concave, and can be cut. */
function cutConcave(
  vertices: Float64Array,
  polygon: readonly number[],
  triangles: Triangles,
): boolean {
  const normal = normalOf(vertices, polygon);
  return !isConvex(vertices, polygon, normal) && cutEars(vertices, polygon, normal, triangles);
}

type Vector = readonly [number, number, number];

/** `(b − a) × (c − b)` of three vertices. */
function turn(vertices: Float64Array, a: number, b: number, c: number): Vector {
  const [ux, uy, uz] = [0, 1, 2].map((k) => vertices[3 * b + k] - vertices[3 * a + k]);
  const [vx, vy, vz] = [0, 1, 2].map((k) => vertices[3 * c + k] - vertices[3 * b + k]);
  return [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
}

/** Twice the area of a polygon, as a vector: the sum over the fan, which cancels what lies outside. */
function normalOf(vertices: Float64Array, polygon: readonly number[]): Vector {
  const sum: [number, number, number] = [0, 0, 0];
  for (let k = 2; k < polygon.length; k++) {
    turn(vertices, polygon[0], polygon[k - 1], polygon[k]).forEach((v, axis) => sum[axis] += v);
  }
  return sum;
}

function isConvex(vertices: Float64Array, polygon: readonly number[], normal: Vector): boolean {
  const n = polygon.length, least = -FLAT * dot(normal, normal);
  return polygon.every((b, k) =>
    dot(turn(vertices, polygon[(k + n - 1) % n], b, polygon[(k + 1) % n]), normal) >= least
  );
}

/** Whether no corner is farther from the plane through the first one than a thousandth of the polygon's width. */
function isPlane(vertices: Float64Array, polygon: readonly number[], normal: Vector): boolean {
  const most = 1e-3 * dot(normal, normal) ** 0.75;
  return polygon.every((i) => {
    const [x, y, z] = [0, 1, 2].map((k) => vertices[3 * i + k] - vertices[3 * polygon[0] + k]);
    return Math.abs(dot([x, y, z], normal)) <= most;
  });
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Cuts in the plane of two axes in which the polygon is largest; not if it crosses itself there, and has no inside. */
function cutEars(
  vertices: Float64Array,
  polygon: readonly number[],
  normal: Vector,
  triangles: Triangles,
): boolean {
  const sizes = normal.map(Math.abs);
  const along = sizes.indexOf(Math.max(...sizes));
  const axes = [0, 1, 2].filter((axis) => axis !== along);
  const flat = polygon.flatMap((i) => axes.map((axis) => vertices[3 * i + axis]));
  if (polygon.length > FEW && crosses(flat)) return false;
  triangles.expectCut(polygon.length);
  const ears = earcut(flat);
  if (!(deviation(flat, [], 2, ears) <= COVERED)) return false;
  // Corners on a line are no ears, but those of a bent polygon are so in projection only.
  if (ears.length / 3 < polygon.length - 2 && !isPlane(vertices, polygon, normal)) return false;
  for (let k = 0; k < ears.length; k += 3) {
    const [a, b, c] = [ears[k], ears[k + 1], ears[k + 2]].map((corner) => polygon[corner]);
    if (dot(turn(vertices, a, b, c), normal) < 0) triangles.push(a, c, b);
    else triangles.push(a, b, c);
  }
  return true;
}

/**
 * Whether two edges of a polygon of the plane cross, or are one edge in one direction: of such a polygon, ears are cut
 * in vain and in a time cubic in its corners. Edges there and back, as to a hole, are good.
 */
function crosses(flat: readonly number[]): boolean {
  const edges = new Set<string>();
  const n = flat.length;
  for (let i = 0, k = n - 2; i < n; k = i, i += 2) {
    const edge = `${flat[k]},${flat[k + 1]},${flat[i]},${flat[i + 1]}`;
    if (edges.has(edge)) return true;
    edges.add(edge);
    for (let j = 2, m = 0; j < i; m = j, j += 2) if (cross(flat, k, i, m, j)) return true;
  }
  return false;
}

/** Whether the edges from `a` to `b` and from `c` to `d` cross within both. */
function cross(flat: readonly number[], a: number, b: number, c: number, d: number): boolean {
  return side(flat, a, b, c) * side(flat, a, b, d) < 0 &&
    side(flat, c, d, a) * side(flat, c, d, b) < 0;
}

function side(flat: readonly number[], a: number, b: number, c: number): number {
  return Math.sign(
    (flat[b] - flat[a]) * (flat[c + 1] - flat[a + 1]) -
      (flat[b + 1] - flat[a + 1]) * (flat[c] - flat[a]),
  );
}
