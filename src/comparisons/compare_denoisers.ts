/**
 * Denoisers beside each other: level by level, and by their samples from the same noise.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import { sizeOf } from "../base/_shape.ts";
import { stopButton } from "../base/stop_button.ts";
import type { GridName, SigmaGrid } from "../base/noise.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { noisyItems, noisyStates } from "../denoisers/_noisy_items.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { rootMeanSquares } from "../metrics/_distances.ts";
import { explainedVariance } from "../metrics/explained_variance.ts";
import { lineSpec } from "../plots/line_spec.ts";
import type { ChartSpec } from "../plots/chart.ts";
import type { SamplerName } from "../samplers/registry.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { comparison } from "./comparison.ts";
import type { Comparison } from "./comparison.ts";
import {
  checkDenoisers,
  endsOf,
  errorsOf,
  gridOf,
  heldData,
  onLogAxis,
  outputsAt,
  progressOf,
  samplerName,
  samplesOf,
  samplesShown,
} from "./_runs.ts";

/** Options of {@linkcode compareDenoisers}. */
export interface CompareDenoisersOptions {
  /** The data whose noisy items all denoise, such as held-out ones. Default: those of the first denoiser that can draw items. */
  readonly data?: Dataset;
  /** The noise levels. Default: the positive ones of the grid. */
  readonly sigmas?: readonly number[];
  /** How many noisy items at each level, and how many samples. Default 8. */
  readonly count?: number;
  /** Seed of items, noise and samples. Default 0. */
  readonly seed?: number;
  /** The sampler of the samples, by name or made by its function. Default `"ddim"`. */
  readonly sampler?: SamplerName | Sampler;
  /** The grid of the samples. Default `"ddpm"`. */
  readonly grid?: GridName | SigmaGrid;
  /** Steps of a grid that is named. Default 10. */
  readonly steps?: number;
  /** Whether one line tells how far it has come, of work over two seconds. Default true. */
  readonly progress?: boolean;
  /** Cancels this. */
  readonly signal?: AbortSignal;
}

/** One denoiser at one noise level, beside the first denoiser. */
export interface DenoiserRow {
  /** The noise level. */
  readonly sigma: number;
  /** The denoiser. */
  readonly denoiser: string;
  /** Root mean square distance per number from the outputs of the first denoiser, in data units. */
  readonly distance: number;
  /** The share of the variance of the first denoiser's outputs about the mean that it explains: 1 for equal outputs. */
  readonly explained: number;
}

/** The samples of one denoiser. */
export interface DenoiserRun {
  /** The denoiser. */
  readonly denoiser: string;
  /** Median root mean square distance per number from the first denoiser's samples of the same noise. */
  readonly distance: number;
  /** Denoiser evaluations per sample. */
  readonly evaluations: number;
  /** Wall-clock seconds, of all samples. */
  readonly seconds: number;
}

/** What {@linkcode compareDenoisers} returns. */
export type DenoiserComparison = Comparison<DenoiserRow> & {
  /** The samples of each denoiser, from the same noise. */
  readonly samples: Readonly<Record<string, Dataset>>;
  /** How far they are from those of the first one, and what they cost. */
  readonly runs: readonly DenoiserRun[];
};

const OPTIONS = {
  data: undefined,
  sigmas: undefined,
  count: 8,
  seed: 0,
  sampler: "ddim",
  grid: "ddpm",
  steps: 10,
  progress: true,
  signal: undefined,
} satisfies OptionTable<CompareDenoisersOptions>;

const ACTION = "compare denoisers";

/**
 * One denoiser beside others: how far their outputs are from the first one's on the same noisy items, level by level, and
 * their samples from the same noise.
 *
 * ```text
 * distance = √( mean |D₁ − D|²/d ),   explained = 1 − Σ |D₁ − D|² / Σ |D₁ − μ|²
 * ```
 *
 * with `μ` the mean of the data, or that of the outputs where the first denoiser does not know it.
 *
 * @param denoisers The denoisers by their names, at least two; the first one is what the others are measured by.
 * @param options Data, levels, number of items and samples, sampler.
 * @returns One row per level and other denoiser, and the samples. It shows itself as pictures with labelled rows, table and chart.
 * @throws {RangeError} If a number is out of range, or no denoiser can draw items and there are no data.
 * @throws {TypeError} If there is no such option, or they are no denoisers of one shape.
 *
 * @example The data's Gaussian denoises as well as the data where the noise is large
 * ```ts
 * import { compareDenoisers, functionDenoiser, gaussianLaw, moons } from "@closedform/diffusion";
 * import { arraySpace } from "@closedform/diffusion/compute";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = gaussianFlow(gaussianLaw([0, 0], 1));
 * const mine = functionDenoiser((x, sigma) => x.map((v) => v / (1.1 + sigma ** 2)), { shape: [2], space: arraySpace });
 * const table = await compareDenoisers({ denoiser, mine }, { data: moons(8), sigmas: [10, 1] });
 * assert.ok(table[0].distance < table[1].distance);
 * assert.deepEqual(Object.keys(table.samples), ["denoiser", "mine"]);
 * ```
 */
