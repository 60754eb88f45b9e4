/** The header of a `.npy` file: what its numbers are and where they begin. */
import { DatasetError } from "../base/errors.ts";

/** What a header says. */
export interface NpyHeader {
  /** The stored type without its byte order. */
  readonly dtype: string;
  /** Bytes per number. */
  readonly itemSize: number;
  /** Whether the first byte of a number is the most significant one. */
  readonly bigEndian: boolean;
  /** Whether the first index runs fastest. */
  readonly fortran: boolean;
  readonly shape: readonly number[];
  /** Where the numbers begin. */
  readonly start: number;
  /** How many bytes they take. */
  readonly size: number;
}

export const NPY_MAGIC: readonly number[] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59];
// NumPy writes 54 or 118 bytes, and reads no more than this.
const MOST = 10_000;
/** No header is longer than this. */
export const HEADER_MOST: number = 12 + MOST;
/** The types that are read. */
const TYPES = "b1 u1 u2 u4 u8 i1 i2 i4 i8 f2 f4 f8".split(" ");

/**
 * Reads a header.
 *
 * @param bytes The file, or at least its first {@linkcode HEADER_MOST} bytes.
 * @param fileSize The size of the file; nothing if that is not known, of one that is compressed.
 * @param file Its name, for messages.
 * @throws {DatasetError} If the header is damaged, or the file not as long as it says.
 */
export function readNpyHeader(
  bytes: Uint8Array,
  fileSize: number | undefined,
  file: string,
): NpyHeader {
  const { descr, fortran, shape, start } = parseHeader(bytes, file);
  const { order, dtype } = typeOf(descr);
  const itemSize = Number(dtype[1]);
  if (!TYPES.includes(dtype)) {
    const complex = /^[|<>=]?c/.test(descr) ? "complex " : "";
    throw new DatasetError(
      file,
      `${complex}numbers of type ${descr}`,
      `one of ${TYPES.join(", ")}, after < or > for the order of their bytes`,
    );
  }
  const size = shape.reduce((product, n) => product * n, itemSize);
  if (fileSize === undefined && !Number.isSafeInteger(size)) {
    throw new DatasetError(file, `shape [${shape}] of ${descr}`, "one that fits in a file");
  }
  if (fileSize !== undefined && size !== fileSize - start) {
    throw new DatasetError(
      file,
      `${fileSize - start} bytes after the header`,
      `${size} for shape [${shape}] of ${descr}`,
    );
  }
  return { dtype, itemSize, bigEndian: order === ">", fortran, shape, start, size };
}

/** A type in short, from that or the name that NumPy gives it: `<f4` and `float32` are one. */
function typeOf(descr: string): { order: string; dtype: string } {
  const [, order = "", short] = /^([|<>=]?)(\w\d)$/.exec(descr) ?? [];
  if (short) return { order, dtype: short };
  const [, kind, bits] = /^(uint|int|float)(8|16|32|64)$/.exec(descr) ?? [];
  return { order: "", dtype: descr === "bool" ? "b1" : kind ? kind[0] + Number(bits) / 8 : "" };
}

/** The header as it is written. */
interface Entries {
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: number[];
  readonly start: number;
}

function parseHeader(bytes: Uint8Array, file: string): Entries {
  if (!NPY_MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new DatasetError(
      file,
      `first bytes [${bytes.subarray(0, 6).join(", ")}]`,
      `[${NPY_MAGIC.join(", ")}], the magic of .npy`,
    );
  }
  const version = bytes[6];
  if (!(version >= 1 && version <= 3 && bytes[7] === 0)) {
    throw new DatasetError(
      file,
      `version ${bytes[6]}.${bytes[7]}`,
      "version 1.0, 2.0 or 3.0",
    );
  }
  const lead = version === 1 ? 10 : 12;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = bytes.length < lead
    ? NaN
    : version === 1
    ? view.getUint16(8, true)
    : view.getUint32(8, true);
  if (!(length <= MOST && lead + length <= bytes.length)) {
    throw new DatasetError(
      file,
      `${bytes.length} bytes with a header of ${length}`,
      "a header within the file and of at most 10,000 bytes",
    );
  }
  const start = lead + length;
  const text = new TextDecoder().decode(bytes.subarray(lead, start));
  return { ...parseDictionary(text, file), start };
}

/** Reads the three entries, in any order, of the Python dictionary in a header; anything else is an error. */
function parseDictionary(text: string, file: string): Omit<Entries, "start"> {
  const entries = new Map<string, string>();
  const body = /^\{(.*)\}\s*$/s.exec(text)?.[1] ?? "";
  const entry =
    /\s*['"](\w+)['"]\s*:\s*('[^']*'|"[^"]*"|True|False|\((?:(?:\s*\d{1,15}L?\s*,)+(?:\s*\d{1,15}L?)?)?\s*\))\s*(?:,\s*|$)/y;
  while (entry.lastIndex < body.length) {
    const match = entry.exec(body);
    if (!match || entries.has(match[1])) break;
    entries.set(match[1], match[2]);
    if (entry.lastIndex === body.length) {
      const [descr, fortran, shape] = ["descr", "fortran_order", "shape"].map((
        key,
      ) => entries.get(key) ?? "");
      if (
        entries.size === 3 && /^['"]/.test(descr) && /^[TF]/.test(fortran) &&
        shape[0] === "("
      ) {
        return {
          descr: descr.slice(1, -1),
          fortran: fortran === "True",
          shape: (shape.match(/\d+/g) ?? []).map(Number),
        };
      }
    }
  }
  throw new DatasetError(
    file,
    `the header ${JSON.stringify(text.trimEnd().slice(0, 120))}`,
    "a dictionary of descr, fortran_order and shape",
  );
}
