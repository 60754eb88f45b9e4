/**
 * The adaptive Runge–Kutta method DOPRI5.
 *
 * @module
 */
import { embedded } from "./runge_kutta/embedded.ts";
import type { EmbeddedOptions } from "./runge_kutta/embedded.ts";
import { DOPRI5 } from "./runge_kutta/tableaus.ts";
import type { Sampler } from "./sampler.ts";

/**
 * The method of Dormand and Prince of order five, with adapted steps: the workhorse of non-stiff
 * integration, here a reference for samplers. Six evaluations per step.
 *
 * ```text
 * dx/dℓ = D(x, e^{−ℓ}) − x,   ℓ = −ln σ;   a step is taken if ‖error estimate‖ ≤ tol · max(‖x‖, ‖x'‖)
 * ```
 *
 * Every sample has steps of its own, so that it does not depend on the others; all attempts of a stage
 * go to the denoiser in one call. The grid gives the ends; the step from its lowest positive level to 0
 * returns `D`, which is known there.
 *
 * References: J. Dormand, P. Prince (1980), A family of embedded Runge-Kutta formulae; E. Hairer,
 * S. Nørsett, G. Wanner, Solving ordinary differential equations I, section II.4.
 *
 * @param options Tolerance; steps of the grid instead.
 * @returns The sampler, named `dopri5`, or `dopri5-grid` with the steps of the grid.
 * @throws {RangeError} If the tolerance is not in (0, 1).
 *
 * @example
 * ```ts
 * import { dopri5, gaussianLaw, logSnrGrid, sample } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const flow = gaussianFlow(gaussianLaw([1, -1], [2, 0.1]));
 * const { x, convergence } = await sample(flow.denoiser, {
 *   count: 1,
 *   sampler: dopri5({ tolerance: 1e-8 }),
 *   grid: logSnrGrid(1),
 *   init: [1, 1], output: "tensor",
 * });
 * const exact = await flow.transport(Float64Array.of(80, 80), 80, 0.002);
 * assert.ok(convergence!.converged[0]);
 * assert.ok(Math.abs(x[0] - exact[0]) < 1e-6);
 * ```
 */
export function dopri5(options: EmbeddedOptions = {}): Sampler {
  return embedded("dopri5", DOPRI5, [
    "J. Dormand, P. Prince (1980), A family of embedded Runge-Kutta formulae, Journal of Computational and Applied Mathematics 6",
  ], options);
}
