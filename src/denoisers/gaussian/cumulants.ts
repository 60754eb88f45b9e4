/**
 * How far a data set is from a Gaussian: the sizes of its third and fourth cumulants.
 *
 * @module
 */
import { optionsFor, type OptionTable, readOptions } from "../../base/_options.ts";
import { powerOfTwo } from "../../base/_unit.ts";
import { columnProducts } from "../../compute/column_products.ts";
import { affineOf } from "../../compute/posterior.ts";
import { WORK_OPTIONS } from "../../compute/work_options.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { RandomStream } from "../../base/random.ts";
import { leadingCoordinates, leadingCumulants } from "./_leading_cumulants.ts";
import type { LeadingCumulants } from "./_leading_cumulants.ts";
import type { Spectrum } from "./spectrum.ts";

/**
 * Frobenius norms of the cumulants of a data set, in data units to the power of their order. All are of the law of the
 * data set itself: moments with divisor `N`.
 */
export interface CumulantNorms {
  /** `‖Σ‖`, of the covariance. */
  readonly covariance: number;
  /** `‖κ₃‖`, of the third cumulants. */
  readonly third: number;
  /** `‖κ₄‖`, of the fourth cumulants. */
  readonly fourth: number;
  /** The largest variance in any direction, `λ₁`. */
  readonly variance: number;
  /** The number of items whose pairs were looked at; fewer than all give an estimate. */
  readonly rows: number;
}

/** Options of {@linkcode cumulantNorms}. */
export interface CumulantOptions extends WorkOptions {
  /** How many items to take, at random and without repetition. Default: as many as take a second or so. */
  readonly rows?: number;
  /** Seed of their choice. Default 0. */
  readonly seed?: number;
}

/** Products of numbers that take about a second by threads. */
const WORK = 4e9;
/** Fewer take less time in plain loops than to start threads. */
const LEAST_THREADED = 2e7;
/** Directions in which all items are looked at, and products of numbers spent on that. */
const LEADING = 12;
const LEADING_WORK = 5e8;

const OPTIONS = { ...WORK_OPTIONS, rows: undefined, seed: 0 } satisfies OptionTable<
  CumulantOptions
>;

/**
 * The norms of the cumulants of a data set, from inner products of its items: no tensor of `d³` numbers.
 *
 * ```text
 * gᵢⱼ = δᵢ·δⱼ,   δᵢ = xᵢ − μ,   ⟨·⟩ᵢⱼ the mean over all pairs, i = j included
 * ‖Σ‖² = ⟨g²⟩ = Σₖ λₖ²,   ‖κ₃‖² = ⟨g³⟩,   ‖κ₄‖² = ⟨g⁴⟩ − 6 ⟨(⟨g²⟩ⱼ)²⟩ᵢ + 3 ‖Σ‖⁴ + 6 Σₖ λₖ⁴
 * ```
 *
 * From a part of the items the means over distinct ones are estimated without bias, and completed by the share
 * that equal ones have in the whole set; what lies in the first twelve directions is then replaced by what
 * all items say about it, which takes most of the noise away. The fourth follows from `κ₄ = m₄ − 3 sym(Σ⊗Σ)`.
 *
 * @param dataset The data.
 * @param spectrum Their spectrum, from `dataSpectrum(dataset)`, all of it.
 * @param options Number of items, seed, signal, progress.
 * @returns The norms.
 * @throws {TypeError} If the spectrum is of another dimension.
 * @throws {RangeError} If the number of items is not a whole number from 2 to `N`, or the data set holds one item.
 *
 * @example Three points on a line: κ₃ = mean δ³
 * ```ts
 * import { Dataset, dataSpectrum } from "@closedform/diffusion";
 * import { cumulantNorms } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, -1, 2), shape: [1], name: "three points" });
 * const { covariance, third } = await cumulantNorms(set, await dataSpectrum(set));
 * assert.ok(Math.abs(covariance - 2) < 1e-12 && Math.abs(third - 2) < 1e-12);
 * ```
 */
