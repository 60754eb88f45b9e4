/**
 * One line shows anything in a Deno notebook: charts, pictures, data sets,
 * tensors of images, tables, text; outside a notebook it is printed.
 *
 * @example
 * ```ts
 * import { show } from "@closedform/diffusion/notebook";
 *
 * await show("The posterior mean is a *weighted* mean.");
 * await show([{ steps: 10, error: 0.1 }, { steps: 100, error: 0.01 }]);
 * ```
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { received } from "../base/_kinds.ts";
import { Buffer } from "node:buffer";
import { escapeHtml, escapeMarkdown, visible } from "../base/_escape.ts";
import { isImage, sizeOf } from "../base/_shape.ts";
import { drawMarkedBy } from "../base/_display.ts";
import type { Citations } from "./cite.ts";
import { Dataset } from "../datasets/dataset.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { ScoreRow } from "../metrics/score_table.ts";
import { cellText, isRecord, rowOf, tableHtml, tableText } from "../plots/_table.ts";
import type { TableRow } from "../plots/_table.ts";
import { encodePng } from "../plots/encode_png.ts";
import type { Bitmap } from "../plots/bitmap.ts";
import { chartSvg } from "../plots/chart.ts";
import type { ChartSpec, Json } from "../plots/chart.ts";
import { imageGrid } from "../plots/image_grid.ts";
import { scatterImage } from "../plots/scatter_image.ts";
import { scatterSpec } from "../plots/scatter_spec.ts";
import { trajectoryImage } from "../plots/trajectory_image.ts";
import type { Progress, SampleResult, TrajectoryPoint } from "../samplers/sample.ts";
import type { Report } from "../theory/statement.ts";

export type {
  AnyTensor,
  Bitmap,
  ChartSpec,
  Citations,
  Json,
  Progress,
  Report,
  SampleResult,
  ScoreRow,
  TableRow,
  TrajectoryPoint,
};
export { Dataset };

/**
 * What {@linkcode show} can show: an SVG document or Markdown, a chart, a
 * picture, a data set, samples as a tensor or as numbers, a run, a trajectory, a table, a record of numbers,
 * reports, a list of papers.
 */
export type Showable =
  | string
  | ChartSpec
  | Bitmap
  | Dataset
  | AnyTensor
  | Float32Array
  | Float64Array
  | Citations
  | SampleResult<AnyTensor>
  | SampleResult<Float64Array>
  | readonly TrajectoryPoint[]
  | TableRow
  | Report
  | readonly (TableRow | Report | ScoreRow)[];

/** One thing in several formats, by MIME type; the front end takes the best it knows. */
export type MediaBundle = Readonly<Record<string, unknown>>;

/** Hands a bundle to the front end, as `Deno.jupyter.display` does. */
export type Display = (
  bundle: MediaBundle,
  options: {
    /** The bundle is sent as it is. */
    readonly raw: true;
    /** A name for the place where it is shown. */
    readonly display_id?: string;
    /** Whether to replace what is shown under that name. */
    readonly update?: boolean;
  },
) => Promise<void>;

/** Options of {@linkcode show}. */
export interface ShowOptions {
  /** The shape of one sample, where it cannot be seen from the thing: `[height, width, channels]`, or `[d]` for points. */
  readonly shape?: readonly number[];
  /** The numbers drawn black and white. Default: those of the data set, else `[-1, 1]`. */
  readonly range?: readonly [number, number];
  /** Images per row. Default: as square a grid as possible. */
  readonly columns?: number;
  /** Pixels per side that one number of an image becomes. Default: so that an image has at least 64. */
  readonly scale?: number;
  /** How many items of a data set are shown. Default 32 images or 2,000 points. */
  readonly items?: number;
  /** A name for the place where it is shown, to update it later. */
  readonly id?: string;
  /** Replace what is shown under `id`. Default `false`. */
  readonly update?: boolean;
  /** Where to show it. Default: the notebook's front end, or the console where there is none. */
  readonly display?: Display;
}

/** The kernel may send an output after it has said that a cell is done; so long a cell waits for it. */
const SETTLE = 25;

const SHOW_OPTIONS = {
  shape: undefined,
  range: undefined,
  columns: undefined,
  scale: undefined,
  items: undefined,
  id: undefined,
  update: undefined,
  display: undefined,
} satisfies OptionTable<ShowOptions>;

