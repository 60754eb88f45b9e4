/**
 * Operations on the rows of states that collocation needs, on arrays and on tensors.
 *
 * A state of `n` rows is cut into blocks of equally many rows, one block per sample: the states of
 * all nodes of all samples are one state, and go to a denoiser as they are.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor, StateSpace } from "../../linear_space.ts";
import { arraySpace } from "../../linear_space.ts";

/** One term of a block product: a matrix per block, one after the other, and a state. */
export interface BlockTerm<X> {
  /** `blocks × m × k` numbers, where `k` is the number of rows of a block of the state. */
  readonly matrices: Float64Array;
  /** A state of `blocks · k` rows. */
  readonly state: X;
}

/** Operations on rows. All of them return new states. */
export interface RowBlocks<X> {
  /** The number of rows of a state. */
  rows(state: X): number;
  /** `Yᵣ = Σ_terms Cᵣ Sᵣ` for every block `r`: a state of `blocks · m` rows. */
  mix(blocks: number, terms: readonly BlockTerm<X>[]): X;
  /** Row-wise inner products of each pair, one readback for all of them. */
  dots(pairs: readonly (readonly [X, X])[]): Promise<Float64Array[]>;
  /** The rows of the given indices, which may repeat. */
  take(state: X, indices: ArrayLike<number>): X;
  /** States one after the other. */
  concat(states: readonly X[]): X;
}

/** The row operations of a space. */
export function rowBlocks<X>(space: StateSpace<X>, shape: readonly number[]): RowBlocks<X> {
  const dimension = shape.reduce((product, n) => product * n, 1);
  const blocks = (space as unknown) === arraySpace
    ? arrayBlocks(dimension)
    : tensorBlocks(dimension, shape);
  return blocks as unknown as RowBlocks<X>;
}

function arrayBlocks(d: number): RowBlocks<Float64Array> {
  return {
    rows: (state) => state.length / d,
    mix(blocks, terms) {
      const [{ matrices, state }] = terms;
      const y = new Float64Array(matrices.length / (state.length / d) * blocks * d);
      for (const term of terms) addBlocks(y, term, blocks, d);
      return y;
    },
    dots: (pairs) =>
      Promise.resolve(pairs.map(([a, b]) => {
        const products = new Float64Array(a.length / d);
        for (let r = 0, at = 0; r < products.length; r++) {
          for (let c = 0; c < d; c++, at++) products[r] += a[at] * b[at];
        }
        return products;
      })),
    take(state, indices) {
      const y = new Float64Array(indices.length * d);
      for (let r = 0; r < indices.length; r++) {
        y.set(state.subarray(indices[r] * d, (indices[r] + 1) * d), r * d);
      }
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

/** Adds the block product of one term. Every row of its matrices makes one row of `y`. */
function addBlocks(
  y: Float64Array,
  { matrices, state }: BlockTerm<Float64Array>,
  blocks: number,
  d: number,
): void {
  const rows = y.length / d, rowsPerBlock = rows / blocks;
  const k = matrices.length / rows;
  for (let row = 0; row < rows; row++) {
    const block = Math.floor(row / rowsPerBlock);
    const to = row * d;
    for (let j = 0; j < k; j++) {
      const c = matrices[row * k + j];
      if (c === 0) continue;
      const from = (block * k + j) * d;
      for (let i = 0; i < d; i++) y[to + i] += c * state[from + i];
    }
  }
}

function tensorBlocks(d: number, shape: readonly number[]): RowBlocks<AnyTensor> {
  return {
    rows: (state) => state.shape[0],
    mix(blocks, terms) {
      return tf.tidy(() => {
        const products = terms.map(({ matrices, state }) => {
          const k = state.shape[0] / blocks;
          const m = matrices.length / blocks / k;
          const factors = tf.tensor3d(Float32Array.from(matrices), [blocks, m, k]);
          return tf.matMul(factors, tf.reshape(state, [blocks, k, d]));
        });
        const sum = products.reduce((a, b) => tf.add(a, b));
        return tf.reshape(sum, [-1, ...shape]);
      });
    },
    async dots(pairs) {
      const all = tf.tidy(() =>
        tf.concat(pairs.map(([a, b]) => tf.sum(tf.reshape(tf.mul(a, b), [-1, d]), 1)))
      );
      try {
        const numbers = Float64Array.from(await all.data());
        let at = 0;
        return pairs.map(([{ shape }]) => numbers.slice(at, at += shape[0]));
      } finally {
        all.dispose();
      }
    },
    take: (state, indices) =>
      tf.tidy(() => tf.gather(state, tf.tensor1d(Int32Array.from(indices), "int32"))),
    concat: (states) => states.length === 1 ? tf.clone(states[0]) : tf.concat([...states]),
  };
}
