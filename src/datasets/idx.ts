/**
 * IDX, the format of MNIST and its relatives.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { sizeOf } from "../base/_shape.ts";
import { DatasetError } from "../base/errors.ts";
import { checkLimit, checkOneOf } from "./_checks.ts";
import { allocate, ByteReader, findFile, nameOf } from "./_files.ts";
import { Dataset } from "./dataset.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readIdx}. */
export interface IdxOptions extends ReadOptions {
  /** The file of labels, IDX of rank 1. Default: no labels. */
  readonly labels?: string | Blob;
  /** A name for each class; labels beyond them are an error. Default: the class numbers. */
  readonly classNames?: readonly string[];
  /** The data set's name. Default: the path of the images, or the name of their `File`. */
  readonly name?: string;
}

/** Options of {@linkcode readMnist}. */
export interface MnistOptions extends ReadOptions {
  /** Which part. Default `"train"`. */
  readonly split?: "train" | "test";
}

const OPTIONS = {
  ...READ_OPTIONS,
  labels: undefined,
  classNames: undefined,
  name: undefined,
} satisfies OptionTable<IdxOptions>;

/**
 * Reads unsigned bytes in IDX format, gzipped or not.
 *
 * Of rank 3, `[N, rows, columns]`, they are grey images `[rows, columns, 1]`; of
 * rank 4 `[height, width, channels]`; of rank 2 rows of bytes, of rank 1 single bytes.
 *
 * @param images The file: its path, or what `fetch()` and forms give in a page.
 * @param options A file of labels, names, limit.
 * @returns The data set, of range `[-1, 1]`.
 * @throws {DatasetError} If a file is missing, no IDX file of bytes, truncated, too long, or does not fit its labels.
 * @throws {RangeError} If the limit is not a whole number `≥ 1`.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { readIdx } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile();
 * // Type 8 (unsigned bytes), rank 3, one image of 1 × 2 pixels.
 * await Deno.writeFile(file, Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255));
 * const set = await readIdx(file);
 * assert.deepEqual(set.shape, [1, 2, 1]);
 * assert.deepEqual([...set.values(0)], [-1, 1]);
 * await Deno.remove(file);
 * ```
 */
export async function readIdx(
  images: string | Blob,
  options: IdxOptions = {},
): Promise<Dataset> {
  const { classNames, name = nameOf(images) } = readOptions(
    `read ${nameOf(images)}`,
    options,
    OPTIONS,
  );
  const { bytes: data, dimensions } = await readArray(images, options);
  const shape = dimensions.length === 3
    ? [...dimensions.slice(1), 1]
    : dimensions.length === 1
    ? [1]
    : dimensions.slice(1);
  if (options.labels === undefined) return new Dataset({ data, shape, name });
  const labels = await readLabels(options.labels, dimensions[0], options);
  return new Dataset({
    data,
    shape,
    name,
    labels: Uint32Array.from(labels),
    classNames,
  });
}

const MNIST_OPTIONS = { ...READ_OPTIONS, split: "train" } satisfies OptionTable<MnistOptions>;

