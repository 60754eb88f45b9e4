/**
 * The Gaussian that has the mean and the covariance of a data set, in its eigenbasis.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { checkKind } from "../../base/_kinds.ts";
import { cacheFolder } from "../../base/_cache_folder.ts";
import { cacheKey, throughCache } from "../../base/_cache_file.ts";
import type { CacheFormat } from "../../base/_cache_file.ts";
import { sampleMoments } from "../../compute/covariance.ts";
import { eigenDecomposition } from "../../compute/eigen_decomposition.ts";
import type { EigenDecomposition } from "../../compute/reference_eigen.ts";
import { affineOf, checkPoints } from "../../compute/posterior.ts";
import { WORK_OPTIONS } from "../../compute/work_options.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { stopButton } from "../../base/stop_button.ts";
import { cutAtRounding } from "./_spectrum_rounding.ts";
import { checkLaw } from "./gaussian_law.ts";
import type { Spectrum } from "./_spectrum_rounding.ts";

export type { Spectrum } from "./_spectrum_rounding.ts";

/** Options of {@linkcode dataSpectrum}. */
export interface SpectrumOptions extends WorkOptions {
  /** Restrict the data to one class, by number or by name. Default: all classes. */
  readonly class?: number | string;
  /** Keep so many of the largest variances, or all if there are fewer. Default: all. */
  readonly rank?: number;
  /**
   * The least variance in any direction: the mean of the variances that the rank leaves out, as in
   * probabilistic PCA, or a number, to which smaller variances are raised. Default `"discarded"`.
   */
  readonly floor?: number | "discarded";
  /**
   * Where decompositions of 256 and more dimensions are kept: a folder, or false for none. One that cannot be written,
   * or may not be, is done without. Default true: the folder that the variable `CLOSEDFORM_CACHE` names, if not
   * `none`, or the user's folder of caches.
   */
  readonly cache?: string | boolean;
}

/** Decompositions that take less than a second are not kept. */
const LEAST_CACHED = 256;
/** From so many dimensions on, few items are decomposed by their inner products: seconds instead of minutes. */
const LEAST_BY_ITEMS = 1024;
const MAGIC = "CFSPECT1";

/** The options of {@linkcode SpectrumOptions}, with their defaults. */
export const SPECTRUM_OPTIONS = {
  ...WORK_OPTIONS,
  class: undefined,
  rank: undefined,
  floor: "discarded",
  cache: true,
} satisfies OptionTable<SpectrumOptions>;

/**
 * The spectrum of a data set: its mean, and the eigen-decomposition of its sample covariance.
 *
 * ```text
 * Σ = Σᵢ (xᵢ − μ)(xᵢ − μ)ᵀ / (N − 1) = U diag(λ) Uᵀ
 * ```
 *
 * All of it is computed in 64-bit arithmetic, whatever the rank, and kept on disk for the next time
 * under a key of the data's content. For at most `d/2` items of more than 1,024 dimensions it is computed from
 * their inner products, and holds only the directions that have variance, at most `N − 1`.
 *
 * @param dataset The data.
 * @param options Class, rank, floor, cache.
 * @returns The spectrum; variances that are rounding, of this arithmetic or of numbers stored as float32, are exactly 0.
 * @throws {RangeError} If the class does not exist, the rank is not a whole number from 0 to `d`, the floor is not
 * a finite number ≥ 0, or a number of the data is not finite.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { Dataset, dataSpectrum } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, 1, 0, 0, 1, -1), shape: [2], name: "three points" });
 * const { mean, variances } = await dataSpectrum(set);
 * assert.deepEqual([...mean], [0, 0]);
 * assert.ok(Math.abs(variances[0] - 2) < 1e-15 && variances[1] < 1e-15);
 * ```
 */
export async function dataSpectrum(
  dataset: Dataset,
  options: SpectrumOptions = {},
): Promise<Spectrum> {
  checkKind("take the spectrum", "dataset", dataset, "dataset");
  const settings = readOptions("take the spectrum", options, SPECTRUM_OPTIONS);
  const { rank = dataset.dimension, floor } = settings;
  checkRank(rank, dataset.dimension);
  checkFloor(floor);
  const data = options.class === undefined ? dataset : dataset.classSubset(options.class);
  using stop = stopButton(options.signal);
  const decomposed = await keptOrDecomposed(data, { ...settings, signal: stop.signal });
  const spectrum = cutAtRounding(decomposed, data);
  return lowRank(spectrum, Math.min(rank, spectrum.variances.length), floor);
}

