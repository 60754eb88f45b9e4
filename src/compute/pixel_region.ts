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
