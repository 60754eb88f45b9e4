/**
 * Each reader meets 2,000 damaged or wrong files. Each is refused with a
 * `DatasetError` that names it, or read as what it, taken literally, says.
 */
import {
  type Dataset,
  DatasetError,
  decodeNpy,
  encodeNpy,
  encodeNpz,
  type NpyArray,
  openRows,
  parseMesh,
  RandomStream,
  readCifar10,
  readCifar100,
  readCsv,
  readGaussianLaw,
  readIdx,
  readImages,
  readMesh,
  readMnist,
  readNpy,
  readNpz,
  type TriangleMesh,
} from "@closedform/diffusion";
import { decodeSafetensors, encodeSafetensors } from "@closedform/diffusion/training";
import { gunzipSync, gzipSync, zipSync } from "fflate";
import { Jimp } from "jimp";
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { encodeCifar, encodeIdx, someBytes } from "../_helpers/encode.ts";
import { withFolder } from "../_helpers/files.ts";
import { fuzz, type FuzzTarget, MUTANTS } from "../_helpers/fuzz.ts";
import { ihdr, png, withOrientation } from "../_helpers/images.ts";
import { BOX_FACES, boxCorners, encodeObj, encodePly } from "../_helpers/meshes.ts";

const text = (s: string) => new TextEncoder().encode(s);
const CORNERS = boxCorners(0.5, 1, 2);

async function picture(type: "image/png" | "image/jpeg", seed: number): Promise<Uint8Array> {
  const data = someBytes(16 * 16 * 4, seed).map((v, i) => i % 4 === 3 ? 255 : v);
  const image = Jimp.fromBitmap({ width: 16, height: 16, data });
  return new Uint8Array(await image.getBuffer(type));
}

const PNG = await picture("image/png", 1);
const JPEG = await picture("image/jpeg", 2);
const IDX = encodeIdx([5, 4, 3], someBytes(60));
const LABELS = encodeIdx([5], [0, 1, 9, 3, 2]);
const CIFAR10 = encodeCifar(someBytes(6144), [[3], [9]]);
const CIFAR100 = encodeCifar(someBytes(6144), [[3, 99], [19, 0]]);
const NPY = [
  encodeNpy(someBytes(24), [2, 3, 4]),
  encodeNpy(Float32Array.from(someBytes(24), (v) => v / 7), [8, 3]),
  encodeNpy(Float64Array.from(someBytes(12), (v) => v / 7), [4, 3]),
];
const ARRAYS = {
  "data.npy": NPY[1],
  "labels.npy": encodeNpy(Int32Array.of(0, 1, 0, 1, 2, 2, 0, 1), [8]),
};
const CSV = text(Array.from({ length: 9 }, (_, i) => `${i / 4},${-i},${i * 1e-3}\n`).join(""));
const OBJ = text(`# a box\n${encodeObj(CORNERS, BOX_FACES)}`);
const PLY = (["ascii", "binary_little_endian", "binary_big_endian"] as const).map((format) =>
  encodePly(format, CORNERS, BOX_FACES)
);
const IMAGES_ZIP = [0, 6].map((level) =>
  zipSync({ "a/0.png": PNG, "b/0.png": PNG, "b/1.jpg": JPEG }, { level: level as 0 | 6 })
);
const ALL = [
  new Uint8Array(0),
  Uint8Array.of(0x1F, 0x8B),
  text("hello\n"),
  someBytes(5000),
  new Uint8Array(100_000),
  PNG,
  JPEG,
  IDX,
  LABELS,
  CIFAR10,
  CIFAR100,
  ...NPY,
  zipSync(ARRAYS),
  CSV,
  OBJ,
  ...PLY,
  ...IMAGES_ZIP,
  gzipSync(IDX),
  gzipSync(new Uint8Array(2 ** 24)),
];

/** The content of a file that may be gzipped. */
function content(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0x1F && bytes[1] === 0x8B ? gunzipSync(bytes) : bytes;
}

