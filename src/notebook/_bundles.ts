/**
 * What the front end gets for each kind of thing.
 *
 * @module
 */
import { shownFor } from "../base/_display.ts";
import type { LabelledImages } from "../base/_display.ts";
import { received } from "../base/_kinds.ts";
import type { Comparison } from "../comparisons/comparison.ts";
import { Buffer } from "node:buffer";
import { escapeHtml, escapeMarkdown, visible } from "../base/_escape.ts";
import { isImage, sizeOf } from "../base/_shape.ts";
import type { Device } from "../compute/device.ts";
import { Dataset } from "../datasets/dataset.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { NearestItems } from "../metrics/nearest.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { ScoreRow } from "../comparisons/compare_scores.ts";
import { cellText, isRecord, rowOf, tableHtml, tableText } from "../plots/_table.ts";
import type { TableRow } from "../plots/_table.ts";
import { encodePng } from "../plots/encode_png.ts";
import type { Bitmap } from "../plots/bitmap.ts";
import { chartSvg } from "../plots/chart.ts";
import type { ChartSpec } from "../plots/chart.ts";
import { imageGrid } from "../plots/image_grid.ts";
import { scatterImage } from "../plots/scatter_image.ts";
import { scatterSpec } from "../plots/scatter_spec.ts";
import { trajectoryImage } from "../plots/trajectory_image.ts";
import type { Run, SampleResult, TrajectoryPoint } from "../samplers/run.ts";
import type { Report } from "../theory/statement.ts";
import type { Citations } from "./cite.ts";
import { labelledImagesSvg } from "./_labelled_images.ts";
import { seconds } from "../base/front_end.ts";
import type { MediaBundle } from "../base/front_end.ts";

/**
 * What {@linkcode show} can show: an SVG document or Markdown, a chart, a
 * picture, a data set, samples as a tensor or as numbers, a run, a trajectory, a table, a record of numbers,
 * reports, comparisons, what is nearest, a denoiser, a device, a list of papers.
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
  | Run
  | SampleResult<AnyTensor>
  | SampleResult<Float64Array>
  | readonly TrajectoryPoint[]
  | TableRow
  | Report
  | readonly (TableRow | Report | ScoreRow)[]
  | Device
  | Denoiser<AnyTensor>
  | Denoiser<Float64Array>
  | NearestItems
  | Comparison<object>;

/** How a thing is laid out. */
export interface ShowLayout {
  /** The shape of one sample, where it cannot be seen from the thing: `[height, width, channels]`, or `[d]` for points. */
  readonly shape?: readonly number[];
  /** The numbers drawn black and white. Default: those of the data set, else `[-1, 1]`. */
  readonly range?: readonly [number, number];
  /** Images per row. Default: as square a grid as possible. */
  readonly columns?: number;
  /** Pixels per side that one number of an image becomes. Default: so that an image has at least 64. */
  readonly scale?: number;
  /** Words beside each row of images. Default: none. */
  readonly rowLabels?: readonly string[];
  /** Words above each column of images. Default: none. */
  readonly columnLabels?: readonly string[];
  /** A line above. Default: none. */
  readonly caption?: string;
  /** How many items of a data set are shown. Default 32 images or 2,000 points. */
  readonly items?: number;
}

