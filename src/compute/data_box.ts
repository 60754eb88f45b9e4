/**
 * The box around data, and how queries are compared with them so that float32 keeps what matters.
 *
 * Only differences of squared distances matter for weights. With any point `a` they are, with `e = x − a` and
 * `t = 2(q − a)`,
 *
 * ```text
 * ‖q − x‖² = Σ e (e − t) + ‖q − a‖²
 * ```
 *
 * whose last term is the same for all rows. With `a = q` the sum is the squared distance itself, exact near the query, but for a query
 * that is `L` away its rounding is that of `L²`. With `a` in the middle of data of radius `R` its terms are of size
 * `R(2L + R)` only. So queries close to the data are compared with `a = q`, those {@linkcode FAR} with `a` in their middle.
 *
 * @module
 */
import type { PointSet } from "./posterior.ts";

/** Beyond so many radii a query is far. */
export const FAR = 3;

/** A box that holds data. */
export interface DataBox {
  /** Its middle, float32. */
  readonly centre: Float32Array;
  /** Half of its sides. */
  readonly halves: Float64Array;
  /** Half its diagonal: no row is farther from the middle. */
  readonly radius: number;
}

/**
 * The box of some ranges of float32 numbers. Its middle is that of a range where all numbers `x` are within a factor of 2 of
 * each other, as those far from 0 are: then `x − centre` is exact in float32 (P. H. Sterbenz, 1974). Elsewhere it is
 * 0, and the box at most four times as wide as it had to be.
 *
 * @param least The least number of each coordinate.
 * @param most The greatest of each.
 * @returns Their box.
 */
export function boxOfRanges(least: ArrayLike<number>, most: ArrayLike<number>): DataBox {
  const centre = Float32Array.from(least, (low, c) => {
    const high = most[c];
    const alike = low > 0 ? high <= 2 * low : high < 0 && low >= 2 * high;
    return alike ? low / 2 + high / 2 : 0;
  });
  const halves = Float64Array.from(
    centre,
    (middle, c) => Math.max(middle - least[c], most[c] - middle),
  );
  return { centre, halves, radius: lengthOf(halves) };
}

/**
 * The box of some rows in stored units. Bytes are taken to fill their range.
 *
 * @param data The rows.
 * @param dimension Numbers per row.
 * @returns Their box.
 */
export function boxOf(data: PointSet["data"], dimension: number): DataBox {
  if (data instanceof Uint8Array) return boxOfBytes(dimension);
  const least = data.slice(0, dimension), most = data.slice(0, dimension);
  for (let at = dimension; at < data.length;) {
    for (let c = 0; c < dimension; c++, at++) {
      const value = data[at];
      if (value < least[c]) least[c] = value;
      if (value > most[c]) most[c] = value;
    }
  }
  return boxOfRanges(least, most);
}

/**
 * The box that bytes can fill.
 *
 * @param dimension Numbers per row.
 * @param origin What the byte 0 is stored as. Default 0.
 */
export function boxOfBytes(dimension: number, origin = 0): DataBox {
  const centre = new Float32Array(dimension).fill(127.5 + origin);
  const halves = new Float64Array(dimension).fill(127.5);
  return { centre, halves, radius: lengthOf(halves) };
}

/**
 * Whether a query is far from data.
 *
 * @param query In stored units.
 * @param box The box of the data.
 */
export function isFar(query: ArrayLike<number>, { centre, radius }: DataBox): boolean {
  return squareFrom(query, centre) > (FAR * radius) ** 2;
}

/**
 * Whether a query is compared from the middle of data: it is far from them, or the noise is so large that it mostly is.
 *
 * @param query In stored units.
 * @param sigma Noise level in stored units.
 * @param box The box of the data.
 */
export function isFromMiddle(query: ArrayLike<number>, sigma: number, box: DataBox): boolean {
  return sigma > spreadOf(box) || isFar(query, box);
}

/** Half the sides of a box, root mean square. */
export function spreadOf({ halves, radius }: DataBox): number {
  return radius / Math.sqrt(halves.length);
}

/**
 * The squared distance of a query from a point, float64.
 *
 * @param query The query.
 * @param point The point.
 */
export function squareFrom(query: ArrayLike<number>, point: ArrayLike<number>): number {
  let square = 0;
  for (let c = 0; c < query.length; c++) square += (query[c] - point[c]) ** 2;
  return square;
}

function lengthOf(vector: Float64Array): number {
  return Math.sqrt(vector.reduce((sum, v) => sum + v * v, 0));
}

/** The box of each channel of images, at every pixel: for comparisons of different places. */
export function boxOfChannels({ centre, halves }: DataBox, channels: number): DataBox {
  const least = new Float64Array(channels).fill(Infinity);
  const most = new Float64Array(channels).fill(-Infinity);
  halves.forEach((half, c) => {
    least[c % channels] = Math.min(least[c % channels], centre[c] - half);
    most[c % channels] = Math.max(most[c % channels], centre[c] + half);
  });
  const spread = (ends: Float64Array) => halves.map((_, c) => ends[c % channels]);
  return boxOfRanges(spread(least), spread(most));
}

/** The numbers that a query is compared with, coordinate by coordinate: `a`, `t` and `(q − a)²`. */
export interface Comparison {
  /** The points `a`, float32. */
  readonly points: Float32Array;
  /** The slopes `t`, float32. */
  readonly slopes: Float32Array;
  /** What the products fall short of squared differences. */
  readonly bases: Float64Array;
}

/**
 * How a query is compared with data whose coordinates are summed in different selections: each coordinate by itself
 * is close or far. What rounding `a` to float32 takes away, `t` gives back.
 *
 * @param query In stored units, float64.
 * @param box The box of the data.
 * @param far Whether a coordinate is far. Default: as far from its middle as that takes.
 */
export function comparisonOf(
  query: Float64Array,
  { centre, halves }: DataBox,
  far: (c: number) => boolean = (c) => Math.abs(query[c] - centre[c]) > FAR * halves[c],
): Comparison {
  const points = Float32Array.from(query, (q, c) => far(c) ? centre[c] : q);
  const slopes = Float32Array.from(query, (q, c) => 2 * (q - points[c]));
  return { points, slopes, bases: query.map((q, c) => (q - points[c]) ** 2) };
}
