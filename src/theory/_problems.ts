/**
 * Small seeded problems that statements are measured on.
 *
 * @module
 */
import { affineOf } from "../compute/posterior.ts";
import type { PointSet } from "../compute/posterior.ts";
import { startNoise } from "../base/random.ts";
import type { RandomStream } from "../base/random.ts";

/** Standard normal points. */
export function gaussianPoints(seed: number, count: number, dimension: number): PointSet {
  return { data: Float32Array.from(startNoise(seed, 0, count, dimension)), dimension };
}

/** Row `i` of the points, in data units. */
export function rowOf({ data, dimension, ...rest }: PointSet, i: number): Float64Array {
  const { scale, offset } = affineOf({ data, dimension, ...rest });
  return Float64Array.from(
    { length: dimension },
    (_, c) => data[i * dimension + c] * scale + offset,
  );
}

/** Row `i` of some points under noise of its own, the same at every level: `xᵢ + σε`. */
export function noised(points: PointSet, i: number, sigma: number, seed: number): Float64Array {
  const noise = startNoise(seed, i, 1, points.dimension);
  return rowOf(points, i).map((v, c) => v + sigma * noise[c]);
}

/** `n` of the given rows, drawn uniformly without replacement. */
export function draw(stream: RandomStream, rows: ArrayLike<number>, n: number): Uint32Array {
  const pool = Uint32Array.from(rows);
  for (let j = 0; j < n; j++) {
    const other = j + stream.below(pool.length - j);
    [pool[j], pool[other]] = [pool[other], pool[j]];
  }
  return pool.slice(0, n);
}