/** One fuzz test, with `ALL` but the valid files themselves as wrong files. */
function fuzzTest<T>(
  name: string,
  files: Uint8Array[],
  fileName: string,
  read: (path: string, folder: string) => Promise<T>,
  check: FuzzTarget<T>["check"],
  prepare: (folder: string) => Promise<void> = async () => {},
): void {
  Deno.test(`${name} refuses or reads right each of 2,000 damaged files`, async (t) => {
    await withFolder(async (folder) => {
      await prepare(folder);
      const path = `${folder}/${fileName}`;
      for (const file of files) {
        await Deno.writeFile(path, file);
        check(await read(path, folder), file, file);
      }
      const target: FuzzTarget<T> = {
        name,
        files,
        path: folder,
        check,
        async read(mutant) {
          await Deno.writeFile(path, mutant);
          return await read(path, folder);
        },
      };
      const { refused, accepted } = await fuzz(target, ALL.filter((file) => !files.includes(file)));
      await t.step(
        `${refused} refused, ${accepted} read right`,
        () => assert.ok(refused > 0 && refused + accepted === MUTANTS),
      );
    });
  });
}

function checkIdx(set: Dataset, mutant: Uint8Array): void {
  const bytes = content(mutant);
  const rank = bytes[3];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const dimensions = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  assert.deepEqual(encodeIdx(dimensions, set.data), new Uint8Array(bytes));
  assert.equal(set.count, dimensions[0]);
  assert.equal(set.dimension, dimensions.slice(1).reduce((a, b) => a * b, 1));
}

fuzzTest(
  "readIdx()",
  [IDX, encodeIdx([3, 5], someBytes(15))],
  "x",
  (path) => readIdx(path),
  checkIdx,
);
fuzzTest("readIdx() of gzip", [gzipSync(IDX)], "x.gz", (path) => readIdx(path), checkIdx);
fuzzTest(
  "readMnist(), its labels,",
  [LABELS, gzipSync(LABELS)],
  "train-labels-idx1-ubyte",
  (_, folder) => readMnist(folder),
  (set, mutant) => {
    assert.deepEqual(set.data, someBytes(60));
    assert.deepEqual(encodeIdx([5], set.labels!), new Uint8Array(content(mutant)));
  },
  (folder) => Deno.writeFile(`${folder}/train-images-idx3-ubyte`, IDX),
);

for (
  const [name, file] of [["readCifar10()", CIFAR10], [
    "readCifar10() of gzip",
    gzipSync(CIFAR10),
  ]] as const
) {
  fuzzTest(
    name,
    [file],
    "test_batch.bin",
    (_, folder) => readCifar10(folder, { split: "test", imagesPerFile: 2 }),
    ({ data, labels }, mutant) => {
      const again = encodeCifar(data as Uint8Array, Array.from(labels!, (label) => [label]));
      assert.deepEqual(again, new Uint8Array(content(mutant)));
      assert.ok(labels!.every((label) => label < 10));
    },
  );
}
fuzzTest(
  "readCifar100()",
  [CIFAR100, gzipSync(CIFAR100)],
  "train.bin",
  (_, folder) => readCifar100(folder, { imagesPerFile: 2 }),
  ({ data, labels }, mutant) => {
    const bytes = content(mutant);
    const both = Array.from(labels!, (fine, i) => [bytes[i * 3074], fine]);
    assert.deepEqual(encodeCifar(data as Uint8Array, both), new Uint8Array(bytes));
    assert.ok(labels!.every((label) => label < 100));
  },
);

fuzzTest("readNpy()", NPY, "x.npy", async (path): Promise<[Dataset, NpyArray]> => {
  const set = await readNpy(path);
  return [set, decodeNpy(content(await Deno.readFile(path)), path)];
}, ([set, array], mutant) => {
  // The header, read by a looser parser than the one under test.
  const bytes = content(mutant);
  const [, descr] = /'descr'\s*:\s*'(.*?)'/.exec(new TextDecoder("latin1").decode(bytes))!;
  const [, tuple] = /'shape'\s*:\s*\((.*?)\)/.exec(new TextDecoder("latin1").decode(bytes))!;
  const shape = tuple.split(",").map((s) => s.trim()).filter((s) => s !== "").map(Number);
  assert.deepEqual(array.shape, shape);
  assert.equal(set.count, shape[0]);
  const size = shape.reduce((a, b) => a * b, 1);
  const tail = bytes.slice(bytes.length - size * Number(descr[2]));
  const view = new DataView(tail.buffer);
  const little = descr[0] === "<";
  const expected = Array.from({ length: size }, (_, i) => ({
    u1: () => view.getUint8(i),
    f4: () => view.getFloat32(4 * i, little),
    f8: () => Math.fround(view.getFloat64(8 * i, little)),
  }[descr.slice(1)]!()));
  const fortran = /'fortran_order'\s*:\s*True/.test(new TextDecoder("latin1").decode(bytes));
  if (fortran) assert.deepEqual([...set.data].sort(), expected.sort());
  else assert.deepEqual([...set.data], expected);
});

