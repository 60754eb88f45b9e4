/**
 * The walk of every sampler that goes from each level of the grid to the next without a memory.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";
import { checkSigmas } from "../base/noise.ts";
import { Evaluator } from "./_evaluator.ts";
import type { SamplerOptions, SamplerStep } from "./sampler.ts";

/** Where a step ended, and the latest denoiser output; both owned by the evaluator. */
export interface Reached<X> {
  readonly reached: X;
  readonly denoised: X;
}

/** Takes one step from `x` at `sigma` to `next`, and releases what else it made. */
export type Step<X> = (
  evaluator: Evaluator<X>,
  x: X,
  sigma: number,
  next: number,
) => Promise<Reached<X>>;

/** Walks down a grid, one step at a time. */
export async function* oneStep<X>(
  take: Step<X>,
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  options?: SamplerOptions,
): AsyncGenerator<SamplerStep<X>, void, void> {
  checkSigmas(sigmas);
  const evaluator = new Evaluator(denoiser, options);
  let x = start;
  try {
    for (let step = 1; step < sigmas.length; step++) {
      const next = sigmas[step];
      const { reached, denoised } = await take(evaluator, x, sigmas[step - 1], next);
      evaluator.release(x);
      x = reached;
      const { calls } = evaluator;
      yield { step, sigma: next, x, denoised, evaluations: calls, calls };
      evaluator.release(denoised);
    }
  } finally {
    evaluator.releaseAll();
  }
}
