/**
 * The classical Runge–Kutta method.
 *
 * @module
 */
import { oneStep } from "./_one_step.ts";
import { IN_SIGMA, rungeKuttaStep } from "./runge_kutta/on_grid.ts";
import { RK4 } from "./runge_kutta/tableaus.ts";
import type { Sampler } from "./sampler.ts";

/**
 * The classical Runge–Kutta method for the flow in σ: order four, four evaluations per step; a step to
 * `σ' = 0` takes one and returns `D`.
 *
 * ```text
 * k(x, σ) = (x − D(x, σ))/σ,   x' = x + (σ'−σ)(k₁ + 2k₂ + 2k₃ + k₄)/6
 * ```
 *
 * In σ trajectories of constant `D` are straight lines, which it follows exactly; in `ln σ` the same
 * method is unstable for steps longer than 2.8, and less accurate on every grid of this package.
 *
 * Reference: E. Hairer, S. Nørsett, G. Wanner, Solving ordinary differential equations I, section II.1.
 *
 * @returns The sampler.
 *
 * @example
 * ```ts
 * import { gaussianLaw, logSnrGrid, rk4, sample } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const flow = gaussianFlow(gaussianLaw([0], 1));
 * const grid = logSnrGrid(40, { sigmaMax: 10, sigmaMin: 0.1 });
 * const { x } = await sample(flow.denoiser, { count: 1, sampler: rk4(), grid, init: [1], output: "tensor" });
 * const exact = await flow.transport(Float64Array.of(10), 10, 0.1);
 * assert.ok(Math.abs(x[0] - exact[0]) < 1e-5);
 * ```
 */
export function rk4(): Sampler {
  return {
    name: "rk4",
    order: RK4.order,
    references: [
      "E. Hairer, S. Nørsett, G. Wanner (1993), Solving ordinary differential equations I, Springer",
    ],
    run: (denoiser, x, sigmas, options) =>
      oneStep(rungeKuttaStep(RK4, IN_SIGMA), denoiser, x, sigmas, options),
  };
}
