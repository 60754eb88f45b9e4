/** Whether numbers fit in memory. */

/** Below this, nobody has to look. */
const LITTLE = 2 ** 26;

/**
 * Fails unless there is room for so many bytes. An allocation that fails does not say what for, and one
 * that seems to succeed may end the process once it is filled.
 */
export function checkRoom(action: string, what: string, bytes: number): void {
  if (bytes <= LITTLE) return;
  const free = freeBytes();
  if (bytes <= free) return;
  throw new RangeError(
    `Cannot ${action}: ${what} would take ${inGigabytes(bytes)}, wanted at most ${
      inGigabytes(free)
    }, the memory there is for it`,
  );
}

/** The memory that may be taken; where that is a secret, as much as one array can hold. */
function freeBytes(): number {
  const told = typeof Deno === "object" &&
    Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state === "granted";
  if (!told) return 2 ** 33;
  const { available, total } = Deno.systemMemoryInfo();
  // Systems that compress or swap call little of it available, and give more when asked.
  return Math.max(available, total / 2);
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
