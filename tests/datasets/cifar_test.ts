import {
  type Cifar100Options,
  type Dataset,
  readCifar10,
  readCifar100,
} from "@closedform/diffusion";
import { gzipSync } from "fflate";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";
import { encodeCifar, someBytes } from "../_helpers/encode.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";

const TWO = { imagesPerFile: 2 };

/** Writes five batches of two images each, every second one gzipped. */
async function writeBatches(folder: string, images: Uint8Array): Promise<void> {
  for (const k of [0, 1, 2, 3, 4]) {
    const bytes = encodeCifar(images.subarray(k * 6144, (k + 1) * 6144), [[k], [9 - k]]);
    const name = `data_batch_${k + 1}.bin`;
    if (k % 2) await write(folder, `${name}.gz`, gzipSync(bytes));
    else await write(folder, name, bytes);
  }
}

Deno.test("readCifar10() puts five batches into one array, channels last", async () => {
  await withFolder(async (folder) => {
    const images = someBytes(10 * 3072);
    await writeBatches(`${folder}/cifar-10-batches-bin`, images);
    for (const path of [folder, `${folder}/cifar-10-batches-bin`]) {
      const set = await readCifar10(path, TWO);
      assert.deepEqual(set.data, images);
      assert.deepEqual(set.shape, [32, 32, 3]);
      assert.deepEqual([...set.labels!], [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]);
      assert.equal(set.classNames![set.labels![1]], "truck");
    }
  });
});

Deno.test("readCifar10() reads no more batches than the limit needs", async () => {
  await withFolder(async (folder) => {
    const images = someBytes(10 * 3072);
    await writeBatches(folder, images);
    await Deno.remove(`${folder}/data_batch_3.bin`);
    const set = await readCifar10(folder, { ...TWO, limit: 3 });
    assert.deepEqual(set.data, images.subarray(0, 3 * 3072));
    await rejectsAbout(readCifar10(folder, TWO), folder, /no file data_batch_3.bin/);
  });
});

Deno.test("readCifar10() refuses damaged files", async () => {
  await withFolder(async (folder) => {
    const good = encodeCifar(someBytes(6144), [[3], [4]]);
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const path = await write(folder, "test_batch.bin", bytes);
      await rejectsAbout(readCifar10(folder, { split: "test", ...TWO }), path, message);
    };
    await refuse(good.subarray(0, -1), /an end after 6,145 bytes of images 0 to 1/);
    await refuse(good.subarray(0, 3073), /an end after 3,073 bytes/);
    await refuse(Uint8Array.of(...good, 0), /more bytes after 2 images/);
    await refuse(gzipSync(good).subarray(0, -4), /damaged or truncated gzip/);
    await refuse(gzipSync(new Uint8Array(2 ** 26)), /more bytes after 2 images/);
    await refuse(
      encodeCifar(someBytes(6144), [[3], [10]]),
      /label 10 at image 1, wanted labels below 10/,
    );
    await refuse(new Uint8Array(0), /an end after 0 bytes/);
  });
});

Deno.test("readCifar10() wants the published number of images unless told otherwise", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "test_batch.bin", encodeCifar(someBytes(6144), [[3], [4]]));
    await rejectsAbout(readCifar10(folder, { split: "test" }), path, /an end after 6,146 bytes/);
  });
});

Deno.test("readCifar100() reads fine and coarse labels and their names", async () => {
  await withFolder(async (folder) => {
    const inner = `${folder}/cifar-100-binary`;
    const images = someBytes(6144);
    const path = await write(inner, "train.bin", encodeCifar(images, [[19, 99], [0, 7]]));
    const read = (options: Cifar100Options = {}): Promise<Dataset> =>
      readCifar100(folder, { ...TWO, ...options });
    const fine = await read();
    assert.deepEqual(fine.data, images);
    assert.deepEqual([...fine.labels!], [99, 7]);
    assert.equal(fine.classNames![99], "99");
    const names = Array.from({ length: 20 }, (_, k) => `coarse ${k}`);
    const file = await write(inner, "coarse_label_names.txt", names.join("\n") + "\n\n");
    const coarse = await read({ labels: "coarse" });
    assert.deepEqual([...coarse.labels!], [19, 0]);
    assert.deepEqual(coarse.classNames, names);
    await write(inner, "coarse_label_names.txt", "one\n");
    await rejectsAbout(read({ labels: "coarse" }), file, /found 1 class names, wanted 20/);
    await write(inner, "train.bin", encodeCifar(images, [[19, 99], [0, 100]]));
    await rejectsAbout(read(), path, /label 100 at image 1/);
  });
});

Deno.test("readCifar10() and readCifar100() refuse options out of range", async () => {
  await assert.rejects(readCifar10("x", { split: "all" as "test" }), RangeError);
  await assert.rejects(readCifar10("x", { imagesPerFile: 0 }), RangeError);
  await assert.rejects(readCifar10("x", { limit: 1.5 }), RangeError);
  await assert.rejects(readCifar100("x", { labels: "rough" as "fine" }), RangeError);
});

Deno.test("readCifar10() stops when aborted between two blocks", async () => {
  await withFolder(async (folder) => {
    const labels = Array.from({ length: 600 }, () => [1]);
    await write(folder, "test_batch.bin", encodeCifar(new Uint8Array(600 * 3072), labels));
    const controller = new AbortController();
    const seen: number[][] = [];
    const reading = readCifar10(folder, {
      split: "test",
      imagesPerFile: 600,
      signal: controller.signal,
      onProgress: (...progress) => {
        seen.push(progress);
        controller.abort(new RangeError("enough"));
      },
    });
    await assert.rejects(reading, /enough/);
    assert.deepEqual(seen, [[500, 600]]);
  });
});

Deno.test({
  name: "readCifar10() reads CIFAR-10 (needs ../shared/data/cifar-10-batches-bin)",
  ignore: !hasData("cifar-10-batches-bin"),
  async fn() {
    const set = await readCifar10(dataPath("cifar-10-batches-bin"));
    assert.equal(set.summary(), "cifar10 train: 50,000 items of 32×32×3 bytes in 10 classes");
    const histogram = new Array(10).fill(0);
    set.labels!.forEach((label) => histogram[label]++);
    assert.deepEqual(histogram, new Array(10).fill(5000));
    const sums = [0, 0, 0];
    for (let at = 0; at < set.data.length; at++) sums[at % 3] += set.data[at];
    // The customary channel means, to the two digits that one JPEG compression leaves alone.
    const means = sums.map((sum) => (sum / 255 / 50_000 / 1024).toFixed(2));
    assert.deepEqual(means, ["0.49", "0.48", "0.45"]);
  },
});
