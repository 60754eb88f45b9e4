/**
 * NumPy arrays as data sets, from `.npy` files and `.npz` archives.
 *
 * @module
 */
import { note } from "../base/_note.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { isImage, sizeOf } from "../base/_shape.ts";
import { type Interruptible, inTurns } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { checkLimit } from "./_checks.ts";
import { itemsOf, moveChannels, rangeOf } from "./_npy_items.ts";
import { readArray, readArrayFile } from "./_read_array.ts";
import { ZipArchive } from "./_zip.ts";
import { Dataset } from "./dataset.ts";
import type { NpyArray } from "./npy.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";

/** Options of {@linkcode readNpy}. */
export interface NpyOptions extends ReadOptions {
  /** A `.npy` file with one whole number ≥ 0 per item. Default: no labels. */
  readonly labels?: string;
  /** A name for each class; labels beyond them are an error. Default: the class numbers. */
  readonly classNames?: readonly string[];
  /**
   * The order of the axes of images: `"channels-last"`, `"channels-first"`, or `"flat"` if items are points whatever
   * axes they have. Default: recognised, as {@linkcode readNpy} says, and an error if that leaves a choice.
   */
  readonly layout?: "channels-last" | "channels-first" | "flat";
  /**
   * What bytes 0 and 255 stand for; of floats, what is drawn black and white. Default: `[-1, 1]` for bytes; for images
   * of floats what the numbers show, as {@linkcode readNpy} says.
   */
  readonly range?: readonly [number, number];
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

const OPTIONS = {
  ...READ_OPTIONS,
  labels: undefined,
  classNames: undefined,
  layout: undefined,
  range: undefined,
  name: undefined,
} satisfies OptionTable<NpyOptions>;

/**
 * Reads a `.npy` file, gzipped or not, as a data set.
 *
 * `[N]` and `[N, d]` are points, `[N, height, width]` images without colour, arrays of four axes images: with channels
 * last if there are 1, 3 or 4 in the last axis, with channels first if there are 1 or 3 in the second one; these are put
 * last. What may be both or neither is an error without the option `layout`, and so is `[N, height, width]` of 3 or
 * 4 columns and more rows, which may hold points.
 *
 * Bytes are of range `[-1, 1]`. All other numbers are taken as they are, in float32; their images are drawn in `[0, 1]`
 * or `[-1, 1]`, the first that holds all numbers but for an excess by a twentieth of its width, or in `[0, 255]` if that
 * holds all and the largest is in its upper half, else between the least and the largest. What is recognised or
 * rounded is told in a line.
 *
 * @param path The file.
 * @param options A file of labels, names, limit, layout, range.
 * @returns The data set.
 * @throws {DatasetError} If a file is missing, damaged, of another type or an unknown layout, or holds a number that is
 * not finite.
 * @throws {RangeError} If the limit is not a whole number `≥ 1`, there is no such layout, or the range does not rise.
 * @throws {TypeError} If there is no such option.
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
  const { signal, labels, name = path } = readOptions(`read ${path}`, options, OPTIONS);
  return await toDataset(
    await readArrayFile(path, signal),
    path,
    labels === undefined ? undefined : [await readArrayFile(labels, signal), labels],
    { ...options, name },
  );
}

const NPZ_OPTIONS = { ...OPTIONS, key: undefined } satisfies OptionTable<NpzOptions>;

/**
 * Reads an array of a `.npz` archive as a data set, by the rules of {@linkcode readNpy}.
 *
 * @param path The archive.
 * @param options Which arrays, names, limit, layout, range.
 * @returns The data set.
 * @throws {DatasetError} If the archive is missing or damaged, or does not hold such an array.
 * @throws {RangeError} If the limit is not a whole number `≥ 1`, there is no such layout, or the range does not rise.
 * @throws {TypeError} If there is no such option.
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
  const { name = path, signal } = readOptions(`read ${path}`, options, NPZ_OPTIONS);
  using archive = await ZipArchive.open(path, MOST, MOST, signal);
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
    await using reader = archive.open(entry, signal);
    return [await readArray(reader, signal), file];
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
  return await toDataset(array, file, labels, { ...options, name });
}

async function toDataset(
  array: NpyArray,
  file: string,
  labels: [NpyArray, string] | undefined,
  options: NpyOptions & { name: string },
): Promise<Dataset> {
  const limit = checkLimit(options.limit);
  const { shape, channelsFirst, found } = itemsOf(array, file, options.layout);
  const say = (line: string) => note(`${file}: ${line}`, options.onNote);
  if (found) say(`[${array.shape}] is taken as ${found}`);
  const { rows, change } = await inTurns(toRows(array, file), options.signal);
  if (change) say(change);
  const taken = rows.subarray(0, limit * sizeOf(shape));
  // What is a view of the file's bytes belongs to nobody else.
  if (channelsFirst) moveChannels(taken, channelsFirst);
  const drawn = options.range === undefined && taken instanceof Float32Array && isImage(shape);
  const range = drawn ? rangeOf(taken) : options.range;
  if (drawn && range!.join() !== "-1,1") {
    say(`numbers are drawn black to white from ${range![0]} to ${range![1]}`);
  }
  const set = new Dataset({
    data: rows,
    shape,
    labels: labels && toLabels(...labels, array.shape[0], options.classNames?.length),
    classNames: options.classNames,
    range,
    name: options.name,
  });
  return limit < set.count ? set.take(limit) : set;
}

/** Numbers between two turns of others. */
const TURN = 2 ** 16;

/** Bytes and float32 as they are, all else as float32. */
function* toRows(
  { data, dtype }: NpyArray,
  file: string,
): Interruptible<{ rows: Uint8Array | Float32Array; change?: string }> {
  if (dtype === "u1") return { rows: data as Uint8Array };
  if (data instanceof Float32Array) return { rows: data };
  const rows = new Float32Array(data);
  let changed = false;
  for (let i = 0; i < rows.length; i++) {
    if (!(Math.abs(rows[i]) < Infinity)) {
      throw new DatasetError(
        file,
        `${data[i]} at position ${i}`,
        "numbers within the range of float32",
      );
    }
    changed ||= rows[i] !== data[i];
    if (i % TURN === TURN - 1) yield;
  }
  return {
    rows,
    change: `numbers of type ${dtype} are ${changed ? "rounded to" : "held as"} float32`,
  };
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