for (const level of [0, 6] as const) {
  fuzzTest(
    `readNpz() at level ${level}`,
    [zipSync(ARRAYS, { level })],
    "x.npz",
    (path) => readNpz(path),
    (set) => {
      // Checksums cover every byte of the arrays, so what is read is the original.
      assert.deepEqual(set.data, decodeNpy(NPY[1], "x").data);
      assert.deepEqual([...set.labels!], [0, 1, 0, 1, 2, 2, 0, 1]);
    },
  );
}

fuzzTest(
  "readCsv()",
  [CSV, text("x;y\n1;2\n3;4.5\n")],
  "x.csv",
  (path) => readCsv(path),
  (set, mutant) => {
    const rows = new TextDecoder().decode(content(mutant)).split(/[\r\n]+/)
      .map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(/\s*[,;|\t]\s*|\s+/));
    // Separators at the ends of lines separate nothing.
    if (rows[0].length > 1 && rows[0].at(-1) === "") rows.forEach((row) => row.pop());
    // One line at most is no row: one that is not all numbers, or a single one that counts the others.
    const [first] = rows;
    if (set.count === rows.length - 1) {
      assert.ok(first.length === 1 || first.some((word) => !/^[+-]?[.\d]/.test(word)), `${first}`);
      rows.shift();
    }
    // A column is left out if it is text, or the header names it as an index, or does not name it as those after it.
    const text = (word: string) => /^[^\W\d]|^[\u0080-\uffff]/.test(word);
    const isIndexed = first[0] === "" || text(first[0]) && first.length === rows[0].length - 1;
    const kept = [...rows[0].keys()].filter((k) =>
      !text(rows[0][k]) &&
      !(first !== rows[0] && k === 0 && isIndexed)
    );
    const numbers = rows.flatMap((row) => kept.map((k) => Math.fround(Number(row[k]))));
    assert.deepEqual([...set.data], numbers);
    assert.ok(rows.every((row) => row.length === rows[0].length));
  },
);

