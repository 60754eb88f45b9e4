/**
 * Threads for dense float64 linear algebra, with a memory of their own.
 *
 * @module
 */
import { allocate } from "./memory.ts";
import * as spectral from "./modules/spectral.ts";
import { DEFAULT_THREADS, ThreadPool } from "./pool.ts";
import type { Argument } from "./pool.ts";

/** Number of threads, and whether they fuse multiplications with additions: for tests. */
export interface ThreadOptions {
  /** Number of threads. Default: one per core, one in a page. */
  readonly threads?: number;
  /** Whether to use relaxed SIMD. Default: if the engine has it. */
  readonly relaxed?: boolean;
}

const hasRelaxedSimd = WebAssembly.validate(Uint8Array.fromBase64(spectral.RELAXED));

// The first page belongs to the module's own constants; the second begins with the control words.
const CONTROL = 65536;
const HEAP = CONTROL + 64;

/** Threads and one shared memory that is handed out piece by piece. */
export class Workspace implements Disposable {
  readonly #pool: ThreadPool;
  readonly #memory: WebAssembly.Memory;
  readonly #signal?: AbortSignal;
  #next = HEAP;

  /** Opens threads with so many bytes of memory. */
  static async open(
    bytes: number,
    { threads = DEFAULT_THREADS, relaxed = hasRelaxedSimd }: ThreadOptions = {},
    signal?: AbortSignal,
  ): Promise<Workspace> {
    const memory = allocate(HEAP + bytes, "multiply matrices");
    const pool = new ThreadPool(threads, relaxed);
    try {
      await pool.load("spectral", spectral);
    } catch (error) {
      pool.dispose();
      throw error;
    }
    return new Workspace(pool, memory, signal);
  }

  private constructor(pool: ThreadPool, memory: WebAssembly.Memory, signal?: AbortSignal) {
    this.#pool = pool;
    this.#memory = memory;
    this.#signal = signal;
  }

  /** The address of a kernel's stop flag. */
  readonly stop: number = CONTROL + 4;

  /** The address of so many bytes, a multiple of 64. */
  take(bytes: number): number {
    const at = this.#next;
    this.#next += Math.ceil(bytes / 64) * 64;
    return at;
  }

  /** The float64 numbers at an address. */
  numbers(at: number, length: number): Float64Array {
    return new Float64Array(this.#memory.buffer, at, length);
  }

  /** The bytes at an address. */
  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, length);
  }

  /** Calls a kernel for each of `shards` parts of `count` things; its first arguments are the first thing and how many. */
  async run(
    kernel: string,
    count: number,
    shards: number,
    ...rest: readonly (number | Argument)[]
  ): Promise<void> {
    await this.#pool.run({
      module: "spectral",
      kernel,
      memory: this.#memory,
      rows: count,
      shards: Math.min(shards, count),
      control: CONTROL,
      arguments: [
        { row: 1 },
        { rows: 1 },
        ...rest.map((argument) => typeof argument === "number" ? { base: argument } : argument),
      ],
    }, this.#signal);
  }

  /** Ends the threads. */
  [Symbol.dispose](): void {
    this.#pool.dispose();
  }
}
