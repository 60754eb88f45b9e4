/**
 * The sizes of PNG and JPEG images, from their structure and before any pixel is
 * decoded: decoders may allocate without bound, or fill in what a damaged file lacks.
 */
import { DatasetError } from "../errors.ts";
import type { ImageSize } from "./_image_size.ts";
import { checkJpeg } from "./_jpeg.ts";
import { checkPng, PNG_SIGNATURE } from "./_png.ts";

/** Checks that a file is a whole PNG or JPEG image of a bearable size, and returns that, and if a JPEG is stored as RGB. */
export function checkImage(bytes: Uint8Array, file: string): ImageSize & { rgb?: boolean } {
  if (startsWith(bytes, PNG_SIGNATURE)) return checkPng(bytes, file);
  if (startsWith(bytes, [0xFF, 0xD8])) return checkJpeg(bytes, file);
  throw new DatasetError(
    file,
    `first bytes [${bytes.subarray(0, 8).join(", ")}]`,
    "a PNG or JPEG image",
  );
}

function startsWith(bytes: Uint8Array, magic: number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
