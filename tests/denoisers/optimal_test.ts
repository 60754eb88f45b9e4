import { Dataset, moons, optimal, shapes, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { referencePosterior } from "@closedform/diffusion/compute";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose, posteriorTolerance } from "../_helpers/tolerance.ts";
import { subsetOf } from "../../src/denoisers/_capabilities.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const devices = await testDevices();
const set = moons(300);

testOnDevices(
  devices,
  "optimal() is the float64 denoiser, on the whole set and on one class",
  (device) =>
    withoutLeaks(async () => {
      for (const options of [{}, { class: 0 }, { class: "1" }]) {
        using denoiser = await optimal(set, { device, ...options });
        const exact = optimalFloat64(set, options);
        assert.deepEqual(denoiser.shape, [2]);
        assert.deepEqual(denoiser.mean!(), exact.mean!());
        const points = options.class === undefined ? set : set.classSubset(options.class);
        for (const sigma of [10, 1, 0.2, 0.02]) {
          const x = Float64Array.from(
            startNoise(1, 0, 8, 2),
            (e, i) => Math.fround(points.data[i] + sigma * e),
          );
          const state = tensorSpace.from(x, [8, 2]);
          const denoised = (await denoiser.denoise(state, sigma)).mean;
          assert.deepEqual(denoised.shape, [8, 2]);
          const [actual, expected] = [
            await tensorSpace.values(denoised),
            (await exact.denoise(x, sigma)).mean,
          ];
          for (let q = 0; q < 8; q++) {
            const tolerance = posteriorTolerance(points, x.subarray(2 * q, 2 * q + 2), sigma).mean;
            assertClose(
              actual.slice(2 * q, 2 * q + 2),
              expected.slice(2 * q, 2 * q + 2),
              tolerance,
              `row ${q}`,
            );
          }
          tensorSpace.dispose(state, denoised);
        }
      }
    }),
);

Deno.test("optimalFloat64() is minus the gradient of the log evidence: Tweedie's formula", () => {
  // (D − x)/σ² = ∇ log Σ exp(l): central differences of the log normaliser, error h²/6 · third derivative plus ε/h.
  const sigma = 0.3, h = 1e-4;
  for (const [a, b] of [[0.1, 0.2], [-0.5, 0.9], [1.5, -1]]) {
    const at = (x: number, y: number) =>
      referencePosterior(set, [x, y], sigma).facts.logNormaliser[0];
    const { mean } = referencePosterior(set, [a, b], sigma);
    const gradient = [
      (at(a + h, b) - at(a - h, b)) / (2 * h),
      (at(a, b + h) - at(a, b - h)) / (2 * h),
    ];
    assertClose([(mean[0] - a) / sigma ** 2, (mean[1] - b) / sigma ** 2], gradient, 1e-5, "score");
  }
});

Deno.test("optimalFloat64() of two points is a hyperbolic tangent", async () => {
  const two = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
  for (const [x, sigma] of [[0.3, 1], [-2, 0.7], [0.01, 0.1], [5, 20]]) {
    const [d] = (await optimalFloat64(two).denoise(Float64Array.of(x), sigma)).mean;
    assertClose([d], [Math.tanh(x / sigma ** 2)], 4 * 2 ** -53, "D");
  }
});

testOnDevices(
  devices,
  "optimal() restricted to items is the denoiser of a smaller set, also of a part of the pixels",
  (device) =>
    withoutLeaks(async () => {
      const images = shapes(60), rows = Uint32Array.from({ length: 20 }, (_, i) => 3 * i);
      using whole = await optimal(images, { device });
      using small = await optimal(images.subset(rows), { device });
      assert.equal(whole.count, 60);
      const x = tensorSpace.from(startNoise(4, 0, 2, images.dimension).map((e) => 20 * e), [
        2,
        ...images.shape,
      ]);
      const subsets = [{ rows }, { rows: rows.toReversed() }];
      const restricted = await subsetOf(whole, "test").denoiseOn(x, 20, subsets);
      const expected = (await small.denoise(x, 20)).mean;
      const [a, b] = [await tensorSpace.values(restricted), await tensorSpace.values(expected)];
      for (let q = 0; q < 2; q++) {
        const [from, to] = [q * images.dimension, (q + 1) * images.dimension];
        const query = (await tensorSpace.values(x)).slice(from, to);
        const { mean } = posteriorTolerance(images.subset(rows), query, 20);
        assertClose(a.slice(from, to), b.slice(from, to), 2 * mean, `row ${q}`);
      }
      const region = { top: 3, left: 5, height: 2, width: 4 };
      const part = await subsetOf(whole, "test").denoiseOn(x, 20, subsets, { region });
      assert.deepEqual(part.shape, [2, 2, 4, images.shape[2]]);
      const crop = tf.slice(restricted, [0, 3, 5, 0], [2, 2, 4, images.shape[2]]);
      assertClose(await tensorSpace.values(part), await tensorSpace.values(crop), 0, "pixels");
      await assert.rejects(
        subsetOf(whole, "test").denoiseOn(x, 20, subsets, { region: { ...region, left: 31 } }),
        RangeError,
      );
      tensorSpace.dispose(x, restricted, expected, part, crop);
    }),
);

testOnDevices(devices, "optimal() refuses a class that is not there", async (device) => {
  await assert.rejects(optimal(set, { device, class: 7 }), RangeError);
  await assert.rejects(optimal(set, { device, class: "seven" }), RangeError);
});
