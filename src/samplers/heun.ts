/**
 * Heun's method in σ, as in EDM.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";
import { checkSigmas } from "../noise.ts";
import { Evaluator } from "./_evaluator.ts";
import type { Sampler, SamplerOptions, SamplerStep } from "./sampler.ts";

/**
 * Heun's step for the flow in σ: an Euler step, and the mean of the slopes at both ends. Order two, two
 * evaluations per step; a step to `σ' = 0` is Euler's, with one.
 *
 * ```text
 * d = (x − D(x, σ))/σ,   y = x + (σ'−σ) d,   d' = (y − D(y, σ'))/σ',   x' = x + (σ'−σ)(d + d')/2
 * ```
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364, algorithm 1 without churn.
 *
 * @returns The sampler.
 *
 * @example
 * ```ts
 * import { heun, karrasGrid, pointFlow, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { x, evaluations } = await sample(pointFlow([0.5]).denoiser, {
 *   count: 1,
 *   sampler: heun(),
 *   grid: karrasGrid(18),
 * });
 * assert.deepEqual([x[0], evaluations], [0.5, 35]);
 * ```
 */
export function heun(): Sampler {
  return {
    name: "heun",
    order: 2,
    references: [
      "T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of diffusion-based generative models, arXiv:2206.00364",
    ],
    run,
  };
}

async function* run<X>(
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
      const sigma = sigmas[step - 1], next = sigmas[step];
      const rho = next / sigma;
      let denoised = await evaluator.denoise(x, sigma);
      let reached = evaluator.combine([rho, 1 - rho], [x, denoised]);
      if (next > 0) {
        const [first, euler] = [denoised, reached];
        denoised = await evaluator.denoise(euler, next);
        // Half the step with the slope at each end.
        const [a, b] = [(next - sigma) / (2 * sigma), (next - sigma) / (2 * next)];
        reached = evaluator.combine([1 + a, -a, b, -b], [x, first, euler, denoised]);
        evaluator.release(first, euler);
      }
      evaluator.release(x);
      x = reached;
      yield {
        step,
        sigma: next,
        x,
        denoised,
        evaluations: evaluator.calls,
        calls: evaluator.calls,
      };
      evaluator.release(denoised);
    }
  } finally {
    evaluator.releaseAll();
  }
}
