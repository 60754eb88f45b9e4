/**
 * The CPU device: SIMD WebAssembly on threads over shared memory.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { DeviceError } from "../../errors.ts";
import type { AnyTensor } from "../../linear_space.ts";
import { useCpuBackend } from "../cpu_backend.ts";
import type { DataStore, Device } from "../device.ts";
import { affineOf, checkPoints, checkQueryShape, sigmaPerRow } from "../posterior.ts";
import type { EvaluateOptions, PointSet, Posterior, Sigma } from "../posterior.ts";
import { checkQueries } from "../reference.ts";
import { RELAXED, STRICT } from "./modules.ts";
import { scratchBytes, STATE_BYTES, ThreadPool } from "./pool.ts";

/** Options of {@linkcode openWasm}. */
export interface WasmOptions {
  /** Number of threads. Default: one per core. */
  readonly threads?: number;
  /** Whether to use relaxed SIMD (fused multiply-add). Default: if the engine has it. */
  readonly relaxed?: boolean;
  /** Parts of the data that are scanned separately and merged. Default 32. */
  readonly shards?: number;
  /** Rows per cache block. Default: as many as fit a quarter of a megabyte. */
  readonly blockRows?: number;
}

// Float32 rounding is 2^-24; all rows that are left out weigh less than a quarter of that together.
const LOG_LEFT_OUT = 26 * Math.LN2;
// Queries per scan: bounds the memory of partial sums.
const MOST_QUERIES = 64;
const PAGE = 65536;
// The first page belongs to the module's own constants.
const DATA = PAGE;

/** Whether the engine compiles relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(Uint8Array.fromBase64(RELAXED));
}

/**
 * Opens the CPU device.
 *
 * @param reason One line that says why this device was chosen.
 * @param options Threads and blocking; the defaults suit every machine.
 * @returns The device.
 * @throws {DeviceError} If the engine has no SIMD WebAssembly with threads.
 */
