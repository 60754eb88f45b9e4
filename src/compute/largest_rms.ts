/**
 * How large rows are.
 *
 * @module
 */
import { affineOf } from "./posterior.ts";
import type { PointSet } from "./posterior.ts";

/**
 * The root mean square per number, about zero, of the largest row.
 *
 * @param points The rows.
 * @param enough Where to stop: the first row of at least this size will do.
 */
export function largestRms(points: PointSet, enough: number): number {
  const { data, dimension } = points, { scale, offset } = affineOf(points);
  let largest = 0;
  for (let at = 0; at < data.length && largest < enough;) {
    let sum = 0;
    for (const end = at + dimension; at < end; at++) sum += (data[at] * scale + offset) ** 2;
    largest = Math.max(largest, Math.sqrt(sum / dimension));
  }
  return largest;
}