/** The mesh of an OBJ text, by regular expressions. */
function looseObj(
  source: string,
): { vertices: number[]; triangles: number; faces: number } {
  const lines = source.split("\n").map((line) => line.replace(/#.*/, "").trim());
  const words = (key: string) =>
    lines.filter((line) => line.split(/\s/)[0] === key).map((line) => line.split(/\s+/).slice(1));
  return {
    vertices: words("v").flatMap((row) => row.slice(0, 3).map(Number)),
    triangles: words("f").reduce((sum, row) => sum + row.length - 2, 0),
    faces: words("f").length,
  };
}

async function readBoth(path: string): Promise<[Dataset, TriangleMesh]> {
  const set = await readMesh(path, { count: 5 });
  return [set, parseMesh(content(await Deno.readFile(path)), path)];
}

fuzzTest("readMesh() of OBJ", [OBJ], "x.obj", readBoth, ([set, mesh], mutant) => {
  assert.equal(set.count, 5);
  assert.ok(set.data.every((v) => Math.abs(v) <= 1 + 2 ** -23));
  if (new TextDecoder().decode(mutant).startsWith("ply")) return;
  const { vertices, triangles, faces } = looseObj(new TextDecoder().decode(content(mutant)));
  assert.deepEqual([...mesh.vertices], vertices);
  const found = mesh.triangles.length / 3;
  // The tip of a spike without area is no ear.
  assert.ok(found <= triangles && found >= faces, `${found} of ${triangles}`);
});

for (const [k, format] of ["ascii", "little-endian", "big-endian"].entries()) {
  fuzzTest(
    `readMesh() of PLY, ${format},`,
    [PLY[k]],
    "x.ply",
    readBoth,
    ([set, mesh], mutant, original) => {
      assert.equal(set.count, 5);
      assert.ok(set.data.every((v) => Math.abs(v) <= 1 + 2 ** -23));
      assert.ok(mesh.triangles.every((index) => index < mesh.vertices.length / 3));
      const header = (bytes: Uint8Array) =>
        /^ply[^]*?end_header\r?\n/.exec(new TextDecoder("latin1").decode(bytes))?.[0];
      if (mutant[0] !== 0x70 || header(mutant) !== header(original)) return;
      // Under the original header, each vertex is where the format puts it.
      const start = header(mutant)!.length;
      const view = new DataView(mutant.buffer, mutant.byteOffset + start);
      const words = new TextDecoder().decode(mutant.subarray(start)).trim().split(/\s+/);
      const expected = Array.from({ length: 24 }, (_, i) => {
        const [vertex, axis] = [Math.floor(i / 3), i % 3];
        return k === 0
          ? Number(words[4 * vertex + axis])
          : view.getFloat32(13 * vertex + 4 * axis, k === 1);
      });
      assert.deepEqual([...mesh.vertices], expected);
    },
  );
}

const uncached = (_: string, folder: string) => readImages(folder, { cache: false });

fuzzTest("readImages() of PNG", [PNG], "x.png", uncached, (set, mutant, original) => {
  // Behind its checksums a PNG file that decodes is the original, or the wrong file which is a JPEG image.
  if (mutant[0] === 0x89) assert.deepEqual(set.data, decodedPng);
  else assert.equal(mutant.length, JPEG.length, `${original.length}`);
});
const decodedPng = someBytes(16 * 16 * 4, 1).filter((_, i) => i % 4 !== 3);

fuzzTest(
  "readImages() of JPEG",
  [JPEG, withOrientation(JPEG, 6)],
  "x.jpg",
  uncached,
  (set, mutant) => {
    if (mutant[0] === 0x89) return assert.deepEqual(set.data, decodedPng);
    // JPEG has no checksums: pixels may change, but the shape is the one in the frame header.
    const frames: number[][] = [];
    mutant.forEach((byte, at) => {
      if (byte !== 0xFF || mutant[at + 1] < 0xC0 || mutant[at + 1] > 0xC2) return;
      frames.push([256 * mutant[at + 5] + mutant[at + 6], 256 * mutant[at + 7] + mutant[at + 8]]);
    });
    assert.ok(frames.some(([h, w]) => h === set.shape[0] && w === set.shape[1]), `${set.shape}`);
  },
);

for (const k of [0, 1]) {
  fuzzTest(
    `readImages() of zip at level ${[0, 6][k]}`,
    [IMAGES_ZIP[k]],
    "x.zip",
    (path) => readImages(path),
    (set) => {
      const [png, jpeg] = [decodedPng, set.data.subarray(2 * 768)];
      assert.deepEqual([set.count, set.shape, set.classNames], [3, [16, 16, 3], ["a", "b"]]);
      assert.deepEqual(set.data.subarray(0, 768), png);
      assert.deepEqual(set.data.subarray(768, 2 * 768), png);
      assert.equal(jpeg.length, 768);
    },
  );
}

for (
  const [name, plain, read] of [
    ["readCsv()", CSV, (path: string) => readCsv(path)],
    ["readNpy()", NPY[1], (path: string) => readNpy(path)],
    ["readMesh()", OBJ, (path: string) => readMesh(path, { vertices: true })],
  ] as const
) {
  const expected = await withFile(plain, read);
  fuzzTest(`${name} of gzip`, [gzipSync(plain)], "x.gz", read, (set, mutant) => {
    // Behind the checksum of gzip there is the original; what is not gzipped any more is a wrong file.
    if (mutant[0] === 0x1F) assert.deepEqual(set.data, expected.data);
  });
}

/** What a reader makes of some bytes. */
async function withFile<T>(bytes: Uint8Array, read: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, bytes);
  return await read(path).finally(() => Deno.remove(path));
}

const LAW = {
  imgmean: { data: Float32Array.of(0.5, 1), shape: [2] },
  eigval: { data: Float32Array.of(0.25, 1), shape: [2] },
  eigvec: { data: Float32Array.of(0, 1, 1, 0), shape: [2, 2] },
};
const TORCH = await Deno.readFile(new URL("../fixtures/pca.pt", import.meta.url));
fuzzTest(
  "readGaussianLaw()",
  [encodeNpz(LAW), TORCH],
  "x",
  (path) => readGaussianLaw(path),
  ({ mean, variances, basis }) => {
    assert.equal(basis.length, mean.length * variances.length);
    assert.ok([mean, variances, basis].every((numbers) => numbers.every(Number.isFinite)));
  },
);

const TENSORS = encodeSafetensors({
  weights: {
    a: { shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) },
    b: { shape: [3], values: Float32Array.of(7, 8, 9) },
  },
  notes: { made: "by hand" },
}, (name) => name === "b" ? "float16" : "float32");
fuzzTest(
  "decodeSafetensors()",
  [TENSORS],
  "x.safetensors",
  async (path) => decodeSafetensors(await Deno.readFile(path), path),
  ({ weights, notes }, mutant) => {
    const text = new TextDecoder("latin1").decode(mutant);
    for (const { shape, values } of Object.values(weights)) {
      assert.equal(shape.reduce((a, b) => a * b, 1), values.length);
    }
    for (const note of Object.values(notes)) assert.ok(text.length > 0 && typeof note === "string");
  },
);

