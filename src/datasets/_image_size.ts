/** The size of an image, and which sizes are bearable. */
import { DatasetError } from "../base/errors.ts";

/** Width and height in pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

const MOST_PIXELS = 100_000_000;

/** Fails for images without pixels, or with more than the file can hold or 100 megapixels. */
export function checkSize(
  width: number,
  height: number,
  possible: number,
  file: string,
): ImageSize {
  const most = Math.min(MOST_PIXELS, Math.floor(possible));
  if (width < 1 || height < 1 || width * height > most) {
    throw new DatasetError(
      file,
      `an image of ${width} × ${height} pixels`,
      `1 to ${most.toLocaleString("en")} pixels in a file of this length`,
    );
  }
  return { width, height };
}
