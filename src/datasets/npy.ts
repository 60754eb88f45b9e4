/**
 * NumPy's array format: `.npy` files, in memory and as data sets.
 *
 * @module
 */
import { received } from "../base/_kinds.ts";
import { sizeOf } from "../base/_shape.ts";
import { atOnce } from "../base/_turns.ts";
import { NPY_MAGIC, readNpyHeader } from "./_npy_header.ts";
import { numbersOf } from "./_npy_numbers.ts";
import type { NpyArray } from "./_npy_numbers.ts";

export type { NpyArray } from "./_npy_numbers.ts";

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
 * @throws {TypeError} If the numbers are no typed array, or the shape is no list of whole numbers `≥ 0` or does not hold as
 * many as there are.
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
  if (!shape?.every?.((n) => Number.isInteger(n) && n >= 0)) {
    const found = Array.isArray(shape) ? `[${shape}]` : received(shape);
    throw new TypeError(
      `Cannot encode an array: the shape is ${found}, wanted a list of whole numbers >= 0`,
    );
  }
  const size = sizeOf(shape);
  if (size !== array.length) {
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
  const header = readNpyHeader(bytes, bytes.length, file);
  const { start, size } = header;
  // A plain array, whatever kind came in: the slices of a Buffer would share its memory.
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset + start, size);
  return atOnce(numbersOf(body, header, file));
}
