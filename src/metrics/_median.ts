/**
 * The median of some numbers.
 *
 * @param values The numbers, at least one.
 * @returns The middle one; of an even number, the mean of the middle two.
 */
export function medianOf(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort(), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
