/** Reading files, gzipped or not, in bounded memory and with errors that name them. */
import { checkRoom } from "../base/_memory.ts";
import { DatasetError } from "../base/errors.ts";
import { decodeText } from "./_text.ts";

/** Deflate makes at most 1,032 bytes of one, so a gzipped file cannot hold more than this times its size. */
export const DEFLATE_MOST = 1032;
/** What compresses better than this, and is large, is a bomb where no header says how much to expect. */
const UNSIZED_MOST = 50;
/** A size that nobody minds. */
const LITTLE = 2 ** 24;
/** Compressed bytes that are taken at a time: all that comes of them is in memory at once. */
export const COMPRESSED_PIECE = 2 ** 13;

/** The error that a failed file operation means to a reader of data sets. */
export function fileError(
  file: string,
  wanted: string,
  cause: unknown,
): unknown {
  if (!(cause instanceof Error) || cause instanceof DatasetError) return cause;
  const failures: Record<string, string> = {
    NotFound: "nothing there",
    PermissionDenied: "no permission to read it",
    NotCapable: "no permission to read it",
    IsADirectory: "a folder",
    NotADirectory: "a file where a folder should be",
    FilesystemLoop: "a link that leads to itself",
  };
  const found = failures[cause.name] ?? `an error of the file system, ${cause.message}`;
  return new DatasetError(file, found, wanted, { cause });
}

/** What lies at a path, links followed. */
export async function stat(
  path: string,
  wanted: string,
): Promise<Deno.FileInfo> {
  if (typeof Deno !== "object") {
    throw new DatasetError(path, "no file system", "bytes as a Blob, which fetch() and forms give");
  }
  try {
    return await Deno.stat(path);
  } catch (error) {
    throw fileError(path, wanted, error);
  }
}

/** Whether a path exists. */
export async function exists(path: string): Promise<boolean> {
  // Which error the empty path gives depends on the permissions of the process.
  if (path === "") return false;
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw fileError(path, "a readable path", error);
  }
}

/** The first of `names`, each with or without `.gz`, that exists in a folder. */
export async function findFile(
  folder: string,
  ...names: string[]
): Promise<string> {
  const { isDirectory } = await stat(folder, `a folder with ${names[0]}`);
  if (!isDirectory) {
    throw new DatasetError(folder, "a file", `a folder with ${names[0]}`);
  }
  for (const name of names.flatMap((name) => [name, `${name}.gz`])) {
    const file = `${folder.replace(/[\\/]+$/, "")}/${name}`;
    if (await exists(file)) return file;
  }
  throw new DatasetError(
    folder,
    `no file ${names.join(" or ")}`,
    "one, gzipped or not",
  );
}

/** Zeroed bytes, or an error that blames the file which asks for them. */
export function allocate(file: string, size: number): Uint8Array {
  try {
    checkRoom(`read ${file}`, "its data", size);
    return new Uint8Array(size);
  } catch (cause) {
    throw new DatasetError(
      file,
      `${size.toLocaleString("en")} bytes of data`,
      "as many as fit in memory",
      { cause },
    );
  }
}

/** Decompressed bytes that are taken of so many where no header says how many to expect. */
export function mostUnsized(compressed: number): number {
  return Math.max(LITTLE, UNSIZED_MOST * compressed);
}

/** Cuts a stream into small pieces. */
export function inPieces(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  return new TransformStream({
    transform(chunk, controller) {
      for (let at = 0; at < chunk.length; at += COMPRESSED_PIECE) {
        controller.enqueue(chunk.subarray(at, at + COMPRESSED_PIECE));
      }
    },
  });
}

/** A file that is open at its start. */
interface OpenFile {
  /** Its first two bytes. */
  readonly magic: Uint8Array;
  readonly size: number;
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
}

async function openFile(file: string): Promise<OpenFile> {
  const { isFile, isDirectory, size } = await stat(file, "a file");
  if (!isFile) {
    const found = isDirectory ? "a folder" : "a device or pipe";
    throw new DatasetError(file, found, "a file");
  }
  const opened = await Deno.open(file).catch((error) => {
    throw fileError(file, "a file", error);
  });
  const magic = new Uint8Array(2);
  try {
    await opened.read(magic);
    await opened.seek(0, Deno.SeekMode.Start);
  } catch (error) {
    opened.close();
    throw fileError(file, "a readable file", error);
  }
  return { magic, size, readable: opened.readable };
}

async function openBlob(blob: Blob): Promise<OpenFile> {
  const magic = await blob.slice(0, 2).bytes().catch((error) => {
    throw fileError(nameOf(blob), "a readable file", error);
  });
  return { magic, size: blob.size, readable: blob.stream() };
}

/** What messages call a file. */
export function nameOf(file: string | Blob): string {
  return typeof file === "string" ? file : file instanceof File ? file.name : "a Blob";
}

/** What is known of a stream of bytes beforehand. */
interface Known {
  /** What messages call it. */
  readonly file: string;
  /** Bytes that are certainly not exceeded. */
  readonly most: number;
  /** How many bytes it has, if that is known. */
  readonly size?: number;
  /** What it is if it does not decompress. Default: a gzip stream. */
  readonly damaged?: string;
}

