/**
 * Runs that are compared: of denoisers and samplers by what users name, as plain numbers.
 *
 * @module
 */
import type { LabelledImages } from "../base/_display.ts";
import { received } from "../base/_kinds.ts";
import { gridByName } from "../base/noise.ts";
import type { GridName, SigmaGrid } from "../base/noise.ts";
import type { OptionTable } from "../base/_options.ts";
import { medianOf, quantile } from "../base/_quantile.ts";
import { isImage, sizeOf } from "../base/_shape.ts";
import { capabilitiesOf } from "../denoisers/_capabilities.ts";
import { Dataset } from "../datasets/dataset.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { rootMeanSquares } from "../metrics/_distances.ts";
import type { ChartSpec } from "../plots/chart.ts";
import { lineSpec } from "../plots/line_spec.ts";
import { panelsSpec } from "../plots/panels_spec.ts";
import { scatterSpec } from "../plots/scatter_spec.ts";
import { lateProgress } from "../base/progress.ts";
import { samplerByName } from "../samplers/registry.ts";
import type { SamplerName } from "../samplers/registry.ts";
import { sample } from "../samplers/sample.ts";
import type { SampleOptions } from "../samplers/sample.ts";
import type { Sampler } from "../samplers/sampler.ts";

/** Options of comparisons of runs with an accurate one from the same noise. */
export interface ReferenceOptions {
  /** The grid, by name. Default `"karras"`, whose ends do not depend on the steps. */
  readonly grid?: GridName;
  /** What errors are measured against, a sampler of its own accuracy or on a fine grid. Default `"collocation"`. */
  readonly reference?: SamplerName | Sampler;
  /** The error that counts: the root mean square over the samples, or their median. Default `"rms"`. */
  readonly measure?: ErrorMeasure;
  /** How many samples. Default 16. */
  readonly count?: number;
  /** Seed of the start noise, the same for all. Default 0. */
  readonly seed?: number;
  /** Whether one line tells how far it has come, of work over two seconds. Default true. */
  readonly progress?: boolean;
  /** Cancels this. */
  readonly signal?: AbortSignal;
}

/** The options of {@linkcode ReferenceOptions}, with their defaults. */
export const REFERENCE_OPTIONS = {
  grid: "karras",
  reference: "collocation",
  measure: "rms",
  count: 16,
  seed: 0,
  progress: true,
  signal: undefined,
} satisfies OptionTable<ReferenceOptions>;

/** Where the samples of a run ended, and what it took. */
export interface Ends {
  /** The samples, `count` rows. */
  readonly values: Float64Array;
  /** Denoiser evaluations per sample. */
  readonly evaluations: number;
  /** Wall-clock seconds. */
  readonly seconds: number;
}

/** What a run is made with. */
export interface RunSettings {
  readonly sampler: SamplerName | Sampler;
  readonly grid: SigmaGrid;
  readonly count: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  /** Called after every step. */
  readonly onProgress?: SampleOptions["onProgress"];
}

/**
 * One line that tells how far several runs have come, of work over two seconds.
 *
 * @param label What is going on.
 * @param runs How many there are.
 * @param wanted Whether it is wanted.
 * @returns What to call after each step of the run of an index.
 */
export function progressOf(
  label: string,
  runs: number,
  wanted: boolean,
): (index: number) => RunSettings["onProgress"] {
  const line = wanted ? lateProgress(label) : undefined;
  const begin = performance.now();
  return (index) =>
    line && (({ fraction, sigma }) => {
      const elapsed = (performance.now() - begin) / 1000;
      const share = (index + fraction) / runs;
      const remaining = share > 0 ? elapsed / share * (1 - share) : undefined;
      return line.tell({ fraction: share, done: index, total: runs, sigma, elapsed, remaining });
    });
}

/** Samples of a denoiser; the same noise for the same seed, whatever the denoiser. */
export async function endsOf<X>(denoiser: Denoiser<X>, settings: RunSettings): Promise<Ends> {
  const { samples, evaluations, seconds } = await sample(denoiser, {
    ...settings,
    progress: false,
  });
  return { values: Float64Array.from(samples.data), evaluations, seconds };
}

/** What a denoiser makes of states, given and returned as numbers. */
export async function outputsAt<X>(
  denoiser: Denoiser<X>,
  states: Float64Array,
  sigma: number,
  signal?: AbortSignal,
): Promise<Float64Array> {
  const { space, shape } = denoiser;
  const x = space.from(states, [states.length / sizeOf(shape), ...shape]);
  try {
    const { mean } = await denoiser.denoise(x, sigma, { signal });
    try {
      return Float64Array.from(await space.values(mean));
    } finally {
      space.dispose(mean);
    }
  } finally {
    space.dispose(x);
  }
}

/** The name of a sampler; fails if there is no such one. */
export function samplerName(sampler: SamplerName | Sampler): string {
  // That with tables of the data is made where it runs.
  if (sampler === "dpm-v3") return sampler;
  return (typeof sampler === "string" ? samplerByName(sampler) : sampler).name;
}

/** A grid by its name, or one that is given. */
export function gridOf(grid: string | SigmaGrid, steps: number): SigmaGrid {
  return typeof grid === "string" ? gridByName(grid, steps) : grid;
}

/** The data that a denoiser stands on, if it holds them. */
export function heldData<X>(denoiser: Denoiser<X>): Dataset | undefined {
  return capabilitiesOf(denoiser).data?.dataset;
}

