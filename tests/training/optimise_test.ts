import type { AnyTensor } from "@closedform/diffusion";
import type { WeightTensors } from "@closedform/diffusion/training";
import { RandomStream } from "@closedform/diffusion";
import { symmetricEigen } from "@closedform/diffusion/compute";
import {
  adamStep,
  beginOptimising,
  openTrainingBackend,
  optimise,
  zeroWeight,
} from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { EPS32 } from "../_helpers/tolerance.ts";

Deno.test("adamStep() is tfjs's Adam", async () => {
  using backend = await openTrainingBackend("cpu");
  const start = [0.3, -2, 5], gradients = [[1, -0.1, 1e-3], [0.5, 0.2, -4], [-2, 0, 1e-3]];
  const state = beginOptimising({ x: { shape: [3], values: Float32Array.from(start) } });
  for (const g of gradients) adamStep(state, { x: g }, { rate: 0.1 });
  const theirs = backend.run(() => {
    const x = tf.variable(tf.tensor(start)), adam = tf.train.adam(0.1, 0.9, 0.999, 1e-8);
    for (const g of gradients) {
      tf.tidy(() => adam.applyGradients([{ name: x.name, tensor: tf.tensor(g) }]));
    }
    return x.dataSync();
  });
  // Their running products and moments are float32; a step is 0.1 long, and its error a few roundings of that and of x.
  state.weights.x.values.forEach((v, i) =>
    assert.ok(Math.abs(v - theirs[i]) < 16 * EPS32 * (Math.abs(v) + 3), `${v} ${theirs[i]}`)
  );
});

Deno.test("adamStep() warms up, and averages the weights with EDM's half-life", () => {
  const options = { rate: 1, warmUp: 4, batchSize: 100, halfLife: 1000, rampUp: 0.5 };
  const state = beginOptimising({ x: zeroWeight([1]) });
  let average = 0, before = 0;
  for (let n = 1; n <= 40; n++) {
    adamStep(state, { x: [1] }, options);
    const [x] = state.weights.x.values;
    // A constant gradient makes each step of Adam as long as the step size.
    assert.ok(Math.abs(before - x - Math.min(1, n / 4)) < 1e-5, `${n}: ${before - x}`);
    before = x;
    const halfLife = Math.min(1000, 0.5 * 100 * (n - 1));
    const kept = halfLife > 0 ? 0.5 ** (100 / halfLife) : 0;
    average = kept * average + (1 - kept) * x;
    assert.ok(Math.abs(state.average.x.values[0] - average) < n * EPS32 * 40);
  }
});

Deno.test("adamStep() refuses gradients and options that do not fit", () => {
  const state = () => beginOptimising({ x: zeroWeight([2]) });
  assert.throws(() => adamStep(state(), { x: [1] }), TypeError);
  assert.throws(() => adamStep(state(), { y: [1, 2] }), TypeError);
  for (
    const bad of [{ rate: 0 }, { rate: NaN }, { beta1: 1 }, { beta2: -1 }, { warmUp: -1 }, {
      halfLife: 0,
    }, { epsilon: 0 }]
  ) {
    assert.throws(() => adamStep(state(), { x: [1, 2] }, bad), RangeError, JSON.stringify(bad));
  }
});

const D = 3;

/** A covariance, and its eigenvalues and vectors. */
function covariance() {
  const stream = new RandomStream({ seed: 5, purpose: "theory" });
  const a = Array.from({ length: D }, () => Array.from({ length: D }, () => stream.normal()));
  const c = Float64Array.from(
    { length: D * D },
    (_, at) => a.reduce((sum, row) => sum + row[Math.floor(at / D)] * row[at % D], 0) / D,
  );
  return { c, ...symmetricEigen(c) };
}

