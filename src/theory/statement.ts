/**
 * Statements of the theory as measurements: both sides computed, the margin reported.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";

/** What evaluating a statement gave. It shows itself at the end of a notebook cell. */
export interface Report {
  /** The statement, in one line. */
  readonly statement: string;
  /** What was measured. */
  readonly measured: number;
  /** What the measured value must not exceed. */
  readonly bound: number;
  /** Whether it holds: `measured ≤ bound`, and neither is NaN. */
  readonly holds: boolean;
}

/**
 * A report from a measured value and its bound.
 *
 * @param statement The statement, in one line.
 * @param measured What was measured.
 * @param bound What it must not exceed.
 * @returns The report.
 *
 * @example
 * ```ts
 * import { report } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.ok(report("one is at most two", 1, 2).holds);
 * assert.ok(!report("nothing is known", NaN, 2).holds);
 * ```
 */
export function report(statement: string, measured: number, bound: number): Report {
  return showsItself({ statement, measured, bound, holds: measured <= bound });
}
