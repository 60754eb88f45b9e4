/**
 * Heun's method in σ, as in EDM.
 *
 * @module
 */
import type { Evaluator } from "./_evaluator.ts";
import { oneStep } from "./_one_step.ts";
import type { Reached } from "./_one_step.ts";
import type { Sampler } from "./sampler.ts";

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
 * import { heun, karrasGrid, sample } from "@closedform/diffusion";
 * import { pointFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { x, evaluations } = await sample(pointFlow([0.5]).denoiser, {
 *   count: 1,
 *   sampler: heun(),
 *   grid: karrasGrid(18), output: "tensor",
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
    run: (denoiser, x, sigmas, options) => oneStep(step, denoiser, x, sigmas, options),
  };
}

async function step<X>(
  evaluator: Evaluator<X>,
  x: X,
  sigma: number,
  next: number,
): Promise<Reached<X>> {
  const rho = next / sigma;
  const first = await evaluator.denoise(x, sigma);
  const euler = evaluator.combine([rho, 1 - rho], [x, first]);
  if (next === 0) return { reached: euler, denoised: first };
  const denoised = await evaluator.denoise(euler, next);
  // Half the step with the slope at each end.
  const [a, b] = [(next - sigma) / (2 * sigma), (next - sigma) / (2 * next)];
  const reached = evaluator.combine([1 + a, -a, b, -b], [x, first, euler, denoised]);
  evaluator.release(first, euler);
  return { reached, denoised };
}
