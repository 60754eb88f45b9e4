/**
 * Runs of smoothed closed-form diffusion on small problems, and what their ends are compared with.
 *
 * @module
 */
import { Dataset } from "../datasets/dataset.ts";
import { smoothed } from "../denoisers/smoothed.ts";
import type { SmoothedOptions } from "../denoisers/smoothed.ts";
import { uniformTGrid } from "../base/noise.ts";
import { RandomStream } from "../base/random.ts";
import { sample } from "../samplers/sample.ts";

/** The vectors `ε_m` of one sample, as {@linkcode smoothed} draws fixed ones. */
export function vectorsOf(index: number, draws: number, dimension: number): Float64Array[] {
  const stream = new RandomStream({ seed: 0, sample: index, purpose: "smoothing" });
  return Array.from(
    { length: draws },
    () => Float64Array.from({ length: dimension }, () => stream.normal()),
  );
}

/** Points of a low-discrepancy sequence in a square. */
export function scattered(count: number): Dataset {
  const [a, b] = [.7548776662466927, .5698402909980532];
  const data = Float32Array.from(
    { length: 2 * count },
    (_, at) => 2 * ((at % 2 ? b : a) * (Math.floor(at / 2) + 1) % 1) - 1,
  );
  return new Dataset({ data, shape: [2], name: `${count} scattered points` });
}

/** Equally spaced points of the unit circle. */
export function circle(count: number): Dataset {
  const data = Float32Array.from(
    { length: 2 * count },
    (_, at) => (at % 2 ? Math.sin : Math.cos)(2 * Math.PI * Math.floor(at / 2) / count),
  );
  return new Dataset({ data, shape: [2], name: `${count} points of a circle` });
}

/** Points on a line. */
export function onLine(...data: number[]): Dataset {
  return new Dataset({ data: Float32Array.from(data), shape: [1], name: "points on a line" });
}

/** The points of a data set, one by one. */
export function pointsOf(dataset: Dataset): ArrayLike<number>[] {
  return Array.from({ length: dataset.count }, (_, i) => dataset.values(i));
}

/** The ends of smoothed trajectories. */
export async function endsOf(
  dataset: Dataset,
  options: SmoothedOptions,
  steps: number,
  count: number,
  seed = 0,
): Promise<Float64Array> {
  const denoiser = await smoothed(dataset, { ...options, device: "float64" });
  const run = { count, grid: uniformTGrid(steps), batchSize: count, seed };
  return (await sample(denoiser, { ...run, output: "tensor" })).x;
}

/** The share of rows that satisfy a condition. */
export function shareWhere(
  x: Float64Array,
  dimension: number,
  holds: (row: Float64Array, index: number) => boolean,
): number {
  const count = x.length / dimension;
  let found = 0;
  for (let i = 0; i < count; i++) {
    if (holds(x.subarray(i * dimension, (i + 1) * dimension), i)) found++;
  }
  return found / count;
}

/** Whether a row is nearer than a tolerance to one of some points. */
export function isNear(
  points: readonly ArrayLike<number>[],
  tolerance: number,
): (row: Float64Array) => boolean {
  return (row) => points.some((point) => squaredDistance(row, point) < tolerance * tolerance);
}

/** The point nearest to a query. */
export function nearestOf(
  points: readonly ArrayLike<number>[],
  query: ArrayLike<number>,
): ArrayLike<number> {
  const squares = points.map((point) => squaredDistance(query, point));
  return points[squares.indexOf(Math.min(...squares))];
}

function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += (a[c] - b[c]) ** 2;
  return sum;
}
