/** Splits polygons of space into triangles. */
import earcut from "earcut";

/** Polygons one after the other: the indices of their corners, and how many each has. */
export interface Polygons {
  readonly corners: number[];
  readonly sizes: number[];
}

/** A polygon counts as convex if its corners turn back by no more than this share of its area. */
const FLAT = 1e-9;

/**
 * The triangles of polygons, in their order and with their sense of rotation: the fan around the first corner where a
 * polygon is convex, else ears cut off one by one, since a fan would leave the polygon.
 */
export function triangulate(
  vertices: Float64Array,
  { corners, sizes }: Polygons,
): Uint32Array<ArrayBuffer> {
  const triangles: number[] = [];
  let at = 0;
  for (const size of sizes) {
    const polygon = corners.slice(at, at + size);
    const normal = size > 3 ? normalOf(vertices, polygon) : undefined;
    if (normal && !isConvex(vertices, polygon, normal)) {
      cutEars(vertices, polygon, normal, triangles);
    } else for (let k = 2; k < size; k++) triangles.push(polygon[0], polygon[k - 1], polygon[k]);
    at += size;
  }
  return Uint32Array.from(triangles);
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

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Cuts in the plane of two axes in which the polygon is largest. */
function cutEars(
  vertices: Float64Array,
  polygon: readonly number[],
  normal: Vector,
  triangles: number[],
): void {
  const sizes = normal.map(Math.abs);
  const along = sizes.indexOf(Math.max(...sizes));
  const axes = [0, 1, 2].filter((axis) => axis !== along);
  const ears = earcut(polygon.flatMap((i) => axes.map((axis) => vertices[3 * i + axis])));
  for (let k = 0; k < ears.length; k += 3) {
    const [a, b, c] = [ears[k], ears[k + 1], ears[k + 2]].map((corner) => polygon[corner]);
    if (dot(turn(vertices, a, b, c), normal) < 0) triangles.push(a, c, b);
    else triangles.push(a, b, c);
  }
}
