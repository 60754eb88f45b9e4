/** Checks of numbers, with messages of one form. */

/** The noise levels that there can be: float32 holds the square of each, and one over it. */
export const SIGMA_RANGE = [1e-18, 1e18] as const;

/** More steps than any use has: their noise levels take a second and 8 MB. */
export const MOST_STEPS = 1e6;

/** Fails unless `value` is a whole number in range. */
export function checkWhole(
  action: string,
  name: string,
  value: number,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const wanted = most >= Number.MAX_SAFE_INTEGER ? `>= ${least}` : `from ${least} to ${most}`;
  throw new RangeError(
    `Cannot ${action}: ${name} is ${value}, wanted a whole number ${wanted}`,
  );
}

/** Fails unless `value` is finite and positive. */
export function checkPositive(action: string, name: string, value: number): void {
  if (value > 0 && value < Infinity) return;
  throw new RangeError(`Cannot ${action}: ${name} is ${value}, wanted a finite number > 0`);
}