/** The largest difference of gradient descent by `optimise()` from its closed form, and the tolerance. */
async function linearTraining(sigma: number, { skip, factor }: { skip: number; factor: number }) {
  const { c, values, vectors } = covariance();
  const steps = 100, weight = 1 / factor ** 2;
  const rate = 0.4 / (values[0] + sigma ** 2) / (weight * factor ** 2);
  using backend = await openTrainingBackend("wasm");
  const state = beginOptimising({ F: { shape: [D, D], values: new Float32Array(D * D) } });
  // E λ‖W(x₀+σε) − x₀‖² without its constant: λ tr(W(Σ+σ²I)Wᵀ − 2WΣ), W = skip + factor F.
  const loss = ({ F }: WeightTensors): AnyTensor => {
    const noisy = tf.tensor(Float32Array.from(c, (v, at) => v + (at % (D + 1) ? 0 : sigma ** 2)), [
      D,
      D,
    ]);
    const W = tf.add(tf.mul(tf.eye(D), skip), tf.mul(F, factor)) as tf.Tensor2D;
    const square = tf.mul(W, tf.matMul(W, noisy as tf.Tensor2D));
    const cross = tf.mul(W, tf.tensor(Float32Array.from(c), [D, D]));
    return tf.mul(tf.sum(tf.sub(square, tf.mul(cross, 2))), weight);
  };
  // Without memory and with a vast ε, Adam is gradient descent, to a relative 1e-9 times the gradient.
  const plain = { rate: rate * 1e9, epsilon: 1e9, beta1: 0, beta2: 0 };
  let gradients = 0;
  for await (const _ of optimise(loss, state, { ...plain, backend, steps })) {
    gradients = Math.max(gradients, ...state.first.F.values.map(Math.abs));
  }
  let worst = 0, size = 0;
  for (let i = 0; i < D; i++) {
    for (let j = 0; j < D; j++) {
      let wanted = 0;
      for (let k = 0; k < D; k++) {
        const target = (values[k] / (values[k] + sigma ** 2) - skip) / factor;
        const left = (1 - 2 * rate * weight * factor ** 2 * (values[k] + sigma ** 2)) ** steps;
        wanted += vectors[k * D + i] * target * (1 - left) * vectors[k * D + j];
      }
      size = Math.max(size, Math.abs(wanted));
      worst = Math.max(worst, Math.abs(state.weights.F.values[i * D + j] - wanted));
    }
  }
  // Each step rounds the weights, and gradients made of about 4 D rounded terms; errors shrink, so they at most add up.
  const tolerance = steps * EPS32 * (size + rate * 4 * D * gradients);
  return { worst, tolerance };
}

Deno.test("a linear denoiser trained by optimise() learns each mode at the rate λ + σ², plain and preconditioned", async () => {
  for (const sigma of [0.1, 1, 5]) {
    const total = sigma ** 2 + 0.25;
    const edm = { skip: 0.25 / total, factor: sigma * 0.5 / Math.sqrt(total) / Math.sqrt(total) };
    for (const kind of [{ skip: 0, factor: 1 }, edm]) {
      const { worst, tolerance } = await linearTraining(sigma, kind);
      assert.ok(worst < tolerance, `σ=${sigma} ${JSON.stringify(kind)}: ${worst} ${tolerance}`);
      assert.ok(tolerance < 1e-2, `${tolerance}`);
    }
  }
});

Deno.test("optimise() leaves tensors and the active backend as they were, over many steps", async () => {
  using _other = await openTrainingBackend("cpu");
  await tf.setBackend("cpu");
  using backend = await openTrainingBackend("wasm");
  assert.equal(tf.getBackend(), "cpu");
  const loss = ({ x }: WeightTensors) => tf.sum(tf.square(tf.sub(x, 1)));
  const state = beginOptimising({ x: zeroWeight([100]) });
  await withoutLeaks(async () => {
    let bytes: number | undefined;
    for await (const { step } of optimise(loss, state, { backend, steps: 500 })) {
      assert.equal(tf.getBackend(), "cpu");
      bytes ??= tf.memory().numBytes;
      if (step % 100 === 0) assert.equal(tf.memory().numBytes, bytes);
    }
  });
});

Deno.test("optimise() refuses losses that are not finite, and can be cancelled by a timer", async () => {
  using backend = await openTrainingBackend("cpu");
  const run = async (loss: (w: WeightTensors) => AnyTensor, signal?: AbortSignal) => {
    const state = beginOptimising({ x: zeroWeight([2]) });
    for await (const _ of optimise(loss, state, { backend, steps: 1e9, rate: 1e-3, signal }));
  };
  await withoutLeaks(async () => {
    await assert.rejects(run(({ x }) => tf.sum(tf.div(x, 0))), RangeError);
    const start = performance.now();
    await assert.rejects(run(({ x }) => tf.sum(tf.square(x)), AbortSignal.timeout(100)), {
      name: "TimeoutError",
    });
    assert.ok(performance.now() - start < 5000);
  });
  await assert.rejects(async () => {
    const state = beginOptimising({ x: zeroWeight([2]) });
    for await (const _ of optimise(({ x }) => tf.sum(x), state, { backend, steps: 0.5 }));
  }, RangeError);
});
