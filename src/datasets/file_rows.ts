/**
 * Data sets that stay on disk: the rows of a `.npy` file, read piece by piece.
 *
 * @module
 */
import { cacheKey } from "../base/_cache_file.ts";
import { note } from "../base/_note.ts";
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { sha256 } from "../base/_sha256.ts";
import { isImage, sizeOf } from "../base/_shape.ts";
import type { PointSource } from "../compute/point_source.ts";
import { DatasetError } from "../base/errors.ts";
import { checkLimit } from "./_checks.ts";
import { ContentGuard } from "./_content_guard.ts";
import { allocate, fileError, stat } from "./_files.ts";
import { HEADER_MOST, readNpyHeader } from "./_npy_header.ts";
import { type Items, itemsOf, moveChannels, rangeOf } from "./_npy_items.ts";
import { Dataset } from "./dataset.ts";
import type { NpyOptions } from "./read_npy.ts";

/** Options of {@linkcode openRows}. */
export interface OpenRowsOptions extends Pick<NpyOptions, "layout" | "range" | "onNote"> {
  /** Takes only the first items. Default: all. */
  readonly limit?: number;
  /** A name for people to read. Default: the path. */
  readonly name?: string;
}

/** A data set that stays on disk. Close it after use. */
export interface FileRows extends PointSource, Disposable {
  /** A name for people to read. */
  readonly name: string;
  /** The shape of one item, channels last. */
  readonly shape: readonly number[];
  /** For bytes: the values that 0 and 255 stand for; for floats, what is drawn black and white. */
  readonly range: readonly [number, number];
  /**
   * The first items, in memory.
   *
   * @param count How many; all of them if there are fewer.
   * @param signal Cancels the reading.
   * @returns A data set of them.
   * @throws {RangeError} If `count` is not a whole number ≥ 1.
   */
  take(count: number, signal?: AbortSignal): Promise<Dataset>;
  /**
   * The SHA-256 of all rows with their shape and range, which is that of the same data in memory. It takes one
   * reading of all rows, the first time, and about 1.3 s per GB besides.
   *
   * @param signal Cancels the reading.
   * @returns Hexadecimal digits.
   */
  digest(signal?: AbortSignal): Promise<string>;
  /** One line about the set, like {@linkcode Dataset.summary}. */
  summary(): string;
  /** Closes the file. */
  close(): void;
}

const OPTIONS = {
  limit: undefined,
  name: undefined,
  layout: undefined,
  range: undefined,
  onNote: undefined,
} satisfies OptionTable<OpenRowsOptions>;

/**
 * Opens a `.npy` file of bytes or float32 whose rows are to be read piece by piece, for data larger
 * than memory: nothing but its header is read now, and of images of floats some rows, for their range. Items are taken as
 * by `readNpy`.
 *
 * @param path The file: `|u1` or `<f4` numbers of shape `[N, …shape]` in C order, not gzipped.
 * @param options A limit, a name, layout, range.
 * @returns The rows, to be given to `optimalStreamed()` or `streamStore()`.
 * @throws {DatasetError} If the file is missing, damaged, too short or too long, or of another type. So does any reading of
 * a file that was changed since it was opened.
 * @throws {RangeError} If the limit is not a whole number ≥ 1, there is no such layout, or the range does not rise.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { encodeNpy, openRows } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npy" });
 * await Deno.writeFile(file, encodeNpy(Uint8Array.of(1, 2, 3, 4, 5, 6), [3, 2]));
 * using rows = await openRows(file);
 * const target = new Uint8Array(4);
 * await rows.read(1, 2, target);
 * assert.deepEqual([...target], [3, 4, 5, 6]);
 * await Deno.remove(file);
 * ```
 */