export async function cumulantNorms(
  dataset: Dataset,
  spectrum: Spectrum,
  options: CumulantOptions = {},
): Promise<CumulantNorms> {
  const { count, dimension } = dataset;
  if (spectrum.mean.length !== dimension) {
    throw new TypeError(
      `Cannot compute cumulants: the spectrum has dimension ${spectrum.mean.length}, wanted ${dimension}`,
    );
  }
  const settings = readOptions("compute cumulants", options, OPTIONS);
  const { rows = Math.min(count, Math.max(2, Math.floor(Math.sqrt(WORK / dimension)))) } = settings;
  if (!Number.isInteger(rows) || rows < 2 || rows > count) {
    throw new RangeError(
      `Cannot compute cumulants: received ${rows} rows of ${count}, wanted a whole number from 2 to ${count}`,
    );
  }
  const chosen = distinct(rows, count, settings.seed);
  const variance = Math.max(spectrum.variances[0] ?? 0, spectrum.floor);
  // Eighth powers of deviations are summed: float64 holds them in a unit near the data's spread.
  const unit = powerOfTwo(Math.sqrt(variance));
  const columns = deviations(dataset, spectrum.mean, chosen).map((v) => v / unit);
  const gram = await gramMatrix(columns, rows, optionsFor(WORK_OPTIONS, settings));
  options.signal?.throwIfAborted();
  const all = meansOverPairs(gram, rows, count);
  const scaled = inUnit(spectrum, unit);
  const norms = squaredNorms(all, scaled, count);
  const known = rows < count ? leadingDifference(dataset, spectrum, chosen, unit) : NOTHING;
  const root = (square: number) => Math.sqrt(Math.max(0, square));
  return {
    covariance: root(powerSum(scaled, 2, count)) * unit ** 2,
    third: root(norms.third + known.third) * unit ** 3,
    fourth: root(norms.fourth + known.fourth) * unit ** 4,
    variance: (count - 1) / count * variance,
    rows,
  };
}

/** Variances in another unit. */
function inUnit({ mean, variances, floor }: Variances, unit: number): Variances {
  return { mean, variances: variances.map((v) => v / unit / unit), floor: floor / unit / unit };
}

const NOTHING: LeadingCumulants = { third: 0, fourth: 0 };

/** The squared norms of the cumulants, from means over pairs. */
function squaredNorms(
  { cube, fourth, nested }: PairMeans,
  variances: Variances,
  count: number,
): LeadingCumulants {
  const gaussian = 3 * powerSum(variances, 2, count) ** 2 + 6 * powerSum(variances, 4, count);
  return { third: cube, fourth: fourth - 6 * nested + gaussian };
}

type Variances = Pick<Spectrum, "mean" | "variances" | "floor">;

/** `Σₖ λₖⁿ` over all directions, of the covariance with divisor `N`, as the law of the data set itself has it. */
function powerSum({ mean, variances, floor }: Variances, power: number, count: number): number {
  const share = (count - 1) / count;
  const outside = (mean.length - variances.length) * (share * floor) ** power;
  return variances.reduce((sum, v) => sum + (share * v) ** power, outside);
}

/**
 * What all items say about the first directions, where most of the cumulants are, less what the chosen ones say
 * about them: the pairs are then asked for the rest only, which makes their noise small.
 */
function leadingDifference(
  dataset: Dataset,
  spectrum: Spectrum,
  chosen: readonly number[],
  unit: number,
): LeadingCumulants {
  const { count, dimension } = dataset;
  const rank = Math.min(LEADING, spectrum.variances.length);
  const most = Math.min(count, Math.floor(LEADING_WORK / (dimension * rank)));
  const coordinates = (items: ArrayLike<number>) =>
    leadingCoordinates(dataset, spectrum, rank, items).map((v) => v / unit);
  const exact = leadingCumulants(coordinates(evenly(most, count)), rank);
  const part = transposed(coordinates(chosen), rank);
  const pairs = meansOverPairs(plainGram(part, chosen.length), chosen.length, count);
  const leading = { mean: part.subarray(0, rank), variances: spectrum.variances.subarray(0, rank) };
  const estimated = squaredNorms(pairs, inUnit({ ...leading, floor: 0 }, unit), count);
  return {
    third: exact.third - estimated.third,
    fourth: exact.fourth - estimated.fourth,
  };
}

