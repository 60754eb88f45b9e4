/**
 * NumPy's array format: `.npy` files, in memory and as data sets.
 *
 * @module
 */
import { received } from "../_received.ts";
import { sizeOf } from "../_shape.ts";
import { DatasetError } from "../errors.ts";
import { NPY_MAGIC, readNpyHeader } from "./_npy_header.ts";
import { rowMajor } from "./_row_major.ts";

/** An array as it was stored, row-major. */
export interface NpyArray {
  /** The numbers. 64-bit integers and floats both come as `Float64Array`, truth values as bytes 0 and 1; see `dtype`. */
  readonly data:
    | Uint8Array
    | Int8Array
    | Uint16Array
    | Int16Array
    | Uint32Array
    | Int32Array
    | Float16Array
    | Float32Array
    | Float64Array;
  /** The shape; `[]` for a single number. */
  readonly shape: readonly number[];
  /**
   * The stored type without its byte order: `"u1"`, `"u2"`, `"u4"`, `"u8"`, `"i1"`, `"i2"`, `"i4"`, `"i8"`, `"f2"`,
   * `"f4"`, `"f8"`, or `"b1"` for truth values.
   */
  readonly dtype: string;
}

/** Numbers that {@linkcode encodeNpy} writes: a typed array of any kind. */
export type NpyNumbers = NpyArray["data"] | Uint8ClampedArray | BigInt64Array | BigUint64Array;

/** NumPy's name for the numbers of each kind of typed array. */
const DESCRS: Readonly<Record<string, string>> = {
  Uint8Array: "|u1",
  Uint8ClampedArray: "|u1",
  Int8Array: "|i1",
  Uint16Array: "<u2",
  Int16Array: "<i2",
  Uint32Array: "<u4",
  Int32Array: "<i4",
  BigUint64Array: "<u8",
  BigInt64Array: "<i8",
  Float16Array: "<f2",
  Float32Array: "<f4",
  Float64Array: "<f8",
};

/**
 * Encodes numbers as a `.npy` file of version 1, little-endian, bit for bit and in their own type.
 *
 * @param array The numbers, row-major: a typed array of any kind.
 * @param shape Their shape.
 * @returns The bytes of the file.
 * @throws {TypeError} If the numbers are no typed array, or the shape does not hold as many as there are.
 *
 * @example
 * ```ts
 * import { decodeNpy, encodeNpy } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodeNpy(Float32Array.of(1, 2, 3), [3, 1]);
 * const { data, shape } = decodeNpy(bytes, "x.npy");
 * assert.deepEqual([data, shape], [Float32Array.of(1, 2, 3), [3, 1]]);
 * ```
 */
