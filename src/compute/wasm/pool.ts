/**
 * Threads that work through the shards of a data set in shared WebAssembly memory.
 *
 * @module
 */
import { DeviceError } from "../../base/errors.ts";

/** A compiled module as text: for engines with relaxed SIMD (fused multiply-add), and for those without. */
export interface ModuleText {
  /** With relaxed SIMD, base64. */
  readonly RELAXED: string;
  /** Without, base64. */
  readonly STRICT: string;
}

/**
 * An argument of a kernel, as a function of the shard it is called for:
 * `base + row · (first row) + rows · (number of rows) + shard · (shard) + thread · (thread)`.
 */
export interface Argument {
  /** The constant part. Default 0. */
  readonly base?: number;
  /** Times the first row of the shard. Default 0. */
  readonly row?: number;
  /** Times the number of rows of the shard. Default 0. */
  readonly rows?: number;
  /** Times the number of the shard. Default 0. */
  readonly shard?: number;
  /** Times the number of the thread. Default 0. */
  readonly thread?: number;
}

/** One call of a kernel per shard. */
export interface ShardTask {
  /** The module that has the kernel, by the name it was loaded under. */
  readonly module: string;
  /** The exported function to call. */
  readonly kernel: string;
  /** The shared memory it works in. */
  readonly memory: WebAssembly.Memory;
  /** Number of rows in all. */
  readonly rows: number;
  /** Number of shards; shard `s` starts at row `⌊s · rows / shards⌋`. */
  readonly shards: number;
  /** The kernel's arguments. */
  readonly arguments: readonly Argument[];
  /** Address of two int32: the next shard to take, and the stop flag. */
  readonly control: number;
}

/** A module on its way to the threads. */
interface LoadedModule {
  readonly name: string;
  readonly compiled: WebAssembly.Module;
}

/** Where a thread hears of modules and tasks, and answers. */
interface Port {
  on(event: "message", receive: (message: ShardTask | LoadedModule) => void): void;
  postMessage(answer: string): void;
}

/** Runs in each thread. It is passed on as text, so it refers to nothing outside of it. */
function threadMain(parentPort: Port, number: number): void {
  const modules = new Map<string, WebAssembly.Module>();
  parentPort.on("message", (message: ShardTask | LoadedModule) => {
    if ("compiled" in message) {
      modules.set(message.name, message.compiled);
      return;
    }
    // What goes wrong is told, not thrown: the engine would print it.
    try {
      work(message);
      parentPort.postMessage("done");
    } catch (error) {
      parentPort.postMessage(String(error));
    }
  });

  function work(task: ShardTask): void {
    // A new instance for each task: the constants of all modules lie in the first page of a memory, and
    // an instance begins by writing its own there. It takes some 50 microseconds.
    const instance = new WebAssembly.Instance(modules.get(task.module)!, {
      env: { memory: task.memory, abort: () => {} },
    });
    const kernel = instance.exports[task.kernel] as (...numbers: number[]) => void;
    const control = new Int32Array(task.memory.buffer, task.control, 2);
    for (;;) {
      const shard = Atomics.add(control, 0, 1);
      if (shard >= task.shards || Atomics.load(control, 1) !== 0) break;
      const first = Math.floor(shard * task.rows / task.shards);
      const count = Math.floor((shard + 1) * task.rows / task.shards) - first;
      kernel(
        ...task.arguments.map(({ base = 0, row = 0, rows = 0, shard: each = 0, thread = 0 }) =>
          base + row * first + rows * count + each * shard + thread * number
        ),
      );
    }
  }
}

/** Asked for here, because pages load this file too, and have no such module. */
const NODE_THREADS: typeof import("node:worker_threads") | undefined =
  // deno-lint-ignore no-explicit-any
  (globalThis as any).process?.getBuiltinModule?.("node:worker_threads");

/** How many threads there are by default: one per core, and one in a page. */
export const DEFAULT_THREADS: number = NODE_THREADS ? navigator.hardwareConcurrency : 1;

/** What a pool needs of a thread. */
interface Thread {
  on(event: "error" | "exit", listener: (what: unknown) => void): unknown;
  once(event: "message", listener: (answer: string) => void): unknown;
  postMessage(message: ShardTask | LoadedModule): void;
  ref(): void;
  unref(): void;
  terminate(): unknown;
}

function startThread(number: number): Thread {
  if (!NODE_THREADS) return new PageThread(number);
  const port = 'globalThis.process.getBuiltinModule("node:worker_threads").parentPort';
  // Threads need no variables of the environment, which may not be read without asking.
  return new NODE_THREADS.Worker(`(${threadMain})(${port}, ${number})`, { eval: true, env: {} });
}

/**
 * Stands in for a thread in a page, which shares memory among threads only if its server sends headers
 * that few send. It works in the thread that asks: nothing else happens there meanwhile.
 */
class PageThread implements Thread {
  #receive: (message: ShardTask | LoadedModule) => void = () => {};
  #answer: (answer: string) => void = () => {};

  constructor(number: number) {
    threadMain({
      on: (_, receive) => this.#receive = receive,
      postMessage: (answer) => this.#answer(answer),
    }, number);
  }

  once(_: "message", listener: (answer: string) => void): void {
    this.#answer = listener;
  }