/**
 * Shows a thing in the notebook, or prints it where there is none.
 *
 * Charts are sent as Vega-Lite with an SVG picture for front ends that draw no
 * charts, and for the saved file; pictures, data sets and samples as PNG;
 * tables as HTML; strings as Markdown, or as SVG if they begin with `<svg`. All
 * have a form in plain text.
 *
 * @param thing What to show.
 * @param options Layout, and where.
 * @returns When the front end has it.
 * @throws {TypeError} If it is nothing that can be shown, or the shape of a sample is not known.
 * @throws {RangeError} If a number in it cannot be drawn.
 *
 * @example Every format of a bundle is explicit
 * ```ts
 * import { show } from "@closedform/diffusion/notebook";
 * import assert from "node:assert/strict";
 *
 * const shown: unknown[] = [];
 * const display = (bundle: unknown) => Promise.resolve(void shown.push(bundle));
 * await show([{ sigma: 0.5, points: 12 }], { display });
 * assert.deepEqual(Object.keys(shown[0] as object), ["text/html", "text/plain"]);
 * ```
 */
export async function show(
  thing: Showable,
  options: ShowOptions = {},
): Promise<void> {
  const settings = readOptions("show this", options, SHOW_OPTIONS);
  const { id, update, display = kernelDisplay() ?? print } = settings;
  for (const [suffix, bundle] of await bundlesOf(thing, settings)) {
    await display(bundle, {
      raw: true,
      ...(id !== undefined && { display_id: id + suffix }),
      ...(update && { update }),
    });
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE));
}

/** The display of the running Deno kernel, if this is one. */
function kernelDisplay(): Display | undefined {
  try {
    return Deno.jupyter.display;
  } catch {
    // Outside a kernel the property is there, but reading it throws.
    return undefined;
  }
}

const print: Display = (bundle) => {
  console.log(bundle["text/plain"]);
  return Promise.resolve();
};

// Tensors, data sets, runs and reports show themselves at the end of a cell.
drawMarkedBy(async (thing) => {
  if (isTensor(thing) && !await isBatch(thing)) return textBundle(await tensorText(thing));
  const bundles = await bundlesOf(thing as Showable, {});
  return bundles.length === 1 ? bundles[0][1] : together(bundles.map(([, bundle]) => bundle));
});

/** Several outputs as one. */
function together(bundles: readonly MediaBundle[]): MediaBundle {
  const html = bundles.map((bundle) =>
    "image/png" in bundle
      ? `<img src="data:image/png;base64,${bundle["image/png"]}">`
      : bundle["image/svg+xml"] ?? bundle["text/html"] ??
        `<p>${escapeHtml(String(bundle["text/plain"]))}</p>`
  );
  return {
    "text/html": html.join("\n"),
    "text/plain": bundles.map((bundle) => bundle["text/plain"]).join("\n"),
  };
}

/** Whether a tensor is a batch of images, or of points of up to three numbers, all of them finite. */
async function isBatch(tensor: AnyTensor): Promise<boolean> {
  const [count, ...shape] = tensor.shape;
  const known = count > 0 && (isImage(shape) || (shape.length === 1 && shape[0] <= 3));
  return known && !tensor.isDisposed && (await tensor.data()).every(Number.isFinite);
}

async function tensorText(tensor: AnyTensor): Promise<string> {
  const what = `${tensor.dtype} tensor of shape [${tensor.shape}]`;
  if (tensor.isDisposed) return `${what}, disposed`;
  const { values } = rowOf({ values: await tensor.data() });
  return `${what}: ${values}`;
}

/** The outputs that show a thing, each with what its name has besides the id. */
async function bundlesOf(
  thing: Showable,
  options: ShowOptions,
): Promise<[suffix: string, MediaBundle][]> {
  if (isRun(thing)) return await runBundles(thing, options);
  if (thing instanceof Dataset) {
    return [
      ["-summary", nameBundle(thing.summary())],
      ["", await datasetBundle(thing, options)],
    ];
  }
  return [["", await bundleOf(thing, options)]];
}

function bundleOf(
  thing: Exclude<Showable, Dataset | Run>,
  options: ShowOptions,
): MediaBundle | Promise<MediaBundle> {
  if (typeof thing === "string") return textBundle(thing);
  if (isNumbers(thing)) return samplesBundle(thing, options.shape, options);
  if (isTrajectory(thing)) return trajectoryBundle(thing, options);
  if (isTable(thing)) return tableBundle(thing.map((row) => rowOf(row)));
  if (typeof thing === "object" && thing !== null) {
    if (isTensor(thing)) return tensorBundle(thing, options);
    if (isBitmap(thing)) return bitmapBundle(thing);
    if (isChart(thing)) return chartBundle(thing);
    if (isCitations(thing)) return { "text/markdown": thing.markdown, "text/plain": thing.text };
    if (isRecord(thing)) {
      return tableBundle(Object.entries(rowOf(thing)).map(([name, value]) => ({ name, value })));
    }
  }
  throw new TypeError(
    `Cannot show this: it is ${
      received(thing)
    }, wanted text, a chart, a picture, a data set, samples or a table of at least one row`,
  );
}

