/**
 * The noise level above which a Gaussian is nearer to the truth than the denoiser that is to be sampled.
 *
 * @module
 */
import { sizeOf } from "../_shape.ts";
import type { EvaluateOptions } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { logSnrGrid } from "../noise.ts";
import { RandomStream } from "../random.ts";

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
 *
 * @example A denoiser that is off by 0.01 everywhere is beaten where the Gaussian is off by less
 * ```ts
 * import { crossingLevel, Dataset, gaussianFloat64, gaussianLaw, optimalFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, -1, 2), shape: [1], name: "three points" });
 * const optimal = optimalFloat64(set);
 * const denoiser = {
 *   ...optimal,
 *   denoise: async (x: Float64Array, sigma: number | ArrayLike<number>) =>
 *     (await optimal.denoise(x, sigma)).map((v) => v + 0.01),
 * };
 * const { sigma } = await crossingLevel(denoiser, gaussianFloat64(gaussianLaw([0], 2)), optimal);
 * assert.ok(sigma > 5 && sigma < 80);
 * ```
 */
export async function crossingLevel<X>(
  denoiser: Denoiser<X>,
  gaussian: Denoiser<X>,
  optimal: Denoiser<X>,
  options: CrossingOptions = {},
): Promise<CrossingLevel> {
  const {
    sigmas = logSnrGrid(16, { sigmaMin: 0.5 }).sigmas,
    count = 256,
    seed = 0,
    signal,
  } = options;
  checkLevels(sigmas, count);
  const noisy = noisyItems(optimal, count, seed);
  const levels: DeviationsAtLevel[] = [];
  for (const sigma of sigmas) {
    signal?.throwIfAborted();
    const [truth, theirs, ours] = await outputs([optimal, denoiser, gaussian], noisy, sigma, count);
    levels.push({
      sigma,
      gaussian: squaredDistance(ours, truth) / count,
      denoiser: squaredDistance(theirs, truth) / count,
    });
    // Beaten once, the Gaussian is not asked further down.
    if (levels[levels.length - 1].gaussian > levels[levels.length - 1].denoiser) break;
  }
  const sigma = crossingOf(levels);
  return { sigma, displacement: displacementAt(sigma, levels), levels };
}

function checkLevels(sigmas: readonly number[], count: number): void {
  const fall = sigmas.every((s, i) => s > 0 && s < (sigmas[i - 1] ?? Infinity));
  if (sigmas.length < 2 || !fall) {
    throw new RangeError(
      `Cannot compare denoisers over noise: received the levels [${sigmas}], wanted at least two falling ones > 0`,
    );
  }
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(
      `Cannot compare denoisers over noise: count is ${count}, wanted a whole number > 0`,
    );
  }
}

/** Items and their noise, from which the states at all levels are made. */
function noisyItems<X>({ draw, shape, label }: Denoiser<X>, count: number, seed: number) {
  if (!draw) {
    throw new RangeError(
      `Cannot compare denoisers over noise: ${label} cannot draw items, wanted one that can`,
    );
  }
  const dimension = sizeOf(shape);
  const items = new Float64Array(count * dimension), noise = new Float64Array(count * dimension);
  for (let sample = 0; sample < count; sample++) {
    items.set(draw(new RandomStream({ seed, sample, purpose: "data" })), sample * dimension);
    const stream = new RandomStream({ seed, sample, purpose: "metric" });
    for (let c = 0; c < dimension; c++) noise[sample * dimension + c] = stream.normal();
  }
  return { items, noise };
}

/** What some denoisers make of the same states. */
async function outputs<X>(
  denoisers: readonly Denoiser<X>[],
  { items, noise }: { items: Float64Array; noise: Float64Array },
  sigma: number,
  count: number,
): Promise<ArrayLike<number>[]> {
  const results: ArrayLike<number>[] = [];
  const { space, shape } = denoisers[0];
  const x = space.from(items.map((v, i) => v + sigma * noise[i]), [count, ...shape]);
  try {
    for (const denoiser of denoisers) {
      const denoised = await denoiser.denoise(x, sigma);
      try {
        results.push(await space.values(denoised));
      } finally {
        space.dispose(denoised);
      }
    }
  } finally {
    space.dispose(x);
  }
  return results;
}

function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
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

/** `σ ∫ rms d ln σ' / σ'` over the levels down to `σ`, by power laws between them. */
function displacementAt(sigma: number, levels: readonly DeviationsAtLevel[]): number {
  let sum = 0;
  for (let i = 1; i < levels.length && levels[i - 1].sigma > sigma; i++) {
    const above = levels[i - 1], below = levels[i];
    const [a, b] = [above, below].map((level) => Math.sqrt(level.gaussian) / level.sigma);
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
