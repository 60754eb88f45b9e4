import {
  encodeNpy,
  encodeNpz,
  loadDataset,
  openRows,
  readNpy,
  readNpz,
} from "@closedform/diffusion";
import type { Dataset, NpyNumbers, NpyOptions } from "@closedform/diffusion";
import { gzipSync, zipSync } from "fflate";
import assert from "node:assert/strict";
import { sizeOf } from "../../src/base/_shape.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";
import { someBytes } from "../_helpers/encode.ts";

const ints = (...values: number[]) => encodeNpy(Int32Array.from(values), [values.length]);

Deno.test("readNpy() takes bytes as images, channels last", async () => {
  await withFolder(async (folder) => {
    const data = someBytes(24);
    for (
      const [shape, item] of [
        [[2, 3, 4], [3, 4, 1]],
        [[2, 2, 2, 3], [2, 2, 3]],
        [[6, 4], [4]],
      ]
    ) {
      const set = await readNpy(await write(folder, "x.npy", encodeNpy(data, shape)));
      assert.deepEqual(set.shape, item);
      assert.deepEqual(set.data, data);
      assert.deepEqual(set.range, [-1, 1]);
    }
  });
});

Deno.test("readNpy() takes floats as they are, float64 rounded to float32", async () => {
  await withFolder(async (folder) => {
    const values = [0.1, -2, 3e-40, 1, 5, 6];
    for (const data of [Float32Array.from(values), Float64Array.from(values)]) {
      const set = await readNpy(await write(folder, "x.npy", encodeNpy(data, [1, 2, 3])));
      assert.deepEqual(set.shape, [2, 3]);
      assert.deepEqual(set.data, Float32Array.from(values));
    }
  });
});

Deno.test("readNpy() reads labels, limits, names and gzip", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "x.npy", gzipSync(encodeNpy(someBytes(6), [3, 2])));
    const labels = await write(folder, "y.npy", ints(2, 0, 1));
    const set = await readNpy(path, { labels, classNames: ["a", "b", "c"], name: "n", limit: 2 });
    assert.deepEqual([...set.labels!], [2, 0]);
    assert.equal(set.summary(), "n: 2 items of 2 bytes in 3 classes");
  });
});

Deno.test("readNpy() refuses what is no data set", async () => {
  await withFolder(async (folder) => {
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const path = await write(folder, "bad.npy", bytes);
      await rejectsAbout(readNpy(path), path, message);
    };
    await refuse(encodeNpy(Uint8Array.of(3), []), /an array of shape \[\]/);
    await refuse(encodeNpy(new Uint8Array(0), [0, 3]), /an array of shape \[0,3\]/);
    await refuse(encodeNpy(Float64Array.of(1, 1e39), [1, 2]), /1e\+39 at position 1/);
    await rejectsAbout(readNpy(folder), folder, /found a folder, wanted a file/);
    await rejectsAbout(readNpy(`${folder}/no`), `${folder}/no`, /found nothing there/);
  });
});

Deno.test("readNpy() refuses labels that do not fit", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "x.npy", encodeNpy(someBytes(6), [3, 2]));
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const labels = await write(folder, "y.npy", bytes);
      await rejectsAbout(readNpy(path, { labels, classNames: ["a", "b"] }), labels, message);
    };
    await refuse(ints(0, 1), /labels of shape \[2\] and type i4, wanted \[3\]/);
    await refuse(encodeNpy(Float32Array.of(0, 1, 0), [3]), /type f4/);
    await refuse(ints(0, -1, 1), /label -1 at position 1/);
    await refuse(ints(0, 1, 2), /label 2 at position 2, wanted labels from 0 to 1/);
  });
});

Deno.test("readNpz() chooses the arrays by name", async () => {
  await withFolder(async (folder) => {
    const [a, b] = [someBytes(6, 1), someBytes(6, 2)];
    const path = await write(
      folder,
      "x.npz",
      zipSync({
        "a.npy": encodeNpy(a, [3, 2]),
        "b.npy": encodeNpy(b, [2, 3]),
        "labels.npy": ints(0, 1, 0),
        "y.npy": ints(1, 1),
        "read.me": someBytes(9),
      }),
    );
    const first = await readNpz(path, { key: "a" });
    assert.deepEqual([first.data, [...first.labels!]], [a, [0, 1, 0]]);
    const second = await readNpz(path, { key: "b", labels: "y" });
    assert.deepEqual([second.data, [...second.labels!]], [b, [1, 1]]);
    await rejectsAbout(
      readNpz(path),
      path,
      /found the arrays \[a, b, labels, y\], wanted a single/,
    );
    await rejectsAbout(readNpz(path, { key: "c" }), path, /wanted one named c/);
    await rejectsAbout(readNpz(path, { key: "a", labels: "z" }), path, /wanted one named z/);
  });
});

