/** Seeded damage to files, and the promise that readers keep under it. */
import { DatasetError, RandomStream } from "@closedform/diffusion";
import assert from "node:assert/strict";

/** A reader under test. */
export interface FuzzTarget<T> {
  /** Its name. */
  readonly name: string;
  /** Valid files; each mutant is made from one of them. */
  readonly files: readonly Uint8Array[];
  /** Reads a mutant; may write it to disk first. */
  read(mutant: Uint8Array): Promise<T>;
  /** Fails unless `result` is what the mutant, taken literally, says. */
  check(result: T, mutant: Uint8Array, original: Uint8Array): void;
  /** The path that errors have to name. */
  readonly path: string;
}

/** How many mutants each reader has to bear. */
export const MUTANTS = 2000;

/** Longest time, in milliseconds, for one small file: far more than needed, far less than a hang. */
const PATIENCE = 2000;
/** Memory that may be gained meanwhile, in bytes; what a file took is not given back at once. */
const MOST_MEMORY = 300e6;

/** Runs a reader on mutants and wrong files; each is refused with a `DatasetError` or read right. */
export async function fuzz<T>(
  target: FuzzTarget<T>,
  wrongFiles: readonly Uint8Array[],
): Promise<{ refused: number; accepted: number }> {
  const counts = { refused: 0, accepted: 0 };
  for (let i = 0; i < MUTANTS; i++) {
    const random = new RandomStream({ seed: 11, sample: i, purpose: "theory" });
    const original = target.files[i % target.files.length];
    const mutant = i < wrongFiles.length ? wrongFiles[i].slice() : mutate(original, random);
    const start = performance.now(), before = Deno.memoryUsage().rss;
    let result: T;
    try {
      result = await target.read(mutant);
    } catch (error) {
      assertRefusal(error, `${target.name}, mutant ${i}`, target.path);
      counts.refused++;
      continue;
    } finally {
      const time = performance.now() - start;
      assert.ok(time < PATIENCE, `${target.name}, mutant ${i}: ${time} ms`);
      const memory = Deno.memoryUsage().rss - before;
      assert.ok(memory < MOST_MEMORY, `${target.name}, mutant ${i}: ${memory} bytes`);
    }
    counts.accepted++;
    try {
      target.check(result, mutant, original);
    } catch (error) {
      throw new assert.AssertionError({
        message: `${target.name}, mutant ${i} was read wrong: ${error}`,
      });
    }
  }
  return counts;
}

function assertRefusal(error: unknown, what: string, path: string): void {
  const stack = error instanceof Error ? error.stack : error;
  assert.ok(error instanceof DatasetError, `${what}: ${stack}`);
  assert.ok(error.file.startsWith(path), `${what} does not name ${path}: ${error.message}`);
  assert.ok(error.found !== "" && error.expected !== "", `${what}: ${error.message}`);
}

/** One to three pieces of damage. */
export function mutate(original: Uint8Array, random: RandomStream): Uint8Array {
  let bytes: Uint8Array = original.slice();
  for (let left = 1 + random.below(3); left > 0; left--) {
    bytes = DAMAGES[random.below(DAMAGES.length)](bytes, random);
  }
  return bytes;
}

type Damage = (bytes: Uint8Array, random: RandomStream) => Uint8Array;

/** A place in the file; half the time among the first 64 bytes, where headers are. */
function place(bytes: Uint8Array, random: RandomStream): number {
  const range = random.below(2) ? bytes.length : Math.min(64, bytes.length);
  return range === 0 ? 0 : random.below(range);
}

function splice(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  const result = new Uint8Array(
    at + added.length + Math.max(0, bytes.length - at - removed),
  );
  result.set(bytes.subarray(0, at));
  result.set(added, at);
  result.set(bytes.subarray(at + removed), at + added.length);
  return result;
}

function randomBytes(n: number, random: RandomStream): Uint8Array {
  return Uint8Array.from({ length: n }, () => random.below(256));
}

const DAMAGES: Damage[] = [
  // Truncate.
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)).slice(),
  // Append.
  (bytes, random) => splice(bytes, bytes.length, 0, randomBytes(1 + random.below(20), random)),
  // Flip one bit.
  (bytes, random) => {
    if (bytes.length > 0) bytes[place(bytes, random)] ^= 1 << random.below(8);
    return bytes;
  },
  // Overwrite a run.
  (bytes, random) => {
    const at = place(bytes, random);
    const run = randomBytes(1 + random.below(8), random);
    bytes.set(run.subarray(0, bytes.length - at), at);
    return bytes;
  },
  // Overwrite with extreme values.
  (bytes, random) => {
    const at = place(bytes, random);
    bytes.fill([0, 0xFF, 0x7F, 0x80][random.below(4)], at, at + 1 + random.below(4));
    return bytes;
  },
  // Remove a run.
  (bytes, random) => splice(bytes, place(bytes, random), 1 + random.below(12), new Uint8Array(0)),
  // Insert a run.
  (bytes, random) =>
    splice(bytes, place(bytes, random), 0, randomBytes(1 + random.below(12), random)),
  // Repeat a part.
  (bytes, random) => {
    const at = place(bytes, random);
    return splice(bytes, at, 0, bytes.slice(at, at + 1 + random.below(40)));
  },
  // Put a byte of the file in another place: text stays text.
  (bytes, random) => {
    if (bytes.length > 0) bytes[place(bytes, random)] = bytes[random.below(bytes.length)];
    return bytes;
  },
];
