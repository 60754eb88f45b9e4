/**
 * Results on disk, so that they are computed once.
 *
 * ```text
 * magic (8) | key (32) | length of the payload (8, little-endian) | SHA-256 of the payload (32) | payload
 * ```
 *
 * A cache is taken whole or not at all: it is written under another name and renamed, and read only
 * if magic, key, length and digest fit. It is for the same user on the same machine: whoever can write to its folder
 * can forge it, so that readers check what they can of the payload too.
 */
import { granted, isFileSystemError, readRegular } from "./_file_system.ts";
import { hasRoom } from "./_memory.ts";
import { sha256 } from "./_sha256.ts";
import { folderOf, temporaryName } from "./_temporary_file.ts";

const HEADER = 8 + 32 + 8 + 32;
/** What is written takes minutes: after so many milliseconds without a change, a killed process left it. */
const ABANDONED = 24 * 60 * 60 * 1000;
/** Caches in the making, by their names. */
const PART = /^[0-9a-f]{32}\.[a-z]+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.part$/;

/** Bytes that were not in memory at once. */
export interface Digested {
  /** How many. */
  readonly length: number;
  readonly sha256: Uint8Array;
}

/** What a cache is valid for, as a key: the SHA-256 of the parts, each with its length. */
export async function cacheKey(
  ...parts: readonly (string | Uint8Array | Digested)[]
): Promise<Uint8Array> {
  const digests = new Uint8Array(40 * parts.length);
  for (const [k, part] of parts.entries()) {
    const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
    new DataView(digests.buffer).setBigUint64(40 * k, BigInt(bytes.length), true);
    digests.set("sha256" in bytes ? bytes.sha256 : await webSha256(bytes), 40 * k + 8);
  }
  return await webSha256(digests);
}

/** Of bytes in one piece, in a thread. */
async function webSha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/**
 * Where the cache of a key lies in a folder of caches.
 *
 * Without a path library: pages load this file too, and never have a cache.
 */
export function cacheFileIn(folder: string, key: Uint8Array, suffix: string): string {
  return `${folder}/${key.subarray(0, 16).toHex()}.${suffix}`;
}

/**
 * The payload of a cache; nothing if there is no cache, or it is stale, foreign, damaged or not to be read.
 *
 * @param file Where it is.
 * @param magic Eight letters: what it holds and in which format.
 * @param key What it must be valid for, 32 bytes.
 */
export async function readCacheFile(
  file: string,
  magic: string,
  key: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (!await granted("read", file)) return undefined;
  // What a header says is known but for the digest: nothing else is read further.
  const start = startOf(magic, key, 0);
  const isOurs = (head: Uint8Array, size: number) =>
    head.length === HEADER && hasRoom(size) && start.subarray(0, 40).every((byte, i) =>
      head[i] === byte
    ) &&
    new DataView(head.buffer).getBigUint64(40, true) === BigInt(size - HEADER);
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readRegular(file, isOurs, HEADER);
  } catch (error) {
    if (isFileSystemError(error)) return undefined;
    throw error;
  }
  if (!bytes || bytes.length < HEADER) return undefined;
  const payload = bytes.subarray(HEADER);
  const header = await encodeHeader(magic, key, [payload]);
  return header.every((byte, i) => bytes[i] === byte) ? payload : undefined;
}

/**
 * Writes a cache, whole or not at all; a place that cannot be written to goes without.
 *
 * @param file Where to. Its folder must exist.
 * @param magic Eight letters: what it holds and in which format.
 * @param key What it is valid for, 32 bytes.
 * @param payload What to keep, in parts.
 */
export async function writeCacheFile(
  file: string,
  magic: string,
  key: Uint8Array,
  payload: readonly Uint8Array[],
): Promise<void> {
  if (!await granted("write", file)) return;
  const header = await encodeHeader(magic, key, payload);
  await removeAbandoned(folderOf(file), magic);
  const temporary = temporaryName(file);
  try {
    await writeParts(temporary, [header, ...payload]);
    await Deno.rename(temporary, file);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    if (!isFileSystemError(error)) throw error;
  }
}