export async function openWasm(
  reason: string,
  options: WasmOptions = {},
): Promise<Device> {
  const {
    threads = navigator.hardwareConcurrency,
    relaxed = hasRelaxedSimd(),
  } = options;
  const bytes = Uint8Array.fromBase64(relaxed ? RELAXED : STRICT);
  const module = await WebAssembly.compile(bytes).catch((cause) => {
    throw new DeviceError(
      "Cannot open the CPU device: this engine lacks SIMD WebAssembly",
      { cause },
    );
  });
  await useCpuBackend();
  const pool = new ThreadPool(threads, module);
  const dispose = () => pool.dispose();
  return {
    kind: "wasm",
    description: `CPU, SIMD WebAssembly${relaxed ? " with fused multiply-add" : ""}, ` +
      `${threads} thread${threads === 1 ? "" : "s"}`,
    reason,
    store: (points) => {
      try {
        return Promise.resolve(new WasmStore(points, pool, options));
      } catch (error) {
        return Promise.reject(error);
      }
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

class WasmStore implements DataStore {
  readonly count: number;
  readonly dimension: number;
  readonly #stride: number;
  readonly #bytes: boolean;
  readonly #affine: { readonly scale: number; readonly offset: number };
  readonly #blockRows: number;
  readonly #shards: number;
  readonly #dataEnd: number;
  #memory: WebAssembly.Memory | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(
    points: PointSet,
    readonly pool: ThreadPool,
    options: WasmOptions,
  ) {
    const { data, dimension } = points;
    this.count = checkPoints(points);
    this.dimension = dimension;
    this.#bytes = data instanceof Uint8Array;
    this.#affine = affineOf(points);
    this.#stride = roundUp(dimension, 4);
    const rowBytes = this.#stride * data.BYTES_PER_ELEMENT;
    // Neither may depend on the queries or the threads: the bits of the result depend on both.
    this.#blockRows = options.blockRows ??
      Math.max(8, Math.min(64, Math.floor(PAGE * 4 / rowBytes)));
    this.#shards = Math.min(
      options.shards ?? 32,
      Math.ceil(this.count / this.#blockRows),
    );
    this.#dataEnd = DATA + roundUp(this.count * rowBytes, 64);
    this.#memory = allocate(this.#dataEnd);
    const target = data instanceof Uint8Array
      ? new Uint8Array(this.#memory.buffer, DATA, this.count * rowBytes)
      : new Float32Array(this.#memory.buffer, DATA, this.count * this.#stride);
    if (this.#stride === dimension) target.set(data);
    else {
      for (let i = 0; i < this.count; i++) {
        target.set(
          data.subarray(i * dimension, (i + 1) * dimension),
          i * this.#stride,
        );
      }
    }
  }

  async posterior(
    x: AnyTensor,
    sigma: Sigma,
    options: EvaluateOptions = {},
  ): Promise<Posterior<AnyTensor>> {
    const rows = checkQueryShape(x.shape, this.dimension);
    const sigmas = sigmaPerRow(sigma, rows, "compute the posterior mean");
    const values = await x.data<"float32">();
    checkQueries(values);
    const mean = new Float32Array(rows * this.dimension);
    const facts = {
      logNormaliser: new Float64Array(rows),
      topLogit: new Float64Array(rows),
      logitGap: new Float64Array(rows),
      topIndex: new Uint32Array(rows),
      effectiveSampleSize: new Float64Array(rows),
      entropy: new Float64Array(rows),
    };
    // One scan at a time: scans share the memory after the data.
    const turn = this.#queue.then(async () => {
      for (let first = 0; first < rows; first += MOST_QUERIES) {
        const batch = Math.min(MOST_QUERIES, rows - first);
        await this.#scan(
          values,
          sigmas,
          first,
          batch,
          { mean, facts },
          options.signal,
        );
      }
    });
    this.#queue = turn.catch(() => {});
    await turn;
    return { mean: tf.tensor(mean, x.shape, "float32"), facts };
  }

  dispose(): void {
    this.#memory = undefined;
  }

  async #scan(
    values: Float32Array,
    sigmas: Float64Array,
    first: number,
    batch: number,
    out: Posterior<Float32Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const memory = this.#memory;
    if (!memory) {
      throw new DeviceError(
        "Cannot compute the posterior mean: its data were disposed",
      );
    }
    const stride = this.#stride, shards = this.#shards;
    const queries = this.#dataEnd;
    const parameters = queries + roundUp(batch * stride * 4, 64);
    const control = parameters + batch * 16;
    const states = roundUp(control + 8, 64);
    const sums = states + shards * batch * STATE_BYTES;
    const scratch = roundUp(sums + shards * batch * stride * 4, 64);
    grow(memory, scratch + this.pool.threads * scratchBytes(this.#blockRows));
    this.#writeQueries(
      memory,
      queries,
      parameters,
      values,
      sigmas,
      first,
      batch,
    );
    await this.pool.run({
      memory,
      bytes: this.#bytes ? 1 : 0,
      data: DATA,
      rows: this.count,
      shards,
      blockRows: this.#blockRows,
      stride,
      queries,
      batch,
      parameters,
      states,
      sums,
      scratch,
      control,
    }, signal);
    const state = new Float64Array(memory.buffer, states, shards * batch * 8);
    const sum = new Float32Array(memory.buffer, sums, shards * batch * stride);
    for (let q = 0; q < batch; q++) {
      this.#merge(state, sum, batch, q, sigmas[first + q], out, first + q);
    }
  }

  #writeQueries(
    memory: WebAssembly.Memory,
    queries: number,
    parameters: number,
    values: Float32Array,
    sigmas: Float64Array,
    first: number,
    batch: number,
  ): void {
    const { dimension } = this, stride = this.#stride;
    const { scale, offset } = this.#affine;
    const q = new Float32Array(memory.buffer, queries, batch * stride).fill(0);
    const p = new Float64Array(memory.buffer, parameters, batch * 2);
    for (let k = 0; k < batch; k++) {
      const from = (first + k) * dimension;
      for (let c = 0; c < dimension; c++) {
        q[k * stride + c] = (values[from + c] - offset) / scale;
      }
      p[2 * k] = this.#logitScale(sigmas[first + k]);
      p[2 * k + 1] = LOG_LEFT_OUT + Math.log(this.count);
    }
  }

  /** Nats per squared distance in stored units. */
  #logitScale(sigma: number): number {
    return this.#affine.scale ** 2 / (2 * sigma * sigma);
  }

  /** Merges the states of all shards for one query, in float64. */
  #merge(
    state: Float64Array,
    sum: Float32Array,
    batch: number,
    q: number,
    sigma: number,
    { mean, facts }: Posterior<Float32Array>,
    row: number,
  ): void {
    const stride = this.#stride,
      shards = this.#shards,
      g = this.#logitScale(sigma);
    let least = Infinity, second = Infinity, index = 0;
    for (let s = 0; s < shards; s++) {
      const at = (s * batch + q) * 8;
      const [d1, d2] = [state[at], state[at + 1]];
      if (d1 < least) {
        second = Math.min(least, d2);
        [least, index] = [d1, state[at + 2]];
      } else second = Math.min(second, d1);
    }
    if (!(least < Infinity)) {
      throw new RangeError(
        `Cannot compute the posterior mean: query ${row} is too far from the data for float32, wanted squared distances below 3e38`,
      );
    }
    let z = 0, z2 = 0, a = 0;
    const y = new Float64Array(stride);
    for (let s = 0; s < shards; s++) {
      const at = (s * batch + q) * 8;
      const shift = (least - state[at]) * g;
      const factor = Math.exp(shift);
      if (factor === 0) continue;
      z += factor * state[at + 3];
      z2 += factor * factor * state[at + 4];
      a += factor * (state[at + 5] + shift * state[at + 3]);
      const from = (s * batch + q) * stride;
      for (let c = 0; c < stride; c++) y[c] += factor * sum[from + c];
    }
    const { scale, offset } = this.#affine;
    for (let c = 0; c < this.dimension; c++) {
      mean[row * this.dimension + c] = y[c] / z * scale + offset;
    }
    facts.topLogit[row] = -least * g;
    facts.logNormaliser[row] = -least * g + Math.log(z);
    facts.logitGap[row] = (second - least) * g;
    facts.topIndex[row] = index;
    facts.effectiveSampleSize[row] = z * z / z2;
    facts.entropy[row] = Math.log(z) - a / z;
  }
}

function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}

function allocate(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / PAGE);
  try {
    return new WebAssembly.Memory({
      initial: pages,
      maximum: 65536,
      shared: true,
    });
  } catch (cause) {
    throw new DeviceError(
      `Cannot store the data: they take ${
        (bytes / 1e9).toFixed(1)
      } GB, wanted at most 4.2 GB of WebAssembly memory`,
      { cause },
    );
  }
}

function grow(memory: WebAssembly.Memory, bytes: number): void {
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / PAGE);
  if (missing <= 0) return;
  try {
    memory.grow(missing);
  } catch (cause) {
    throw new DeviceError(
      `Cannot compute the posterior mean: data and queries take ${(bytes / 1e9).toFixed(1)} GB, ` +
        "wanted at most 4.2 GB of WebAssembly memory",
      { cause },
    );
  }
}
