/**
 * The smallest of many numbers, and random choices without replacement.
 *
 * @module
 */
import { levelKey } from "../../base/random.ts";
import type { RandomStream } from "../../base/random.ts";

/**
 * The places of the `m` smallest numbers; of equal ones the first.
 *
 * @param values The numbers, none of them NaN.
 * @param m How many, from 1 to their number.
 * @returns The places, rising.
 */
export function smallest(values: Float64Array, m: number): Uint32Array {
  const limit = orderStatistic(values.slice(), m - 1);
  const places = new Uint32Array(m);
  let below = 0;
  for (const v of values) if (v < limit) below++;
  // The rest of the places goes to numbers equal to the limit.
  let equal = m - below;
  for (let i = 0, n = 0; n < m; i++) {
    if (values[i] < limit || (values[i] === limit && equal-- > 0)) places[n++] = i;
  }
  return places;
}

/** The number that sorting would put at a place; reorders the numbers. Quickselect. */
function orderStatistic(values: Float64Array, place: number): number {
  let from = 0, to = values.length - 1;
  while (from < to) {
    const pivot = medianOfThree(values[from], values[(from + to) >> 1], values[to]);
    let i = from, j = to;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const v = values[i];
        values[i++] = values[j];
        values[j--] = v;
      }
    }
    if (place <= j) to = j;
    else if (place >= i) from = i;
    else break;
  }
  return values[place];
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/**
 * Draws rows uniformly without replacement, by Floyd's method.
 *
 * @param stream Where the draw comes from.
 * @param n How many.
 * @param count Out of so many.
 * @returns The rows, rising.
 */
export function drawRows(stream: RandomStream, n: number, count: number): Uint32Array {
  const drawn = new Uint8Array(count);
  for (let last = count - n; last < count; last++) {
    const row = stream.below(last + 1);
    drawn[drawn[row] ? last : row] = 1;
  }
  const rows = new Uint32Array(n);
  for (let row = 0, i = 0; i < n; row++) if (drawn[row]) rows[i++] = row;
  return rows;
}

/**
 * Draws rows uniformly without replacement from those that are not excluded.
 *
 * @param stream Where the draw comes from.
 * @param n How many.
 * @param count Out of so many, the excluded ones included.
 * @param excluded Rows that are not drawn, rising.
 * @returns The rows, rising.
 */
export function drawOtherRows(
  stream: RandomStream,
  n: number,
  count: number,
  excluded: Uint32Array,
): Uint32Array {
  const rows = drawRows(stream, n, count - excluded.length);
  // The j-th row that is not excluded is j plus the excluded ones before it.
  for (let i = 0, before = 0; i < n; i++) {
    while (before < excluded.length && excluded[before] <= rows[i] + before) before++;
    rows[i] += before;
  }
  return rows;
}

/**
 * A key of what is drawn for a query: of its noise level, and of its place among those of the same sample and
 * level that it follows, so that the draws of one sample have items of their own.
 *
 * @param sigmas The noise level of each query.
 * @param query The query.
 * @param samples The sample that each query belongs to.
 * @returns A whole number of 32 bits, for the step of a stream.
 */
export function drawKey(
  sigmas: ArrayLike<number>,
  query: number,
  samples: ArrayLike<number>,
): number {
  let place = 0;
  for (let q = query - 1; q >= 0 && samples[q] === samples[query]; q--) {
    if (sigmas[q] === sigmas[query]) place++;
  }
  return (levelKey(sigmas[query]) ^ Math.imul(place, 0x9E3779B1)) >>> 0;
}
