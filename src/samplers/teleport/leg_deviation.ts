/**
 * How far a first leg along a cheap denoiser lands from the flow of the data, by looking at both denoisers.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { EVALUATE_OPTIONS } from "../../compute/posterior.ts";
import type { EvaluateOptions } from "../../compute/posterior.ts";
import { checkComparison, deviationsFrom, noisyItems } from "../../denoisers/_noisy_items.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { logSnrGrid } from "../../base/noise.ts";
import { stopButton } from "../../base/stop_button.ts";

/** Options of {@linkcode legDeviation}. */
export interface LegDeviationOptions extends EvaluateOptions {
  /** The noise levels to compare at, falling, from the start of the leg. Default: 26 from 80 to 0.5, equally spaced in `ln σ`. */
  readonly sigmas?: readonly number[];
  /** How many noisy items to compare on. Default 64. */
  readonly count?: number;
  /** Seed of items and noise. Default 0. */
  readonly seed?: number;
  /** Look no further down once a displacement is beyond this, in data units over all numbers of a state. Default: look at all levels. */
  readonly tolerance?: number;
}

/** What is known of a leg at one noise level. */
export interface DeviationAtLevel {
  /** The noise level. */
  readonly sigma: number;
  /** `E‖D_leg − D‖²`, over all numbers of a state. */
  readonly deviation: number;
}

/** What {@linkcode legDeviation} returns. */
export interface LegDeviation {
  /** The levels that were compared, falling. */
  readonly levels: readonly DeviationAtLevel[];
  /**
   * How far the leg lands from the flow of the data, root mean square over all numbers of a state.
   *
   * @param sigma Where it lands.
   * @returns The distance; 0 from the first level on upwards.
   * @throws {RangeError} If the level is below all that were compared.
   */
  displacement(sigma: number): number;
  /**
   * The lowest level compared, or between two of them, where the displacement is within a tolerance.
   *
   * @param tolerance The displacement allowed, in data units over all numbers of a state.
   * @returns The noise level; the first one if none below is good enough.
   */
  lowest(tolerance: number): number;
}

const OPTIONS = {
  ...EVALUATE_OPTIONS,
  sigmas: undefined,
  count: 64,
  seed: 0,
  tolerance: Infinity,
} satisfies OptionTable<LegDeviationOptions>;

/**
 * Measures how far a first leg along a denoiser lands from the flow of the data, without following either:
 *
 * ```text
 * σ ∫ rms ‖D_leg − D‖ dσ'/σ'²   from σ to the first level, at x = x₀ + σ'ε, x₀ a random item of the data
 * ```
 *
 * The difference `Δ` of two trajectories from one start obeys `d(Δ/σ)/dσ = −(D − D_leg)/σ²` where the noise is larger than
 * the spread of the data; the integral lets all deviations point one way. It serves any leg, such as that of
 * a mixture, for which no law of cumulants says how far it may go. For Gaussians `skipEstimate()` needs no denoiser.
 *
 * @param model The denoiser that the leg follows.
 * @param optimal The optimal denoiser of the data, which also draws items.
 * @param options Levels, number of items, seed, tolerance, signal.
 * @returns Deviations, displacements, and the lowest level for a tolerance.
 * @throws {RangeError} If there are fewer than two levels, they do not fall, or the number of items is not a
 * whole number > 0, or the optimal denoiser cannot draw items.
 * @throws {TypeError} If there is no such option.
 *
 * @example The data themselves land where they should
 * ```ts
 * import { moons, optimal, wiener } from "@closedform/diffusion";
 * import { legDeviation } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const exact = await optimal(moons(50), { device: "float64" });
 * assert.equal((await legDeviation(exact, exact)).displacement(2), 0);
 * const deviation = await legDeviation(await wiener(exact), exact);
 * const lowest = deviation.lowest(0.01);
 * assert.ok(Math.abs(deviation.displacement(lowest) - 0.01) < 1e-6);
 * ```
 */
export async function legDeviation<X>(
  model: Denoiser<X>,
  optimal: Denoiser<X>,
  options: LegDeviationOptions = {},
): Promise<LegDeviation> {
  const { sigmas = logSnrGrid(25, { sigmaMin: 0.5 }).sigmas, count, seed, tolerance } = readOptions(
    "measure the deviation of a first leg",
    options,
    OPTIONS,
  );
  using stop = stopButton(options.signal);
  const { signal } = stop;
  const { draw, dimension } = checkComparison(optimal, sigmas, count);
  const noisy = noisyItems(draw, dimension, count, seed);
  const levels: DeviationAtLevel[] = [];
  for (const sigma of sigmas) {
    signal?.throwIfAborted();
    const [deviation] = await deviationsFrom(optimal, [model], noisy, sigma);
    levels.push({ sigma, deviation });
    if (displacementAt(sigma, levels) > tolerance) break;
  }
  return {
    levels,
    displacement: (sigma) => displacementAt(checkReached(sigma, levels), levels),
    lowest: (tolerance) => lowestLevel(tolerance, levels),
  };
}

function checkReached(sigma: number, levels: readonly DeviationAtLevel[]): number {
  const last = levels[levels.length - 1].sigma;
  if (sigma >= last) return sigma;
  throw new RangeError(
    `Cannot tell where a first leg lands: the level is ${sigma}, wanted one of at least ${last}, the lowest that was looked at`,
  );
}

/** `σ ∫ rms dσ'/σ'²` over the levels down to `σ`, by power laws between them. */
export function displacementAt(sigma: number, levels: readonly DeviationAtLevel[]): number {
  let sum = 0;
  for (let i = 1; i < levels.length && levels[i - 1].sigma > sigma; i++) {
    const above = levels[i - 1], below = levels[i];
    const [a, b] = [above, below].map((level) => Math.sqrt(level.deviation) / level.sigma);
    const end = Math.max(sigma, below.sigma);
    const share = Math.log(above.sigma / end) / Math.log(above.sigma / below.sigma);
    const reached = a > 0 && b > 0 ? a * (b / a) ** share : a + (b - a) * share;
    sum += Math.log(above.sigma / end) * logarithmicMean(a, reached);
  }
  return sigma < Infinity ? sigma * sum : 0;
}

/** The mean of a power law over the logarithm of its argument, from its values at both ends. */
function logarithmicMean(a: number, b: number): number {
  const apart = Math.abs(a - b) > 1e-6 * Math.max(a, b);
  return apart && a > 0 && b > 0 ? (a - b) / Math.log(a / b) : (a + b) / 2;
}

/** Where the displacement passes a tolerance, by halving the interval between the levels around it. */
function lowestLevel(tolerance: number, levels: readonly DeviationAtLevel[]): number {
  const within = (sigma: number) => displacementAt(sigma, levels) <= tolerance;
  const beyond = levels.findIndex(({ sigma }) => !within(sigma));
  if (beyond < 0) return levels[levels.length - 1].sigma;
  if (beyond === 0) return levels[0].sigma;
  let [high, low] = [levels[beyond - 1].sigma, levels[beyond].sigma];
  // Ratios of neighbouring levels are below 2^10: 40 halvings leave rounding.
  for (let i = 0; i < 40; i++) {
    const middle = Math.sqrt(high * low);
    if (within(middle)) high = middle;
    else low = middle;
  }
  return high;
}
