import type { Interruptible } from "../base/_turns.ts";

/** Numbers between two turns of others. */
const TURN = 2 ** 14;

/**
 * Puts numbers in the order of their indices, the last one running fastest.
 *
 * @param stored The numbers as they are stored.
 * @param shape The sides of the array.
 * @param strides How far apart neighbours are along each side.
 * @param data Where to put them.
 * @param offset Where the first one is stored. Default 0.
 * @returns `data`.
 */
export function* rowMajor<T extends { [i: number]: number; readonly length: number }>(
  stored: ArrayLike<number>,
  shape: readonly number[],
  strides: readonly number[],
  data: T,
  offset = 0,
): Interruptible<T> {
  const index = shape.map(() => 0);
  for (let i = 0, from = offset; i < data.length; i++) {
    data[i] = stored[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= index[axis] * strides[axis];
      index[axis] = 0;
    }
    if (i % TURN === TURN - 1) yield;
  }
  return data;
}