/** A file read from start to end, decompressed if it begins with the magic of gzip. */
export class ByteReader implements AsyncDisposable {
  /** The file's path. */
  readonly file: string;
  /** Bytes that are certainly not exceeded by the content. */
  readonly most: number;
  /** Bytes of the content, if they are known before it is read. */
  readonly size?: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal?: AbortSignal;
  readonly #damaged: string;
  #chunk = new Uint8Array(0);

  /**
   * Takes a stream.
   *
   * @param known Its name and size.
   * @param stream The bytes.
   * @param signal Cancels the reading.
   */
  constructor(
    { file, most, size, damaged = "a damaged or truncated gzip stream" }: Known,
    stream: ReadableStream<Uint8Array>,
    signal?: AbortSignal,
  ) {
    this.file = file;
    this.most = most;
    this.size = size;
    this.#damaged = damaged;
    this.#reader = stream.getReader();
    this.#signal = signal;
  }

  /** Opens a regular file, or one that a page has as a `Blob`. */
  static async open(file: string | Blob, signal?: AbortSignal): Promise<ByteReader> {
    signal?.throwIfAborted();
    const { magic, size, readable } = typeof file === "string"
      ? await openFile(file)
      : await openBlob(file);
    const gzipped = magic[0] === 0x1F && magic[1] === 0x8B;
    return new ByteReader(
      { file: nameOf(file), most: gzipped ? size * DEFLATE_MOST : size, ...(!gzipped && { size }) },
      gzipped
        ? readable.pipeThrough(inPieces()).pipeThrough(new DecompressionStream("gzip"))
        : readable,
      signal,
    );
  }

  /** Fills `target` as far as the content reaches; the number of bytes read. */
  async fill(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length && await this.#refill()) {
      const part = this.#chunk.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return filled;
  }

  /** Fills `target`, or fails because the content ends before it is full. */
  async fillAll(target: Uint8Array, what: string): Promise<void> {
    const filled = await this.fill(target);
    if (filled < target.length) {
      throw new DatasetError(
        this.file,
        `an end after ${filled.toLocaleString("en")} bytes of ${what}`,
        `${target.length.toLocaleString("en")} bytes`,
      );
    }
  }

  /** Fails unless everything has been read. */
  async expectEnd(after: string): Promise<void> {
    if (await this.#refill()) {
      throw new DatasetError(
        this.file,
        `more bytes after ${after}`,
        "the end of the file",
      );
    }
  }

  /** Everything that is left, if it is at most `most` bytes. */
  async rest(most: number, wanted: string = "at most as many"): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    if (this.size && this.size <= most) return await this.#whole(this.size);
    while (await this.#refill()) {
      size += this.#chunk.length;
      if (size > most) {
        throw new DatasetError(
          this.file,
          `more than ${most.toLocaleString("en")} bytes`,
          wanted,
        );
      }
      chunks.push(this.#chunk);
      this.#chunk = new Uint8Array(0);
    }
    const bytes = allocate(this.file, size);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  /** What is left, piece by piece. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    while (await this.#refill()) {
      yield this.#chunk;
      this.#chunk = new Uint8Array(0);
    }
  }

  /** All of a known size: in one array from the start, not in chunks and then in one. A file may have grown or shrunk since. */
  async #whole(size: number): Promise<Uint8Array> {
    const bytes = allocate(this.file, size);
    const filled = await this.fill(bytes);
    await this.expectEnd(`${size.toLocaleString("en")}, its size`);
    return bytes.subarray(0, filled);
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A stream that failed has closed its file already.
    await this.#reader.cancel().catch(() => {});
  }

  async #refill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      this.#signal?.throwIfAborted();
      const { value, done } = await this.#reader.read().catch((error) => {
        throw error instanceof TypeError
          ? new DatasetError(
            this.file,
            this.#damaged,
            "an intact one with nothing after it",
            { cause: error },
          )
          : fileError(this.file, "a readable file", error);
      });
      if (done) return false;
      this.#chunk = value as Uint8Array<ArrayBuffer>;
    }
    return true;
  }
}

/** The whole content of a file, decompressed if it is gzipped, of at most `most` bytes. */
export async function readBytes(
  file: string,
  most: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  await using reader = await ByteReader.open(file, signal);
  return await reader.rest(most);
}

/**
 * The same for a format whose header, if it has one, does not say how large the file is: a gzipped one must not
 * be a bomb, which takes gigabytes of memory from some kilobytes.
 */
export async function readUnsized(
  file: string,
  most: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  await using reader = await ByteReader.open(file, signal);
  if (reader.size !== undefined) return await reader.rest(most);
  const possible = mostUnsized(reader.most / DEFLATE_MOST);
  return await reader.rest(
    Math.min(most, possible),
    possible < most ? "at most as many from so few, or the file decompressed" : undefined,
  );
}

/** The whole content of a text file in UTF-8. */
export async function readText(
  file: string,
  signal?: AbortSignal,
): Promise<string> {
  return decodeText(await readUnsized(file, 2 ** 28, signal), file);
}
