/** What is special to the WebGPU device; tests that hold on every device are in posterior_test.ts. */
import type { DataStore, Device, PointSet, PosteriorFacts } from "@closedform/diffusion";
import { DeviceError, openDevice, RandomStream, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { referencePosterior } from "@closedform/diffusion/compute";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { findAdapter, openWebGpu } from "../../../src/compute/webgpu/device.ts";
import { acquireGpu, type Gpu } from "../../../src/compute/webgpu/context.ts";
import type { StoreSizes } from "../../../src/compute/webgpu/store.ts";
import { testDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose, EPS32, posteriorTolerance } from "../../_helpers/tolerance.ts";

const skip = (await testDevices()).find(({ kind }) => kind === "webgpu")?.skip;

function test(name: string, fn: () => Promise<void>): void {
  const reason = skip ? `, skipped: ${skip}` : "";
  Deno.test({ name: `webgpu ${name}${reason}`, ignore: !!skip, fn });
}

async function open(sizes: StoreSizes = {}): Promise<Device> {
  const found = await findAdapter();
  assert.ok(found);
  return await openWebGpu(found, "under test", sizes);
}

/** Opens a device, hands out its GPU beside it, and closes both. */
async function withGpu(
  body: (device: Device, gpu: Gpu) => Promise<void>,
  sizes: StoreSizes = {},
): Promise<void> {
  using device = await open(sizes);
  const { gpu, release } = await acquireGpu((await findAdapter())!.adapter);
  try {
    await body(device, gpu);
  } finally {
    release();
  }
}

function randomPoints(
  count: number,
  dimension: number,
  bytes: boolean,
): PointSet {
  const stream = new RandomStream({ seed: 5, sample: 0, purpose: "data" });
  const data = bytes
    ? Uint8Array.from({ length: count * dimension }, () => stream.below(256))
    : Float32Array.from(
      { length: count * dimension },
      () => 2 * stream.uniform() - 1,
    );
  return { data, dimension };
}

function noise(rows: number, dimension: number, sigma: number): Float32Array {
  return Float32Array.from(
    startNoise(9, 0, rows, dimension),
    (e) => sigma * e,
  );
}

/** Noisy copies of rows of data in [-1, 1], one per noise level. */
function noisyRows(points: PointSet, sigmas: number[]): Float32Array {
  const { data, dimension } = points;
  return noise(sigmas.length, dimension, 1).map((e, at) => {
    const row = 7 * Math.floor(at / dimension) % (data.length / dimension);
    const v = data[row * dimension + at % dimension];
    return (data instanceof Uint8Array ? v / 127.5 - 1 : v) +
      sigmas[Math.floor(at / dimension)] * e;
  });
}

/** A tensor of queries that lies on the GPU. */
function onGpu(values: Float32Array, dimension: number): tf.Tensor {
  return tf.tidy(() => tf.mul(tf.tensor2d(values, [values.length / dimension, dimension]), 1));
}

async function ask(
  store: DataStore,
  queries: Float32Array,
  sigma: number | number[],
) {
  const x = onGpu(queries, store.dimension);
  const { mean, facts } = await store.posterior(x, sigma);
  const values = await tensorSpace.values(mean);
  tf.dispose([x, mean]);
  return { mean: values, facts };
}

const LONG = { count: 30_000, dimension: 784, batch: 64 };

/** Data and queries that keep a software driver busy for a second. */
async function longRun(device: Device) {
  const { count, dimension, batch } = LONG;
  const store = await device.store({
    data: new Uint8Array(count * dimension).map((_, i) => i % 251),
    dimension,
  });
  return { store, x: onGpu(noise(batch, dimension, 1), dimension) };
}

async function within(milliseconds: number, promise: Promise<unknown>) {
  const start = performance.now();
  await assert.rejects(promise, DeviceError);
  const elapsed = performance.now() - start;
  assert.ok(elapsed < milliseconds, `took ${elapsed} ms`);
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test("findAdapter() prints nothing on stderr and asks for no permission", async () => {
  const source = new URL("../../../src/compute/webgpu/device.ts", import.meta.url).href;
  const script = `import { findAdapter } from ${JSON.stringify(source)};
    console.log((await findAdapter())?.name);`;
  const url = `data:application/typescript,${encodeURIComponent(script)}`;
  const root = new URL("../../../deno.json", import.meta.url).pathname;
  for (const permission of ["--allow-env", "--deny-env"]) {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--config", root, "--allow-import", permission, url],
      env: permission === "--allow-env" ? { XDG_RUNTIME_DIR: "" } : { XDG_RUNTIME_DIR: "/tmp" },
    });
    const { success, stdout, stderr } = await command.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    assert.equal(text(stderr), "");
    assert.ok(success);
    assert.notEqual(text(stdout), "undefined");
  }
});

