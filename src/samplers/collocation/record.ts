/**
 * What collocation reports of a run, row by row.
 *
 * @module
 */
import type { SamplerStep } from "../sampler.ts";

/** What is known of a collocation run: counts, estimates and convergence, one entry per sample where not a number. */
export interface CollocationReport {
  /** Batched denoiser calls so far: the depth of the computation. */
  readonly sequentialCalls: number;
  /** Windows taken. */
  readonly windows: Int32Array;
  /** Windows that were given up and tried again shorter. */
  readonly rejected: Int32Array;
  /** Sweeps, those of rejected windows included. */
  readonly sweeps: Int32Array;
  /** Denoiser evaluations, those of rejected windows included. */
  readonly evaluations: Int32Array;
  /**
   * Sum of the windows' estimated errors, relative to the size of the data. It does not know how the
   * rest of the flow amplifies an error.
   */
  readonly estimatedError: Float64Array;
  /** Whether every window passed its tests, and none was cut off by a limit. */
  readonly converged: readonly boolean[];
  /** Whether a window was accepted only because rounding noise left nothing to gain. */
  readonly noiseLimited: readonly boolean[];
}

/** What collocation yields when a window was closed. */
export interface CollocationStep<X> extends SamplerStep<X> {
  /** The noise level that each row has reached; `sigma` is the largest of them. */
  readonly levels: Float64Array;
  /** Counts, estimates and convergence so far. */
  readonly report: CollocationReport;
}

/** What a report tells of one row. */
export interface RowRecord {
  readonly windows: number;
  readonly rejected: number;
  readonly sweeps: number;
  readonly evaluations: number;
  readonly estimatedError: number;
  readonly converged: boolean;
  readonly noiseLimited: boolean;
}

/** The report of all rows. */
export function collocationReport(
  rows: readonly RowRecord[],
  sequentialCalls: number,
): CollocationReport {
  return {
    sequentialCalls,
    windows: Int32Array.from(rows, ({ windows }) => windows),
    rejected: Int32Array.from(rows, ({ rejected }) => rejected),
    sweeps: Int32Array.from(rows, ({ sweeps }) => sweeps),
    evaluations: Int32Array.from(rows, ({ evaluations }) => evaluations),
    estimatedError: Float64Array.from(rows, ({ estimatedError }) => estimatedError),
    converged: rows.map(({ converged }) => converged),
    noiseLimited: rows.map(({ noiseLimited }) => noiseLimited),
  };
}

/** Refuses what a denoiser gave for a row unless it is finite. */
export function checkFinite(value: number, row: number): void {
  if (!Number.isFinite(value)) {
    throw new RangeError(
      `Cannot sample by collocation: the denoiser gave ${value} for sample ${row} of the batch, wanted finite numbers`,
    );
  }
}
