/** The structure of JPEG images, checked before any pixel is decoded. */
import { DatasetError } from "../base/errors.ts";
import { checkSize, type ImageSize } from "./_image_size.ts";

/** Markers that begin the frames which decoders know: baseline, extended, progressive. */
const FRAMES = [0xC0, 0xC1, 0xC2];
/** The other frames: lossless, hierarchical, arithmetic coding. */
const OTHER_FRAMES = [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF];

/** What its segments say about an image. */
export interface JpegImage extends ImageSize {
  /** Whether its three components are red, green and blue themselves, not brightness and colour differences. */
  readonly rgb: boolean;
}

/** What tells the colours of a JPEG image. */
interface Colours {
  jfif: boolean;
  /** The transform of the marker of Adobe, if there is one. */
  adobe?: number;
  /** The names of the components. */
  ids: string;
}

/** Bytes that a decoder may take, so that photographs of 48 megapixels can be read; the one in use keeps all coefficients of an image. */
const MOST_BYTES = 1.5 * 2 ** 30;
/** Bytes that it takes per block of 8 × 8 coefficients, measured: an array of its own for each. */
const BLOCK_BYTES = 800;
/** How often scans may pass over all blocks: each takes time, whatever the file has of it. Encoders make some ten. */
const MOST_PASSES = 64;
/** Visits of blocks that nobody minds. */
const FEW_VISITS = 2 ** 22;

/** What a frame says. */
interface Frame extends ImageSize {
  /** Blocks of each component, by its name. */
  readonly blocks: ReadonlyMap<number, number>;
}

/** The size and colours of a JPEG image whose segments are whole up to its end marker. JPEG has no checksums. */
export function checkJpeg(bytes: Uint8Array, file: string): JpegImage {
  let size: Frame | undefined;
  let visits = 0;
  const colours: Colours = { jfif: false, ids: "" };
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
    noteColours(colours, marker, data);
    at = next;
    if (marker === 0xDA) {
      visits += visitsOf(data, size, file);
      checkVisits(visits, size!, file);
      at = endOfScan(bytes, next);
    }
  }
  if (!size || visits === 0) throw withoutImage(file);
  const { width, height } = size;
  return { width, height, rgb: isRgb(colours) };
}

function withoutImage(file: string): DatasetError {
  return new DatasetError(file, "a JPEG file without an image", "a frame and a scan");
}

/** How many blocks a scan passes over. */
function visitsOf(data: Uint8Array, frame: Frame | undefined, file: string): number {
  if (!frame) throw withoutImage(file);
  const names = Array.from({ length: data[0] }, (_, k) => data[1 + 2 * k]);
  const blocks = names.map((name) => frame.blocks.get(name) ?? NaN);
  const visits = blocks.reduce((sum, count) => sum + count, 0);
  if (visits > 0) return visits;
  throw new DatasetError(
    file,
    `a JPEG scan of the components [${names.join(", ")}]`,
    "some of those of the frame",
  );
}

function checkVisits(visits: number, { blocks }: Frame, file: string): void {
  const total = blocks.values().reduce((sum, count) => sum + count, 0);
  if (visits <= Math.max(FEW_VISITS, MOST_PASSES * total)) return;
  throw new DatasetError(
    file,
    "a JPEG image with scans over and over",
    `at most ${MOST_PASSES} for each component`,
  );
}

function noteColours(colours: Colours, marker: number, data: Uint8Array): void {
  const starts = (name: string) => [...name].every((letter, i) => data[i] === letter.charCodeAt(0));
  if (marker === 0xE0 && starts("JFIF\0")) colours.jfif = true;
  if (marker === 0xEE && data.length >= 12 && starts("Adobe")) colours.adobe = data[11];
  if (FRAMES.includes(marker)) {
    colours.ids = Array.from({ length: data[5] }, (_, k) => String.fromCharCode(data[6 + 3 * k]))
      .join("");
  }
}

/** By the rule of libjpeg: JFIF has no RGB, the marker of Adobe says, and without either the names of the components do. */
function isRgb({ jfif, adobe, ids }: Colours): boolean {
  return ids.length === 3 && !jfif && (adobe === undefined ? ids === "RGB" : adobe === 0);
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
): Frame {
  const components = data[5];
  if (data[0] !== 8 || data.length !== 6 + 3 * components || ![1, 3, 4].includes(components)) {
    throw new DatasetError(
      file,
      `a JPEG frame with ${data[0]} bits and ${components} components`,
      "8 bits and 1, 3 or 4 components",
    );
  }
  // A block of 8 × 8 pixels takes at least one bit.
  const size = checkSize(
    data[3] * 256 + data[4],
    data[1] * 256 + data[2],
    64 * 8 * fileSize,
    file,
  );
  const blocks = blocksOf(data, size, file);
  checkBytes(size, blocks, file);
  return { ...size, blocks };
}

/** The blocks of each component, which may be sampled more coarsely than others. */
function blocksOf(
  data: Uint8Array,
  { width, height }: ImageSize,
  file: string,
): Map<number, number> {
  const components = Array.from({ length: data[5] }, (_, k) => {
    const [name, factors] = data.subarray(6 + 3 * k);
    return { name, h: factors >> 4, v: factors & 15 };
  });
  const names = new Set(components.map(({ name }) => name));
  const good = components.every(({ h, v }) => h >= 1 && h <= 4 && v >= 1 && v <= 4);
  if (!good || names.size < components.length) {
    throw new DatasetError(
      file,
      `JPEG components sampled ${components.map(({ h, v }) => `${h} × ${v}`).join(", ")}`,
      "1 to 4 times in each direction, each component of its own name",
    );
  }
  const units = (side: number, factors: number[]) => Math.ceil(side / 8 / Math.max(...factors));
  const across = units(width, components.map(({ h }) => h));
  const down = units(height, components.map(({ v }) => v));
  return new Map(components.map(({ name, h, v }) => [name, across * h * down * v]));
}

/** Fails if decoding would take more than it may: coefficients, samples, and pixels in three arrays. */
function checkBytes(
  { width, height }: ImageSize,
  blocks: ReadonlyMap<number, number>,
  file: string,
): void {
  const total = blocks.values().reduce((sum, count) => sum + count, 0);
  const bytes = total * (BLOCK_BYTES + 64) + width * height * (blocks.size + 4 + 3);
  if (bytes <= MOST_BYTES) return;
  const gigabytes = (n: number) => `${Number((n / 2 ** 30).toPrecision(2))} GB`;
  throw new DatasetError(
    file,
    `a JPEG image of ${width} × ${height} pixels that takes ${gigabytes(bytes)} to decode`,
    `at most ${gigabytes(MOST_BYTES)}, or the image as PNG or smaller`,
  );
}