/**
 * A spectrum with fewer directions, and a floor for the others.
 *
 * @param spectrum The spectrum.
 * @param rank How many of its directions to keep; with 0 the law is the same in all directions.
 * @param floor The least variance: the mean of what is left out, or a number.
 * @returns The new spectrum; it shares memory with the old one.
 * @throws {RangeError} If the rank is not a whole number from 0 to that of the spectrum, or the floor is negative.
 *
 * @example
 * ```ts
 * import { lowRank } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const spectrum = {
 *   mean: Float64Array.of(0, 0, 0),
 *   variances: Float64Array.of(9, 4, 2),
 *   basis: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1),
 *   floor: 0,
 * };
 * assert.equal(lowRank(spectrum, 1).floor, 3);
 * assert.deepEqual([...lowRank(spectrum, 2, 5).variances], [9, 5]);
 * ```
 */
export function lowRank(
  spectrum: Spectrum,
  rank: number,
  floor: number | "discarded" = "discarded",
): Spectrum {
  const { mean, variances, basis } = spectrum;
  const dimension = mean.length;
  checkLaw(spectrum, "take the spectrum");
  checkRank(rank, variances.length);
  checkFloor(floor);
  const outside = variances.subarray(rank).reduce(
    (sum, v) => sum + v,
    spectrum.floor * (dimension - variances.length),
  );
  const least = typeof floor === "number" ? floor : outside / Math.max(1, dimension - rank);
  return {
    mean,
    variances: variances.subarray(0, rank).map((v) =>
      typeof floor === "number" ? Math.max(v, floor) : v
    ),
    basis: basis.subarray(0, rank * dimension),
    floor: least,
  };
}

async function keptOrDecomposed(data: Dataset, options: SpectrumOptions): Promise<Spectrum> {
  const folder = await cacheFolder("take the spectrum", options.cache);
  if (folder === undefined || data.dimension < LEAST_CACHED) return await decompose(data, options);
  const key = await spectrumKey(data);
  const format: CacheFormat<Spectrum> = {
    magic: MAGIC,
    suffix: "spectrum",
    decode(payload) {
      const known = decode(payload, data.dimension);
      return known && fits(known, data) ? known : undefined;
    },
    encode,
  };
  return await throughCache(folder, key, format, () => decompose(data, options));
}

/** What a spectrum depends on: the numbers, how many make a row, and what bytes stand for. */
async function spectrumKey({ data, dimension, range }: Dataset): Promise<Uint8Array> {
  const bytes = data instanceof Uint8Array;
  const meaning = JSON.stringify([dimension, bytes ? ["u1", range] : "f4"]);
  const content = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return await cacheKey(meaning, content);
}

async function decompose(data: Dataset, options: SpectrumOptions): Promise<Spectrum> {
  const { count, dimension } = data;
  const few = dimension > LEAST_BY_ITEMS && 2 * count <= dimension && count > 1;
  const { mean, values, vectors } = await (few ? byItems : byDimensions)(data, options);
  return { mean, variances: values.map((v) => Math.max(0, v)), basis: vectors, floor: 0 };
}

type Decomposed = EigenDecomposition & { readonly mean: Float64Array };

async function byDimensions(
  data: Dataset,
  { signal, onProgress }: SpectrumOptions,
): Promise<Decomposed> {
  // About proportional to time.
  const d = data.dimension, square = d * d;
  const work = [data.count * square * (data.data instanceof Uint8Array ? 1 : 5), 15 * d * square];
  const tell = (before: number, share: number) => (done: number, total: number) =>
    onProgress?.(before + share * done / total, work[0] + work[1]);
  const { mean, covariance } = await sampleMoments(data, { signal, onProgress: tell(0, work[0]) });
  const watched = { signal, onProgress: tell(work[0], work[1]) };
  return { mean, ...await eigenDecomposition(covariance, d, watched) };
}

