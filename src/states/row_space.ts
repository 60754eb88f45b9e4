/**
 * Operations on the rows of states, for methods in which every sample goes its own way.
 *
 * @module
 */
import { sizeOf } from "../base/_shape.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor, StateSpace } from "./linear_space.ts";
import { arraySpace, tensorSpace } from "./linear_space.ts";

/** One term of a block product: a matrix per block, and a state. */
export interface BlockTerm<X> {
  /** `blocks × m × k` numbers, where `k` is the number of rows in a block of the state. */
  readonly matrices: Float64Array;
  /** A state of `blocks · k` rows. */
  readonly state: X;
}

/**
 * A space whose states are rows of `d` numbers, which can be combined with coefficients of their own,
 * multiplied, and gathered. New states, all of them; a row of a result depends on its own block only.
 */
export interface RowSpace<X> {
  /** The number of rows of a state. */
  rows(state: X): number;
  /**
   * The block product `Yᵣ = Σ_terms Cᵣ Sᵣ`: a state of `blocks · m` rows. Blocks are consecutive rows,
   * as many in each.
   *
   * @throws {TypeError} If the numbers of matrix entries and rows do not fit.
   */
  mix(blocks: number, terms: readonly BlockTerm<X>[]): X;
  /** Row-wise inner products of pairs of states; one readback for all pairs. */
  dots(pairs: readonly (readonly [X, X])[]): Promise<Float64Array[]>;
  /** The rows of the given indices, which may repeat. */
  take(state: X, indices: readonly number[]): X;
  /** States one after the other. */
  concat(states: readonly X[]): X;
}

/**
 * The row operations of a space.
 *
 * @param space The space: {@linkcode arraySpace} or {@linkcode tensorSpace}.
 * @param shape The shape of one row.
 * @returns Its operations on rows of that shape.
 * @throws {TypeError} If it is another space.
 *
 * @example Each block of two rows has its own coefficients
 * ```ts
 * import { arraySpace } from "@closedform/diffusion/compute";
 * import { rowSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const { mix, dots } = rowSpace(arraySpace, [2]);
 * const state = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8);
 * const sums = mix(2, [{ matrices: Float64Array.of(1, 1, 1, -1), state }]);
 * assert.deepEqual([...sums], [4, 6, -2, -2]);
 * assert.deepEqual([...(await dots([[sums, sums]]))[0]], [52, 8]);
 * ```
 */
export function rowSpace<X>(space: StateSpace<X>, shape: readonly number[]): RowSpace<X> {
  const spaces = new Map<unknown, unknown>([
    [arraySpace, arrayRows(sizeOf(shape))],
    [tensorSpace, tensorRows(shape)],
  ]);
  const rows = spaces.get(space);
  if (!rows) {
    throw new TypeError(
      "Cannot work on rows: received a space of its own kind, wanted arraySpace or tensorSpace",
    );
  }
  return rows as RowSpace<X>;
}

/** Rows per block that a product gives; terms have to agree on it. */
function rowsPerBlock(blocks: number, terms: readonly { entries: number; rows: number }[]): number {
  const [m] = terms.map(({ entries, rows }) => entries / rows);
  for (const { entries, rows } of terms) {
    if (!Number.isInteger(m) || entries !== m * rows || rows % blocks !== 0) {
      throw new TypeError(
        `Cannot mix rows: received ${entries} matrix entries for ${rows} rows in ${blocks} blocks, ` +
          "wanted a matrix per block, of as many rows in every term",
      );
    }
  }
  return m;
}

function arrayRows(d: number): RowSpace<Float64Array> {
  const rows = (state: Float64Array) => state.length / d;
  return {
    rows,
    mix(blocks, terms) {
      const m = rowsPerBlock(
        blocks,
        terms.map(({ matrices, state }) => ({ entries: matrices.length, rows: rows(state) })),
      );
      const y = new Float64Array(blocks * m * d);
      for (const term of terms) addProduct(y, term, blocks, d);
      return y;
    },
    dots: (pairs) => Promise.resolve(pairs.map(([a, b]) => rowDots(a, b, d))),
    take(state, indices) {
      const y = new Float64Array(indices.length * d);
      indices.forEach((row, r) => y.set(state.subarray(row * d, (row + 1) * d), r * d));
      return y;
    },
    concat(states) {
      const y = new Float64Array(states.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const state of states) {
        y.set(state, at);
        at += state.length;
      }
      return y;
    },
  };
}

function rowDots(a: Float64Array, b: Float64Array, d: number): Float64Array {
  const products = new Float64Array(a.length / d);
  for (let r = 0, at = 0; r < products.length; r++) {
    for (let c = 0; c < d; c++, at++) products[r] += a[at] * b[at];
  }
  return products;
}

/** Adds the product of one term to `y`. */
function addProduct(
  y: Float64Array,
  { matrices, state }: BlockTerm<Float64Array>,
  blocks: number,
  d: number,
): void {
  const rows = y.length / d, k = state.length / d / blocks;
  const m = rows / blocks;
  for (let row = 0; row < rows; row++) {
    const first = Math.floor(row / m) * k, to = row * d;
    for (let j = 0; j < k; j++) {
      const c = matrices[row * k + j];
      if (c === 0) continue;
      const from = (first + j) * d;
      for (let i = 0; i < d; i++) y[to + i] += c * state[from + i];
    }
  }
}

function tensorRows(shape: readonly number[]): RowSpace<AnyTensor> {
  const d = sizeOf(shape);
  const rows = (state: AnyTensor) => state.shape[0];
  return {
    rows,
    mix(blocks, terms) {
      const m = rowsPerBlock(
        blocks,
        terms.map(({ matrices, state }) => ({ entries: matrices.length, rows: rows(state) })),
      );
      return tf.tidy(() => {
        const products = terms.map(({ matrices, state }) => {
          const k = rows(state) / blocks;
          const factors = tf.tensor3d(Float32Array.from(matrices), [blocks, m, k]);
          return tf.matMul(factors, tf.reshape(state, [blocks, k, d]));
        });
        return tf.reshape(products.reduce((sum, y) => tf.add(sum, y)), [blocks * m, ...shape]);
      });
    },
    async dots(pairs) {
      const all = tf.tidy(() =>
        tf.concat(pairs.map(([a, b]) => tf.sum(tf.reshape(tf.mul(a, b), [-1, d]), 1)))
      );
      try {
        const numbers = Float64Array.from(await all.data());
        let at = 0;
        return pairs.map(([a]) => numbers.slice(at, at += rows(a)));
      } finally {
        all.dispose();
      }
    },
    take: (state, indices) =>
      tf.tidy(() => tf.gather(state, tf.tensor1d(Int32Array.from(indices), "int32"))),
    concat: (states) => states.length === 1 ? tf.clone(states[0]) : tf.concat([...states]),
  };
}
