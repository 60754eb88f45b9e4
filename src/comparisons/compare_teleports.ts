/**
 * Teleports beside runs without: what a first leg in closed form saves at equal quality.
 *
 * @module
 */
import { checkKind } from "../base/_kinds.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import { sizeOf } from "../base/_shape.ts";
import { stopButton } from "../base/stop_button.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { dataSpectrum } from "../denoisers/gaussian/spectrum.ts";
import type { SamplerName } from "../samplers/registry.ts";
import { samplerOf } from "../samplers/_choices.ts";
import { respacedGrid } from "../samplers/respaced_grid.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { gaussianLeg } from "../samplers/teleport/first_leg.ts";
import { teleport } from "../samplers/teleport/teleport.ts";
import { GAUSSIAN_SCORE, keepReferences } from "../metrics/_references.ts";
import { comparison } from "./comparison.ts";
import type { Comparison } from "./comparison.ts";
import type { EndErrors, ErrorMeasure, ReferenceOptions } from "./_runs.ts";
import {
  checkMeasure,
  endsOf,
  errorsOf,
  gridOf,
  heldData,
  progressOf,
  REFERENCE_OPTIONS,
  samplerName,
  workPrecision,
} from "./_runs.ts";

/** Options of {@linkcode compareTeleports}. */
export interface CompareTeleportsOptions extends ReferenceOptions {
  /** The data whose Gaussian the first leg follows. Default: those that the denoiser holds. */
  readonly data?: Dataset;
  /** The samplers, by name or made by their functions. Default dpmpp-2m. */
  readonly samplers?: readonly (SamplerName | Sampler)[];
  /** The noise levels to land on. Default 20, 10, 5. */
  readonly skips?: readonly number[];
  /** Steps of the grid, one run each; with a teleport all of them lie below the landing. Default 6, 8, 10, 14, 20. */
  readonly steps?: readonly number[];
  /** Steps of the grid of the reference. Default 100. */
  readonly referenceSteps?: number;
}

/** One sampler with one number of steps, with or without a teleport. */
export interface TeleportRow extends EndErrors {
  /** The sampler. */
  readonly sampler: string;
  /** The noise level landed on; none without a teleport. */
  readonly skip?: number;
  /** Steps of its grid. */
  readonly steps: number;
  /** Denoiser evaluations per sample. */
  readonly evaluations: number;
  /**
   * With a teleport, the evaluations that the same sampler needs without one for the same error, between its runs by straight
   * lines in the logarithm of the error; none where its runs do not reach it, or are all better.
   */
  readonly without?: number;
  /** Wall-clock seconds, of all samples. */
  readonly seconds: number;
}

const OPTIONS = {
  ...REFERENCE_OPTIONS,
  data: undefined,
  samplers: ["dpmpp-2m"],
  skips: [20, 10, 5],
  steps: [6, 8, 10, 14, 20],
  referenceSteps: 100,
} satisfies OptionTable<CompareTeleportsOptions>;

const ACTION = "compare teleports";

/**
 * What a teleport along the Gaussian of the data saves: errors with and without it, for the same sampler and noise.
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726.
 *
 * @param denoiser The denoiser.
 * @param options Data, samplers, levels to land on, steps, number of samples.
 * @returns One row per sampler, landing and number of steps, those without a teleport first; `.chart()` draws error over evaluations.
 * @throws {RangeError} If a number is out of range, there is no such sampler or grid, or a landing is not on the grid.
 * @throws {TypeError} If there is no such option, nothing to compare, or no data.
 *
 * @example
 * ```ts
 * import { compareTeleports, gaussianLaw, moons } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = gaussianFlow(gaussianLaw([0.5, 0.25], 0.5));
 * const table = await compareTeleports(denoiser, { data: moons(50), skips: [10], steps: [6], count: 4 });
 * assert.deepEqual(table.map(({ skip }) => skip), [undefined, 10]);
 * ```
 */
export async function compareTeleports<X>(
  denoiser: Denoiser<X>,
  options: CompareTeleportsOptions = {},
): Promise<Comparison<TeleportRow>> {
  checkKind(ACTION, "denoiser", denoiser, "denoiser");
  const settings = readOptions(ACTION, options, OPTIONS);
  const { samplers, skips, steps, grid, count, seed, referenceSteps, measure } = settings;
  checkWhole(ACTION, "count", count, 1);
  checkMeasure(ACTION, measure);
  if (samplers.length === 0 || steps.length === 0 || skips.length === 0) {
    throw new TypeError(
      `Cannot ${ACTION}: received ${samplers.length} samplers, ${skips.length} skips and ${steps.length} numbers of steps, wanted at least one each`,
    );
  }
  const data = settings.data ?? heldData(denoiser);
  if (!data) {
    throw new TypeError(
      `Cannot ${ACTION}: ${denoiser.label} holds no data, wanted the option data`,
    );
  }
  const names = samplers.map(samplerName), truth = samplerName(settings.reference);
  using stop = stopButton(settings.signal);
  const { signal } = stop;
  using leg = gaussianLeg(await dataSpectrum(data, { signal }));
  const shared = { count, seed, signal };
  const runs = 1 + samplers.length * (1 + skips.length) * steps.length;
  const progress = progressOf(ACTION, runs, settings.progress);
  const fine = {
    ...{ ...shared, sampler: settings.reference, grid: gridOf(grid, referenceSteps) },
    onProgress: progress(0),
  };
  const reference = await endsOf(denoiser, fine);
  const rows: TeleportRow[] = [];
  for (const [i, choice] of samplers.entries()) {
    const plain: TeleportRow[] = [];
    for (const skip of [undefined, ...skips]) {
      for (const n of steps) {
        const whole = gridOf(grid, n);
        const sampler = await samplerOf(denoiser, whole, { sampler: choice, signal });
        const run = await endsOf(denoiser, {
          ...shared,
          onProgress: progress(1 + rows.length),
          sampler: skip === undefined ? sampler : teleport(sampler, leg, { sigma: skip }),
          grid: skip === undefined ? whole : respacedGrid(whole, skip),
        });
        const { evaluations, seconds } = run;
        const errors = errorsOf(run.values, reference.values, sizeOf(denoiser.shape));
        const without = skip === undefined ? undefined : needed(plain, errors[measure], measure);
        const row: TeleportRow = {
          sampler: names[i],
          skip,
          steps: n,
          evaluations,
          ...errors,
          without,
          seconds,
        };
        rows.push(row);
        if (skip === undefined) plain.push(row);
      }
    }
  }
  const nameOf = ({ sampler, skip }: TeleportRow) =>
    skip === undefined ? sampler : `${sampler}, teleport to ${skip}`;
  return comparison(rows, () => workPrecision(rows, nameOf, measure, truth));
}

/** The evaluations at which the error of some runs falls to a value, if it does between two of them. */
function needed(
  runs: readonly TeleportRow[],
  error: number,
  measure: ErrorMeasure,
): number | undefined {
  for (let i = 1; i < runs.length; i++) {
    const [high, low] = [runs[i - 1][measure], runs[i][measure]];
    if (!(high >= error && error >= low && high > low && low > 0)) continue;
    const [begin, end] = [runs[i - 1].evaluations, runs[i].evaluations];
    return begin + Math.log(high / error) / Math.log(high / low) * (end - begin);
  }
}

keepReferences(compareTeleports, [GAUSSIAN_SCORE]);
