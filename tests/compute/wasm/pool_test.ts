/** Threads of the process, shared by its devices. */
import { moons, openDevice, optimal, tensorSpace } from "@closedform/diffusion";
import type { Device, OptimalDenoiser } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";

/** Every thread that is sent something while `body` runs. */
async function threadsOf(body: () => Promise<void>): Promise<Set<Worker>> {
  const seen = new Set<Worker>();
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (this: Worker, ...args) {
    seen.add(this);
    return postMessage.apply(this, args);
  };
  try {
    await body();
  } finally {
    Worker.prototype.postMessage = postMessage;
  }
  return seen;
}

async function meanOf(denoiser: OptimalDenoiser): Promise<number[]> {
  const x = tensorSpace.from([0.5, 0.2], [1, 2]);
  const { mean } = await denoiser.denoise(x, 0.7);
  const values = [...await tensorSpace.values(mean)];
  tensorSpace.dispose(x, mean);
  return values;
}

Deno.test("devices share the threads of the process, and each lets go of its own", async () => {
  const set = moons(3000);
  const devices: Device[] = [], means: number[][] = [];
  const threads = await threadsOf(async () => {
    for (let i = 0; i < 60; i++) {
      const device = await openDevice("wasm");
      devices.push(device);
      using denoiser = await optimal(set, device);
      means.push(await meanOf(denoiser));
    }
  });
  assert.equal(threads.size, navigator.hardwareConcurrency);
  for (const mean of means) assert.deepEqual(mean, means[0]);
  const last = devices.pop()!;
  const before = await optimal(set, devices[0]);
  for (const device of devices) device.dispose();
  await assert.rejects(meanOf(before), { name: "DeviceError", message: /was disposed/ });
  using denoiser = await optimal(set, last);
  assert.deepEqual(await meanOf(denoiser), means[0]);
  last.dispose();
  await assert.rejects(meanOf(denoiser), { name: "DeviceError", message: /was disposed/ });
  using again = await openDevice("wasm");
  using other = await optimal(set, again);
  assert.deepEqual(await meanOf(other), means[0]);
});

Deno.test("a device that is disposed in the middle of its work leaves that of others alone", async () => {
  const set = moons(200_000);
  using one = await openDevice("wasm");
  const two = await openDevice("wasm");
  const [mine, theirs] = [await optimal(set, one), await optimal(set, two)];
  const wanted = await meanOf(mine);
  const running = meanOf(theirs), waiting = meanOf(mine);
  const refused = assert.rejects(running, { name: "DeviceError", message: /was disposed/ });
  two.dispose();
  await refused;
  assert.deepEqual(await waiting, wanted);
});
