/**
 * The binary format of CIFAR-10 and CIFAR-100.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import { join } from "@std/path";
import { DatasetError } from "../base/errors.ts";
import { checkLimit, checkOneOf } from "./_checks.ts";
import { allocate, ByteReader, exists, findFile, readText } from "./_files.ts";
import { Dataset } from "./dataset.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readCifar10}. */
export interface Cifar10Options extends ReadOptions {
  /** Which part. Default `"train"`. */
  readonly split?: "train" | "test";
  /** Images in each file; another number is an error. Default: that of the published files. */
  readonly imagesPerFile?: number;
}

/** Options of {@linkcode readCifar100}. */
export interface Cifar100Options extends Cifar10Options {
  /** Which of the two labels of an image: one of 100, or one of 20. Default `"fine"`. */
  readonly labels?: "fine" | "coarse";
}

const SIDE = 32;
const PIXELS = SIDE * SIDE;
const CIFAR10_CLASSES = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

/** How one of the two sets lies on disk. */
interface Layout {
  readonly name: string;
  readonly files: readonly string[];
  readonly imagesPerFile: number;
  /** Label bytes before each image. */
  readonly labelBytes: number;
  /** Which of them is wanted. */
  readonly labelAt: number;
  readonly classNames: readonly string[];
}

const OPTIONS = { ...READ_OPTIONS, split: "train", imagesPerFile: undefined } satisfies OptionTable<
  Cifar10Options
>;