  postMessage(message: ShardTask | LoadedModule): void {
    if ("compiled" in message) this.#receive(message);
    // In a turn of its own, so that the page draws and hears its user between tasks.
    else setTimeout(() => this.#receive(message));
  }

  on(): void {}
  ref(): void {}
  unref(): void {}
  terminate(): void {}
}

/** A fixed number of threads that share the work of one task at a time. */
class ThreadGroup {
  /** Pools that use these threads. */
  readonly users = new Set<ThreadPool>();
  readonly #workers: Thread[];
  #failure: DeviceError | undefined;
  #fail: (error: DeviceError) => void = () => {};
  #queue: Promise<unknown> = Promise.resolve();
  readonly #relaxed: boolean;
  readonly #loaded = new Map<string, Promise<void>>();

  constructor(threads: number, relaxed: boolean, readonly lost: () => void) {
    this.#relaxed = relaxed;
    this.#workers = Array.from({ length: threads }, (_, thread) => {
      const worker = startThread(thread);
      worker.on("error", (error) => this.#lose(`a thread failed: ${String(error)}`));
      worker.on("exit", () => this.#lose("a thread ended"));
      // Idle threads must not keep a program from ending.
      worker.unref();
      return worker;
    });
  }

  load(name: string, text: ModuleText): Promise<void> {
    let loading = this.#loaded.get(name);
    if (!loading) {
      loading = this.#load(name, this.#relaxed ? text.RELAXED : text.STRICT);
      this.#loaded.set(name, loading);
    }
    return loading;
  }

  async #load(name: string, base64: string): Promise<void> {
    const compiled = await WebAssembly.compile(Uint8Array.fromBase64(base64)).catch((cause) => {
      throw new DeviceError("Cannot open the CPU device: this engine lacks SIMD WebAssembly", {
        cause,
      });
    });
    for (const worker of this.#workers) worker.postMessage({ name, compiled });
  }

  /** Has the threads work through a task of a pool, when it is its turn. */
  async run(task: ShardTask, user: PoolState, signal?: AbortSignal): Promise<void> {
    const turn = this.#queue.then(() => this.#run(task, user, signal));
    this.#queue = turn.catch(() => {});
    await turn;
  }

  async #run(task: ShardTask, user: PoolState, signal?: AbortSignal): Promise<void> {
    this.#check(user);
    signal?.throwIfAborted();
    const control = new Int32Array(task.memory.buffer, task.control, 2).fill(0);
    const stop = () => Atomics.store(control, 1, 1);
    user.stop = stop;
    signal?.addEventListener("abort", stop, { once: true });
    const finished = this.#workers.map((worker) =>
      new Promise<void>((resolve) => {
        worker.ref();
        worker.once("message", (message: string) => {
          worker.unref();
          if (message === "done") resolve();
          else this.#lose(`a thread failed: ${message}`);
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
      user.stop = undefined;
      this.#fail = () => {};
    }
    this.#check(user);
    signal?.throwIfAborted();
  }

  #check({ disposed }: PoolState): void {
    if (this.#failure) throw this.#failure;
    if (disposed) throw new DeviceError("Cannot compute on the CPU: the device was disposed");
  }

  /** Ends the threads. */
  end(): void {
    this.#lose("the device was disposed");
    for (const worker of this.#workers) void worker.terminate();
  }

  #lose(what: string): void {
    this.lost();
    this.#failure ??= new DeviceError(`Cannot compute on the CPU: ${what}`);
    this.#fail(this.#failure);
  }
}

/** What the threads have to know of a pool. */
interface PoolState {
  disposed: boolean;
  /** Stops its task that is under way. */
  stop?: () => void;
}

/** The threads of the process, by their number and kind. */
const GROUPS = new Map<string, ThreadGroup>();

/** Those that run, or new ones; a group that failed is no longer among them. */
function threadGroup(threads: number, relaxed: boolean): ThreadGroup {
  const key = `${threads} ${relaxed}`;
  const running = GROUPS.get(key);
  if (running) return running;
  const group: ThreadGroup = new ThreadGroup(threads, relaxed, () => {
    if (GROUPS.get(key) === group) GROUPS.delete(key);
  });
  GROUPS.set(key, group);
  return group;
}

/**
 * A hold on threads that share the work of one task at a time. Pools of as many threads share them: a
 * process has one set, however many devices it opens, and it ends with the last pool that is disposed.
 */
export class ThreadPool {
  /** Number of threads. */
  readonly threads: number;
  readonly #group: ThreadGroup;
  readonly #state: PoolState = { disposed: false };

  /**
   * @param threads How many.
   * @param relaxed Whether to take modules with relaxed SIMD.
   */
  constructor(threads: number, relaxed: boolean) {
    this.threads = threads;
    this.#group = threadGroup(threads, relaxed);
    this.#group.users.add(this);
  }

  /**
   * Makes the kernels of a module known to the threads. Done once; later calls cost nothing.
   *
   * @param name The name that tasks give.
   * @param text The module.
   * @throws {DeviceError} If the engine cannot compile it.
   */
  load(name: string, text: ModuleText): Promise<void> {
    return this.#group.load(name, text);
  }

  /**
   * Has all threads work through the shards of a task. Tasks wait for their turn.
   *
   * @param task The task; its control words are reset here.
   * @param signal Stops the work after the blocks in hand.
   * @throws {DeviceError} If a thread failed or the pool was disposed.
   */
  run(task: ShardTask, signal?: AbortSignal): Promise<void> {
    return this.#group.run(task, this.#state, signal);
  }

  /** Lets go of the threads; a task under way stops, and it and later ones are refused. */
  dispose(): void {
    this.#state.disposed = true;
    this.#state.stop?.();
    this.#group.users.delete(this);
    if (this.#group.users.size === 0) this.#group.end();
  }
}
