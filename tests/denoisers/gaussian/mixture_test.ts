import {
  Dataset,
  fitMixture,
  gaussianLaw,
  mixture,
  moons,
  startNoise,
  tinyShapes,
} from "@closedform/diffusion";
import { gaussianOfMixture } from "@closedform/diffusion/theory";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import {
  drawMixture,
  mixtureLaw,
  mixtureLogits,
} from "../../../src/denoisers/gaussian/mixture_law.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose, EPS32 } from "../../_helpers/tolerance.ts";
import { gaussianFloat64, mixtureFloat64, optimalFloat64 } from "../../_helpers/float64.ts";

Deno.test("drawMixture() shares [0, 1) out by the weights, the lower end to each, and nothing to a weight of 0", () => {
  const law = mixtureLaw(
    [0, 1, 2, 0, 1, 0],
    Array.from({ length: 6 }, (_, m) => gaussianLaw([m], 0)),
  );
  const component = (uniform: number) => drawMixture(law, uniform, Float64Array.of(0), 0)[0];
  const cases = [[0, 1], [0.2, 1], [0.25, 2], [0.7, 2], [0.75, 4], [1 - 2 ** -53, 4]];
  assert.deepEqual(cases.map(([uniform]) => component(uniform)), cases.map(([, m]) => m));
});

Deno.test("fitMixture() of one component is the Gaussian of the data, divisor N", async () => {
  const set = tinyShapes(300);
  const { components: [one], weights } = await fitMixture(set, { components: 1, ridge: 0 });
  assert.deepEqual([...weights], [1]);
  const total = one.variances.reduce((a, b) => a + b);
  const mean = set.mean();
  let square = 0;
  for (let i = 0; i < set.count; i++) {
    square += set.values(i).reduce((sum, v, c) => sum + (v - mean[c]) ** 2, 0) / set.count;
  }
  // The trace is kept to rounding of float32 values summed in float64.
  assert.ok(Math.abs(total / square - 1) < 1e-6, `${total}, ${square}`);
  assertClose(one.mean, mean, 1e-12, "mean");
});

Deno.test("fitMixture() keeps mean and covariance of the data, however many components", async () => {
  const set = moons(500);
  const whole = (await fitMixture(set, { components: 1, ridge: 0 })).components[0];
  for (const components of [3, 20]) {
    const law = await fitMixture(set, { components, ridge: 0 });
    const { mean, variances } = gaussianOfMixture(law);
    assertClose(mean, whole.mean, 1e-12, "mean");
    assertClose(variances, whole.variances, 1e-12, "variances");
  }
});

Deno.test("fitMixture() of low rank spreads what is left over the other directions", async () => {
  const set = tinyShapes(400), ridge = 1e-3;
  const [full, low] = [
    await fitMixture(set, { components: 4, ridge }),
    await fitMixture(set, { components: 4, ridge, rank: 10 }),
  ];
  low.components.forEach(({ variances, floor, basis }, k) => {
    assert.deepEqual([variances.length, basis!.length], [10, 1440]);
    const rest = full.components[k].variances.subarray(10).reduce((a, b) => a + b, 0) +
      full.components[k].floor * (144 - full.components[k].variances.length);
    assert.ok(Math.abs(floor - rest / 134) < 1e-12, `${floor}, ${rest / 134}`);
    assertClose(variances, full.components[k].variances.subarray(0, 10), 1e-12, "variances");
  });
  const round = await fitMixture(set, { components: 4, ridge, rank: 0 });
  round.components.forEach(({ variances, floor }, k) => {
    const all = full.components[k].variances.reduce((a, b) => a + b, 0) +
      full.components[k].floor * (144 - full.components[k].variances.length);
    assert.equal(variances.length, 0);
    assert.ok(Math.abs(floor - all / 144) < 1e-9);
  });
});

Deno.test("fitMixture() by classes has one component each, with their shares", async () => {
  const set = tinyShapes(200);
  const { weights, components } = await fitMixture(set, { components: "classes" });
  assert.equal(components.length, 4);
  for (let label = 0; label < 4; label++) {
    const own = set.classSubset(label);
    assert.ok(Math.abs(weights[label] - own.count / 200) < 1e-15);
    assertClose(components[label].mean, own.mean(), 1e-12, `class ${label}`);
  }
  const two = await fitMixture(set, { class: 2, components: 3 });
  assertClose(
    gaussianOfMixture(two).mean,
    set.classSubset(2).mean(),
    1e-12,
    "mean of one class",
  );
});

