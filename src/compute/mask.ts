/**
 * Masks: which coordinates count in the logits of which.
 *
 * @module
 */
import { checkWhole } from "../base/_checks.ts";

/**
 * A binary matrix `G`: `G[n, m]` says whether the difference in coordinate `n` counts in the logits of
 * output coordinate `m`. Stored as bits, column by column.
 */
export interface Mask {
  /** The number of coordinates `n` there are, `d`. */
  readonly dimension: number;
  /** The output coordinate `m` of each column. */
  readonly outputs: Uint32Array;
  /** The number of 32-bit words per column, even. */
  readonly words: number;
  /** The columns, one after the other; bit `n & 31` of word `n >> 5` is `G[n, m]`. Other bits are 0. */
  readonly bits: Uint32Array;
}

/**
 * An empty mask.
 *
 * @param dimension The number of coordinates, `d`.
 * @param outputs The output coordinates. Default: all.
 * @returns A mask of zeros, to be filled.
 */
export function emptyMask(
  dimension: number,
  outputs: Uint32Array = Uint32Array.from({ length: dimension }, (_, m) => m),
): Mask {
  const words = 2 * Math.ceil(dimension / 64);
  return { dimension, outputs, words, bits: new Uint32Array(words * outputs.length) };
}

/**
 * A mask from its elements.
 *
 * @param dimension The number of coordinates, `d`.
 * @param counts Whether coordinate `n` counts for output `m`.
 * @returns The mask of all outputs.
 * @throws {RangeError} If the dimension is not a whole number from 1 to 65,535.
 *
 * @example Each coordinate and the one before it
 * ```ts
 * import { maskColumn, maskOf } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const mask = maskOf(3, (n, m) => n === m || n === m - 1);
 * assert.deepEqual([0, 1, 2].map((m) => maskColumn(mask, m)), [[0], [0, 1], [1, 2]]);
 * ```
 */
export function maskOf(dimension: number, counts: (n: number, m: number) => boolean): Mask {
  if (!Number.isInteger(dimension) || dimension < 1 || dimension > 65535) {
    throw new RangeError(
      `Cannot make a mask: dimension is ${dimension}, wanted a whole number from 1 to 65535`,
    );
  }
  const mask = emptyMask(dimension);
  for (let m = 0; m < dimension; m++) {
    for (let n = 0; n < dimension; n++) {
      if (counts(n, m)) mask.bits[m * mask.words + (n >> 5)] |= 1 << (n & 31);
    }
  }
  return mask;
}

/**
 * The coordinates that count in one column.
 *
 * @param mask The mask.
 * @param column The number of the column.
 * @returns The coordinates, rising; as many as count.
 * @throws {RangeError} If the number of words is not a whole number that the bits have room for.
 *
 * @example The second column of an upper triangle
 * ```ts
 * import { maskColumn, maskOf } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(maskColumn(maskOf(3, (n, m) => n <= m), 1), [0, 1]);
 * ```
 */
export function maskColumn(mask: Mask, column: number): number[] {
  checkWhole("list a column of a mask", "words", mask.words, 0, mask.bits.length);
  const listed: number[] = [];
  const from = column * mask.words;
  for (let w = 0; w < mask.words; w++) {
    for (let word = mask.bits[from + w]; word !== 0; word &= word - 1) {
      listed.push((w << 5) + 31 - Math.clz32(word & -word));
    }
  }
  return listed;
}

/**
 * The number of ones in each column.
 *
 * @param mask The mask.
 * @returns One number per column.
 */
export function columnSizes(mask: Mask): Uint32Array {
  const sizes = new Uint32Array(mask.outputs.length);
  for (let m = 0, at = 0; m < sizes.length; m++) {
    for (let w = 0; w < mask.words; w++, at++) sizes[m] += ones(mask.bits[at]);
  }
  return sizes;
}

/**
 * Some columns of a mask.
 *
 * @param mask The mask; it has all outputs.
 * @param outputs The output coordinates that are wanted.
 * @returns A mask with these columns only.
 */
export function maskColumns(mask: Mask, outputs: Uint32Array): Mask {
  const part = emptyMask(mask.dimension, outputs);
  outputs.forEach((m, i) =>
    part.bits.set(mask.bits.subarray(m * mask.words, (m + 1) * mask.words), i * mask.words)
  );
  return part;
}

/** The number of ones in a 32-bit word. */
export function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
