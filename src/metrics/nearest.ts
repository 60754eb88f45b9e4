/**
 * Memorisation: how near samples are to the items they were made from.
 *
 * @module
 */
import { checkOptionNames, type OptionTable, readOptions } from "../base/_options.ts";
import { received } from "../base/_kinds.ts";
import { quantile } from "../base/_quantile.ts";
import { affineOf, checkPoints } from "../compute/posterior.ts";
import type { PointSet } from "../compute/posterior.ts";
import { showsItself } from "../base/_display.ts";
import type { LabelledImages } from "../base/_display.ts";
import { isImage } from "../base/_shape.ts";
import { turn, turnIsDue } from "../base/_turns.ts";
import { LANES, squareBelow } from "../linalg/_square_below.ts";
import { checkRows } from "./_rows.ts";
import { rowsOf } from "./samples.ts";
import type { Rows, Samples } from "./samples.ts";
import { fromUnit, powerOfTwo } from "../base/_unit.ts";
import { stopButton } from "../base/stop_button.ts";

/**
 * The two nearest items of each sample by squared distance in float64, by their places in the whole data set, see `Dataset.items`.
 * Equal squares go to the lower row.
 */
export interface NearestItems {
  /** Index of the nearest item; the first of its copies, if the data hold copies. */
  readonly nearest: Uint32Array;
  /** Euclidean distance `d₁` to it, in data units. */
  readonly nearestDistance: Float64Array;
  /** Index of the nearest item that is not a copy of the nearest one; -1 if there is none. */
  readonly second: Int32Array;
  /** Euclidean distance `d₂ ≥ d₁` to it, in data units; infinite if there is none. */
  readonly secondDistance: Float64Array;
  /**
   * The share of samples that are copies of items, see {@linkcode memorisedShare}. It throws where the data hold one
   * distinct item, so that there is nothing to compare with.
   */
  readonly memorisedShare: number;
}

