/**
 * The noise level above which a Gaussian is nearer to the truth than the denoiser that is to be sampled.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { EVALUATE_OPTIONS } from "../../compute/posterior.ts";
import type { EvaluateOptions } from "../../compute/posterior.ts";
import { checkComparison, deviationsFrom, noisyItems } from "../../denoisers/_noisy_items.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { logSnrGrid } from "../../base/noise.ts";
import { displacementAt } from "./leg_deviation.ts";
import { stopButton } from "../../base/stop_button.ts";

/** Options of {@linkcode crossingLevel}. */
export interface CrossingOptions extends EvaluateOptions {
  /** The noise levels to compare at, falling. Default: 17 from 80 to 0.5, equally spaced in `ln σ`. */
  readonly sigmas?: readonly number[];
  /** How many noisy items to compare on. Default 256. */
  readonly count?: number;
  /** Seed of items and noise. Default 0. */
  readonly seed?: number;
}

/** Mean squared deviations from the optimal denoiser at one noise level, over all numbers of a state. */
export interface DeviationsAtLevel {
  /** The noise level. */
  readonly sigma: number;
  /** `E‖D_G − D‖²`, of the Gaussian. */
  readonly gaussian: number;
  /** `E‖D_net − D‖²`, of the denoiser that is to be sampled. */
  readonly denoiser: number;
}

/** What {@linkcode crossingLevel} returns. */
export interface CrossingLevel {
  /** The lowest level from which on upwards the Gaussian is no worse; infinite if it is worse at the top. */
  readonly sigma: number;
  /**
   * How far a Gaussian teleport to that level lands from the optimal flow at most, root mean square over
   * all numbers of a state: `σ ∫ rms ‖D_G − D‖ dσ'/σ'²` from there to the top of the levels.
   */
  readonly displacement: number;
  /** The deviations at all levels compared. */
  readonly levels: readonly DeviationsAtLevel[];
}

const OPTIONS = {
  ...EVALUATE_OPTIONS,
  sigmas: undefined,
  count: 256,
  seed: 0,
} satisfies OptionTable<CrossingOptions>;

/**
 * Finds the lowest level to which a Gaussian teleport does no harm, by looking at the denoiser: the smallest `σ`
 * above which the Gaussian is as near to the optimal denoiser of the training data as the denoiser is.
 *
 * ```text
 * E‖D_G − D‖² ≤ E‖D_net − D‖²   at x = x₀ + σε, x₀ a random item of the data
 * ```
 *
 * A network that trained little at large noise is often beaten there. For the optimal denoiser itself no level is low
 * enough; use `skipLevel()`, which needs no denoiser.
 *
 * @param denoiser The denoiser that is to be sampled.
 * @param gaussian The Gaussian of the training data.
 * @param optimal The optimal denoiser of the training data, which also draws items.
 * @param options Levels, number of items, seed, signal.
 * @returns The level, and what was compared.
 * @throws {RangeError} If there are fewer than two levels, they do not fall, or the number of items is not a
 * whole number > 0, or the optimal denoiser cannot draw items.
 * @throws {TypeError} If there is no such option.
 *
 * @example A denoiser that is off by 0.01 everywhere is beaten where the Gaussian is off by less
 * ```ts
 * import { Dataset, gaussian, gaussianLaw, optimal } from "@closedform/diffusion";
 * import { crossingLevel } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, -1, 2), shape: [1], name: "three points" });
 * const exact = await optimal(set, { device: "float64" });
 * const denoiser = {
 *   ...exact,
 *   denoise: async (x: Float64Array, sigma: number | ArrayLike<number>) =>
 *     ({ mean: (await exact.denoise(x, sigma)).mean.map((v) => v + 0.01) }),
 * };
 * const fit = await gaussian(gaussianLaw([0], 2), { device: "float64" });
 * const { sigma } = await crossingLevel(denoiser, fit, exact);
 * assert.ok(sigma > 5 && sigma < 80);
 * ```
 */
export async function crossingLevel<X>(
  denoiser: Denoiser<X>,
  gaussian: Denoiser<X>,
  optimal: Denoiser<X>,
  options: CrossingOptions = {},
): Promise<CrossingLevel> {
  const { sigmas = logSnrGrid(16, { sigmaMin: 0.5 }).sigmas, count, seed } = readOptions(
    "find the crossing level",
    options,
    OPTIONS,
  );
  using stop = stopButton(options.signal);
  const { signal } = stop;
  const { draw, dimension } = checkComparison(optimal, sigmas, count);
  const noisy = noisyItems(draw, dimension, count, seed);
  const levels: DeviationsAtLevel[] = [];
  for (const sigma of sigmas) {
    signal?.throwIfAborted();
    const [theirs, ours] = await deviationsFrom(optimal, [denoiser, gaussian], noisy, sigma);
    levels.push({ sigma, gaussian: ours, denoiser: theirs });
    // Beaten once, the Gaussian is not asked further down.
    if (levels[levels.length - 1].gaussian > levels[levels.length - 1].denoiser) break;
  }
  const sigma = crossingOf(levels);
  const deviations = levels.map((level) => ({ sigma: level.sigma, deviation: level.gaussian }));
  return { sigma, displacement: displacementAt(sigma, deviations), levels };
}

/** Where the Gaussian begins to be worse, between levels by a power law. */
function crossingOf(levels: readonly DeviationsAtLevel[]): number {
  const last = levels[levels.length - 1], before = levels[levels.length - 2];
  if (last.gaussian <= last.denoiser) return last.sigma;
  if (!before) return Infinity;
  // Rounding of equal outputs counts as no deviation.
  const excess = ({ gaussian, denoiser }: DeviationsAtLevel) =>
    Math.log(Math.max(gaussian, Number.MIN_VALUE) / Math.max(denoiser, Number.MIN_VALUE));
  const [low, high] = [excess(before), excess(last)];
  return before.sigma * (last.sigma / before.sigma) ** (-low / (high - low));
}