test("openWebGpu() takes the limits of the adapter", async () => {
  await withGpu(async (_, gpu) => {
    const found = await findAdapter();
    for (const name of ["maxBufferSize", "maxStorageBufferBindingSize"] as const) {
      assert.equal(gpu.device.limits[name], found!.adapter.limits[name]);
    }
  });
});

test("openWebGpu() leaves tfjs as it was, also when opened twice and in turns", async () => {
  using _wasm = await openDevice("wasm");
  const forward = tf.env().get("WEBGPU_CPU_FORWARD");
  const points = randomPoints(7, 3, false);
  for (let round = 0; round < 3; round++) {
    const first = await open();
    const second = await open();
    assert.equal(tf.getBackend(), "webgpu");
    first.dispose();
    const store = await second.store(points);
    const { facts } = await ask(store, noise(1, 3, 1), 1);
    assert.ok(facts.effectiveSampleSize[0] > 1);
    second.dispose();
    second.dispose();
    assert.equal(tf.getBackend(), "cpu");
    assert.equal(tf.env().get("WEBGPU_CPU_FORWARD"), forward);
    assert.equal(await tf.tidy(() => tf.sum([1, 2])).data().then((v) => v[0]), 3);
    await assert.rejects(store.posterior(tf.ones([1, 3]), 1), DeviceError);
  }
});

/** What rounding may do to each fact, from what it may do to a logit of a row that weighs. */
function assertFacts(
  actual: PosteriorFacts,
  expected: PosteriorFacts,
  q: number,
  logit: number,
  count: number,
  what: string,
): void {
  const close = (name: keyof PosteriorFacts, tolerance: number) =>
    assertClose([actual[name]![q]], [expected[name]![q]], tolerance, `${what}: ${name}`);
  const range = 1 + Math.log(count);
  const gap = expected.logitGap[q];
  // A logit l is also off by a few roundings of its own size.
  const own = (l: number) => logit + 8 * EPS32 * Math.abs(l);
  close("topLogit", own(expected.topLogit[q]));
  close("logNormaliser", own(expected.logNormaliser[q]) + 8 * EPS32);
  close("logitGap", 2 * own(Math.min(gap, 1e30)));
  // H and log n_eff move by at most the spread of the logits that weigh, times their error.
  close("entropy", (2 * logit + 16 * EPS32) * range);
  close("effectiveSampleSize", (4 * logit + 32 * EPS32) * expected.effectiveSampleSize[q]);
  if (gap > 4 * logit) close("topIndex", 0);
}

