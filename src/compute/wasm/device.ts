/**
 * The CPU device: SIMD WebAssembly on threads over shared memory.
 *
 * @module
 */
import { checkEvaluateOptions } from "../posterior.ts";
import { tensorSpace } from "../../states/linear_space.ts";
import { useCpuBackend } from "../cpu_backend.ts";
import type { Device } from "../device.ts";
import * as posterior from "./modules/posterior.ts";
import { DEFAULT_THREADS, ThreadPool } from "./pool.ts";
import { WasmStore } from "./store.ts";
import type { StoreLayout } from "./store.ts";

/** Options of {@linkcode openWasm}. */
export interface WasmOptions extends StoreLayout {
  /** Number of threads. Default: one per core, one in a page. */
  readonly threads?: number;
  /** Whether to use relaxed SIMD (fused multiply-add). Default: if the engine has it. */
  readonly relaxed?: boolean;
}

/** Whether the engine compiles relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(Uint8Array.fromBase64(posterior.RELAXED));
}

/**
 * Opens the CPU device.
 *
 * @param reason One line that says why this device was chosen.
 * @param options Threads and blocking; the defaults suit every machine.
 * @returns The device.
 * @throws {DeviceError} If the engine has no SIMD WebAssembly with threads.
 */
export async function openWasm(reason: string, options: WasmOptions = {}): Promise<Device> {
  const { threads = DEFAULT_THREADS, relaxed = hasRelaxedSimd() } = options;
  await useCpuBackend();
  const pool = new ThreadPool(threads, relaxed);
  try {
    await pool.load("posterior", posterior);
  } catch (error) {
    pool.dispose();
    throw error;
  }
  const dispose = () => pool.dispose();
  return {
    kind: "wasm",
    space: tensorSpace,
    products: "threads",
    description: `CPU, SIMD WebAssembly${relaxed ? " with fused multiply-add" : ""}, ` +
      `${threads} thread${threads === 1 ? "" : "s"}`,
    reason,
    store: (points) => WasmStore.create(points, pool, options),
    async load(source, evaluate) {
      checkEvaluateOptions("load data", evaluate);
      return await WasmStore.load(source, pool, options, evaluate?.signal);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
