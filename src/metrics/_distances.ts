import { differenceIn, fromUnit, powerOfTwo } from "../base/_unit.ts";

/**
 * All squared distances between two sets of samples, by direct differences in float64.
 *
 * @param a `n` rows of `d` numbers.
 * @param b `m` rows of `d` numbers.
 * @param dimension Numbers per row, `d`.
 * @param unit What the differences are measured in, a power of two from `unitOf()`.
 * @param visit Called with each row of `a` and its `m` squared distances in units of the squared unit; they are
 * overwritten by the next.
 */
export function eachRowOfSquares(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  dimension: number,
  unit: number,
  visit: (row: number, squares: Float64Array) => void,
): void {
  // Differences of numbers near the ends of float64 would overflow; only there the numbers are scaled first.
  const before = unit > MOST_PLAIN ? MOST_PLAIN : 1;
  const inverse = before / unit;
  const x = Float64Array.from(a, (v) => v / before), y = Float64Array.from(b, (v) => v / before);
  const n = x.length / dimension, m = y.length / dimension;
  const squares = new Float64Array(m);
  for (let i = 0; i < n; i++) {
    const start = i * dimension;
    for (let j = 0, at = 0; j < m; j++) {
      let sum = 0;
      for (let c = start, end = start + dimension; c < end; c++, at++) {
        const difference = (x[c] - y[at]) * inverse;
        sum += difference * difference;
      }
      squares[j] = sum;
    }
    visit(i, squares);
  }
}

/** Differences in smaller units than this do not overflow. */
const MOST_PLAIN = 2 ** 1000;

/**
 * The root mean square difference of each pair of rows, `‖a − b‖/√d`, also where its square is beyond float64.
 *
 * @param a `B` rows of `d` finite numbers.
 * @param b As many.
 * @param dimension Numbers per row, `d`.
 * @returns `B` differences.
 * @throws {RangeError} If one is beyond float64.
 */
export function rootMeanSquares(
  a: Float32Array | Float64Array,
  b: Float32Array | Float64Array,
  dimension: number,
): Float64Array {
  return Float64Array.from({ length: a.length / dimension }, (_, i) => {
    const row = (rows: Float32Array | Float64Array) =>
      Float64Array.from(rows.subarray(i * dimension, (i + 1) * dimension));
    const { square, unit } = squaredDistance(row(a), row(b));
    return fromUnit(Math.sqrt(square / dimension), unit, 1, "compute the root mean square error");
  });
}

/** The squared distance, in units of the square of a unit near the largest difference. */
export function squaredDistance(
  x: Float64Array,
  y: Float64Array,
): { square: number; unit: number } {
  let most = 0, square = 0;
  for (let c = 0; c < x.length; c++) most = Math.max(most, Math.abs(x[c] - y[c]));
  const unit = powerOfTwo(most), inverse = 1 / unit;
  for (let c = 0; c < x.length; c++) square += differenceIn(inverse, x[c], y[c]) ** 2;
  return { square, unit };
}
