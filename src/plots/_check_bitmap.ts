import type { Bitmap } from "./bitmap.ts";

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
