/**
 * What collocation tells of a run, row by row.
 *
 * @module
 */
import type { Convergence, SamplerStep } from "../sampler.ts";

/**
 * The convergence of a collocation run. The estimated error is the sum over the windows taken; it
 * does not know how the rest of the flow amplifies an error.
 */
export interface CollocationConvergence extends Convergence {
  /** Whether a window was accepted only because rounding noise left nothing to gain; such a row is not converged. */
  readonly noiseLimited: readonly boolean[];
}

/** What collocation yields when a window was closed. */
export interface CollocationStep<X> extends SamplerStep<X> {
  /** The noise level that each row has reached; `sigma` is the largest of them. */
  readonly levels: Float64Array;
  /** Counts, estimates and convergence so far. */
  readonly convergence: CollocationConvergence;
}

/** What is told of one row. */
export interface RowRecord {
  readonly windows: number;
  readonly rejected: number;
  readonly sweeps: number;
  readonly evaluations: number;
  readonly estimatedError: number;
  readonly converged: boolean;
  readonly noiseLimited: boolean;
}

/** The convergence of all rows. */
export function convergenceOf(rows: readonly RowRecord[]): CollocationConvergence {
  return {
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
