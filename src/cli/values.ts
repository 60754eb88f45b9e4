/**
 * Values of options: their parsing, their errors.
 *
 * @module
 */

/** An option that cannot be followed; its message is one line that says what would be right. */
export class UsageError extends RangeError {
  /** The name of this kind of error. */
  override readonly name = "UsageError";
}

/** A whole number, if the option is given. */
export function whole(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > Number.MAX_SAFE_INTEGER) {
    throw new UsageError(`Cannot use --${name} ${text}: wanted a whole number >= ${least}`);
  }
  return value;
}

/** A positive number. */
export function positive(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0 && value < Infinity)) {
    throw new UsageError(`Cannot use --${name} ${text}: wanted a number > 0`);
  }
  return value;
}

/** One of some words. */
export function oneOf<T extends string>(name: string, value: string, wanted: readonly T[]): T {
  const found = wanted.find((word) => word === value);
  if (found !== undefined) return found;
  throw new UsageError(`Cannot use --${name} ${value}: wanted one of ${wanted.join(", ")}`);
}

/** A number to three digits, for people to read. */
export function rounded(value: number): string {
  return String(Number(value.toPrecision(3)));
}
