import {
  Dataset,
  moons,
  optimal,
  optimalFloat64,
  referencePosterior,
  startNoise,
  tensorSpace,
} from "@closedform/diffusion";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose, posteriorTolerance } from "../_helpers/tolerance.ts";

const devices = await testDevices();
const set = moons(300);

testOnDevices(
  devices,
  "optimal() is the float64 denoiser, on the whole set and on one class",
  (device) =>
    withoutLeaks(async () => {
      for (const options of [{}, { class: 0 }, { class: "1" }]) {
        using denoiser = await optimal(set, device, options);
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
          const denoised = await denoiser.denoise(state, sigma);
          assert.deepEqual(denoised.shape, [8, 2]);
          const [actual, expected] = [
            await tensorSpace.values(denoised),
            await exact.denoise(x, sigma),
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
    const [d] = await optimalFloat64(two).denoise(Float64Array.of(x), sigma);
    assertClose([d], [Math.tanh(x / sigma ** 2)], 4 * 2 ** -53, "D");
  }
});

testOnDevices(devices, "optimal() refuses a class that is not there", async (device) => {
  await assert.rejects(optimal(set, device, { class: 7 }), RangeError);
  await assert.rejects(optimal(set, device, { class: "seven" }), RangeError);
});
