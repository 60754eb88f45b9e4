/** All metrics of two sets take what users have. */
import {
  agreement,
  dataset,
  energyDistance,
  explainedVariance,
  frechetDistance,
  mmd,
  mse,
  pearson,
  precisionRecall,
  rSquared,
  sinkhorn,
  sinkhornDivergence,
  slicedWasserstein2,
  startNoise,
  wasserstein2,
} from "@closedform/diffusion";
import type { Samples } from "@closedform/diffusion";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import assert from "node:assert/strict";

const METRICS: Record<string, (a: Samples, b: Samples, options?: object) => unknown> = {
  ...{ mse, rSquared, pearson, agreement, explainedVariance, energyDistance, mmd, frechetDistance },
  ...{ slicedWasserstein2, wasserstein2, precisionRecall },
  sinkhorn: (a, b, options) => sinkhorn(a, b, { epsilon: 1, ...options }),
  sinkhornDivergence: (a, b, options) => sinkhornDivergence(a, b, { epsilon: 1, ...options }),
};

const N = 6, D = 3;
const [a, b] = [1, 2].map((seed) => Float32Array.from(startNoise(seed, 0, N, D)));

for (const [name, metric] of Object.entries(METRICS)) {
  Deno.test(`${name}() takes data sets, runs, tensors and rows with a shape`, async () => {
    await tf.setBackend("cpu");
    const plain = await metric(a, b, { dimension: D });
    const set = dataset(b, { shape: [D] });
    const tensor = tf.tensor2d(b, [N, D]);
    for (const form of [set, { samples: set }, tensor, { data: b, shape: [D] }]) {
      assert.deepEqual(await metric(a, form), plain);
      assert.deepEqual(await metric(dataset(a, { shape: [D] }), form), plain);
    }
    tensor.dispose();
    const attempt = (a: unknown, b: unknown) =>
      Promise.resolve().then(() => metric(a as Samples, b as Samples));
    const fails = (message: RegExp) => ({ name: "TypeError", message });
    await assert.rejects(attempt(a, b), fails(/18 numbers without a shape, .*option dimension$/));
    await assert.rejects(attempt(set, Promise.resolve(set)), fails(/samples are a Promise, which/));
    await assert.rejects(attempt(dataset(a, { shape: [2] }), set), fails(/hold 3 numbers each/));
  });
}

Deno.test("metrics take bytes for the numbers that they stand for", () => {
  const bytes = dataset(Uint8Array.of(0, 255), { shape: [1] });
  assert.equal(mse(bytes, [-1, 1]).mean, 0);
  const unit = dataset(Uint8Array.of(0, 255), { shape: [1], range: [0, 1] });
  assert.equal(mse(unit, [0, 1]).mean, 0);
});
