/**
 * Reading zip archives strictly: by their central directory, in bounded memory,
 * with sizes and checksums verified. Nothing is ever written to disk.
 */
import { constants, crc32, inflateRawSync } from "node:zlib";
import { isAbsolute } from "@std/path";
import { type Interruptible, inTurns } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { allocate, ByteReader, COMPRESSED_PIECE, DEFLATE_MOST, fileError, stat } from "./_files.ts";

/** A file within an archive, as the central directory declares it. */
export interface ZipEntry {
  /** Its path within the archive, with `/` between folders. */
  readonly name: string;
  /** Bytes when decompressed. */
  readonly size: number;
  /** The checksum of the decompressed bytes. */
  readonly crc: number;
  /** Bytes in the archive. */
  readonly compressedSize: number;
  /** Whether they are deflated; else they are stored as they are. */
  readonly deflated: boolean;
  /** Where they begin. */
  readonly start: number;
}

const END_SIZE = 22;
const DIRECTORY_SIZE = 46;
const LOCAL_SIZE = 30;
const LARGE_END_SIZE = 56 + 20;

/** An open zip archive. */
export class ZipArchive implements Disposable {
  /** The archive's path. */
  readonly file: string;
  /** Its files, without folders, in the order of the directory. */
  readonly entries: readonly ZipEntry[];
  readonly #open: Deno.FsFile;

  private constructor(
    file: string,
    open: Deno.FsFile,
    entries: ZipEntry[],
  ) {
    this.file = file;
    this.entries = entries;
    this.#open = open;
  }

  /** Opens an archive whose files, decompressed, have at most `most` bytes each and `total` in all. */
  static async open(
    file: string,
    most: number,
    total: number,
    signal?: AbortSignal,
  ): Promise<ZipArchive> {
    const { isFile, isDirectory, size } = await stat(file, "a zip archive");
    if (!isFile) {
      throw new DatasetError(
        file,
        isDirectory ? "a folder" : "a device or pipe",
        "a zip archive",
      );
    }
    const open = await Deno.open(file).catch((error) => {
      throw fileError(file, "a zip archive", error);
    });
    try {
      const directory = await readDirectory(open, file, size);
      const entries = await inTurns(locateAll(open, file, directory), signal);
      checkEntries(entries, file, most, total);
      const files = entries.filter(({ name }) => !name.endsWith("/"));
      return new ZipArchive(file, open, files);
    } catch (error) {
      open.close();
      throw error;
    }
  }

  /** The decompressed bytes of one file. */
  async read(entry: ZipEntry, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    if (entry.size > AT_ONCE) {
      await using reader = this.open(entry, signal);
      const bytes = allocate(reader.file, entry.size);
      await reader.fillAll(bytes, "its content");
      await reader.expectEnd(`${entry.size}, as the archive says`);
      return bytes;
    }
    const name = `${this.file}/${entry.name}`;
    const { start, compressedSize } = entry;
    const stored = await readAt(this.#open, name, start, compressedSize);
    const bytes = entry.deflated ? inflate(stored, entry.size, name) : stored;
    checkSum(crc32(bytes), entry, name);
    return bytes;
  }

  /** One file from start to end, which need not fit in memory. */
  open(entry: ZipEntry, signal?: AbortSignal): ByteReader {
    const file = `${this.file}/${entry.name}`;
    const stored = this.#stored(entry, file);
    const bytes = entry.deflated
      ? stored.pipeThrough(new DecompressionStream("deflate-raw"))
      : stored;
    const checked = bytes.pipeThrough(checkedBytes(entry, file));
    const { size } = entry, damaged = "damaged compressed bytes";
    return new ByteReader({ file, most: size, size, damaged }, checked, signal);
  }

  /** The bytes of a file as they are in the archive. */
  #stored(
    { start, compressedSize }: ZipEntry,
    file: string,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    let done = 0;
    return new ReadableStream({
      pull: async (controller) => {
        const size = Math.min(COMPRESSED_PIECE, compressedSize - done);
        if (size > 0) {
          const bytes = await readAt(this.#open, file, start + done, size);
          controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
        }
        done += size;
        if (done === compressedSize) controller.close();
      },
    });
  }

  /** The first bytes of a file, at most so many. */
  async head(entry: ZipEntry, most: number): Promise<Uint8Array> {
    const name = `${this.file}/${entry.name}`;
    const size = Math.min(entry.compressedSize, entry.deflated ? HEAD_OF_DEFLATE : most);
    const stored = await readAt(this.#open, name, entry.start, size);
    if (!entry.deflated) return stored;
    try {
      const bytes = inflateRawSync(stored, { finishFlush: constants.Z_SYNC_FLUSH });
      return new Uint8Array(bytes.subarray(0, most));
    } catch (cause) {
      throw new DatasetError(name, "damaged compressed bytes", "intact ones", { cause });
    }
  }

  /** Closes the archive. */
  [Symbol.dispose](): void {
    this.#open.close();
  }
}

/** Files of this size are decompressed at once, which is faster for small ones. */
const AT_ONCE = 2 ** 20;
/** Compressed bytes that hold the tables of the code, and some of what it encodes. */
const HEAD_OF_DEFLATE = 1024;

/** Passes bytes on, and fails if they are not as many or have not the checksum that the archive says. */
function checkedBytes(
  entry: ZipEntry,
  file: string,
): TransformStream<Uint8Array, Uint8Array> {
  let crc = 0, size = 0;
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.length;
      if (size > entry.size) {
        throw new DatasetError(
          file,
          `more than ${entry.size} bytes`,
          "as many as the archive says",
        );
      }
      crc = crc32(chunk, crc);
      controller.enqueue(chunk);
    },
    flush() {
      if (size === entry.size) checkSum(crc, entry, file);
    },
  });
}

