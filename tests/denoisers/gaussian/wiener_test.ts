import {
  Dataset,
  dataSpectrum,
  lowRank,
  moons,
  openDevice,
  optimal,
  readMnist,
  startNoise,
  wiener,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../../_helpers/data.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose, EPS32 } from "../../_helpers/tolerance.ts";
import { gaussianFloat64, optimalFloat64, wienerFloat64 } from "../../_helpers/float64.ts";

const devices = await testDevices();
const rms = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.sqrt(Array.from(a).reduce((sum, v, i) => sum + (v - b[i]) ** 2, 0) / a.length);

/** Correlated Gaussian points in the plane, of unit variance in both coordinates. */
function gaussianPoints(count: number, seed = 11) {
  const noise = startNoise(seed, 0, count, 2);
  const data = Float32Array.from(
    noise,
    (_, at) => at % 2 ? 0.5 + 0.8 * noise[at - 1] + 0.6 * noise[at] : noise[at] - 1,
  );
  return new Dataset({ data, shape: [2], name: "Gaussian points" });
}

Deno.test("optimalFloat64() tends to the mean of the data as σ grows (A15)", async () => {
  const set = moons(2000);
  const mean = set.mean();
  for (const sigma of [1e2, 1e3, 1e4]) {
    const x = startNoise(1, 0, 64, 2).map((e, i) => mean[i % 2] + sigma * e);
    const denoised = (await optimalFloat64(set).denoise(x, sigma)).mean;
    const error = denoised.reduce((most, v, i) => Math.max(most, Math.abs(v - mean[i % 2])), 0);
    assert.ok(error <= 10 / sigma, `sigma ${sigma}: ${error}`);
    // And by the Wiener filter, to the next order: the third moment.
    const linear = (await (await wienerFloat64(set)).denoise(x, sigma)).mean;
    assert.ok(rms(denoised, linear) <= 0.02 * error, `sigma ${sigma}: ${rms(denoised, linear)}`);
  }
});

Deno.test("wienerFloat64() is the optimal denoiser of Gaussian data, up to sampling (A16)", async () => {
  const sigma = 0.7, rows = 32;
  const all = gaussianPoints(1e6);
  using device = await openDevice("wasm");
  for (const count of [1e3, 1e4, 1e5, 1e6]) {
    const set = all.take(count);
    // Noised items of the data's law, not of the data themselves.
    const fresh = gaussianPoints(rows, 13).data;
    const x = startNoise(12, 0, rows, 2).map((e, i) => Math.fround(fresh[i] + sigma * e));
    const linear = (await (await wienerFloat64(set)).denoise(x, sigma)).mean;
    using exact = await optimal(set, { device });
    const state = tensorSpace.from(x, [rows, 2]);
    const denoised = (await exact.denoise(state, sigma)).mean;
    const difference = rms(await tensorSpace.values(denoised), linear);
    tensorSpace.dispose(state, denoised);
    assert.ok(
      difference <= 2 / Math.sqrt(count),
      `N ${count}: ${difference * Math.sqrt(count)} / √N`,
    );
  }
});

testOnDevices(
  devices,
  "wiener() is the Wiener filter of its spectrum: rank, floor, class",
  (device) =>
    withoutLeaks(async () => {
      const noise = startNoise(4, 0, 500, 260);
      const set = new Dataset({
        data: Float32Array.from(noise, (e, i) => e * (2 - (i % 260) / 200)),
        shape: [13, 20, 1],
        labels: Uint32Array.from({ length: 500 }, (_, i) => i % 2),
        name: "noise",
      });
      const whole = await dataSpectrum(set, { cache: false });
      const cases = [
        [{}, whole],
        [{ rank: 250 }, lowRank(whole, 250)],
        [{ rank: 250, floor: 0.5 }, lowRank(whole, 250, 0.5)],
        [{ floor: 0.5 }, lowRank(whole, 260, 0.5)],
        [{ class: 1 }, await dataSpectrum(set.classSubset(1), { cache: false })],
      ] as const;
      for (const [options, law] of cases) {
        using denoiser = await wiener(set, { device, ...options, cache: false });
        assert.deepEqual(denoiser.shape, [13, 20, 1]);
        assert.equal(/class 1/.test(denoiser.label), "class" in options);
        assertClose(denoiser.mean!(), law.mean, 0, "mean");
        const x = startNoise(5, 0, 2, 260).map(Math.fround);
        const state = tensorSpace.from(x, [2, 13, 20, 1]);
        const denoised = (await denoiser.denoise(state, 0.5)).mean;
        assert.deepEqual(denoised.shape, [2, 13, 20, 1]);
        const expected = (await gaussianFloat64(law).denoise(x, 0.5)).mean;
        // As in the tests of gaussian(): ‖e‖ is about √260.
        const limit = 8 * EPS32 * (4 + 1.5 * 20);
        assertClose(await denoised.data(), expected, limit, JSON.stringify(options));
        tensorSpace.dispose(state, denoised);
      }
    }),
);

