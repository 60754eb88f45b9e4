/**
 * A batch of queries as numbers, whatever kind of state it is.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { received } from "../base/_kinds.ts";
import { arraySpace } from "../states/linear_space.ts";
import type { AnyTensor, StateSpace } from "../states/linear_space.ts";
import { checkQueryShape } from "./posterior.ts";

/** Numbers, rows one after the other. */
export type StateNumbers = Float32Array | Float64Array;

/** What a store computes on: a tensor of shape `[B, …]`, or the numbers of `B` rows one after the other. */
export type State = AnyTensor | StateNumbers;

/** A batch of queries `X`. */
export interface Batch<X> {
  /** The number of queries, `B`. */
  readonly rows: number;
  /** Their numbers, row-major; those of an array are not copied. */
  values(): Promise<StateNumbers>;
  /** The same, rounded to float32 where they are not. */
  float32(): Promise<Float32Array>;
  /**
   * A state of the kind of the queries, of rows of their shape or another. The numbers belong to it from now on.
   *
   * @param values The numbers of all rows.
   * @param item The shape of a row. Default: that of a query.
   */
  like(values: StateNumbers, item?: readonly number[]): X;
  /** The queries once more, for as long as the caller needs them. */
  copy(): X;
  /** Releases a state. */
  dispose(state: X): void;
}

/**
 * Reads queries, and makes states of the same kind.
 *
 * @param x The queries. Not disposed.
 * @param dimension Numbers per query.
 * @param action What is attempted, for the message.
 * @returns The batch.
 * @throws {RangeError} If there are no queries.
 * @throws {TypeError} If they are no state, or not rows of `dimension` numbers.
 */
export function batchOf<X extends State>(x: X, dimension: number, action: string): Batch<X> {
  const batch = x instanceof tf.Tensor
    ? tensorBatch(x, dimension, action)
    : x instanceof Float32Array || x instanceof Float64Array
    ? arrayBatch(x, dimension, action)
    : undefined;
  if (batch) return batch as Batch<State> as Batch<X>;
  throw new TypeError(
    `Cannot ${action}: the queries are ${
      received(x)
    }, wanted a tensor, Float32Array or Float64Array of rows of ${dimension} numbers`,
  );
}

/** The numbers of a state; those of an array are not copied. */
export async function numbersOf(state: State): Promise<StateNumbers> {
  return state instanceof tf.Tensor ? await state.data<"float32">() : state;
}

/** Releases a state, if it is a tensor. */
export function disposeState(state: State): void {
  if (state instanceof tf.Tensor) state.dispose();
}

/** The numbers of a batch as a device takes them: on the device `float64` as they are, else in float32. */
export async function queriesOn(
  { space }: { readonly space: StateSpace<AnyTensor> | StateSpace<Float64Array> },
  batch: Batch<unknown>,
): Promise<StateNumbers> {
  return space === arraySpace as unknown ? await batch.values() : await batch.float32();
}

/** Room for as many numbers, in the precision of others. */
export function roomLike(numbers: StateNumbers, length: number): StateNumbers {
  return numbers instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
}

function arrayBatch<X extends StateNumbers>(x: X, dimension: number, action: string): Batch<X> {
  const rows = x.length / dimension;
  if (rows === 0) throw new RangeError(`Cannot ${action}: received 0 queries, wanted at least 1`);
  if (!Number.isInteger(rows)) {
    throw new TypeError(
      `Cannot ${action}: received ${x.length} numbers, wanted rows of ${dimension}`,
    );
  }
  const double = x instanceof Float64Array;
  return {
    rows,
    values: () => Promise.resolve(x),
    float32: () => Promise.resolve(x instanceof Float32Array ? x : Float32Array.from(x)),
    like: (values) =>
      (values instanceof Float64Array === double
        ? values
        : double
        ? Float64Array.from(values)
        : Float32Array.from(values)) as X,
    copy: () => x.slice() as X,
    dispose: () => {},
  };
}

function tensorBatch(x: AnyTensor, dimension: number, action: string): Batch<AnyTensor> {
  const { shape } = x;
  const read = () => x.data<"float32">();
  return {
    rows: checkQueryShape(shape, dimension, action),
    values: read,
    float32: read,
    like: (values, item = shape.slice(1)) =>
      tf.tensor(
        values instanceof Float32Array ? values : Float32Array.from(values),
        [shape[0], ...item],
        "float32",
      ),
    copy: () => x.clone(),
    dispose: (state) => state.dispose(),
  };
}
