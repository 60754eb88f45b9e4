/** Numbers between two comparisons with the limit; a multiple of the lanes. */
const BLOCK = 64;

/** Partial sums that grow side by side, because one sum would wait for every addition. */
export const LANES = 4;

/**
 * The squared distance of a row and a point, by direct differences; some value `≥ limit` once it cannot be below.
 *
 * Numbers of a row beyond a multiple of {@linkcode LANES} are added one by one: callers in a hurry pad rows with zeros.
 *
 * @param rows Rows of numbers.
 * @param from Where the row begins.
 * @param point The point, as long as the row.
 * @param limit From where on the exact value does not matter.
 */
export function squareBelow(
  rows: Float64Array,
  from: number,
  point: Float64Array,
  limit: number,
): number {
  const d = point.length, whole = d - d % LANES;
  let sum = 0;
  for (let begin = 0; begin < whole; begin += BLOCK) {
    const end = Math.min(begin + BLOCK, whole);
    let sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (let c = begin, at = from + begin; c < end; c += LANES, at += LANES) {
      const d0 = rows[at] - point[c];
      const d1 = rows[at + 1] - point[c + 1];
      const d2 = rows[at + 2] - point[c + 2];
      const d3 = rows[at + 3] - point[c + 3];
      sum0 += d0 * d0;
      sum1 += d1 * d1;
      sum2 += d2 * d2;
      sum3 += d3 * d3;
    }
    sum += sum0 + sum1 + (sum2 + sum3);
    if (sum >= limit) return sum;
  }
  for (let c = whole; c < d; c++) sum += (rows[from + c] - point[c]) ** 2;
  return sum;
}
