/**
 * Options that all readers share.
 *
 * @module
 */
import type { OptionTable } from "../base/_options.ts";

/** Options that every reader of files takes. */
export interface ReadOptions {
  /** Reads only the first items, in file order. Default: all. What lies beyond is neither read nor checked. */
  readonly limit?: number;
  /** Cancels the reading, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Told how many items of how many are read, now and then. */
  readonly onProgress?: (done: number, total: number) => void;
  /**
   * Told in one line each what is recognised by a rule and not said by the file: the order of axes, the range of numbers.
   * Default: lines on the standard error, or the console of a page, each of them once.
   */
  readonly onNote?: (line: string) => void;
}

/** The options of {@linkcode ReadOptions}, none with a default. */
export const READ_OPTIONS = {
  limit: undefined,
  signal: undefined,
  onProgress: undefined,
  onNote: undefined,
} satisfies OptionTable<ReadOptions>;