function isNumbers(thing: unknown): thing is Float32Array | Float64Array {
  return thing instanceof Float32Array || thing instanceof Float64Array;
}

type Run = SampleResult<AnyTensor> | SampleResult<Float64Array>;

function isRun(thing: unknown): thing is Run {
  return typeof thing === "object" && thing !== null && "x" in thing && "denoised" in thing &&
    "steps" in thing;
}

function isTrajectory(thing: unknown): thing is readonly TrajectoryPoint[] {
  return isTable(thing) && thing.every((row) => isNumbers(row.x) && typeof row.sigma === "number");
}

function isTable(thing: unknown): thing is readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(thing) && thing.length > 0 && thing.every(isRecord);
}

function isTensor(thing: object): thing is AnyTensor {
  return "dtype" in thing && "shape" in thing && "dataSync" in thing;
}

function isBitmap(thing: object): thing is Bitmap {
  return "width" in thing && "height" in thing && "data" in thing &&
    thing.data instanceof Uint8Array;
}

function isChart(thing: object): thing is ChartSpec {
  return "$schema" in thing && String(thing.$schema).includes("vega-lite");
}

function isCitations(thing: object): thing is Citations {
  return "markdown" in thing && "bibtex" in thing;
}

function textBundle(text: string): MediaBundle {
  return text.startsWith("<svg")
    ? { "image/svg+xml": text, "text/plain": "[drawing]" }
    : { "text/markdown": text, "text/plain": text };
}

/** Text that holds names, which are data and no markup. */
function nameBundle(text: string): MediaBundle {
  return { "text/markdown": escapeMarkdown(text), "text/plain": visible(text) };
}

function tableBundle(rows: readonly TableRow[]): MediaBundle {
  return { "text/html": tableHtml(rows), "text/plain": tableText(rows) };
}

/** What is known of a run, its samples, and their way if it was kept. */
async function runBundles(
  run: Run,
  options: ShowOptions,
): Promise<[suffix: string, MediaBundle][]> {
  const { x, trajectory, convergence } = run;
  const settings = { ...options, shape: options.shape ?? run.shape };
  const released = !isNumbers(x) && x.isDisposed;
  const count = (isNumbers(x) ? x.length : x.size) / sizeOf(run.shape);
  const converged = convergence?.converged.filter(Boolean).length;
  const summary = [
    `${count} ${count === 1 ? "sample" : "samples"} of ${run.shape.join("×")}`,
    `${run.steps.length} steps`,
    `${cellText(run.evaluations)} evaluations each`,
    seconds(run.seconds),
    ...(converged === undefined ? [] : [`${converged} converged`]),
    ...(released ? ["released"] : []),
  ].join(", ");
  return [
    ["-summary", nameBundle(summary)],
    ...(released ? [] : [["", await bundleOf(x, settings)] satisfies [string, MediaBundle]]),
    ...(trajectory
      ? [
        ["-trajectory", await trajectoryBundle(trajectory, settings)] satisfies [
          string,
          MediaBundle,
        ],
      ]
      : []),
  ];
}

async function trajectoryBundle(
  trajectory: readonly TrajectoryPoint[],
  { shape, range }: ShowOptions,
): Promise<MediaBundle> {
  if (!shape?.length) throw unknownShape();
  return await bitmapBundle(await trajectoryImage(trajectory, { shape, ...(range && { range }) }));
}

async function chartBundle(spec: ChartSpec): Promise<MediaBundle> {
  return {
    "application/vnd.vegalite.v5+json": spec,
    "image/svg+xml": await chartSvg(spec),
    "text/plain": typeof spec.title === "string" ? `[chart: ${visible(spec.title)}]` : "[chart]",
  };
}

async function bitmapBundle(bitmap: Bitmap): Promise<MediaBundle> {
  const png = await encodePng(bitmap);
  return {
    "image/png": Buffer.from(png).toString("base64"),
    "text/plain": `[picture of ${bitmap.width}×${bitmap.height} pixels]`,
  };
}

function datasetBundle(
  dataset: Dataset,
  options: ShowOptions,
): Promise<MediaBundle> {
  const images = dataset.shape.length > 1;
  const first = dataset.take(options.items ?? (images ? 32 : 2000));
  const values = new Float32Array(first.count * first.dimension);
  for (let i = 0; i < first.count; i++) {
    values.set(first.values(i), i * first.dimension);
  }
  return samplesBundle(values, dataset.shape, {
    range: dataset.range,
    columns: images ? Math.min(8, first.count) : undefined,
    ...options,
  });
}

