/** A picture: `height` rows of `width` pixels of 4 bytes: red, green, blue, opacity. */
export interface Bitmap {
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** The bytes, `height · width · 4`, row-major from the top left. */
  readonly data: Uint8Array;
}

/** Throws unless a picture holds 4 bytes per pixel. */
export function checkBitmap({ width, height, data }: Bitmap, action: string): void {
  const sizes = [width, height, data?.length];
  if (sizes.every(Number.isInteger) && data.length === width * height * 4) return;
  throw new TypeError(
    `Cannot ${action}: ${width}×${height} pixels hold ${data?.length} bytes, wanted ${
      width * height * 4
    }`,
  );
}
