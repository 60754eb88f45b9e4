import type { Codec } from "@closedform/diffusion";
import type {
  AutoencoderOptions,
  TrainedAutoencoder,
  Weights,
} from "@closedform/diffusion/training";
import {
  autoencoderCodec,
  Dataset,
  DatasetError,
  encodeDataset,
  loadAutoencoder,
  openDevice,
  optimal,
  pcaCodec,
  RandomStream,
  sample,
  tinyShapes,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import {
  decodeAutoencoder,
  encodeAutoencoder,
  encodeSafetensors,
  openTrainingBackend,
  trainAutoencoder,
  weightTensors,
  writeWhole,
} from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { half, initialAutoencoder, noiseGain } from "../../src/codecs/_autoencoder_network.ts";
import { withFolder } from "../_helpers/files.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { EPS32 } from "../_helpers/tolerance.ts";

const SMALL: AutoencoderOptions = {
  latentDimension: 4,
  components: 20,
  width: 16,
  steps: 12,
  batchSize: 16,
  backend: "wasm",
  cache: false,
};

function rowsOf(dataset: Dataset): Float32Array {
  const { count, dimension } = dataset;
  const x = new Float32Array(count * dimension);
  for (let i = 0; i < count; i++) x.set(dataset.values(i), i * dimension);
  return x;
}

/** What is lost on the way to latents and back, as a share of the variance about the mean of the training data. */
async function lostShare(codec: Codec, held: Dataset, mean: Float64Array): Promise<number> {
  const x = rowsOf(held), back = await codec.decode(await codec.encode(x));
  const sum = (of: (v: number, i: number) => number) =>
    x.reduce((total, v, i) => total + of(v, i), 0);
  return sum((v, i) => (v - back[i]) ** 2) / sum((v, i) => (v - mean[i % mean.length]) ** 2);
}

/** Points on a closed curve in the first `d` numbers, whose plane of best fit it leaves: a circle and its overtone. */
function curve(count: number, first: number): Dataset {
  const data = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const angle = 2 * Math.PI * new RandomStream({ seed: 4, sample: first + i }).uniform();
    data.set([Math.cos(angle), Math.sin(angle), Math.cos(2 * angle), Math.sin(2 * angle)], 4 * i);
  }
  return new Dataset({ data, shape: [4], name: "curve" });
}

function assertSameBits(a: Weights, b: Weights): void {
  assert.deepEqual(Object.keys(a), Object.keys(b));
  for (const name of Object.keys(a)) {
    assert.deepEqual(a[name].shape, b[name].shape);
    assert.ok(a[name].values.every((v, i) => Object.is(v, b[name].values[i])), name);
  }
}

function assertSame(a: TrainedAutoencoder, b: TrainedAutoencoder): void {
  assertSameBits(a.weights, b.weights);
  assertSameBits(a.frame, b.frame);
  const facts = ({ weights: _, frame: __, ...rest }: TrainedAutoencoder) => rest;
  assert.deepEqual(facts(a), facts(b));
}

Deno.test("an autoencoder that has learned nothing is the projection onto principal components", async () => {
  const data = tinyShapes(200);
  // A step of size 1e-30 changes no weight.
  const trained = await trainAutoencoder(data, { ...SMALL, steps: 1, rate: 1e-30 });
  using ours = await autoencoderCodec(trained, { backend: "wasm" });
  using linear = await pcaCodec(data, { rank: 4, cache: false });
  const x = rowsOf(data.take(50));
  const [a, b] = [
    await ours.decode(await ours.encode(x)),
    await linear.decode(await linear.encode(x)),
  ];
  // Rows have norms up to √144 · 2; products of 144 and 20 terms in float32, each rounded.
  const tolerance = 24 * EPS32 * (144 + 20);
  assert.ok(a.every((v, i) => Math.abs(v - b[i]) < tolerance));
});

Deno.test("an autoencoder follows what bends away from every plane, on points it never saw", async () => {
  const data = curve(500, 0), held = curve(200, 500);
  using linear = await pcaCodec(data, { rank: 2 });
  const plane = await lostShare(linear, held, data.mean());
  // The plane of the circle or that of its overtone: half of the variance each.
  assert.ok(plane > 0.4, `${plane}`);
  const trained = await trainAutoencoder(data, {
    ...SMALL,
    latentDimension: 2,
    components: 4,
    width: 32,
    steps: 600,
    batchSize: 64,
    rate: 5e-3,
    stability: 0.02,
  });
  using codec = await autoencoderCodec(trained, { backend: "wasm" });
  const ours = await lostShare(codec, held, data.mean());
  // A latent of two numbers can hold all of it; a training this short comes most of the way.
  assert.ok(ours < 0.2 * plane, `${ours} of ${plane}`);
});

