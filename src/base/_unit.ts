/**
 * Units of their own for numbers whose squares float64 would not hold.
 *
 * A unit is a power of two, so that changing to it and back rounds nothing.
 *
 * @module
 */

/** Smaller units have no inverse; squares in larger ones are fine. */
const LEAST = 2 ** -1000;

/** The largest power of two that is not above a number, within what has an inverse; 1 for 0. */
export function powerOfTwo(size: number): number {
  if (size === 0) return 1;
  return Math.max(LEAST, 2 ** Math.floor(Math.log2(Math.min(size, Number.MAX_VALUE))));
}

/**
 * The unit for differences of rows: about the largest distance of a number from that of the first row, so that
 * no square of a difference overflows, and none that matters beside the largest one vanishes.
 *
 * @param dimension Numbers per row, `d`.
 * @param sets Rows of `d` numbers, one after the other.
 * @returns A power of two; 1 if all rows are equal.
 */
export function unitOf(dimension: number, ...sets: readonly ArrayLike<number>[]): number {
  return powerOfTwo(spreadOf(dimension, ...sets));
}

/** The largest distance of a number from that of the first row; infinite beyond float64. */
export function spreadOf(dimension: number, ...sets: readonly ArrayLike<number>[]): number {
  const [first] = sets;
  let most = 0;
  for (const set of sets) {
    for (let at = 0; at < set.length;) {
      for (let c = 0; c < dimension; c++) {
        most = Math.max(most, Math.abs(set[at++] - first[c]));
      }
    }
  }
  return most;
}

/**
 * The difference of two numbers in a unit that is near the largest one.
 *
 * @param inverse One over the unit.
 */
export function differenceIn(inverse: number, a: number, b: number): number {
  const difference = a - b;
  // Two numbers near the ends of float64 may be further apart than it reaches.
  return Number.isFinite(difference) ? difference * inverse : a * inverse - b * inverse;
}

/**
 * A result in data units, or in a power of them.
 *
 * @param value The result in units of the unit.
 * @param unit The unit.
 * @param power Which power of it the result has.
 * @param action What is attempted, for the message.
 * @throws {RangeError} If float64 does not reach so far.
 */
export function fromUnit(value: number, unit: number, power: 1 | 2, action: string): number {
  const result = power === 1 ? value * unit : value * unit * unit;
  if (Number.isFinite(result)) return result;
  throw new RangeError(
    `Cannot ${action}: ${
      power === 1 ? "distances" : "squared distances"
    } exceed 1.8e308, wanted numbers that are less far apart`,
  );
}
