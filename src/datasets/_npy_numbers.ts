/** The numbers of a `.npy` file. */
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import type { NpyHeader } from "./_npy_header.ts";
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
