import { DatasetError } from "@closedform/diffusion";
import {
  beginOptimising,
  decodeCheckpoint,
  decodeNetwork,
  decodeSafetensors,
  encodeCheckpoint,
  encodeSafetensors,
  readNetwork,
  writeWhole,
  zeroWeight,
} from "@closedform/diffusion/training";
import fc from "fast-check";
import assert from "node:assert/strict";

const weights = {
  "a.weight": { shape: [2, 3], values: Float32Array.of(1, -2, 3.5, 0, 1e-20, -1e20) },
  "b": { shape: [], values: Float32Array.of(1 / 3) },
};

Deno.test("safetensors files hold every bit, in the layout that others read", () => {
  const bytes = encodeSafetensors({ weights, notes: { made: "ü" } });
  const { weights: again, notes } = decodeSafetensors(bytes, "x");
  assert.deepEqual(again, weights);
  assert.equal(notes.made, "ü");
  // By hand, as the format is defined: length, JSON, numbers.
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  assert.deepEqual(header["a.weight"], { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] });
  assert.deepEqual(header.b.data_offsets, [24, 28]);
  assert.equal(bytes.length, 8 + length + 28);
  assert.equal(new DataView(bytes.buffer).getFloat32(8 + length + 8, true), 3.5);
});

Deno.test("safetensors files of 16 bits round to 11 binary digits", () => {
  const values = Float32Array.of(1 / 3, -1000.4, 65504, 2 ** -14);
  const bytes = encodeSafetensors({ weights: { w: { shape: [4], values } }, notes: {} }, "float16");
  decodeSafetensors(bytes, "x").weights.w.values.forEach((v, i) =>
    assert.ok(Math.abs(v - values[i]) <= 2 ** -11 * Math.abs(values[i]))
  );
});

Deno.test("safetensors files hold no number that 16 bits cannot, and keep all numbers in place", () => {
  const w = (...numbers: number[]) => ({
    shape: [numbers.length],
    values: Float32Array.from(numbers),
  });
  for (
    const [big, fits] of [[65504, true], [65519, true], [65520, false], [-1e6, false], [
      Infinity,
      true,
    ]] as const
  ) {
    const encode = () => encodeSafetensors({ weights: { w: w(1, big) }, notes: {} }, "float16");
    if (fits) encode();
    else assert.throws(encode, /RangeError: .*w holds .*65504/);
  }
  const mixed = { a: w(1, 2, 3), b: w(4, 5), c: w(6), d: w(7) };
  const bytes = encodeSafetensors(
    { weights: mixed, notes: {} },
    (name) => name === "a" || name === "c" ? "float16" : "float32",
  );
  assert.deepEqual(decodeSafetensors(bytes, "x").weights, mixed);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  assert.deepEqual(Object.keys(header), ["__metadata__", "a", "b", "c", "d"]);
  for (
    const [name, [from, to]] of [["b", [0, 8]], ["d", [8, 12]], ["a", [12, 18]], ["c", [
      18,
      20,
    ]]] as const
  ) {
    assert.deepEqual(header[name].data_offsets, [from, to]);
    assert.equal((8 + length + from) % (header[name].dtype === "F16" ? 2 : 4), 0);
  }
});

Deno.test("safetensors files are not written of what they cannot hold", () => {
  const encode = (weights: unknown, notes: unknown = {}) => () =>
    encodeSafetensors({ weights, notes } as Parameters<typeof encodeSafetensors>[0]);
  assert.throws(
    encode({ w: { shape: [3], values: new Float32Array(2) } }),
    /TypeError: .*w holds 2/,
  );
  assert.throws(encode({ __metadata__: zeroWeight([1]) }), /TypeError: .*__metadata__/);
  assert.throws(encode({}, { step: 3 }), /TypeError: .*note step is 3, wanted text/);
});

