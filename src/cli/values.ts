/**
 * Values of options: their parsing, their errors.
 *
 * @module
 */
import { nearestWord } from "../base/_nearest_word.ts";

/** An option that cannot be followed; its message is one line that says what would be right. */
export class UsageError extends RangeError {
  /** The name of this kind of error. */
  override readonly name = "UsageError";
}

/** What an error of the library tells, without what was attempted there: here it is the use of an option. */
export function detailOf({ message }: Error): string {
  return message.replace(/^Cannot [^:]*: /, "");
}

/**
 * The error of arguments that cannot be parsed.
 *
 * @param error What `node:util` found wrong with them.
 * @param names The options that exist.
 * @returns The same in our words.
 */
export function usageError(error: TypeError, names: readonly string[]): UsageError {
  const code = (error as { code?: string }).code;
  const [, word] = /'([^' ]*)/.exec(error.message) ?? [];
  if (code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL") {
    return new UsageError(`Cannot use the argument ${word}: wanted options only, see --help`);
  }
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const options = names.map((name) => `--${name}`);
    const wanted = nearestWord(word, options) ?? `one of ${options.join(", ")}`;
    return new UsageError(`Cannot use ${word}: there is no such option, wanted ${wanted}`);
  }
  return new UsageError(
    error.message.includes("does not take")
      ? `Cannot use ${word} with a value: wanted the option alone`
      : `Cannot use ${word} without a value: wanted one after it, as ${word}=-1 if it begins with a dash`,
  );
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

/** The path of what is written. */
export function path(name: string, text: string): string {
  if (text !== "") return text;
  throw new UsageError(`Cannot use --${name} "": wanted a path`);
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