/**
 * Reads CIFAR-10 in its binary format, files gzipped or not, batch by batch into one array.
 *
 * Reference: A. Krizhevsky (2009), Learning multiple layers of features from tiny images.
 *
 * @param folder Where `data_batch_1.bin` … `data_batch_5.bin` or `test_batch.bin` lie, with or without `.gz`, or the
 * folder above `cifar-10-batches-bin`.
 * @param options Which part, limit.
 * @returns Byte images of shape `[32, 32, 3]`, channels last, with labels 0 to 9.
 * @throws {DatasetError} If a file is missing, truncated, too long or damaged, or a label is above 9.
 * @throws {RangeError} If an option is not one of its choices, or a number not a whole one.
 * @throws {TypeError} If there is no such option.
 *
 * @example The published files
 * ```ts ignore
 * const images = await readCifar10("cifar-10-batches-bin", { limit: 1000 });
 * ```
 *
 * @example A file of one image: its label, then its red, green and blue pixels
 * ```ts
 * import { readCifar10 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * const record = new Uint8Array(1 + 3 * 1024).fill(255, 1, 1 + 1024);
 * record[0] = 9;
 * await Deno.writeFile(`${folder}/test_batch.bin`, record);
 * const images = await readCifar10(folder, { split: "test", imagesPerFile: 1 });
 * assert.deepEqual([images.labels?.[0], ...images.values(0).slice(0, 3)], [9, 1, -1, -1]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function readCifar10(
  folder: string,
  options: Cifar10Options = {},
): Promise<Dataset> {
  const { split } = readOptions(`read ${folder}`, options, OPTIONS);
  checkOneOf(`read ${folder}`, "split", split, ["train", "test"]);
  const files = split === "train"
    ? [1, 2, 3, 4, 5].map((k) => `data_batch_${k}.bin`)
    : ["test_batch.bin"];
  return await readCifar(
    await descend(folder, "cifar-10-batches-bin"),
    {
      name: `cifar10 ${split}`,
      files,
      imagesPerFile: 10_000,
      labelBytes: 1,
      labelAt: 0,
      classNames: CIFAR10_CLASSES,
    },
    options,
  );
}

const CIFAR100_OPTIONS = { ...OPTIONS, labels: "fine" } satisfies OptionTable<Cifar100Options>;

/**
 * Reads CIFAR-100 in its binary format, files gzipped or not.
 *
 * The classes are named by `fine_label_names.txt` or `coarse_label_names.txt` where
 * they lie beside the images, else by their numbers.
 *
 * Reference: A. Krizhevsky (2009), Learning multiple layers of features from tiny images.
 *
 * @param folder Where `train.bin` or `test.bin` lie, with or without `.gz`, or the folder above `cifar-100-binary`.
 * @param options Which part, which labels, limit.
 * @returns Byte images of shape `[32, 32, 3]`, channels last, with labels below 100, or below 20 if coarse.
 * @throws {DatasetError} If a file is missing, truncated, too long or damaged, or a label is out of range.
 * @throws {RangeError} If an option is not one of its choices, or a number not a whole one.
 * @throws {TypeError} If there is no such option.
 *
 * @example The published files
 * ```ts ignore
 * const images = await readCifar100("cifar-100-binary", { labels: "coarse" });
 * ```
 *
 * @example A file of one image: its two labels, then its red, green and blue pixels
 * ```ts
 * import { readCifar100 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * const record = new Uint8Array(2 + 3 * 1024).fill(255, 2, 2 + 1024);
 * record[1] = 9;
 * await Deno.writeFile(`${folder}/test.bin`, record);
 * const images = await readCifar100(folder, { split: "test", imagesPerFile: 1 });
 * assert.deepEqual([images.labels?.[0], ...images.values(0).slice(0, 3)], [9, 1, -1, -1]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function readCifar100(
  folder: string,
  options: Cifar100Options = {},
): Promise<Dataset> {
  const { split, labels } = readOptions(`read ${folder}`, options, CIFAR100_OPTIONS);
  checkOneOf(`read ${folder}`, "split", split, ["train", "test"]);
  checkOneOf(`read ${folder}`, "labels", labels, ["fine", "coarse"]);
  const inner = await descend(folder, "cifar-100-binary");
  return await readCifar(
    inner,
    {
      name: `cifar100 ${split}`,
      files: [`${split}.bin`],
      imagesPerFile: split === "train" ? 50_000 : 10_000,
      labelBytes: 2,
      labelAt: labels === "coarse" ? 0 : 1,
      classNames: await readClassNames(
        join(inner, `${labels}_label_names.txt`),
        labels === "coarse" ? 20 : 100,
      ),
    },
    options,
  );
}

async function readCifar(
  folder: string,
  layout: Layout,
  options: Cifar10Options,
): Promise<Dataset> {
  const { files, classNames, name } = layout;
  const { imagesPerFile = layout.imagesPerFile, signal, onProgress } = options;
  checkWhole(`read ${folder}`, "imagesPerFile", imagesPerFile, 1);
  const total = Math.min(
    checkLimit(options.limit),
    files.length * imagesPerFile,
  );
  const needed = files.slice(0, Math.ceil(total / imagesPerFile));
  // All files are found before the first is read.
  const paths = await Promise.all(needed.map((file) => findFile(folder, file)));
  const data = allocate(folder, total * PIXELS * 3);
  const labels = new Uint32Array(total);
  for (const [k, path] of paths.entries()) {
    const first = k * imagesPerFile;
    const end = Math.min(total, first + imagesPerFile);
    await using reader = await ByteReader.open(path, signal);
    await readBatch(
      reader,
      layout,
      data.subarray(first * PIXELS * 3, end * PIXELS * 3),
      labels.subarray(first, end),
      (done) => onProgress?.(first + done, total),
    );
    if (end === first + imagesPerFile) {
      await reader.expectEnd(
        `${imagesPerFile.toLocaleString("en")} images, which is the size of the published files`,
      );
    }
  }
  return new Dataset({
    data,
    shape: [SIDE, SIDE, 3],
    labels,
    classNames,
    name,
  });
}

/** Fills images and labels from records of labels and channel-major pixels. */
async function readBatch(
  reader: ByteReader,
  { labelBytes, labelAt, classNames }: Layout,
  data: Uint8Array,
  labels: Uint32Array,
  onProgress: (done: number) => void,
): Promise<void> {
  const recordSize = labelBytes + 3 * PIXELS;
  const block = new Uint8Array(500 * recordSize);
  for (let done = 0; done < labels.length;) {
    const count = Math.min(500, labels.length - done);
    await reader.fillAll(
      block.subarray(0, count * recordSize),
      `images ${done} to ${done + count - 1}`,
    );
    for (let r = 0; r < count; r++, done++) {
      const record = block.subarray(r * recordSize, (r + 1) * recordSize);
      const label = labels[done] = record[labelAt];
      if (label >= classNames.length) {
        throw new DatasetError(
          reader.file,
          `label ${label} at image ${done}`,
          `labels below ${classNames.length}`,
        );
      }
      interleave(
        record.subarray(labelBytes),
        data.subarray(done * PIXELS * 3, (done + 1) * PIXELS * 3),
      );
    }
    onProgress(done);
  }
}

/** Channel-major pixels to channels last. */
function interleave(planes: Uint8Array, image: Uint8Array): void {
  for (let p = 0, at = 0; p < PIXELS; p++) {
    image[at++] = planes[p];
    image[at++] = planes[PIXELS + p];
    image[at++] = planes[2 * PIXELS + p];
  }
}

/** The folder itself, or the one inside that has the published name. */
async function descend(folder: string, name: string): Promise<string> {
  const inner = join(folder, name);
  return await exists(inner) ? inner : folder;
}

async function readClassNames(file: string, count: number): Promise<string[]> {
  if (!await exists(file)) {
    return Array.from({ length: count }, (_, c) => `${c}`);
  }
  const names = (await readText(file)).split("\n").map((line) => line.trim())
    .filter((line) => line !== "");
  if (names.length !== count) {
    throw new DatasetError(file, `${names.length} class names`, `${count}`);
  }
  return names;
}
