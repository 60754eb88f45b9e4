/**
 * Euler's method in σ, which is DDIM.
 *
 * @module
 */
import { ddim } from "./ddim.ts";
import type { Sampler } from "./sampler.ts";

/**
 * Euler's step for the flow in σ, order one, one evaluation per step.
 *
 * ```text
 * x' = x + (σ' − σ)(x − D)/σ = (σ'/σ) x + (1 − σ'/σ) D
 * ```
 *
 * The right side is {@linkcode ddim}: this is another name for it, under which it is known from EDM.
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364.
 *
 * @returns The sampler.
 *
 * @example
 * ```ts
 * import { euler } from "@closedform/diffusion";
 * import { pointFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const steps = [];
 * for await (const { x } of euler().run(pointFlow([0]).denoiser, Float64Array.of(4), [4, 2, 1, 0])) {
 *   steps.push(x[0]);
 * }
 * assert.deepEqual(steps, [2, 1, 0]);
 * ```
 */
export function euler(): Sampler {
  return {
    ...ddim(),
    name: "euler",
    references: [
      "T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of diffusion-based generative models, arXiv:2206.00364",
    ],
  };
}
