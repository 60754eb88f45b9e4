/**
 * How much of a score, or of a denoiser's output, another one explains.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { sizeOf } from "../base/_shape.ts";
import { EVALUATE_OPTIONS } from "../compute/posterior.ts";
import type { EvaluateOptions, Sigma } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { outputsOf } from "./_outputs.ts";
import { checkRows } from "./_rows.ts";
import { pairOf, ROWS_OPTIONS } from "./samples.ts";
import type { RowsOptions, SampleRows, Samples } from "./samples.ts";
import { differenceIn, powerOfTwo } from "../base/_unit.ts";

/** What {@linkcode explainedVariance} returns. */
export interface ExplainedVariance {
  /** `1 − mean(|r − a|²/|r − c|²)` over the rows: every row counts the same, as published since 2024. */
  readonly meanOfRatios: number;
  /** `1 − mean |r − a|² / mean |r − c|²`: rows count by their size. */
  readonly ratioOfMeans: number;
  /** The residual `|r − a|²/|r − c|²` of each row. */
  readonly residuals: Float64Array;
}

/** Options of {@linkcode explainedVariance}. */
export interface ExplainedVarianceOptions extends RowsOptions {
  /** What explains nothing: `d` numbers for all rows, or as many as there are. Default: zero. */
  readonly centre?: ArrayLike<number>;
}

const OPTIONS = { ...ROWS_OPTIONS, centre: undefined } satisfies OptionTable<
  ExplainedVarianceOptions
>;

const ACTION = "compute the explained variance";

/**
 * How much of some vectors others explain, beyond what a centre does.
 *
 * ```text
 * 1 − |r − a|² / |r − c|²
 * ```
 *
 * 1 for equal vectors, 0 for the centre itself, negative for worse. The two ways to average are not the same
 * number: say which is shown. Swap the vectors for the measure that is called reversed.
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726.
 *
 * @param reference The vectors `r` to be explained, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param approximation The vectors `a` that explain them, as many.
 * @param options The centre, and the dimension of plain numbers.
 * @returns Both averages, and the residuals row by row; a row that is its own centre has residual 0 if it
 * is met, else an infinite one.
 * @throws {TypeError} If the lengths do not fit, or there are no rows.
 * @throws {RangeError} If a number is not finite.
 *
 * @example
 * ```ts
 * import { explainedVariance } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { meanOfRatios, ratioOfMeans } = explainedVariance([1, 0, 3, 0], [1, 0, 0, 0], { dimension: 2 });
 * assert.equal(meanOfRatios, 0.5);
 * assert.ok(Math.abs(ratioOfMeans - 0.1) < 1e-15);
 * ```
 */
export function explainedVariance(
  reference: Samples,
  approximation: Samples,
  options: ExplainedVarianceOptions = {},
): ExplainedVariance {
  checkOptionNames(ACTION, options, OPTIONS);
  const { first, second, dimension } = pairOf(reference, approximation, ACTION, options.dimension);
  return explained(first, second, dimension, options.centre ?? new Float64Array(dimension));
}

function explained(
  reference: SampleRows,
  approximation: SampleRows,
  dimension: number,
  centre: ArrayLike<number>,
): ExplainedVariance {
  const rows = checkRows(reference, dimension, ACTION);
  checkRows(approximation, dimension, ACTION);
  checkRows(centre, dimension, ACTION);
  if (
    approximation.length !== reference.length ||
    (centre.length !== dimension && centre.length !== reference.length)
  ) {
    throw new TypeError(
      `Cannot ${ACTION}: received ${reference.length} numbers to be explained, ${approximation.length} that explain ` +
        `and ${centre.length} of a centre, wanted as many, and ${dimension} or as many`,
    );
  }
  const residuals = new Float64Array(rows);
  const centreOf = (at: number) => centre[centre.length === dimension ? at % dimension : at];
  const common = powerOfTwo(rowSpread(reference, approximation, centreOf, 0, reference.length));
  let error = 0, size = 0;
  for (let from = 0, b = 0; b < rows; b++, from += dimension) {
    // A unit of its own for each row, whose ratio counts the same however small it is.
    const unit = powerOfTwo(rowSpread(reference, approximation, centreOf, from, from + dimension));
    const inverse = 1 / unit;
    let off = 0, away = 0;
    for (let at = from; at < from + dimension; at++) {
      off += differenceIn(inverse, reference[at], approximation[at]) ** 2;
      away += differenceIn(inverse, reference[at], centreOf(at)) ** 2;
    }
    residuals[b] = off === 0 ? 0 : off / away;
    error += off * (unit / common) ** 2;
    size += away * (unit / common) ** 2;
  }
  return {
    meanOfRatios: 1 - residuals.reduce((sum, v) => sum + v, 0) / rows,
    ratioOfMeans: error === 0 ? 1 : 1 - error / size,
    residuals,
  };
}

