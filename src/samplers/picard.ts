/**
 * Picard iteration on a sliding window of the grid, as in ParaDiGMS: the parallel baseline.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { checkSigmas } from "../base/noise.ts";
import { PicardRun } from "./picard/run.ts";
import type { PicardSettings } from "./picard/run.ts";
import type { Sampler, SamplerOptions, SamplerStep } from "./sampler.ts";

/** Options of {@linkcode picard}. */
export interface PicardOptions {
  /** The number of grid points of a sample that are evaluated together. Default 10. */
  readonly parallel?: number;
  /**
   * How much a point may still change when the window leaves it behind, relative to the noise that a step of
   * DDPM would add there. 0 iterates until nothing changes. Default 0.1.
   */
  readonly tolerance?: number;
}

const OPTIONS = { parallel: 10, tolerance: 0.1 } satisfies OptionTable<PicardOptions>;

/**
 * DDIM, many steps at a time: all points of a window are evaluated in one call, and each is then reached
 * from the window's first point with the outputs of all before it.
 *
 * ```text
 * x_{j+1} = ρⱼ xⱼ + (1 − ρⱼ) D(xⱼ of the sweep before, σⱼ),   ρⱼ = σ_{j+1}/σⱼ,   j = b … b+p−1
 * ```
 *
 * The window moves past the points that changed by less than
 * `tol² d σ_{j+1}²(σⱼ² − σ_{j+1}²)/σⱼ²` in square, by one point at least: the first one is exact. So it ends
 * at the states of {@linkcode ddim}, up to the tolerance, with as many calls or fewer and more evaluations; its
 * error is that of the grid, of order one, however far the iteration converged.
 *
 * Unlike the published method it iterates on the denoiser's outputs, with the linear part of the flow
 * exact, and new points start from a constant output: both save sweeps. Windows are per sample.
 *
 * Reference: A. Shih, S. Belkhale, S. Ermon, D. Sadigh, N. Anari (2023), Parallel sampling of diffusion
 * models, arXiv:2305.16317.
 *
 * @param options The length of the window; the tolerance.
 * @returns The sampler.
 * @throws {RangeError} If the window is not a whole number of points ≥ 1, or the tolerance is not from 0 to 1.
 * @throws {TypeError} If there is no such option.
 *
 * @example The same end as DDIM, in fewer calls
 * ```ts
 * import { ddim, ddpmGrid, gaussianLaw, mixtureLaw, picard, sample } from "@closedform/diffusion";
 * import { mixtureFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = mixtureFlow(mixtureLaw([1, 1], [gaussianLaw([-1], 0.1), gaussianLaw([1], 0.1)]));
 * const grid = ddpmGrid(50);
 * const a = await sample(denoiser, { count: 1, sampler: picard({ tolerance: 1e-4 }), grid, output: "tensor" });
 * const b = await sample(denoiser, { count: 1, sampler: ddim(), grid, output: "tensor" });
 * assert.ok(Math.abs(a.x[0] - b.x[0]) < 1e-4);
 * assert.ok(a.calls < b.calls / 2);
 * ```
 */
export function picard(options: PicardOptions = {}): Sampler {
  const { parallel, tolerance } = readOptions("make the Picard sampler", options, OPTIONS);
  if (!Number.isInteger(parallel) || parallel < 1) {
    throw new RangeError(
      `Cannot make the Picard sampler: parallel is ${parallel}, wanted a whole number >= 1`,
    );
  }
  if (!(tolerance >= 0 && tolerance <= 1)) {
    throw new RangeError(
      `Cannot make the Picard sampler: tolerance is ${tolerance}, wanted a number from 0 to 1`,
    );
  }
  return {
    name: "picard",
    order: 1,
    references: [
      "A. Shih, S. Belkhale, S. Ermon, D. Sadigh, N. Anari (2023), Parallel sampling of diffusion models, arXiv:2305.16317",
    ],
    run: (denoiser, x, sigmas, run) => walk(denoiser, x, sigmas, { parallel, tolerance }, run),
  };
}

async function* walk<X>(
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  settings: PicardSettings,
  options: SamplerOptions = {},
): AsyncGenerator<SamplerStep<X>, void, void> {
  checkSigmas(sigmas);
  // A window as long as the grid is all there is.
  const parallel = Math.min(settings.parallel, sigmas.length - 1);
  const run = new PicardRun(denoiser, start, sigmas, { ...settings, parallel }, options);
  try {
    await run.begin();
    for (let step = 1; !run.finished; step++) {
      await run.sweep();
      yield run.record(step);
    }
  } finally {
    run.release();
  }
}
