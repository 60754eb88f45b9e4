/** Checks that the files of this folder share. */

/** @throws {RangeError} If a number is not a whole one from `least` on. */
export function checkCount(action: string, name: string, value: number, least = 1): void {
  if (!(Number.isInteger(value) && value >= least)) {
    throw new RangeError(
      `Cannot ${action}: ${name} is ${value}, wanted a whole number ≥ ${least}`,
    );
  }
}

/** @throws {RangeError} If a number is not finite or not positive. */
export function checkPositive(action: string, name: string, value: number): void {
  if (!(value > 0 && value < Infinity)) {
    throw new RangeError(`Cannot ${action}: ${name} is ${value}, wanted a finite number > 0`);
  }
}
