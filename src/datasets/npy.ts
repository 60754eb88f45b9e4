/**
 * NumPy's array format: `.npy` files, in memory and as data sets.
 *
 * @module
 */
import { received } from "../_received.ts";
import { sizeOf } from "../_shape.ts";
import { atOnce, type Interruptible } from "../_turns.ts";
import { DatasetError } from "../errors.ts";
import { NPY_MAGIC, type NpyHeader, readNpyHeader } from "./_npy_header.ts";
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
  const header = readNpyHeader(bytes, bytes.length, file);
  const { start, size } = header;
  // A plain array, whatever kind came in: the slices of a Buffer would share its memory.
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset + start, size);
  return atOnce(numbersOf(body, header, file));
}

/** Numbers between two turns of others. */
const TURN = 2 ** 16;

/** The array of a header and the bytes after it, with turns for others. */
export function* numbersOf(
  body: Uint8Array,
  { dtype, itemSize, bigEndian, fortran, shape }: NpyHeader,
  file: string,
): Interruptible<NpyArray> {
  const stored = yield* decodeNumbers(body, dtype, itemSize, bigEndian);
  const data = fortran ? yield* toRowMajor(stored, shape) : stored;
  yield* checkNumbers(data, dtype, file);
  return { data, shape, dtype };
}

function* decodeNumbers(
  bytes: Uint8Array,
  dtype: string,
  itemSize: number,
  bigEndian: boolean,
): Interruptible<NpyArray["data"]> {
  if (dtype === "u1") return bytes;
  if (dtype === "b1") return yield* truths(bytes);
  const swapped = bigEndian ? yield* reverseItems(bytes, itemSize) : bytes;
  const aligned = swapped.byteOffset % itemSize === 0 ? swapped : swapped.slice();
  const { buffer, byteOffset } = aligned;
  const length = bytes.length / itemSize;
  const halves = () => new Uint32Array(buffer, byteOffset, 2 * length);
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
      return yield* fromHalves(halves(), halves());
    case "i8":
      return yield* fromHalves(halves(), new Int32Array(buffer, byteOffset, 2 * length));
    case "f2":
      return new Float16Array(buffer as ArrayBuffer, byteOffset, length);
    case "f4":
      return new Float32Array(buffer, byteOffset, length);
    default:
      return new Float64Array(buffer, byteOffset, length);
  }
}

function* truths(bytes: Uint8Array): Interruptible<Uint8Array> {
  const truths = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    truths[i] = Number(bytes[i] !== 0);
    if (i % TURN === TURN - 1) yield;
  }
  return truths;
}

/** Integers of 64 bits as the nearest numbers; those of a BigInt take ten times as long. */
function* fromHalves(
  low: Uint32Array,
  high: Uint32Array | Int32Array,
): Interruptible<Float64Array> {
  const numbers = new Float64Array(low.length / 2);
  for (let i = 0; i < numbers.length; i++) {
    numbers[i] = 2 ** 32 * high[2 * i + 1] + low[2 * i];
    if (i % TURN === TURN - 1) yield;
  }
  return numbers;
}

function* reverseItems(bytes: Uint8Array, itemSize: number): Interruptible<Uint8Array> {
  const reversed = new Uint8Array(bytes.length);
  for (let at = 0, turn = 1; at < bytes.length; at += itemSize, turn++) {
    for (let k = 0; k < itemSize; k++) reversed[at + k] = bytes[at + itemSize - 1 - k];
    if (turn % TURN === 0) yield;
  }
  return reversed;
}

/** Reorders an array whose first index runs fastest into one whose last index does. */
function* toRowMajor<T extends NpyArray["data"]>(
  stored: T,
  shape: readonly number[],
): Interruptible<T> {
  const strides: number[] = [];
  shape.reduce((stride, n) => (strides.push(stride), stride * n), 1);
  return yield* rowMajor(stored, shape, strides, stored.slice() as T);
}

function* checkNumbers(
  data: NpyArray["data"],
  dtype: string,
  file: string,
): Interruptible<void> {
  // Smaller integers are all good.
  if (dtype[0] !== "f" && !dtype.endsWith("8")) return;
  const [most, wanted] = dtype[0] === "f"
    ? [Number.MAX_VALUE, "finite numbers"]
    : [Number.MAX_SAFE_INTEGER, "integers within ±2^53"];
  for (let i = 0; i < data.length; i++) {
    // False for what is no number.
    if (!(Math.abs(data[i]) <= most)) {
      throw new DatasetError(file, `${data[i]} at position ${i}`, wanted);
    }
    if (i % TURN === TURN - 1) yield;
  }
}
