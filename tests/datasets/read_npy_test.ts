import { encodeNpy, readNpy, readNpz } from "@closedform/diffusion";
import { gzipSync, zipSync } from "fflate";
import assert from "node:assert/strict";
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
    await refuse(encodeNpy(new Uint8Array(3), [3]), /an array of shape \[3\]/);
    await refuse(encodeNpy(new Uint8Array(0), [0, 3]), /an array of shape \[0,3\]/);
    await refuse(encodeNpy(new Int32Array(4), [2, 2]), /numbers of type i4/);
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
