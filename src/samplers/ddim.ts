/**
 * DDIM without added noise, which is Euler's method.
 *
 * @module
 */
import type { Evaluator } from "./_evaluator.ts";
import { oneStep } from "./_one_step.ts";
import type { Reached } from "./_one_step.ts";
import type { Sampler } from "./sampler.ts";

/**
 * The deterministic DDIM step, order one, one evaluation per step.
 *
 * ```text
 * x' = ρ x + (1 − ρ) D(x, σ),   ρ = σ'/σ
 * ```
 *
 * It is at the same time the DDIM step (η = 0) in variance-preserving
 * coordinates, Euler's step in σ, and Euler's step of the flow equation in `t`:
 * all three keep the line `x = D + σn` with `n = (x − D)/σ` fixed. A step to
 * `σ' = 0` returns `D` exactly.
 *
 * Reference: J. Song, C. Meng, S. Ermon (2020), Denoising diffusion implicit models, arXiv:2010.02502.
 *
 * @returns The sampler.
 *
 * @example A data set of one point: every trajectory ends there
 * ```ts
 * import { Dataset, ddim, ddpmGrid, optimal } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const point = new Dataset({ data: Float32Array.of(0.5, -0.25), shape: [2], name: "a point" });
 * let last: Float64Array | undefined;
 * for await (
 *   const { x } of ddim().run(await optimal(point, { device: "float64" }), Float64Array.of(40, 9), ddpmGrid(10).sigmas)
 * ) last = x;
 * assert.deepEqual([...last!], [0.5, -0.25]);
 * ```
 */
export function ddim(): Sampler {
  return {
    name: "ddim",
    order: 1,
    references: [
      "J. Song, C. Meng, S. Ermon (2020), Denoising diffusion implicit models, arXiv:2010.02502",
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
  const denoised = await evaluator.denoise(x, sigma);
  return { reached: evaluator.combine([rho, 1 - rho], [x, denoised]), denoised };
}
