/**
 * Agreement of denoisers with a reference, such as a network: the main table of the papers.
 *
 * @module
 */
import { checkKind } from "../base/_kinds.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import { sizeOf } from "../base/_shape.ts";
import { stopButton } from "../base/stop_button.ts";
import type { GridName, SigmaGrid } from "../base/noise.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { agreement } from "../metrics/agreement.ts";
import { lineSpec } from "../plots/line_spec.ts";
import type { ChartSpec } from "../plots/chart.ts";
import type { SamplerName } from "../samplers/registry.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { CREATIVITY, keepReferences, LOCALITY } from "../metrics/_references.ts";
import { comparison } from "./comparison.ts";
import type { Comparison } from "./comparison.ts";
import {
  checkDenoisers,
  endsOf,
  gridOf,
  progressOf,
  samplerName,
  samplesOf,
  samplesShown,
} from "./_runs.ts";

/** Options of {@linkcode compareAgreement}. */
export interface CompareAgreementOptions {
  /** The sampler, by name or made by its function. Default `"ddim"`. */
  readonly sampler?: SamplerName | Sampler;
  /** The grid. Default `"ddpm"`. */
  readonly grid?: GridName | SigmaGrid;
  /** Steps of a grid that is named. Default 10. */
  readonly steps?: number;
  /** How many samples. Default 16; 128 in the papers. */
  readonly count?: number;
  /** Seed of the start noise, the same for all. Default 0. */
  readonly seed?: number;
  /** Whether one line tells how far it has come, of work over two seconds. Default true. */
  readonly progress?: boolean;
  /** Cancels this. */
  readonly signal?: AbortSignal;
}

/** The agreement of one denoiser with the reference, at the end of their runs. */
export interface AgreementRow {
  /** The denoiser. */
  readonly denoiser: string;
  /** Mean squared error of numbers in [0, 1], clamped, mean over the samples. */
  readonly mse: number;
  /** `r²` of numbers in [0, 1], clamped, mean over the samples. */
  readonly rSquared: number;
  /** `r²` of the numbers as they are, mean over the samples. */
  readonly rawRSquared: number;
  /** Pearson's `r`, median over the samples. */
  readonly pearson: number;
  /** `rSquared` less that of the row above, of the same samples; none in the first row. */
  readonly gain?: number;
  /** The standard error of `gain`; none of a single sample. */
  readonly gainError?: number;
  /** Seconds per sample and step. */
  readonly seconds: number;
}

/** What {@linkcode compareAgreement} returns. */
export type AgreementComparison = Comparison<AgreementRow> & {
  /** The samples of each denoiser, and of the reference, which is the last one. */
  readonly samples: Readonly<Record<string, Dataset>>;
};

const OPTIONS = {
  sampler: "ddim",
  grid: "ddpm",
  steps: 10,
  count: 16,
  seed: 0,
  progress: true,
  signal: undefined,
} satisfies OptionTable<CompareAgreementOptions>;

const ACTION = "compare agreement";

/**
 * How well the samples of denoisers agree with those of a reference, such as a network: each on its own trajectory from the
 * same noise, at the last step, by all published measures.
 *
 * A difference of two denoisers counts only if it exceeds its standard error, which is that of the paired differences.
 *
 * References: A. Lukoianov et al. (2025), arXiv:2509.09672; M. Kamb, S. Ganguli (2024), arXiv:2412.20292; GoldDiff,
 * arXiv:2602.16498, for the protocol.
 *
 * @param reference What the others are judged by.
 * @param denoisers The denoisers by their names, at least one, of images.
 * @param options Sampler, grid, number of samples, seed.
 * @returns One row per denoiser. It shows itself as pictures with labelled rows, the reference's last, table and chart.
 * @throws {RangeError} If a number is out of range, or a sample is constant and so has no correlation.
 * @throws {TypeError} If there is no such option, or they are no denoisers of one shape.
 *
 * @example A denoiser agrees with itself
 * ```ts
 * import { compareAgreement, gaussianLaw } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = gaussianFlow(gaussianLaw([0, 0, 0, 0], 1));
 * const [same] = await compareAgreement(denoiser, { same: denoiser }, { count: 4 });
 * assert.deepEqual([same.mse, same.rSquared], [0, 1]);
 * ```
 */
export async function compareAgreement(
  // deno-lint-ignore no-explicit-any -- of states of any kind
  reference: Denoiser<any>,
  // deno-lint-ignore no-explicit-any -- likewise
  denoisers: Readonly<Record<string, Denoiser<any>>>,
  options: CompareAgreementOptions = {},
): Promise<AgreementComparison> {
  checkKind(ACTION, "reference", reference, "denoiser");
  const settings = readOptions(ACTION, options, OPTIONS);
  const { count, seed, steps } = settings;
  checkDenoisers(ACTION, denoisers, 1, reference.shape);
  checkWhole(ACTION, "count", count, 1);
  const grid = gridOf(settings.grid, steps), sampler = settings.sampler;
  samplerName(sampler);
  using stop = stopButton(settings.signal);
  const run = { sampler, grid, count, seed, signal: stop.signal };
  const dimension = sizeOf(reference.shape);
  const progress = progressOf(ACTION, 1 + Object.keys(denoisers).length, settings.progress);
  const truth = await endsOf(reference, { ...run, onProgress: progress(0) });
  const rows: AgreementRow[] = [], curves: Record<string, Float64Array> = {};
  const samples: Record<string, Dataset> = {};
  let above: Float64Array | undefined;
  for (const [name, denoiser] of Object.entries(denoisers)) {
    const { values, seconds } = await endsOf(denoiser, {
      ...run,
      onProgress: progress(1 + rows.length),
    });
    const { unit, raw, pearson } = agreement(values, truth.values, { dimension });
    const own = unit.rSquared.perSample;
    rows.push({
      denoiser: name,
      mse: unit.mse.mean,
      rSquared: unit.rSquared.mean,
      rawRSquared: raw.rSquared.mean,
      pearson: pearson.median,
      gain: undefined,
      gainError: undefined,
      ...(above && gainOver(above, own)),
      seconds: seconds / count / (grid.sigmas.length - 1),
    });
    samples[name] = samplesOf(name, values, denoiser);
    curves[name] = above = own;
  }
  samples.reference = samplesOf("the reference", truth.values, reference);
  const chart = () => quantiles(curves);
  const table = comparison(rows, chart, () => [...samplesShown(samples), [...rows], chart()]);
  return Object.assign(table, { samples });
}

/** The mean of paired differences and its standard error. */
function gainOver(
  above: Float64Array,
  own: Float64Array,
): Pick<AgreementRow, "gain" | "gainError"> {
  const n = own.length;
  const gain = own.reduce((sum, v, i) => sum + v - above[i], 0) / n;
  if (n < 2) return { gain };
  const squares = own.reduce((sum, v, i) => sum + (v - above[i] - gain) ** 2, 0);
  return { gain, gainError: Math.sqrt(squares / (n - 1) / n) };
}

/** For each denoiser, its samples by their agreement, from the worst to the best. */
function quantiles(curves: Readonly<Record<string, Float64Array>>): ChartSpec {
  return lineSpec(
    Object.entries(curves).map(([label, scores]) => ({
      label,
      x: Array.from(scores, (_, i) => (i + 0.5) / scores.length),
      y: Float64Array.from(scores).sort(),
    })),
    {
      title: "Agreement with the reference, sample by sample",
      xTitle: "share of the samples",
      yTitle: "r² in [0, 1], clamped",
      width: 480,
    },
  );
}

keepReferences(compareAgreement, [LOCALITY, CREATIVITY]);