export async function openRows(path: string, options: OpenRowsOptions = {}): Promise<FileRows> {
  checkOptionNames(`open ${path}`, options, OPTIONS);
  const limit = checkLimit(options.limit);
  const { isFile, size } = await stat(path, "a .npy file");
  if (!isFile) throw new DatasetError(path, "a folder, device or pipe", "a .npy file");
  const file = await Deno.open(path).catch((error) => {
    throw fileError(path, "a readable file", error);
  });
  try {
    const lead = new Uint8Array(Math.min(size, HEADER_MOST));
    await readAt(file, path, 0, lead);
    const header = readNpyHeader(lead, size, path);
    const { dtype, bigEndian, fortran } = header;
    if (fortran || bigEndian || !["u1", "f4"].includes(dtype)) {
      const order = `${bigEndian ? "big" : "little"}-endian, ${fortran ? "Fortran" : "C"} order`;
      throw new DatasetError(
        path,
        `numbers of type ${dtype} (${order})`,
        "u1 or little-endian f4 in C order, to stream them",
      );
    }
    const items = itemsOf(header, path, options.layout);
    const count = Math.min(limit, header.shape[0]);
    const name = options.name ?? path;
    const guard = await ContentGuard.of(file, path);
    const rows = new NpyRows(file, path, name, header.start, count, items, dtype === "u1", guard);
    const say = (line: string) => note(`${path}: ${line}`, options.onNote);
    if (items.found) say(`[${header.shape}] is taken as ${items.found}`);
    await rows.setRange(options.range, say);
    return rows;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Bytes read at a time for a digest. */
const DIGEST_BYTES = 2 ** 24;
/** Numbers that tell the range of images. */
const MOST_OF_RANGE = 2 ** 22;

class NpyRows implements FileRows {
  range: readonly [number, number] = [-1, 1];
  readonly shape: readonly number[];
  readonly dimension: number;
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #start: number;
  readonly #guard: ContentGuard;
  #digest?: string;
  readonly #channelsFirst: readonly number[] | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #open = true;

  constructor(
    file: Deno.FsFile,
    path: string,
    readonly name: string,
    start: number,
    readonly count: number,
    { shape, channelsFirst }: Items,
    readonly bytes: boolean,
    guard: ContentGuard,
  ) {
    this.#file = file;
    this.#path = path;
    this.#start = start;
    this.#guard = guard;
    this.#channelsFirst = channelsFirst;
    this.shape = shape;
    this.dimension = sizeOf(shape);
  }

  async read(
    firstRow: number,
    rows: number,
    target: Uint8Array | Float32Array,
    signal?: AbortSignal,
  ): Promise<void> {
    this.#checkRead(firstRow, rows, target);
    // The file has one position: reads take turns.
    const turn = this.#queue.then(async () => {
      signal?.throwIfAborted();
      const from = this.#start + firstRow * this.dimension * target.BYTES_PER_ELEMENT;
      const { buffer, byteOffset, byteLength } = target;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      await readAt(this.#file, this.#path, from, bytes);
      this.#guard.check(from - this.#start, bytes);
      if (firstRow + rows === this.count) this.#guard.checkEnd();
    });
    this.#queue = turn.catch(() => {});
    await turn;
    if (target instanceof Float32Array) this.#checkFinite(target, firstRow);
    if (this.#channelsFirst) moveChannels(target, this.#channelsFirst);
  }

  /** Takes a range, or that of rows which are spread evenly over the file. */
  async setRange(
    range: readonly [number, number] | undefined,
    say: (line: string) => void,
  ): Promise<void> {
    const { bytes, shape, count, dimension } = this;
    if (range || bytes || !isImage(shape)) {
      this.range = range ?? this.range;
      return;
    }
    const looked = Math.min(count, Math.max(1, Math.floor(MOST_OF_RANGE / dimension)));
    const some = new Float32Array(looked * dimension);
    for (let k = 0; k < looked; k++) {
      const row = some.subarray(k * dimension, (k + 1) * dimension);
      await this.read(Math.floor(k * count / looked), 1, row);
    }
    const [black, white] = this.range = rangeOf(some);
    if (black === -1 && white === 1) return;
    const items = looked < count ? `, by ${looked} of ${count} items` : "";
    say(`numbers are drawn black to white from ${black} to ${white}${items}`);
  }

  async take(count: number, signal?: AbortSignal): Promise<Dataset> {
    const { name, shape, dimension, range } = this;
    const rows = Math.min(this.count, checkLimit(count));
    const bytes = allocate(this.#path, rows * dimension * (this.bytes ? 1 : 4));
    const data = this.bytes ? bytes : new Float32Array(bytes.buffer);
    await this.read(0, rows, data, signal);
    return new Dataset({ data, shape, range, name });
  }

  async digest(signal?: AbortSignal): Promise<string> {
    return this.#digest ??= await this.#digestOf(signal);
  }

  async #digestOf(signal?: AbortSignal): Promise<string> {
    const { count, dimension, shape, range } = this;
    const length = count * dimension * (this.bytes ? 1 : 4);
    const content = { length, sha256: await sha256(this.#parts(signal)) };
    return (await cacheKey(JSON.stringify([shape, range]), content)).toHex();
  }

  /** The numbers as bytes, each part in the place of the one before. */
  async *#parts(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { count, dimension } = this, size = this.bytes ? 1 : 4;
    const most = Math.max(1, Math.floor(DIGEST_BYTES / (dimension * size)));
    const buffer = new ArrayBuffer(Math.min(most, count) * dimension * size);
    for (let first = 0; first < count; first += most) {
      const numbers = Math.min(most, count - first) * dimension;
      const part = this.bytes
        ? new Uint8Array(buffer, 0, numbers)
        : new Float32Array(buffer, 0, numbers);
      await this.read(first, numbers / dimension, part, signal);
      yield new Uint8Array(buffer, 0, numbers * size);
    }
  }

  summary(): string {
    const { name, count, shape, bytes } = this;
    return `${name}: ${count.toLocaleString("en")} ${count === 1 ? "item" : "items"} of ${
      shape.join("×")
    } ${bytes ? "bytes" : "floats"}`;
  }

  close(): void {
    if (this.#open) this.#file.close();
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #checkRead(firstRow: number, rows: number, target: Uint8Array | Float32Array): void {
    const action = `Cannot read rows of ${this.name}`;
    if (!this.#open) throw new DatasetError(this.#path, "a file that was closed", "an open one");
    if (!Number.isInteger(firstRow) || !(firstRow >= 0 && firstRow + rows <= this.count)) {
      throw new RangeError(
        `${action}: received ${rows} from row ${firstRow}, wanted rows below ${this.count}`,
      );
    }
    const fits = target.length === rows * this.dimension &&
      (this.bytes ? target instanceof Uint8Array : target instanceof Float32Array);
    if (!fits) {
      throw new TypeError(
        `${action}: the target is a ${target.constructor.name} of ${target.length}, wanted a ${
          this.bytes ? "Uint8Array" : "Float32Array"
        } of ${rows * this.dimension}`,
      );
    }
  }

  #checkFinite(values: Float32Array, firstRow: number): void {
    for (let i = 0; i < values.length; i++) {
      // A plain loop: a callback per number takes longer than the reading.
      if (!(Math.abs(values[i]) < Infinity)) {
        const at = firstRow * this.dimension + i;
        throw new DatasetError(this.#path, `${values[i]} at position ${at}`, "finite numbers");
      }
    }
  }
}

/** Fills `target` with what the file holds from a place on. */
async function readAt(
  file: Deno.FsFile,
  path: string,
  from: number,
  target: Uint8Array,
): Promise<void> {
  let filled = 0;
  try {
    await file.seek(from, Deno.SeekMode.Start);
    while (filled < target.length) {
      const read = await file.read(target.subarray(filled));
      if (read === null) break;
      filled += read;
    }
  } catch (error) {
    throw fileError(path, "a readable file", error);
  }
  if (filled < target.length) {
    throw new DatasetError(
      path,
      `an end after ${(from + filled).toLocaleString("en")} bytes`,
      `at least ${(from + target.length).toLocaleString("en")}`,
    );
  }
}
