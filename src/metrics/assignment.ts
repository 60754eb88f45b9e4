/**
 * The linear assignment problem: which pairing of rows and columns costs least.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { turn, turnIsDue } from "../base/_turns.ts";
import { stopButton } from "../base/stop_button.ts";

/** What {@linkcode assignment} returns. */
export interface Assignment {
  /** The column given to each row, a permutation. */
  readonly columns: Uint32Array;
  /** `Σᵢ C[i, columns[i]]`. */
  readonly cost: number;
  /**
   * By how much the cost may exceed the least one, in the unit of the costs: `n` times the largest
   * violation of the dual constraints, which rounding alone can cause.
   */
  readonly suboptimality: number;
}

/** Options of {@linkcode assignment}. */
export interface AssignmentOptions {
  /** Cancels the search, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

const NONE = -1;

const OPTIONS = { signal: undefined } satisfies OptionTable<AssignmentOptions>;

/**
 * Solves the linear assignment problem exactly, with a proof of optimality.
 *
 * ```text
 * min over permutations π of Σᵢ C[i, π(i)],   dual: max Σᵢ uᵢ + Σⱼ vⱼ with uᵢ + vⱼ ≤ C[i, j]
 * ```
 *
 * Column reduction, augmenting row reduction, then one shortest augmenting path for each row that
 * is still free: `O(n³)` at worst, seconds for 4,000 points. The dual variables bound how far from
 * the optimum rounding may have left the result.
 *
 * Reference: R. Jonker, A. Volgenant (1987), A shortest augmenting path algorithm for dense and
 * sparse linear assignment problems, Computing 38, 325-340.
 *
 * @param costs The costs `C`, `n` rows of `n` numbers.
 * @param options A signal that cancels.
 * @returns The permutation, its cost and the bound.
 * @throws {TypeError} If the costs are not square.
 * @throws {RangeError} If a cost is not finite.
 *
 * @example
 * ```ts
 * import { assignment } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { columns, cost } = await assignment([4, 1, 3, 2, 0, 5, 3, 2, 2]);
 * assert.deepEqual([...columns], [1, 0, 2]);
 * assert.equal(cost, 5);
 * ```
 */
export async function assignment(
  costs: ArrayLike<number>,
  options: AssignmentOptions = {},
): Promise<Assignment> {
  checkOptionNames("solve the assignment problem", options, OPTIONS);
  const c = costs instanceof Float64Array ? costs : Float64Array.from(costs);
  const n = Math.sqrt(c.length);
  if (!Number.isInteger(n) || n < 1) {
    throw new TypeError(
      `Cannot solve the assignment problem: received ${c.length} costs, wanted n rows of n numbers`,
    );
  }
  const bad = c.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    throw new RangeError(
      `Cannot solve the assignment problem: a cost is ${c[bad]}, wanted finite numbers`,
    );
  }
  const solver = new Solver(c, n);
  using stop = stopButton(options.signal);
  const { signal } = stop;
  signal?.throwIfAborted();
  solver.reduceColumns();
  solver.reduceRows();
  for (const row of solver.freeRows()) {
    solver.augment(row);
    if (turnIsDue()) await turn(signal);
  }
  return solver.result();
}

class Solver {
  /** The column of each row and the row of each column. */
  readonly #columnOf: Int32Array;
  readonly #rowOf: Int32Array;
  /** The dual variables of the columns. */
  readonly #v: Float64Array;
  // Scratch of one shortest path: lengths, predecessors, and the columns in order of treatment.
  readonly #length: Float64Array;
  readonly #before: Int32Array;
  readonly #order: Int32Array;

  constructor(readonly c: Float64Array, readonly n: number) {
    this.#columnOf = new Int32Array(n).fill(NONE);
    this.#rowOf = new Int32Array(n).fill(NONE);
    this.#v = new Float64Array(n).fill(Infinity);
    this.#length = new Float64Array(n);
    this.#before = new Int32Array(n);
    this.#order = Int32Array.from({ length: n }, (_, j) => j);
  }

