/**
 * Linear combinations of states: the one operation samplers need, so that the
 * same sampler runs on tensors for speed and on `Float64Array` for theory.
 *
 * @module
 */
import { sizeOf } from "../base/_shape.ts";
import { showsItself } from "../base/_display.ts";
import * as tf from "@tensorflow/tfjs-core";

/** Any tfjs tensor, whatever its rank. */
export type AnyTensor = tf.Tensor;

// A tensor at the end of a notebook cell is drawn, too.
showsItself(tf.Tensor.prototype);

/** States that can be combined linearly with float64 coefficients. */
export interface LinearSpace<X> {
  /**
   * The linear combination `Σⱼ cⱼ Sⱼ`, a new state. States with a zero
   * coefficient are skipped, so that `0 · NaN` cannot spread.
   *
   * @throws {RangeError} If a coefficient is not finite.
   * @throws {TypeError} If there are no states, or not one coefficient each.
   */
  combine(coefficients: readonly number[], states: readonly X[]): X;
  /** Releases states; harmless for states that the garbage collector owns. */
  dispose(...states: X[]): void;
}

/** A coefficient for all coordinates of a row, or one for each. */
export type CoordinateCoefficient = number | Float64Array;

/** A linear space whose states can be scaled coordinate by coordinate, all rows alike. */
export interface CoordinateSpace<X> extends LinearSpace<X> {
  /**
   * The combination `Σⱼ cⱼ ∘ Sⱼ`, a new state, where `cⱼ` is a number or holds the `d` coefficients of the
   * coordinates of a row.
   *
   * @throws {RangeError} If a coefficient is not finite.
   * @throws {TypeError} If there are no states, not one coefficient each, or not as many as coordinates.
   */
  combineCoordinates(coefficients: readonly CoordinateCoefficient[], states: readonly X[]): X;
}

/** A linear space whose states can be made from numbers and read back. */
export interface StateSpace<X> extends CoordinateSpace<X> {
  /** A state of the given shape from row-major numbers, which are copied. */
  from(values: ArrayLike<number>, shape: readonly number[]): X;
  /** The numbers of a state, row-major, as a copy. */
  values(x: X): Promise<Float32Array | Float64Array>;
  /** Room for `length` numbers in the precision of the states, zeros at first. */
  numbers(length: number): Float32Array | Float64Array;
}

function checkCombination(
  coefficients: readonly CoordinateCoefficient[],
  states: readonly unknown[],
): void {
  if (states.length === 0 || coefficients.length !== states.length) {
    throw new TypeError(
      `Cannot combine states: received ${coefficients.length} coefficients for ${states.length} states, ` +
        `wanted one coefficient for each of at least one state`,
    );
  }
  for (const c of coefficients) {
    const bad = typeof c === "number" ? c : c.find((v) => !Number.isFinite(v)) ?? 0;
    if (!Number.isFinite(bad)) {
      throw new RangeError(
        `Cannot combine states: a coefficient is ${bad}, wanted finite numbers`,
      );
    }
  }
}

function checkCoordinates(coefficient: Float64Array, numbers: number): void {
  if (coefficient.length === 0 || numbers % coefficient.length !== 0) {
    throw new TypeError(
      `Cannot combine states: received ${coefficient.length} coefficients for rows of a state of ${numbers} numbers, ` +
        `wanted one for each coordinate`,
    );
  }
}

/**
 * States as `Float64Array`, rows one after the other: for theory and tests.
 *
 * @example
 * ```ts
 * import { arraySpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const y = arraySpace.combine([2, -1], [Float64Array.of(1, 2), Float64Array.of(0, 1)]);
 * assert.deepEqual([...y], [2, 3]);
 * ```
 */
export const arraySpace: StateSpace<Float64Array> = {
  combine(coefficients, states) {
    checkCombination(coefficients, states);
    const length = states[0].length;
    const sum = new Float64Array(length);
    states.forEach((state, j) => {
      if (state.length !== length) {
        throw new TypeError(
          `Cannot combine states: lengths are ${length} and ${state.length}, wanted equal lengths`,
        );
      }
      const c = coefficients[j];
      if (c === 0) return;
      for (let i = 0; i < length; i++) sum[i] += c * state[i];
    });
    return sum;
  },
  combineCoordinates(coefficients, states) {
    checkCombination(coefficients, states);
    const length = states[0].length;
    const sum = new Float64Array(length);
    states.forEach((state, j) => {
      const c = coefficients[j];
      if (typeof c !== "number") checkCoordinates(c, length);
      const scaled = typeof c === "number" ? arraySpace.combine([c], [state]) : state.map(
        (v, i) => c[i % c.length] === 0 ? 0 : c[i % c.length] * v,
      );
      for (let i = 0; i < length; i++) sum[i] += scaled[i];
    });
    return sum;
  },
  dispose() {},
  from(values) {
    return Float64Array.from(values);
  },
  values(x) {
    return Promise.resolve(x.slice());
  },
  numbers(length) {
    return new Float64Array(length);
  },
};

/**
 * States as float32 tfjs tensors on the active backend: for speed.
 *
 * @example
 * ```ts
 * import { openDevice } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * const [a, b] = [tensorSpace.from([1, 2], [1, 2]), tensorSpace.from([0, 1], [1, 2])];
 * const y = tensorSpace.combine([2, -1], [a, b]);
 * assert.deepEqual([...await tensorSpace.values(y)], [2, 3]);
 * tensorSpace.dispose(a, b, y);
 * ```
 */
export const tensorSpace: StateSpace<AnyTensor> = {
  combine(coefficients, states) {
    checkCombination(coefficients, states);
    const shape = states[0].shape;
    for (const state of states) {
      if (!tf.util.arraysEqual(state.shape, shape)) {
        throw new TypeError(
          `Cannot combine states: shapes are [${shape}] and [${state.shape}], wanted equal shapes`,
        );
      }
    }
    return tf.tidy(() => {
      const terms = states.flatMap((state, j) =>
        coefficients[j] === 0 ? [] : [tf.mul(state, coefficients[j])]
      );
      return terms.length === 0 ? tf.zeros(shape) : terms.reduce((sum, term) => tf.add(sum, term));
    });
  },
  combineCoordinates(coefficients, states) {
    checkCombination(coefficients, states);
    return tf.tidy(() =>
      tensorSpace.combine(
        states.map((_, j) => typeof coefficients[j] === "number" ? coefficients[j] : 1),
        states.map((state, j) => {
          const c = coefficients[j];
          if (typeof c === "number") return state;
          checkCoordinates(c, sizeOf(state.shape.slice(1)));
          return tf.mul(state, tf.tensor(Float32Array.from(c), state.shape.slice(1), "float32"));
        }),
      )
    );
  },
  dispose(...states) {
    tf.dispose(states);
  },
  from(values, shape) {
    return tf.tensor(Float32Array.from(values), [...shape], "float32");
  },
  async values(x) {
    return Float32Array.from(await x.data());
  },
  numbers(length) {
    return new Float32Array(length);
  },
};
