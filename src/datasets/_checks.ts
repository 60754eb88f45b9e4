/** Checks of option values of readers, with messages of one form. */
import { checkWhole } from "../base/_checks.ts";

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