  /** Gives each column to its cheapest row, as long as that is free. */
  reduceColumns(): void {
    const { c, n } = this;
    const cheapest = new Int32Array(n);
    for (let i = 0, at = 0; i < n; i++) {
      for (let j = 0; j < n; j++, at++) {
        if (c[at] < this.#v[j]) {
          this.#v[j] = c[at];
          cheapest[j] = i;
        }
      }
    }
    for (let j = 0; j < n; j++) {
      if (this.#columnOf[cheapest[j]] === NONE) this.#pair(cheapest[j], j);
    }
  }

  /** Lets free rows bid for their best columns, twice; who loses a column bids again. */
  reduceRows(): void {
    // Bids below the rounding of a dual variable would go on for ever.
    let bids = 8 * this.n;
    for (let round = 0; round < 2; round++) {
      for (const start of this.freeRows()) {
        for (let row = start; row !== NONE && bids > 0; bids--) row = this.#bid(row);
      }
    }
  }

  /** One bid. Returns the row that lost its column and may bid at once. */
  #bid(row: number): number {
    const { c, n } = this;
    const v = this.#v;
    let best = Infinity, second = Infinity, column = 0, other = 0;
    for (let j = 0, at = row * n; j < n; j++, at++) {
      const reduced = c[at] - v[j];
      if (reduced >= second) continue;
      if (reduced < best) {
        [second, other] = [best, column];
        [best, column] = [reduced, j];
      } else {
        [second, other] = [reduced, j];
      }
    }
    const strict = best < second;
    // A row alone has no second choice.
    if (strict && second < Infinity) v[column] -= second - best;
    else if (!strict && this.#rowOf[column] !== NONE) column = other;
    const loser = this.#rowOf[column];
    if (loser !== NONE) this.#columnOf[loser] = NONE;
    this.#pair(row, column);
    return strict ? loser : NONE;
  }

  /** The rows that have no column. */
  freeRows(): number[] {
    return [...this.#columnOf.keys()].filter((i) => this.#columnOf[i] === NONE);
  }

  /**
   * Finds the shortest path of reduced costs from a free row to a free column, and exchanges the
   * pairs on it. `order` holds columns done with, then columns at the present least length, then the rest.
   */
  augment(free: number): void {
    const { c, n } = this;
    const v = this.#v, length = this.#length, before = this.#before, order = this.#order;
    for (let j = 0, at = free * n; j < n; j++, at++) length[j] = c[at] - v[j];
    before.fill(free);
    let done = 0, reached = 0, least = 0, end = NONE;
    while (end === NONE) {
      if (done === reached) {
        least = Infinity;
        for (let k = done; k < n; k++) {
          const d = length[order[k]];
          if (d > least) continue;
          if (d < least) {
            least = d;
            reached = done;
          }
          swap(order, k, reached++);
        }
        for (let k = done; k < reached && end === NONE; k++) {
          if (this.#rowOf[order[k]] === NONE) end = order[k];
        }
        if (end !== NONE) break;
      }
      const column = order[done++];
      const row = this.#rowOf[column];
      const base = row * n;
      const h = c[base + column] - v[column] - least;
      for (let k = reached; k < n; k++) {
        const j = order[k];
        const d = c[base + j] - v[j] - h;
        if (d >= length[j]) continue;
        length[j] = d;
        before[j] = row;
        if (d > least) continue;
        if (this.#rowOf[j] === NONE) {
          end = j;
          break;
        }
        swap(order, k, reached++);
      }
    }
    for (let k = 0; k < done; k++) v[order[k]] += length[order[k]] - least;
    for (let j = end;;) {
      const row = before[j];
      const next = this.#columnOf[row];
      this.#pair(row, j);
      if (row === free) break;
      j = next;
    }
  }

  result(): Assignment {
    const { c, n } = this;
    let cost = 0, violation = 0;
    for (let i = 0, at = 0; i < n; i++) {
      const column = this.#columnOf[i];
      cost += c[i * n + column];
      const u = c[i * n + column] - this.#v[column];
      for (let j = 0; j < n; j++, at++) {
        violation = Math.max(violation, u + this.#v[j] - c[at]);
      }
    }
    return { columns: Uint32Array.from(this.#columnOf), cost, suboptimality: n * violation };
  }

  #pair(row: number, column: number): void {
    this.#columnOf[row] = column;
    this.#rowOf[column] = row;
  }
}

function swap(list: Int32Array, a: number, b: number): void {
  [list[a], list[b]] = [list[b], list[a]];
}
