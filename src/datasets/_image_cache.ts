/**
 * Decoded images on disk, so that images are decoded once, under a key of what their files hold: that takes reading
 * them all, and about 1.3 s per GB for the digests.
 *
 * The payload of the cache is `height, width, channels (3 × 4, little-endian) | pixels`.
 */
import {
  cacheFileIn,
  cacheKey,
  makeCacheFolder,
  readCacheFile,
  writeCacheFile,
} from "../base/_cache_file.ts";
import { sha256 } from "../base/_sha256.ts";
import type { ImageFile } from "./_image_source.ts";

/** Decoded images of one shape. */
export interface ImageArray {
  readonly data: Uint8Array;
  /** Height, width, channels. */
  readonly shape: readonly number[];
}

/** Changes whenever images are decoded otherwise. */
const MAGIC = "CFIMAGE4";
const SHAPE_SIZE = 12;

/**
 * The images of some files, decoded now or before.
 *
 * @param folder The folder of caches.
 * @param files The files.
 * @param options What else the pixels depend on.
 * @param decode Decodes files, each of which it reads once and in order.
 * @param atOnce Files that may be read at the same time: of small ones, waiting takes longer than reading.
 * @param signal Cancels the reading.
 */
export async function throughImageCache(
  folder: string,
  files: readonly ImageFile[],
  options: unknown,
  decode: (files: readonly ImageFile[]) => Promise<ImageArray>,
  atOnce: number,
  signal?: AbortSignal,
): Promise<ImageArray> {
  const digests: string[] = [];
  for (let i = 0; i < files.length; i += atOnce) {
    signal?.throwIfAborted();
    const some = files.slice(i, i + atOnce);
    digests.push(
      ...await Promise.all(some.map(async ({ read }) => await digestOf(await read(signal)))),
    );
  }
  const key = await keyOf(files, digests, options);
  const kept = await readCache(folder, key, files.length);
  if (kept) return kept;
  // A file may change before it is decoded: the key is that of the bytes which were.
  const decoded: string[] = [];
  const images = await decode(files.map((file, i) => ({
    ...file,
    async read(signal?: AbortSignal) {
      const bytes = await file.read(signal);
      decoded[i] = await digestOf(bytes);
      return bytes;
    },
  })));
  await makeCacheFolder(folder);
  await writeCache(folder, await keyOf(files, decoded, options), images);
  return images;
}

async function digestOf(bytes: Uint8Array): Promise<string> {
  // Half the time of the web's digest.
  return (await sha256([bytes])).toHex();
}

/** What a cache is valid for: names and contents of the files, and the options. */
async function keyOf(
  files: readonly ImageFile[],
  digests: readonly string[],
  options: unknown,
): Promise<Uint8Array> {
  return await cacheKey(JSON.stringify([options, files.map(({ name }, i) => [name, digests[i]])]));
}

/** The cached images; nothing if there is no cache, or it is stale or damaged. */
async function readCache(
  folder: string,
  key: Uint8Array,
  count: number,
): Promise<ImageArray | undefined> {
  const payload = await readCacheFile(cacheFileIn(folder, key, "images"), MAGIC, key);
  if (!payload || payload.length < SHAPE_SIZE) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, SHAPE_SIZE);
  const shape = [0, 1, 2].map((k) => view.getUint32(4 * k, true));
  const data = payload.subarray(SHAPE_SIZE);
  return data.length === count * shape[0] * shape[1] * shape[2] ? { data, shape } : undefined;
}

/** Writes a cache, whole or not at all; a place that cannot be written to goes without. */
async function writeCache(
  folder: string,
  key: Uint8Array,
  { data, shape }: ImageArray,
): Promise<void> {
  const sizes = new Uint8Array(SHAPE_SIZE);
  shape.forEach((n, k) => new DataView(sizes.buffer).setUint32(4 * k, n, true));
  await writeCacheFile(cacheFileIn(folder, key, "images"), MAGIC, key, [sizes, data]);
}
