/**
 * The WebGPU device: the adapter, and tensors and posteriors on one GPU device of our own.
 *
 * @module
 */
import { DeviceError } from "../../base/errors.ts";
import { tensorSpace } from "../../states/linear_space.ts";
import type { DataStore, Device } from "../device.ts";
import type { PointSet } from "../posterior.ts";
import type { StoreSizes } from "./store.ts";

/** A WebGPU adapter and what is known about it. */
export interface AdapterFacts {
  /** The adapter; good for one device. */
  readonly adapter: GPUAdapter;
  /** Its name, for people to read. */
  readonly name: string;
  /** Whether it computes on the CPU. */
  readonly software: boolean;
}

/**
 * Looks for a WebGPU adapter.
 *
 * @returns The adapter, or null if there is none.
 */
export async function findAdapter(): Promise<AdapterFacts | null> {
  if (!navigator.gpu) return null;
  silenceDriver();
  const adapter = await navigator.gpu.requestAdapter({
    powerPreference: "high-performance",
  });
  if (!adapter) return null;
  const { info } = adapter;
  const name = info.description || info.device ||
    `${info.vendor} ${info.architecture}`.trim() || "unnamed adapter";
  const software = info.isFallbackAdapter ||
    /llvmpipe|softpipe|swiftshader|basic render/i.test(name);
  return { adapter, name, software };
}

/**
 * Mesa complains on stderr when `XDG_RUNTIME_DIR` is unset. The variable is set
 * only where that needs no question to the user.
 */
function silenceDriver(): void {
  const name = { name: "env", variable: "XDG_RUNTIME_DIR" } as const;
  if (
    typeof Deno === "object" &&
    Deno.permissions.querySync(name).state === "granted" &&
    !Deno.env.get(name.variable)
  ) {
    Deno.env.set(name.variable, "/tmp");
  }
}

/**
 * Opens the WebGPU device and makes tfjs's WebGPU backend, on the same GPU
 * device, the active one. Opening it twice shares the GPU device; the last one
 * disposed releases it and gives tfjs back the backend that was active before.
 *
 * An error of the GPU device, or its loss, makes the calls in progress and all
 * later ones reject with a `DeviceError`; open it again to go on.
 *
 * @param found The adapter.
 * @param reason One line that says why this device was chosen.
 * @param sizes Sizes of chunks and shards, for tests.
 * @returns The device.
 * @throws {DeviceError} If the adapter gives no device.
 */
export async function openWebGpu(
  found: AdapterFacts,
  reason: string,
  sizes: StoreSizes = {},
): Promise<Device> {
  const { acquireGpu } = await import("./context.ts");
  const { GpuStore } = await import("./store.ts");
  const { gpu, release } = await acquireGpu(found.adapter);
  const stores = new Set<DataStore>();
  let open = true;
  const dispose = () => {
    open = false;
    for (const store of stores) store.dispose();
    release();
  };
  return {
    kind: "webgpu",
    space: tensorSpace,
    products: "tensors",
    description: found.name,
    reason,
    async store(points: PointSet) {
      if (open) {
        const store = await GpuStore.create(gpu, points, sizes);
        stores.add(store);
        if (open) return store;
        store.dispose();
      }
      throw new DeviceError("Cannot store the data: the device was disposed");
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
