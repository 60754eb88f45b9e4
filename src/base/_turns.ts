/**
 * Long work in turns, between which timers, signals and the Stop button are heard.
 *
 * @module
 */

/** Longest time without a turn of the others, in milliseconds. */
const TURN_MS = 50;

/** Work that yields wherever it may be interrupted, every few milliseconds at least. */
export type Interruptible<T> = Generator<void, T, void>;

/** Numbers between two interruptions of a plain loop: a fraction of a millisecond. */
const PART = 2 ** 17;

/** How many rows of so many numbers a plain loop may go through without an interruption. */
export function rowsPerPart(dimension: number): number {
  return Math.max(1, Math.floor(PART / dimension));
}

/**
 * Does the work, and lets others have their turns.
 *
 * @param work The work.
 * @param signal Cancels it; it then rejects with `signal.reason`.
 * @returns What it comes to.
 */
export async function inTurns<T>(work: Interruptible<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (turnIsDue()) await turn(signal);
  }
}

/** When others last had theirs: of all work, so that many short pieces one after the other keep nobody waiting either. */
let lastTurn = 0;

/** Whether others have waited for long; an inner loop looks before it awaits {@linkcode turn}. */
export function turnIsDue(): boolean {
  return performance.now() - lastTurn > TURN_MS;
}

/**
 * Lets others have their turn between two parts of long work, if they have waited for long.
 *
 * @param signal Cancels; it then rejects with `signal.reason`.
 */
export async function turn(signal?: AbortSignal): Promise<void> {
  if (turnIsDue()) {
    await new Promise((resolve) => setTimeout(resolve));
    lastTurn = performance.now();
  }
  signal?.throwIfAborted();
}

/** Does the work without a break. */
export function atOnce<T>(work: Interruptible<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/**
 * What a function makes of each item, where many items take long together.
 *
 * @param items The items.
 * @param of The function; it gets the item and its place.
 * @param signal Cancels the work.
 */
export async function mapInTurns<A, B>(
  items: readonly A[],
  of: (item: A, i: number) => B,
  signal?: AbortSignal,
): Promise<B[]> {
  const made: B[] = [];
  for (const [i, item] of items.entries()) {
    if (turnIsDue()) await turn(signal);
    made.push(of(item, i));
  }
  return made;
}
