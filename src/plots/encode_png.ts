/**
 * Pictures as PNG files: apart from what pages load, because the encoder is large.
 *
 * @module
 */
import { checkBitmap } from "./_check_bitmap.ts";
import type { Bitmap } from "./bitmap.ts";

/**
 * A picture as the bytes of a PNG file.
 *
 * @param bitmap The picture.
 * @returns The file's bytes.
 * @throws {TypeError} If the picture does not hold 4 bytes per pixel.
 *
 * @example
 * ```ts
 * import { encodePng } from "@closedform/diffusion";
 * import { blankBitmap } from "./bitmap.ts";
 * import assert from "node:assert/strict";
 *
 * const png = await encodePng(blankBitmap(2, 2));
 * assert.equal(String.fromCharCode(...png.slice(1, 4)), "PNG");
 * ```
 */
export async function encodePng(bitmap: Bitmap): Promise<Uint8Array> {
  const { width, height, data } = bitmap;
  checkBitmap(bitmap, "encode a picture");
  // Loaded here, so that a program that draws nothing does not wait for it.
  const { Jimp } = await import("jimp");
  // A copy, because Jimp takes the whole buffer below a view.
  const picture = Jimp.fromBitmap({ width, height, data: data.slice() });
  return new Uint8Array(await picture.getBuffer("image/png"));
}
