/**
 * Which tfjs backend trains.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { useCpuBackend } from "../compute/cpu_backend.ts";
import { openDevice } from "../compute/open_device.ts";
import { findAdapter } from "../compute/webgpu/device.ts";
import { DeviceError } from "../base/errors.ts";

/** A backend to train on, or the choice of it. */
export type TrainingBackendKind = "auto" | "wasm" | "webgpu" | "cpu";

/** A tfjs backend that is used for training only, beside whichever is active. */
export interface TrainingBackend extends Disposable {
  /** Its name in tfjs. */
  readonly name: Exclude<TrainingBackendKind, "auto">;
  /** One line: why this one. */
  readonly reason: string;
  /** Runs a function on this backend; afterwards the backend before is active again. */
  run<T>(body: () => T): T;
}

/**
 * Opens a backend for training, with gradients.
 *
 * `"auto"` takes WebGPU when there is a hardware adapter, else tfjs's WebAssembly backend, which trains on one core
 * several times faster than its plain one; the plain one where files may not be read without asking, as that of WebAssembly.
 *
 * @param kind Which. Default `"auto"`.
 * @returns The backend. The one that was active stays active.
 * @throws {DeviceError} If the backend asked for is not there.
 * @throws {RangeError} If there is no such kind.
 *
 * @example
 * ```ts
 * import { openTrainingBackend } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * using backend = await openTrainingBackend("wasm");
 * assert.equal(backend.name, "wasm");
 * ```
 */
export async function openTrainingBackend(
  kind: TrainingBackendKind = "auto",
): Promise<TrainingBackend> {
  const before = tf.engine().backendName;
  // All of tfjs, for the gradients: they are not in its core.
  await import("@tensorflow/tfjs");
  try {
    switch (kind) {
      case "cpu":
        await useCpuBackend();
        return backendOf("cpu", "asked for");
      case "wasm":
        await startWasm();
        return backendOf("wasm", "asked for");
      case "webgpu":
        return await openGpu("asked for");
      case "auto": {
        const found = await findAdapter();
        if (found && !found.software) return await openGpu(`${found.name} is there`);
        if (!await readsFiles()) {
          await useCpuBackend();
          return backendOf("cpu", "there is no GPU, and no permission to read the module of wasm");
        }
        await startWasm();
        return backendOf("wasm", "there is no GPU");
      }
      default:
        throw new RangeError(
          `Cannot open a backend for training: ${kind} is none, wanted auto, wasm, webgpu or cpu`,
        );
    }
  } finally {
    if (before && tf.engine().backendName !== before) await tf.setBackend(before);
  }
}

async function openGpu(reason: string): Promise<TrainingBackend> {
  const device = await openDevice("webgpu");
  return backendOf("webgpu", reason, () => device.dispose());
}

/** Whether tfjs can read its module, which lies in npm's cache, without a question to the user; pages fetch it. */
async function readsFiles(): Promise<boolean> {
  return typeof Deno !== "object" ||
    (await Deno.permissions.query({ name: "read" })).state === "granted";
}

async function startWasm(): Promise<void> {
  await import("@tensorflow/tfjs-backend-wasm");
  try {
    if (await tf.setBackend("wasm")) return;
  } catch (error) {
    throw new DeviceError(`Cannot open the backend wasm: ${error}`, { cause: error });
  }
  throw new DeviceError(
    "Cannot open the backend wasm: it did not start, wanted permission to read its module from npm's cache",
  );
}

function backendOf(
  name: TrainingBackend["name"],
  reason: string,
  dispose: () => void = () => {},
): TrainingBackend {
  return {
    name,
    reason,
    run(body) {
      const before = tf.engine().backendName;
      if (before === name) return body();
      // Switching to a backend that has started happens at once; only starting one takes time.
      void tf.setBackend(name);
      try {
        return body();
      } finally {
        if (before) void tf.setBackend(before);
      }
    },
    [Symbol.dispose]: dispose,
  };
}
