/**
 * Pictures as plain bytes.
 *
 * @module
 */
import { checkBitmap } from "./_check_bitmap.ts";
import type { Bitmap } from "./_check_bitmap.ts";

export type { Bitmap } from "./_check_bitmap.ts";

/** A colour as red, green and blue, 0 to 255. */
export type Colour = readonly [number, number, number];

/**
 * An opaque picture of one colour.
 *
 * @param width Pixels per row, at least 1.
 * @param height Rows, at least 1.
 * @param colour The colour. Default white.
 * @returns The picture.
 * @throws {RangeError} If a side is no whole number ≥ 1, or the picture has more than 2²⁷ pixels.
 *
 * @example
 * ```ts
 * import { blankBitmap } from "./bitmap.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...blankBitmap(1, 1, [1, 2, 3]).data], [1, 2, 3, 255]);
 * ```
 */
export function blankBitmap(
  width: number,
  height: number,
  colour: Colour = [255, 255, 255],
): Bitmap {
  const whole = Number.isInteger(width) && Number.isInteger(height);
  if (!whole || width < 1 || height < 1 || width * height > 2 ** 27) {
    throw new RangeError(
      `Cannot make a picture: its size is ${width}×${height}, wanted whole numbers >= 1 and at most 2^27 pixels`,
    );
  }
  if (colour.length !== 3 || !colour.every((v) => v >= 0 && v <= 255)) {
    throw new RangeError(
      `Cannot make a picture: colour is [${colour}], wanted red, green and blue from 0 to 255`,
    );
  }
  const data = new Uint8Array(width * height * 4);
  for (let at = 0; at < data.length; at += 4) {
    data.set(colour, at);
    data[at + 3] = 255;
  }
  return { width, height, data };
}

/**
 * Pictures of equal height side by side.
 *
 * @param bitmaps The pictures, from left to right, at least one.
 * @returns One picture.
 * @throws {TypeError} If there are none, or their heights differ.
 * @throws {RangeError} If a picture has no pixels.
 *
 * @example
 * ```ts
 * import { blankBitmap, joinBitmaps } from "./bitmap.ts";
 * import assert from "node:assert/strict";
 *
 * const { width, data } = joinBitmaps([blankBitmap(1, 1, [1, 2, 3]), blankBitmap(1, 1, [4, 5, 6])]);
 * assert.equal(width, 2);
 * assert.deepEqual([...data], [1, 2, 3, 255, 4, 5, 6, 255]);
 * ```
 */
export function joinBitmaps(bitmaps: readonly Bitmap[]): Bitmap {
  const heights = new Set(bitmaps.map(({ height }) => height));
  if (heights.size !== 1) {
    throw new TypeError(
      `Cannot join pictures: heights are [${[
        ...heights,
      ]}], wanted at least one picture and equal heights`,
    );
  }
  for (const bitmap of bitmaps) checkBitmap(bitmap, "join pictures");
  const [height] = heights;
  const joined = blankBitmap(bitmaps.reduce((sum, { width }) => sum + width, 0), height);
  let left = 0;
  for (const { width, data } of bitmaps) {
    for (let y = 0; y < height; y++) {
      joined.data.set(
        data.subarray(y * width * 4, (y + 1) * width * 4),
        (y * joined.width + left) * 4,
      );
    }
    left += width;
  }
  return joined;
}
