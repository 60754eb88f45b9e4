/** Tells whether a file that is read again and again still holds the same. */
import { DatasetError } from "../base/errors.ts";

/** Bytes of a block, of which a checksum is kept. */
const BLOCK = 2 ** 16;

/** CRC-32 with a start value, as of `node:zlib`. */
type Checksum = (bytes: Uint8Array, start?: number) => number;

/**
 * Compares what is read with what was read before, in two ways: size and times of the file, which any honest change
 * alters, and a CRC-32 of each block of 64 KiB that was read whole or in one go with its neighbours, for changes
 * within the grain of the file system's clock. The checksums take 0.15 s per GB.
 */
export class ContentGuard {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #crc32: Checksum;
  readonly #stamp: string;
  readonly #sums = new Map<number, number>();
  /** Where the last read ended, and the checksum of its block up to there. */
  #at = -1;
  #sum = 0;

  private constructor(file: Deno.FsFile, path: string, crc32: Checksum) {
    this.#file = file;
    this.#path = path;
    this.#crc32 = crc32;
    this.#stamp = stampOf(file);
  }

  /**
   * @param file The open file.
   * @param path Its path, for messages.
   */
  static async of(file: Deno.FsFile, path: string): Promise<ContentGuard> {
    // Imported here: pages load this file too.
    const { crc32 } = await import("node:zlib");
    return new ContentGuard(file, path, crc32 as Checksum);
  }

  /**
   * Checks what was just read.
   *
   * @param from Its place in the file.
   * @param bytes What was read.
   * @throws {DatasetError} If the file is not as it was.
   */
  check(from: number, bytes: Uint8Array): void {
    if (stampOf(this.#file) !== this.#stamp) this.#fail();
    const end = from + bytes.length;
    // A read that goes on where the last one ended completes its block; any other one begins with its first whole block.
    let at = from === this.#at ? from : Math.ceil(from / BLOCK) * BLOCK;
    let sum = from === this.#at ? this.#sum : 0;
    while (at < end) {
      const stop = Math.min((Math.floor(at / BLOCK) + 1) * BLOCK, end);
      sum = this.#crc32(bytes.subarray(at - from, stop - from), sum);
      if (stop % BLOCK === 0) {
        this.#compare(stop / BLOCK, sum);
        sum = 0;
      }
      at = stop;
    }
    this.#at = at === end ? end : -1;
    this.#sum = sum;
  }

  /** Checks the last block, which ends with the data. */
  checkEnd(): void {
    if (this.#at > 0 && this.#at % BLOCK !== 0) {
      this.#compare(Math.ceil(this.#at / BLOCK), this.#sum);
    }
  }

  #compare(block: number, sum: number): void {
    const known = this.#sums.get(block);
    if (known === undefined) this.#sums.set(block, sum);
    else if (known !== sum) this.#fail();
  }

  #fail(): never {
    throw new DatasetError(
      this.#path,
      "other contents than a moment before",
      "a file that nothing writes to while it is read",
    );
  }
}

function stampOf(file: Deno.FsFile): string {
  const { size, mtime, ctime } = file.statSync();
  return [size, mtime?.getTime(), ctime?.getTime()].join();
}
