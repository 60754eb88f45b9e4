/** Calls with arguments that are wrong in one place, and the promise that is kept under them. */
import { DatasetError, DeviceError } from "@closedform/diffusion";
import type { RandomStream } from "@closedform/diffusion";
import * as tf from "@tensorflow/tfjs-core";

/** A public function with right arguments. */
export interface PublicCall {
  /** Its name. */
  readonly name: string;
  /** Calls it. */
  run(...args: unknown[]): unknown;
  /** Arguments that it takes, new ones for each call. */
  args(): unknown[];
  /** Whether it holds or passes on what it is given, NaN too. */
  readonly echoes?: boolean;
  /** The places whose length is free or whose value is not looked at, such as `1.labels`. */
  readonly free?: readonly string[];
}

/** One thing that was done to the arguments. */
export interface Damage {
  /** The place in the arguments, such as `1.seed`. */
  readonly place: string;
  /** What kind of wrong it is. */
  readonly kind: "type" | "value" | "length";
  /** What is there now. */
  readonly value: unknown;
}

/** How a call ended. */
export type Outcome = "refused" | "refused by the engine" | "answered";

/** Wrong values by what they replace; none asks for much memory or time. */
const NUMBERS: readonly unknown[] = [NaN, Infinity, -Infinity, -1, 0, 0.5, -0.5, 2 ** 53, 1e300];
const TYPES: readonly unknown[] = [null, "x", "", {}, [], NaN];
const WORDS: readonly unknown[] = ["none", "", "__proto__", "constructor", "toString"];

/** Damages one place of `args`, drawn at random. */
export function damage(args: unknown[], random: RandomStream): Damage {
  const path: (string | number)[] = [random.below(args.length)];
  let holder: Record<string | number, unknown> = args as unknown as Record<number, unknown>;
  for (;;) {
    const key = path[path.length - 1], value = holder[key];
    const inner = membersOf(value);
    // Half of the times what is inside is damaged, not the whole.
    if (inner.length === 0 || random.below(3) === 0) {
      const [kind, wrong] = wrongFor(value, random);
      holder[key] = wrong;
      return { place: path.join("."), kind, value: wrong };
    }
    holder = value as Record<string, unknown>;
    path.push(inner[random.below(inner.length)]);
  }
}

/** The places within plain objects and lists; what has methods of its own is whole or not. */
function membersOf(value: unknown): (string | number)[] {
  if (Array.isArray(value)) return [...value.keys()].slice(0, 50);
  if (ArrayBuffer.isView(value)) {
    return value instanceof Float32Array || value instanceof Float64Array
      ? [...value.keys()].slice(0, 50)
      : [];
  }
  const plain = typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype;
  // What has functions is an object of its own kind, and may be shared.
  const own = plain && !Object.values(value).some((inner) => typeof inner === "function");
  return own ? Object.keys(value) : [];
}

function wrongFor(value: unknown, random: RandomStream): [Damage["kind"], unknown] {
  const one = <T>(list: readonly T[]) => list[random.below(list.length)];
  if (random.below(3) === 0) return ["type", one(TYPES)];
  if (typeof value === "number") return ["value", one(NUMBERS)];
  if (typeof value === "string") return ["value", one(WORDS)];
  // Of a list that was empty, what is left out is nothing.
  const shorter = (value as ArrayLike<unknown>)?.length === 0;
  if (shorter && !ArrayBuffer.isView(value)) return ["type", null];
  if (Array.isArray(value)) {
    return ["length", one([[], value.slice(1), [...value, ...value.slice(0, 1)]])];
  }
  if (value instanceof Float32Array || value instanceof Float64Array) {
    const longer = new (value.constructor as Float64ArrayConstructor)(value.length + 1);
    return ["length", shorter ? longer : one([value.slice(1), longer, value.slice(0, 0)])];
  }
  if (value instanceof Uint8Array) return ["length", one([value.slice(1), value.slice(0, 0)])];
  if (value instanceof tf.Tensor) {
    const { shape } = value;
    return [
      "length",
      one([() => tf.zeros([shape[0], 7]), () => tf.scalar(1), () => tf.fill(shape, NaN)])(),
    ];
  }
  return ["type", one(TYPES)];
}

/** The first word of V8's own messages about mistakes of code, which no caller should have to read. */
const INSIDE =
  /Cannot (read propert|destructure|convert (undefined|null|a |object)|mix BigInt|set propert|use 'in'|access|delete|assign)|is not (a function|iterable|a constructor|defined|an object)|Invalid (typed |array|Array|count|time)|Array buffer|out of bounds|Reduce of empty|Maximum call|passed to '|must be a tensor|must have/i;

/** Fails unless an error is typed, of one line, and written by us. */
export function assertTyped(error: unknown): void {
  const typed = [TypeError, RangeError, SyntaxError, DatasetError, DeviceError]
    .some((Type) => error instanceof Type);
  if (!typed) throw new Error(`a bare error: ${error}`);
  const { message } = error as Error;
  if (!/^Cannot [^\n]+$/.test(message) || INSIDE.test(message)) {
    throw new Error(`a message from inside: ${message.slice(0, 120)}`);
  }
}

/** Fails if there is NaN anywhere in a result. */
export async function assertNumbers(result: unknown, depth = 0): Promise<void> {
  if (depth > 6 || result === null || result === undefined) return;
  if (typeof result === "number") {
    if (Number.isNaN(result)) throw new Error("NaN in the result");
  } else if (result instanceof tf.Tensor) await assertNumbers(await result.data());
  else if (result instanceof Float32Array || result instanceof Float64Array) {
    if (result.some(Number.isNaN)) throw new Error("NaN in the result");
  } else if (typeof result === "object" && !ArrayBuffer.isView(result)) {
    for (const inner of Object.values(result)) await assertNumbers(inner, depth + 1);
  }
}

/** Calls a function with damaged arguments; the outcome, or an error that says what was broken. */
export async function callWrong(call: PublicCall, random: RandomStream): Promise<Outcome> {
  const args = call.args();
  const done = damage(args, random);
  const text = typeof done.value === "symbol" || typeof done.value === "function"
    ? typeof done.value
    : ArrayBuffer.isView(done.value) || Array.isArray(done.value)
    ? `${(done.value as Uint8Array).length} numbers`
    : typeof done.value === "bigint"
    ? `${done.value}n`
    : JSON.stringify(done.value) === "null" && done.value !== null
    ? String(done.value)
    : JSON.stringify(done.value)?.slice(0, 40);
  const what = `${call.name} with ${done.kind} ${text} at ${done.place}`;
  const begin = performance.now();
  let result: unknown;
  try {
    result = await call.run(...args);
  } catch (error) {
    try {
      assertTyped(error);
    } catch (wrong) {
      // What the type checker forbids, such as null for a data set, may be refused by the engine, in its own words.
      if (done.kind === "type" && error instanceof TypeError && !error.message.includes("\n")) {
        return "refused by the engine";
      }
      throw new Error(`${what}: ${(wrong as Error).message}`, { cause: error });
    }
    return "refused";
  }
  if (performance.now() - begin > 5000) throw new Error(`${what}: a hang`);
  try {
    if (!call.echoes) await assertNumbers(result);
  } catch (wrong) {
    throw new Error(`${what}: ${(wrong as Error).message}`);
  }
  // A whole that is of a wrong type or length cannot have been understood.
  // A Gaussian law may have fewer variances than dimensions.
  const accepted = done.place.endsWith(".variances") ||
    call.free?.some((place) => done.place === place || place === "*");
  if (done.kind === "length" && !accepted) throw new Error(`${what}: taken without a word`);
  return "answered";
}
