/**
 * Safetensors: named arrays and notes in one file that describes itself and runs no code.
 *
 * ```text
 * length of the header (8, little-endian) | header, JSON: name → dtype, shape, first and last byte | numbers
 * ```
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { received } from "../base/_kinds.ts";
import { sizeOf } from "../base/_shape.ts";
import { DatasetError } from "../base/errors.ts";
import type { Weight, Weights } from "./weights.ts";

/** What a file holds. */
export interface SafetensorsContent {
  /** The arrays. */
  readonly weights: Weights;
  /** Notes: text by name. */
  readonly notes: Readonly<Record<string, string>>;
}

/** How numbers are stored. */
export type StoredPrecision = "float32" | "float16";

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

/** Bytes of a header, of which a hundred tell of an array. */
const MOST_HEADER = 2 ** 23;
/** Where the notes stand in the header. */
const METADATA = "__metadata__";
/** Where a checksum of the numbers stands among the notes. */
const CHECKSUM = "crc32";

/**
 * Encodes arrays and notes as a safetensors file, which other tools read too. The numbers of each array begin at a
 * multiple of their size, so that they can be viewed in place.
 *
 * @param content Arrays and notes. A checksum of the numbers is added to the notes.
 * @param precision How numbers are stored, those of an array of this name or all. Default `"float32"`, bit for bit.
 * @returns The bytes of the file.
 * @throws {TypeError} If a shape does not hold as many numbers as there are, a note is no text, or an array has the
 * name of the notes.
 * @throws {RangeError} If a number is beyond the range of 16 bits and is to be stored in them.
 *
 * @example
 * ```ts
 * import { decodeSafetensors, encodeSafetensors } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const bias = { shape: [2], values: Float32Array.of(1, 2) };
 * const bytes = encodeSafetensors({ weights: { bias }, notes: { made: "by hand" } });
 * const { weights, notes } = decodeSafetensors(bytes, "x.safetensors");
 * assert.deepEqual([weights.bias, notes.made], [bias, "by hand"]);
 * ```
 */
export function encodeSafetensors(
  { weights, notes }: SafetensorsContent,
  precision: StoredPrecision | ((name: string) => StoredPrecision) = "float32",
): Uint8Array {
  checkContent({ weights, notes });
  const header: Record<string, unknown> = {};
  const arrays = Object.entries(weights).map(([name, { shape, values }]) => {
    const half = (typeof precision === "function" ? precision(name) : precision) === "float16";
    header[name] = undefined;
    return { name, shape, half, stored: half ? halves(name, values) : values };
  });
  // The format allows no gaps: those of 16 bits come last, where an odd number of them moves nobody else.
  arrays.sort((a, b) => Number(a.half) - Number(b.half));
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { name, shape, half, stored } of arrays) {
    const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    header[name] = {
      dtype: half ? "F16" : "F32",
      shape,
      data_offsets: [at, at + bytes.length],
    };
    parts.push(bytes);
    at += bytes.length;
  }
  const checksum = parts.reduce((sum, part) => crc32(part, sum), 0);
  const text = JSON.stringify({
    [METADATA]: { ...notes, [CHECKSUM]: checksum.toString(16) },
    ...header,
  });
  // Spaces fill the header up, so that the numbers start at a multiple of 8.
  const encoded = new TextEncoder().encode(text);
  const start = 8 + Math.ceil(encoded.length / 8) * 8;
  const file = new Uint8Array(start + at).fill(32, 0, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  file.set(encoded, 8);
  let end = start;
  for (const part of parts) {
    file.set(part, end);
    end += part.length;
  }
  return file;
}

function checkContent({ weights, notes }: SafetensorsContent): void {
  const action = "Cannot encode weights";
  for (const [name, { shape, values }] of Object.entries(weights)) {
    if (name === METADATA) {
      throw new TypeError(
        `${action}: an array is named ${name}, wanted another name than the notes`,
      );
    }
    if (sizeOf(shape) !== values.length) {
      throw new TypeError(
        `${action}: ${name} holds ${values.length} numbers, wanted ${sizeOf(shape)} for [${shape}]`,
      );
    }
  }
  for (const [name, note] of Object.entries(notes)) {
    if (typeof note !== "string") {
      throw new TypeError(`${action}: the note ${name} is ${received(note)}, wanted text`);
    }
  }
}

function halves(name: string, values: Float32Array): Float16Array {
  const stored = Float16Array.from(values);
  const over = stored.findIndex((v, i) => !Number.isFinite(v) && Number.isFinite(values[i]));
  if (over < 0) return stored;
  throw new RangeError(
    `Cannot encode weights: ${name} holds ${
      values[over]
    }, wanted at most 65504 in 16 bits, or float32`,
  );
}

