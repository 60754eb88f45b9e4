/**
 * The sizes of PNG and JPEG images, from their structure and before any pixel is
 * decoded: decoders may allocate without bound, or fill in what a damaged file lacks.
 */
import { DatasetError } from "../base/errors.ts";
import type { ImageSize } from "./_image_size.ts";
import { checkJpeg } from "./_jpeg.ts";
import { checkPng, PNG_SIGNATURE } from "./_png.ts";

/** What a decoder has to know of an image. */
export interface CheckedImage extends ImageSize {
  /** Whether a JPEG is stored as RGB. */
  readonly rgb?: boolean;
  /** The part of the file that its pixels need. Default: all. */
  readonly needed?: Uint8Array;
}

/** Checks that a file is a whole PNG or JPEG image of a bearable size, and returns that. */
export async function checkImage(
  bytes: Uint8Array,
  file: string,
  signal?: AbortSignal,
): Promise<CheckedImage> {
  if (startsWith(bytes, PNG_SIGNATURE)) return await checkPng(bytes, file, signal);
  if (startsWith(bytes, [0xFF, 0xD8])) return checkJpeg(bytes, file);
  throw new DatasetError(
    file,
    `first bytes [${bytes.subarray(0, 8).join(", ")}]`,
    "a PNG or JPEG image",
  );
}

/** Bytes that tell the format of an image. */
export const HEAD_SIZE = 16;
/** How files of images begin: PNG, JPEG, GIF, TIFF, JPEG XL and 2000. */
const MAGICS: readonly number[][] = [
  PNG_SIGNATURE,
  [0xFF, 0xD8, 0xFF],
  [0x47, 0x49, 0x46, 0x38],
  [0x49, 0x49, 0x2A, 0],
  [0x4D, 0x4D, 0, 0x2A],
  [0xFF, 0x0A],
  [0, 0, 0, 0x0C, 0x4A, 0x58, 0x4C, 0x20],
  [0, 0, 0, 0x0C, 0x6A, 0x50, 0x20, 0x20],
];
/** WebP, AVIF and HEIC, BMP with its reserved zeros, PBM to PPM. */
const PATTERN = /^(RIFF[^]{4}WEBP|[^]{4}ftyp(avi|he|mi|ms)|BM[^]{4}\0{4}|P[1-6]\s)/;

/**
 * Whether a file is an image of any format, by its first bytes.
 *
 * @param head The first {@linkcode HEAD_SIZE} bytes, or all there are.
 */
export function isImageHead(head: Uint8Array): boolean {
  return MAGICS.some((magic) => startsWith(head, magic)) ||
    PATTERN.test(String.fromCharCode(...head.subarray(0, HEAD_SIZE)));
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