async function byItems(
  data: Dataset,
  { signal, onProgress }: SpectrumOptions,
): Promise<Decomposed> {
  signal?.throwIfAborted();
  checkPoints(data);
  const { gramEigen } = await import("../../compute/gram.ts");
  const { count, dimension } = data;
  const { scale, offset } = affineOf(data);
  const mean = data.mean();
  const centred = Float64Array.from(
    data.data,
    (v, i) => v * scale + offset - mean[i % dimension],
  );
  centreAgain(centred, dimension);
  const { values, vectors } = await gramEigen(centred, dimension, { signal, onProgress });
  return { mean, values: values.map((v) => v / (count - 1)), vectors };
}

/** Takes away what rounding left of the mean: of a large one it would be a direction of its own. */
function centreAgain(rows: Float64Array, d: number): void {
  const sums = new Float64Array(d), count = rows.length / d;
  rows.forEach((v, i) => sums[i % d] += v);
  for (let i = 0; i < rows.length; i++) rows[i] -= sums[i % d] / count;
}

function encode({ mean, variances, basis }: Spectrum): Uint8Array[] {
  return [mean, variances, basis].map((numbers) =>
    new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
  );
}

/** The spectrum of a payload; nothing if its size is that of none. */
function decode(payload: Uint8Array, d: number): Spectrum | undefined {
  const rank = (payload.byteLength / 8 - d) / (d + 1);
  if (!Number.isInteger(rank) || rank < 1 || rank > d) return undefined;
  // Whatever place the payload has in the file, numbers need one that is a multiple of their size.
  const numbers = new Float64Array(payload.slice().buffer);
  return {
    mean: numbers.subarray(0, d),
    variances: numbers.subarray(d, d + rank),
    basis: numbers.subarray(d + rank),
    floor: 0,
  };
}

/** Rounding of mean, trace and lengths, relative to what is summed; far above what 64-bit sums lose. */
const ROUNDING = 1e-6;

/**
 * Whether a spectrum that was kept can be that of the data: its mean and its sum of variances are theirs, the
 * variances fall, and the directions have unit length. That costs one pass over the data.
 */
function fits({ mean, variances, basis }: Spectrum, data: Dataset): boolean {
  const d = data.dimension, expected = data.mean();
  const { trace, square } = secondMoments(data, expected);
  const near = (a: number, b: number, scale: number) => Math.abs(a - b) <= ROUNDING * scale;
  const sum = variances.reduce((sum, v) => sum + v, 0);
  return mean.every((m, c) => near(m, expected[c], Math.sqrt(square))) &&
    variances.every((v, k) => v >= 0 && (k === 0 || v <= variances[k - 1])) &&
    near(sum, trace, trace + square * Number.EPSILON / ROUNDING) &&
    variances.every((_, k) => {
      const row = basis.subarray(k * d, (k + 1) * d);
      return near(row.reduce((sum, v) => sum + v * v, 0), 1, 1);
    });
}

/** The trace of the sample covariance, and the mean square of an item. */
function secondMoments(data: Dataset, mean: Float64Array): { trace: number; square: number } {
  const { scale, offset } = affineOf(data), { count, dimension } = data;
  let deviation = 0, square = 0;
  for (let i = 0, at = 0; i < count; i++) {
    for (let c = 0; c < dimension; c++, at++) {
      const v = data.data[at] * scale + offset;
      deviation += (v - mean[c]) ** 2;
      square += v * v;
    }
  }
  return { trace: deviation / Math.max(1, count - 1), square: square / count };
}

function checkRank(rank: number, most: number): void {
  if (!Number.isInteger(rank) || rank < 0 || rank > most) {
    throw new RangeError(
      `Cannot take the spectrum: rank is ${rank}, wanted a whole number from 0 to ${most}`,
    );
  }
}

function checkFloor(floor: number | "discarded"): void {
  if (floor === "discarded" || (floor >= 0 && floor < Infinity)) return;
  throw new RangeError(
    `Cannot take the spectrum: floor is ${floor}, wanted a finite number >= 0 or "discarded"`,
  );
}