/** Options of {@linkcode nearestItems}. */
export interface NearestOptions {
  /** Cancels the search, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

const ACTION = "find nearest items";
/** Numbers from one over it to it have squares that float64 holds. */
const LARGE = 2 ** 400;

const OPTIONS = { signal: undefined } satisfies OptionTable<NearestOptions>;

/**
 * The nearest and the second nearest item of each sample, exactly: by
 * direct differences in float64, over all items.
 *
 * ```text
 * d₁ = min_i ‖s − x_i‖,   d₂ = min { ‖s − x_i‖ : x_i ≠ x_nearest }
 * ```
 *
 * Data sets may hold duplicates. Copies of the nearest item
 * say nothing about how far the next *other* item is, so the second nearest is
 * the nearest item whose numbers differ from those of the nearest.
 *
 * The data are read once, items in the outer loop. A row is given up once its
 * partial sum reaches the second smallest so far, which changes no result.
 *
 * @param samples Samples `s`: a run, a data set, a tensor `[B, …shape]`, rows with a shape, or `B` rows of `d` numbers, all in data units.
 * @param points The data, `N` items of `d` numbers; a `Dataset` is one.
 * @param options A signal that cancels.
 * @returns The two nearest items of each sample and their distances, and the share of copies. Of images it shows itself at the
 * end of a notebook cell: samples above, the nearest items below, with their distances.
 * @throws {TypeError} If samples or data are no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite.
 *
 * @example
 * ```ts
 * import { nearestItems } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(0, 0, 3, 4, 0, 0), dimension: 2 };
 * const { nearest, second, secondDistance } = await nearestItems([0, 0], points);
 * assert.deepEqual([nearest[0], second[0], secondDistance[0]], [0, 1, 5]);
 * ```
 *
 * @example Is it a copy?
 * ```ts
 * import { dataset, nearestItems } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const data = dataset([[0], [8]]);
 * assert.equal((await nearestItems(dataset([[8], [3]]), data)).memorisedShare, 0.5);
 * ```
 */
export async function nearestItems(
  samples: Samples,
  points: PointSet,
  options: NearestOptions = {},
): Promise<NearestItems> {
  checkOptionNames("find nearest items", options, OPTIONS);
  using stop = stopButton(options.signal);
  const { signal } = stop;
  const count = checkPoints(points);
  const given = rowsOf(samples, ACTION, points.dimension);
  const rows = checkRows(given.values, points.dimension, ACTION);
  const found = new Search(given.values, rows, points);
  signal?.throwIfAborted();
  for (let item = 0; item < count; item++) {
    found.visit(item);
    if (turnIsDue()) await turn(signal);
  }
  const result = found.result();
  return showsItself(result, () => shownPairs(given, points, found.nearestRows, result));
}

/** So many pairs are shown. */
const PAIRS = 12;

/** Samples above, their nearest items below, if they are images; else the first rows of what was found. */
function shownPairs(
  { values }: Rows,
  points: PointSet & { readonly shape?: readonly number[] },
  nearestRows: Uint32Array,
  { nearest, nearestDistance, secondDistance }: NearestItems,
): readonly unknown[] {
  const { data, dimension, shape = [], range = [-1, 1] } = points;
  const columns = Math.min(PAIRS, nearest.length);
  if (!isImage(shape)) {
    return [Array.from({ length: columns }, (_, i) => ({
      sample: i,
      nearest: nearest[i],
      distance: nearestDistance[i],
      "to the second": secondDistance[i],
    }))];
  }
  const { scale, offset } = affineOf(points);
  const images = new Float32Array(2 * columns * dimension);
  for (let i = 0; i < columns; i++) {
    for (let c = 0; c < dimension; c++) {
      images[i * dimension + c] = values[i * dimension + c];
      images[(columns + i) * dimension + c] = data[nearestRows[i] * dimension + c] * scale + offset;
    }
  }
  const rowLabels = ["sample", "nearest item"];
  const columnLabels = Array.from(
    nearestDistance.subarray(0, columns),
    (distance) => String(Number(distance.toPrecision(3))),
  );
  return [
    { images, shape, range, columns, rowLabels, columnLabels } satisfies LabelledImages,
    "Above each pair, its Euclidean distance.",
  ];
}

/** The state of one search: the two smallest squared distances of each sample so far. */
class Search {
  readonly #nearest: Uint32Array;
  readonly #second: Int32Array;
  readonly #nearestSquare: Float64Array;
  readonly #secondSquare: Float64Array;
  /** The samples, each padded with zeros. */
  readonly #queries: Float64Array;
  /** The item being visited, padded with zeros. */
  readonly #row: Float64Array;
  /** What numbers are measured in; exact, and 1 but for numbers whose squares float64 does not hold. */
  readonly #unit: number;

  constructor(samples: ArrayLike<number>, readonly rows: number, readonly points: PointSet) {
    const { dimension } = points;
    const padded = Math.ceil(dimension / LANES) * LANES;
    this.#nearest = new Uint32Array(rows);
    this.#second = new Int32Array(rows).fill(-1);
    this.#nearestSquare = new Float64Array(rows).fill(Infinity);
    this.#secondSquare = new Float64Array(rows).fill(Infinity);
    this.#row = new Float64Array(padded);
    this.#queries = new Float64Array(rows * padded);
    this.#unit = searchUnit(samples, points);
    for (let i = 0; i < samples.length; i++) {
      this.#queries[Math.floor(i / dimension) * padded + i % dimension] = samples[i] / this.#unit;
    }
  }

  visit(item: number): void {
    const { rows, points } = this;
    const { data, dimension } = points;
    const affine = affineOf(points), unit = this.#unit;
    const scale = affine.scale / unit, offset = affine.offset / unit;
    const row = this.#row;
    for (let c = 0, at = item * dimension; c < dimension; c++, at++) {
      row[c] = data[at] * scale + offset;
    }
    for (let q = 0; q < rows; q++) {
      const limit = this.#secondSquare[q];
      const square = squareBelow(this.#queries, q * row.length, row, limit);
      if (square < limit) this.#insert(q, item, square);
    }
  }

  #insert(q: number, item: number, square: number): void {
    if (square < this.#nearestSquare[q]) {
      this.#secondSquare[q] = this.#nearestSquare[q];
      // Before the first item there is no nearest one to move down.
      this.#second[q] = this.#secondSquare[q] === Infinity ? -1 : this.#nearest[q];
      this.#nearestSquare[q] = square;
      this.#nearest[q] = item;
    } else if (
      // Copies are at bitwise the same distance, so only ties need comparing.
      square > this.#nearestSquare[q] || !this.#same(this.#nearest[q], item)
    ) {
      this.#secondSquare[q] = square;
      this.#second[q] = item;
    }
  }

