/**
 * Rows filtered in an orthonormal basis, by threads in float64.
 *
 * @module
 */
import { roundUp } from "./memory.ts";
import { Workspace } from "./spectral.ts";
import type { ThreadOptions } from "./spectral.ts";

// Rows that are worked on at a time; bounds the memory.
const MOST_ROWS = 64;
// Panels per shard.
const PANELS = 8;

/** What is laid out for a number of rows. */
interface RowMemory {
  readonly rows: number;
  readonly coordinates: number;
  readonly scaled: number;
  readonly sums: number;
}

/**
 * `Uᵀ diag(g) U e` for rows `e`, with a basis `U` that is laid out once, in both orders.
 */
export class ThreadedBasis implements Disposable {
  readonly #work: Workspace;
  readonly #dimension: number;
  readonly #rank: number;
  readonly #axes: number;
  readonly #coordinates: number;
  readonly #at: RowMemory;
  #queue: Promise<unknown> = Promise.resolve();

  /**
   * Lays out a basis.
   *
   * @param basis `U`, `r` rows of `d` numbers.
   * @param dimension `d`.
   * @param options Threads.
   * @throws {DeviceError} If there is not enough memory.
   */
  static async open(
    basis: Float64Array,
    dimension: number,
    options: ThreadOptions = {},
  ): Promise<ThreadedBasis> {
    const rank = basis.length / dimension;
    const [d, r] = [roundUp(dimension, 4), roundUp(rank, 4)];
    const bytes = 8 * (r * dimension + d * rank) + 8 * MOST_ROWS * (dimension + rank + d + r) +
      1024;
    const work = await Workspace.open(bytes, options);
    return new ThreadedBasis(work, basis, dimension, rank);
  }

  private constructor(work: Workspace, basis: Float64Array, dimension: number, rank: number) {
    this.#work = work;
    this.#dimension = dimension;
    this.#rank = rank;
    const [d, r] = [roundUp(dimension, 4), roundUp(rank, 4)];
    this.#axes = work.take(8 * r * dimension);
    this.#coordinates = work.take(8 * d * rank);
    this.#at = {
      rows: work.take(8 * MOST_ROWS * dimension),
      scaled: work.take(8 * MOST_ROWS * rank),
      coordinates: work.take(8 * MOST_ROWS * r),
      sums: work.take(8 * MOST_ROWS * d),
    };
    // Panels of 4 axes, and of 4 coordinates: quadruples one after the other.
    const axes = work.numbers(this.#axes, r * dimension);
    const coordinates = work.numbers(this.#coordinates, d * rank);
    for (let k = 0, from = 0; k < rank; k++) {
      for (let c = 0; c < dimension; c++, from++) {
        axes[((k >> 2) * dimension + c) * 4 + (k & 3)] = basis[from];
        coordinates[((c >> 2) * rank + k) * 4 + (c & 3)] = basis[from];
      }
    }
  }

  /**
   * `U e` for each row `e`: its coordinates in the basis.
   *
   * @param rows Rows of `d` numbers.
   * @returns Rows of `r` numbers.
   */
  coordinates(rows: Float64Array): Promise<Float64Array> {
    const r = this.#rank, d = this.#dimension;
    return this.#inParts(rows, d, r, (first, last) => this.#project(rows.subarray(first, last)));
  }

  /**
   * `Uᵀ q` for each row `q`: the vector that has these coordinates.
   *
   * @param coordinates Rows of `r` numbers.
   * @returns Rows of `d` numbers.
   */
  combinations(coordinates: Float64Array): Promise<Float64Array> {
    const r = this.#rank, d = this.#dimension;
    return this.#inParts(
      coordinates,
      r,
      d,
      (first, last) => this.#expand(coordinates.subarray(first, last)),
    );
  }

  /**
   * `Uᵀ diag(g) U e` for each row `e`.
   *
   * @param rows Rows of `d` numbers.
   * @param factors `g`, `r` numbers per row.
   * @returns Rows of `d` numbers.
   */
  filter(rows: Float64Array, factors: Float64Array): Promise<Float64Array> {
    const r = this.#rank, d = this.#dimension;
    return this.#inParts(rows, d, d, async (first, last) => {
      const q = await this.#project(rows.subarray(first, last));
      const from = first / d * r;
      return await this.#expand(q.map((v, i) => v * factors[from + i]));
    });
  }

  /** Works through rows of `width` numbers part by part, in turn with other calls, which share the memory. */
  async #inParts(
    rows: Float64Array,
    width: number,
    resultWidth: number,
    work: (first: number, last: number) => Promise<Float64Array>,
  ): Promise<Float64Array> {
    const turn = this.#queue.then(async () => {
      const result = new Float64Array(rows.length / width * resultWidth);
      for (let first = 0; first < rows.length; first += MOST_ROWS * width) {
        const part = await work(first, Math.min(rows.length, first + MOST_ROWS * width));
        result.set(part, first / width * resultWidth);
      }
      return result;
    });
    this.#queue = turn.catch(() => {});
    return await turn;
  }

  async #project(rows: Float64Array): Promise<Float64Array> {
    const d = this.#dimension, r = this.#rank, count = rows.length / d, at = this.#at;
    const panels = Math.ceil(count / 4), width = 4 * panels;
    writePanels(this.#work.numbers(at.rows, d * width), rows, d);
    await this.#multiply(this.#axes, r, at.rows, panels, d, at.coordinates);
    return transposed(this.#work.numbers(at.coordinates, r * width), r, width, count);
  }

  async #expand(coordinates: Float64Array): Promise<Float64Array> {
    const d = this.#dimension, r = this.#rank, count = coordinates.length / r, at = this.#at;
    const panels = Math.ceil(count / 4), width = 4 * panels;
    writePanels(this.#work.numbers(at.scaled, r * width), coordinates, r);
    await this.#multiply(this.#coordinates, d, at.scaled, panels, r, at.sums);
    return transposed(this.#work.numbers(at.sums, d * width), d, width, count);
  }

  /** The inner products of `count` vectors with rows, both in panels, as a matrix with a column per row. */
  async #multiply(
    left: number,
    count: number,
    right: number,
    panels: number,
    depth: number,
    out: number,
  ): Promise<void> {
    const leftPanels = Math.ceil(count / 4), width = 4 * panels;
    this.#work.numbers(out, 4 * leftPanels * width).fill(0);
    await this.#work.run(
      "products",
      leftPanels,
      Math.ceil(leftPanels / PANELS),
      ...[left, 32 * depth, right, 32 * depth, panels, depth, 0, out, 8 * width, this.#work.stop],
    );
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#work[Symbol.dispose]();
  }
}

/** Writes rows of `length` numbers as panels of 4 rows; missing rows are zeros. */
function writePanels(panels: Float64Array, rows: Float64Array, length: number): void {
  panels.fill(0);
  for (let b = 0, from = 0; from < rows.length; b++) {
    for (let c = 0; c < length; c++) panels[((b >> 2) * length + c) * 4 + (b & 3)] = rows[from++];
  }
}

/** The first `count` columns of a matrix with rows of `width` numbers, as rows. */
function transposed(
  matrix: Float64Array,
  rows: number,
  width: number,
  count: number,
): Float64Array {
  const out = new Float64Array(rows * count);
  for (let c = 0; c < rows; c++) {
    for (let b = 0; b < count; b++) out[b * rows + c] = matrix[c * width + b];
  }
  return out;
}