/** The one output that shows what stands at the end of a cell. */
export async function selfBundle(thing: object): Promise<MediaBundle> {
  if (isTensor(thing) && !await isBatch(thing)) return textBundle(await tensorText(thing));
  const bundles = await bundlesOf(thing as Showable, {});
  return bundles.length === 1 ? bundles[0][1] : together(bundles.map(([, bundle]) => bundle));
}

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
export async function bundlesOf(
  thing: Showable,
  options: ShowLayout,
): Promise<[suffix: string, MediaBundle][]> {
  const { caption, ...layout } = options;
  if (caption !== undefined) {
    return [["-caption", nameBundle(caption)], ...await bundlesOf(thing, layout)];
  }
  const parts = shownFor(thing);
  if (parts) {
    const each = parts.map((part, i) =>
      bundlesOf(part as Showable, options).then((bundles) =>
        bundles.map(([suffix, bundle]) => [i === 0 ? suffix : `-${i}${suffix}`, bundle] as const)
      )
    );
    return (await Promise.all(each)).flat().map(([suffix, bundle]) => [suffix, bundle]);
  }
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
  thing: Exclude<Showable, Dataset | AnyRun>,
  options: ShowLayout,
): MediaBundle | Promise<MediaBundle> {
  if (typeof thing === "string") return textBundle(thing);
  if (isNumbers(thing)) return samplesBundle(thing, options.shape, options);
  if (isTrajectory(thing)) return trajectoryBundle(thing, options);
  if (isTable(thing)) return tableBundle(thing.map((row) => rowOf(row)));
  if (typeof thing === "object" && thing !== null) {
    if (isTensor(thing)) return tensorBundle(thing, options);
    if (isBitmap(thing)) return bitmapBundle(thing);
    if (isShapedTrajectory(thing)) {
      return trajectoryBundle(thing.trajectory, { ...thing, ...options });
    }
    if (isLabelled(thing)) return labelledBundle(thing, options);
    if (isDenoiser(thing)) return tableBundle(denoiserFacts(thing));
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

type AnyRun = Run | SampleResult<AnyTensor> | SampleResult<Float64Array>;

function isRun(thing: unknown): thing is AnyRun {
  return typeof thing === "object" && thing !== null && "denoised" in thing &&
    ("samples" in thing && "facts" in thing || "x" in thing && "steps" in thing);
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

/** A trajectory with the shape of its samples. */
function isShapedTrajectory(
  thing: object,
): thing is Pick<ShowLayout, "shape" | "range"> & {
  readonly trajectory: readonly TrajectoryPoint[];
} {
  return "trajectory" in thing && "shape" in thing && !("denoised" in thing);
}

function isLabelled(thing: object): thing is LabelledImages {
  return "images" in thing && "shape" in thing && "columns" in thing;
}

function isDenoiser(thing: object): thing is Denoiser<unknown> & { readonly count?: number } {
  return "denoise" in thing && "space" in thing && "label" in thing;
}

/** What is known of a denoiser, line by line. */
function denoiserFacts(
  { label, shape, references, count }: Denoiser<unknown> & { readonly count?: number },
): TableRow[] {
  return [
    { name: "denoiser", value: label },
    { name: "shape of a sample", value: shape.join("×") },
    ...(typeof count === "number" ? [{ name: "items", value: count }] : []),
    ...references.map((value, i) => ({ name: i === 0 ? "references" : "", value })),
  ];
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
  run: AnyRun,
  options: ShowLayout,
): Promise<[suffix: string, MediaBundle][]> {
  const { trajectory, convergence } = run, isPlain = "samples" in run;
  const x = isPlain ? run.samples.data as Float32Array | Float64Array : run.x;
  const steps = isPlain ? run.facts : run.steps;
  const settings = {
    ...options,
    shape: options.shape ?? run.shape,
    range: options.range ?? (isPlain ? run.samples.range : undefined),
  };
  const released = !isNumbers(x) && x.isDisposed;
  const count = (isNumbers(x) ? x.length : x.size) / sizeOf(run.shape);
  const converged = convergence?.converged.filter(Boolean).length;
  const summary = [
    `${count} ${count === 1 ? "sample" : "samples"} of ${run.shape.join("×")}`,
    `${steps.length} steps`,
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
  { shape, range }: ShowLayout,
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
  options: ShowLayout,
): Promise<MediaBundle> {
  const images = dataset.shape.length > 1;
  const first = dataset.take(options.items ?? (images ? 32 : 2000));
  const values = new Float32Array(first.count * first.dimension);
  for (let i = 0; i < first.count; i++) {
    values.set(first.values(i), i * first.dimension);
  }
  return samplesBundle(values, dataset.shape, {
    range: dataset.range,
    columns: images && !options.rowLabels && !options.columnLabels
      ? Math.min(8, first.count)
      : undefined,
    ...options,
  });
}

async function tensorBundle(
  tensor: AnyTensor,
  options: ShowLayout,
): Promise<MediaBundle> {
  const values = Float32Array.from(await tensor.data());
  // The first axis of a batch counts samples.
  return samplesBundle(values, options.shape ?? tensor.shape.slice(1), options);
}

function samplesBundle(
  values: Float32Array | Float64Array,
  shape: readonly number[] | undefined,
  options: ShowLayout,
): Promise<MediaBundle> {
  if (!shape?.length) throw unknownShape();
  if (shape.length > 1) {
    const { range = [-1, 1], scale, rowLabels, columnLabels } = options;
    const columns = options.columns ?? columnLabels?.length ??
      (rowLabels && Math.ceil(values.length / sizeOf(shape) / rowLabels.length));
    if (rowLabels || columnLabels) {
      const labelled = { images: values, shape, range, rowLabels, columnLabels };
      return labelledBundle({ ...labelled, columns: columns! }, options);
    }
    return bitmapBundle(imageGrid(values, { shape, range, columns, scale }));
  }
  return shape[0] === 2
    ? chartBundle(scatterSpec([{ label: "samples", points: values }]))
    : bitmapBundle(scatterImage(values, { dimension: shape[0] }));
}

/** Labelled images as a drawing; in text, the labels. */
async function labelledBundle(
  images: LabelledImages,
  { scale }: ShowLayout,
): Promise<MediaBundle> {
  const { rowLabels = [], columnLabels = [], columns } = images;
  const rows = rowLabels.length > 0 ? `: ${rowLabels.join(", ")}` : "";
  const words = columnLabels.length > 0 ? `; ${columnLabels.join(", ")}` : "";
  return {
    "image/svg+xml": await labelledImagesSvg(images, scale),
    "text/plain": visible(`[images in rows of ${columns}${rows}${words}]`),
  };
}

function unknownShape(): TypeError {
  return new TypeError("Cannot show samples: their shape is not known, wanted the option shape");
}