Deno.test("wienerFloat64() minimises the mean square error over linear maps", async () => {
  // Stationary: moving any entry of filter or offset does not lower the error on the data in expectation over the noise,
  // E‖Wx + b − x₀‖² = Σ over data of ‖(W − I)(x₀ − μ)‖² + N σ²‖W‖² for b = μ − Wμ.
  const set = gaussianPoints(500), sigma = 0.8;
  const filter = await wienerFloat64(set);
  const mean = set.mean();
  const column = async (c: number) => {
    const x = mean.slice();
    x[c]++;
    return (await filter.denoise(x, sigma)).mean.map((v, i) => v - mean[i]);
  };
  const [a, b] = [await column(0), await column(1)];
  const error = (w: readonly number[]) => {
    let sum = 0;
    for (let i = 0; i < set.count; i++) {
      const [p, q] = [set.data[2 * i] - mean[0], set.data[2 * i + 1] - mean[1]];
      sum += ((w[0] - 1) * p + w[1] * q) ** 2 + (w[2] * p + (w[3] - 1) * q) ** 2;
    }
    return sum / (set.count - 1) + sigma ** 2 * w.reduce((square, v) => square + v * v, 0);
  };
  const best = [a[0], b[0], a[1], b[1]];
  for (let k = 0; k < 4; k++) {
    for (const step of [-1e-3, 1e-3]) {
      const moved = best.map((v, i) => i === k ? v + step : v);
      // A quadratic function of curvature at least 2σ².
      assert.ok(error(moved) >= error(best) + 0.99 * sigma ** 2 * step ** 2);
    }
  }
});

testOnDevices(devices, "wiener() refuses what is out of range", async (device) => {
  const set = moons(10);
  await assert.rejects(wiener(set, { device, class: 9 }), RangeError);
  await assert.rejects(wiener(set, { device, rank: 3 }), RangeError);
  await assert.rejects(wiener(set, { device, floor: -1 }), RangeError);
  const signal = AbortSignal.abort(new RangeError("no"));
  await assert.rejects(wiener(set, { device, signal }), /no/);
});

Deno.test({
  name: "wiener() of MNIST recovers digits from noise better than their mean or themselves",
  ignore: !hasData("mnist"),
  fn: async () => {
    const train = await readMnist(dataPath("mnist"), { limit: 3000 });
    const test = await readMnist(dataPath("mnist"), { split: "test", limit: 32 });
    using device = await openDevice("wasm");
    using denoiser = await wiener(train, { device, cache: false });
    const { variances } = await dataSpectrum(train, { cache: false });
    const clean = Float64Array.from({ length: 32 * 784 }, (_, i) => test.data[i] / 127.5 - 1);
    for (const sigma of [2, 1, 0.5]) {
      const x = startNoise(3, 0, 32, 784).map((e, i) => clean[i] + sigma * e);
      const state = tensorSpace.from(x, [32, 28, 28, 1]);
      const denoised = (await denoiser.denoise(state, sigma)).mean;
      const error = rms(await tensorSpace.values(denoised), clean);
      tensorSpace.dispose(state, denoised);
      // The error that its own variances promise: Σ λσ²/(λ+σ²).
      const promised = Math.sqrt(
        variances.reduce((sum, v) => sum + v * sigma ** 2 / (v + sigma ** 2), 0) / 784,
      );
      assert.ok(error < 0.5 * sigma, `sigma ${sigma}: ${error}`);
      // Other digits than those of the spectrum, and few: within a fifth.
      assert.ok(Math.abs(error / promised - 1) < 0.2, `sigma ${sigma}: ${error}, ${promised}`);
    }
  },
});
