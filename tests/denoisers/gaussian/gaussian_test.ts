import {
  DeviceError,
  gaussian,
  gaussianLaw,
  RandomStream,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { gaussianAxes } from "@closedform/diffusion/theory";
import type { GaussianLaw, Sigma } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { solveLinear } from "../../../src/linalg/solve_linear.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose, EPS32 } from "../../_helpers/tolerance.ts";
import { gaussianFloat64 } from "../../_helpers/float64.ts";

const devices = await testDevices();

/** A law with `rank` axes, orthonormal by Gram and Schmidt's method taken twice. */
function randomLaw(d: number, rank: number, floor: number): GaussianLaw {
  const basis = startNoise(d, 0, rank, d);
  for (let k = 0; k < rank; k++) {
    const u = basis.subarray(k * d, (k + 1) * d);
    for (let j = 0; j < 2 * k; j++) {
      const v = basis.subarray((j % k) * d, (j % k + 1) * d);
      const overlap = u.reduce((sum, x, c) => sum + x * v[c], 0);
      v.forEach((x, c) => u[c] -= overlap * x);
    }
    const norm = Math.hypot(...u);
    u.forEach((x, c) => u[c] = x / norm);
  }
  return {
    mean: startNoise(d, 1000, 1, d).map((e) => e / 4),
    variances: Float64Array.from({ length: rank }, (_, k) => 4 / (1 + k) ** 1.5),
    basis,
    floor,
  };
}

/** The covariance of a law as a dense matrix. */
function covarianceOf({ mean, variances, basis, floor }: GaussianLaw): Float64Array {
  const d = mean.length;
  return Float64Array.from({ length: d * d }, (_, at) => {
    const [a, b] = [Math.floor(at / d), at % d];
    return variances.reduce(
      (sum, v, k) => sum + (v - floor) * basis![k * d + a] * basis![k * d + b],
      a === b ? floor : 0,
    );
  });
}

Deno.test("gaussianFloat64() is the dense formula μ + Σ(Σ + σ²I)⁻¹(x − μ), with and without a floor", async () => {
  for (const [d, rank, floor] of [[3, 3, 0], [12, 12, 0], [12, 4, 0], [12, 4, 0.3], [12, 1, 2]]) {
    const law = randomLaw(d, rank, floor);
    const covariance = covarianceOf(law);
    for (const sigma of [0.3, 1, 5, 80]) {
      const x = startNoise(7, 0, 2, d).map((e) => (1 + sigma) * e);
      const actual = (await gaussianFloat64(law).denoise(x, sigma)).mean;
      const noisy = covariance.map((v, at) => at % (d + 1) === 0 ? v + sigma ** 2 : v);
      for (const row of [0, 1]) {
        const e = law.mean.map((m, c) => x[row * d + c] - m);
        const solved = solveLinear(noisy, e);
        const expected = law.mean.map((m, a) =>
          m + solved.reduce((sum, v, c) => sum + covariance[a * d + c] * v, 0)
        );
        // The condition number of Σ + σ²I is at most 1 + 4/σ².
        const tolerance = 16 * d * Number.EPSILON * (1 + 4 / sigma ** 2) * (1 + Math.hypot(...e));
        assertClose(actual.subarray(row * d, (row + 1) * d), expected, tolerance, `D at ${sigma}`);
      }
    }
  }
});

/**
 * What float32 arithmetic may do to a coordinate of the denoised row. Rounding in and out costs a few
 * ε of the numbers. Each of the two products sums rounding errors of partial sums that grow like square
 * roots, about ε‖e‖ g in all, where g bounds the factors; eight standard deviations are never seen by chance.
 */
function tolerance(law: GaussianLaw, x: Float64Array, sigma: number): number {
  const e = law.mean.map((m, c) => x[c] - m);
  const factors = [...law.variances, law.floor].map((v) => v / (v + sigma ** 2));
  const g = Math.max(...factors);
  const size = Math.max(...law.mean.map(Math.abs), ...e.map(Math.abs));
  return 8 * EPS32 * (size + 1.5 * g * Math.hypot(...e));
}

// The last are large enough for threads and tensors, the others are plain loops everywhere.
const laws: Record<string, GaussianLaw> = {
  "a point": gaussianLaw([1, -2], 0),
  "coordinates": gaussianLaw([1, 0, 3], [4, 0, 1]),
  "few dimensions": randomLaw(10, 10, 0),
  "full rank": randomLaw(257, 257, 0),
  "low rank": randomLaw(700, 101, 0),
  "low rank with a floor": randomLaw(700, 101, 0.2),
};

testOnDevices(
  devices,
  "gaussian() is the float64 denoiser, row by row",
  (device) =>
    withoutLeaks(async () => {
      for (const [name, law] of Object.entries(laws)) {
        const d = law.mean.length;
        using denoiser = await gaussian(law, { device });
        const levels = [80, 5, 1, 0.2, 0.01];
        const sigmas = levels.concat(levels);
        const rows = sigmas.length;
        const x = startNoise(5, 0, rows, d).map((e, i) =>
          Math.fround((1 + sigmas[Math.floor(i / d)]) * e)
        );
        const evaluate = async (values: Float64Array, sigma: Sigma) => {
          const state = tensorSpace.from(values, [values.length / d, d]);
          const denoised = (await denoiser.denoise(state, sigma)).mean;
          assert.deepEqual(denoised.shape, state.shape);
          const result = await tensorSpace.values(denoised);
          tensorSpace.dispose(state, denoised);
          return result;
        };
        const actual = await evaluate(x, sigmas);
        const expected = (await gaussianFloat64(law).denoise(x, sigmas)).mean;
        for (let row = 0; row < rows; row++) {
          const of = (values: Float64Array | Float32Array) => values.slice(row * d, (row + 1) * d);
          const limit = tolerance(law, of(x) as Float64Array, sigmas[row]);
          assertClose(of(actual), of(expected), limit, `${name}, sigma ${sigmas[row]}`);
          // A row does not depend on its batch beyond rounding.
          if (row < 3) {
            assertClose(
              await evaluate(of(x) as Float64Array, sigmas[row]),
              of(actual),
              limit,
              "alone",
            );
          }
        }
      }
    }),
);

testOnDevices(
  devices,
  "gaussianAxes() carries states along the flow and back",
  (device) =>
    withoutLeaks(async () => {
      for (const law of [laws["low rank with a floor"], laws["full rank"]]) {
        const d = law.mean.length;
        using axes = await gaussianAxes(law, { device });
        const x = tensorSpace.from(startNoise(6, 0, 3, d).map((e) => 2 * e), [3, d]);
        const flow = (from: number, to: number) => (_: number, v: number) =>
          Math.sqrt((v + to ** 2) / (v + from ** 2));
        const there = await axes.scale(x, flow(2, 0.5));
        const back = await axes.scale(there, flow(0.5, 2));
        // The way back enlarges errors up to 4 times; ‖e‖ is about 2√d.
        const limit = 8 * EPS32 * 4 * (8 + 1.5 * 4 * 2 * Math.sqrt(d));
        assertClose(await back.data(), await x.data(), limit, "there and back");
        tensorSpace.dispose(x, there, back);
      }
    }),
);

testOnDevices(
  devices,
  "gaussian() and gaussianAxes() refuse what does not fit, and to work after dispose()",
  async (device) => {
    const law = laws["low rank"];
    await assert.rejects(gaussian(law, { device, shape: [7, 3] }), TypeError);
    await withoutLeaks(async () => {
      const denoiser = await gaussian(law, { device, shape: [10, 7, 10], name: "a test" });
      assert.deepEqual(denoiser.shape, [10, 7, 10]);
      assert.match(denoiser.label, /a test/);
      assertClose(denoiser.mean!(), law.mean, 0, "mean");
      const x = tensorSpace.from(new Float64Array(700), [1, 700]);
      const narrow = tensorSpace.from(new Float64Array(70), [1, 70]);
      const wild = tensorSpace.from(new Float64Array(700).fill(NaN), [1, 700]);
      await assert.rejects(denoiser.denoise(narrow, 1), TypeError);
      await assert.rejects(denoiser.denoise(wild, 1), RangeError);
      await assert.rejects(denoiser.denoise(x, 0), RangeError);
      await assert.rejects(denoiser.denoise(x, [1, 1]), TypeError);
      const signal = AbortSignal.abort(new RangeError("no"));
      await assert.rejects(denoiser.denoise(x, 1, { signal }), /no/);
      denoiser.dispose();
      denoiser.dispose();
      await assert.rejects(denoiser.denoise(x, 1), DeviceError);
      tensorSpace.dispose(x, narrow, wild);
    });
  },
);

Deno.test("gaussianFloat64() refuses what does not fit", async () => {
  const denoiser = gaussianFloat64(laws["few dimensions"]);
  await assert.rejects(
    async () => (await denoiser.denoise(new Float64Array(11), 1)).mean,
    TypeError,
  );
  await assert.rejects(
    async () => (await denoiser.denoise(new Float64Array(10), -1)).mean,
    RangeError,
  );
  await assert.rejects(
    async () => (await denoiser.denoise(new Float64Array(0), 1)).mean,
    RangeError,
  );
  assert.throws(() => gaussianFloat64(laws["few dimensions"], { shape: [3] }), TypeError);
});

Deno.test("gaussianFloat64() draws from its law", () => {
  const law = laws["few dimensions"];
  const { draw } = gaussianFloat64(law);
  const stream = new RandomStream({ seed: 2, purpose: "data" });
  const count = 4000, d = 10;
  const draws = Array.from({ length: count }, () => draw!(stream));
  const covariance = covarianceOf(law);
  for (let a = 0; a < d; a++) {
    for (let b = 0; b <= a; b++) {
      const products = draws.map((x) => (x[a] - law.mean[a]) * (x[b] - law.mean[b]));
      const mean = products.reduce((sum, v) => sum + v, 0) / count;
      const [va, vb, vab] = [a * d + a, b * d + b, a * d + b].map((at) => covariance[at]);
      // The variance of a product of two normal numbers is v_a v_b + v_ab².
      assert.ok(Math.abs(mean - vab) < 5 * Math.sqrt((va * vb + vab ** 2) / count));
    }
  }
});
