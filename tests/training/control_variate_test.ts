import type { GaussianLaw } from "@closedform/diffusion";
import type { TrainOptions, Weights } from "@closedform/diffusion/training";
import {
  DatasetError,
  dataSpectrum,
  gaussian,
  gaussianLaw,
  lowRank,
  moons,
  openDevice,
  RandomStream,
  tinyShapes,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { scaleRows } from "@closedform/diffusion/theory";
import {
  controlVariate,
  edmPreconditioning,
  neural,
  noisePreconditioning,
} from "@closedform/diffusion/training";
import { preconditioningOf } from "../../src/denoisers/preconditioning.ts";
import {
  decodeNetwork,
  encodeNetwork,
  mlp,
  trainDenoiser,
  trainedDenoiser,
  trainingBatch,
} from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { EPS32 } from "../_helpers/tolerance.ts";

const data = moons(50), law = await dataSpectrum(data);
const preconditioning = controlVariate(law);
const network = mlp({ shape: [2], width: 8, layers: 2, frequencies: 2 });
const small: TrainOptions = {
  network,
  preconditioning,
  steps: 20,
  batchSize: 16,
  backend: "wasm",
  seed: 5,
};

function assertEqualWeights(a: Weights, b: Weights): void {
  assert.deepEqual(Object.keys(a), Object.keys(b));
  for (const name of Object.keys(a)) {
    assert.ok(a[name].values.every((v, i) => Object.is(v, b[name].values[i])), name);
  }
}

/** States of any size, one per row. */
function states(rows: number, d: number): Float32Array {
  const stream = new RandomStream({ seed: 2, purpose: "theory" });
  return Float32Array.from(
    { length: rows * d },
    (_, i) => 10 ** (Math.floor(i / d) % 3) * stream.normal(),
  );
}

Deno.test("an untrained network with a control variate is the Gaussian denoiser, bit for bit", async () => {
  using device = await openDevice("wasm");
  const shapes = tinyShapes(300), spectrum = await dataSpectrum(shapes);
  for (const law of [spectrum, lowRank(spectrum, 9), gaussianLaw(shapes.mean(), 0.25)]) {
    const made = controlVariate(law);
    const untrained = mlp({ shape: shapes.shape, width: 8 });
    await withoutLeaks(async () => {
      using ours = trainedDenoiser({
        network: untrained,
        weights: untrained.initial(),
        preconditioning: made,
        mean: shapes.mean(),
        step: 0,
        data: "nothing",
      });
      using wanted = await gaussian(made.law!, { device, shape: shapes.shape });
      const x = tensorSpace.from(states(6, 144), [6, ...shapes.shape]);
      const sigma = [0.002, 0.1, 0.5, 2, 20, 80];
      const [a, b] = [(await ours.denoise(x, sigma)).mean, (await wanted.denoise(x, sigma)).mean];
      assert.deepEqual(await tensorSpace.values(a), await tensorSpace.values(b));
      tensorSpace.dispose(x, a, b);
    });
  }
});

Deno.test("a control variate of many numbers is that of float64 loops, up to rounding", async () => {
  using _device = await openDevice("wasm");
  const d = 300, stream = new RandomStream({ seed: 3, purpose: "theory" });
  // The axes are those of a reflection, and so orthonormal.
  const axis = Float64Array.from({ length: d }, () => stream.normal());
  const square = axis.reduce((sum, v) => sum + v * v, 0);
  const basis = Float64Array.from(
    { length: d * d },
    (_, at) => (at % (d + 1) === 0 ? 1 : 0) - 2 * axis[Math.floor(at / d)] * axis[at % d] / square,
  );
  const variances = Float64Array.from({ length: d }, (_, k) => 4 / (1 + k));
  const wide: GaussianLaw = { mean: axis, variances, basis, floor: 0 };
  const made = controlVariate(wide);
  const denoiser = neural((x) => tf.zerosLike(x), { shape: [d], preconditioning: made });
  const rows = states(3, d), sigma = [0.1, 1, 10];
  await withoutLeaks(async () => {
    const x = tensorSpace.from(rows, [3, d]), y = (await denoiser.denoise(x, sigma)).mean;
    const wanted = scaleRows(made.law!, rows, (b, v) => v / (v + sigma[b] ** 2));
    const values = await tensorSpace.values(y);
    for (let b = 0; b < 3; b++) {
      const part = Array.from({ length: d }, (_, c) => rows[b * d + c] - wide.mean[c]);
      // Two products of d terms each.
      const tolerance = 4 * Math.sqrt(d) * EPS32 * Math.hypot(...part, ...wide.mean);
      for (let at = b * d; at < (b + 1) * d; at++) {
        assert.ok(Math.abs(values[at] - wanted[at]) < tolerance, `${values[at]} ${wanted[at]}`);
      }
    }
    tensorSpace.dispose(x, y);
  });
});

Deno.test("trainingBatch() asks for what the Gaussian leaves", () => {
  const batch = trainingBatch(data, preconditioning, 3, { batchSize: 64 });
  const plain = trainingBatch(data, edmPreconditioning(), 3, { batchSize: 64 });
  assert.deepEqual([batch.inputs, batch.noise, batch.weights, batch.sigmas], [
    plain.inputs,
    plain.noise,
    plain.weights,
    plain.sigmas,
  ]);
  const { scales } = edmPreconditioning();
  batch.sigmas.forEach((sigma, b) => {
    const { skip, out, in: input } = scales(sigma);
    for (let c = 0; c < 2; c++) {
      const x = Array.from({ length: 2 }, (_, c) => plain.inputs[2 * b + c] / input);
      const known = scaleRows(preconditioning.law!, x, (_, v) => v / (v + sigma ** 2));
      const ours = known[c] + out * batch.targets[2 * b + c];
      const theirs = skip * x[c] + out * plain.targets[2 * b + c];
      // Both are the clean item; inputs and targets are rounded to float32.
      assert.ok(Math.abs(ours - theirs) < 8 * EPS32 * (Math.abs(x[0]) + Math.abs(x[1]) + 1));
    }
  });
});

Deno.test("a training with a control variate that was cancelled and continued gives the bits of one that was not, and knows its law", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const checkpoint = `${folder}/run.safetensors`;
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => {
      if (step === 7) controller.abort(new RangeError("enough"));
    };
    await assert.rejects(
      trainDenoiser(data, { ...small, checkpoint, onStep, signal: controller.signal }),
      /enough/,
    );
    const other = controlVariate({ ...law, mean: law.mean.map((v) => v + 1e-3) });
    for (const wrong of [other, edmPreconditioning()]) {
      await assert.rejects(
        trainDenoiser(data, { ...small, checkpoint, preconditioning: wrong }),
        /its preconditioning is/,
      );
    }
    const continued = await trainDenoiser(data, { ...small, checkpoint });
    assertEqualWeights(continued.weights, (await trainDenoiser(data, small)).weights);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a network's file remembers its control variate, in 32 bits also where the weights have 16", async () => {
  using _device = await openDevice("wasm");
  const trained = await trainDenoiser(data, small);
  const values = async (trained: Parameters<typeof trainedDenoiser>[0]) => {
    using denoiser = trainedDenoiser(trained);
    const x = tensorSpace.from(states(3, 2), [3, 2]),
      y = (await denoiser.denoise(x, [0.1, 1, 10])).mean;
    const numbers = await tensorSpace.values(y);
    tensorSpace.dispose(x, y);
    return numbers;
  };
  const again = decodeNetwork(encodeNetwork(trained), "x.safetensors");
  assertEqualWeights(again.weights, trained.weights);
  assert.deepEqual(again.preconditioning.config, preconditioning.config);
  assert.deepEqual(await values(again), await values(trained));
  const half = decodeNetwork(encodeNetwork(trained, "float16"), "x.safetensors");
  assert.deepEqual(half.preconditioning.law, trained.preconditioning.law);
  const without = { ...trained, preconditioning: { ...trained.preconditioning, law: undefined } };
  assert.throws(() => decodeNetwork(encodeNetwork(without), "x.safetensors"), DatasetError);
});