function checkSum(crc: number, entry: ZipEntry, file: string): void {
  if (crc === entry.crc) return;
  throw new DatasetError(
    file,
    `the checksum ${crc.toString(16)}`,
    `${entry.crc.toString(16)}, as the archive says`,
  );
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

async function readAt(
  open: Deno.FsFile,
  file: string,
  offset: number,
  size: number,
): Promise<Uint8Array> {
  const bytes = allocate(file, size);
  try {
    await open.seek(offset, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < size) {
      const read = await open.read(bytes.subarray(filled));
      if (read === null) {
        throw new DatasetError(
          file,
          `an end after ${offset + filled} bytes`,
          `${offset + size} bytes`,
        );
      }
      filled += read;
    }
  } catch (error) {
    throw fileError(file, "a readable file", error);
  }
  return bytes;
}

/** The central directory. */
interface Directory {
  readonly bytes: Uint8Array;
  /** Where it starts, and so the files end. */
  readonly start: number;
  /** How many entries it should have. */
  readonly count: number;
}

/** Finds the central directory by the record at the end of the archive. */
async function readDirectory(
  open: Deno.FsFile,
  file: string,
  size: number,
): Promise<Directory> {
  // The record is followed by a comment of at most 65,535 bytes.
  const tail = Math.min(size, END_SIZE + 0xFFFF);
  const view = viewOf(await readAt(open, file, size - tail, tail));
  for (let at = tail - END_SIZE; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054B50) continue;
    if (at + END_SIZE + view.getUint16(at + 20, true) !== tail) continue;
    const length = view.getUint32(at + 12, true);
    const start = view.getUint32(at + 16, true);
    const count = view.getUint16(at + 10, true);
    if (start === 0xFFFFFFFF || count === 0xFFFF) {
      throw new DatasetError(
        file,
        "a zip64 archive",
        "a zip archive below 4 GiB",
      );
    }
    const end = size - tail + at;
    if (start + length !== end && !(await isLargeEnd(open, file, start + length, end))) {
      throw new DatasetError(
        file,
        `a directory of ${length} bytes at ${start}`,
        `one that ends at ${end}`,
      );
    }
    return { bytes: await readAt(open, file, start, length), start, count };
  }
  throw new DatasetError(
    file,
    "no end of a zip directory",
    "a complete zip archive",
  );
}

/** Whether the records for archives of any size fill a gap: some programs, PyTorch among them, always write them. */
async function isLargeEnd(
  open: Deno.FsFile,
  file: string,
  from: number,
  to: number,
): Promise<boolean> {
  if (to - from !== LARGE_END_SIZE) return false;
  const view = viewOf(await readAt(open, file, from, LARGE_END_SIZE));
  return view.getUint32(0, true) === 0x06064B50 && view.getUint32(56, true) === 0x07064B50;
}

/** An entry of the directory, which knows where the file's own header is. */
interface DirectoryEntry extends Omit<ZipEntry, "start"> {
  readonly offset: number;
  readonly nameSize: number;
}

