import type { TrainOptions, Weights } from "@closedform/diffusion/training";
import {
  Dataset,
  DatasetError,
  moons,
  openDevice,
  optimal,
  RandomStream,
  sample,
  tinyShapes,
  wiener,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { edmPreconditioning } from "@closedform/diffusion/training";
import {
  decodeCheckpoint,
  decodeNetwork,
  encodeNetwork,
  mlp,
  openTrainingBackend,
  trainDenoiser,
  trainedDenoiser,
  trainingBatch,
  unet,
} from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { EPS32 } from "../_helpers/tolerance.ts";

const data = moons(50);
const network = mlp({ shape: [2], width: 8, layers: 2, frequencies: 2 });
const small: TrainOptions = { network, steps: 30, batchSize: 16, backend: "wasm", seed: 5 };

function assertEqualWeights(a: Weights, b: Weights): void {
  assert.deepEqual(Object.keys(a), Object.keys(b));
  for (const name of Object.keys(a)) {
    assert.ok(a[name].values.every((v, i) => Object.is(v, b[name].values[i])), name);
  }
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Trains until a step, there cancels, and expects that to be told. */
async function cancelAt(step: number, options: TrainOptions): Promise<void> {
  const controller = new AbortController();
  const onStep = (at: { step: number }) => {
    if (at.step === step) controller.abort(new RangeError("enough"));
  };
  await assert.rejects(
    trainDenoiser(data, { ...options, signal: controller.signal, onStep }),
    /enough/,
  );
}

for (const backend of ["cpu", "wasm"] as const) {
  Deno.test(`a training that was cancelled and continued gives the bits of one that was not [${backend}]`, async () => {
    await inFolder(async (folder) => {
      const checkpoint = `${folder}/run.safetensors`;
      const options = { ...small, backend, warmUp: 20, checkpoint, checkpointEvery: 10 };
      await cancelAt(7, options);
      assert.equal(decodeCheckpoint(await Deno.readFile(checkpoint), checkpoint).state.step, 7);
      await cancelAt(23, options);
      const continued = await trainDenoiser(data, options);
      const whole = await trainDenoiser(data, { ...options, checkpoint: undefined });
      assert.equal(continued.step, 30);
      assertEqualWeights(continued.weights, whole.weights);
      assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), [
        "run.safetensors",
      ]);
      // Nothing is left to do: the file alone gives the network.
      assertEqualWeights((await trainDenoiser(data, options)).weights, whole.weights);
    });
  });
}

Deno.test("checkpoints that do not fit are refused, and not touched", async () => {
  await inFolder(async (folder) => {
    const checkpoint = `${folder}/run.safetensors`;
    const options = { ...small, steps: 3, checkpoint };
    await trainDenoiser(data, options);
    const bytes = await Deno.readFile(checkpoint);
    for (
      const other of [{ seed: 6 }, { batchSize: 8 }, { rate: 0.1 }, {
        preconditioning: edmPreconditioning(1),
      }, { network: mlp({ shape: [2], width: 9 }) }]
    ) {
      await assert.rejects(trainDenoiser(data, { ...options, ...other }), RangeError);
    }
    await assert.rejects(trainDenoiser(moons(51), options), RangeError);
    assert.deepEqual(await Deno.readFile(checkpoint), bytes);
    await Deno.writeFile(checkpoint, bytes.subarray(0, bytes.length / 2));
    await assert.rejects(trainDenoiser(data, options), DatasetError);
    assert.equal((await Deno.readFile(checkpoint)).length, Math.floor(bytes.length / 2));
  });
});