Deno.test("a short training leaves less to learn with a control variate than without", async () => {
  const shapes = tinyShapes(512);
  const losses = async (made: TrainOptions["preconditioning"]) => {
    const seen: number[] = [];
    await trainDenoiser(shapes, {
      network: mlp({ shape: shapes.shape, width: 64, layers: 2 }),
      preconditioning: made,
      steps: 120,
      batchSize: 32,
      backend: "wasm",
      onStep: ({ loss }) => void seen.push(loss),
    });
    return seen;
  };
  const [plain, ours] = [
    await losses(undefined),
    await losses(controlVariate(await dataSpectrum(shapes))),
  ];
  // The same batches with the same weights, so that step by step the losses compare.
  ours.forEach((loss, step) => assert.ok(loss < plain[step], `${step}: ${loss} ${plain[step]}`));
});

Deno.test("controlVariate() keeps the other scales, comes back from its config, and refuses what makes no sense", () => {
  const base = noisePreconditioning(), made = controlVariate(law, base);
  assert.deepEqual(made.scales(3), { ...base.scales(3), skip: 0 });
  assert.equal(made.weight(3), base.weight(3));
  const again = preconditioningOf(JSON.parse(JSON.stringify(made.config)), made.law);
  assert.deepEqual([again.config, again.law], [made.config, made.law]);
  assert.throws(() => preconditioningOf(made.config), RangeError);
  assert.throws(() => preconditioningOf(made.config, { ...law, floor: 1 }), RangeError);
  assert.throws(() => controlVariate(law, made), RangeError);
  assert.throws(() => controlVariate({ ...law, basis: law.basis.subarray(1) }), TypeError);
  for (const floor of [-1, NaN, Infinity]) {
    assert.throws(() => controlVariate({ ...law, floor }), RangeError);
  }
  assert.throws(() => neural((x) => x, { shape: [3], preconditioning }), TypeError);
});

Deno.test("trainDenoiser() refuses a control variate of other data", async () => {
  const wrong = controlVariate(gaussianLaw([0, 0, 0], 1));
  await assert.rejects(trainDenoiser(data, { ...small, preconditioning: wrong }), TypeError);
});
