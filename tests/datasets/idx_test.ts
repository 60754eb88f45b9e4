import { DatasetError, readIdx, readMnist } from "@closedform/diffusion";
import { gzipSync } from "fflate";
import fc from "fast-check";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";
import { encodeIdx, someBytes } from "../_helpers/encode.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";

Deno.test("readIdx() reads what was encoded, of each rank, gzipped or not", async () => {
  await withFolder(async (folder) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (dimensions, gzipped) => {
          const data = someBytes(dimensions.reduce((a, b) => a * b));
          const bytes = encodeIdx(dimensions, data);
          // The name does not tell whether a file is gzipped; its first bytes do.
          const path = await write(folder, "x.gz", gzipped ? gzipSync(bytes) : bytes);
          const set = await readIdx(path);
          const shape = {
            1: [1],
            2: dimensions.slice(1),
            3: [...dimensions.slice(1), 1],
            4: dimensions.slice(1),
          };
          assert.deepEqual(set.shape, shape[dimensions.length as 1 | 2 | 3 | 4]);
          assert.deepEqual(set.data, data);
        },
      ),
      { seed: 3, numRuns: 100 },
    );
  });
});

Deno.test("readIdx() reads labels and gives the classes their names", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "x", encodeIdx([3, 2, 2], someBytes(12)));
    const labels = await write(folder, "y", encodeIdx([3], [1, 0, 1]));
    const set = await readIdx(path, { labels, classNames: ["a", "b"], name: "z" });
    assert.deepEqual([...set.labels!], [1, 0, 1]);
    assert.equal(set.summary(), "z: 3 items of 2×2×1 bytes in 2 classes");
    const first = await readIdx(path, { labels, limit: 2 });
    assert.deepEqual([first.count, [...first.labels!]], [2, [1, 0]]);
  });
});

Deno.test("readIdx() reads what a page has, gzipped or not, and names it when it is damaged", async () => {
  const data = someBytes(12), bytes = encodeIdx([3, 2, 2], data);
  for (const content of [bytes, gzipSync(bytes)] as Uint8Array<ArrayBuffer>[]) {
    const images = new File([content], "digits"), labels = new Blob([encodeIdx([3], [1, 0, 1])]);
    const set = await readIdx(images, { labels });
    assert.deepEqual([set.data, set.labels], [data, Uint32Array.of(1, 0, 1)]);
    assert.equal(set.summary(), "digits: 3 items of 2×2×1 bytes in 2 classes");
    await rejectsAbout(readIdx(images.slice(0, -1)), "a Blob", /gzip stream|11 bytes of items/);
    await rejectsAbout(readIdx(images, { labels: images }), "digits", /labels of dimensions 3 × 2/);
  }
});

Deno.test("readIdx() refuses damaged files and names them", async () => {
  await withFolder(async (folder) => {
    const good = encodeIdx([3, 2, 2], someBytes(12));
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const path = await write(folder, "bad", bytes);
      await rejectsAbout(readIdx(path), path, message);
    };
    await refuse(good.subarray(0, -1), /an end after 11 bytes of items 0 to 2, wanted 12/);
    await refuse(Uint8Array.of(...good, 7), /more bytes after 3 items of 4 bytes/);
    await refuse(gzipSync(good.subarray(0, -1)), /an end after 11 bytes of items 0 to 2/);
    await refuse(gzipSync(Uint8Array.of(...good, 7)), /more bytes after/);
    await refuse(gzipSync(good).subarray(0, -1), /a damaged or truncated gzip stream/);
    await refuse(Uint8Array.of(...gzipSync(good), 0), /a damaged or truncated gzip stream/);
    await refuse(good.subarray(0, 3), /an end after 3 bytes of magic number/);
    await refuse(good.subarray(0, 9), /an end after 5 bytes of dimensions/);
    await refuse(new Uint8Array(0), /an end after 0 bytes/);
    await refuse(Uint8Array.of(0, 0, 0x0D, 1, 0, 0, 0, 0), /first bytes \[0, 0, 13, 1\]/);
    await refuse(Uint8Array.of(0, 0, 8, 5), /the magic of IDX/);
    await refuse(encodeIdx([0, 2, 2], []), /dimensions 0 × 2 × 2/);
    await refuse(encodeIdx([0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF], []), /too small/);
  });
});

Deno.test("readIdx() stops a bomb at the bytes its header declares", async () => {
  await withFolder(async (folder) => {
    const bomb = new Uint8Array(2 ** 26);
    bomb.set(encodeIdx([1, 1], [0]));
    const path = await write(folder, "bomb", gzipSync(bomb));
    await rejectsAbout(readIdx(path), path, /more bytes after 1 items of 1 bytes/);
  });
});