Deno.test("a cluster of one item is a point with the ridge around it, and no cluster crashes", async () => {
  const data = Float32Array.of(0, 0, 0.1, 0, 0, 0.1, 50, 50);
  const set = new Dataset({ data, shape: [2], name: "one apart" });
  const { weights, components } = await fitMixture(set, { components: 2, ridge: 1e-4 });
  const single = components[weights.indexOf(0.25)];
  assert.deepEqual([...single.mean], [50, 50]);
  assert.deepEqual([single.variances.length, single.floor], [0, 1e-4]);
  const denoiser = await mixtureFloat64(set, { components: 2 });
  for (const sigma of [1e-3, 80]) {
    const denoised = (await denoiser.denoise(Float64Array.of(49, 51, 0, 0), sigma)).mean;
    assert.ok(denoised.every(Number.isFinite));
  }
});

Deno.test("mixtures lie between the Gaussian and the data set itself", async () => {
  const set = moons(40), x = startNoise(94, 0, 20, 2);
  const options = { rank: 0, ridge: 0 };
  const asItems = await mixtureFloat64(set, { ...options, components: 40 });
  assertClose(
    (await asItems.denoise(x, 0.1)).mean,
    (await optimalFloat64(set).denoise(x, 0.1)).mean,
    1e-13,
    "one component per item",
  );
  const asOne = await mixtureFloat64(set, { components: 1, ridge: 0 });
  const [law] = (await fitMixture(set, { components: 1, ridge: 0 })).components;
  assertClose(
    (await asOne.denoise(x, 1)).mean,
    (await gaussianFloat64(law).denoise(x, 1)).mean,
    0,
    "one",
  );
});

Deno.test("more components describe the data better, as the likelihood of others says", async () => {
  const [known, others] = [tinyShapes(2000), tinyShapes(200, { seed: 1 })];
  const score = async (components: number) => {
    const law = await fitMixture(known, { components, rank: 20, ridge: 1e-3 });
    let sum = 0;
    for (let i = 0; i < others.count; i++) {
      const logits = mixtureLogits(law, Float64Array.from(others.values(i)), 0.3);
      const top = Math.max(...logits);
      sum += top + Math.log(logits.reduce((a, v) => a + Math.exp(v - top), 0));
    }
    return sum / others.count;
  };
  const [one, ten] = [await score(1), await score(10)];
  assert.ok(ten > one + 5, `${ten} nats with ten, ${one} with one`);
});

Deno.test("fitMixture() refuses numbers out of range, and classes that are not there", async () => {
  const set = tinyShapes(30);
  for (const components of [0, 31, 1.5]) {
    await assert.rejects(fitMixture(set, { components }), RangeError);
  }
  for (const rank of [-1, 145]) {
    await assert.rejects(fitMixture(set, { components: 2, rank }), RangeError);
  }
  for (const ridge of [-1, NaN, Infinity]) {
    await assert.rejects(fitMixture(set, { ridge }), RangeError);
  }
  await assert.rejects(fitMixture(set, { class: 9 }), RangeError);
  const unlabelled = new Dataset({ data: set.data, shape: set.shape, name: "no labels" });
  await assert.rejects(fitMixture(unlabelled, { components: "classes" }), RangeError);
  const reason = new TypeError("enough");
  await assert.rejects(fitMixture(set, { signal: AbortSignal.abort(reason) }), reason);
});

const devices = await testDevices();

testOnDevices(devices, "mixture() of images is the one in float64", async (device) => {
  const set = tinyShapes(500), options = { components: 5, rank: 12 };
  using denoiser = await mixture(set, { device, ...options });
  const exact = await mixtureFloat64(set, options);
  assert.match(denoiser.label, /mixture of 5 on tiny shapes/);
  await withoutLeaks(async () => {
    for (const sigma of [0.02, 1, 80]) {
      const noise = startNoise(95, 0, 4, 144);
      const numbers = Float32Array.from(noise, (e, i) => set.data[i] + sigma * e);
      const x = tf.tensor(numbers, [4, 12, 12, 1]);
      const y = (await denoiser.denoise(x, sigma)).mean;
      const size = 4 + 3 * sigma;
      // Products over 144 numbers of that size, some of them float32.
      const wanted = (await exact.denoise(Float64Array.from(numbers), sigma)).mean;
      assertClose(await y.data(), wanted, 64 * EPS32 * size + 2e-3 * 2, `at ${sigma}`);
      tf.dispose([x, y]);
    }
  });
});
