/**
 * A quantile of some numbers, by straight lines between the sorted ones.
 *
 * @param values The numbers, at least one.
 * @param share The share of the numbers that lie below it, from 0 to 1.
 * @returns The smallest number for 0, the largest for 1.
 */
export function quantile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)], above = sorted[Math.ceil(at)];
  return below + (at - Math.floor(at)) * (above - below);
}

/**
 * The median of some numbers.
 *
 * @param values The numbers, at least one.
 * @returns The middle one; of an even number, the mean of the middle two.
 */
export function medianOf(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}
