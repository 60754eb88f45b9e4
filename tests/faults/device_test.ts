/** Devices that fail in the middle of their work: a lost GPU, a thread that dies, no adapter. */
import {
  Dataset,
  dataSpectrum,
  DeviceError,
  equivariant,
  goldenSubset,
  logSnrGrid,
  openDevice,
  optimal,
  pcaLocality,
  sample,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { AnyTensor, Denoiser, Device } from "@closedform/diffusion";
import * as tf from "@tensorflow/tfjs-core";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import type { Gpu } from "../../src/compute/webgpu/context.ts";
import { runSample } from "../_helpers/command.ts";
import { testDevices } from "../_helpers/devices.ts";
import { tell, trial } from "../_helpers/fault_table.ts";
import { withFolder } from "../_helpers/files.ts";

const skip = (await testDevices()).find(({ kind }) => kind === "webgpu")?.skip;

/** Longest time from the fault to the error: more than the step in hand takes on a busy machine, less than a hang. */
const PATIENCE = 20_000;

const images = new Dataset({
  data: Uint8Array.from(
    startNoise(1, 0, 400, 256),
    (e) => Math.max(0, Math.min(255, 128 + 60 * e)),
  ),
  shape: [16, 16, 1],
  name: "noise",
});

/** Every scan there is: over all rows, over subsets, per coordinate, per window, and the search. */
const SCANS: Record<string, (device: Device) => Promise<Denoiser<AnyTensor>>> = {
  "optimal()": (device) => optimal(images, { device }),
  "goldenSubset()": async (device) => await goldenSubset(await optimal(images, { device })),
  "pcaLocality()": (device) => pcaLocality(images, { device, cache: false }),
  "equivariant()": (device) => equivariant(images, { device, windows: 3 }),
};

/** Samples on and on, until the device fails; which `fault` makes it do after so many milliseconds and steps; the error, and how long it took to come. */
async function failing(
  denoiser: Denoiser<AnyTensor>,
  fault: () => void,
  { after, least }: { readonly after: number; readonly least: number },
): Promise<{ error: unknown; seconds: number }> {
  let begin = 0, steps = 0;
  const grid = logSnrGrid(1000);
  const timer = setInterval(() => {
    if (begin > 0 || steps < least) return;
    begin = performance.now();
    fault();
  }, after);
  try {
    while (begin === 0 || performance.now() - begin < PATIENCE) {
      const { x, denoised } = await sample(denoiser, {
        count: 8,
        grid,
        // An error of the fault itself must not wait for the whole of a run.
        onProgress: () => {
          steps++;
          assert.ok(begin === 0 || performance.now() - begin < PATIENCE);
        },
        output: "tensor",
      });
      tensorSpace.dispose(x, denoised);
    }
    assert.fail("went on as if nothing had happened");
  } catch (error) {
    assert.ok(begin > 0, `failed before the fault: ${error}`);
    return { error, seconds: (performance.now() - begin) / 1000 };
  } finally {
    clearInterval(timer);
  }
}

function assertDeviceError(error: unknown, seconds: number): asserts error is DeviceError {
  assert.ok(error instanceof DeviceError, `${error instanceof Error ? error.stack : error}`);
  assert.match(error.message, /^Cannot [^\n]+$/);
  assert.ok(seconds < PATIENCE / 1000, `the error took ${seconds} s`);
}

const LOST = "GPU lost in the middle of a scan";
if (skip) tell({ fault: LOST, tried: 0, survived: 0, seen: {}, remark: `skipped: ${skip}` });

Deno.test({
  name: `a loss that only the mapping of a buffer tells of is a DeviceError${
    skip ? `, skipped: ${skip}` : ""
  }`,
  ignore: skip !== undefined,
  fn: async () => {
    using _ = await openDevice("webgpu");
    const { gpu } = tf.backend() as unknown as { gpu: Gpu };
    const staging = {
      mapAsync: () => Promise.resolve(),
      getMappedRange() {
        throw new DOMException("Parent device is lost", "OperationError");
      },
    } as unknown as GPUBuffer;
    await assert.rejects(gpu.read(staging, () => assert.fail("read what is not there")), {
      name: "DeviceError",
      message: /^Cannot use the WebGPU device: .*Parent device is lost/,
    });
  },
});

Deno.test({
  name:
    `a loss that only an operation of tfjs tells of is a DeviceError, and the next device is another${
      skip ? `, skipped: ${skip}` : ""
    }`,
  ignore: skip !== undefined,
  fn: async () => {
    using _ = await openDevice("webgpu");
    const { gpu } = tf.backend() as unknown as { gpu: Gpu };
    const x = tensorSpace.from([1, 2], [2]);
    // As the uploading of a tensor does before the loss is known.
    gpu.device.createBuffer = () => {
      throw new DOMException("Buffer with '' label is invalid", "OperationError");
    };
    const add = () => tf.add(x, x);
    assert.throws(add, { name: "DeviceError", message: /^Cannot use the WebGPU device: Buffer/ });
    x.dispose();
    using again = await openDevice("webgpu");
    const { x: samples, denoised } = await sample(await optimal(images, { device: again }), {
      count: 1,
      output: "tensor",
    });
    assert.ok((await tensorSpace.values(samples)).every(Number.isFinite));
    tensorSpace.dispose(samples, denoised);
  },
});

for (const [name, make] of Object.entries(SCANS)) {
  Deno.test({
    name: `${name} on a GPU that is lost in the middle is one DeviceError${
      skip ? `, skipped: ${skip}` : ""
    }`,
    ignore: skip !== undefined,
    fn: () =>
      trial(LOST, async () => {
        using device = await openDevice("webgpu");
        const denoiser = await make(device);
        const gpu = (tf.backend() as WebGPUBackend).device;
        const { error, seconds } = await failing(denoiser, () => gpu.destroy(), {
          after: 150,
          least: 0,
        });
        assertDeviceError(error, seconds);
        // What was open stays refused, and a device opened anew works.
        await assert.rejects(sample(denoiser, { count: 1, output: "tensor" }), DeviceError);
        using again = await openDevice("webgpu");
        const { x, denoised } = await sample(await optimal(images, { device: again }), {
          count: 1,
          output: "tensor",
        });
        assert.ok((await tensorSpace.values(x)).every(Number.isFinite));
        tensorSpace.dispose(x, denoised);
        return error;
      }),
  });
}

interface Threads {
  /** Those that were given work. */
  readonly busy: Set<Worker>;
  /** Whether what they are given next is a kernel that is not there, which makes them throw. */
  sabotaged: boolean;
}

/** Watches what threads are sent while `body` runs. */
async function withThreads(body: (threads: Threads) => Promise<void>): Promise<void> {
  const threads: Threads = { busy: new Set(), sabotaged: false };
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (this: Worker, message: unknown) {
    threads.busy.add(this);
    return post.call(this, threads.sabotaged ? { ...message as object, kernel: "none" } : message);
  };
  try {
    await body(threads);
  } finally {
    Worker.prototype.postMessage = post;
  }
}

for (
  const [what, fault] of [
    // Some threads may be of a pool that has done its work: these are gone already.
    ["is ended", ({ busy }: Threads) => busy.forEach((thread) => void thread.terminate())],
    ["throws", (threads: Threads) => void (threads.sabotaged = true)],
  ] as const
) {
  for (const [name, make] of Object.entries(SCANS)) {
    Deno.test(`${name} on the CPU, of which a thread ${what} in the middle, is one DeviceError`, () =>
      trial(`thread that ${what} in the middle of a scan`, async () => {
        using device = await openDevice("wasm");
        let seen: DeviceError | undefined;
        await withThreads(async (threads) => {
          const denoiser = await make(device);
          const moment = { after: 60, least: 1 };
          const { error, seconds } = await failing(denoiser, () => fault(threads), moment);
          assertDeviceError(error, seconds);
          seen = error;
          // A thread that threw may have been of a mask's own pool, and leaves the device as it was.
          if (threads.sabotaged) return;
          await assert.rejects(sample(denoiser, { count: 1, output: "tensor" }), DeviceError);
        });
        using again = await openDevice("wasm");
        const { x, denoised } = await sample(await optimal(images, { device: again }), {
          count: 1,
          output: "tensor",
        });
        tensorSpace.dispose(x, denoised);
        return seen;
      }));
  }
}

Deno.test("dataSpectrum() of which a thread ends in the middle is one DeviceError", async () => {
  const data = Float32Array.from(startNoise(1, 0, 1500, 700));
  const set = new Dataset({ data, shape: [700], name: "noise" });
  await withThreads((threads) =>
    trial("thread that is ended in the middle of a scan", async () => {
      const running = dataSpectrum(set, { cache: false });
      const begin = performance.now();
      while (threads.busy.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      void [...threads.busy][0].terminate();
      const error = await running.then(() => undefined, (error) => error);
      assertDeviceError(error, (performance.now() - begin) / 1000);
      return error;
    })
  );
});

Deno.test("sample asked for a GPU that is not there: one line, and no folder", () =>
  withFolder(async (folder) => {
    const out = `${folder}/out`;
    const none = { VK_DRIVER_FILES: "/nonexistent", VK_ICD_FILENAMES: "/nonexistent" };
    const before = { ...none, DENO_WEBGPU_BACKEND: "vulkan" };
    const old = Object.keys(before).map((name) => [name, Deno.env.get(name)] as const);
    for (const [name, value] of Object.entries(before)) Deno.env.set(name, value);
    try {
      await trial("no adapter", async () => {
        const { code, stdout, stderr } = await runSample("--device", "webgpu", "--out", out);
        assert.deepEqual([code, stdout], [1, ""], stderr);
        assert.match(stderr, /^Cannot open the device webgpu: [^\n]+wasm[^\n]+\n$/);
        assert.throws(() => Deno.statSync(out), Deno.errors.NotFound);
        return stderr;
      });
    } finally {
      for (const [name, value] of old) value ? Deno.env.set(name, value) : Deno.env.delete(name);
    }
  }));