/** How values of one kind are kept in caches. */
export interface CacheFormat<T> {
  /** Eight letters: what a cache holds and in which format. */
  readonly magic: string;
  /** The ending of its name. */
  readonly suffix: string;
  /** The value of a payload; nothing if it holds none. */
  decode(payload: Uint8Array): T | undefined;
  /** The payload of a value, in parts. */
  encode(value: T): readonly Uint8Array[];
}

/** The value that a folder of caches holds for a key; nothing as in {@linkcode readCacheFile}. */
export async function readCached<T>(
  folder: string,
  key: Uint8Array,
  { magic, suffix, decode }: CacheFormat<T>,
): Promise<T | undefined> {
  const payload = await readCacheFile(cacheFileIn(folder, key, suffix), magic, key);
  return payload && decode(payload);
}

/** Keeps a value in a folder of caches, which is created where it is missing and may be. */
export async function writeCached<T>(
  folder: string,
  key: Uint8Array,
  { magic, suffix, encode }: CacheFormat<T>,
  value: T,
): Promise<void> {
  await makeCacheFolder(folder);
  await writeCacheFile(cacheFileIn(folder, key, suffix), magic, key, encode(value));
}

/** The value of a key: from the folder of caches, or computed and kept there. */
export async function throughCache<T>(
  folder: string,
  key: Uint8Array,
  format: CacheFormat<T>,
  compute: () => Promise<T>,
): Promise<T> {
  const kept = await readCached(folder, key, format);
  if (kept) return kept;
  const value = await compute();
  await writeCached(folder, key, format, value);
  return value;
}

/** Each write is awaited: of a stream, a short last one on a full disk would fail unseen. */
async function writeParts(file: string, parts: readonly Uint8Array[]): Promise<void> {
  using open = await Deno.open(file, { write: true, createNew: true });
  for (const part of parts) {
    for (let at = 0; at < part.length;) at += await open.write(part.subarray(at));
  }
}

/** Makes a folder for caches, if it may and can. */
export async function makeCacheFolder(folder: string): Promise<void> {
  if (!await granted("write", folder)) return;
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (error) {
    if (!isFileSystemError(error)) throw error;
  }
}

/**
 * Removes what killed processes left of caches in the making: with the name and the beginning of one, and untouched
 * for a day. What cannot be removed stays: it is never read.
 */
async function removeAbandoned(folder: string, magic: string): Promise<void> {
  if (!await granted("read", folder) || !await granted("write", folder)) return;
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      const file = `${folder}/${name}`;
      if (!isFile || !PART.test(name) || !await begins(file, magic)) continue;
      const { mtime } = await Deno.lstat(file);
      if (mtime && Date.now() - mtime.getTime() > ABANDONED) await Deno.remove(file);
    }
  } catch (error) {
    if (!isFileSystemError(error)) throw error;
  }
}

async function begins(file: string, magic: string): Promise<boolean> {
  using open = await Deno.open(file);
  const found = new Uint8Array(magic.length);
  const read = await open.read(found);
  return read === magic.length && new TextDecoder().decode(found) === magic;
}

async function encodeHeader(
  magic: string,
  key: Uint8Array,
  payload: readonly Uint8Array[],
): Promise<Uint8Array> {
  const length = payload.reduce((sum, { length }) => sum + length, 0);
  const header = startOf(magic, key, length);
  header.set(await sha256(payload), 48);
  return header;
}

/** A header but for the digest. */
function startOf(magic: string, key: Uint8Array, length: number): Uint8Array {
  const header = new Uint8Array(HEADER);
  header.set(new TextEncoder().encode(magic));
  header.set(key, 8);
  new DataView(header.buffer).setBigUint64(40, BigInt(length), true);
  return header;
}
