/**
 * The choice of a device.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";
import { DeviceError } from "../base/errors.ts";
import type { Device, DeviceName } from "./device.ts";

/**
 * The names of devices.
 *
 * @example
 * ```ts
 * import { DEVICE_NAMES } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(DEVICE_NAMES, ["auto", "webgpu", "wasm", "float64"]);
 * ```
 */
export const DEVICE_NAMES: readonly DeviceName[] = ["auto", "webgpu", "wasm", "float64"];

/**
 * Opens a device and makes its tfjs backend the active one.
 *
 * `"auto"` takes WebGPU when there is a hardware adapter, else the CPU: a
 * software adapter computes the same, many times slower. Only what the chosen
 * device needs is loaded.
 *
 * In a page the CPU device has one thread, the one that calls it; WebGPU is there only if the page came over
 * https or from the same machine.
 *
 * `"float64"` computes in float64 on one thread, on states that are a `Float64Array`: the truth to measure the others by.
 *
 * @param name Which device. Default `"auto"`.
 * @returns The device; its `reason` says in one line which one it is and why.
 * @throws {DeviceError} If the device asked for is not there.
 * @throws {RangeError} If there is no such name.
 *
 * @example
 * ```ts
 * import { openDevice } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * assert.equal(device.kind, "wasm");
 * ```
 */
export async function openDevice(
  name: DeviceName = "auto",
): Promise<Device> {
  const device = await opened(name);
  const { kind, description, reason } = device;
  return showsItself(device, () => [{ device: kind, description, reason }]);
}

async function opened(name: DeviceName): Promise<Device> {
  switch (name) {
    case "wasm":
      return await openCpu("asked for");
    case "float64": {
      const { openFloat64 } = await import("./float64/device.ts");
      return await openFloat64("asked for");
    }
    case "webgpu":
    case "auto": {
      const { findAdapter, openWebGpu } = await import("./webgpu/device.ts");
      const found = await findAdapter();
      if (name === "webgpu") {
        if (found) return await openWebGpu(found, "asked for");
        throw new DeviceError(
          'Cannot open the device webgpu: found no WebGPU adapter, wanted a graphics driver (or device "wasm", which needs none)',
        );
      }
      if (found && !found.software) {
        return await openWebGpu(found, "a GPU is there");
      }
      return await openCpu(
        found
          ? `the only WebGPU adapter, ${found.name}, is a software one`
          : "no WebGPU adapter was found",
      );
    }
    default:
      throw new RangeError(
        `Cannot open the device ${name}: wanted one of ${DEVICE_NAMES.join(", ")}`,
      );
  }
}

async function openCpu(reason: string): Promise<Device> {
  const { openWasm } = await import("./wasm/device.ts");
  return await openWasm(reason);
}
