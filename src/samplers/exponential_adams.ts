/**
 * Exponential Adams–Bashforth methods.
 *
 * @module
 */
import { checkOptionNames } from "../base/_options.ts";
import { MULTISTEP_OPTIONS } from "./_multistep_options.ts";
import { momentWeights } from "./_moments.ts";
import { multistep } from "./multistep.ts";
import type { MultistepOptions, MultistepSampler } from "./multistep.ts";

/**
 * The exponential Adams–Bashforth method of order `k`: the linear part of the flow is exact, the denoiser
 * is the polynomial in `−ln σ` through its last `k` outputs. One evaluation per step.
 *
 * ```text
 * x' = ρ x + Σⱼ cⱼ D_{i−j},   cⱼ = ∫₀^h e^{−(h−u)} lⱼ(u) du
 * ```
 *
 * Order one is {@linkcode ddim}; order three is the corrected {@linkcode dpmpp3m} with a full history.
 *
 * References: Q. Zhang, Y. Chen (2022), Fast sampling of diffusion models with exponential integrator,
 * arXiv:2204.13902; M. Hochbruck, A. Ostermann (2010), Exponential integrators, Acta Numerica 19.
 *
 * @param order The order `k`, 1 to 4.
 * @param options Orders at the end.
 * @returns The sampler, named `exp-ab-k`.
 * @throws {RangeError} If the order is not 1, 2, 3 or 4.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { exponentialAdams } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(exponentialAdams(4).name, "exp-ab-4");
 * assert.throws(() => exponentialAdams(5), RangeError);
 * ```
 */
export function exponentialAdams(
  order: number,
  options: MultistepOptions = {},
): MultistepSampler {
  checkOptionNames("make the exponential Adams method", options, MULTISTEP_OPTIONS);
  if (![1, 2, 3, 4].includes(order)) {
    throw new RangeError(
      `Cannot make the exponential Adams method: order is ${order}, wanted 1, 2, 3 or 4`,
    );
  }
  return multistep(
    {
      name: `exp-ab-${order}`,
      order,
      outputs: order,
      references: [
        "Q. Zhang, Y. Chen (2022), Fast sampling of diffusion models with exponential integrator, arXiv:2204.13902",
      ],
    },
    { predict: momentWeights },
    options,
  );
}
