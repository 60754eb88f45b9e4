import { DatasetError, decodeNpy, encodeNpy } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";

/** A file of version 1 from a header and the bytes after it. */
function npy(header: string, body: Uint8Array = new Uint8Array(0), version = 1): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length = version === 1
    ? [text.length & 255, text.length >> 8]
    : [text.length & 255, text.length >> 8, 0, 0];
  return Uint8Array.of(0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, version, 0, ...length, ...text, ...body);
}

function header(descr: string, shape: string, fortran = "False"): string {
  return `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
}

function bytesOf(array: Float32Array | Float64Array | Int32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer);
}

function refuses(bytes: Uint8Array, message: RegExp): void {
  assert.throws(() => decodeNpy(bytes, "some.npy"), (error) => {
    assert.ok(error instanceof DatasetError);
    assert.equal(error.file, "some.npy");
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("encodeNpy() and decodeNpy() are inverse, bit for bit", () => {
  const finite = { noNaN: true, noDefaultInfinity: true, minLength: 6, maxLength: 6 };
  fc.assert(
    fc.property(
      fc.oneof(
        fc.float32Array(finite),
        fc.float64Array(finite),
        fc.int32Array({ minLength: 6, maxLength: 6 }),
        fc.uint8Array({ minLength: 6, maxLength: 6 }),
      ),
      fc.constantFrom([6], [2, 3], [1, 3, 2], [6, 1, 1, 1]),
      (array, shape) => {
        const decoded = decodeNpy(encodeNpy(array, shape), "x.npy");
        // Typed arrays are compared by Object.is, so that -0 is not 0.
        assert.deepEqual(decoded.data, array);
        assert.deepEqual(decoded.shape, shape);
      },
    ),
    { seed: 2, numRuns: 200 },
  );
});

Deno.test("encodeNpy() writes what NumPy 2.4 writes for np.float32([[1, 2]])", () => {
  const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
  const expected = npy(text.padEnd(117) + "\n", bytesOf(Float32Array.of(1, 2)));
  assert.deepEqual(encodeNpy(Float32Array.of(1, 2), [1, 2]), expected);
});

Deno.test("encodeNpy() handles a single number and no number at all", () => {
  assert.deepEqual(decodeNpy(encodeNpy(Float32Array.of(3), []), "x").shape, []);
  assert.deepEqual(decodeNpy(encodeNpy(new Uint8Array(0), [0, 4]), "x").shape, [0, 4]);
});

Deno.test("encodeNpy() refuses a shape of another size", () => {
  assert.throws(() => encodeNpy(new Uint8Array(4), [5]), TypeError);
  assert.throws(() => encodeNpy(new Uint8Array(4), [-2, -2]), TypeError);
});

Deno.test("decodeNpy() reads each type in either byte order", () => {
  const cases: [string, Uint8Array, number[]][] = [
    ["|u1", Uint8Array.of(1, 255), [1, 255]],
    ["<i4", bytesOf(Int32Array.of(-5, 7)), [-5, 7]],
    ["<i8", bytesOf(BigInt64Array.of(-5n, 2n ** 40n)), [-5, 2 ** 40]],
    ["<f4", bytesOf(Float32Array.of(-0.5, 3)), [-0.5, 3]],
    ["<f8", bytesOf(Float64Array.of(-0.1, 1e300)), [-0.1, 1e300]],
  ];
  for (const [descr, body, expected] of cases) {
    assert.deepEqual([...decodeNpy(npy(header(descr, "(2,)"), body), "x").data], expected);
    if (descr === "|u1") continue;
    const half = body.length / 2;
    const swapped = Uint8Array.of(
      ...body.slice(0, half).reverse(),
      ...body.slice(half).reverse(),
    );
    const file = npy(header(descr.replace("<", ">"), "(2,)"), swapped);
    assert.deepEqual([...decodeNpy(file, "x").data], expected, `>${descr}`);
  }
});

Deno.test("decodeNpy() reads versions 2 and 3, entries in any order and any padding", () => {
  const body = Uint8Array.of(4, 5);
  for (const version of [1, 2, 3]) {
    assert.deepEqual([...decodeNpy(npy(header("|u1", "(2,)"), body, version), "x").data], [4, 5]);
  }
  const shuffled = "{'shape':(1,2),'descr':'|u1'  ,  'fortran_order':False}   ";
  assert.deepEqual(decodeNpy(npy(shuffled, body), "x").shape, [1, 2]);
});

Deno.test("decodeNpy() puts Fortran order into row-major order", () => {
  // a[i, j, k] = 100 i + 10 j + k of shape 2 × 3 × 2, the first index fastest.
  const column: number[] = [], row: number[] = [];
  for (const k of [0, 1]) {
    for (const j of [0, 1, 2]) for (const i of [0, 1]) column.push(100 * i + 10 * j + k);
  }
  for (const i of [0, 1]) {
    for (const j of [0, 1, 2]) for (const k of [0, 1]) row.push(100 * i + 10 * j + k);
  }
  const file = npy(header("<f4", "(2, 3, 2)", "True"), bytesOf(Float32Array.from(column)));
  assert.deepEqual([...decodeNpy(file, "x").data], row);
});

Deno.test("decodeNpy() does not change the bytes it reads", () => {
  const file = npy(header(">f4", "(2,)"), Uint8Array.of(0x3F, 0x80, 0, 0, 0x40, 0, 0, 0));
  const before = file.slice();
  assert.deepEqual([...decodeNpy(file, "x").data], [1, 2]);
  assert.deepEqual(file, before);
  // The slices of a Buffer share its memory.
  assert.deepEqual([...decodeNpy(Buffer.from(file), "x").data], [1, 2]);
  assert.deepEqual(decodeNpy(Buffer.from(file), "x").data, Float32Array.of(1, 2));
  const buffer = Buffer.from(file);
  decodeNpy(buffer, "x");
  assert.deepEqual(new Uint8Array(buffer), before);
});

Deno.test("decodeNpy() refuses numbers that are not finite, or too large to be exact", () => {
  refuses(encodeNpy(Float32Array.of(0, 1, NaN), [3]), /found NaN at position 2, wanted finite/);
  refuses(encodeNpy(Float64Array.of(-Infinity), [1]), /-Infinity at position 0/);
  const large = bytesOf(BigInt64Array.of(2n ** 53n));
  refuses(npy(header("<i8", "(1,)"), large), /9007199254740992 at position 0/);
});

Deno.test("decodeNpy() refuses too many and too few bytes", () => {
  const file = encodeNpy(new Uint8Array(4), [4]);
  refuses(file.subarray(0, -1), /found 3 bytes after the header, wanted 4/);
  refuses(Uint8Array.of(...file, 0), /found 5 bytes after the header/);
  for (const length of [0, 5, 7, 9, 60]) refuses(file.subarray(0, length), /found/);
});

Deno.test("decodeNpy() refuses other types, versions and headers", () => {
  refuses(Uint8Array.of(1, 2, 3), /the magic of .npy/);
  refuses(npy(header("|u1", "(0,)"), undefined, 4), /version 4.0/);
  for (const descr of ["|O", "<f2", "<c8", "|f4", "<u1", "f4", "=f4", ""]) {
    refuses(npy(header(descr, "(0,)")), /numbers of type/);
  }
  const bad = [
    "",
    "{}",
    "{'descr': '<f4', 'fortran_order': False}",
    header("<f4", "(3)"),
    header("<f4", "(-1,)"),
    header("<f4", "(1.5,)"),
    header("<f4", "(1,,2)"),
    header("<f4", "(1, 2"),
    header("<f4", "()", "None"),
    header("<f4", "()").replace("descr", "dtype"),
    header("<f4", "()").replace("'shape'", "'descr': '<f4', 'shape'"),
    header("<f4", "()").replace("}", "'more': True}"),
    header("<f4", "()") + "x",
  ];
  for (const text of bad) refuses(npy(text), /found the header/);
});

Deno.test("decodeNpy() refuses sizes beyond any memory, at once", () => {
  const huge = "(999999999999999, 999999999999999)";
  refuses(npy(header("<f8", huge)), /found 0 bytes after the header/);
  refuses(npy(`{'shape': (${"1".repeat(9000)},)}`), /found the header/);
});
