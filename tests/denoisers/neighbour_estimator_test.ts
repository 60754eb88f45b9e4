import assert from "node:assert/strict";
import { openDevice } from "../../src/compute/open_device.ts";
import type { Dataset } from "../../src/datasets/dataset.ts";
import { neighbourEstimator } from "../../src/denoisers/neighbour_estimator.ts";
import { optimal } from "../../src/denoisers/optimal.ts";
import { smoothed } from "../../src/denoisers/smoothed.ts";
import { tensorSpace } from "../../src/states/linear_space.ts";
import { uniformTGrid } from "../../src/base/noise.ts";
import { startNoise } from "../../src/base/random.ts";
import { sample } from "../../src/samplers/sample.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { sphere } from "../_helpers/sphere.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const devices = await testDevices();

/** Queries `xᵢ + σε` of a sphere. */
function queries(dataset: Dataset, count: number, sigma: number): Float32Array {
  const noise = startNoise(1, 0, count, 3);
  return Float32Array.from(
    noise,
    (e, at) => dataset.values(Math.floor(at / 3) * 7 % dataset.count)[at % 3] + sigma * e,
  );
}

testOnDevices(
  devices,
  "neighbourEstimator() of all items is the optimal denoiser",
  async (device) => {
    const dataset = sphere(60);
    const values = queries(dataset, 5, .5);
    const exact = (await optimalFloat64(dataset).denoise(Float64Array.from(values), .5)).mean;
    await withoutLeaks(async () => {
      using base = await optimal(dataset, { device });
      for (
        const options of [{ neighbours: 60, others: 0 }, {
          neighbours: 20,
          others: 40,
          switchAt: 1,
        }, {
          neighbours: 1,
          others: 59,
          switchAt: 1,
        }]
      ) {
        const x = tensorSpace.from(values, [5, 3]);
        const denoised = (await (await neighbourEstimator(base, options)).denoise(x, .5)).mean;
        const got = await tensorSpace.values(denoised);
        // Points within 1, logits of some ten nats, float32.
        exact.forEach((v, i) => assert.ok(Math.abs(v - got[i]) < 40 * 2 ** -24));
        tensorSpace.dispose(x, denoised);
      }
    });
  },
);

Deno.test("neighbourEstimator() has the published errors over the noise levels, and the switch is never much worse than either", async () => {
  using device = await openDevice("wasm");
  const dataset = sphere(500);
  using base = await optimal(dataset, { device });
  const count = 400;
  // Flow times, and the mean error of D from 15 nearest items alone, and with 15 random ones.
  const TABLE = [[.3, .75, .24], [.5, .51, .22], [.8, .056, .115], [.9, .002, .004]];
  for (const [t, alone, both] of TABLE) {
    const sigma = (1 - t) / t;
    const x = tensorSpace.from(queries(dataset, count, sigma), [count, 3]);
    const exact = await tensorSpace.values((await base.denoise(x, sigma)).mean);
    const errorOf = async (L: number, switchAt: number) => {
      const estimate = await neighbourEstimator(base, { neighbours: 15, others: L, switchAt });
      const values = await tensorSpace.values((await estimate.denoise(x, sigma)).mean);
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += Math.hypot(...[0, 1, 2].map((c) => values[3 * i + c] - exact[3 * i + c]));
      }
      return sum / count;
    };
    const [K, KL, switched] = [await errorOf(0, 1), await errorOf(15, 1), await errorOf(15, .3)];
    // The published means are over other queries; errors have a spread about as large as their mean.
    const allowed = (mean: number) => .15 * mean + 4 * mean / Math.sqrt(count) + .003;
    assert.ok(Math.abs(K - alone) < allowed(alone), `K alone at ${t}: ${K}`);
    assert.ok(Math.abs(KL - both) < allowed(both), `K + L at ${t}: ${KL}`);
    assert.ok(switched < 1.25 * Math.min(K, KL) + .003, `switch at ${t}: ${switched}`);
  }
});

Deno.test("neighbourEstimator() draws by sample and level, whatever the batch", async () => {
  using device = await openDevice("wasm");
  const dataset = sphere(300);
  using base = await optimal(dataset, { device });
  const denoiser = await smoothed(await neighbourEstimator(base, { neighbours: 10, others: 10 }), {
    bandwidth: .1,
    draws: 2,
  });
  const run = { count: 12, grid: uniformTGrid(10), seed: 1 };
  const whole = await sample(denoiser, { ...run, output: "tensor" }),
    parts = await sample(denoiser, { ...run, batchSize: 5, output: "tensor" });
  const [a, b] = [await tensorSpace.values(whole.x), await tensorSpace.values(parts.x)];
  assert.ok(a.every((v, i) => v === b[i]));
  tensorSpace.dispose(whole.x, whole.denoised, parts.x, parts.denoised);
});

Deno.test("neighbourEstimator() refuses numbers of items that there are not", async () => {
  using device = await openDevice("float64");
  using base = await optimal(sphere(20), { device });
  for (
    const options of [{ neighbours: 0 }, { neighbours: 21 }, { neighbours: 10, others: 11 }, {
      others: -1,
    }, { switchAt: 2 }]
  ) {
    await assert.rejects(neighbourEstimator(base, options), RangeError);
  }
});