async function tensorBundle(
  tensor: AnyTensor,
  options: ShowOptions,
): Promise<MediaBundle> {
  const values = Float32Array.from(await tensor.data());
  // The first axis of a batch counts samples.
  return samplesBundle(values, options.shape ?? tensor.shape.slice(1), options);
}

function samplesBundle(
  values: Float32Array | Float64Array,
  shape: readonly number[] | undefined,
  options: ShowOptions,
): Promise<MediaBundle> {
  if (!shape?.length) throw unknownShape();
  if (shape.length > 1) {
    const { range, columns, scale } = options;
    return bitmapBundle(imageGrid(values, { shape, range, columns, scale }));
  }
  return shape[0] === 2
    ? chartBundle(scatterSpec([{ label: "samples", points: values }]))
    : bitmapBundle(scatterImage(values, { dimension: shape[0] }));
}

function unknownShape(): TypeError {
  return new TypeError("Cannot show samples: their shape is not known, wanted the option shape");
}

/** Options of {@linkcode notebookProgress}. */
export interface NotebookProgressOptions {
  /** Where to show it. Default: the notebook's front end, or the console where there is none. */
  readonly display?: Display;
}

/** Milliseconds between two updates: more often than this nobody sees. */
const UPDATE = 100;

const PROGRESS_OPTIONS = { display: undefined } satisfies OptionTable<NotebookProgressOptions>;

/**
 * A progress callback for `sample()` that updates one line in place: a bar, the
 * step, the noise level, the time gone and the time left. On a
 * terminal it redraws one line, elsewhere it prints a line per quarter. Without it, `sample()` is silent.
 *
 * @param label What is going on, in a word or two.
 * @param options Where to show it.
 * @returns A callback; a new one for each run.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { notebookProgress } from "@closedform/diffusion/notebook";
 * import assert from "node:assert/strict";
 *
 * const lines: unknown[] = [];
 * const display = (bundle: Record<string, unknown>) => Promise.resolve(void lines.push(bundle["text/plain"]));
 * const onProgress = notebookProgress("sampling", { display });
 * await onProgress({ fraction: 1, done: 10, total: 10, sigma: 0, elapsed: 2.5, remaining: 0 });
 * assert.deepEqual(lines, ["sampling ████████████████████ 100 % · step 10 of 10 · σ 0 · 2.5 s"]);
 * ```
 */
export function notebookProgress(
  label: string,
  options: NotebookProgressOptions = {},
): (progress: Progress) => Promise<void> {
  const { display = kernelDisplay() } = readOptions(
    "show the progress",
    options,
    PROGRESS_OPTIONS,
  );
  if (display) return updatingProgress(label, display);
  return Deno.stderr.isTerminal() ? redrawnProgress(label) : printedProgress(label);
}

function updatingProgress(
  label: string,
  display: Display,
): (progress: Progress) => Promise<void> {
  const id = `progress-${crypto.randomUUID()}`;
  let last = -Infinity;
  return async (progress) => {
    const now = performance.now();
    if (progress.fraction < 1 && now - last < UPDATE) return;
    await display(
      { "text/plain": progressLine(label, progress) },
      { raw: true, display_id: id, update: last > -Infinity },
    );
    last = now;
    // Only the end is at risk of coming after the end of the cell.
    if (progress.fraction >= 1) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE));
    }
  };
}

function redrawnProgress(label: string): (progress: Progress) => Promise<void> {
  const write = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(text));
  return (progress) => {
    write(`\r\x1b[K${progressLine(label, progress)}${progress.fraction < 1 ? "" : "\n"}`);
    return Promise.resolve();
  };
}

function printedProgress(
  label: string,
): (progress: Progress) => Promise<void> {
  let quarter = 0;
  return (progress) => {
    const reached = Math.floor(progress.fraction * 4);
    if (reached > quarter) console.log(progressLine(label, progress));
    quarter = Math.max(quarter, reached);
    return Promise.resolve();
  };
}

function progressLine(label: string, progress: Progress): string {
  const { fraction, done, total, sigma, elapsed, remaining } = progress;
  const full = Math.round(20 * fraction);
  const bar = "█".repeat(full) + "░".repeat(20 - full);
  const left = fraction < 1 && remaining !== undefined ? `, ${seconds(remaining)} left` : "";
  return `${label} ${bar} ${Math.round(100 * fraction)} % · step ${done} of ` +
    `${total} · σ ${Number(sigma.toPrecision(3))} · ${seconds(elapsed)}${left}`;
}

function seconds(time: number): string {
  return time < 60
    ? `${time.toFixed(1)} s`
    : `${Math.floor(time / 60)} min ${Math.round(time % 60)} s`;
}
