/** Splits polygons of space into triangles. */
import earcut, { deviation } from "earcut";

/** Polygons one after the other: the indices of their corners, and how many each has. */
export interface Polygons {
  readonly corners: number[];
  readonly sizes: number[];
}

/** Triangles cover a polygon if their areas add up to its own but for this share. */
const COVERED = 1e-6;
/** A polygon counts as convex if its corners turn back by no more than this share of its area. */
const FLAT = 1e-9;

/**
 * The triangles of polygons, in their order and with their sense of rotation: the fan around the first corner where a
 * polygon is convex, else ears cut off one by one, since a fan would leave the polygon. One that crosses itself has no
 * inside to keep to, and is a fan.
 */
export function triangulate(
  vertices: Float64Array,
  { corners, sizes }: Polygons,
): Uint32Array<ArrayBuffer> {
  const triangles: number[] = [];
  let at = 0;
  for (const size of sizes) {
    const polygon = size > 3 ? corners.slice(at, at + size) : [];
    if (size === 3 || !cutConcave(vertices, polygon, triangles)) {
      for (let k = 2; k < size; k++) {
        triangles.push(corners[at], corners[at + k - 1], corners[at + k]);
      }
    }
    at += size;
  }
  return Uint32Array.from(triangles);
}

/** Cuts a polygon if it is concave, and can be cut. */
function cutConcave(
  vertices: Float64Array,
  polygon: readonly number[],
  triangles: number[],
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
  triangles: number[],
): boolean {
  const sizes = normal.map(Math.abs);
  const along = sizes.indexOf(Math.max(...sizes));
  const axes = [0, 1, 2].filter((axis) => axis !== along);
  const flat = polygon.flatMap((i) => axes.map((axis) => vertices[3 * i + axis]));
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
