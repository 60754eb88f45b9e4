import { DatasetError, decodeNpy, encodeNpy, encodeNpz } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { withFolder, write } from "../_helpers/files.ts";
import { python, pythonLacks } from "../_helpers/python.ts";

/** One array of each kind, at the ends of its range, with NumPy's name of its type. */
const KINDS = [
  ["uint8", Uint8Array.of(0, 255)],
  ["uint8", Uint8ClampedArray.of(0, 255)],
  ["int8", Int8Array.of(-128, 127)],
  ["uint16", Uint16Array.of(1, 65535)],
  ["int16", Int16Array.of(-32768, 32767)],
  ["uint32", Uint32Array.of(1, 2 ** 32 - 1)],
  ["int32", Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
  ["uint64", BigUint64Array.of(1n, 2n ** 64n - 1n)],
  ["int64", BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
  ["float16", Float16Array.of(-0.5, 65504)],
  ["float32", Float32Array.of(-0.5, 2 ** 127)],
  ["float64", Float64Array.of(-0.5, 2 ** 1000)],
] as const;

const lacks = await pythonLacks("numpy");

Deno.test({
  name: `encodeNpy() and encodeNpz() write what NumPy reads under its true type${
    lacks ? ` (${lacks})` : ""
  }`,
  ignore: lacks !== undefined,
  fn: () =>
    withFolder(async (folder) => {
      const files: string[] = [], expected: string[] = [];
      for (const [i, [name, data]] of KINDS.entries()) {
        files.push(
          await write(folder, `${i}.npy`, encodeNpy(data, [1, 2])),
          await write(folder, `${i}.npz`, encodeNpz({ x: { data, shape: [1, 2] } })),
        );
        const twice = [...data].map((v) => typeof v === "bigint" ? 2n * v : BigInt(2 * v));
        expected.push(...Array(2).fill(`${name} (1, 2) ${twice.join(" ")}`));
      }
      const printed = await python(
        `import sys, numpy
from fractions import Fraction
for file in sys.argv[1:]:
    array = numpy.load(file)
    array = array["x"] if file.endswith("z") else array
    print(array.dtype.name, array.shape, *(2 * Fraction(v) for v in array.ravel().tolist()))`,
        ...files,
      );
      assert.deepEqual(printed.trim().split("\n"), expected);
    }),
});

Deno.test("encodeNpy() names the type of every typed array, and refuses all else", () => {
  for (const [name, data] of KINDS) {
    const { dtype } = decodeNpy(encodeNpy(data.slice(0, 0), [0]), "x");
    assert.equal(dtype, (name.startsWith("uint") ? "u" : name[0]) + data.BYTES_PER_ELEMENT);
  }
  assert.equal(decodeNpy(encodeNpy(Buffer.from([1, 2]), [2]), "x").dtype, "u1");
  for (const data of [[1, 2], new DataView(new ArrayBuffer(2)), new ArrayBuffer(2), undefined]) {
    assert.throws(() => encodeNpy(data as unknown as Uint8Array, [2]), /TypeError.*typed array/);
    const arrays = { x: { data: data as unknown as Uint8Array, shape: [2] } };
    assert.throws(() => encodeNpz(arrays), /TypeError.*typed array/);
  }
});

Deno.test("encodeNpy() refuses what is no shape, in one line", () => {
  for (
    const [shape, found] of [
      [undefined, "undefined"],
      [null, "null"],
      [2, "2"],
      [[-1, -2], "[-1,-2]"],
      [[0.5, 4], "[0.5,4]"],
      [["2"], "[2]"],
    ] as const
  ) {
    assert.throws(() => encodeNpy(Uint8Array.of(1, 2), shape as unknown as number[]), {
      name: "TypeError",
      message: `Cannot encode an array: the shape is ${found}, wanted a list of whole numbers >= 0`,
    });
  }
  assert.throws(
    () => encodeNpy(Uint8Array.of(1, 2), [3]),
    /received 2 numbers for shape \[3\], wanted 3$/,
  );
});

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

function bytesOf(array: ArrayBufferView): Uint8Array {
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
    ["|i1", bytesOf(Int8Array.of(-5, 7)), [-5, 7]],
    ["|b1", Uint8Array.of(0, 2), [0, 1]],
    ["<u2", bytesOf(Uint16Array.of(1, 65535)), [1, 65535]],
    ["<i2", bytesOf(Int16Array.of(-5, 7)), [-5, 7]],
    ["<u4", bytesOf(Uint32Array.of(1, 4e9)), [1, 4e9]],
    ["<u8", bytesOf(BigUint64Array.of(1n, 2n ** 40n)), [1, 2 ** 40]],
    ["<f2", bytesOf(Float16Array.of(-0.5, 3)), [-0.5, 3]],
    ["<f4", bytesOf(Float32Array.of(-0.5, 3)), [-0.5, 3]],
    ["<f8", bytesOf(Float64Array.of(-0.1, 1e300)), [-0.1, 1e300]],
  ];
  for (const [descr, body, expected] of cases) {
    assert.deepEqual([...decodeNpy(npy(header(descr, "(2,)"), body), "x").data], expected);
    if (descr[0] === "|") continue;
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
  for (const descr of ["<u1", "u1", "=u1", "uint8"]) {
    assert.deepEqual([...decodeNpy(npy(header(descr, "(2,)"), body), "x").data], [4, 5], descr);
  }
  const old = header("|u1", "(1L, 2L)").replaceAll("'", '"');
  assert.deepEqual(decodeNpy(npy(old, body), "x").shape, [1, 2]);
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
  for (const descr of ["|O", "<c8", "<f16", "<f1", "<u3", "float12", "|S4", "<b2", ""]) {
    refuses(npy(header(descr, "(0,)")), /numbers of type/);
  }
  refuses(npy(header("<c8", "(0,)")), /complex numbers/);
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
