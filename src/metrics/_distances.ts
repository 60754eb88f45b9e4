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
