/** Reading of options: each that exists has a line in a table, each that does not is refused. */
import { nearestWord } from "./_nearest_word.ts";
import { received } from "./_kinds.ts";

/**
 * The options of an interface by their names, each with its default, or undefined if it has none or one that is
 * computed. The compiler demands every name.
 */
export type OptionTable<T> = { readonly [K in keyof Required<T>]: T[K] | undefined };

/** Refuses the names of a table that the interface does not have. */
type Exactly<T, D> = D & { readonly [K in Exclude<keyof D, keyof T>]: never };

/** The names with a default. */
type Given<T, D> = { [K in keyof T & keyof D]: undefined extends D[K] ? never : K }[
  & keyof T
  & keyof D
];

/** Options of which some have their default where they were not given. */
export type Read<T, D> =
  & Omit<T, Given<T, D>>
  & { readonly [K in Given<T, D>]-?: Exclude<T[K], undefined> };

/**
 * Reads options: refuses those that do not exist, which would silently do nothing, and fills in defaults.
 *
 * @param action What is attempted, for the message.
 * @param options The options; one that is undefined is not given.
 * @param table Those that exist, with their defaults.
 * @returns The options that are given or have a default.
 * @throws {TypeError} If they are no plain object, there is no such option, or one is null.
 */
export function readOptions<T extends object, const D extends OptionTable<T>>(
  action: string,
  options: T,
  table: Exactly<T, D>,
): Read<T, D> {
  checkOptionNames(action, options, table);
  return optionsFor(table, options) as unknown as Read<T, D>;
}

/**
 * Refuses options that do not exist, and what is no object of options at all.
 *
 * @param action What is attempted, for the message.
 * @param options The options.
 * @param table Those that exist.
 * @throws {TypeError} If they are no plain object, there is no such option, or one is null.
 */
export function checkOptionNames<T extends object, const D extends OptionTable<T>>(
  action: string,
  options: T,
  table: Exactly<T, D>,
): void {
  if (!isPlain(options)) {
    throw new TypeError(
      `Cannot ${action}: options is ${received(options)}, wanted an object of ${
        Object.keys(table).join(", ")
      }`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(table, name)) throw unknownOption(action, name, Object.keys(table));
    if (options[name as keyof T] === null) {
      throw new TypeError(
        `Cannot ${action}: the option ${name} is null, wanted a value, or undefined for the default`,
      );
    }
  }
}

/**
 * Those options that a narrower function takes, out of those of a wider one.
 *
 * @param table The options of the narrower function, with their defaults.
 * @param options The options of the wider one.
 * @returns Those of the table that are given or have a default.
 */
export function optionsFor<T extends object, const D extends object>(
  table: D,
  options: T,
): Read<Pick<T, keyof T & keyof D>, D> {
  const found: Record<string, unknown> = {};
  for (const [name, initial] of Object.entries(table)) {
    const given = Object.hasOwn(options, name) ? options[name as keyof T] : undefined;
    const value = given === undefined ? initial : given;
    if (value !== undefined) found[name] = value;
  }
  return found as Read<Pick<T, keyof T & keyof D>, D>;
}

/** What an instance of a class holds need not be its own keys: it would be ignored. */
function isPlain(options: unknown): boolean {
  if (typeof options !== "object" || options === null || Array.isArray(options)) return false;
  const kind = Object.getPrototypeOf(options);
  // Another window has another Object.
  return kind === null || kind === Object.prototype || Object.getPrototypeOf(kind) === null;
}

function unknownOption(action: string, name: string, names: readonly string[]): TypeError {
  const wanted = nearestWord(name, names) ?? `one of ${names.join(", ")}`;
  return new TypeError(`Cannot ${action}: there is no option ${name}, wanted ${wanted}`);
}