Deno.test("trainDenoiser() tells its progress, hands out snapshots, and leaks no tensors", async () => {
  await withoutLeaks(async () => {
    const seen: number[] = [], snapshots: Weights[] = [];
    await trainDenoiser(data, {
      ...small,
      snapshots: [10, 20],
      onStep({ step, steps, remaining, imagesPerSecond, elapsed, loss, snapshot }) {
        seen.push(step);
        assert.equal(steps, 30);
        assert.ok(loss > 0 && elapsed > 0);
        // What is left is what is left over the pace so far.
        assert.ok(Math.abs(remaining - (30 - step) * 16 / imagesPerSecond) < 1e-9);
        if (snapshot) snapshots.push(snapshot.weights);
      },
    });
    assert.deepEqual(seen, Array.from({ length: 30 }, (_, i) => i + 1));
    for (const [k, steps] of [10, 20].entries()) {
      const { weights } = await trainDenoiser(data, { ...small, steps });
      assertEqualWeights(snapshots[k], weights);
    }
  });
});

Deno.test("trainDenoiser() depends on its seed", async () => {
  const [a, b] = [
    await trainDenoiser(data, { ...small, steps: 2 }),
    await trainDenoiser(data, { ...small, steps: 2, seed: 6 }),
  ];
  assert.throws(() => assertEqualWeights(a.weights, b.weights));
});

Deno.test("a trained network is nearer to the optimal denoiser than a Gaussian is", async () => {
  const set = moons(1000);
  const trained = await trainDenoiser(set, {
    network: mlp({ shape: [2], width: 64 }),
    steps: 600,
    batchSize: 64,
    rate: 3e-3,
    backend: "wasm",
  });
  using device = await openDevice("wasm");
  using exact = await optimal(set, { device });
  using gaussian = await wiener(set, { device });
  using ours = trainedDenoiser(trained);
  const stream = new RandomStream({ seed: 9, purpose: "theory" });
  await withoutLeaks(async () => {
    for (const sigma of [0.3, 0.6]) {
      const x = tensorSpace.from(
        Array.from({ length: 256 }, () => [...set.values(stream.below(set.count))]).flat().map((
          v,
        ) => v + sigma * stream.normal()),
        [256, 2],
      );
      const [wanted, learned, linear] = await Promise.all(
        [exact, ours, gaussian].map(async (denoiser) => {
          const y = (await denoiser.denoise(x, sigma)).mean;
          const values = await tensorSpace.values(y);
          y.dispose();
          return values;
        }),
      );
      const error = (values: ArrayLike<number>) =>
        Array.from(wanted, (v, i) => (v - values[i]) ** 2).reduce((sum, v) => sum + v);
      assert.ok(
        error(learned) < 0.6 * error(linear),
        `σ=${sigma}: ${error(learned)} ${error(linear)}`,
      );
      x.dispose();
    }
  });
});

Deno.test("networks come back from their bytes, and sample", async () => {
  const shapes = tinyShapes(20);
  const trained = await trainDenoiser(shapes, {
    network: unet({ shape: shapes.shape, channels: [3, 4] }),
    steps: 2,
    batchSize: 4,
    backend: "wasm",
  });
  const again = decodeNetwork(encodeNetwork(trained), "x.safetensors");
  assertEqualWeights(again.weights, trained.weights);
  assert.deepEqual([again.step, again.data, again.mean], [2, "tiny shapes", trained.mean]);
  using _device = await openDevice("wasm");
  await withoutLeaks(async () => {
    using denoiser = trainedDenoiser(again);
    const { x, denoised } = await sample(denoiser, { count: 2, output: "tensor" });
    assert.deepEqual(x.shape, [2, 12, 12, 1]);
    tensorSpace.dispose(x, denoised);
  });
});

