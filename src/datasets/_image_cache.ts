/**
 * Decoded images on disk, so that images are decoded once, under a key of what their files hold: that takes reading
 * them all, and about 1.3 s per GB for the digests.
 *
 * The payload of the cache is `height, width, channels (3 × 4, little-endian) | pixels`.
 */
import { cacheKey, readCached, writeCached } from "../base/_cache_file.ts";
import type { CacheFormat } from "../base/_cache_file.ts";
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
const SHAPE_BYTES = 12;

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
  const format = formatOf(files.length);
  const kept = await readCached(folder, await keyOf(files, digests, options), format);
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
  await writeCached(folder, await keyOf(files, decoded, options), format, images);
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

/** How the images of `count` files are kept. */
function formatOf(count: number): CacheFormat<ImageArray> {
  return {
    magic: MAGIC,
    suffix: "images",
    decode(payload) {
      if (payload.length < SHAPE_BYTES) return undefined;
      const view = new DataView(payload.buffer, payload.byteOffset, SHAPE_BYTES);
      const shape = [0, 1, 2].map((k) => view.getUint32(4 * k, true));
      const data = payload.subarray(SHAPE_BYTES);
      return data.length === count * shape[0] * shape[1] * shape[2] ? { data, shape } : undefined;
    },
    encode({ data, shape }) {
      const sizes = new Uint8Array(SHAPE_BYTES);
      shape.forEach((n, k) => new DataView(sizes.buffer).setUint32(4 * k, n, true));
      return [sizes, data];
    },
  };
}
