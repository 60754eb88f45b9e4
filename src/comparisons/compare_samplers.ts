/**
 * Samplers beside each other: the error for a budget of evaluations.
 *
 * @module
 */
import { checkKind } from "../base/_kinds.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import { sizeOf } from "../base/_shape.ts";
import { stopButton } from "../base/stop_button.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { nearestItems } from "../metrics/nearest.ts";
import type { SamplerName } from "../samplers/registry.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { comparison } from "./comparison.ts";
import type { Comparison } from "./comparison.ts";
import type { EndErrors, ReferenceOptions } from "./_runs.ts";
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

export type { EndErrors, ErrorMeasure, ReferenceOptions } from "./_runs.ts";

/** Options of {@linkcode compareSamplers}. */
export interface CompareSamplersOptions extends ReferenceOptions {
  /** The samplers, by name or made by their functions. Default ddim, heun, dpmpp-2m, unipc. */
  readonly samplers?: readonly (SamplerName | Sampler)[];
  /** Steps of the grid, one run each. Default 5, 10, 20, 40. */
  readonly steps?: readonly number[];
  /** Steps of the grid of the reference; collocation uses its ends only. Default 4 times the most steps, at least 100. */
  readonly referenceSteps?: number;
}

/** One sampler with one number of steps. */
export interface SamplerRow extends EndErrors {
  /** The sampler. */
  readonly sampler: string;
  /** Steps of its grid. */
  readonly steps: number;
  /** Denoiser evaluations per sample. */
  readonly evaluations: number;
  /** The share of samples that ended nearest to another item than the reference did, where the denoiser holds its data. */
  readonly otherItem?: number;
  /** Wall-clock seconds, of all samples. */
  readonly seconds: number;
}

const OPTIONS = {
  ...REFERENCE_OPTIONS,
  samplers: ["ddim", "heun", "dpmpp-2m", "unipc"],
  steps: [5, 10, 20, 40],
  referenceSteps: undefined,
} satisfies OptionTable<CompareSamplersOptions>;

const ACTION = "compare samplers";

/**
 * Which sampler for which budget: errors of samplers against an accurate run from the same noise.
 *
 * ```text
 * rms = √( mean ‖x − x_ref‖²/d )
 * ```
 *
 * Of an optimal denoiser all samples end at items of the data, most at that of the reference and some at another: there the
 * root mean square tells how many, and the share of other items is beside it. Else the median tells the order of a method
 * better, which a few samples that end elsewhere do not change.
 *
 * @param denoiser The denoiser.
 * @param options Samplers, steps, reference, number of samples.
 * @returns One row per sampler and number of steps; `.chart()` is the work-precision chart.
 * @throws {RangeError} If a number is out of range, or there is no such sampler or grid.
 * @throws {TypeError} If there is no such option, or nothing to compare.
 *
 * @example On a Gaussian, higher orders are nearer to the truth for the same cost
 * ```ts
 * import { compareSamplers, gaussianLaw } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = gaussianFlow(gaussianLaw([1, 0], [1, 0.25]));
 * const table = await compareSamplers(denoiser, { samplers: ["ddim", "unipc"], steps: [20], count: 4 });
 * assert.ok(table[1].rms < table[0].rms && table[1].evaluations === table[0].evaluations);
 * ```
 */
export async function compareSamplers<X>(
  denoiser: Denoiser<X>,
  options: CompareSamplersOptions = {},
): Promise<Comparison<SamplerRow>> {
  checkKind(ACTION, "denoiser", denoiser, "denoiser");
  const settings = readOptions(ACTION, options, OPTIONS);
  const { samplers, steps, grid, count, seed } = settings;
  checkWhole(ACTION, "count", count, 1);
  checkMeasure(ACTION, settings.measure);
  if (samplers.length === 0 || steps.length === 0) {
    throw new TypeError(
      `Cannot ${ACTION}: received ${samplers.length} samplers and ${steps.length} numbers of steps, wanted at least one each`,
    );
  }
  const names = samplers.map(samplerName), truth = samplerName(settings.reference);
  const { referenceSteps = Math.max(100, 4 * Math.max(...steps)) } = settings;
  using stop = stopButton(settings.signal);
  const { signal } = stop;
  const shared = { count, seed, signal };
  const progress = progressOf(ACTION, 1 + samplers.length * steps.length, settings.progress);
  const fine = {
    ...{ ...shared, sampler: settings.reference, grid: gridOf(grid, referenceSteps) },
    onProgress: progress(0),
  };
  const reference = await endsOf(denoiser, fine);
  const dimension = sizeOf(denoiser.shape), data = heldData(denoiser);
  const itemsOf = async (ends: Float64Array) =>
    data && (await nearestItems(ends, data, { signal })).nearest;
  const items = await itemsOf(reference.values);
  const rows: SamplerRow[] = [];
  for (const [i, sampler] of samplers.entries()) {
    for (const n of steps) {
      const onProgress = progress(1 + rows.length);
      const run = await endsOf(denoiser, { ...shared, sampler, grid: gridOf(grid, n), onProgress });
      const { evaluations, seconds } = run;
      const own = await itemsOf(run.values);
      rows.push({
        sampler: names[i],
        steps: n,
        evaluations,
        ...errorsOf(run.values, reference.values, dimension),
        ...(own && items &&
          { otherItem: own.filter((item, i) => item !== items[i]).length / count }),
        seconds,
      });
    }
  }
  const nameOf = (row: SamplerRow) => row.sampler;
  return comparison(rows, () => workPrecision(rows, nameOf, settings.measure, truth));
}
