/**
 * How long work is watched and cancelled.
 *
 * @module
 */
import type { OptionTable } from "../base/_options.ts";

/** Options of work that takes more than a second or two. */
export interface WorkOptions {
  /** Cancels the work, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Called now and then with the work that is done and all the work, in the same units. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The options of {@linkcode WorkOptions}, none with a default. */
export const WORK_OPTIONS = { signal: undefined, onProgress: undefined } satisfies OptionTable<
  WorkOptions
>;
