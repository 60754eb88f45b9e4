import type { AnyTensor } from "@closedform/diffusion";
import {
  gaussian,
  gaussianLaw,
  karrasGrid,
  openDevice,
  sample,
  SAMPLER_NAMES,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { gaussianStatistics } from "@closedform/diffusion/theory";
import {
  edmPreconditioning,
  neural,
  noisePreconditioning,
  plainPreconditioning,
} from "@closedform/diffusion/training";
import { samplerByName } from "../../src/samplers/registry.ts";
import * as tfFull from "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { EPS32 } from "../_helpers/tolerance.ts";

const VARIANCE = 2, MEAN = [0.5, -1];

/** The exact denoiser of N(μ, 2I) as a network that is told a quarter of the logarithm of the level. */
function wienerNetwork(x: AnyTensor, noise: AnyTensor): AnyTensor {
  const squares = tf.exp(tf.mul(noise, 8));
  const away = tf.sub(x, tf.tensor(MEAN, [1, 2]));
  return tf.add(tf.tensor(MEAN, [1, 2]), tf.div(tf.mul(away, VARIANCE), tf.add(squares, VARIANCE)));
}

const exact = neural(wienerNetwork, {
  shape: [2],
  preconditioning: plainPreconditioning({ sigmaMin: 1e-6, sigmaMax: 1e6 }),
  mean: MEAN,
});

testOnDevices(
  await testDevices(),
  "neural() combines state and network by row, and leaks no tensors",
  async () => {
    const rows = [[1, 2], [-3, 0.5], [8, -40]], sigmas = [0.1, 1, 30];
    const network = (x: AnyTensor, noise: AnyTensor) => tf.add(tf.mul(x, 0.3), noise);
    await withoutLeaks(async () => {
      for (const made of [edmPreconditioning(0.5), noisePreconditioning()]) {
        const denoiser = neural(network, { shape: [2], preconditioning: made });
        const x = tensorSpace.from(rows.flat(), [3, 2]);
        const y = (await denoiser.denoise(x, sigmas)).mean;
        const values = await tensorSpace.values(y);
        rows.flat().forEach((v, at) => {
          const { skip, out, in: input, noise } = made.scales(sigmas[at >> 1]);
          const terms = [skip * v, out * 0.3 * input * v, out * noise];
          const wanted = terms[0] + terms[1] + terms[2];
          // Each scale and each of five operations is rounded once, relative to the terms.
          const size = terms.reduce((sum, term) => sum + Math.abs(term), 0);
          assert.ok(Math.abs(values[at] - wanted) <= 10 * EPS32 * size, `${values[at]} ${wanted}`);
        });
        tensorSpace.dispose(x, y);
      }
    });
  },
);

Deno.test("neural() gives a row alone what it gives it in a batch", async () => {
  using _device = await openDevice("wasm");
  const [x, first] = [
    tensorSpace.from([1, 2, 3, 4], [2, 2]),
    tensorSpace.from([1, 2], [1, 2]),
  ];
  const [both, one] = [
    (await exact.denoise(x, [0.3, 2])).mean,
    (await exact.denoise(first, 0.3)).mean,
  ];
  assert.deepEqual(
    (await tensorSpace.values(both)).slice(0, 2),
    await tensorSpace.values(one),
  );
  tensorSpace.dispose(x, first, both, one);
});

Deno.test("every sampler goes where the network's law leads: as with the Gaussian denoiser itself", async () => {
  using device = await openDevice("wasm");
  const law = gaussianLaw(MEAN, VARIANCE);
  using closed = await gaussian(law, { device });
  const statistics = gaussianStatistics(law, { sigmaMax: 81, sigmaMin: 1e-3, intervals: 200 });
  await withoutLeaks(async () => {
    for (const name of SAMPLER_NAMES) {
      const run = async (denoiser: typeof exact) => {
        const sampler = samplerByName(name, { statistics });
        const { x, denoised } = await sample(denoiser, {
          count: 3,
          sampler,
          grid: karrasGrid(8),
          seed: 4,
          output: "tensor",
        });
        const values = await tensorSpace.values(x);
        tensorSpace.dispose(x, denoised);
        return values;
      };
      const [ours, theirs] = [await run(exact), await run(closed)];
      // Float32 rounding of states of size 80, carried on by at most some tens of steps; adaptive ones may accept others.
      ours.forEach((v, i) =>
        assert.ok(Math.abs(v - theirs[i]) < 64 * 80 * EPS32, `${name}: ${v} ${theirs[i]}`)
      );
    }
  });
});

Deno.test("neural() takes models of tfjs, with and without the noise level", async () => {
  using _device = await openDevice("wasm");
  const one = tfFull.sequential({ layers: [tfFull.layers.dense({ units: 2, inputShape: [2] })] });
  const inputs = [tfFull.input({ shape: [2] }), tfFull.input({ shape: [1] })];
  const joined = tfFull.layers.concatenate().apply(inputs) as tfFull.SymbolicTensor;
  const two = tfFull.model({
    inputs,
    outputs: tfFull.layers.dense({ units: 2 }).apply(joined) as tfFull.SymbolicTensor,
  });
  one.setWeights([tf.tensor([1, 0, 0, 2], [2, 2]), tf.tensor([0, 0])]);
  two.setWeights([tf.tensor([0, 0, 0, 0, 4, 8], [3, 2]), tf.tensor([0, 0])]);
  const options = { shape: [2], preconditioning: plainPreconditioning() };
  const x = tensorSpace.from([3, 5], [1, 2]);
  await withoutLeaks(async () => {
    const alone = (await neural(one, options).denoise(x, 1)).mean;
    assert.deepEqual([...await tensorSpace.values(alone)], [3, 10]);
    const told = (await neural(two, options).denoise(x, Math.E)).mean;
    (await tensorSpace.values(told)).forEach((v, i) =>
      assert.ok(Math.abs(v - [1, 2][i]) < 8 * EPS32)
    );
    tensorSpace.dispose(alone, told);
  });
  tensorSpace.dispose(x);
  one.dispose();
  two.dispose();
});

Deno.test("neural() refuses what does not fit, and outputs that are not finite, without leaks", async () => {
  using _device = await openDevice("wasm");
  const options = { shape: [2] };
  assert.throws(() => neural((x) => x, { shape: [2], mean: [0] }), TypeError);
  const x = tensorSpace.from([1, 2, 3, 4], [2, 2]);
  await withoutLeaks(async () => {
    const refused: [Parameters<typeof neural>[0], unknown, number | number[]][] = [
      [(x) => tf.sum(x), TypeError, 1],
      [{ predict: () => [] }, TypeError, 1],
      [(x) => x, RangeError, 0],
      [(x) => x, TypeError, [1, 2, 3]],
      [(x) => tf.div(x, 0), RangeError, 1],
      [(x) => tf.mul(x, NaN), RangeError, 1],
    ];
    for (const [model, kind, sigma] of refused) {
      await assert.rejects(neural(model, options).denoise(x, sigma), kind as ErrorConstructor);
    }
    await assert.rejects(neural((x) => x, { shape: [3] }).denoise(x, 1), TypeError);
    const signal = AbortSignal.abort(new RangeError("enough"));
    await assert.rejects(neural((x) => x, options).denoise(x, 1, { signal }), /enough/);
  });
  x.dispose();
});
