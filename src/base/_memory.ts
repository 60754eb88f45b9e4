/** Whether numbers fit in memory. */

import { note } from "./_note.ts";

/** Below this, nobody has to look. */
const LITTLE = 2 ** 26;

/**
 * Fails unless there is room for so many bytes. An allocation that fails does not say what for, and one
 * that seems to succeed may end the process once it is filled.
 */
export function checkRoom(action: string, what: string, bytes: number): void {
  if (hasRoom(bytes)) return;
  const free = freeBytes();
  throw new RangeError(
    `Cannot ${action}: ${what} would take ${inGigabytes(bytes)}, wanted at most ${
      inGigabytes(free)
    }, ${
      typeof Deno !== "object" || mayAsk()
        ? "the memory there is for it"
        : "which is assumed, since --allow-sys=systemMemoryInfo is not given"
    }`,
  );
}

/** Whether there is room for so many bytes. */
export function hasRoom(bytes: number): boolean {
  return bytes <= LITTLE || bytes <= freeBytes();
}

/** What may be taken where nobody says what there is: as much as one array can hold. */
const ASSUMED = 2 ** 33;

/** Whether the system may be asked for its memory. */
function mayAsk(): boolean {
  return typeof Deno === "object" &&
    Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state === "granted";
}

/** The memory that may be taken. */
function freeBytes(): number {
  if (!mayAsk()) {
    // A page may never ask, and cannot be given anything.
    if (typeof Deno === "object") {
      note("without --allow-sys=systemMemoryInfo 8 GB of memory are assumed");
    }
    return ASSUMED;
  }
  const { available, total } = Deno.systemMemoryInfo();
  // Systems that compress or swap call little of it available, and give more when asked.
  const ofSystem = Math.max(available, total / 2);
  // A container ends whoever takes more than its limit, whatever the system has.
  const limit = (globalThis as { process?: Partial<NodeMemory> }).process?.constrainedMemory?.() ??
    0;
  return limit > 0 && limit < total
    ? Math.min(ofSystem, Math.max(0, limit - Deno.memoryUsage().rss))
    : ofSystem;
}

/** What of Node's `process` is asked, without a module that pages lack. */
interface NodeMemory {
  /** The limit of the process's control group in bytes, of whatever version; absurdly large where there is none. */
  constrainedMemory(): number;
}

function inGigabytes(bytes: number): string {
  return `${Number((bytes / 2 ** 30).toPrecision(3))} GB`;
}

/** Makes an array, for which there may be less room than the system says. */
export function roomFor<T>(action: string, what: string, bytes: number, make: () => T): T {
  checkRoom(action, what, bytes);
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new RangeError(
      `Cannot ${action}: ${what} would take ${inGigabytes(bytes)}, wanted what fits in memory`,
      { cause },
    );
  }
}
