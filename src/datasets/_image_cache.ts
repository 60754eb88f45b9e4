/**
 * Decoded images on disk, so that a folder is decoded once.
 *
 * The payload of the cache is `height, width, channels (3 × 4, little-endian) | pixels`.
 */
import { cacheKey, readCacheFile, writeCacheFile } from "../_cache_file.ts";
import type { ImageFile } from "./_image_source.ts";

/** Decoded images of one shape. */
export interface ImageArray {
  readonly data: Uint8Array;
  /** Height, width, channels. */
  readonly shape: readonly number[];
}

const MAGIC = "CFIMAGE3";
const SHAPE_SIZE = 12;

/** What a cache is valid for: the names, sizes and times of the files, and the options. */
export async function imageCacheKey(
  files: readonly ImageFile[],
  options: unknown,
): Promise<Uint8Array> {
  return await cacheKey(
    JSON.stringify([options, files.map(({ name, stamp }) => [name, stamp])]),
  );
}

/** The cached images; nothing if there is no cache, or it is stale or damaged. */
export async function readCache(
  file: string,
  key: Uint8Array,
  count: number,
): Promise<ImageArray | undefined> {
  const payload = await readCacheFile(file, MAGIC, key);
  if (!payload || payload.length < SHAPE_SIZE) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, SHAPE_SIZE);
  const shape = [0, 1, 2].map((k) => view.getUint32(4 * k, true));
  const data = payload.subarray(SHAPE_SIZE);
  return data.length === count * shape[0] * shape[1] * shape[2] ? { data, shape } : undefined;
}

/** Writes a cache, whole or not at all; a place that cannot be written to goes without. */
export async function writeCache(
  file: string,
  key: Uint8Array,
  { data, shape }: ImageArray,
): Promise<void> {
  const sizes = new Uint8Array(SHAPE_SIZE);
  shape.forEach((n, k) => new DataView(sizes.buffer).setUint32(4 * k, n, true));
  await writeCacheFile(file, MAGIC, key, [sizes, data]);
}
