/**
 * Distances to listed rows of data that stay on disk, and their weighted sums: only the rows that are
 * needed are read.
 *
 * @module
 */
import { squaredDistance } from "../neighbours.ts";
import type { StateNumbers } from "../batch.ts";
import type { PointSource } from "../point_source.ts";
import type { Affine } from "../posterior.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";

/** A gap of so many bytes between two rows is read as well: one read is cheaper than two. */
const GAP_BYTES = 2 ** 15;

/** Rows of a source, read in runs of at most so many. */
export class StreamedRows {
  readonly #source: PointSource;
  readonly #affine: Affine;
  readonly #most: number;

  /**
   * @param source The rows.
   * @param affine From stored numbers to data units.
   * @param most Rows read at a time.
   */
  constructor(source: PointSource, affine: Affine, most: number) {
    this.#source = source;
    this.#affine = affine;
    this.#most = most;
  }

  /** Squared distances to the rows of each query, by direct differences in float64. */
  async distances(
    queries: StateNumbers,
    lists: readonly Uint32Array[],
    signal?: AbortSignal,
  ): Promise<Distances> {
    const { dimension } = this.#source;
    const squares = lists.map((rows) => new Float64Array(rows.length));
    await this.#visit(lists, signal, (q, i, stored, from) => {
      const query = queries.subarray(q * dimension, (q + 1) * dimension);
      squares[q][i] = squaredDistance(query, stored, from, this.#affine);
    });
    return { squares, errors: lists.map(({ length }) => new Float64Array(length)) };
  }

  /** Weighted means in data units, `dimension` numbers per query. */
  async means(weighted: readonly WeightedRows[], signal?: AbortSignal): Promise<Float64Array> {
    const { dimension } = this.#source;
    const { scale, offset } = this.#affine;
    const sums = new Float64Array(weighted.length * dimension);
    await this.#visit(weighted.map(({ rows }) => rows), signal, (q, i, stored, from) => {
      const weight = weighted[q].weights[i];
      for (let c = 0, at = q * dimension; c < dimension; c++, at++) {
        sums[at] += weight * stored[from + c];
      }
    });
    return sums.map((sum) => sum * scale + offset);
  }

  /** Calls `use` for every listed row, in the order of the source. */
  async #visit(
    lists: readonly Uint32Array[],
    signal: AbortSignal | undefined,
    use: (query: number, place: number, stored: Uint8Array | Float32Array, from: number) => void,
  ): Promise<void> {
    const { dimension, bytes } = this.#source;
    // Per query: the places of its list by rising row, and how far it has come.
    const orders = lists.map((rows) =>
      Uint32Array.from(rows.keys()).sort((a, b) => rows[a] - rows[b])
    );
    const done = new Uint32Array(lists.length);
    const Numbers = bytes ? Uint8Array : Float32Array;
    const buffer = new Numbers(this.#most * dimension);
    for (const [first, end] of this.#runs(lists)) {
      signal?.throwIfAborted();
      const stored = buffer.subarray(0, (end - first) * dimension);
      await this.#source.read(first, end - first, stored, signal);
      lists.forEach((rows, q) => {
        for (; done[q] < rows.length && rows[orders[q][done[q]]] < end; done[q]++) {
          const place = orders[q][done[q]];
          use(q, place, stored, (rows[place] - first) * dimension);
        }
      });
    }
  }

  /** Ranges of rows that hold all listed ones, each short enough to be read at once. */
  *#runs(lists: readonly Uint32Array[]): Generator<[first: number, end: number]> {
    const { dimension, bytes } = this.#source;
    const gap = 1 + Math.floor(GAP_BYTES / (dimension * (bytes ? 1 : 4)));
    const all = new Uint32Array(lists.reduce((sum, { length }) => sum + length, 0));
    lists.reduce((at, rows) => (all.set(rows, at), at + rows.length), 0);
    all.sort();
    for (let i = 0; i < all.length;) {
      const first = all[i];
      let end = first + 1;
      for (; i < all.length && all[i] < end + gap && all[i] < first + this.#most; i++) {
        end = all[i] + 1;
      }
      yield [first, end];
    }
  }
}