Deno.test("readIdx() refuses labels that do not fit", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "x", encodeIdx([3, 2, 2], someBytes(12)));
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const labels = await write(folder, "y", bytes);
      await rejectsAbout(readIdx(path, { labels, classNames: ["a", "b"] }), labels, message);
    };
    await refuse(encodeIdx([2], [0, 1]), /labels of dimensions 2, wanted 3/);
    await refuse(encodeIdx([3, 1], [0, 1, 0]), /labels of dimensions 3 × 1/);
    await refuse(encodeIdx([3], [0, 2, 0]), /label 2 at position 1, wanted labels below 2/);
  });
});

Deno.test("readers of files refuse what is no file", async () => {
  await withFolder(async (folder) => {
    await rejectsAbout(readIdx(folder), folder, /found a folder, wanted a file/);
    await rejectsAbout(readIdx(`${folder}/no`), `${folder}/no`, /nothing there/);
    const file = await write(folder, "file", "text");
    await rejectsAbout(
      readIdx(`${file}/x`),
      file,
      /found a file where a folder should be|nothing there/,
    );
    await rejectsAbout(readIdx("/dev/null"), "/dev/null", /a device or pipe/);
    await rejectsAbout(readMnist(folder), folder, /no file train-images-idx3-ubyte/);
    await rejectsAbout(readMnist(file), file, /found a file, wanted a folder/);
  });
});

Deno.test("readIdx() refuses a limit that is none", async () => {
  await assert.rejects(readIdx("x", { limit: 0 }), RangeError);
  await assert.rejects(readMnist("x", { split: "all" as "test" }), RangeError);
});

Deno.test("readIdx() reports progress and stops when aborted", async () => {
  await withFolder(async (folder) => {
    const side = 1024;
    const path = await write(
      folder,
      "x",
      encodeIdx([5, side, side], new Uint8Array(5 * side * side)),
    );
    const seen: number[][] = [];
    await readIdx(path, { onProgress: (done, total) => seen.push([done, total]) });
    assert.deepEqual(seen, [[1, 5], [2, 5], [3, 5], [4, 5], [5, 5]]);
    const controller = new AbortController();
    const reading = readIdx(path, {
      signal: controller.signal,
      onProgress: (done) => done === 2 && controller.abort(new RangeError("enough")),
    });
    await assert.rejects(reading, /enough/);
    await assert.rejects(readIdx(path, { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});

Deno.test("readMnist() finds its four files, with or without .gz", async () => {
  await withFolder(async (folder) => {
    await write(folder, "train-images-idx3-ubyte", encodeIdx([2, 1, 1], [3, 4]));
    await write(folder, "train-labels-idx1-ubyte.gz", gzipSync(encodeIdx([2], [9, 0])));
    await write(folder, "t10k-images-idx3-ubyte.gz", gzipSync(encodeIdx([1, 1, 1], [5])));
    await write(folder, "t10k-labels-idx1-ubyte", encodeIdx([1], [10]));
    const train = await readMnist(folder);
    assert.deepEqual([[...train.data], [...train.labels!]], [[3, 4], [9, 0]]);
    assert.equal(train.classNames!.length, 10);
    await assert.rejects(
      readMnist(folder, { split: "test" }),
      (error) => error instanceof DatasetError && /label 10 at position 0/.test(error.message),
    );
  });
});

Deno.test({
  name: "readMnist() reads MNIST (needs ../shared/data/mnist)",
  ignore: !hasData("mnist"),
  async fn() {
    const set = await readMnist(dataPath("mnist"));
    assert.equal(set.summary(), "mnist train: 60,000 items of 28×28×1 bytes in 10 classes");
    const histogram = new Array(10).fill(0);
    set.labels!.forEach((label) => histogram[label]++);
    // Published counts of the training digits.
    assert.deepEqual(histogram, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    let sum = 0;
    for (const v of set.data) sum += v;
    const mean = sum / set.data.length / 255;
    // The customary normalisation of MNIST, to its four digits.
    assert.equal(mean.toFixed(4), "0.1307");
    const test = await readMnist(dataPath("mnist"), { split: "test" });
    assert.equal(test.count, 10_000);
    assert.equal(test.labels!.filter((label) => label === 1).length, 1135);
    const first = await readMnist(dataPath("mnist"), { limit: 100 });
    assert.deepEqual(first.data, set.take(100).data);
    assert.deepEqual(first.labels, set.take(100).labels);
  },
});
