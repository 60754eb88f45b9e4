/**
 * One GPU device, shared by tfjs's WebGPU backend and our kernels.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import { DeviceError } from "../../base/errors.ts";

/** The limits that are raised to what the adapter has; the default is often a small part of it. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;

/**
 * tfjs's backend, with reads and operations that fail by a `DeviceError` when the device has. tfjs
 * itself returns zeros, for example of a tensor larger than a binding may be.
 */
class CheckedBackend extends WebGPUBackend {
  /** The device; set right after construction. */
  gpu?: Gpu;

  override read(
    dataId: Parameters<WebGPUBackend["read"]>[0],
  ): ReturnType<WebGPUBackend["read"]> {
    const values = super.read(dataId);
    return this.gpu ? this.gpu.wait(values) : values;
  }

  override runWebGPUProgram(
    ...inputs: Parameters<WebGPUBackend["runWebGPUProgram"]>
  ): ReturnType<WebGPUBackend["runWebGPUProgram"]> {
    const run = () => super.runWebGPUProgram(...inputs);
    return this.gpu ? this.gpu.attempt(run) : run();
  }
}

/** A GPU device and what was made on it. Its failure ends every wait. */
export class Gpu {
  /** The GPU device. */
  readonly device: GPUDevice;
  /** tfjs's backend on it. */
  readonly backend: CheckedBackend;
  #buffers = new Set<GPUBuffer>();
  #pipelines = new Map<string, GPUComputePipeline>();
  #waiting = new Set<(reason: DeviceError) => void>();
  #ended?: DeviceError;