Deno.test("readNpz() takes the only array, stored or deflated", async () => {
  await withFolder(async (folder) => {
    const data = someBytes(600);
    for (const level of [0, 9] as const) {
      const bytes = zipSync({ "arr_0.npy": encodeNpy(data, [100, 6]) }, { level });
      const set = await readNpz(await write(folder, "x.npz", bytes));
      assert.deepEqual([set.data, set.labels], [data, undefined]);
    }
  });
});

/** The items of an array as a set, and what was noted about them. */
async function noted(
  folder: string,
  data: NpyNumbers,
  shape: number[],
  options: NpyOptions = {},
): Promise<{ set: Dataset; notes: string[]; path: string }> {
  const path = await write(folder, "some.npy", encodeNpy(data, shape));
  const notes: string[] = [];
  const set = await readNpy(path, { onNote: (line) => notes.push(line), ...options });
  using rows = dtypeOf(data) ? await openRows(path, { onNote: () => {}, ...options }) : undefined;
  if (rows) assert.deepEqual(await rows.take(shape[0]), set);
  return { set, notes, path };
}

/** Whether rows of such numbers can stay on disk. */
function dtypeOf(data: NpyNumbers): boolean {
  return data instanceof Uint8Array || data instanceof Float32Array;
}

/** Numbers of which each tells where it stands: `f(n, y, x, c)` of images in the order of axes that is asked for. */
function ramp([n, h, w, c]: readonly number[], first: boolean): number[] {
  const value = (i: number, y: number, x: number, k: number) => ((i * h + y) * w + x) * c + k;
  const numbers: number[] = [];
  for (let i = 0; i < n; i++) {
    if (first) {
      for (let k = 0; k < c; k++) {
        for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) numbers.push(value(i, y, x, k));
      }
    } else {
      for (let at = i * h * w * c; at < (i + 1) * h * w * c; at++) numbers.push(at);
    }
  }
  return numbers;
}

Deno.test("readNpy() and openRows() put channels last that are recognised as first, and say so", () =>
  withFolder(async (folder) => {
    const shapes = [[2, 5, 6, 3], [3, 4, 7, 1], [1, 28, 28, 3], [2, 2, 5, 3]];
    for (const Numbers of [Uint8Array, Float32Array]) {
      for (const [n, h, w, c] of shapes) {
        const last = Numbers.from(ramp([n, h, w, c], false));
        const first = Numbers.from(ramp([n, h, w, c], true));
        const { set, notes } = await noted(folder, first, [n, c, h, w]);
        assert.deepEqual([set.shape, set.data], [[h, w, c], last]);
        const moved = notes.filter((line) => /first/.test(line));
        assert.match(
          moved.join("\n"),
          /^\S+some\.npy: \[.*\] is taken as images of . channels? first$/,
        );
        const plain = await noted(folder, last, [n, h, w, c]);
        assert.deepEqual([plain.set.shape, plain.set.data], [[h, w, c], last]);
        assert.ok(!plain.notes.some((line) => /taken/.test(line)));
      }
    }
    const four = await noted(folder, new Uint8Array(200), [2, 5, 5, 4]);
    assert.deepEqual(four.set.shape, [5, 5, 4]);
    assert.match(four.notes.join(), /red, green, blue and opacity$/);
    // A part of the items is moved no farther than it reaches.
    const first = Uint8Array.from(ramp([3, 2, 5, 3], true));
    const { set } = await noted(folder, first, [3, 3, 2, 5], { limit: 2 });
    assert.deepEqual([...set.data], ramp([2, 2, 5, 3], false));
  }));

Deno.test("readNpy() and openRows() refuse a layout that is not clear, and take the one that is named", () =>
  withFolder(async (folder) => {
    const cases: [number[], Record<string, number[]>][] = [
      // Both, by the numbers of channels.
      [[2, 3, 5, 3], { "channels-last": [3, 5, 3], "channels-first": [5, 3, 3], flat: [45] }],
      [[2, 1, 5, 4], { "channels-last": [1, 5, 4], "channels-first": [5, 4, 1], flat: [20] }],
      // Neither: latents, many channels.
      [[2, 4, 5, 6], { "channels-last": [4, 5, 6], "channels-first": [5, 6, 4], flat: [120] }],
      [[2, 8, 8, 16], { "channels-last": [8, 8, 16], "channels-first": [8, 16, 8], flat: [1024] }],
      // One image, clouds of points, or images without colour.
      [[9, 9, 3], { flat: [27], "channels-last": [9, 3, 1] }],
      [[9, 9, 4], { flat: [36], "channels-first": [9, 4, 1] }],
    ];
    for (const [shape, layouts] of cases) {
      const data = Uint8Array.from({ length: sizeOf(shape) }, (_, i) => i);
      const path = await write(folder, "x.npy", encodeNpy(data, shape));
      const npz = await write(folder, "x.npz", encodeNpz({ x: { data, shape } }));
      const message = /\[.*\], which (may hold|holds no).*layout, or --layout/;
      await rejectsAbout(readNpy(path), path, message);
      await rejectsAbout(openRows(path), path, message);
      await rejectsAbout(readNpz(npz), npz, message);
      for (const [layout, item] of Object.entries(layouts)) {
        const options = { layout: layout as NpyOptions["layout"] };
        const { set, notes } = await noted(folder, data, shape, options);
        assert.deepEqual([set.shape, notes], [item, []], layout);
        assert.deepEqual((await readNpz(npz, options)).data, set.data);
        assert.deepEqual((await loadDataset(`npy:${path}`, options)).data, set.data);
        if (layout !== "channels-first") assert.deepEqual(set.data, data);
      }
    }
    const points = await write(folder, "x.npy", encodeNpy(new Uint8Array(6), [2, 3]));
    const first = { layout: "channels-first" } as const;
    await rejectsAbout(readNpy(points, first), points, /layout channels-first/);
    assert.deepEqual((await readNpy(points, { layout: "flat" })).shape, [3]);
    await assert.rejects(
      readNpy(points, { layout: "nchw" as "flat" }),
      /RangeError.*channels-last/,
    );
    await assert.rejects(loadDataset("moons:9", first), /RangeError.*layout/);
  }));