export async function compareDenoisers(
  // deno-lint-ignore no-explicit-any -- of states of any kind
  denoisers: Readonly<Record<string, Denoiser<any>>>,
  options: CompareDenoisersOptions = {},
): Promise<DenoiserComparison> {
  const settings = readOptions(ACTION, options, OPTIONS);
  const { count, seed, steps } = settings;
  checkDenoisers(ACTION, denoisers, 2);
  checkWhole(ACTION, "count", count, 1);
  const all = Object.entries(denoisers);
  const grid = gridOf(settings.grid, steps), sampler = settings.sampler;
  const sigmas = settings.sigmas ?? grid.sigmas.filter((sigma) => sigma > 0);
  samplerName(sampler);
  checkLevels(sigmas);
  using stop = stopButton(settings.signal);
  const { signal } = stop;
  const noisy = noisyItems(
    drawOf(settings.data, all),
    sizeOf(all[0][1].shape),
    count,
    seed,
  );
  const rows: DenoiserRow[] = [];
  for (const sigma of sigmas) {
    rows.push(...await atLevel(all, noisyStates(noisy, sigma), sigma, signal));
  }
  const range = (settings.data ?? heldData(all[0][1]))?.range;
  const progress = progressOf("sample the denoisers", all.length, settings.progress);
  const samples: Record<string, Dataset> = {}, runs: DenoiserRun[] = [];
  let first: Float64Array | undefined;
  for (const [name, denoiser] of all) {
    const onProgress = progress(runs.length);
    const run = await endsOf(denoiser, { sampler, grid, count, seed, signal, onProgress });
    const { values, evaluations, seconds } = run;
    samples[name] = samplesOf(name, values, denoiser, range);
    first ??= values;
    const { median } = errorsOf(values, first, sizeOf(denoiser.shape));
    runs.push({ denoiser: name, distance: median, evaluations, seconds });
  }
  const chart = () => distances(rows, all[0][0]);
  const table = comparison(
    rows,
    chart,
    () => [...samplesShown(samples), [...runs], byLevel(rows), chart()],
  );
  return Object.assign(table, { samples, runs });
}

/** Items under noise, of the data that are given, or of the first denoiser that knows some. */
function drawOf(
  data: Dataset | undefined,
  all: readonly (readonly [string, Denoiser<unknown>])[],
): NonNullable<Denoiser<unknown>["draw"]> {
  if (data) return (stream) => data.values(stream.below(data.count));
  const drawing = all.find(([, { draw }]) => draw);
  if (drawing) return drawing[1].draw!;
  throw new RangeError(
    `Cannot ${ACTION}: none of ${
      all.map(([name]) => name).join(", ")
    } can draw items, wanted the option data`,
  );
}

function checkLevels(sigmas: readonly number[]): void {
  if (sigmas.length > 0 && sigmas.every((sigma) => sigma > 0 && sigma < Infinity)) return;
  throw new RangeError(
    `Cannot ${ACTION}: sigmas is [${sigmas}], wanted at least one finite noise level > 0`,
  );
}

/** All denoisers but the first beside it, on the same states. */
async function atLevel(
  all: readonly (readonly [string, Denoiser<unknown>])[],
  states: Float64Array,
  sigma: number,
  signal: AbortSignal | undefined,
): Promise<DenoiserRow[]> {
  const [[, first], ...others] = all;
  const dimension = sizeOf(first.shape);
  const truth = await outputsAt(first, states, sigma, signal);
  const centre = first.mean?.() ?? columnMeans(truth, dimension);
  const rows: DenoiserRow[] = [];
  for (const [denoiser, other] of others) {
    const outputs = await outputsAt(other, states, sigma, signal);
    const each = rootMeanSquares(outputs, truth, dimension);
    const distance = Math.sqrt(each.reduce((sum, v) => sum + v * v, 0) / each.length);
    const explained = explainedVariance(truth, outputs, { dimension, centre }).ratioOfMeans;
    rows.push({ sigma, denoiser, distance, explained });
  }
  return rows;
}

function columnMeans(rows: Float64Array, dimension: number): Float64Array {
  const mean = new Float64Array(dimension), count = rows.length / dimension;
  rows.forEach((v, at) => mean[at % dimension] += v / count);
  return mean;
}

/** A line per level, a column per denoiser and number. */
function byLevel(rows: readonly DenoiserRow[]): Record<string, number>[] {
  return [...new Set(rows.map(({ sigma }) => sigma))].map((sigma) => {
    const own = rows.filter((row) => row.sigma === sigma);
    return {
      sigma,
      ...Object.fromEntries(own.map((row) => [`${row.denoiser}, distance`, row.distance])),
      ...Object.fromEntries(own.map((row) => [`${row.denoiser}, explained`, row.explained])),
    };
  });
}

function distances(rows: readonly DenoiserRow[], first: string): ChartSpec {
  const names = [...new Set(rows.map(({ denoiser }) => denoiser))];
  return lineSpec(
    names.map((label) => {
      const own = rows.filter(({ denoiser }) => denoiser === label);
      return {
        label,
        x: own.map(({ sigma }) => sigma),
        y: onLogAxis(own.map(({ distance }) => distance)),
      };
    }),
    {
      title: `Distance from ${first} on the same noisy items`,
      xTitle: "noise level σ",
      yTitle: "rms per number",
      xLog: true,
      yLog: true,
      xReversed: true,
      width: 480,
    },
  );
}
