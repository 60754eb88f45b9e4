/**
 * How long work is watched and cancelled.
 *
 * @module
 */

/** Options of work that takes more than a second or two. */
export interface WorkOptions {
  /** Cancels the work, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Called now and then with the work that is done and all the work, in the same units. */
  readonly onProgress?: (done: number, total: number) => void;
}
