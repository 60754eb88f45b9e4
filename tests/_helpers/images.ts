/** PNG and JPEG files, piece by piece. */
import { crc32 } from "node:zlib";

/** A PNG file of the given chunks, checksums right. */
export function png(...chunks: [string, Uint8Array][]): Uint8Array {
  const parts = chunks.map(([type, data]) => {
    const body = Uint8Array.of(...new TextEncoder().encode(type), ...data);
    const view = new DataView(new ArrayBuffer(8));
    view.setUint32(0, data.length);
    view.setUint32(4, crc32(body));
    const [length, checksum] = [0, 4].map((at) => new Uint8Array(view.buffer, at, 4));
    return [...length, ...body, ...checksum];
  });
  return Uint8Array.from([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, ...parts.flat()]);
}

/** The header chunk of a PNG file. */
export function ihdr(
  width: number,
  height: number,
  depth = 8,
  colourType = 0,
  interlace = 0,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(13));
  view.setUint32(0, width);
  view.setUint32(4, height);
  [depth, colourType, 0, 0, interlace].forEach((byte, i) => view.setUint8(8 + i, byte));
  return new Uint8Array(view.buffer);
}

/** A JPEG file with the EXIF orientation, 1 to 8, that a camera would note. */
export function withOrientation(jpeg: Uint8Array, orientation: number): Uint8Array {
  // A TIFF header, then one directory with one entry: tag 0x112, type 3 (16 bits), count 1.
  const tiff = [
    0x4D,
    0x4D,
    0,
    42,
    0,
    0,
    0,
    8,
    0,
    1,
    1,
    0x12,
    0,
    3,
    0,
    0,
    0,
    1,
    0,
    orientation,
    0,
    0,
    0,
    0,
    0,
    0,
  ];
  const body = [...new TextEncoder().encode("Exif\0\0"), ...tiff];
  return Uint8Array.of(0xFF, 0xD8, 0xFF, 0xE1, 0, body.length + 2, ...body, ...jpeg.subarray(2));
}

/** How the components of a JPEG file are named and marked. */
export interface JpegColours {
  /** Whether the marker of JFIF stays. */
  readonly jfif: boolean;
  /** The transform that a marker of Adobe names, if there is to be one. */
  readonly adobe?: number;
  /** The numbers of the three components. */
  readonly ids: readonly number[];
}

/** A JPEG file of one frame and one scan whose components are marked otherwise; no coefficient is changed. */
export function withColours(jpeg: Uint8Array, { jfif, adobe, ids }: JpegColours): Uint8Array {
  const parts: number[] = [0xFF, 0xD8];
  if (adobe !== undefined) {
    parts.push(0xFF, 0xEE, 0, 14, ...new TextEncoder().encode("Adobe"), 0, 100, 0, 0, 0, 0, adobe);
  }
  for (let at = 2; at < jpeg.length;) {
    const marker = jpeg[at + 1], size = 2 + jpeg[at + 2] * 256 + jpeg[at + 3];
    const segment = jpeg.slice(at, at + size);
    if (marker === 0xC0) ids.forEach((id, k) => segment[10 + 3 * k] = id);
    if (marker === 0xDA) ids.forEach((id, k) => segment[5 + 2 * k] = id);
    if (marker !== 0xE0 || jfif) parts.push(...segment);
    at += size;
    if (marker !== 0xDA) continue;
    parts.push(...jpeg.subarray(at));
    break;
  }
  return Uint8Array.from(parts);
}
