/**
 * The sample covariance of a data set, in 64-bit arithmetic.
 *
 * @module
 */
import { affineOf, checkPoints } from "./posterior.ts";
import type { PointSet } from "./posterior.ts";
import type { WorkOptions } from "./work_options.ts";

/** Mean and covariance of a data set. */
export interface Moments {
  /** The mean, `d` numbers in data units. */
  readonly mean: Float64Array;
  /** The sample covariance, divisor `N − 1`, `d` rows of `d` numbers, symmetric to the bit. */
  readonly covariance: Float64Array;
}

/** Sums over the data, relative to a centre near their mean, in stored units. */
export interface CentredSums {
  /** The centre: for bytes the nearest whole numbers to the mean, for floats the mean in float64. */
  readonly centre: Float64Array;
  /** `Σᵢ (xᵢ − c)`, what rounding the centre left. */
  readonly sums: Float64Array;
  /** `Σᵢ (xᵢ − c)(xᵢ − c)ᵀ`, `d` rows of `d` numbers, of which those on and above the diagonal count. */
  readonly products: Float64Array;
}

// Fewer multiplications take less time than to start threads.
const LEAST_THREADED = 2e7;

/**
 * The sample mean and covariance of a data set of any size, by threads if that is faster. For bytes they are the same to
 * the bit either way.
 *
 * @param points The data.
 * @param options Signal, progress.
 * @returns Mean and covariance; a single row has covariance 0.
 * @throws {RangeError} If a number is not finite.
 * @throws {DeviceError} If there is not enough memory, or no SIMD WebAssembly.
 */
export async function sampleMoments(
  points: PointSet,
  options: WorkOptions = {},
): Promise<Moments> {
  options.signal?.throwIfAborted();
  if (points.data.length * points.dimension < LEAST_THREADED) return referenceMoments(points);
  checkPoints(points);
  const { columnProducts } = await import("./wasm/column_products.ts");
  const { centre, sums } = centreOf(points);
  const products = await columnProducts(points, centre, options);
  return momentsOf(points, { centre, sums, products });
}

/**
 * The sample mean and covariance by plain loops: what the threads are checked against.
 *
 * For bytes all sums are whole numbers below 2⁵³ and exact; each element is then rounded
 * three times. For floats they are float64 sums of centred products.
 *
 * @param points The data.
 * @returns Mean and covariance; a single row has covariance 0.
 */
export function referenceMoments(points: PointSet): Moments {
  const count = checkPoints(points);
  const { data, dimension } = points;
  const { centre, sums } = centreOf(points);
  const products = new Float64Array(dimension * dimension);
  const row = new Float64Array(dimension);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < dimension; c++) row[c] = data[i * dimension + c] - centre[c];
    for (let a = 0; a < dimension; a++) {
      const value = row[a], at = a * dimension;
      if (value === 0) continue;
      for (let b = a; b < dimension; b++) products[at + b] += value * row[b];
    }
  }
  return momentsOf(points, { centre, sums, products });
}

/**
 * The centre of a data set and the sums of the deviations from it.
 *
 * @param points The data.
 */
export function centreOf(points: PointSet): Omit<CentredSums, "products"> {
  const { data, dimension } = points;
  const count = data.length / dimension;
  const totals = columnSums(points, new Float64Array(dimension));
  if (data instanceof Uint8Array) {
    const centre = totals.map((sum) => Math.round(sum / count));
    // Whole numbers, so exact.
    return { centre, sums: totals.map((sum, c) => sum - count * centre[c]) };
  }
  const centre = totals.map((sum) => sum / count);
  return { centre, sums: columnSums(points, centre) };
}

function columnSums({ data, dimension }: PointSet, centre: Float64Array): Float64Array {
  const sums = new Float64Array(dimension);
  for (let at = 0; at < data.length;) {
    for (let c = 0; c < dimension; c++) sums[c] += data[at++] - centre[c];
  }
  return sums;
}

/**
 * Mean and covariance from centred sums: `(Σ yyᵀ − (Σy)(Σy)ᵀ/N) / (N − 1)` in data units.
 *
 * @param points The data.
 * @param centred The sums; `products` is used up and becomes the covariance.
 */
export function momentsOf(points: PointSet, { centre, sums, products }: CentredSums): Moments {
  const { dimension } = points;
  const count = points.data.length / dimension;
  const { scale, offset } = affineOf(points);
  const factor = scale * scale / Math.max(1, count - 1);
  for (let a = 0; a < dimension; a++) {
    for (let b = a; b < dimension; b++) {
      const value = (products[a * dimension + b] - sums[a] * sums[b] / count) * factor;
      products[a * dimension + b] = products[b * dimension + a] = value;
    }
  }
  return {
    mean: centre.map((c, k) => (c + sums[k] / count) * scale + offset),
    covariance: products,
  };
}