/** The largest difference of a reference from what explains it or from its centre. */
function rowSpread(
  reference: ArrayLike<number>,
  approximation: ArrayLike<number>,
  centreOf: (at: number) => number,
  from: number,
  to: number,
): number {
  let most = 0;
  for (let at = from; at < to; at++) {
    most = Math.max(
      most,
      Math.abs(reference[at] - approximation[at]),
      Math.abs(reference[at] - centreOf(at)),
    );
  }
  return most;
}

/** How well a denoiser is explained by another one, on the same noisy states. */
export interface ScoreComparison {
  /**
   * Of the scores `(D − x)/σ²`. At large noise all of them are nearly `−z/σ`, so that even a point at the mean explains
   * most.
   */
  readonly score: ExplainedVariance;
  /** Of the outputs `D` as they are. */
  readonly denoised: ExplainedVariance;
  /** Of the outputs about the mean of the data, `D − μ`: the one that tells models apart at any noise. */
  readonly centred: ExplainedVariance;
}

/**
 * Compares the scores of two denoisers: how much of the first one, say a network, the second one explains.
 *
 * ```text
 * score 1 − |D₁ − D₂|²/|D₁ − x|²,   denoised 1 − |D₁ − D₂|²/|D₁|²,   centred 1 − |D₁ − D₂|²/|D₁ − μ|²
 * ```
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726.
 *
 * @param denoiser The denoiser to be explained.
 * @param approximation The denoiser that explains it, which knows the mean of the data.
 * @param x Noisy states, `B` rows; for published numbers, items of the training data plus `σε`. Not disposed.
 * @param sigma Noise level in data units, one for all rows or one each.
 * @param options A signal that cancels.
 * @returns All three, row by row and averaged in both ways.
 * @throws {TypeError} If the two work on samples of different shapes.
 * @throws {RangeError} If the approximation does not know its mean, an output is not finite, or a noise level not positive.
 *
 * @example At high noise, a Gaussian explains the score of any data
 * ```ts
 * import { explainedScore, moons, optimal, wiener } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = moons(200), x = Float64Array.of(9, -12, 20, 3);
 * const { score } = await explainedScore(await optimal(set, { device: "float64" }), await wiener(set, { device: "float64" }), x, 10);
 * assert.ok(score.meanOfRatios > 0.9999);
 * ```
 */
export async function explainedScore<X>(
  denoiser: Denoiser<X>,
  approximation: Denoiser<X>,
  x: X,
  sigma: Sigma,
  options: EvaluateOptions = {},
): Promise<ScoreComparison> {
  checkOptionNames("compare scores", options, EVALUATE_OPTIONS);
  if (!approximation.mean) {
    throw new RangeError(
      `Cannot compare scores: ${approximation.label} does not know the mean of the data, wanted a denoiser that does`,
    );
  }
  const [ours, theirs] = await outputsOf(denoiser, approximation, x, sigma, options);
  const dimension = sizeOf(denoiser.shape);
  const against = (centre?: ArrayLike<number>) =>
    explainedVariance(ours, theirs, { dimension, centre });
  return {
    score: against(await denoiser.space.values(x)),
    denoised: against(),
    centred: against(approximation.mean()),
  };
}