Deno.test("an autoencoder loses less of images it never saw than principal components of its rank", async () => {
  const data = tinyShapes(2000), held = tinyShapes(300, { seed: 1 });
  const trained = await trainAutoencoder(data, {
    latentDimension: 8,
    components: 100,
    width: 128,
    steps: 300,
    backend: "wasm",
    cache: false,
  });
  using codec = await autoencoderCodec(trained, { backend: "wasm" });
  using linear = await pcaCodec(data, { rank: 8, cache: false });
  const ours = await lostShare(codec, held, data.mean());
  const plane = await lostShare(linear, held, data.mean());
  assert.ok(ours < 0.8 * plane, `${ours} of ${plane}`);
});

Deno.test("latents of the training data are centred, of unit variance, and sample", async () => {
  const data = tinyShapes(120);
  using device = await openDevice("wasm");
  await withoutLeaks(async () => {
    using codec = await autoencoderCodec(await trainAutoencoder(data, SMALL), { backend: "wasm" });
    const latents = await encodeDataset(data, codec);
    const y = latents.data as Float32Array, r = 4;
    for (let k = 0; k < r; k++) {
      const column = Array.from({ length: data.count }, (_, i) => y[r * i + k]);
      const mean = column.reduce((sum, v) => sum + v) / data.count;
      const variance = column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.count;
      // Products of 144 and 20 terms in float32, of latents of order one.
      assert.ok(Math.abs(mean) < 200 * EPS32 && Math.abs(variance - 1) < 400 * EPS32);
    }
    using denoiser = await optimal(latents, { device });
    const { x, denoised } = await sample(denoiser, { count: 3, output: "tensor" });
    const images = await codec.decode(Float32Array.from(await tensorSpace.values(x)));
    tensorSpace.dispose(x, denoised);
    assert.equal(images.length, 3 * data.dimension);
    // Rows do not depend on what else is in their batch.
    const alone = await codec.encode(data.values(7));
    assert.ok(alone.every((v, k) => Math.abs(v - y[r * 7 + k]) < 400 * EPS32));
  });
});

Deno.test("noiseGain() is what small noise is enlarged by in the two stages, as published", async () => {
  using backend = await openTrainingBackend("cpu");
  const sizes = { components: 6, latentDimension: 3, width: 10 }, rows = 5, draws = 4000;
  const random = new RandomStream({ seed: 3, purpose: "theory" });
  const normals = (n: number) => Float32Array.from({ length: n }, () => random.normal());
  const weights = Object.fromEntries(
    Object.entries(initialAutoencoder(sizes, 0)).map(([name, { shape, values }]) => [
      name,
      { shape, values: normals(values.length).map((v) => v / 3) },
    ]),
  );
  const x = normals(rows * 6);
  const closed = backend.run(() =>
    tf.tidy(() => {
      const tensors = weightTensors(weights);
      const { slopes } = half("encoder", tensors, tf.tensor(x, [rows, 6]));
      return noiseGain("encoder", tensors, slopes).dataSync()[0];
    })
  );
  // By hand, in float64: f1 is x ↦ (x, elu(Wx+b)), f2 is linear.
  const of = (name: string) => weights[`encoder.${name}`].values;
  const f1 = (v: ArrayLike<number>) => {
    const hidden = Array.from({ length: 10 }, (_, j) => {
      let a = of("in.bias")[j];
      for (let i = 0; i < 6; i++) a += v[i] * of("in.weight")[10 * i + j];
      return a > 0 ? a : Math.expm1(a);
    });
    return [...Array.from(v), ...hidden];
  };
  const f2 = (v: number[]) =>
    Array.from({ length: 3 }, (_, k) => {
      let y = of("out.bias")[k];
      for (let i = 0; i < 6; i++) y += v[i] * of("linear")[3 * i + k];
      for (let j = 0; j < 10; j++) y += v[6 + j] * of("out.weight")[3 * j + k];
      return y;
    });
  const tau = 1e-3;
  const gain = (f: (v: number[]) => number[], v: number[]) => {
    const value = f(v), moved = f(v.map((c) => c + tau * random.normal()));
    return value.reduce((sum, y, k) => sum + ((moved[k] - y) / tau) ** 2, 0);
  };
  const values: number[] = [];
  for (let n = 0; n < draws; n++) {
    const row = Array.from(x.subarray(n % rows * 6, (n % rows + 1) * 6));
    // What is carried on unchanged is the same whatever the weights: 6.
    values.push(gain(f1, row) + gain(f2, f1(row)) - 6);
  }
  const mean = values.reduce((sum, v) => sum + v) / draws;
  const error = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0)) / draws;
  assert.ok(Math.abs(mean - closed) < 4 * error, `${mean} ± ${error}, closed form ${closed}`);
  assert.ok(error < 0.02 * closed);
});

Deno.test("stability makes noise in latents matter less, and still follows the bend", async () => {
  const data = curve(500, 0);
  const factsOf = async (stability: number) => {
    const trained = await trainAutoencoder(data, {
      ...SMALL,
      latentDimension: 2,
      components: 4,
      steps: 300,
      rate: 5e-3,
      stability,
    });
    using codec = await autoencoderCodec(trained, { backend: "wasm" });
    // Latents have unit variance, so that the same noise is comparable.
    const y = await codec.encode(rowsOf(data));
    const random = new RandomStream({ seed: 5, purpose: "theory" });
    const moved = await codec.decode(y.map((v) => v + 0.01 * random.normal()));
    const gain = (await codec.decode(y)).reduce((sum, v, i) => sum + (v - moved[i]) ** 2, 0);
    return { gain, lost: await lostShare(codec, data, data.mean()) };
  };
  const free = await factsOf(0), stable = await factsOf(0.1);
  assert.ok(stable.gain < 0.8 * free.gain, `${stable.gain} of ${free.gain}`);
  assert.ok(stable.lost < 0.4, `${stable.lost}`);
});