test("posterior() is the same for any chunk and shard", async () => {
  const sigmas = [100, 1, 0.3, 0.05, 0.002];
  const cuts: StoreSizes[] = [
    {},
    { chunkBytes: 1 },
    { chunkBytes: 4096, shardBytes: 1 },
    { chunkBytes: 1024, shardBytes: 9000 },
  ];
  for (const bytes of [true, false]) {
    for (const [count, dimension] of [[1, 1], [257, 2], [1000, 3], [301, 784], [23, 12288]]) {
      const points = randomPoints(count, dimension, bytes);
      const queries = noisyRows(points, sigmas);
      const row = (of: Float32Array | Float64Array, q: number) =>
        of.subarray(q * dimension, (q + 1) * dimension);
      const expected = referencePosterior(points, queries, sigmas);
      const tolerances = sigmas.map((sigma, q) =>
        posteriorTolerance(points, row(queries, q), sigma)
      );
      for (const sizes of cuts) {
        using device = await open(sizes);
        const { mean, facts } = await ask(await device.store(points), queries, sigmas);
        tolerances.forEach((tolerance, q) => {
          const what = `${count}×${dimension} ${bytes ? "bytes" : "floats"}, ` +
            `sigma ${sigmas[q]}, ${JSON.stringify(sizes)}`;
          assertClose(row(mean, q), row(expected.mean, q), tolerance.mean, what);
          assertFacts(facts, expected.facts, q, tolerance.logit, count, what);
        });
      }
    }
  }
});

test("posterior() keeps logit differences at high noise", async () => {
  // The terms of a relative distance are at most 2 range σ√d in sum of squares, and d range²;
  // direct differences would lose d/2 nats times epsilon, a thousand times as much.
  const dimension = 12288, sigma = 100, range = 1;
  const lost = 8 * EPS32 *
    (Math.sqrt(dimension) * range / sigma + dimension * range ** 2 / (2 * sigma ** 2));
  for (const bytes of [true, false]) {
    for (const shift of [0, 50]) {
      const { data } = randomPoints(9, dimension, bytes);
      const points: PointSet = bytes
        ? { data, dimension, range: [shift - range, shift + range] }
        : { data: Float32Array.from(data, (v) => v + shift), dimension };
      const queries = noise(5, dimension, sigma).map((v) => v + shift);
      const { facts } = referencePosterior(points, queries, sigma);
      using device = await open();
      const found = await ask(await device.store(points), queries, sigma);
      assertClose(found.facts.logitGap, facts.logitGap, lost, "gap");
      assertClose(found.facts.entropy, facts.entropy, lost, "entropy");
      assert.deepEqual(found.facts.topIndex, facts.topIndex);
    }
  }
});

test("posterior() of a query has the same bits in every batch", async () => {
  using device = await open({ chunkBytes: 20_000 });
  for (const bytes of [true, false]) {
    for (const [count, dimension] of [[1000, 2], [300, 50], [150, 784]]) {
      const points = randomPoints(count, dimension, bytes);
      const store = await device.store(points);
      const batch = 67; // one block of 64 and three more
      const sigmas = Array.from({ length: batch }, (_, q) => 0.01 * 1.15 ** q);
      const queries = noisyRows(points, sigmas);
      const all = await ask(store, queries, sigmas);
      for (const [from, end] of [[0, 1], [66, 67], [1, 6], [63, 66], [30, 31]]) {
        const part = await ask(
          store,
          queries.slice(from * dimension, end * dimension),
          sigmas.slice(from, end),
        );
        assert.deepEqual(
          part.mean,
          all.mean.slice(from * dimension, end * dimension),
        );
        for (const name of Object.keys(part.facts) as (keyof typeof part.facts)[]) {
          assert.deepEqual(part.facts[name], all.facts[name]!.slice(from, end), name);
        }
      }
      store.dispose();
    }
  }
});

test("posterior() takes tensors of the CPU, of integers and of another backend", async () => {
  const points = randomPoints(20, 3, false);
  using wasm = await openDevice("wasm");
  const foreign = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
  using device = await open();
  const store = await device.store(points);
  const inputs = [
    foreign,
    tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]),
    tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3], "int32"),
    onGpu(Float32Array.of(1, 2, 3, 4, 5, 6), 3),
  ];
  const means = [];
  for (const x of inputs) {
    const { mean } = await store.posterior(x, 2);
    assert.deepEqual(mean.shape, [2, 3]);
    means.push(await tensorSpace.values(mean));
    tf.dispose([x, mean]);
  }
  for (const mean of means) assert.deepEqual(mean, means[0]);
  assert.equal(wasm.kind, "wasm");
});

