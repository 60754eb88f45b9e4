/**
 * Several NumPy arrays in one file.
 *
 * @module
 */
import { zipSync } from "fflate";
import { received } from "../base/_kinds.ts";
import { encodeNpy } from "./npy.ts";
import type { NpyNumbers } from "./npy.ts";

/** Zip archives without extensions end here. */
const MOST = 2 ** 32 - 1;

/**
 * Encodes named arrays as a `.npz` archive, as `numpy.savez` does: not compressed. The same arrays give
 * the same bytes.
 *
 * @param arrays The arrays by their names: typed arrays of any kind.
 * @returns The bytes of the file.
 * @throws {TypeError} If a name is empty or holds a slash, an array is not given by its numbers and shape, numbers are
 * no typed array, or a shape does not hold as many as there are.
 * @throws {RangeError} If there are no arrays, or more than 4 GiB of them.
 *
 * @example
 * ```ts
 * import { encodeNpz, readNpz } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npz" });
 * await Deno.writeFile(file, encodeNpz({
 *   x: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] },
 *   labels: { data: Int32Array.of(1, 0), shape: [2] },
 * }));
 * const set = await readNpz(file);
 * assert.deepEqual([...set.values(1)], [3, 4]);
 * await Deno.remove(file);
 * ```
 */
export function encodeNpz(
  arrays: Readonly<
    Record<string, { readonly data: NpyNumbers; readonly shape: readonly number[] }>
  >,
): Uint8Array {
  checkArrays(arrays);
  const names = Object.keys(arrays);
  const size = names.reduce((sum, name) => sum + (arrays[name].data?.byteLength ?? 0), 0);
  // Each array also takes a header, here and in the directory.
  if (names.length === 0 || size + 1024 * names.length > MOST) {
    throw new RangeError(
      `Cannot encode an archive: received ${names.length} arrays of ${size} bytes, wanted at least 1 and less than 4 GiB`,
    );
  }
  const files: Record<string, Uint8Array> = {};
  for (const name of names) {
    if (!/^[^/\\\0]+$/.test(name)) {
      throw new TypeError(
        `Cannot encode an archive: an array is named ${
          JSON.stringify(name)
        }, wanted a name without slashes`,
      );
    }
    files[`${name}.npy`] = encodeNpy(arrays[name].data, arrays[name].shape);
  }
  // The earliest date that a zip knows, in local time: the date of today would change the bytes.
  return zipSync(files, { level: 0, mtime: new Date(1980, 0, 1) });
}

function checkArrays(arrays: unknown): void {
  const action = "Cannot encode an archive", wanted = "{ data, shape }";
  if (!isRecord(arrays)) {
    throw new TypeError(
      `${action}: the arrays are ${received(arrays)}, wanted { name: ${wanted} }`,
    );
  }
  for (const [name, array] of Object.entries(arrays)) {
    if (isRecord(array)) continue;
    throw new TypeError(
      `${action}: the array ${name} is ${received(array)}, wanted ${wanted}`,
    );
  }
}

function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !ArrayBuffer.isView(value);
}
