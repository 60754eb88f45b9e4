/** The devices that tests run on, and the only two reasons to leave one out. */
import type { Device, DeviceKind } from "@closedform/diffusion";
import { DeviceError, openDevice } from "@closedform/diffusion";

/** A device to test, or the reason why not. */
export interface TestDevice {
  readonly kind: DeviceKind;
  readonly skip?: string;
  readonly open: () => Promise<Device>;
}

/** All devices; WebGPU is left out where there is no adapter, unless `REQUIRE_WEBGPU` is set. */
export async function testDevices(): Promise<TestDevice[]> {
  const skip = await webGpuMissing();
  if (skip && Deno.env.get("REQUIRE_WEBGPU")) {
    throw new DeviceError(`tests require WebGPU: ${skip}`);
  }
  return [
    { kind: "float64", open: () => openDevice("float64") },
    { kind: "wasm", open: () => openDevice("wasm") },
    { kind: "webgpu", open: () => openDevice("webgpu"), ...(skip && { skip }) },
  ];
}

async function webGpuMissing(): Promise<string | undefined> {
  try {
    (await openDevice("webgpu")).dispose();
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  }
}

/** Registers a test on every device. */
export function testOnDevices(
  devices: readonly TestDevice[],
  name: string,
  body: (device: Device) => Promise<void>,
): void {
  for (const { kind, skip, open } of devices) {
    Deno.test({
      name: `${name} [${kind}]${skip ? `, skipped: ${skip}` : ""}`,
      ignore: skip !== undefined,
      fn: async () => {
        using device = await open();
        await body(device);
      },
    });
  }
}
