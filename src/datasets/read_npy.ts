/**
 * NumPy arrays as data sets, from `.npy` files and `.npz` archives.
 *
 * @module
 */
import { DatasetError } from "../errors.ts";
import { checkLimit } from "./_checks.ts";
import { readBytes } from "./_files.ts";
import { itemShape } from "./_npy_header.ts";
import { ZipArchive } from "./_zip.ts";
import { Dataset } from "./dataset.ts";
import { decodeNpy, type NpyArray } from "./npy.ts";
import type { ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readNpy}. */
export interface NpyOptions extends ReadOptions {
  /** A `.npy` file with one whole number ≥ 0 per item. Default: no labels. */
  readonly labels?: string;
  /** A name for each class; labels beyond them are an error. Default: the class numbers. */
  readonly classNames?: readonly string[];
  /** The data set's name. Default: the path. */
  readonly name?: string;
}

/** Options of {@linkcode readNpz}. */
export interface NpzOptions extends Omit<NpyOptions, "labels"> {
  /** The array's name within the archive. Default: the only one that is not the labels. */
  readonly key?: string;
  /** The name of the array of labels. Default `"labels"`, if there is one. */
  readonly labels?: string;
}

/** Above this many bytes an array is refused: no typed array holds more. */
const MOST = 2 ** 33;

/**
 * Reads a `.npy` file, gzipped or not, as a data set.
 *
 * Bytes `[N, height, width]` and `[N, height, width, channels]` become images of
 * range `[-1, 1]`. Floats are taken as they are, in float32: `[N, d]` are points,
 * `[N, height, width, channels]` images in `[-1, 1]`.
 *
 * @param path The file.
 * @param options A file of labels, names, limit.
 * @returns The data set.
 * @throws {DatasetError} If a file is missing, damaged, of another type, or holds a number that is not finite.
 * @throws {RangeError} If the limit is not a whole number `≥ 1`.
 *
 * @example
 * ```ts
 * import { encodeNpy, readNpy } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npy" });
 * await Deno.writeFile(file, encodeNpy(Float32Array.of(1, 2, 3, 4), [2, 2]));
 * assert.deepEqual([...(await readNpy(file)).values(1)], [3, 4]);
 * await Deno.remove(file);
 * ```
 */
export async function readNpy(
  path: string,
  options: NpyOptions = {},
): Promise<Dataset> {
  const { signal, labels, name = path } = options;
  const array = decodeNpy(await readBytes(path, MOST, signal), path);
  return toDataset(
    array,
    path,
    labels === undefined
      ? undefined
      : [decodeNpy(await readBytes(labels, MOST, signal), labels), labels],
    { ...options, name },
  );
}

/**
 * Reads an array of a `.npz` archive as a data set, by the rules of {@linkcode readNpy}.
 *
 * @param path The archive.
 * @param options Which arrays, names, limit.
 * @returns The data set.
 * @throws {DatasetError} If the archive is missing or damaged, or does not hold such an array.
 * @throws {RangeError} If the limit is not a whole number `≥ 1`.
 *
 * @example
 * ```ts
 * import { encodeNpy, readNpz } from "@closedform/diffusion";
 * import { zipSync } from "fflate";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npz" });
 * await Deno.writeFile(file, zipSync({
 *   "x.npy": encodeNpy(Float32Array.of(1, 2, 3, 4), [2, 2]),
 *   "labels.npy": encodeNpy(Int32Array.of(0, 1), [2]),
 * }));
 * const set = await readNpz(file);
 * assert.equal(set.summary(), `${file}: 2 items of 2 floats in 2 classes`);
 * await Deno.remove(file);
 * ```
 */
export async function readNpz(
  path: string,
  options: NpzOptions = {},
): Promise<Dataset> {
  const { name = path, signal } = options;
  using archive = await ZipArchive.open(path, MOST, MOST);
  const entries = new Map(
    archive.entries.flatMap((entry) =>
      entry.name.endsWith(".npy") ? [[entry.name.slice(0, -4), entry]] : []
    ),
  );
  const keys = [...entries.keys()];
  const labelsKey = options.labels ??
    (entries.has("labels") ? "labels" : undefined);
  const others = keys.filter((key) => key !== labelsKey);
  const key = options.key ?? (others.length === 1 ? others[0] : undefined);
  const load = async (wanted: string): Promise<[NpyArray, string]> => {
    signal?.throwIfAborted();
    const entry = entries.get(wanted)!;
    const file = `${path}/${entry.name}`;
    return [decodeNpy(await archive.read(entry), file), file];
  };
  for (const wanted of [key, labelsKey ?? key]) {
    if (wanted === undefined || !entries.has(wanted)) {
      throw new DatasetError(
        path,
        `the arrays [${keys.join(", ")}]`,
        wanted === undefined ? "a single one, or the option key to choose" : `one named ${wanted}`,
      );
    }
  }
  const [array, file] = await load(key!);
  const labels = labelsKey === undefined ? undefined : await load(labelsKey);
  return toDataset(array, file, labels, { ...options, name });
}

function toDataset(
  array: NpyArray,
  file: string,
  labels: [NpyArray, string] | undefined,
  options: { limit?: number; name: string; classNames?: readonly string[] },
): Dataset {
  const limit = checkLimit(options.limit);
  const shape = itemShape(array, file);
  const set = new Dataset({
    data: toRows(array, file),
    shape,
    labels: labels && toLabels(...labels, array.shape[0], options.classNames?.length),
    classNames: options.classNames,
    name: options.name,
  });
  return limit < set.count ? set.take(limit) : set;
}

function toRows(
  { data, dtype }: NpyArray,
  file: string,
): Uint8Array | Float32Array {
  if (data instanceof Uint8Array || data instanceof Float32Array) return data;
  if (dtype !== "f8") {
    throw new DatasetError(file, `numbers of type ${dtype}`, "u1, f4 or f8");
  }
  const rows = Float32Array.from(data);
  const bad = rows.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    throw new DatasetError(
      file,
      `${data[bad]} at position ${bad}`,
      "numbers within the range of float32",
    );
  }
  return rows;
}

function toLabels(
  { data, shape, dtype }: NpyArray,
  file: string,
  count: number,
  classes: number = 2 ** 16,
): Uint32Array {
  if (shape.length !== 1 || shape[0] !== count || dtype[0] === "f") {
    throw new DatasetError(
      file,
      `labels of shape [${shape}] and type ${dtype}`,
      `[${count}] whole numbers`,
    );
  }
  const bad = data.findIndex((label) => label < 0 || label >= classes);
  if (bad >= 0) {
    throw new DatasetError(
      file,
      `label ${data[bad]} at position ${bad}`,
      `labels from 0 to ${classes - 1}`,
    );
  }
  return Uint32Array.from(data);
}