Deno.test("trainedDenoiser() computes on a backend beside the active one", async () => {
  using _device = await openDevice("wasm");
  using backend = await openTrainingBackend("wasm");
  const network = unet({ shape: [4, 4, 1], channels: [4] });
  const initial = network.initial();
  const out = { ...initial.out, values: initial.out.values.map((_, i) => Math.sin(i) / 4) };
  const trained = {
    network,
    weights: { ...initial, out },
    preconditioning: edmPreconditioning(),
    mean: new Float64Array(16),
    step: 0,
    data: "nothing",
  };
  await withoutLeaks(async () => {
    const x = tensorSpace.from(Float32Array.from({ length: 32 }, (_, i) => Math.cos(i)), [
      2,
      4,
      4,
      1,
    ]);
    const [here, there] = [trainedDenoiser(trained), trainedDenoiser(trained, { backend })];
    const [a, b] = [
      (await here.denoise(x, [0.3, 2])).mean,
      (await there.denoise(x, [0.3, 2])).mean,
    ];
    assert.equal(tf.getBackend(), "cpu");
    const [wanted, found] = [await tensorSpace.values(a), await tensorSpace.values(b)];
    // Sums of up to 37 products, and a sigmoid, in three layers; everything is of order 1.
    found.forEach((v, i) => assert.ok(Math.abs(v - wanted[i]) < 128 * EPS32, `${v} ${wanted[i]}`));
    tensorSpace.dispose(x, a, b);
    here.dispose();
    there.dispose();
  });
});

Deno.test("trainingBatch() draws levels of the stated law, and rows of their own", () => {
  const item = Float32Array.of(3, -1);
  const one = new Dataset({ data: item, shape: [2], name: "one item" });
  const made = edmPreconditioning(0.5), batchSize = 4000;
  const batch = trainingBatch(one, made, 3, { batchSize, seed: 2 });
  const logs = Array.from(batch.sigmas, Math.log);
  const mean = logs.reduce((sum, v) => sum + v, 0) / batchSize;
  const variance = logs.reduce((sum, v) => sum + (v - mean) ** 2, 0) / batchSize;
  // Five standard errors.
  assert.ok(Math.abs(mean + 1.2) < 5 * 1.2 / Math.sqrt(batchSize));
  assert.ok(Math.abs(variance / 1.44 - 1) < 5 * Math.sqrt(2 / batchSize));
  let squares = 0;
  batch.sigmas.forEach((sigma, b) => {
    const { skip, out, in: input, noise } = made.scales(sigma);
    assert.equal(batch.noise[b], Math.fround(noise));
    assert.ok(Math.abs(batch.weights[b] - 1) < 1e-6);
    item.forEach((clean, c) => {
      const x = batch.inputs[2 * b + c] / input;
      squares += ((x - clean) / sigma) ** 2;
      // What a network that meets its target gives is the item, up to rounding of both to float32.
      const denoised = skip * x + out * batch.targets[2 * b + c];
      const size = Math.abs(skip * x) + Math.abs(out * batch.targets[2 * b + c]);
      assert.ok(Math.abs(denoised - clean) <= 2 * EPS32 * size);
    });
  });
  // Rounding of inputs to float32 moves noise of tiny levels, by far less than the standard error.
  assert.ok(Math.abs(squares / (2 * batchSize) - 1) < 5 / Math.sqrt(batchSize));
  const part = trainingBatch(one, made, 3, { batchSize: 3, seed: 2 });
  assert.deepEqual(part.inputs, batch.inputs.slice(0, 6));
  assert.notEqual(trainingBatch(one, made, 4, { batchSize: 3, seed: 2 }).sigmas[0], part.sigmas[0]);
});

Deno.test("trainDenoiser() refuses what makes no sense", async () => {
  await assert.rejects(trainDenoiser(data, { network: mlp({ shape: [3] }) }), TypeError);
  for (
    const bad of [
      { steps: 0 },
      { steps: 1.5 },
      { batchSize: 0 },
      { rate: -1 },
      {
        checkpointEvery: 0,
      },
      { levels: { deviation: 0 } },
      { backend: "magic" },
    ]
  ) {
    await assert.rejects(
      trainDenoiser(data, { ...small, ...bad } as TrainOptions),
      RangeError,
      JSON.stringify(bad),
    );
  }
});
