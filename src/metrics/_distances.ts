/**
 * All squared distances between two sets of samples, by direct differences in float64.
 *
 * @param a `n` rows of `d` numbers.
 * @param b `m` rows of `d` numbers.
 * @param dimension Numbers per row, `d`.
 * @param visit Called with each row of `a` and its `m` squared distances, which are overwritten by the next.
 */
export function eachRowOfSquares(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  dimension: number,
  visit: (row: number, squares: Float64Array) => void,
): void {
  const x = Float64Array.from(a), y = Float64Array.from(b);
  const n = x.length / dimension, m = y.length / dimension;
  const squares = new Float64Array(m);
  for (let i = 0; i < n; i++) {
    const start = i * dimension;
    for (let j = 0, at = 0; j < m; j++) {
      let sum = 0;
      for (let c = start, end = start + dimension; c < end; c++, at++) {
        const difference = x[c] - y[at];
        sum += difference * difference;
      }
      squares[j] = sum;
    }
    visit(i, squares);
  }
}
