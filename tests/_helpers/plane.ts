/** Small sets in the plane, and what is counted of samples there. */
import { Dataset } from "@closedform/diffusion";
import { pointsOf } from "./flow_model.ts";

/** The first points of a low-discrepancy sequence in a square. */
export function scattered(count: number): Dataset {
  const data = new Float32Array(2 * count);
  for (let i = 1; i <= count; i++) {
    data[2 * i - 2] = 2 * (.7548776662466927 * i % 1) - 1;
    data[2 * i - 1] = 2 * (.5698402909980532 * i % 1) - 1;
  }
  return new Dataset({ data, shape: [2], name: `${count} points` });
}

/** Equally spaced points of the unit circle, x and y in turns. */
export function circlePoints(count: number): Float64Array {
  return Float64Array.from(
    { length: 2 * count },
    (_, at) => (at % 2 ? Math.sin : Math.cos)(2 * Math.PI * Math.floor(at / 2) / count),
  );
}

/** The rows of samples in the plane. */
export function rowsOf(x: ArrayLike<number>): number[][] {
  return Array.from({ length: x.length / 2 }, (_, i) => [x[2 * i], x[2 * i + 1]]);
}

/** The share of rows that satisfy a condition. */
export function shareOf(rows: readonly number[][], holds: (row: number[]) => boolean): number {
  return rows.filter(holds).length / rows.length;
}

/** Whether a row is nearer than a tolerance to one of some points. */
export const isNear = (targets: readonly number[][], tolerance: number) => (row: number[]) =>
  targets.some((t) => Math.hypot(t[0] - row[0], t[1] - row[1]) < tolerance);

/** Rows of which no two are nearer than a tolerance. */
export function distinct(rows: readonly number[][], tolerance: number): number[][] {
  const kept: number[][] = [];
  for (const row of rows) if (!isNear(kept, tolerance)(row)) kept.push(row);
  return kept;
}

/** Whether a row lies in the convex hull of points, up to a distance. */
export function inHull(dataset: Dataset, tolerance: number): (row: number[]) => boolean {
  const points = pointsOf(dataset);
  // A point is outside if it is beyond a line through two points that has no point beyond it.
  const beyond = (p: number[], q: number[], r: number[]) =>
    ((r[0] - p[0]) * (q[1] - p[1]) - (r[1] - p[1]) * (q[0] - p[0])) /
    Math.hypot(q[0] - p[0], q[1] - p[1]);
  const sides = points.flatMap((p) => points.filter((q) => q !== p).map((q) => [p, q]))
    .filter(([p, q]) => points.every((r) => beyond(p, q, r) <= 1e-12));
  return (row) => sides.every(([p, q]) => beyond(p, q, row) <= tolerance);
}

/** The means of all triples of points, repeats allowed. */
export function tripleMeans(dataset: Dataset): number[][] {
  const points = pointsOf(dataset);
  return points.flatMap((p, i) =>
    points.slice(i).flatMap((q, j) =>
      points.slice(i + j).map((r) => [0, 1].map((c) => (p[c] + q[c] + r[c]) / 3))
    )
  );
}