test("posterior() leaves neither tensors nor GPU memory behind", async () => {
  await withGpu(async (device, gpu) => {
    const empty = gpu.bytes;
    const store = await device.store(randomPoints(500, 10, true));
    const x = onGpu(noise(6, 10, 1), 10);
    const nan = onGpu(noise(6, 10, 1).fill(NaN, 33, 34), 10);
    const huge = onGpu(noise(6, 10, 1e30), 10);
    tf.dispose((await store.posterior(x, 1)).mean);
    const after = gpu.bytes;
    await withoutLeaks(async () => {
      for (let i = 0; i < 3; i++) tf.dispose((await store.posterior(x, 1)).mean);
      await assert.rejects(store.posterior(nan, 1), {
        name: "RangeError",
        message: /query 3 is not finite/,
      });
      await assert.rejects(store.posterior(huge, 1), {
        name: "RangeError",
        message: /exceed float32/,
      });
      await assert.rejects(store.posterior(x, 0), RangeError);
      await assert.rejects(store.posterior(x, [1, 2]), TypeError);
      await assert.rejects(
        store.posterior(x, 1, { signal: AbortSignal.abort("enough") }),
        (reason) => reason === "enough",
      );
      assert.equal(gpu.bytes, after);
    });
    store.dispose();
    assert.equal(gpu.bytes, empty);
    await assert.rejects(store.posterior(x, 1), DeviceError);
    await assert.rejects(device.store({ data: Float32Array.of(1, NaN), dimension: 2 }), RangeError);
    assert.equal(gpu.bytes, empty);
    tf.dispose([x, nan, huge]);
  });
});

test("posterior() stops in the middle on an abort, and when its data are disposed", async () => {
  await withGpu(async (device, gpu) => {
    const empty = gpu.bytes;
    const { store, x } = await longRun(device);
    const controller = new AbortController();
    const aborted = store.posterior(x, 1, { signal: controller.signal });
    await pause(20);
    controller.abort("enough");
    await assert.rejects(aborted, (reason) => reason === "enough");
    const disposed = store.posterior(x, 1);
    await pause(20);
    store.dispose();
    await assert.rejects(disposed, DeviceError);
    assert.equal(gpu.bytes, empty);
    x.dispose();
  });
});

test("posterior() rejects when the device is lost in the middle, and a new one works", async () => {
  await withGpu(async (device, gpu) => {
    const { store, x } = await longRun(device);
    const running = store.posterior(x, 1);
    const waiting = store.posterior(x, 1);
    await pause(50);
    gpu.device.destroy();
    await Promise.all([within(1000, running), within(1000, waiting)]);
    await within(1000, store.posterior(x, 1));
    await within(1000, device.store(randomPoints(2, 2, true)));
    using again = await open();
    const { facts } = await ask(await again.store(randomPoints(1, 2, true)), noise(1, 2, 1), 1);
    assert.equal(facts.topIndex[0], 0);
    x.dispose();
  });
});

test("no wait outlives the device", async () => {
  await withGpu(async (_, gpu) => {
    const never = gpu.wait(new Promise(() => {}));
    gpu.device.destroy();
    await within(1000, never);
    await within(1000, gpu.wait(Promise.reject(new RangeError("late"))));
  });
});

test("posterior() rejects when the device is disposed in the middle", async () => {
  const device = await open();
  const { store, x } = await longRun(device);
  const running = store.posterior(x, 1);
  await pause(50);
  device.dispose();
  await within(1000, running);
  x.dispose();
});

test("a tensor larger than a binding is an error, not zeros", async () => {
  await withGpu(async (device, gpu) => {
    const store = await device.store(randomPoints(2, 2, true));
    const length = gpu.device.limits.maxStorageBufferBindingSize / 4 + 1;
    const x = tf.ones([1, 2]);
    const sum = tf.tidy(() => tf.sum(tf.zeros([length])));
    await assert.rejects(sum.data(), DeviceError);
    await within(1000, store.posterior(x, 1));
    tf.dispose([x, sum]);
  });
});