fuzzTest(
  "openRows()",
  [NPY[0], NPY[1]],
  "x.npy",
  async (path) => {
    using rows = await openRows(path, { layout: "flat" });
    return await rows.take(rows.count);
  },
  (set, mutant) => {
    const { data } = decodeNpy(mutant, "x.npy");
    assert.deepEqual([...set.data], [...data]);
  },
);

Deno.test("readImages() refuses or reads right each of 2,000 odd PNG files with right checksums", async (t) => {
  await withFolder(async (folder) => {
    const counts = { refused: 0, accepted: 0 };
    for (let i = 0; i < MUTANTS; i++) {
      const random = new RandomStream({ seed: 12, sample: i, purpose: "theory" });
      const one = (...choices: number[]) => choices[random.below(choices.length)];
      const bytes = (n: number) => Uint8Array.from({ length: n }, () => random.below(256));
      const [width, height, depth] = [
        1 + random.below(9),
        1 + random.below(9),
        one(1, 2, 4, 8, 16),
      ];
      const [colourType, interlace] = [one(0, 2, 3, 4, 6), one(0, 0, 1)];
      const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colourType]!;
      const row = 1 + Math.ceil(width * samples * depth / 8);
      // Rows of random bytes, filter types included; sometimes the wrong number of them.
      const raw = bytes(row * height + one(0, 0, 0, 0, 1, -1));
      const filters = random.below(8) ? [0, 1, 2, 3, 4] : [4, 5];
      for (let y = 0; y < height; y++) raw[y * row] = one(...filters);
      const chunks: [string, Uint8Array][] = [[
        "IHDR",
        ihdr(width, height, depth, colourType, interlace),
      ]];
      if (random.below(4)) chunks.push(["PLTE", bytes(one(0, 3, 7, 48, 768))]);
      if (!random.below(3)) chunks.push(["tRNS", bytes(one(0, 1, 2, 6, 300))]);
      if (!random.below(4)) {
        chunks.push([["gAMA", "tEXt", "acTL", "ABCD"][random.below(4)], bytes(random.below(9))]);
      }
      chunks.push(["IDAT", deflateSync(raw)], ["IEND", new Uint8Array(0)]);
      await Deno.writeFile(`${folder}/x.png`, png(...chunks));
      try {
        const { shape, count } = await readImages(folder, { cache: false });
        assert.deepEqual([count, shape[0], shape[1]], [1, height, width]);
        counts.accepted++;
      } catch (error) {
        assert.ok(error instanceof DatasetError, `PNG ${i}: ${error}`);
        counts.refused++;
      }
    }
    await t.step(`${counts.refused} refused, ${counts.accepted} read right`, () => {
      assert.ok(Math.min(counts.refused, counts.accepted) > 50);
    });
  });
});

Deno.test("all readers refuse what is no file, or a folder without what they want", async () => {
  await withFolder(async (folder) => {
    const readers = [
      readIdx,
      readMnist,
      readCifar10,
      readCifar100,
      readNpy,
      readNpz,
      readCsv,
      readMesh,
      readImages,
    ];
    for (const read of readers) {
      for (const path of [folder, `${folder}/none`, "", "/dev/null", "/dev/zero"]) {
        await assert.rejects(read(path), DatasetError, `${read.name} of ${path}`);
      }
    }
  });
});
