/**
 * The posterior per pixel in plain float64: slow, short, and the oracle of the other window kernels.
 *
 * @module
 */
import { readOptions } from "../../base/_options.ts";
import { affineOf, checkPoints } from "../posterior.ts";
import type { PointSet, Sigma } from "../posterior.ts";
import { axisShifts, WINDOW_ACTION, WINDOW_OPTIONS, windowJob, windowReach } from "../windowed.ts";
import type { AxisShift, Reach, WindowJob, WindowOptions, WindowPosterior } from "../windowed.ts";

/** What the items so far say about each pixel of a query: the streaming softmax. */
interface PixelStates {
  /** The largest logit. */
  readonly top: Float64Array;
  /** `Z = Σ exp(logit − top)`. */
  readonly z: Float64Array;
  /** `Y = Σ exp(logit − top) x(p)`, `channels` numbers per pixel. */
  readonly y: Float64Array;
}

/** One axis of a translation, with the window of each pixel along it: one interval or, where it wraps, two. */
interface Axis extends AxisShift {
  readonly windows: readonly (readonly [from: number, to: number][])[];
}

/** A query that meets images. */
interface Comparison {
  readonly job: WindowJob;
  /** The query in data units. */
  readonly query: Float64Array;
  readonly sigma: number;
  /** Squared differences of pixels, summed over all pixels above and to the left. */
  readonly table: Float64Array;
  readonly states: PixelStates;
}

/**
 * The exact posterior mean of each pixel of each query, given a window around it, in float64.
 *
 * ```text
 * D(p) = Σ_{i,u} w_{i,u}(p) xᵢ(p+u),   w(p) = softmax( log-weightᵢ − Σ_{o ∈ Ω} |x(p+o) − xᵢ(p+u+o)|² / 2σ² )
 * ```
 *
 * over images `i` and those translations `u` by which patches compete. The sum over a window is a difference of four
 * entries of a summed-area table, so that its cost does not depend on the size of the window.
 *
 * Reference: M. Kamb, S. Ganguli (2024), An analytic theory of creativity in convolutional diffusion models, arXiv:2412.20292.
 *
 * @param points The data, `N` images.
 * @param queries Noisy images `x = x₀ + σε`, rows one after the other, in data units.
 * @param sigma Noise level in data units, one for all queries or one each.
 * @param options Shape of the images, side of the windows, and which patches compete.
 * @returns The means, rows of `d` numbers in data units, and the log normaliser of each pixel.
 * @throws {RangeError} If there are no queries, or a number is not finite, or a noise level not positive, or an option out of range.
 * @throws {TypeError} If queries, data and shape do not fit together.
 *
 * @example A window of one pixel: each pixel by itself is one of two
 * ```ts
 * import { referenceWindowed } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(-1, -1, 1, 1), dimension: 2 };
 * const { mean } = referenceWindowed(points, [0.2, -0.4], 1, { shape: [1, 2, 1], patch: 1 });
 * assert.ok(Math.abs(mean[0] - Math.tanh(0.2)) < 1e-15);
 * assert.ok(Math.abs(mean[1] - Math.tanh(-0.4)) < 1e-15);
 * ```
 */
export function referenceWindowed(
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: Sigma,
  options: WindowOptions,
): WindowPosterior<Float64Array> {
  const work = evaluate(points, queries, sigma, options);
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

// How long an evaluation may keep others from running, milliseconds.
const TURN = 50;

/**
 * Like {@linkcode referenceWindowed}, but lets others run meanwhile: for a signal and reports of progress.
 *
 * @param points The data.
 * @param queries Noisy images.
 * @param sigma Noise level.
 * @param options What to compute, a signal, whom to tell the progress.
 * @returns The means and the log normalisers.
 */
export async function referenceWindowedInTurns(
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: Sigma,
  options: WindowOptions,
): Promise<WindowPosterior<Float64Array>> {
  const { signal, onProgress } = readOptions(WINDOW_ACTION, options, WINDOW_OPTIONS);
  signal?.throwIfAborted();
  const work = evaluate(points, queries, sigma, options);
  let start = performance.now();
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - start < TURN) continue;
    onProgress?.(value, 1);
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    start = performance.now();
  }
}

/** Evaluates, and yields the share that is done between images. */
function* evaluate(
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: Sigma,
  options: WindowOptions,
): Generator<number, WindowPosterior<Float64Array>> {
  const count = checkPoints(points);
  const { dimension } = points;
  const job = windowJob({ count, dimension }, queries, sigma, options);
  const { region, width, channels } = job;
  const pixels = region.height * region.width;
  const mean = new Float64Array(job.queries * pixels * channels);
  const logNormaliser = new Float64Array(job.queries * pixels);
  for (let q = 0; q < job.queries; q++) {
    const query = Float64Array.from({ length: dimension }, (_, c) => queries[q * dimension + c]);
    const work = scan(points, job, q, query);
    let step = work.next();
    for (; !step.done; step = work.next()) yield (q + step.value) / job.queries;
    const { top, z, y } = step.value;
    for (let k = 0; k < pixels; k++) {
      const [row, column] = [Math.floor(k / region.width), k % region.width];
      const p = (region.top + row) * width + region.left + column;
      for (let c = 0; c < channels; c++) {
        mean[(q * pixels + k) * channels + c] = y[p * channels + c] / z[p];
      }
      logNormaliser[q * pixels + k] = top[p] + Math.log(z[p]);
    }
  }
  return { mean, logNormaliser };
}

