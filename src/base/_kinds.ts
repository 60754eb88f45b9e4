/** Guards against values of a wrong kind: the cells of a notebook are not checked for types. */

/**
 * What a value is, in a few words that tell how it came about.
 *
 * @param value Any value.
 * @returns What to say after "is".
 */
export function received(value: unknown): string {
  if (value instanceof Promise) return "a Promise, which was not awaited";
  if (typeof value === "function") return `the function ${value.name}, which was not called`;
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const kind = value.constructor?.name ?? "Object";
  return kind === "Object" ? `an object of ${listed(Object.keys(value))}` : `of type ${kind}`;
}

function listed(keys: readonly string[]): string {
  const first = keys.slice(0, 4).join(", ");
  return first === "" ? "nothing" : keys.length > 4 ? `${first}, …` : first;
}

/** What holds a value of a kind: its parts, and the words for it. */
interface Kind {
  readonly parts: readonly string[];
  readonly wanted: string;
}

const KINDS = {
  dataset: { parts: ["data", "dimension"], wanted: "a data set" },
  data: {
    parts: ["count", "dimension", "shape"],
    wanted: "a data set, or data on disk from openRows()",
  },
  source: { parts: ["data", "dimension"], wanted: "a data set, or a denoiser that holds one" },
  points: { parts: ["data", "dimension"], wanted: "a data set, or rows { data, dimension }" },
  device: { parts: ["store"], wanted: "a device: its name, or one from openDevice()" },
  denoiser: { parts: ["denoise", "space"], wanted: "a denoiser, such as that of optimal()" },
  sampler: { parts: ["run"], wanted: "a sampler, such as heun() or samplerByName(…)" },
  grid: {
    parts: ["sigmas"],
    wanted: "a grid, such as karrasGrid() or gridByName(…)",
  },
  leg: { parts: ["dimension", "references"], wanted: "a first leg, such as gaussianLeg(…)" },
} satisfies Record<string, Kind>;

/** Whether a value is of a kind, by its parts. */
export function isKind(value: unknown, kind: keyof typeof KINDS): boolean {
  return typeof value === "object" && value !== null &&
    KINDS[kind].parts.every((part) => part in value);
}

/**
 * Checks that a value is what it should be, by its parts.
 *
 * @param action What is attempted, for the message.
 * @param name What the caller calls the value.
 * @param value The value.
 * @param kind What it should be.
 * @throws {TypeError} If it lacks a part.
 */
export function checkKind(
  action: string,
  name: string,
  value: unknown,
  kind: keyof typeof KINDS,
): void {
  if (isKind(value, kind)) return;
  throw new TypeError(
    `Cannot ${action}: ${name} is ${received(value)}, wanted ${KINDS[kind].wanted}`,
  );
}
