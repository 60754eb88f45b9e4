/**
 * The adaptive Runge–Kutta method DOP853.
 *
 * @module
 */
import { embedded } from "./runge_kutta/embedded.ts";
import type { EmbeddedOptions } from "./runge_kutta/embedded.ts";
import { DOP853 } from "./runge_kutta/tableaus.ts";
import type { Sampler } from "./sampler.ts";

/**
 * The method DOP853 of order eight, with adapted steps: a reference of high accuracy. Twelve evaluations
 * per step that is taken, eleven per step that is not.
 *
 * ```text
 * dx/dℓ = D(x, e^{−ℓ}) − x,   ℓ = −ln σ;   error = ‖E₅‖²/√(‖E₅‖² + 0.01 ‖E₃‖²) ≤ tol · max(‖x‖, ‖x'‖)
 * ```
 *
 * Samples, calls and ends are as in {@linkcode dopri5}.
 *
 * Reference: E. Hairer, S. Nørsett, G. Wanner, Solving ordinary differential equations I, sections II.5 and II.10.
 *
 * @param options Tolerance; steps of the grid instead.
 * @returns The sampler, named `dop853`, or `dop853-grid` with the steps of the grid.
 * @throws {RangeError} If the tolerance is not in (0, 1).
 *
 * @example
 * ```ts
 * import { dop853, gaussianLaw, logSnrGrid, sample } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const flow = gaussianFlow(gaussianLaw([1, -1], [2, 0.1]));
 * const { x, convergence } = await sample(flow.denoiser, {
 *   count: 1,
 *   sampler: dop853({ tolerance: 1e-8 }),
 *   grid: logSnrGrid(1),
 *   init: [1, 1], output: "tensor",
 * });
 * const exact = await flow.transport(Float64Array.of(80, 80), 80, 0.002);
 * assert.ok(convergence!.converged[0]);
 * assert.ok(Math.abs(x[0] - exact[0]) < 1e-6);
 * ```
 */
export function dop853(options: EmbeddedOptions = {}): Sampler {
  return embedded("dop853", DOP853, [
    "E. Hairer, S. Nørsett, G. Wanner (1993), Solving ordinary differential equations I, Springer",
  ], options);
}
