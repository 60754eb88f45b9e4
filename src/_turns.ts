/**
 * Long work in turns, between which timers, signals and the Stop button are heard.
 *
 * @module
 */

/** Longest time without a turn of the others, in milliseconds. */
const TURN_MS = 50;

/** Work that yields wherever it may be interrupted, every few milliseconds at least. */
export type Interruptible<T> = Generator<void, T, void>;

/**
 * Does the work, and lets others have their turns.
 *
 * @param work The work.
 * @param signal Cancels it; it then rejects with `signal.reason`.
 * @returns What it comes to.
 */
export async function inTurns<T>(work: Interruptible<T>, signal?: AbortSignal): Promise<T> {
  for (let since = performance.now();;) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - since <= TURN_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    since = performance.now();
  }
}

/** Does the work without a break. */
export function atOnce<T>(work: Interruptible<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