Deno.test("a file that was written half, or damaged anywhere, is refused with its name", () => {
  const state = beginOptimising({ w: { shape: [4], values: Float32Array.of(1, 2, 3, 4) } });
  const bytes = encodeCheckpoint({ state, notes: { seed: "0" }, extra: { mean: zeroWeight([2]) } });
  const refused = (damaged: Uint8Array) =>
    assert.throws(() => decodeCheckpoint(damaged, "run.safetensors"), (error: Error) => {
      assert.ok(error instanceof DatasetError, String(error));
      assert.match(error.message, /^Cannot read run\.safetensors: found .+, wanted /);
      return true;
    });
  for (let length = 0; length < bytes.length; length++) refused(bytes.subarray(0, length));
  refused(new Uint8Array([...bytes, 0]));
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  fc.assert(
    fc.property(fc.integer({ min: start, max: bytes.length - 1 }), fc.integer({ min: 0, max: 7 }), (
      at,
      bit,
    ) => {
      const damaged = bytes.slice();
      damaged[at] ^= 1 << bit;
      refused(damaged);
    }),
    { seed: 1, numRuns: 100 },
  );
});

Deno.test("the upper halves of float32 are read as the numbers they are", () => {
  const text = new TextEncoder().encode(
    JSON.stringify({ w: { dtype: "BF16", shape: [4], data_offsets: [0, 8] } }),
  );
  const bytes = new Uint8Array(8 + text.length + 8);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  // 1, −2, 3.140625 (π to 8 digits) and the largest, as IEEE 754 has them.
  [0x3F80, 0xC000, 0x4049, 0x7F7F].forEach((bits, i) =>
    view.setUint16(8 + text.length + 2 * i, bits, true)
  );
  const { values } = decodeSafetensors(bytes, "x").weights.w;
  assert.deepEqual([...values], [1, -2, 3.140625, (2 - 2 ** -7) * 2 ** 127]);
});

Deno.test("headers that are no header are refused, whatever they are", () => {
  const file = (header: unknown, numbers = 8) => {
    const text = new TextEncoder().encode(JSON.stringify(header));
    const bytes = new Uint8Array(8 + text.length + numbers);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(text, 8);
    return bytes;
  };
  const good = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  assert.equal(decodeSafetensors(file({ w: good }), "x").weights.w.values.length, 2);
  const half = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
  const other = { ...half, data_offsets: [4, 8] };
  decodeSafetensors(
    file({ b: other, a: half, c: { ...half, shape: [0], data_offsets: [4, 4] } }),
    "x",
  );
  for (
    const bad of [
      null,
      [],
      3,
      { w: null },
      { w: {} },
      { w: { ...good, dtype: "I64" } },
      {
        w: { ...good, shape: [3] },
      },
      { w: { ...good, shape: [-2] } },
      { w: { ...good, data_offsets: [4, 8] } },
      {
        w: { ...good, data_offsets: [0, 9] },
      },
      { w: { ...good, data_offsets: "08" } },
      // Overlaps, holes, notes that are no text.
      { w: good, v: half },
      { w: half, v: { ...half, data_offsets: [0, 4] }, u: other },
      { w: other },
      { w: good, __metadata__: { step: 3 } },
      { w: good, __metadata__: ["text"] },
      { w: good, __metadata__: "text" },
    ]
  ) {
    assert.throws(() => decodeSafetensors(file(bad), "x"), DatasetError, JSON.stringify(bad));
  }
});

Deno.test("other contents are neither a checkpoint nor a network", async () => {
  const bytes = encodeSafetensors({ weights, notes: {} });
  assert.throws(() => decodeCheckpoint(bytes, "x"), DatasetError);
  assert.throws(() => decodeNetwork(bytes, "x"), DatasetError);
  const notes = { format: "closedform-diffusion network", network: '{"kind":"magic"}' };
  assert.throws(() => decodeNetwork(encodeSafetensors({ weights, notes }), "x"), DatasetError);
  await assert.rejects(readNetwork("there/is/no/such.file"), DatasetError);
});

Deno.test("writeWhole() leaves no file behind where it cannot write", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/taken`);
  await assert.rejects(writeWhole(`${folder}/taken`, Uint8Array.of(1)), {
    name: "WriteError",
    message: `Cannot write ${folder}/taken: Is a directory (os error 21)`,
  });
  assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["taken"]);
  await Deno.remove(folder, { recursive: true });
});