export function encodeNpy(array: NpyNumbers, shape: readonly number[]): Uint8Array {
  // The tag is the same for a Buffer, and for arrays that come from another realm.
  const descr = DESCRS[array?.[Symbol.toStringTag]];
  if (descr === undefined) {
    throw new TypeError(
      `Cannot encode an array: the numbers are ${received(array)}, wanted a typed array, one of ${
        Object.keys(DESCRS).join(", ")
      }`,
    );
  }
  const size = sizeOf(shape);
  if (size !== array.length || !shape.every((n) => Number.isInteger(n) && n >= 0)) {
    throw new TypeError(
      `Cannot encode an array: received ${array.length} numbers for shape [${shape}], wanted ${size}`,
    );
  }
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  // The numbers start at a multiple of 64, so that they can be viewed in place.
  const start = Math.ceil((10 + header.length + 1) / 64) * 64;
  const bytes = new Uint8Array(start + array.byteLength);
  bytes.set([...NPY_MAGIC, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, start - 10, true);
  new TextEncoder().encodeInto(
    header.padEnd(start - 11) + "\n",
    bytes.subarray(10),
  );
  bytes.set(
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
    start,
  );
  return bytes;
}

/**
 * Decodes a `.npy` file of version 1, 2 or 3 with integers of 8 to 64 bits, floats of 16 to 64 bits, or truth values.
 *
 * @param bytes The bytes of the file. Bytes and aligned little-endian numbers are viewed, not copied.
 * @param file The file's name, for messages.
 * @returns The numbers, row-major whatever order they were stored in, and their shape.
 * @throws {DatasetError} If the file is damaged, of another type, too long or too short, or holds a number that is not
 * finite or an integer beyond 2⁵³.
 *
 * @example A file that ends early
 * ```ts
 * import { DatasetError, decodeNpy, encodeNpy } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodeNpy(Uint8Array.of(1, 2, 3), [3]).subarray(0, -1);
 * assert.throws(() => decodeNpy(bytes, "x.npy"), DatasetError);
 * ```
 */
export function decodeNpy(bytes: Uint8Array, file: string): NpyArray {
  const { dtype, itemSize, bigEndian, fortran, shape, start, size } = readNpyHeader(
    bytes,
    bytes.length,
    file,
  );
  // A plain array, whatever kind came in: the slices of a Buffer would share its memory.
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset + start, size);
  const stored = decodeNumbers(body, dtype, itemSize, bigEndian);
  const data = fortran ? toRowMajor(stored, shape) : stored;
  checkNumbers(data, dtype, file);
  return { data, shape, dtype };
}

function decodeNumbers(
  bytes: Uint8Array,
  dtype: string,
  itemSize: number,
  bigEndian: boolean,
): NpyArray["data"] {
  if (dtype === "u1") return bytes;
  if (dtype === "b1") return bytes.map((byte) => byte === 0 ? 0 : 1);
  const swapped = bigEndian ? reverseItems(bytes, itemSize) : bytes;
  const aligned = swapped.byteOffset % itemSize === 0 ? swapped : swapped.slice();
  const { buffer, byteOffset } = aligned;
  const length = bytes.length / itemSize;
  switch (dtype) {
    case "i1":
      return new Int8Array(buffer, byteOffset, length);
    case "u2":
      return new Uint16Array(buffer, byteOffset, length);
    case "i2":
      return new Int16Array(buffer, byteOffset, length);
    case "u4":
      return new Uint32Array(buffer, byteOffset, length);
    case "i4":
      return new Int32Array(buffer, byteOffset, length);
    case "u8":
      return Float64Array.from(new BigUint64Array(buffer, byteOffset, length), Number);
    case "i8":
      return Float64Array.from(new BigInt64Array(buffer, byteOffset, length), Number);
    case "f2":
      return new Float16Array(buffer as ArrayBuffer, byteOffset, length);
    case "f4":
      return new Float32Array(buffer, byteOffset, length);
    default:
      return new Float64Array(buffer, byteOffset, length);
  }
}

function reverseItems(bytes: Uint8Array, itemSize: number): Uint8Array {
  const copy = bytes.slice();
  for (let at = 0; at < copy.length; at += itemSize) {
    copy.subarray(at, at + itemSize).reverse();
  }
  return copy;
}

/** Reorders an array whose first index runs fastest into one whose last index does. */
function toRowMajor<T extends NpyArray["data"]>(
  stored: T,
  shape: readonly number[],
): T {
  const strides: number[] = [];
  shape.reduce((stride, n) => (strides.push(stride), stride * n), 1);
  return rowMajor(stored, shape, strides, stored.slice() as T);
}

function checkNumbers(
  data: NpyArray["data"],
  dtype: string,
  file: string,
): void {
  // Smaller integers are all good.
  if (dtype[0] !== "f" && !dtype.endsWith("8")) return;
  const [good, wanted]: [(v: number) => boolean, string] = dtype[0] === "f"
    ? [Number.isFinite, "finite numbers"]
    : [Number.isSafeInteger, "integers within ±2^53"];
  const bad = data.findIndex((v) => !good(v));
  if (bad >= 0) {
    throw new DatasetError(file, `${data[bad]} at position ${bad}`, wanted);
  }
}
