/**
 * Scores of denoisers beside each other over the noise levels.
 *
 * @module
 */
import { checkWhole } from "../base/_checks.ts";
import { checkKind } from "../base/_kinds.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { EVALUATE_OPTIONS } from "../compute/posterior.ts";
import type { EvaluateOptions } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { noisyItems, noisyStates } from "../denoisers/_noisy_items.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { explainedScore } from "../metrics/explained_variance.ts";
import type { ScoreComparison } from "../metrics/explained_variance.ts";
import { stopButton } from "../base/stop_button.ts";
import type { RandomStream } from "../base/random.ts";
import { sizeOf } from "../base/_shape.ts";
import { lineSpec } from "../plots/line_spec.ts";
import type { ChartSpec } from "../plots/chart.ts";
import { GAUSSIAN_SCORE, keepReferences } from "../metrics/_references.ts";
import { comparison } from "./comparison.ts";
import type { Comparison } from "./comparison.ts";
import { checkDenoisers, onLogAxis } from "./_runs.ts";

/** Options of {@linkcode compareScores}. */
export interface CompareScoresOptions extends EvaluateOptions {
  /** The data that states are made from. Default: those of the first denoiser that can draw items. */
  readonly train?: Dataset;
  /** Data that the denoiser was not trained on, for rows of their own. Default: none. */
  readonly heldOut?: Dataset;
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
  /** Which data the states are made from, where there are two. */
  readonly split?: "train" | "held out";
  /** What it explains of the denoiser: of its score, of its output, of its output about the mean. */
  readonly explained: ScoreComparison;
}

const PUBLISHED_LEVELS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];

const OPTIONS = {
  ...EVALUATE_OPTIONS,
  train: undefined,
  heldOut: undefined,
  sigmas: PUBLISHED_LEVELS,
  count: 256,
  seed: 0,
} satisfies OptionTable<CompareScoresOptions>;

const ACTION = "compare scores";

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
 * @param options Data, levels, number of items, seed, signal.
 * @returns One row per level, split of the data and approximation, in this order; `.chart()` draws what the approximations leave unexplained.
 * @throws {RangeError} If the number of items is not a whole number > 0, a level is not positive, an approximation
 * does not know its mean, or no denoiser can draw items and there are no data.
 * @throws {TypeError} If the denoisers work on samples of different shapes, or there is no such option.
 *
 * @example The score of the data is nearly that of their Gaussian at large noise, and not at small
 * ```ts
 * import { compareScores, moons, optimal, wiener } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const exact = await optimal(moons(200), { device: "float64" });
 * const filter = await wiener(exact);
 * const [low, high] = await compareScores(exact, { filter }, { sigmas: [0.2, 5] });
 * assert.ok(low.explained.score.meanOfRatios < 0.99 && high.explained.score.meanOfRatios > 0.999);
 * ```
 */
export async function compareScores<X>(
  denoiser: Denoiser<X>,
  approximations: Readonly<Record<string, Denoiser<X>>>,
  options: CompareScoresOptions = {},
): Promise<Comparison<ScoreRow>> {
  checkKind(ACTION, "denoiser", denoiser, "denoiser");
  const { sigmas, count, seed, train, heldOut, ...rest } = readOptions(ACTION, options, OPTIONS);
  checkDenoisers(ACTION, approximations, 1, denoiser.shape);
  checkWhole(ACTION, "count", count, 1);
  using stop = stopButton(rest.signal);
  const { signal } = stop;
  const { space, shape } = denoiser;
  const draws: (readonly [ScoreRow["split"], Draw])[] = [
    ["train", train ? ofData(train) : drawOf([denoiser, ...Object.values(approximations)])],
  ];
  if (heldOut) draws.push(["held out", ofData(heldOut)]);
  const splits = draws.map(([split, draw]) =>
    [split, noisyItems(draw, sizeOf(shape), count, seed)] as const
  );
  const rows: ScoreRow[] = [];
  for (const sigma of sigmas) {
    for (const [split, noisy] of splits) {
      const x = space.from(noisyStates(noisy, sigma), [count, ...shape]);
      try {
        for (const [approximation, other] of Object.entries(approximations)) {
          signal?.throwIfAborted();
          const explained = await explainedScore(denoiser, other, x, sigma, { signal });
          rows.push({ sigma, approximation, ...(heldOut && { split }), explained });
        }
      } finally {
        space.dispose(x);
      }
    }
  }
  const chart = () => unexplained(rows);
  return comparison(rows, chart, () => [rows.map(shownRow), chart()]);
}

type Draw = (stream: RandomStream) => ArrayLike<number>;

function ofData(data: Dataset): Draw {
  return (stream) => data.values(stream.below(data.count));
}

/** Items of the first denoiser that can draw some. */
function drawOf(denoisers: readonly Denoiser<unknown>[]): Draw {
  const draw = denoisers.find(({ draw }) => draw)?.draw;
  if (draw) return draw;
  throw new RangeError(
    `Cannot ${ACTION}: none of the denoisers can draw items, wanted the option train`,
  );
}

/** What is shown of a row. */
function shownRow({ sigma, approximation, split, explained }: ScoreRow) {
  const { score, centred } = explained;
  return {
    sigma,
    approximation,
    ...(split && { data: split }),
    "score, residual": 1 - score.meanOfRatios,
    "centred, residual": 1 - centred.meanOfRatios,
    "score, explained by ratio of means": score.ratioOfMeans,
  };
}

/** The centred residual over the noise, a line per approximation and split. */
function unexplained(rows: readonly ScoreRow[]): ChartSpec {
  const nameOf = ({ approximation, split }: ScoreRow) =>
    split ? `${approximation}, ${split}` : approximation;
  return lineSpec(
    [...new Set(rows.map(nameOf))].map((label) => {
      const own = rows.filter((row) => nameOf(row) === label);
      return {
        label,
        x: own.map(({ sigma }) => sigma),
        y: onLogAxis(own.map(({ explained }) => 1 - explained.centred.meanOfRatios)),
        dashed: label.endsWith(", held out"),
      };
    }),
    {
      title: "What is left unexplained of the outputs about the mean",
      xTitle: "noise level σ",
      yTitle: "centred residual",
      xLog: true,
      yLog: true,
      width: 480,
    },
  );
}

keepReferences(compareScores, [GAUSSIAN_SCORE]);
