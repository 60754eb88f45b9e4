/**
 * Scores of denoisers beside each other over the noise levels.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { showsItself } from "../base/_display.ts";
import { EVALUATE_OPTIONS } from "../compute/posterior.ts";
import type { EvaluateOptions } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { noisyItems, noisyStates } from "../denoisers/_noisy_items.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { compareScores } from "./explained_variance.ts";
import type { ScoreComparison } from "./explained_variance.ts";
import { stopButton } from "../base/stop_button.ts";

/** Options of {@linkcode scoreTable}. */
export interface ScoreTableOptions extends EvaluateOptions {
  /** The noise levels. Default: the published ones, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20. */
  readonly sigmas?: readonly number[];
  /** How many noisy items to compare on at each level, the same ones at all. Default 256. */
  readonly count?: number;
  /** Seed of items and noise. Default 0. */
  readonly seed?: number;
}

/** One approximation at one noise level. */
export interface ScoreRow {
  /** The noise level. */
  readonly sigma: number;
  /** The name of the approximation. */
  readonly approximation: string;
  /** What it explains of the denoiser: of its score, of its output, of its output about the mean. */
  readonly explained: ScoreComparison;
}

const PUBLISHED_LEVELS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];

const OPTIONS = {
  ...EVALUATE_OPTIONS,
  sigmas: PUBLISHED_LEVELS,
  count: 256,
  seed: 0,
} satisfies OptionTable<ScoreTableOptions>;

/**
 * How much of a denoiser's score, say a network's, others explain at each noise level: Gaussians, mixtures, the data.
 *
 * The states are `x₀ + σε` with `x₀` drawn from the data with repetition, as published; not draws of pure noise, where
 * no denoiser was trained. Residuals are `1 − explained.score.meanOfRatios`, or of `ratioOfMeans`: two numbers, of which
 * the first is the published one.
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726.
 *
 * @param denoiser The denoiser to be explained.
 * @param approximations What explains it, by names; each knows the mean of the data.
 * @param data The data that states are made from.
 * @param options Levels, number of items, seed, signal.
 * @returns One row per level and approximation, in this order.
 * @throws {RangeError} If the number of items is not a whole number > 0, a level is not positive, or an approximation
 * does not know its mean.
 * @throws {TypeError} If the denoisers work on samples of different shapes.
 *
 * @example The score of the data is nearly that of their Gaussian at large noise, and not at small
 * ```ts
 * import { moons, optimal, scoreTable, wiener } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const exact = await optimal(moons(200), { device: "float64" });
 * const filter = await wiener(exact);
 * const [low, high] = await scoreTable(exact, { filter }, moons(200), { sigmas: [0.2, 5] });
 * assert.ok(low.explained.score.meanOfRatios < 0.99 && high.explained.score.meanOfRatios > 0.999);
 * ```
 */
export async function scoreTable<X>(
  denoiser: Denoiser<X>,
  approximations: Readonly<Record<string, Denoiser<X>>>,
  data: Dataset,
  options: ScoreTableOptions = {},
): Promise<ScoreRow[]> {
  const { sigmas, count, seed } = readOptions("compare scores", options, OPTIONS);
  using stop = stopButton(options.signal);
  const { signal } = stop;
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(
      `Cannot compare scores: count is ${count}, wanted a whole number > 0`,
    );
  }
  const noisy = noisyItems(
    (stream) => data.values(stream.below(data.count)),
    data.dimension,
    count,
    seed,
  );
  const { space, shape } = denoiser;
  const rows: ScoreRow[] = [];
  for (const sigma of sigmas) {
    const x = space.from(noisyStates(noisy, sigma), [count, ...shape]);
    try {
      for (const [approximation, other] of Object.entries(approximations)) {
        signal?.throwIfAborted();
        const explained = await compareScores(denoiser, other, x, sigma, { signal });
        rows.push({ sigma, approximation, explained });
      }
    } finally {
      space.dispose(x);
    }
  }
  return showsItself(rows);
}