  /**
   * @param device The GPU device.
   * @param info Facts about its adapter, which tfjs tunes itself by.
   */
  constructor(device: GPUDevice, info: GPUAdapterInfo) {
    this.device = device;
    this.backend = new CheckedBackend(device, info);
    this.backend.gpu = this;
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.end(oneLine((event as GPUUncapturedErrorEvent).error.message));
    });
    device.lost.then((lost) => this.end(oneLine(`device lost, ${lost.message}`)));
  }

  /** Whether it can no longer be used. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** The bytes of all buffers made by {@linkcode Gpu.buffer} and not yet freed. */
  get bytes(): number {
    let sum = 0;
    for (const buffer of this.#buffers) sum += buffer.size;
    return sum;
  }

  /**
   * Refuses further work and ends every wait; the first reason stays.
   *
   * @param why What happened.
   */
  end(why: string): void {
    this.#ended ??= new DeviceError(`Cannot use the WebGPU device: ${why}`);
    for (const reject of this.#waiting) reject(this.#ended);
    this.#waiting.clear();
  }

  /**
   * Throws if the device can no longer be used.
   *
   * @throws {DeviceError} If it was lost, disposed or reported an error.
   */
  check(): void {
    if (this.#ended) throw this.#ended;
  }

  /**
   * Does what may be the first to tell that the device has ended.
   *
   * @param work What to do.
   * @returns Its value.
   * @throws {DeviceError} If the device has ended.
   */
  attempt<T>(work: () => T): T {
    this.check();
    try {
      return work();
    } catch (error) {
      throw this.#failure(error) ?? error;
    }
  }

  /** Why the device ended, if an error tells that it did, as some do before the device itself does. */
  #failure(error: unknown): DeviceError | undefined {
    if (error instanceof DOMException && error.name === "OperationError") {
      this.end(oneLine(error.message));
    }
    return this.#ended;
  }

  /**
   * Waits for the GPU, or for the end of the device: after a loss some promises never settle.
   *
   * @param promise What to wait for.
   * @returns Its value.
   * @throws {DeviceError} If the device ended first.
   */
  async wait<T>(promise: Promise<T>): Promise<T> {
    // Whoever stops waiting must not leave a rejection unhandled.
    promise.catch(() => {});
    this.check();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    this.#waiting.add(reject);
    try {
      const value = await Promise.race([promise, ended]);
      this.check();
      return value;
    } catch (error) {
      throw this.#failure(error) ??
        new DeviceError(`Cannot use the WebGPU device: ${oneLine(String(error))}`, {
          cause: error,
        });
    } finally {
      this.#waiting.delete(reject);
    }
  }

  /**
   * Reads a buffer when the work that was submitted is done.
   *
   * @param staging The buffer, of usage `MAP_READ`.
   * @param use What to do with its bytes, which are gone afterwards.
   * @returns What that returns.
   * @throws {DeviceError} If the device ended first, also if only the mapping tells.
   */
  async read<T>(staging: GPUBuffer, use: (bytes: ArrayBuffer) => T): Promise<T> {
    const mapped = staging.mapAsync(GPUMapMode.READ).then(() => staging.getMappedRange());
    const result = use(await this.wait(mapped));
    this.attempt(() => staging.unmap());
    return result;
  }

  /**
   * Makes a buffer.
   *
   * @param size Its bytes.
   * @param usage Its usage.
   * @returns The buffer; free it with {@linkcode Gpu.free}.
   * @throws {DeviceError} If the device has no memory left for it.
   */
  async buffer(size: number, usage: GPUBufferUsageFlags): Promise<GPUBuffer> {
    this.check();
    const { maxBufferSize } = this.device.limits;
    if (size > maxBufferSize) {
      throw new DeviceError(
        `Cannot hold ${size} bytes on the WebGPU device: its buffers hold at most ${maxBufferSize}`,
      );
    }
    this.device.pushErrorScope("out-of-memory");
    const buffer = this.device.createBuffer({ size, usage });
    this.#buffers.add(buffer);
    const error = await this.wait(this.device.popErrorScope());
    if (error) {
      this.free(buffer);
      throw new DeviceError(
        `Cannot hold ${size} bytes on the WebGPU device: ${oneLine(error.message)}`,
      );
    }
    return buffer;
  }

  /**
   * Frees buffers.
   *
   * @param buffers The buffers.
   */
  free(...buffers: GPUBuffer[]): void {
    for (const buffer of buffers) {
      buffer.destroy();
      this.#buffers.delete(buffer);
    }
  }

  /**
   * The pipeline of a shader, compiled once.
   *
   * @param code The shader, with an entry point `main`.
   * @returns The pipeline.
   */
  pipeline(code: string): GPUComputePipeline {
    let pipeline = this.#pipelines.get(code);
    if (!pipeline) {
      const module = this.device.createShaderModule({ code });
      pipeline = this.device.createComputePipeline({
        layout: "auto",
        compute: { module, entryPoint: "main" },
      });
      this.#pipelines.set(code, pipeline);
    }
    return pipeline;
  }

  /** Ends the device and frees its memory. */
  destroy(): void {
    this.end("it was disposed");
    this.free(...this.#buffers);
    this.device.destroy();
  }
}

/** The driver's message on one line, cut where it repeats itself. */
function oneLine(message: string): string {
  return message.replace(/\s+/g, " ").trim().slice(0, 200) || "no reason given";
}

interface Shared {
  readonly gpu: Promise<Gpu>;
  users: number;
}

let shared: Shared | undefined;

/**
 * The GPU device in use, or a new one when there is none that works.
 *
 * @param adapter The adapter to take a new device from.
 * @returns The device, and the function that gives it back.
 * @throws {DeviceError} If the adapter gives no device.
 */
export async function acquireGpu(
  adapter: GPUAdapter,
): Promise<{ gpu: Gpu; release: () => void }> {
  if (shared && (await shared.gpu.catch(() => undefined))?.ended !== false) {
    shared = undefined;
  }
  const mine = shared ??= { gpu: openGpu(adapter), users: 0 };
  mine.users++;
  const gpu = await mine.gpu;
  await tf.setBackend("webgpu");
  let held = true;
  const release = () => {
    if (!held) return;
    held = false;
    if (--mine.users > 0) return;
    if (shared === mine) shared = undefined;
    unregister(gpu);
    gpu.destroy();
  };
  return { gpu, release };
}

async function openGpu(adapter: GPUAdapter): Promise<Gpu> {
  const requiredLimits = Object.fromEntries(
    LIMITS.map((limit) => [limit, adapter.limits[limit]]),
  );
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ requiredLimits });
  } catch (error) {
    throw new DeviceError(
      `Cannot open the WebGPU device: ${oneLine(String(error))}`,
      { cause: error },
    );
  }
  const gpu = new Gpu(device, adapter.info);
  await register(gpu);
  return gpu;
}

/** What tfjs was set to before our backend was registered. */
interface Before {
  readonly gpu: Gpu;
  readonly active?: string;
  readonly factory: ReturnType<typeof tf.findBackendFactory> | null;
  readonly forward: boolean;
}

let before: Before | undefined;

/**
 * Makes our backend tfjs's only WebGPU backend. Small tensors are computed on
 * the GPU too: a row of 784 numbers must not differ from a batch of them.
 */
async function register(gpu: Gpu): Promise<void> {
  if (before) unregister(before.gpu);
  before = {
    gpu,
    active: tf.engine().backendName,
    factory: tf.findBackendFactory("webgpu"),
    forward: tf.env().getBool("WEBGPU_CPU_FORWARD"),
  };
  if (before.factory) tf.removeBackend("webgpu");
  tf.registerBackend("webgpu", () => gpu.backend, 3);
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  await tf.setBackend("webgpu");
  await tf.ready();
}

/** Leaves tfjs as it was before {@linkcode register}, unless another device has taken its place. */
function unregister(gpu: Gpu): void {
  if (before?.gpu !== gpu) return;
  const { active, factory, forward } = before;
  before = undefined;
  const wasActive = tf.engine().backendName === "webgpu";
  tf.removeBackend("webgpu");
  if (factory) tf.registerBackend("webgpu", factory, 3);
  tf.env().set("WEBGPU_CPU_FORWARD", forward);
  if (wasActive && active && active !== "webgpu") tf.setBackend(active);
}