/**
 * Reads MNIST, or a set of ten classes in the same files, from a folder.
 *
 * Reference: Y. LeCun, C. Cortes, C. Burges (1998), The MNIST database of handwritten digits.
 *
 * @param folder Where `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the like lie, with or without `.gz`.
 * @param options Which part, limit.
 * @returns Grey images of shape `[rows, columns, 1]`, with labels 0 to 9.
 * @throws {DatasetError} If a file is missing or damaged, or a label is above 9.
 * @throws {RangeError} If `split` is not one of its choices, or the limit not a whole number.
 * @throws {TypeError} If there is no such option.
 *
 * @example The published files in a folder `mnist`
 * ```ts ignore
 * const digits = await readMnist("mnist", { split: "test" });
 * ```
 *
 * @example Files of one image of 1 × 2 pixels, a seven
 * ```ts
 * import { readMnist } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * const write = (name: string, ...bytes: number[]) =>
 *   Deno.writeFile(`${folder}/t10k-${name}-ubyte`, Uint8Array.from(bytes));
 * await write("images-idx3", 0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255);
 * await write("labels-idx1", 0, 0, 8, 1, 0, 0, 0, 1, 7);
 * const { shape, labels } = await readMnist(folder, { split: "test" });
 * assert.deepEqual([shape, labels?.[0]], [[1, 2, 1], 7]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function readMnist(
  folder: string,
  options: MnistOptions = {},
): Promise<Dataset> {
  const { split, ...rest } = readOptions(`read ${folder}`, options, MNIST_OPTIONS);
  checkOneOf(`read ${folder}`, "split", split, ["train", "test"]);
  const part = split === "train" ? "train" : "t10k";
  return await readIdx(await findFile(folder, `${part}-images-idx3-ubyte`), {
    ...rest,
    labels: await findFile(folder, `${part}-labels-idx1-ubyte`),
    classNames: Array.from({ length: 10 }, (_, digit) => String(digit)),
    name: `mnist ${split}`,
  });
}

interface IdxArray {
  /** As the file declares them; a limit does not change them. */
  readonly dimensions: readonly number[];
  readonly bytes: Uint8Array;
}

async function readArray(
  file: string | Blob,
  options: ReadOptions,
): Promise<IdxArray> {
  const limit = checkLimit(options.limit);
  await using reader = await ByteReader.open(file, options.signal);
  const dimensions = await readDimensions(reader);
  const count = Math.min(limit, dimensions[0]);
  const itemSize = sizeOf(dimensions.slice(1));
  if (!(dimensions[0] * itemSize <= reader.most)) {
    throw new DatasetError(
      reader.file,
      `dimensions ${dimensions.join(" × ")} in a file too small for them`,
      `${dimensions[0] * itemSize} bytes`,
    );
  }
  const bytes = allocate(reader.file, count * itemSize);
  // About a megabyte at a time, so that progress is seen and an abort is heard.
  const step = Math.max(1, Math.floor(2 ** 20 / itemSize));
  for (let done = 0; done < count; done += step) {
    const end = Math.min(count, done + step);
    await reader.fillAll(
      bytes.subarray(done * itemSize, end * itemSize),
      `items ${done} to ${end - 1}`,
    );
    options.onProgress?.(end, count);
  }
  if (count === dimensions[0]) {
    await reader.expectEnd(
      `${count} items of ${itemSize} bytes, as the header says`,
    );
  }
  return { dimensions, bytes };
}

async function readDimensions(reader: ByteReader): Promise<number[]> {
  const magic = new Uint8Array(4);
  await reader.fillAll(magic, "magic number");
  const rank = magic[3];
  if (magic[0] || magic[1] || magic[2] !== 8 || rank < 1 || rank > 4) {
    throw new DatasetError(
      reader.file,
      `first bytes [${magic.join(", ")}]`,
      "[0, 0, 8, 1 to 4], the magic of IDX with unsigned bytes",
    );
  }
  const sizes = new DataView(new ArrayBuffer(4 * rank));
  await reader.fillAll(new Uint8Array(sizes.buffer), "dimensions");
  const dimensions = Array.from(
    { length: rank },
    (_, axis) => sizes.getUint32(4 * axis),
  );
  if (dimensions.includes(0)) {
    throw new DatasetError(
      reader.file,
      `dimensions ${dimensions.join(" × ")}`,
      "positive ones",
    );
  }
  return dimensions;
}

async function readLabels(
  file: string | Blob,
  total: number,
  { classNames, limit, signal }: IdxOptions,
): Promise<Uint8Array> {
  const { dimensions, bytes } = await readArray(file, { limit, signal });
  if (dimensions.length !== 1 || dimensions[0] !== total) {
    throw new DatasetError(
      nameOf(file),
      `labels of dimensions ${dimensions.join(" × ")}`,
      `${total}, one for each item`,
    );
  }
  const classes = classNames?.length ?? 256;
  const bad = bytes.findIndex((label) => label >= classes);
  if (bad >= 0) {
    throw new DatasetError(
      nameOf(file),
      `label ${bytes[bad]} at position ${bad}`,
      `labels below ${classes}`,
    );
  }
  return bytes;
}