Deno.test("trainAutoencoder() gives the same bits under the same seed, others under another", async () => {
  const data = tinyShapes(100);
  const [a, b, c] = [
    await trainAutoencoder(data, SMALL),
    await trainAutoencoder(data, SMALL),
    await trainAutoencoder(data, { ...SMALL, seed: 1 }),
  ];
  assertSame(a, b);
  assert.throws(() => assertSame(a, c));
});

Deno.test("an autoencoder comes back from its file bit by bit, and damaged files are refused", () =>
  withFolder(async (folder) => {
    const data = tinyShapes(60), file = `${folder}/codec.safetensors`;
    const trained = await trainAutoencoder(data, SMALL);
    const bytes = encodeAutoencoder(trained);
    assertSame(decodeAutoencoder(bytes, file), trained);
    await writeWhole(file, bytes);
    using loaded = await loadAutoencoder(file, { backend: "wasm" });
    using before = await autoencoderCodec(trained, { backend: "wasm" });
    const x = rowsOf(data);
    const [y, again] = [await before.encode(x), await loaded.encode(x)];
    assert.ok(y.every((v, i) => Object.is(v, again[i])));
    assert.deepEqual([loaded.label, loaded.shape], [before.label, data.shape]);
    for (const length of [0, 7, 100, bytes.length >> 1, bytes.length - 1]) {
      await writeWhole(file, bytes.subarray(0, length));
      await assert.rejects(loadAutoencoder(file), DatasetError, `${length} bytes`);
    }
    const other = encodeSafetensors({ weights: {}, notes: { format: "something else" } });
    assert.throws(() => decodeAutoencoder(other, file), /wanted a trained autoencoder/);
    for (const change of [{ width: 17 }, { latentDimension: 3 }, { shape: [143] }, { width: -1 }]) {
      const wrong = encodeAutoencoder({ ...trained, ...change });
      assert.throws(() => decodeAutoencoder(wrong, file), DatasetError, JSON.stringify(change));
    }
    await assert.rejects(loadAutoencoder(`${folder}/none`), /no such file/);
  }));

Deno.test("trainAutoencoder() tells its progress, can be cancelled, and leaks no tensors", async () => {
  const data = tinyShapes(60);
  await openTrainingBackend("wasm");
  await withoutLeaks(async () => {
    const seen: number[] = [], controller = new AbortController();
    const training = trainAutoencoder(data, {
      ...SMALL,
      signal: controller.signal,
      onStep({ step, steps, loss, remaining, elapsed }) {
        seen.push(step);
        assert.ok(steps === 12 && loss > 0 && elapsed > 0);
        assert.ok(Math.abs(remaining - (12 - step) * elapsed / step) < 1e-9);
        if (step === 5) controller.abort(new RangeError("enough"));
      },
    });
    await assert.rejects(training, /enough/);
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    const signal = AbortSignal.abort(new RangeError("at once"));
    await assert.rejects(trainAutoencoder(data, { ...SMALL, signal }), /at once/);
    using codec = await autoencoderCodec(await trainAutoencoder(data, SMALL), { backend: "wasm" });
    await assert.rejects(codec.encode(rowsOf(data), { signal }), /at once/);
    await assert.rejects(codec.decode(Float32Array.of(1, NaN, 0, 0)), RangeError);
    const told: number[] = [];
    await codec.encode(rowsOf(data), { onProgress: (done) => told.push(done) });
    assert.deepEqual(told, [60]);
  });
});

Deno.test("autoencoders refuse what makes no sense", async () => {
  const data = tinyShapes(60);
  for (
    const bad of [
      { latentDimension: 0 },
      { latentDimension: 21 },
      { components: 145 },
      { components: 1.5 },
      { width: 0 },
      { steps: 0 },
      { batchSize: 0 },
      { stability: -1 },
      { stability: NaN },
      { rate: 0 },
    ]
  ) {
    await assert.rejects(
      trainAutoencoder(data, { ...SMALL, ...bad }),
      RangeError,
      JSON.stringify(bad),
    );
  }
  await assert.rejects(trainAutoencoder(tinyShapes(1), SMALL), /all the same/);
  using codec = await autoencoderCodec(await trainAutoencoder(data, { ...SMALL, steps: 1 }), {
    backend: "wasm",
  });
  await assert.rejects(codec.encode(new Float32Array(143)), TypeError);
  await assert.rejects(codec.decode(new Float32Array(5)), TypeError);
  await assert.rejects(codec.decode(new Float32Array(0)), TypeError);
  await assert.rejects(encodeDataset(curve(5, 0), codec), TypeError);
});
