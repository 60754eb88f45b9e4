/**
 * The sizes of PNG and JPEG images, from their structure and before any pixel is
 * decoded: decoders may allocate without bound, or fill in what a damaged file lacks.
 */
import { crc32, inflateSync } from "node:zlib";
import { DatasetError } from "../errors.ts";

/** Width and height in pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

const MOST_PIXELS = 100_000_000;

/** Checks that a file is a whole PNG or JPEG image of a bearable size, and returns that. */
export function checkImage(bytes: Uint8Array, file: string): ImageSize {
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

function checkSize(
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

// --- PNG -------------------------------------------------------------------

const PNG_SIGNATURE = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

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

function checkPng(bytes: Uint8Array, file: string): ImageSize {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const compressed: Uint8Array[] = [];
  let size: ImageSize | undefined;
  let rawSize = 0;
  for (let at = PNG_SIGNATURE.length;;) {
    const { type, data, next } = readChunk(bytes, view, at, file);
    if ((at === PNG_SIGNATURE.length) !== (type === "IHDR")) {
      throw new DatasetError(file, `the chunk ${type} at byte ${at}`, "IHDR first and once");
    }
    if (type === "IHDR") {
      ({ size, rawSize } = parseIhdr(data, bytes.length, file));
    } else if (type === "IDAT") compressed.push(data);
    else if (type === "IEND") break;
    at = next;
  }
  checkPixels(compressed, rawSize, file);
  return size!;
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

// --- JPEG ------------------------------------------------------------------

/** Markers that begin the frames which decoders know: baseline, extended, progressive. */
const FRAMES = [0xC0, 0xC1, 0xC2];
/** The other frames: lossless, hierarchical, arithmetic coding. */
const OTHER_FRAMES = [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF];

function checkJpeg(bytes: Uint8Array, file: string): ImageSize {
  let size: ImageSize | undefined;
  let scans = 0;
  for (let at = 2;;) {
    const { marker, data, next } = readSegment(bytes, at, file);
    if (marker === 0xD9) break;
    if (OTHER_FRAMES.includes(marker) || (FRAMES.includes(marker) && size)) {
      throw new DatasetError(
        file,
        `the JPEG frame ${marker.toString(16)} at byte ${at}`,
        "one baseline or progressive frame",
      );
    }
    if (FRAMES.includes(marker)) size = parseFrame(data, bytes.length, file);
    at = next;
    if (marker === 0xDA) {
      scans++;
      at = endOfScan(bytes, next);
    }
  }
  if (!size || scans === 0) {
    throw new DatasetError(file, "a JPEG file without an image", "a frame and a scan");
  }
  return size;
}

function readSegment(
  bytes: Uint8Array,
  start: number,
  file: string,
): { marker: number; data: Uint8Array; next: number } {
  let at = start;
  // Any number of fill bytes may come before a marker.
  while (bytes[at] === 0xFF && bytes[at + 1] === 0xFF) at++;
  const marker = bytes[at + 1];
  const data = at + 2;
  if (bytes[at] === 0xFF && marker === 0xD9) {
    return { marker, data: bytes.subarray(data, data), next: data };
  }
  const length = bytes[data] * 256 + bytes[data + 1];
  if (bytes[at] !== 0xFF || !(marker >= 0xC0) || !(length >= 2) || data + length > bytes.length) {
    throw new DatasetError(
      file,
      `no whole JPEG segment at byte ${at} of ${bytes.length}`,
      "a JPEG image that ends with its end marker",
    );
  }
  return { marker, data: bytes.subarray(data + 2, data + length), next: data + length };
}

/** Where the next marker is that does not belong to the compressed pixels. */
function endOfScan(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length) {
    const after = bytes[at + 1];
    // A stuffed zero or a restart marker is part of the scan.
    const ends = bytes[at] === 0xFF && after !== 0 && !(after >= 0xD0 && after <= 0xD7);
    if (ends) break;
    at++;
  }
  return at;
}

function parseFrame(
  data: Uint8Array,
  fileSize: number,
  file: string,
): ImageSize {
  const components = data[5];
  if (data[0] !== 8 || data.length !== 6 + 3 * components || ![1, 3, 4].includes(components)) {
    throw new DatasetError(
      file,
      `a JPEG frame with ${data[0]} bits and ${components} components`,
      "8 bits and 1, 3 or 4 components",
    );
  }
  // A block of 8 × 8 pixels takes at least one bit.
  return checkSize(
    data[3] * 256 + data[4],
    data[1] * 256 + data[2],
    64 * 8 * fileSize,
    file,
  );
}
