/**
 * DDIM without added noise, which is Euler's method.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";
import { checkSigmas } from "../noise.ts";
import { Evaluator } from "./_evaluator.ts";
import type { Sampler, SamplerOptions, SamplerStep } from "./sampler.ts";

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
 * import { Dataset, ddim, ddpmGrid, optimalFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const point = new Dataset({ data: Float32Array.of(0.5, -0.25), shape: [2], name: "a point" });
 * let last: Float64Array | undefined;
 * for await (
 *   const { x } of ddim().run(optimalFloat64(point), Float64Array.of(40, 9), ddpmGrid(10).sigmas)
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
      const rho = sigmas[step] / sigmas[step - 1];
      const denoised = await evaluator.denoise(x, sigmas[step - 1]);
      const next = evaluator.combine([rho, 1 - rho], [x, denoised]);
      evaluator.release(x);
      x = next;
      yield { step, sigma: sigmas[step], x, denoised, evaluations: step, calls: step };
      evaluator.release(denoised);
    }
  } finally {
    evaluator.releaseAll();
  }
}