Deno.test("readNpy() and openRows() take the range of floating-point images from their numbers, and say so", () =>
  withFolder(async (folder) => {
    const cases: [number[], readonly [number, number]][] = [
      [[0, 0.2, 1, 0.5], [0, 1]],
      [[0.1, 0.2, 0.3, 0.4], [0, 1]],
      [[-0.01, 0.2, 1.02, 0], [0, 1]],
      [[-1, 0.2, 1, 0], [-1, 1]],
      [[-1.05, 0.2, 0.3, 0], [-1, 1]],
      [[0, 255, 12, 3], [0, 255]],
      [[0, 127, 12, 3], [0, 127]],
      // Standardised, as those of MNIST.
      [[-0.42421296, 2.8214867, 0, 0], [Math.fround(-0.42421296), Math.fround(2.8214867)]],
      [[-0.25, 255.25, 0, 0], [-0.25, 255.25]],
      [[-2.125, 2.5, 0, 0], [-2.125, 2.5]],
      [[0, 65535, 0, 0], [0, 65535]],
      [[300, 300, 300, 300], [299, 301]],
    ];
    for (const [values, range] of cases) {
      const data = Float32Array.from(values);
      for (const shape of [[1, 2, 2], [1, 2, 2, 1], [2, 1, 2]]) {
        const { set, notes } = await noted(folder, data, shape);
        assert.deepEqual([set.range, set.data], [range, data]);
        const line = `drawn black to white from ${range[0]} to ${range[1]}`;
        if (range[0] === -1) assert.deepEqual(notes, []);
        else assert.ok(notes.some((note) => note.endsWith(line)), notes.join());
        const own = await noted(folder, data, shape, { range: [-3, 7] });
        assert.deepEqual([own.set.range, own.notes], [[-3, 7], []]);
      }
    }
    // Bytes and points have no range in their numbers.
    assert.deepEqual((await noted(folder, new Uint8Array(4), [1, 2, 2])).set.range, [-1, 1]);
    const points = await noted(folder, new Float32Array(4), [2, 2]);
    assert.deepEqual([points.set.range, points.notes], [[-1, 1], []]);
  }));

Deno.test("readNpy() holds all other numbers as float32, and says whether they are rounded", () =>
  withFolder(async (folder) => {
    const cases: [NpyNumbers, RegExp][] = [
      [Int16Array.of(-5, 7), /type i2 are held as float32$/],
      [Uint32Array.of(5, 7), /type u4 are held as float32$/],
      [BigInt64Array.of(-5n, 2n ** 24n + 1n), /type i8 are rounded to float32$/],
      [Float16Array.of(0.5, 7), /type f2 are held as float32$/],
      [Float64Array.of(0.1, 7), /type f8 are rounded to float32$/],
    ];
    for (const [data, line] of cases) {
      const { set, notes } = await noted(folder, data, [1, 2]);
      assert.deepEqual(set.data, Float32Array.from(data, Number));
      assert.equal(notes.length, 1);
      assert.match(notes[0], line);
    }
    const { set, notes } = await noted(folder, Float32Array.of(1, 2, 3), [3]);
    assert.deepEqual([set.shape, set.count], [[1], 3]);
    assert.match(notes.join(), /3 points of one number$/);
    // The labels of a set come back as they were.
    const labels = await write(folder, "y.npy", encodeNpy(Uint32Array.of(2, 0, 1), [3]));
    const path = await write(folder, "x.npy", encodeNpy(someBytes(6), [3, 2]));
    assert.deepEqual((await readNpy(path, { labels })).labels, Uint32Array.of(2, 0, 1));
  }));
