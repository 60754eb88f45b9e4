/**
 * DPM-Solver++ of order one, which is DDIM.
 *
 * @module
 */
import { multistep } from "./multistep.ts";
import type { MultistepSampler } from "./multistep.ts";

/** Where the DPM-Solver++ methods come from. */
export const DPMPP_REFERENCES: readonly string[] = [
  "C. Lu, Y. Zhou, F. Bao, J. Chen, C. Li, J. Zhu (2022), DPM-Solver++, arXiv:2211.01095",
];

/**
 * DPM-Solver++ of order one: the denoiser taken as constant over a step in `−ln σ`.
 *
 * ```text
 * x' = e^{−h} x + (1 − e^{−h}) D,   h = ln(σ/σ')
 * ```
 *
 * As `e^{−h} = σ'/σ` it equals {@linkcode ddim} and {@linkcode euler}, up to rounding.
 *
 * Reference: C. Lu et al. (2022), arXiv:2211.01095.
 *
 * @returns The sampler.
 *
 * @example
 * ```ts
 * import { ddim, dpmpp1, karrasGrid, mixtureLaw, gaussianLaw, sample } from "@closedform/diffusion";
 * import { mixtureFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = mixtureFlow(mixtureLaw([1, 1], [gaussianLaw([-1], 0.1), gaussianLaw([1], 0.1)]));
 * const grid = karrasGrid(8);
 * const { x: a } = await sample(denoiser, { count: 1, sampler: dpmpp1(), grid, output: "tensor" });
 * const { x: b } = await sample(denoiser, { count: 1, sampler: ddim(), grid, output: "tensor" });
 * assert.ok(Math.abs(a[0] - b[0]) < 1e-12);
 * ```
 */
export function dpmpp1(): MultistepSampler {
  return multistep(
    { name: "dpmpp-1", order: 1, outputs: 1, references: DPMPP_REFERENCES },
    { predict: (h) => [-Math.expm1(-h)] },
  );
}
