/** The structure of JPEG images, checked before any pixel is decoded. */
import { DatasetError } from "../errors.ts";
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

/** The size and colours of a JPEG image whose segments are whole up to its end marker. JPEG has no checksums. */
export function checkJpeg(bytes: Uint8Array, file: string): JpegImage {
  let size: ImageSize | undefined;
  let scans = 0;
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
      scans++;
      at = endOfScan(bytes, next);
    }
  }
  if (!size || scans === 0) {
    throw new DatasetError(file, "a JPEG file without an image", "a frame and a scan");
  }
  return { ...size, rgb: isRgb(colours) };
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
