/**
 * The sampler interface: an async generator that walks a state down a grid of noise levels.
 *
 * @module
 */
import type { OptionTable } from "../base/_options.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";

/** What a method that iterates or adapts its steps knows about its convergence: one value per row so far. */
export interface Convergence {
  /** Denoiser evaluations. */
  readonly evaluations: Int32Array;
  /** Windows that were accepted; steps, of methods that advance by steps. */
  readonly windows: Int32Array;
  /** Windows that were computed in vain, because their error was too large. */
  readonly rejected: Int32Array;
  /** Sweeps over windows, in all; of methods that do not iterate, one per window. */
  readonly sweeps: Int32Array;
  /** The method's own estimate of its error, relative to the size of the data. */
  readonly estimatedError: Float64Array;
  /** Whether all its criteria were met. */
  readonly converged: readonly boolean[];
}

/** What a sampler yields after every step. */
export interface SamplerStep<X> {
  /** The step just taken, from 1. */
  readonly step: number;
  /** The noise level reached. */
  readonly sigma: number;
  /** The state reached. Borrowed: valid until the next step is asked for. */
  readonly x: X;
  /** The latest denoiser output. Borrowed likewise. */
  readonly denoised: X;
  /** Denoiser evaluations per sample so far; their mean over the rows where rows differ. */
  readonly evaluations: number;
  /** Batched denoiser calls so far. */
  readonly calls: number;
  /** How well it converged so far, of a method that iterates or adapts its steps. */
  readonly convergence?: Convergence;
}

/** Options of a sampler's run. */
export interface SamplerOptions {
  /** Cancels the run, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** The index of each sample within the run; a sampler hands them on to the denoiser, row by row. Default: from 0 on. */
  readonly samples?: ArrayLike<number>;
}

/** The options of {@linkcode SamplerOptions}, none with a default. */
export const SAMPLER_OPTIONS = { signal: undefined, samples: undefined } satisfies OptionTable<
  SamplerOptions
>;

/** A numerical method for the probability-flow equation `dx/dσ = (x − D(x, σ))/σ`. */
export interface Sampler {
  /** Its name, as on the command line. */
  readonly name: string;
  /** Its order of convergence in the step size. */
  readonly order: number;
  /** Where it comes from: papers, one per entry. */
  readonly references: readonly string[];
  /**
   * Walks a state down a grid.
   *
   * @param denoiser The denoiser.
   * @param x The start state, at noise level `sigmas[0]`. Not disposed.
   * @param sigmas Strictly decreasing noise levels; only the last may be 0.
   * @param options A signal that cancels.
   * @returns A generator of one record per step.
   * @throws {RangeError} If the noise levels do not fall.
   */
  run<X>(
    denoiser: Denoiser<X>,
    x: X,
    sigmas: readonly number[],
    options?: SamplerOptions,
  ): AsyncGenerator<SamplerStep<X>, void, void>;
}