/** `n` of `count` places, equally far apart. */
function evenly(n: number, count: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => Math.floor(i * count / n));
}

/** Rows of `rank` numbers as columns. */
function transposed(rows: Float64Array, rank: number): Float64Array {
  const n = rows.length / rank;
  return Float64Array.from(rows, (_, at) => rows[(at % n) * rank + Math.floor(at / n)]);
}

/** Places of `n` distinct items out of `count`, by Floyd's choice. */
function distinct(n: number, count: number, seed: number): number[] {
  if (n === count) return Array.from({ length: n }, (_, i) => i);
  const stream = new RandomStream({ seed, purpose: "theory" });
  const chosen = new Set<number>();
  for (let last = count - n; last < count; last++) {
    const i = stream.below(last + 1);
    chosen.add(chosen.has(i) ? last : i);
  }
  return [...chosen];
}

/** The deviations of items from the mean as columns: `d` rows of `n` numbers. */
function deviations(dataset: Dataset, mean: Float64Array, chosen: readonly number[]): Float64Array {
  const { data, dimension } = dataset;
  const { scale, offset } = affineOf(dataset);
  const columns = new Float64Array(dimension * chosen.length);
  chosen.forEach((i, at) => {
    for (let c = 0; c < dimension; c++) {
      columns[c * chosen.length + at] = data[i * dimension + c] * scale + offset - mean[c];
    }
  });
  return columns;
}

/** The inner products of `n` columns: `n` rows of `n` numbers, of which those on and above the diagonal count. */
async function gramMatrix(
  columns: Float64Array,
  n: number,
  options: WorkOptions,
): Promise<Float64Array> {
  if (columns.length * n < LEAST_THREADED) return plainGram(columns, n);
  const points = { data: Float32Array.from(columns), dimension: n };
  return await columnProducts(points, new Float64Array(n), options);
}

function plainGram(columns: Float64Array, n: number): Float64Array {
  const gram = new Float64Array(n * n);
  for (let at = 0; at < columns.length; at += n) {
    for (let i = 0; i < n; i++) {
      const value = columns[at + i];
      for (let j = i; j < n; j++) gram[i * n + j] += value * columns[at + j];
    }
  }
  return gram;
}

/** Means over pairs of items. */
interface PairMeans {
  /** `⟨g³⟩`. */
  readonly cube: number;
  /** `⟨g⁴⟩`. */
  readonly fourth: number;
  /** `⟨(⟨g²⟩ⱼ)²⟩ᵢ`. */
  readonly nested: number;
}

/** Means over all pairs of `count` items, from those over distinct and equal ones among `n` of them. */
function meansOverPairs(gram: Float64Array, n: number, count: number): PairMeans {
  // g³ and g⁴ of distinct pairs, and of equal ones; g₁₂² g₁₃² and g₁₁² g₁₂² of distinct items.
  let cubes = 0, quarts = 0, ownCubes = 0, ownQuarts = 0, triples = 0, mixed = 0;
  const squares = new Float64Array(n), fourths = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const g = gram[i * n + j], square = g * g, quart = square * square;
      cubes += square * g;
      quarts += quart;
      squares[i] += square;
      squares[j] += square;
      fourths[i] += quart;
      fourths[j] += quart;
    }
    ownCubes += gram[i * n + i] ** 3;
    ownQuarts += gram[i * n + i] ** 4;
  }
  for (let i = 0; i < n; i++) {
    triples += squares[i] ** 2 - fourths[i];
    mixed += gram[i * n + i] ** 2 * squares[i];
  }
  const pairs = n * (n - 1), others = count - 1;
  const quart = 2 * quarts / pairs, ownQuart = ownQuarts / n;
  const triple = n > 2 ? triples / (pairs * (n - 2)) : 0;
  return {
    cube: (others * 2 * cubes / pairs + ownCubes / n) / count,
    fourth: (others * quart + ownQuart) / count,
    nested: (others * (count - 2) * triple + others * quart + 2 * others * mixed / pairs +
      ownQuart) / count ** 2,
  };
}