/** How far ends are from those of a reference, in data units. */
export interface EndErrors {
  /** Distance from the end of the reference, root mean square per number and over the samples. */
  readonly rms: number;
  /** Of the samples' distances, each root mean square per number, the median. */
  readonly median: number;
  /** Their lower quartile. */
  readonly lower: number;
  /** Their upper quartile. */
  readonly upper: number;
}

/** A number of {@linkcode EndErrors}. */
export type ErrorMeasure = "rms" | "median";

/** Fails unless there is such a measure. */
export function checkMeasure(action: string, measure: unknown): void {
  if (measure === "rms" || measure === "median") return;
  throw new RangeError(
    `Cannot ${action}: measure is ${received(measure)}, wanted "rms" or "median"`,
  );
}

/** Differences of ends, sample by sample. */
export function errorsOf(
  ends: Float64Array,
  reference: Float64Array,
  dimension: number,
): EndErrors {
  const errors = rootMeanSquares(ends, reference, dimension);
  return {
    rms: Math.sqrt(errors.reduce((sum, v) => sum + v * v, 0) / errors.length),
    median: medianOf(errors),
    lower: quantile(errors, 0.25),
    upper: quantile(errors, 0.75),
  };
}

/** The chart of errors over evaluations, a line per name. */
export function workPrecision<Row extends EndErrors & { readonly evaluations: number }>(
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  measure: ErrorMeasure,
  reference: string,
): ChartSpec {
  const errors = rows.map((row) => row[measure]), y = onLogAxis(errors);
  return lineSpec(
    [...new Set(rows.map(nameOf))].map((label) => {
      const own = rows.flatMap((row, i) => nameOf(row) === label ? [i] : [])
        .sort((i, j) => rows[i].evaluations - rows[j].evaluations);
      return { label, x: own.map((i) => rows[i].evaluations), y: own.map((i) => y[i]) };
    }),
    {
      title: `Distance from the end of ${reference}`,
      xTitle: "denoiser evaluations per sample",
      yTitle: `${measure === "rms" ? "rms" : "median rms"} per number${
        errors.includes(0) ? " (0: lowest)" : ""
      }`,
      xLog: true,
      yLog: true,
      width: 480,
    },
  );
}

/** What a logarithmic axis shows where nothing is positive: about the rounding of float32. */
const LEAST = 1e-7;

/** Values for a logarithmic axis, which has no 0: zeros stand at half the least of the others. */
export function onLogAxis(values: readonly number[]): number[] {
  const least = values.reduce((least, v) => v > 0 ? Math.min(least, v) : least, Infinity);
  return values.map((v) => v > 0 ? v : least < Infinity ? least / 2 : LEAST);
}

/** Checks what names denoisers: a record of at least some, all of one shape. */
export function checkDenoisers(
  action: string,
  denoisers: Readonly<Record<string, Denoiser<unknown>>>,
  least: number,
  shape?: readonly number[],
): void {
  const wanted = `an object of denoisers by their names, at least ${least}`;
  if (typeof denoisers !== "object" || denoisers === null || "denoise" in denoisers) {
    throw new TypeError(
      `Cannot ${action}: denoisers is ${received(denoisers)}, wanted ${wanted}`,
    );
  }
  const all = Object.entries(denoisers);
  if (all.length < least) {
    throw new TypeError(`Cannot ${action}: received ${all.length} denoisers, wanted ${wanted}`);
  }
  for (const [name, denoiser] of all) {
    if (typeof denoiser !== "object" || denoiser === null || !("denoise" in denoiser)) {
      throw new TypeError(
        `Cannot ${action}: ${name} is ${
          received(denoiser)
        }, wanted a denoiser, such as that of optimal()`,
      );
    }
    const own = denoiser.shape, other = shape ?? all[0][1].shape;
    if (own.join() !== other.join()) {
      throw new TypeError(
        `Cannot ${action}: ${name} works on shape [${own}] and others on [${other}], wanted equal shapes`,
      );
    }
  }
}

/** Samples by the names of their makers as what shows them: labelled images, charts of points; nothing of others. */
export function samplesShown(
  samples: Readonly<Record<string, Dataset>>,
): readonly unknown[] {
  const all = Object.entries(samples);
  const [, { shape, range, dimension }] = all[0];
  if (dimension === 2 && !isImage(shape)) {
    const charts = all.map(([title, { data }]) =>
      scatterSpec([{ label: title, points: data }], { title, width: 200, height: 200 })
    );
    return [panelsSpec(charts, { columns: Math.min(4, charts.length) })];
  }
  if (!isImage(shape)) return [];
  const columns = Math.min(SHOWN, all[0][1].count);
  const images = new Float32Array(all.length * columns * dimension);
  all.forEach(([, { data }], i) =>
    images.set(data.subarray(0, columns * dimension), i * columns * dimension)
  );
  const rowLabels = all.map(([name]) => name);
  return [{ images, shape, range, columns, rowLabels } satisfies LabelledImages];
}

/** Images per row. */
const SHOWN = 12;

/** Ends as a data set. */
export function samplesOf<X>(
  name: string,
  values: Float64Array,
  { shape }: Denoiser<X>,
  range: readonly [number, number] = [-1, 1],
): Dataset {
  return new Dataset({
    data: Float32Array.from(values),
    shape: [...shape],
    name: `samples of ${name}`,
    range,
  });
}