/** Meets one query with all images and translations, and yields the share that is done between images. */
function* scan(
  points: PointSet,
  job: WindowJob,
  q: number,
  query: Float64Array,
): Generator<number, PixelStates> {
  const { height, width, channels, region } = job;
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const states = {
    top: new Float64Array(height * width).fill(-Infinity),
    z: new Float64Array(height * width),
    y: new Float64Array(height * width * channels),
  };
  const table = new Float64Array((height + 1) * (width + 1));
  const comparison: Comparison = { job, query, sigma: job.sigmas[q], table, states };
  const rows = axes(job, job.patches[q], height, region.top, region.height);
  const columns = axes(job, job.patches[q], width, region.left, region.width);
  const subset = job.subsets?.[q];
  const images = subset?.rows.length ?? data.length / dimension;
  const image = new Float64Array(dimension);
  for (let k = 0; k < images; k++) {
    if (k > 0) yield k / images;
    const first = (subset?.rows[k] ?? k) * dimension;
    for (let c = 0; c < dimension; c++) image[c] = data[first + c] * scale + offset;
    const logWeight = subset?.logWeights?.[k] ?? 0;
    for (const row of rows) {
      for (const column of columns) meet(comparison, image, row, column, logWeight);
    }
  }
  return states;
}

/** The translations along one axis, and the windows of the pixels. */
function axes(
  { translations }: WindowJob,
  patch: number,
  size: number,
  first: number,
  count: number,
): Axis[] {
  const reach = windowReach(size, patch, translations);
  return axisShifts(size, patch, translations, first, count).map((axis) => ({
    ...axis,
    windows: Array.from({ length: size }, (_, p) => intervals(p, reach, size, axis)),
  }));
}

function intervals(
  p: number,
  { before, after, wraps }: Reach,
  size: number,
  { from, to }: AxisShift,
): [number, number][] {
  const first = p - before, end = p + after;
  if (!wraps) return [[Math.max(from, first), Math.min(to, end)]];
  if (first < 0) return [[first + size, size], [0, end]];
  if (end > size) return [[first, size], [0, end - size]];
  return [[first, end]];
}

/** Meets the query with one image, translated. */
function meet(
  comparison: Comparison,
  image: Float64Array,
  row: Axis,
  column: Axis,
  logWeight: number,
): void {
  const { job: { width, channels }, sigma, states } = comparison;
  fillTable(comparison, image, row, column);
  for (let y = row.from; y < row.to; y++) {
    if (!row.outputs[y]) continue;
    for (let x = column.from; x < column.to; x++) {
      if (!column.outputs[x]) continue;
      const square = windowSum(comparison, row.windows[y], column.windows[x]);
      const logit = logWeight - square / (2 * sigma * sigma);
      addPixel(states, y * width + x, channels, logit, image, place(comparison, row, column, y, x));
    }
  }
}

/** Where the pixel of the image lies that the translation brings to `(y, x)`. */
function place(
  { job: { height, width, channels } }: Comparison,
  row: Axis,
  column: Axis,
  y: number,
  x: number,
): number {
  // Where windows do not wrap, no translation leads out of the image.
  return ((y + row.shift) % height * width + (x + column.shift) % width) * channels;
}

/** The summed-area table of the squared differences, `(height + 1) × (width + 1)` entries. */
function fillTable(comparison: Comparison, image: Float64Array, row: Axis, column: Axis): void {
  const { job: { width, channels }, query, table } = comparison;
  const pitch = width + 1;
  table.fill(0, row.from * pitch, (row.from + 1) * pitch);
  for (let y = row.from; y < row.to; y++) {
    let sum = 0;
    table[(y + 1) * pitch + column.from] = 0;
    for (let x = column.from; x < column.to; x++) {
      const at = place(comparison, row, column, y, x);
      for (let c = 0; c < channels; c++) {
        const difference = query[(y * width + x) * channels + c] - image[at + c];
        sum += difference * difference;
      }
      table[(y + 1) * pitch + x + 1] = table[y * pitch + x + 1] + sum;
    }
  }
}

/** The sum over a window. */
function windowSum(
  { job, table }: Comparison,
  rows: readonly (readonly [number, number])[],
  columns: readonly (readonly [number, number])[],
): number {
  const pitch = job.width + 1;
  let sum = 0;
  for (const [top, bottom] of rows) {
    for (const [left, right] of columns) {
      sum += table[bottom * pitch + right] - table[top * pitch + right] -
        table[bottom * pitch + left] + table[top * pitch + left];
    }
  }
  return sum;
}

/** Lets the value of a pixel compete for it. */
function addPixel(
  { top, z, y }: PixelStates,
  p: number,
  channels: number,
  logit: number,
  image: Float64Array,
  at: number,
): void {
  if (logit > top[p]) {
    const factor = Math.exp(top[p] - logit);
    z[p] *= factor;
    for (let c = 0; c < channels; c++) y[p * channels + c] *= factor;
    top[p] = logit;
  }
  const weight = Math.exp(logit - top[p]);
  z[p] += weight;
  for (let c = 0; c < channels; c++) y[p * channels + c] += weight * image[at + c];
}
