/** The structure of PNG images, checked before any pixel is decoded. */
import { crc32, inflateSync } from "node:zlib";
import { DatasetError } from "../base/errors.ts";
import { ByteReader, inPieces } from "./_files.ts";
import { checkSize, type ImageSize } from "./_image_size.ts";

/** The first bytes of each PNG file. */
export const PNG_SIGNATURE = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

/** Samples per pixel and possible bit depths of each colour type. */
const PNG_COLOUR_TYPES: Record<number, { samples: number; depths: number[] }> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { samples: 3, depths: [8, 16] },
  3: { samples: 1, depths: [1, 2, 4, 8] },
  4: { samples: 2, depths: [8, 16] },
  6: { samples: 4, depths: [8, 16] },
};

/** For each pass of the Adam7 interlace: first column and row, and the steps between them. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** The chunks that pixels need; others may be many, which decoders go through one by one. */
const NEEDED = ["IHDR", "PLTE", "tRNS", "IDAT", "IEND"];

/** The size of a PNG image that is whole: chunks, checksums and compressed pixels. And the file without other chunks. */
export async function checkPng(
  bytes: Uint8Array,
  file: string,
  signal?: AbortSignal,
): Promise<ImageSize & { readonly needed: Uint8Array }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const compressed: Uint8Array[] = [];
  const needed = [bytes.subarray(0, PNG_SIGNATURE.length)];
  let size: ImageSize | undefined;
  let rawSize = 0;
  for (let at = PNG_SIGNATURE.length;;) {
    const { type, data, next } = readChunk(bytes, view, at, file);
    if ((at === PNG_SIGNATURE.length) !== (type === "IHDR")) {
      throw new DatasetError(file, `the chunk ${type} at byte ${at}`, "IHDR first and once");
    }
    if (NEEDED.includes(type)) needed.push(bytes.subarray(at, next));
    if (type === "IHDR") {
      ({ size, rawSize } = parseIhdr(data, bytes.length, file));
    } else if (type === "IDAT") compressed.push(data);
    else if (type === "IEND") break;
    at = next;
  }
  if (rawSize > LARGE) await countPixels(compressed, rawSize, file, signal);
  else checkPixels(compressed, rawSize, file);
  return { ...size!, needed: concat(needed) };
}

function readChunk(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  file: string,
): { type: string; data: Uint8Array; next: number } {
  const length = at + 12 > bytes.length ? Infinity : view.getUint32(at);
  const next = at + 12 + length;
  if (next > bytes.length) {
    throw new DatasetError(
      file,
      `${bytes.length} bytes, which end in the chunk at byte ${at}`,
      "a PNG image that ends with IEND",
    );
  }
  const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
  const crc = crc32(bytes.subarray(at + 4, next - 4));
  if (crc !== view.getUint32(next - 4)) {
    throw new DatasetError(
      file,
      `a wrong checksum in the chunk ${JSON.stringify(type)} at byte ${at}`,
      crc.toString(16),
    );
  }
  return { type, data: bytes.subarray(at + 8, next - 4), next };
}

function parseIhdr(
  data: Uint8Array,
  fileSize: number,
  file: string,
): { size: ImageSize; rawSize: number } {
  const [depth, colourType, compression, filter, interlace] = data.subarray(8);
  const colour = PNG_COLOUR_TYPES[colourType];
  if (
    data.length !== 13 || !colour?.depths.includes(depth) ||
    compression !== 0 || filter !== 0 || interlace > 1
  ) {
    throw new DatasetError(
      file,
      `the PNG header [${data.join(", ")}]`,
      "a colour type, depth and interlace of the standard",
    );
  }
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const bits = colour.samples * depth;
  // Deflate makes at most 1,032 bytes of one.
  const size = checkSize(
    view.getUint32(0),
    view.getUint32(4),
    1032 * 8 * fileSize / bits,
    file,
  );
  return { size, rawSize: rawPngSize(size, bits, interlace === 1) };
}

/** Bytes of all rows of all passes, each row with its filter byte. */
function rawPngSize(
  { width, height }: ImageSize,
  bits: number,
  interlaced: boolean,
): number {
  let size = 0;
  for (const [x, y, dx, dy] of interlaced ? ADAM7 : [[0, 0, 1, 1]]) {
    const columns = Math.ceil((width - x) / dx);
    const rows = Math.ceil((height - y) / dy);
    if (columns > 0 && rows > 0) {
      size += rows * (1 + Math.ceil(columns * bits / 8));
    }
  }
  return size;
}

/** The pixels must decompress, with the right checksum, to just the size that the header implies. */
function checkPixels(
  compressed: Uint8Array[],
  rawSize: number,
  file: string,
): void {
  let found: string;
  let cause: unknown;
  try {
    const raw = inflateSync(concat(compressed), { maxOutputLength: rawSize });
    if (raw.length === rawSize) return;
    found = `${raw.length} bytes of pixels`;
  } catch (error) {
    found = "pixels that do not decompress";
    cause = error;
  }
  throw new DatasetError(file, found, `${rawSize} bytes`, { cause });
}

/** Bytes of pixels above which they are counted as they come, not decompressed at once. */
const LARGE = 2 ** 20;

async function countPixels(
  compressed: Uint8Array[],
  rawSize: number,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  const stream = new Blob(compressed as Uint8Array<ArrayBuffer>[]).stream().pipeThrough(inPieces())
    .pipeThrough(new DecompressionStream("deflate"));
  const damaged = "pixels that do not decompress";
  await using reader = new ByteReader({ file, most: rawSize, damaged }, stream, signal);
  let size = 0;
  for await (const { length } of reader.chunks()) {
    size += length;
    if (size > rawSize) break;
  }
  if (size !== rawSize) {
    throw new DatasetError(file, `${size} bytes of pixels, or more`, `${rawSize} bytes`);
  }
}

function concat(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(
    parts.reduce((size, part) => size + part.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
