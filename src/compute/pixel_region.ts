/**
 * Rectangles of pixels.
 *
 * @module
 */

/** A rectangle of pixels. */
export interface PixelRegion {
  /** Its first row of pixels, from 0. */
  readonly top: number;
  /** Its first column of pixels, from 0. */
  readonly left: number;
  /** Its number of rows of pixels. */
  readonly height: number;
  /** Its number of columns of pixels. */
  readonly width: number;
}

/**
 * Checks that a rectangle lies in an image.
 *
 * @param region The rectangle.
 * @param shape Height and width of the image, and more.
 * @param action What is attempted, for the message.
 * @throws {RangeError} If it is empty, not whole, or reaches out of the image.
 */
export function checkRegion(region: PixelRegion, shape: readonly number[], action: string): void {
  const { top, left, height, width } = region;
  const fits = (from: number, size: number, all: number) =>
    Number.isInteger(from) && Number.isInteger(size) && from >= 0 && size >= 1 &&
    from + size <= all;
  if (!fits(top, height, shape[0]) || !fits(left, width, shape[1])) {
    throw new RangeError(
      `Cannot ${action}: the region has ${height}×${width} pixels from (${top}, ${left}), wanted pixels of an image of ${
        shape[0]
      }×${shape[1]}`,
    );
  }
}

/**
 * The pixels of a rectangle out of each image.
 *
 * @param images Images, one after the other.
 * @param shape Height, width and channels of an image.
 * @param region The rectangle.
 * @returns Its pixels of each image, one after the other.
 */
export function cropImages<T extends Uint8Array | Float32Array | Float64Array>(
  images: T,
  [height, width, channels]: readonly number[],
  { top, left, height: rows, width: columns }: PixelRegion,
): T {
  const size = height * width * channels, line = columns * channels;
  const count = images.length / size;
  const out = new (images.constructor as new (length: number) => T)(count * rows * line);
  for (let i = 0, to = 0; i < count; i++) {
    for (let y = top; y < top + rows; y++, to += line) {
      const from = i * size + (y * width + left) * channels;
      out.set(images.subarray(from, from + line), to);
    }
  }
  return out;
}

/**
 * Puts the pixels of a rectangle into each image.
 *
 * @param part The pixels of each image, one after the other.
 * @param images Where they go.
 * @param shape Height, width and channels of an image.
 * @param region The rectangle.
 */
export function placePixels(
  part: ArrayLike<number>,
  images: Float32Array | Float64Array,
  [height, width, channels]: readonly number[],
  { top, left, height: rows, width: columns }: PixelRegion,
): void {
  const size = height * width * channels, line = columns * channels;
  const count = images.length / size;
  for (let i = 0, from = 0; i < count; i++) {
    for (let y = top; y < top + rows; y++) {
      const to = i * size + (y * width + left) * channels;
      for (let c = 0; c < line; c++) images[to + c] = part[from++];
    }
  }
}
