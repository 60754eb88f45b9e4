/** Checks of option values, with messages of one form. */

/** Fails unless `value` is a whole number in range. */
export function checkWhole(
  action: string,
  name: string,
  value: number,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const wanted = most === Number.MAX_SAFE_INTEGER ? `>= ${least}` : `from ${least} to ${most}`;
  throw new RangeError(
    `Cannot ${action}: ${name} is ${value}, wanted a whole number ${wanted}`,
  );
}

/** Fails unless `value` is one of `choices`. */
export function checkOneOf(
  action: string,
  name: string,
  value: unknown,
  choices: readonly unknown[],
): void {
  if (choices.includes(value)) return;
  throw new RangeError(
    `Cannot ${action}: ${name} is ${value}, wanted one of ${choices.join(", ")}`,
  );
}

/** A whole number of items to read at most; infinite for all. */
export function checkLimit(limit: number = Infinity): number {
  if (limit !== Infinity) checkWhole("read a data set", "limit", limit, 1);
  return limit;
}
