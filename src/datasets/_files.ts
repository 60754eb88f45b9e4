/** Reading files, gzipped or not, in bounded memory and with errors that name them. */
import { DatasetError } from "../errors.ts";
import { decodeText } from "./_text.ts";

/** Deflate makes at most 1,032 bytes of one, so a gzipped file cannot hold more than this times its size. */
const GZIP_MOST = 1032;

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

/** A file read from start to end, decompressed if it begins with the magic of gzip. */
export class ByteReader implements AsyncDisposable {
  /** The file's path. */
  readonly file: string;
  /** Bytes that are certainly not exceeded by the content. */
  readonly most: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal?: AbortSignal;
  #chunk = new Uint8Array(0);

  private constructor(
    file: string,
    most: number,
    stream: ReadableStream<Uint8Array>,
    signal?: AbortSignal,
  ) {
    this.file = file;
    this.most = most;
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
      nameOf(file),
      gzipped ? size * GZIP_MOST : size,
      gzipped ? readable.pipeThrough(new DecompressionStream("gzip")) : readable,
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
  async rest(most: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    while (await this.#refill()) {
      size += this.#chunk.length;
      if (size > most) {
        throw new DatasetError(
          this.file,
          `more than ${most.toLocaleString("en")} bytes`,
          "at most as many",
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
            "a damaged or truncated gzip stream",
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

/** The whole content of a text file in UTF-8. */
export async function readText(
  file: string,
  signal?: AbortSignal,
): Promise<string> {
  return decodeText(await readBytes(file, 2 ** 28, signal), file);
}
