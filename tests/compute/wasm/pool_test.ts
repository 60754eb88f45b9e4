/** Threads of the process, shared by its devices. */
import { moons, openDevice, optimal } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { Device, OptimalDenoiser } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { RELAXED, STRICT } from "../../../src/compute/wasm/modules/posterior.ts";
import { ThreadPool } from "../../../src/compute/wasm/pool.ts";

/** Tells of every message to a thread while `body` runs, before it is sent. */
async function hearing(
  hear: (worker: Worker, message: object) => void,
  body: () => Promise<void>,
): Promise<void> {
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (this: Worker, ...args) {
    hear(this, args[0]);
    return postMessage.apply(this, args);
  };
  try {
    await body();
  } finally {
    Worker.prototype.postMessage = postMessage;
  }
}

/** Every thread that is sent something while `body` runs. */
async function threadsOf(body: () => Promise<void>): Promise<Set<Worker>> {
  const seen = new Set<Worker>();
  await hearing((worker) => seen.add(worker), body);
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
      using denoiser = await optimal(set, { device });
      means.push(await meanOf(denoiser));
    }
  });
  assert.equal(threads.size, navigator.hardwareConcurrency);
  for (const mean of means) assert.deepEqual(mean, means[0]);
  const last = devices.pop()!;
  const before = await optimal(set, { device: devices[0] });
  for (const device of devices) device.dispose();
  await assert.rejects(meanOf(before), { name: "DeviceError", message: /was disposed/ });
  using denoiser = await optimal(set, { device: last });
  assert.deepEqual(await meanOf(denoiser), means[0]);
  last.dispose();
  await assert.rejects(meanOf(denoiser), { name: "DeviceError", message: /was disposed/ });
  using again = await openDevice("wasm");
  using other = await optimal(set, { device: again });
  assert.deepEqual(await meanOf(other), means[0]);
});

Deno.test("a device that is disposed in the middle of its work leaves that of others alone", async () => {
  const set = moons(200_000);
  using one = await openDevice("wasm");
  const two = await openDevice("wasm");
  const [mine, theirs] = [await optimal(set, { device: one }), await optimal(set, { device: two })];
  const wanted = await meanOf(mine);
  const running = meanOf(theirs), waiting = meanOf(mine);
  const refused = assert.rejects(running, { name: "DeviceError", message: /was disposed/ });
  two.dispose();
  await refused;
  assert.deepEqual(await waiting, wanted);
});

Deno.test("a task that is stopped when it has begun is never answered, and the next one is", async () => {
  using device = await openDevice("wasm");
  const store = await device.store(moons(3000));
  const x = tensorSpace.from([0.5, 0.2], [1, 2]);
  const controller = new AbortController(), { signal } = controller;
  const reason = new TypeError("enough");
  const before = await store.posterior(x, 0.7);
  await hearing(
    (_, message) => "kernel" in message && controller.abort(reason),
    // From here on nothing but the pool looks at the signal.
    () => assert.rejects(store.posterior(x, 0.7, { signal }), (error) => error === reason),
  );
  const after = await store.posterior(x, 0.7);
  assert.deepEqual(after.facts, before.facts);
  tensorSpace.dispose(x, before.mean, after.mean);
  store.dispose();
});

Deno.test("a pool whose thread failed does no other task, and the next pool has other threads", async () => {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 65536, shared: true });
  const task = (kernel: string) => ({
    module: "posterior",
    kernel,
    memory,
    rows: 3,
    shards: 3,
    arguments: [],
    control: 65536,
  });
  // Another number of threads than devices have: they share no group with it.
  const open = async () => {
    const pool = new ThreadPool(navigator.hardwareConcurrency + 1, false);
    await pool.load("posterior", { RELAXED, STRICT });
    return pool;
  };
  const pool = await open();
  await pool.run(task("heapBase"));
  const failing = pool.run(task("noSuchKernel")), waiting = pool.run(task("heapBase"));
  const failure = { name: "DeviceError", message: /^Cannot compute on the CPU: a thread failed: / };
  await assert.rejects(failing, failure);
  await assert.rejects(waiting, failure);
  await assert.rejects(pool.run(task("heapBase")), failure);
  const next = await open();
  await next.run(task("heapBase"));
  pool.dispose();
  await next.run(task("heapBase"));
  next.dispose();
  await assert.rejects(next.run(task("heapBase")), /the device was disposed/);
});