  #same(i: number, j: number): boolean {
    const { data, dimension } = this.points;
    for (let c = 0; c < dimension; c++) {
      if (data[i * dimension + c] !== data[j * dimension + c]) return false;
    }
    return true;
  }

  /** The row of the nearest item of each sample. */
  get nearestRows(): Uint32Array {
    return this.#nearest;
  }

  result(): NearestItems {
    const distance = (square: number) =>
      // There may be no second one.
      square === Infinity ? square : fromUnit(Math.sqrt(square), this.#unit, 1, ACTION);
    const { items } = this.points;
    const found = {
      nearest: items ? this.#nearest.map((row) => items[row]) : this.#nearest,
      nearestDistance: this.#nearestSquare.map(distance),
      second: items ? this.#second.map((row) => row < 0 ? row : items[row]) : this.#second,
      secondDistance: this.#secondSquare.map(distance),
    };
    return Object.defineProperty(found as NearestItems, "memorisedShare", {
      get: () => memorisedShare(found as NearestItems),
    });
  }
}

/** Float32 items have squares that float64 holds: only samples, and what bytes stand for, can be further out. */
function searchUnit(samples: ArrayLike<number>, { data, range }: PointSet): number {
  const bytes = data instanceof Uint8Array;
  let most = bytes ? Math.max(...(range ?? [-1, 1]).map(Math.abs)) : 1;
  for (let i = 0; i < samples.length; i++) most = Math.max(most, Math.abs(samples[i]));
  return most > LARGE || most < 1 / LARGE ? powerOfTwo(most) : 1;
}

/**
 * How close the nearest item must be, compared with the next other one, to count as memorised.
 *
 * @example A sample three times closer to one item than to any other is at the limit
 * ```ts
 * import { MEMORISED_RATIO } from "./nearest.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(MEMORISED_RATIO, 1 / 3);
 * ```
 */
export const MEMORISED_RATIO: number = 1 / 3;

/**
 * The share of samples that are copies of items of the data: those more than three
 * times closer to the nearest item than to any other.
 *
 * ```text
 * share = #{ d₁ < d₂ / 3 } / B
 * ```
 *
 * Exact duplicates among the data count as one item, see {@linkcode nearestItems}:
 * a sample that equals a duplicated item has `d₁ = 0 < d₂` and is memorised. A
 * new sample half-way between two items has `d₁ = d₂` and is not.
 *
 * Reference: X. Gu, C. Du, T. Pang, C. Li, M. Lin, Y. Wang (2023), On memorization in diffusion models, arXiv:2310.02664,
 * for the criterion and its factor 1/3.
 *
 * @param items What {@linkcode nearestItems} found.
 * @param ratio The largest `d₁/d₂` of a memorised sample, exclusive. Default 1/3.
 * @returns A share from 0 to 1.
 * @throws {RangeError} If the data hold no two distinct items, so that there is nothing to compare with, or the ratio is not in (0, 1].
 * @throws {TypeError} If it is not given what `nearestItems()` found.
 *
 * @example
 * ```ts
 * import { memorisedShare, nearestItems } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(0, 8, 8), dimension: 1 };
 * assert.equal(memorisedShare(await nearestItems([8, 1, 3, 5], points)), 0.5);
 * ```
 */
export function memorisedShare(
  items: NearestItems,
  ratio: number = MEMORISED_RATIO,
): number {
  if (!(ratio > 0 && ratio <= 1)) {
    throw new RangeError(
      `Cannot compute the memorised share: ratio is ${ratio}, wanted a number in (0, 1]`,
    );
  }
  if (!items?.secondDistance) {
    throw new TypeError(
      `Cannot compute the memorised share: items is ${
        received(items)
      }, wanted what nearestItems() found`,
    );
  }
  const { nearestDistance, secondDistance } = items;
  if (secondDistance.includes(Infinity)) {
    throw new RangeError(
      "Cannot compute the memorised share: the data hold one distinct item, wanted at least two",
    );
  }
  const memorised = nearestDistance.filter((d, i) => d < ratio * secondDistance[i]);
  return memorised.length / nearestDistance.length;
}

/**
 * The share of samples that lie within a distance of an item: the absolute criterion, for points.
 *
 * ```text
 * share = #{ d₁ < distance } / B
 * ```
 *
 * For points of unit scale a thousandth is usual; for images {@linkcode memorisedDistance} takes the distance
 * from the data.
 *
 * @param items What {@linkcode nearestItems} found.
 * @param distance The distance that a copy is nearer than, in data units, positive.
 * @returns A share from 0 to 1.
 * @throws {RangeError} If the distance is not positive.
 *
 * @example
 * ```ts
 * import { nearestItems, shareWithin } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(0, 1), dimension: 1 };
 * assert.equal(shareWithin(await nearestItems([0.0005, 0.5], points), 1e-3), 0.5);
 * ```
 */
export function shareWithin(items: NearestItems, distance: number): number {
  if (!(distance > 0 && distance < Infinity)) {
    throw new RangeError(
      `Cannot compute the memorised share: distance is ${distance}, wanted a finite number > 0`,
    );
  }
  const { nearestDistance } = items;
  return nearestDistance.filter((d) => d < distance).length / nearestDistance.length;
}

/** Options of {@linkcode memorisedDistance}. */
export interface MemorisedDistanceOptions extends NearestOptions {
  /** The percentile of the items' distances to their nearest other item, from 0 to 100. Default 5; 1 is usual too. */
  readonly percentile?: number;
  /** How many items are looked at, evenly spaced in the order of the data. Default 512, or all of fewer. */
  readonly items?: number;
}

const MEMORISED_OPTIONS = { ...OPTIONS, percentile: 5, items: 512 } satisfies OptionTable<
  MemorisedDistanceOptions
>;

/**
 * The distance that a sample must be nearer than to count as memorised: a low percentile of the distances
 * that items have to each other.
 *
 * ```text
 * percentile over i of min { ‖x_i − x_j‖ : x_j ≠ x_i }
 * ```
 *
 * Give it to {@linkcode shareWithin}. Images of one set differ in how near their neighbours are, so no fixed
 * distance serves. New samples of the law of the data have about the percentile as their share: compare with held-out data.
 *
 * Reference: MM-SOLD, arXiv:2605.14276, uses the 1st and the 5th percentile.
 *
 * @param points The data, `N` items of `d` numbers; a `Dataset` is one. Copies of an item do not count as another.
 * @param options Which percentile, of how many items; a signal that cancels.
 * @returns The distance, in data units.
 * @throws {RangeError} If an option is out of range, or the data hold no two distinct items.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { memorisedDistance } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(0, 1, 3, 7), dimension: 1 };
 * assert.equal(await memorisedDistance(points, { percentile: 0 }), 1);
 * assert.equal(await memorisedDistance(points, { percentile: 100 }), 4);
 * ```
 */
export async function memorisedDistance(
  points: PointSet,
  options: MemorisedDistanceOptions = {},
): Promise<number> {
  const { percentile, items, signal } = readOptions(
    "find the distance of copies",
    options,
    MEMORISED_OPTIONS,
  );
  const count = checkPoints(points);
  if (!(percentile >= 0 && percentile <= 100)) {
    throw new RangeError(
      `Cannot find the distance of copies: percentile is ${percentile}, wanted a number from 0 to 100`,
    );
  }
  if (!(Number.isInteger(items) && items >= 1)) {
    throw new RangeError(
      `Cannot find the distance of copies: items is ${items}, wanted a whole number >= 1`,
    );
  }
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const looked = Math.min(items, count);
  const samples = Float64Array.from({ length: looked * dimension }, (_, at) => {
    const item = Math.floor(Math.floor(at / dimension) * count / looked);
    return data[item * dimension + at % dimension] * scale + offset;
  });
  // Each item is its own nearest one; the second nearest differs from it.
  const { secondDistance } = await nearestItems(samples, points, { signal });
  if (secondDistance.includes(Infinity)) {
    throw new RangeError(
      "Cannot find the distance of copies: the data hold one distinct item, wanted at least two",
    );
  }
  return quantile(secondDistance, percentile / 100);
}
