import { decodeNpy, encodeNpz, readNpz } from "@closedform/diffusion";
import { unzipSync } from "fflate";
import assert from "node:assert/strict";
import { withFolder, write } from "../_helpers/files.ts";

const ARRAYS = {
  x: { data: Float32Array.of(1.5, -2, 3, 4), shape: [2, 2] },
  labels: { data: Int32Array.of(1, 0), shape: [2] },
  "größe": { data: Float64Array.of(1 / 3), shape: [] },
};

Deno.test("encodeNpz() keeps numbers, types, shapes and names", () => {
  const files = unzipSync(encodeNpz(ARRAYS));
  assert.deepEqual(Object.keys(files), ["x.npy", "labels.npy", "größe.npy"]);
  for (const [name, { data, shape }] of Object.entries(ARRAYS)) {
    const read = decodeNpy(files[`${name}.npy`], name);
    assert.deepEqual([read.data, read.shape], [data, shape]);
  }
});

Deno.test("encodeNpz() gives the same bytes at another time", async () => {
  const once = encodeNpz(ARRAYS);
  // Dates in archives count in steps of two seconds.
  await new Promise((resolve) => setTimeout(resolve, 2100));
  assert.ok(encodeNpz(ARRAYS).every((byte, i) => byte === once[i]));
});

Deno.test("encodeNpz() is read by readNpz()", () =>
  withFolder(async (folder) => {
    const path = await write(folder, "a.npz", encodeNpz(ARRAYS));
    const set = await readNpz(path, { key: "x" });
    assert.deepEqual([...set.values(0), ...set.labels!], [1.5, -2, 1, 0]);
  }));

Deno.test("encodeNpz() refuses bad names, shapes and nothing at all", () => {
  const array = { data: Uint8Array.of(1), shape: [1] };
  assert.throws(() => encodeNpz({}), RangeError);
  for (const name of ["", "a/b", "..\\c", "a\0"]) {
    assert.throws(() => encodeNpz({ [name]: array }), TypeError, name);
  }
  assert.throws(() => encodeNpz({ x: { ...array, shape: [2] } }), TypeError);
});

Deno.test("encodeNpz() refuses what is no record of arrays, in one line", () => {
  const encode = encodeNpz as (arrays: unknown) => Uint8Array;
  for (
    const [arrays, message] of [
      [null, "the arrays are null, wanted { name: { data, shape } }"],
      [undefined, "the arrays are undefined, wanted { name: { data, shape } }"],
      [[ARRAYS.x], "the arrays are an array of 1, wanted { name: { data, shape } }"],
      ["x", 'the arrays are "x", wanted { name: { data, shape } }'],
      [{ a: undefined }, "the array a is undefined, wanted { data, shape }"],
      [{ a: null }, "the array a is null, wanted { data, shape }"],
      [{ a: ARRAYS.x.data }, "the array a is of type Float32Array, wanted { data, shape }"],
    ] as const
  ) {
    const error = { name: "TypeError", message: `Cannot encode an archive: ${message}` };
    assert.throws(() => encode(arrays), error);
  }
  const shapeless = { a: { data: Uint8Array.of(1) } };
  assert.throws(() => encode(shapeless), /^TypeError: Cannot encode an array: the shape is undef/);
});
