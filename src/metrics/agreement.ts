/**
 * Agreement with a reference: the published measures of how near an analytic
 * denoiser comes to another one or to a network, and the error to the full scan.
 *
 * The two are different questions. A denoiser over a subset may agree better with
 * a network than the full scan does, and be further from the full scan for it: report both.
 *
 * @module
 */
import { checkOptionNames } from "../base/_options.ts";
import { sizeOf } from "../base/_shape.ts";
import { EVALUATE_OPTIONS } from "../compute/posterior.ts";
import type { EvaluateOptions, Sigma } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { outputsOf } from "./_outputs.ts";
import { rootMeanSquares } from "./_distances.ts";
import { pairOf, ROWS_OPTIONS } from "./samples.ts";
import type { RowsOptions, Samples } from "./samples.ts";
import { mse, pearson, rSquared } from "./pairs.ts";
import type { PairScores } from "./pairs.ts";

/** The published measures in one range convention. */
export interface ConventionScores {
  /** Mean squared error per sample. */
  readonly mse: PairScores;
  /** `1 − ‖p − q‖²/(d var(q))` per sample, see {@linkcode rSquared}. */
  readonly rSquared: PairScores;
}

/** How well samples agree with a reference, by every published measure, each named for what it is. */
export interface Agreement {
  /** Mapped to [0, 1] and clamped there: the convention of GoldDiff, arXiv:2602.16498. */
  readonly unit: ConventionScores;
  /** As the numbers are, in [-1, 1] for images, not clamped: the convention of arXiv:2509.09672. */
  readonly raw: ConventionScores;
  /** Pearson's `r`, not squared, of the numbers as they are; arXiv:2412.20292 gives its median. */
  readonly pearson: PairScores;
}

/**
 * All published measures of agreement between samples and reference samples.
 *
 * The papers apply them at the last step only, each model on its own
 * trajectory from the same start noise; for outputs on the same input see
 * {@linkcode denoiserAgreement}. Numbers of different papers are not comparable.
 *
 * @param predicted Samples to judge, `B` rows of `d` numbers, images in [-1, 1]; or a run, a data set, a tensor, rows with a shape.
 * @param reference Samples to judge them by, `B` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers.
 * @returns Scores per sample with mean and median, in both conventions.
 * @throws {TypeError} If the lengths differ or are no positive, whole number of rows of at least 2 numbers.
 * @throws {RangeError} If a number is not finite, or a sample is constant and so has no correlation.
 *
 * @example Overshooting the range counts in one convention only
 * ```ts
 * import { agreement } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const reference = Float64Array.of(-1, -1, 1, 1), predicted = Float64Array.of(-1, -1, 1, 3);
 * const { unit, raw, pearson } = agreement(predicted, reference, { dimension: 4 });
 * assert.deepEqual([unit.mse.mean, raw.mse.mean, unit.rSquared.mean], [0, 1, 1]);
 * assert.ok(raw.rSquared.mean === 0.25 && pearson.median < 1);
 * ```
 */
export function agreement(
  predicted: Samples,
  reference: Samples,
  options: RowsOptions = {},
): Agreement {
  checkOptionNames("compute the agreement", options, ROWS_OPTIONS);
  const { first, second, dimension } = pairOf(
    predicted,
    reference,
    "compute the agreement",
    options.dimension,
  );
  const scores = (toUnit: boolean): ConventionScores => ({
    mse: mse(first, second, { dimension, toUnit }),
    rSquared: rSquared(first, second, { dimension, toUnit }),
  });
  return {
    unit: scores(true),
    raw: scores(false),
    pearson: pearson(first, second, { dimension }),
  };
}

/**
 * The agreement of two denoisers on the same noisy input: the one-step variant of {@linkcode agreement}.
 *
 * @param denoiser The denoiser to judge.
 * @param reference The denoiser to judge it by, of the same shape and kind of states.
 * @param x Noisy states, `B` rows. Not disposed.
 * @param sigma Noise level in data units, one for all rows or one each.
 * @param options A signal that cancels.
 * @returns Scores per row, in both conventions.
 * @throws {TypeError} If the two work on samples of different shapes.
 * @throws {RangeError} If an output is not finite or constant, or a noise level not positive.
 *
 * @example A denoiser agrees with itself
 * ```ts
 * import { denoiserAgreement, moons, optimal } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const denoiser = await optimal(moons(50), { device: "float64" });
 * const { raw } = await denoiserAgreement(denoiser, denoiser, Float64Array.of(1, 0, 0, 1), 0.5);
 * assert.deepEqual([raw.mse.mean, raw.rSquared.mean], [0, 1]);
 * ```
 */
export async function denoiserAgreement<X>(
  denoiser: Denoiser<X>,
  reference: Denoiser<X>,
  x: X,
  sigma: Sigma,
  options: EvaluateOptions = {},
): Promise<Agreement> {
  checkOptionNames("compare denoisers", options, EVALUATE_OPTIONS);
  const [ours, theirs] = await outputsOf(denoiser, reference, x, sigma, options);
  return agreement(ours, theirs, { dimension: sizeOf(denoiser.shape) });
}

/** The error of a restricted denoiser against the same one over all data. */
export interface ScanError {
  /** Mean squared error per row, its mean and median, in squared data units. */
  readonly mse: PairScores;
  /** Root mean square error per row, `‖D − D_S‖/√d`, in data units: what a certificate bounds. */
  readonly rms: Float64Array;
  /** The largest of them. */
  readonly worst: number;
}

/**
 * The error of a denoiser over a part of the data to the full scan, on the same noisy input.
 *
 * ```text
 * rms = ‖D(x, σ) − D_S(x, σ)‖/√d   per row
 * ```
 *
 * For a local base the full scan is the local denoiser over all data, not the optimal one.
 *
 * @param denoiser The denoiser over a part of the data.
 * @param fullScan The same denoiser over all data.
 * @param x Noisy states, `B` rows. Not disposed.
 * @param sigma Noise level in data units, one for all rows or one each.
 * @param options A signal that cancels.
 * @returns The errors per row.
 * @throws {TypeError} If the two work on samples of different shapes.
 * @throws {RangeError} If an output is not finite, or a noise level not positive.
 *
 * @example At high noise, half of the data are not enough
 * ```ts
 * import { errorToFullScan, moons, optimal } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const data = moons(100);
 * const half = data.take(50);
 * const { worst } = await errorToFullScan(
 *   await optimal(half, { device: "float64" }),
 *   await optimal(data, { device: "float64" }),
 *   Float64Array.of(3, 4),
 *   10,
 * );
 * assert.ok(worst > 1e-3);
 * ```
 */
export async function errorToFullScan<X>(
  denoiser: Denoiser<X>,
  fullScan: Denoiser<X>,
  x: X,
  sigma: Sigma,
  options: EvaluateOptions = {},
): Promise<ScanError> {
  checkOptionNames("compare denoisers", options, EVALUATE_OPTIONS);
  const [ours, theirs] = await outputsOf(denoiser, fullScan, x, sigma, options);
  const errors = mse(ours, theirs, { dimension: sizeOf(denoiser.shape) });
  const rms = rootMeanSquares(ours, theirs, sizeOf(denoiser.shape));
  return { mse: errors, rms, worst: rms.reduce((most, v) => Math.max(most, v), 0) };
}
