/**
 * DPM-Solver++ (2M).
 *
 * @module
 */
import { checkOptionNames } from "../base/_options.ts";
import { MULTISTEP_OPTIONS } from "./_multistep_options.ts";
import { withStart } from "./_moments.ts";
import { DPMPP_REFERENCES } from "./dpmpp_1.ts";
import { multistep } from "./multistep.ts";
import type { MultistepOptions, MultistepSampler } from "./multistep.ts";

/**
 * The weights of a 2M step.
 *
 * @param h The length of the step in `−ln σ`.
 * @param nodes At most one earlier output.
 * @returns The weights of the latest output and the earlier one.
 */
export function weightsOf2M(h: number, nodes: readonly number[]): number[] {
  const w = -Math.expm1(-h);
  return withStart(w, nodes.map((r) => w / (2 * r)));
}

/**
 * The multistep DPM-Solver++ of order two, one evaluation per step.
 *
 * ```text
 * x' = ρ x + w D_i + ½ w (D_i − D_{i−1})/r₀,   r₀ = (ℓ_i − ℓ_{i−1})/h,   w = 1 − ρ
 * ```
 *
 * Its slope is integrated by the midpoint value `w/2`; with the exact moment it would be
 * {@linkcode exponentialAdams} of order two. It equals the predictor of {@linkcode unipc} of order two.
 *
 * Reference: C. Lu et al. (2022), arXiv:2211.01095.
 *
 * @param options Orders at the end.
 * @returns The sampler.
 * @throws {TypeError} If there is no such option.
 *
 * @example Exact where the denoiser is constant: a data set of one point
 * ```ts
 * import { dpmpp2m, logSnrGrid } from "@closedform/diffusion";
 * import { pointFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = pointFlow([2]);
 * const { sigmas } = logSnrGrid(5, { sigmaMax: 8, sigmaMin: 0.25 });
 * let last = NaN;
 * for await (const { x } of dpmpp2m().run(denoiser, Float64Array.of(10), sigmas)) last = x[0];
 * assert.ok(Math.abs(last - (2 + 8 * 0.25 / 8)) < 1e-14);
 * ```
 */
export function dpmpp2m(options: MultistepOptions = {}): MultistepSampler {
  checkOptionNames("make the sampler dpmpp-2m", options, MULTISTEP_OPTIONS);
  return multistep(
    { name: "dpmpp-2m", order: 2, outputs: 2, references: DPMPP_REFERENCES },
    { predict: weightsOf2M },
    options,
  );
}
