/**
 * Point clouds as PLY files.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkOneOf } from "./_checks.ts";

/** Options of {@linkcode encodePly}. */
export interface PlyOptions {
  /** `"binary"`: little-endian, 12 bytes per point of float32; `"ascii"`: text, a line per point. Default `"binary"`. */
  readonly format?: "binary" | "ascii";
}

const OPTIONS = { format: "binary" } satisfies OptionTable<PlyOptions>;

/**
 * Encodes points of space as a PLY file of version 1.0, without faces, bit for bit: what viewers of
 * meshes open, and {@linkcode parseMesh} and {@linkcode readMesh} with `vertices` read back.
 *
 * Reference: G. Turk (1994), The PLY polygon file format, Stanford University.
 *
 * @param points Rows of `x, y, z`. `Float64Array` is written in double precision, all else in single.
 * @param options Binary or text.
 * @returns The bytes of the file.
 * @throws {TypeError} If there are no points, or not three numbers each.
 * @throws {RangeError} If a number is not finite, or the format is none.
 *
 * @example
 * ```ts
 * import { encodePly, parseMesh } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = encodePly(Float32Array.of(1, 2, 3, 4, 5, 6));
 * assert.deepEqual([...parseMesh(file, "points.ply").vertices], [1, 2, 3, 4, 5, 6]);
 * ```
 */
export function encodePly(points: ArrayLike<number>, options: PlyOptions = {}): Uint8Array {
  const { format } = readOptions("encode points", options, OPTIONS);
  checkOneOf("encode points", "format", format, ["binary", "ascii"]);
  if (points.length === 0 || points.length % 3 !== 0) {
    throw new TypeError(
      `Cannot encode points: received ${points.length} numbers, wanted rows of 3`,
    );
  }
  const double = points instanceof Float64Array;
  const numbers = double ? points : Float32Array.from(points);
  const bad = numbers.findIndex((v: number) => !Number.isFinite(v));
  if (bad >= 0) {
    throw new RangeError(
      `Cannot encode points: coordinate ${bad} is ${points[bad]}, wanted finite numbers`,
    );
  }
  const type = double ? "double" : "float";
  const header = new TextEncoder().encode([
    "ply",
    `format ${format === "ascii" ? "ascii" : "binary_little_endian"} 1.0`,
    `element vertex ${points.length / 3}`,
    ...["x", "y", "z"].map((axis) => `property ${type} ${axis}`),
    "end_header\n",
  ].join("\n"));
  const body = format === "ascii" ? textBody(numbers) : binaryBody(numbers);
  const bytes = new Uint8Array(header.length + body.length);
  bytes.set(header);
  bytes.set(body, header.length);
  return bytes;
}

/** A number as text is the shortest that is read back as the same number. */
function textBody(numbers: Float32Array | Float64Array): Uint8Array {
  const lines: string[] = [];
  for (let at = 0; at < numbers.length; at += 3) {
    lines.push(`${numbers[at]} ${numbers[at + 1]} ${numbers[at + 2]}\n`);
  }
  return new TextEncoder().encode(lines.join(""));
}

function binaryBody(numbers: Float32Array | Float64Array): Uint8Array {
  const size = numbers.BYTES_PER_ELEMENT;
  const view = new DataView(new ArrayBuffer(numbers.byteLength));
  numbers.forEach((v, at) => {
    if (size === 4) view.setFloat32(4 * at, v, true);
    else view.setFloat64(8 * at, v, true);
  });
  return new Uint8Array(view.buffer);
}