/**
 * Decodes a safetensors file of floats of 32 or 16 bits, IEEE's or the upper half of 32 (`BF16`).
 *
 * Reference: Hugging Face, Safetensors, github.com/huggingface/safetensors, "Format".
 *
 * @param bytes The bytes of the file.
 * @param file The file's name, for messages.
 * @returns Arrays, in 32 bits, and notes.
 * @throws {DatasetError} If the file is damaged, ends early, or holds other numbers, arrays that overlap or leave bytes
 * out, or notes that are no text.
 *
 * @example A file that was written half
 * ```ts
 * import { DatasetError } from "@closedform/diffusion";
 * import { decodeSafetensors, encodeSafetensors, zeroWeight } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodeSafetensors({ weights: { bias: zeroWeight([8]) }, notes: {} });
 * assert.throws(() => decodeSafetensors(bytes.subarray(0, -9), "x.safetensors"), DatasetError);
 * ```
 */
export function decodeSafetensors(bytes: Uint8Array, file: string): SafetensorsContent {
  const { header, start } = decodeHeader(bytes, file);
  const { [METADATA]: metadata = {}, ...entries } = header;
  const notes = checkNotes(metadata, file);
  const size = Object.values(entries as Record<string, Entry>).reduce(
    (end, entry) => Math.max(end, Number(entry?.data_offsets?.[1]) || 0),
    0,
  );
  if (bytes.length !== start + size) {
    throw new DatasetError(file, `${bytes.length} bytes`, `${start + size}, as its header says`);
  }
  const sized = Object.entries(entries as Record<string, Entry>);
  for (const [name, entry] of sized) checkEntry(entry, size, file, name);
  checkCovered(entries as Record<string, Entry>, file);
  const body = bytes.subarray(start);
  if (notes[CHECKSUM] !== undefined && notes[CHECKSUM] !== crc32(body).toString(16)) {
    throw new DatasetError(file, "numbers that do not fit their checksum", "an undamaged file");
  }
  const weights = sized.map(([name, entry]) => [name, decodeEntry(entry, body)]);
  return { weights: Object.fromEntries(weights), notes };
}

function checkNotes(metadata: unknown, file: string): Record<string, string> {
  const isObject = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
  if (!isObject || !Object.values(metadata).every((note) => typeof note === "string")) {
    throw new DatasetError(file, "notes that are no text", "a text for each name");
  }
  return metadata as Record<string, string>;
}

/** Fails unless each byte belongs to one array, as the format asks: others may read what they like. */
function checkCovered(entries: Record<string, Entry>, file: string): void {
  const spans = Object.entries(entries).map(([name, { data_offsets: [from, to] }]) => ({
    name,
    from,
    to,
  }));
  spans.sort((a, b) => a.from - b.from || a.to - b.to);
  let end = 0;
  for (const { name, from, to } of spans) {
    if (from !== end) {
      const found = from < end ? "that overlaps another array" : "after bytes of no array";
      throw new DatasetError(file, `${name} at byte ${from}, ${found}`, `it at byte ${end}`);
    }
    end = to;
  }
}

function decodeHeader(
  bytes: Uint8Array,
  file: string,
): { header: Record<string, unknown>; start: number } {
  const { buffer, byteOffset, length } = bytes;
  const stated = length < 8
    ? Infinity
    : Number(new DataView(buffer, byteOffset).getBigUint64(0, true));
  if (stated > length - 8) {
    throw new DatasetError(file, `${length} bytes`, "a whole safetensors file");
  }
  if (stated > MOST_HEADER) {
    throw new DatasetError(
      file,
      `a header of ${stated.toLocaleString("en")} bytes`,
      `at most ${MOST_HEADER.toLocaleString("en")}`,
    );
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + stated));
    const header: unknown = JSON.parse(text);
    if (header && typeof header === "object" && !Array.isArray(header)) {
      return { header: header as Record<string, unknown>, start: 8 + stated };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
  }
  throw new DatasetError(file, "a header that is no JSON object", "a safetensors file");
}

/** Bytes of a number of each type. */
const WIDTHS: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Fails unless an array is of a known type and lies within the numbers, of so many bytes. */
function checkEntry(entry: Entry, size: number, file: string, name: string): void {
  const width = Object.hasOwn(WIDTHS, entry?.dtype) ? WIDTHS[entry.dtype] : undefined;
  if (!width) {
    throw new DatasetError(file, `${name} of type ${entry?.dtype}`, "floats of 32 or 16 bits");
  }
  const { shape, data_offsets: offsets } = entry;
  const [from, to] = Array.isArray(offsets) ? offsets : [];
  const whole = (n: unknown) => Number.isInteger(n) && n as number >= 0;
  if (
    !(Array.isArray(shape) && shape.every(whole) && whole(from) && to! <= size &&
      to! - from! === sizeOf(shape) * width)
  ) {
    throw new DatasetError(
      file,
      `${name} of shape [${shape}] at bytes ${from} to ${to}`,
      "as many bytes as the shape holds",
    );
  }
}

function decodeEntry({ dtype, shape, data_offsets: [from, to] }: Entry, body: Uint8Array): Weight {
  const { buffer } = body.slice(from, to);
  return { shape, values: decodeNumbers(buffer, dtype) };
}

function decodeNumbers(buffer: ArrayBuffer, dtype: string): Float32Array {
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F16") return Float32Array.from(new Float16Array(buffer));
  // The sign, exponent and first seven digits of a float32.
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
}