function parseDirectory(
  { bytes, count }: Directory,
  file: string,
): DirectoryEntry[] {
  const view = viewOf(bytes);
  const entries: DirectoryEntry[] = [];
  let at = 0;
  while (
    at + DIRECTORY_SIZE <= bytes.length &&
    view.getUint32(at, true) === 0x02014B50
  ) {
    const nameSize = view.getUint16(at + 28, true);
    const nameStart = at + DIRECTORY_SIZE;
    const name = new TextDecoder().decode(
      bytes.subarray(nameStart, nameStart + nameSize),
    );
    const method = view.getUint16(at + 10, true);
    const encrypted = view.getUint16(at + 8, true) & 1;
    if (encrypted || (method !== 0 && method !== 8)) {
      throw new DatasetError(
        `${file}/${name}`,
        encrypted ? "encryption" : `compression method ${method}`,
        "stored or deflated bytes",
      );
    }
    entries.push({
      name,
      nameSize,
      crc: view.getUint32(at + 16, true),
      compressedSize: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      deflated: method === 8,
      offset: view.getUint32(at + 42, true),
    });
    at = nameStart + nameSize + view.getUint16(at + 30, true) +
      view.getUint16(at + 32, true);
  }
  if (at !== bytes.length || entries.length !== count) {
    throw new DatasetError(
      file,
      `${entries.length} entries in ${Math.min(at, bytes.length)} bytes of its directory`,
      `${count} in ${bytes.length}`,
    );
  }
  return entries;
}

function* locateAll(
  open: Deno.FsFile,
  file: string,
  directory: Directory,
): Interruptible<ZipEntry[]> {
  const entries: ZipEntry[] = [];
  for (const entry of parseDirectory(directory, file)) {
    entries.push({ ...entry, start: locate(open, file, entry, directory.start) });
    yield;
  }
  return entries;
}

/**
 * Where a file's bytes begin, after its own header. The name in that must be the one
 * in the directory: the directory has no checksum, and a file whose name changed could go missing unseen.
 */
function locate(
  open: Deno.FsFile,
  file: string,
  { name, nameSize, compressedSize, offset }: DirectoryEntry,
  end: number,
): number {
  const header = new Uint8Array(LOCAL_SIZE + nameSize);
  // Synchronous, since archives may hold many thousand small files.
  open.seekSync(offset, Deno.SeekMode.Start);
  open.readSync(header);
  const view = viewOf(header);
  const start = offset + LOCAL_SIZE + nameSize + view.getUint16(28, true);
  if (
    view.getUint32(0, true) !== 0x04034B50 ||
    view.getUint16(26, true) !== nameSize ||
    new TextDecoder().decode(header.subarray(LOCAL_SIZE)) !== name ||
    start + compressedSize > end
  ) {
    throw new DatasetError(
      `${file}/${name}`,
      "no header of this name, or no data, where the directory says",
      "an intact archive",
    );
  }
  return start;
}

function checkEntries(
  entries: ZipEntry[],
  file: string,
  most: number,
  total: number,
): void {
  checkApart(entries, file);
  const names = new Set<string>();
  let sum = 0;
  for (const { name, size, compressedSize, deflated } of entries) {
    const path = `${file}/${name}`;
    if (
      isAbsolute(name) || /^[A-Za-z]:\/|\\|\0/.test(name) ||
      name.split("/").includes("..")
    ) {
      throw new DatasetError(
        path,
        "a path that leaves the archive",
        "one within",
      );
    }
    if (names.has(name)) {
      throw new DatasetError(path, "two files of this name", "one");
    }
    names.add(name);
    const possible = deflated ? DEFLATE_MOST * compressedSize : compressedSize;
    if (size > most || size > possible || (!deflated && size < possible)) {
      throw new DatasetError(
        path,
        `${size.toLocaleString("en")} bytes from ${compressedSize.toLocaleString("en")}`,
        `at most ${most.toLocaleString("en")} and a possible ratio`,
      );
    }
    sum += size;
  }
  if (sum > total) {
    throw new DatasetError(
      file,
      `${sum.toLocaleString("en")} bytes when decompressed`,
      `at most ${total.toLocaleString("en")}`,
    );
  }
}

/** Fails if files share bytes: so an archive may hold many times what it could. */
function checkApart(entries: readonly ZipEntry[], file: string): void {
  const inOrder = entries.toSorted((a, b) => a.start - b.start);
  let end = 0;
  for (const { name, start, compressedSize } of inOrder) {
    // Before the bytes of each comes its own header.
    if (start - LOCAL_SIZE < end) {
      throw new DatasetError(
        `${file}/${name}`,
        "bytes that belong to another file, too",
        "its own",
      );
    }
    end = start + compressedSize;
  }
}

/** Inflates to exactly `size` bytes; stops as soon as there are more. */
function inflate(stored: Uint8Array, size: number, file: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(stored, { maxOutputLength: Math.max(1, size) });
  } catch (cause) {
    throw new DatasetError(
      file,
      "damaged compressed bytes",
      `${size} intact ones`,
      { cause },
    );
  }
  if (bytes.length !== size) {
    throw new DatasetError(file, `${bytes.length} bytes`, `${size} bytes`);
  }
  // A plain array: the slices of a Buffer would share its memory.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, size);
}
