/**
 * What an exact nearest-neighbour search gives, whatever device it ran on.
 *
 * @module
 */
import { atOnce, rowsPerPart } from "../base/_turns.ts";
import type { Interruptible } from "../base/_turns.ts";
import { affineOf, checkPoints, checkQueries } from "./posterior.ts";
import type { Affine, PointSet } from "./posterior.ts";

/** The `k` nearest rows of each query, the nearest first. */
export interface Neighbours {
  /** Their number per query, `k`. */
  readonly k: number;
  /**
   * Row indices, `k` per query, by rising distance; equal ones of {@linkcode Neighbours.distances} in the order of the rows. Devices
   * add up squares in orders of their own, so that distances, and with them the order of rows equally far to rounding, may
   * differ between devices in the last bit.
   */
  readonly indices: Uint32Array;
  /** Euclidean distances in data units, `k` per query, by direct differences in float64. */
  readonly distances: Float64Array;
}

/** What a search does, for messages. */
export const NEAREST_ACTION = "find the nearest rows";

/**
 * Checks the number of neighbours.
 *
 * @param k The number asked for.
 * @param count The number of rows.
 * @throws {RangeError} If `k` is not a whole number from 1 to `count`.
 */
export function checkNeighbours(k: number, count: number): void {
  if (!Number.isInteger(k) || k < 1 || k > count) {
    throw new RangeError(
      `Cannot ${NEAREST_ACTION}: k is ${k}, wanted a whole number from 1 to ${count}`,
    );
  }
}

/** What a scan found for one query: the rows it holds to be nearest. */
export interface Candidates {
  /** Rows, by rising squared distance as the scan measured it; equal ones in the order of the rows. */
  readonly indices: readonly number[];
  /** These squared distances. */
  readonly squares: readonly number[];
  /** By how much a squared distance of the scan may be off. */
  readonly error: number;
}

/** How a device searches. */
export interface Search {
  /** Number of rows. */
  readonly count: number;
  /** The `size` nearest rows of queries `first … first + batch − 1`, as the scan measures them. */
  scan(first: number, batch: number, size: number): Promise<Candidates[]>;
  /** The squared distances of these queries to their candidates, by direct differences in float64. */
  measure(first: number, found: readonly Candidates[]): Promise<ArrayLike<number>[]>;
}

// More candidates than asked for, so that one scan nearly always suffices.
const SPARE = 16;

/**
 * Finds the nearest rows exactly, by a scan that rounds: it asks for spare
 * candidates, measures all of them by direct differences in float64, and scans again for more
 * where a row that was not returned could belong among the nearest.
 *
 * @param search How the device scans.
 * @param queries Number of queries.
 * @param k How many of each.
 * @param most Queries per scan.
 * @returns The neighbours.
 */
export async function exactNeighbours(
  search: Search,
  queries: number,
  k: number,
  most: number,
): Promise<Neighbours> {
  checkNeighbours(k, search.count);
  const out = {
    k,
    indices: new Uint32Array(queries * k),
    distances: new Float64Array(queries * k),
  };
  for (let first = 0; first < queries; first += most) {
    const batch = Math.min(most, queries - first);
    let found: Candidates[] = [];
    for (let size = k; size < search.count;) {
      size = Math.min(search.count, size === k ? k + SPARE : 4 * size);
      found = await search.scan(first, batch, size);
      if (found.every((candidates) => isEnough(candidates, k, search.count))) break;
    }
    if (k === search.count) found = await search.scan(first, batch, k);
    for (const [i, { indices }] of found.entries()) {
      if (indices.length < k) {
        throw new RangeError(
          `Cannot ${NEAREST_ACTION}: query ${
            first + i
          } is too far from the data for float32, wanted squared distances below 3e38`,
        );
      }
    }
    found = found.map((candidates) => withinError(candidates, k));
    const squares = await search.measure(first, found);
    found.forEach(({ indices }, i) => keepNearest(out, first + i, indices, squares[i]));
  }
  return out;
}

/** Whether no row outside of the candidates can be among the `k` nearest. */
function isEnough(candidates: Candidates, k: number, count: number): boolean {
  const { indices, squares } = candidates;
  return indices.length === count || squares[squares.length - 1] > lastInDoubt(candidates, k);
}

