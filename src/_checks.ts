/** Checks of numbers, with messages of one form. */

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
