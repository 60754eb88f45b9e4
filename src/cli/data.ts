/**
 * The data of a run: in memory, or left on disk.
 *
 * @module
 */
import { stat } from "../datasets/_files.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { openRows } from "../datasets/file_rows.ts";
import type { FileRows } from "../datasets/file_rows.ts";
import { loadDataset } from "../datasets/load.ts";
import type { LoadOptions } from "../datasets/load.ts";
import { DatasetError } from "../base/errors.ts";
import type { RunRequest } from "./options.ts";
import { UsageError } from "./values.ts";
import type { RunData } from "./run_data.ts";

/** Arrays beyond this many bytes are not loaded. */
const MOST_LOADED = 2 ** 30;
/** Reading that takes longer is told of so often, in milliseconds. */
const PACE = 3000;
/** Images of more numbers than this take long, and show no more. */
const LARGE = 2 ** 18;
/** Items of a streamed set that are loaded for pictures. */
const PREVIEW = 5000;
/** But no more bytes of them than this. */
const PREVIEW_BYTES = 2 ** 24;

/**
 * Opens the data that the options name.
 *
 * @param options The options.
 * @param say Tells how far the reading is, and what is passed over.
 * @throws {UsageError} If there are no such data.
 * @throws {DatasetError} If they cannot be read.
 */
export async function openData(
  options: RunRequest,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<RunData> {
  try {
    const { data, layout } = options;
    if (layout !== undefined && !/^np[yz]:/.test(data)) {
      throw new UsageError(
        `Cannot use --layout with --data ${data}: wanted npy:FILE or npz:FILE`,
      );
    }
    const rows = await rowsOf(options, say);
    if (!rows) {
      const { limit } = options;
      const dataset = await loadDataset(data, { limit, layout, signal, ...telling(say) });
      if (data.startsWith("images:") && dataset.dimension > LARGE) say(advice(dataset, data));
      return inMemory(dataset, options);
    }
    if (options.stream || bytesOf(rows) > MOST_LOADED) return await onDisk(rows, options, signal);
    using closing = rows;
    return inMemory(await closing.take(rows.count, signal), options);
  } catch (error) {
    if (error instanceof RangeError && !signal?.aborted) throw new UsageError(error.message);
    throw error;
  }
}

function advice({ shape: [height, width] }: Dataset, data: string): string {
  return `images of ${width}×${height} pixels take long; ${data}:64 makes them smaller`;
}

/**
 * Tells in lines how far the reading of a data set is, if it takes long, and what is passed over or recognised.
 *
 * @param say Tells a line.
 * @returns Options of `loadDataset`.
 */
export function telling(
  say: (line: string) => void,
): Pick<LoadOptions, "onProgress" | "onNote"> {
  let told = performance.now();
  return {
    onProgress(done, total) {
      if (done === total || performance.now() - told < PACE) return;
      told = performance.now();
      say(`read ${done} of ${total} items`);
    },
    onNote: say,
  };
}

/** The rows of a file that is to be streamed, or is too large to be loaded whole. */
async function rowsOf(
  { data, stream, limit, layout }: RunRequest,
  onNote: (line: string) => void,
): Promise<FileRows | undefined> {
  const [, path] = /^npy:(.+)$/s.exec(data) ?? [];
  if (stream && path === undefined) {
    throw new UsageError(`Cannot use --stream with --data ${data}: wanted npy:FILE`);
  }
  if (path === undefined || (!stream && await sizeOf(path) <= MOST_LOADED)) return undefined;
  try {
    return await openRows(path, { limit, layout, onNote });
  } catch (error) {
    // A large file that cannot be streamed, such as a gzipped one, may still be loaded.
    if (stream || !(error instanceof DatasetError)) throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path, "a .npy file")).size;
}

function bytesOf({ count, dimension, bytes }: FileRows): number {
  return count * dimension * (bytes ? 1 : 4);
}

async function onDisk(
  rows: FileRows,
  options: RunRequest,
  signal?: AbortSignal,
): Promise<RunData> {
  try {
    const most = Math.floor(PREVIEW_BYTES * rows.count / bytesOf(rows));
    const preview = await rows.take(Math.max(1, Math.min(PREVIEW, most)), signal);
    const { dataset } = inMemory(preview, options);
    return { dataset, rows, [Symbol.dispose]: () => rows.close() };
  } catch (error) {
    rows.close();
    throw error;
  }
}

/** Restricts a data set to a class; rows on disk have no labels, which is an error here. */
function inMemory(all: Dataset, options: RunRequest): RunData {
  const dataset = options.class === undefined ? all : all.classSubset(options.class);
  return { dataset, [Symbol.dispose]: () => {} };
}