/** The largest square whose row can be among the `k` nearest: that of the last of them, its error, and what the root rounds away. */
function lastInDoubt({ squares, error }: Candidates, k: number): number {
  return squares[k - 1] * (1 + 2 ** -50) + 2 * error;
}

/** The candidates that can be among the `k` nearest. */
function withinError(candidates: Candidates, k: number): Candidates {
  const { indices, squares, error } = candidates, last = lastInDoubt(candidates, k);
  let size = k;
  while (size < indices.length && squares[size] <= last) size++;
  return { indices: indices.slice(0, size), squares: squares.slice(0, size), error };
}

/** Keeps the nearest of some rows. */
function keepNearest(
  { k, indices, distances }: Neighbours,
  row: number,
  candidates: ArrayLike<number>,
  squares: ArrayLike<number>,
): void {
  // By distances as they are returned: roots of squares that differ in the last bit may be equal.
  const order = Array.from(candidates, (index, i) => ({ index, distance: Math.sqrt(squares[i]) }))
    .sort((a, b) => a.distance - b.distance || a.index - b.index);
  for (let i = 0; i < k; i++) {
    indices[row * k + i] = order[i].index;
    distances[row * k + i] = order[i].distance;
  }
}

/**
 * The squared distance of a query to a stored row, by direct differences in float64.
 *
 * @param query The query, in data units.
 * @param stored Numbers as stored, the row among them.
 * @param from Where the row begins.
 * @param affine From stored numbers to data units.
 */
export function squaredDistance(
  query: ArrayLike<number>,
  stored: ArrayLike<number>,
  from: number,
  { scale, offset }: Affine,
): number {
  let square = 0;
  for (let c = 0; c < query.length; c++) {
    const difference = query[c] - (stored[from + c] * scale + offset);
    square += difference * difference;
  }
  return square;
}

/** Squared distances of a query to listed rows, which may be interrupted. */
export function* squaresInParts(
  query: ArrayLike<number>,
  points: PointSet,
  rows: Uint32Array,
): Interruptible<Float64Array> {
  const { data, dimension } = points;
  const affine = affineOf(points), every = rowsPerPart(dimension);
  const squares = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    if (i % every === 0) yield;
    squares[i] = squaredDistance(query, data, rows[i] * dimension, affine);
  }
  return squares;
}

/**
 * The nearest rows in plain float64, by looking at all of them: the oracle of the other searches.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param queries Rows of `d` numbers in data units.
 * @param k How many neighbours of each, from 1 to `N`.
 * @returns The neighbours.
 * @throws {RangeError} If `k` is out of range.
 * @throws {TypeError} If the queries are no whole number of rows.
 *
 * @example
 * ```ts
 * import { referenceNeighbours } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const points = { data: Float32Array.of(0, 3, 1), dimension: 1 };
 * assert.deepEqual([...referenceNeighbours(points, [0.9], 2).indices], [2, 0]);
 * ```
 */
export function referenceNeighbours(
  points: PointSet,
  queries: ArrayLike<number>,
  k: number,
): Neighbours {
  return atOnce(neighboursInParts(points, queries, k));
}

/** The work of {@linkcode referenceNeighbours}, which may be interrupted. */
export function* neighboursInParts(
  points: PointSet,
  queries: ArrayLike<number>,
  k: number,
): Interruptible<Neighbours> {
  const { dimension } = points;
  const count = checkPoints(points), rows = queries.length / dimension;
  if (!Number.isInteger(rows) || rows < 1) {
    throw new TypeError(
      `Cannot ${NEAREST_ACTION}: received ${queries.length} numbers, wanted rows of ${dimension}`,
    );
  }
  checkQueries(queries, NEAREST_ACTION);
  checkNeighbours(k, count);
  const out = { k, indices: new Uint32Array(rows * k), distances: new Float64Array(rows * k) };
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  for (let row = 0; row < rows; row++) {
    const query = Float64Array.from(
      { length: dimension },
      (_, c) => queries[row * dimension + c],
    );
    const squares = yield* squaresInParts(query, points, all);
    keepNearest(out, row, all, squares);
  }
  return out;
}
