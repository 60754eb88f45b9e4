/**
 * Laying data out on a device as they are read.
 *
 * @module
 */
import { chunkRows } from "./chunk_rows.ts";
import type { DataStore, Device } from "./device.ts";
import { checkEvaluateOptions, type EvaluateOptions } from "./posterior.ts";
import type { PointSource } from "./point_source.ts";

/**
 * Stores rows of a file on a device. The CPU device reads them piece by piece into the memory that its
 * kernels work in, so that they are never in memory twice; for other devices they are read whole first.
 *
 * For data that do not fit into memory at all, see `streamStore()`.
 *
 * @param source The rows. It is not closed.
 * @param device Where they are stored.
 * @param options A signal that cancels.
 * @returns The stored data.
 * @throws {RangeError} If there are no rows, or a number is not finite.
 * @throws {DeviceError} If the device cannot hold them.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { encodeNpy, openDevice, openRows } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import { loadStore } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npy" });
 * await Deno.writeFile(file, encodeNpy(Uint8Array.of(0, 0, 255, 255, 0, 255), [3, 2]));
 * using rows = await openRows(file);
 * using device = await openDevice("wasm");
 * const store = await loadStore(rows, device);
 * const x = tensorSpace.from([1, 0.5], [1, 2]);
 * assert.deepEqual([...(await store.nearest(x, 1)).indices], [1]);
 * x.dispose();
 * await Deno.remove(file);
 * ```
 */
export async function loadStore(
  source: PointSource,
  device: Device,
  options: EvaluateOptions = {},
): Promise<DataStore> {
  checkEvaluateOptions("load data", options);
  if (device.load) return await device.load(source, options);
  const { count, dimension, bytes, range } = source;
  // One chunk, of all rows.
  const rows = chunkRows(source, { chunkBytes: Infinity });
  const data = bytes ? new Uint8Array(rows * dimension) : new Float32Array(rows * dimension);
  await source.read(0, count, data, options.signal);
  options.signal?.throwIfAborted();
  return await device.store({ data, dimension, range: bytes ? range : undefined });
}
