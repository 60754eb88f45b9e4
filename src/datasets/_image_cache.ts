/**
 * Decoded images on disk, so that a folder is decoded once.
 *
 * ```text
 * magic (8) | key (32) | height, width, channels (3 × 4, little-endian) | pixels | checksum (4)
 * ```
 */
import { crc32 } from "node:zlib";
import { DatasetError } from "../errors.ts";
import { readBytes, stat } from "./_files.ts";
import type { ImageFile } from "./_image_source.ts";

/** Decoded images of one shape. */
export interface ImageArray {
  readonly data: Uint8Array;
  /** Height, width, channels. */
  readonly shape: readonly number[];
}

const MAGIC = "CFIMAGE1";
const HEADER_SIZE = 8 + 32 + 12;

/** What a cache is valid for: the names, sizes and times of the files, and the options. */
export async function cacheKey(
  files: readonly ImageFile[],
  options: unknown,
): Promise<Uint8Array> {
  const text = JSON.stringify([
    options,
    files.map(({ name, stamp }) => [name, stamp]),
  ]);
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(text),
  );
  return new Uint8Array(digest);
}

/** The cached images; nothing if there is no cache, or it is stale or damaged. */
export async function readCache(
  file: string,
  key: Uint8Array,
  count: number,
): Promise<ImageArray | undefined> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(file, "a cache");
    bytes = await readBytes(file, size);
  } catch (error) {
    // Without a readable cache the images are decoded again.
    if (error instanceof DatasetError) return undefined;
    throw error;
  }
  if (bytes.length < HEADER_SIZE + 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const shape = [0, 1, 2].map((k) => view.getUint32(40 + 4 * k, true));
  const end = HEADER_SIZE + count * shape[0] * shape[1] * shape[2];
  const valid = encodeHeader(key, shape).every((byte, i) => bytes[i] === byte) &&
    bytes.length === end + 4 &&
    view.getUint32(end, true) === crc32(bytes.subarray(0, end));
  return valid ? { data: bytes.subarray(HEADER_SIZE, end), shape } : undefined;
}

/** Writes a cache, whole or not at all; a place that cannot be written to goes without. */
export async function writeCache(
  file: string,
  key: Uint8Array,
  { data, shape }: ImageArray,
): Promise<void> {
  // Asking first keeps Deno from asking the user.
  const { state } = await Deno.permissions.query({ name: "write", path: file });
  if (state !== "granted") return;
  const temporary = `${file}.${crypto.randomUUID()}`;
  const header = encodeHeader(key, shape);
  const checksum = new DataView(new ArrayBuffer(4));
  checksum.setUint32(0, crc32(data, crc32(header)), true);
  try {
    const parts = [header, data, new Uint8Array(checksum.buffer)];
    await Deno.writeFile(temporary, ReadableStream.from(parts));
    await Deno.rename(temporary, file);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    if (!isFileSystemError(error)) throw error;
  }
}

function encodeHeader(
  key: Uint8Array,
  shape: readonly number[],
): Uint8Array {
  const header = new Uint8Array(HEADER_SIZE);
  header.set(new TextEncoder().encode(MAGIC));
  header.set(key, 8);
  const view = new DataView(header.buffer);
  shape.forEach((n, k) => view.setUint32(40 + 4 * k, n, true));
  return header;
}

/** A read-only folder, a full disk and the like, as opposed to a mistake of ours. */
function isFileSystemError(error: unknown): boolean {
  return error instanceof Error &&
    ("code" in error || Object.values(Deno.errors).some((E) => error instanceof E));
}
