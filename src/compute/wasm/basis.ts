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
   * `Uᵀ diag(g) U e` for each row `e`.
   *
   * @param rows Rows of `d` numbers.
   * @param factors `g`, `r` numbers per row.
   * @returns Rows of `d` numbers.
   */
  async filter(rows: Float64Array, factors: Float64Array): Promise<Float64Array> {
    // Calls share the memory for rows.
    const turn = this.#queue.then(async () => {
      const d = this.#dimension, r = this.#rank, count = rows.length / d;
      const filtered = new Float64Array(rows.length);
      for (let first = 0; first < count; first += MOST_ROWS) {
        const last = Math.min(count, first + MOST_ROWS);
        const part = rows.subarray(first * d, last * d);
        filtered.set(await this.#filter(part, factors.subarray(first * r, last * r)), first * d);
      }
      return filtered;
    });
    this.#queue = turn.catch(() => {});
    return await turn;
  }

  async #filter(rows: Float64Array, factors: Float64Array): Promise<Float64Array> {
    const d = this.#dimension, r = this.#rank, count = rows.length / d;
    const panels = Math.ceil(count / 4), width = 4 * panels;
    const at = this.#at, work = this.#work;
    writePanels(work.numbers(at.rows, d * width), rows, d);
    await this.#multiply(this.#axes, r, at.rows, panels, d, at.coordinates);
    const q = work.numbers(at.coordinates, r * width);
    const scaled = factors.map((g, i) => g * q[(i % r) * width + Math.floor(i / r)]);
    writePanels(work.numbers(at.scaled, r * width), scaled, r);
    await this.#multiply(this.#coordinates, d, at.scaled, panels, r, at.sums);
    const sums = work.numbers(at.sums, d * width);
    return rows.map((_, i) => sums[(i % d) * width + Math.floor(i / d)]);
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
