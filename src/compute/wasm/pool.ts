/**
 * Threads that scan shards of a data set in shared WebAssembly memory.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { DeviceError } from "../../errors.ts";

/** One scan: the arguments of the kernel, and where each shard's results lie. */
export interface ScanTask {
  /** The shared memory that holds the data, the queries and the results. */
  readonly memory: WebAssembly.Memory;
  /** 1 if the rows are bytes, 0 if float32. */
  readonly bytes: number;
  /** Address of the rows. */
  readonly data: number;
  /** Number of rows in all. */
  readonly rows: number;
  /** Number of shards; shard `s` starts at row `⌊s · rows / shards⌋`. */
  readonly shards: number;
  /** Rows per cache block. */
  readonly blockRows: number;
  /** Numbers per row and query, padding included. */
  readonly stride: number;
  /** Address of the queries. */
  readonly queries: number;
  /** Number of queries. */
  readonly batch: number;
  /** Address of the parameters of each query. */
  readonly parameters: number;
  /** Address of the states, one per shard and query. */
  readonly states: number;
  /** Address of the weighted sums, one per shard and query. */
  readonly sums: number;
  /** Address of the scratch space, one per thread. */
  readonly scratch: number;
  /** Address of two int32: the next shard to take, and the stop flag. */
  readonly control: number;
}

/** Bytes of the state of one query in one shard. */
export const STATE_BYTES = 64;

/** Bytes of scratch space per thread. */
export function scratchBytes(blockRows: number): number {
  return 48 * blockRows;
}

/** Runs in each thread. It is passed on as text, so it refers to nothing outside of it. */
function threadMain(): void {
  // deno-lint-ignore no-explicit-any
  const { parentPort, workerData } = (globalThis as any).process
    .getBuiltinModule("node:worker_threads");
  const instances = new WeakMap<WebAssembly.Memory, WebAssembly.Instance>();
  parentPort.on("message", (t: ScanTask) => {
    let instance = instances.get(t.memory);
    if (!instance) {
      instance = new WebAssembly.Instance(workerData.module, {
        env: { memory: t.memory, abort: () => {} },
      });
      instances.set(t.memory, instance);
    }
    const scan = instance.exports.scan as (...numbers: number[]) => void;
    const buffer = t.memory.buffer;
    const control = new Int32Array(buffer, t.control, 2);
    const stateBytes = t.batch * 64, sumBytes = t.batch * t.stride * 4;
    for (;;) {
      const s = Atomics.add(control, 0, 1);
      if (s >= t.shards || Atomics.load(control, 1) !== 0) break;
      const first = Math.floor(s * t.rows / t.shards);
      const rows = Math.floor((s + 1) * t.rows / t.shards) - first;
      const state = t.states + s * stateBytes, sum = t.sums + s * sumBytes;
      const numbers = new Float64Array(buffer, state, t.batch * 8).fill(0);
      for (let q = 0; q < t.batch; q++) {
        numbers[q * 8] = numbers[q * 8 + 1] = Infinity;
      }
      new Float32Array(buffer, sum, t.batch * t.stride).fill(0);
      scan(
        t.bytes,
        t.data + first * t.stride * (t.bytes ? 1 : 4),
        rows,
        first,
        t.blockRows,
        t.stride,
        t.queries,
        t.batch,
        t.parameters,
        state,
        sum,
        t.scratch + workerData.thread * 48 * t.blockRows,
        t.control + 4,
      );
    }
    parentPort.postMessage("done");
  });
}

/** A fixed number of threads that share the work of one scan at a time. */
export class ThreadPool {
  readonly #workers: Worker[];
  #failure: DeviceError | undefined;
  #fail: (error: DeviceError) => void = () => {};

  /**
   * @param threads How many.
   * @param module The compiled kernel.
   */
  constructor(threads: number, module: WebAssembly.Module) {
    this.#workers = Array.from({ length: threads }, (_, thread) => {
      const worker = new Worker(`(${threadMain.toString()})()`, {
        eval: true,
        workerData: { module, thread },
      });
      worker.on(
        "error",
        (error) => this.#lose(`a thread failed: ${String(error)}`),
      );
      worker.on("exit", () => this.#lose("a thread ended"));
      // Idle threads must not keep a program from ending.
      worker.unref();
      return worker;
    });
  }

  /** Number of threads. */
  get threads(): number {
    return this.#workers.length;
  }

  /**
   * Runs one scan on all threads.
   *
   * @param task The scan; its control words are reset here.
   * @param signal Stops the scan after the blocks in hand.
   * @throws {DeviceError} If a thread failed or the pool was disposed.
   */
  async run(task: ScanTask, signal?: AbortSignal): Promise<void> {
    if (this.#failure) throw this.#failure;
    signal?.throwIfAborted();
    const control = new Int32Array(task.memory.buffer, task.control, 2).fill(0);
    const stop = () => Atomics.store(control, 1, 1);
    signal?.addEventListener("abort", stop, { once: true });
    const finished = this.#workers.map((worker) =>
      new Promise<void>((resolve) => {
        worker.ref();
        worker.once("message", () => {
          worker.unref();
          resolve();
        });
        worker.postMessage(task);
      })
    );
    try {
      await Promise.race([
        Promise.all(finished),
        new Promise<never>((_, reject) => this.#fail = reject),
      ]);
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#fail = () => {};
    }
    signal?.throwIfAborted();
  }

  /** Ends the threads; later scans are refused. */
  dispose(): void {
    this.#lose("the device was disposed");
    for (const worker of this.#workers) void worker.terminate();
  }

  #lose(what: string): void {
    this.#failure ??= new DeviceError(`Cannot compute on the CPU: ${what}`);
    this.#fail(this.#failure);
  }
}
