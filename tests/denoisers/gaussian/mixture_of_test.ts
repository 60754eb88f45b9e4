import {
  gaussian,
  gaussianLaw,
  mixtureLaw,
  mixtureOf,
  moons,
  openDevice,
  RandomStream,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { solveLinear } from "@closedform/diffusion/compute";
import type { GaussianLaw, MixtureLaw } from "@closedform/diffusion";
// All of tfjs: its core alone knows no gradients.
import * as tf from "@tensorflow/tfjs";
import assert from "node:assert/strict";
import {
  denoiseMixture,
  mixtureLogits,
  mixturePosterior,
} from "../../../src/denoisers/gaussian/mixture_law.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { withSpectrum } from "../../_helpers/symmetric.ts";
import { assertClose, EPS32 } from "../../_helpers/tolerance.ts";
import { gaussianFloat64, mixtureOfFloat64, optimalFloat64 } from "../../_helpers/float64.ts";

const D = 6;
/** Full covariances, of which the second is of low rank with a floor. */
const FULL: MixtureLaw = mixtureLaw([2, 1, 3], [
  gaussianLaw(startNoise(81, 0, 1, D), withSpectrum([4, 1, 0.5, 0.1, 0.05, 0.01], 82)),
  lowRankLaw(startNoise(81, 1, 1, D), [2, 0.3], 0.02, 83),
  gaussianLaw(startNoise(81, 2, 1, D), 0.2),
]);

/** A law with two oblique directions and a floor. */
function lowRankLaw(
  mean: Float64Array,
  variances: number[],
  floor: number,
  seed: number,
): GaussianLaw {
  const { basis } = gaussianLaw(mean, withSpectrum([6, 5, 4, 3, 2, 1], seed));
  return {
    mean,
    variances: Float64Array.from(variances),
    basis: basis!.slice(0, variances.length * D),
    floor,
  };
}

/** `Σₘ + σ²I` as a matrix. */
function covarianceOf({ mean, variances, basis, floor }: GaussianLaw, sigma: number): number[] {
  const d = mean.length;
  return Array.from({ length: d * d }, (_, at) => {
    const i = Math.floor(at / d), j = at % d;
    let sum = i === j ? floor + sigma ** 2 : 0;
    variances.forEach((v, k) => sum += (v - floor) * basis![k * d + i] * basis![k * d + j]);
    return sum;
  });
}

/** Determinant by elimination, of a positive matrix. */
function logDeterminant(matrix: readonly number[]): number {
  const n = Math.sqrt(matrix.length), a = [...matrix];
  let sum = 0;
  for (let k = 0; k < n; k++) {
    sum += Math.log(a[k * n + k]);
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k] / a[k * n + k];
      for (let j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return sum;
}

/** Posterior mean and log density with dense inverses, straight from the definition. */
function dense(law: MixtureLaw, x: Float64Array, sigma: number) {
  const parts = law.components.map((component, m) => {
    const e = x.map((v, c) => v - component.mean[c]);
    const noisy = covarianceOf(component, sigma);
    const y = solveLinear(noisy, [...e]);
    const form = y.reduce((sum, v, c) => sum + v * e[c], 0);
    const logit = Math.log(law.weights[m]) -
      (logDeterminant(noisy) + form + D * Math.log(2 * Math.PI)) / 2;
    return { logit, denoised: x.map((v, c) => v - sigma ** 2 * y[c]) };
  });
  const top = Math.max(...parts.map(({ logit }) => logit));
  const total = parts.reduce((sum, { logit }) => sum + Math.exp(logit - top), 0);
  const mean = x.map((_, c) =>
    parts.reduce((sum, { logit, denoised }) => sum + Math.exp(logit - top) / total * denoised[c], 0)
  );
  return { mean, logDensity: top + Math.log(total) };
}

function queries(count: number, sigma: number): Float64Array {
  const noise = startNoise(84, 0, count, D);
  return noise.map((e, i) => FULL.components[Math.floor(i / D) % 3].mean[i % D] + (1 + sigma) * e);
}

Deno.test("mixtureOfFloat64() is the definition with dense inverses, density included", async () => {
  const denoiser = mixtureOfFloat64(FULL);
  for (const sigma of [0.1, 0.5, 2, 20]) {
    const x = queries(6, sigma);
    const { mean, ...facts } = await denoiser.denoise(x, sigma);
    for (let b = 0; b < 6; b++) {
      const wanted = dense(FULL, x.slice(b * D, (b + 1) * D), sigma);
      // Condition numbers up to 4/0.02 of the solved systems.
      assertClose(
        mean.subarray(b * D, (b + 1) * D),
        wanted.mean,
        1e-11 * (1 + sigma),
        `D at ${sigma}`,
      );
      const scale = 1 + Math.abs(wanted.logDensity);
      assert.ok(Math.abs(facts.logNormaliser![b] - wanted.logDensity) < 1e-12 * scale);
      assert.ok(facts.effectiveSampleSize![b] >= 1 && facts.effectiveSampleSize![b] <= 3);
    }
  }
});

Deno.test("the score of a mixture is the gradient of the density that its posterior gives", async () => {
  const denoiser = mixtureOfFloat64(FULL), step = 1e-5;
  for (const sigma of [0.2, 1, 5]) {
    const x = queries(4, sigma);
    const score = (await denoiser.denoise(x, sigma)).mean.map((v, i) => (v - x[i]) / sigma ** 2);
    const density = async (offset: number, c: number) => {
      const moved = x.map((v, i) => i % D === c ? v + offset : v);
      return (await denoiser.denoise(moved, sigma)).logNormaliser!;
    };
    for (let c = 0; c < D; c++) {
      const [up, down] = [await density(step, c), await density(-step, c)];
      up.forEach((v, b) => {
        const difference = (v - down[b]) / (2 * step), exact = score[b * D + c];
        // Truncation step² f'''/6 and rounding 1e-16 ln p/step.
        assert.ok(
          Math.abs(difference - exact) < 1e-6 * (1 + Math.abs(exact)),
          `${difference}, ${exact}`,
        );
      });
    }
  }
});

Deno.test("the score of a mixture is what automatic differentiation finds", async () => {
  using _device = await openDevice("float64");
  await withoutLeaks(async () => {
    const sigma = 0.7, x = queries(5, sigma);
    const logDensity = (state: tf.Tensor) =>
      tf.tidy(() => {
        const logits = FULL.components.map((component, m) => {
          const noisy = covarianceOf(component, sigma);
          const inverse = Array.from({ length: D }, (_, j) =>
            solveLinear(noisy, Array.from({ length: D }, (_, i) => i === j ? 1 : 0))).flat();
          const e = tf.sub(state, tf.tensor1d(Float32Array.from(component.mean)));
          const form = tf.sum(
            tf.mul(tf.matMul(e as tf.Tensor2D, tf.tensor2d(inverse, [D, D])), e),
            1,
          );
          return tf.add(tf.mul(form, -0.5), Math.log(FULL.weights[m]) - logDeterminant(noisy) / 2);
        });
        return tf.sum(tf.logSumExp(tf.stack(logits), 0));
      });
    const state = tf.tensor2d(Float32Array.from(x), [5, D]);
    const gradient = tf.grad(logDensity)(state);
    const rounded = Float64Array.from(await state.data());
    const denoised = (await mixtureOfFloat64(FULL).denoise(rounded, sigma)).mean;
    const score = denoised.map((v, i) => (v - rounded[i]) / sigma ** 2);
    assertClose(await gradient.data(), score, 1e-4, "score");
    tf.dispose([state, gradient]);
  });
});

Deno.test("a mixture of one component is a Gaussian", async () => {
  for (const component of FULL.components) {
    const law = mixtureLaw([1], [component]);
    for (const sigma of [0.01, 1, 80]) {
      const x = queries(4, sigma);
      assertClose(
        (await mixtureOfFloat64(law).denoise(x, sigma)).mean,
        (await gaussianFloat64(component).denoise(x, sigma)).mean,
        0,
        `at ${sigma}`,
      );
    }
  }
});

Deno.test("a mixture of points is the optimal denoiser, within their convex hull, at every level", async () => {
  const set = moons(60);
  const points = Array.from({ length: 60 }, (_, i) => gaussianLaw(set.values(i), 0));
  const denoiser = mixtureOfFloat64(mixtureLaw(points.map(() => 1), points));
  for (const sigma of [1e-3, 0.05, 1, 80]) {
    const x = startNoise(85, 0, 30, 2).map((e) => e * (1 + sigma));
    const { mean, ...facts } = await denoiser.denoise(x, sigma);
    assertClose(mean, (await optimalFloat64(set).denoise(x, sigma)).mean, 1e-11, `at ${sigma}`);
    assert.ok(facts.logNormaliser!.every(Number.isFinite));
    for (let b = 0; b < 60; b += 2) {
      // A point is in the hull if in no direction it lies beyond all points.
      for (let a = 0; a < 16; a++) {
        const u = [Math.cos(a * Math.PI / 8), Math.sin(a * Math.PI / 8)];
        const reach = Math.max(...points.map(({ mean }) => u[0] * mean[0] + u[1] * mean[1]));
        assert.ok(u[0] * mean[b] + u[1] * mean[b + 1] <= reach + 1e-12);
      }
    }
  }
});

Deno.test("the weights of the components sum to one, far out and close in", () => {
  for (const sigma of [1e-3, 0.3, 80]) {
    const x = queries(3, 10 * sigma);
    for (let b = 0; b < 3; b++) {
      const weights = mixturePosterior(FULL, x.slice(b * D, (b + 1) * D), sigma);
      assert.ok(Math.abs(weights.reduce((a, v) => a + v) - 1) < 1e-15);
    }
  }
});

const devices = await testDevices();

testOnDevices(devices, "mixtureOf() on tensors is the mixture in float64", async (device) => {
  using denoiser = await mixtureOf(FULL, { device, shape: [2, 3], name: "three" });
  assert.deepEqual([denoiser.shape, denoiser.label], [[2, 3], "denoiser of three"]);
  await withoutLeaks(async () => {
    for (const sigma of [1e-3, 0.1, 1, 80]) {
      const numbers = Float32Array.from(queries(9, sigma));
      const x = tf.tensor(numbers, [9, 2, 3]);
      const { mean, ...facts } = await denoiser.denoise(x, sigma);
      const exact = await mixtureOfFloat64(FULL).denoise(Float64Array.from(numbers), sigma);
      const size = numbers.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
      // Products of float32 numbers of that size, and weights to 1e-3 nats of components a few units apart.
      assertClose(await mean.data(), exact.mean, 64 * EPS32 * size + 4e-3, `D at ${sigma}`);
      if (device.kind !== "webgpu") {
        // In float64, what is left is the rounding of the result.
        assertClose(await mean.data(), exact.mean, EPS32 * size + 1e-9, `D at ${sigma}`);
      }
      const tolerance = 2e-3 + 1e-6 * Math.max(...exact.topLogit!.map(Math.abs));
      assertClose(facts.logNormaliser, exact.logNormaliser!, tolerance, `ln p at ${sigma}`);
      assert.deepEqual([...facts.topIndex], [...exact.topIndex!]);
      tf.dispose([x, mean]);
    }
  });
});

testOnDevices(
  devices,
  "mixtureOf() takes a noise level for each row, and rows one by one",
  async (device) => {
    using denoiser = await mixtureOf(FULL, { device });
    await withoutLeaks(async () => {
      const sigmas = [0.05, 0.5, 5], numbers = Float32Array.from(queries(3, 1));
      const x = tf.tensor(numbers, [3, D]);
      const together = (await denoiser.denoise(x, sigmas)).mean;
      for (const [b, sigma] of sigmas.entries()) {
        const row = tf.tensor(numbers.subarray(b * D, (b + 1) * D), [1, D]);
        const alone = (await denoiser.denoise(row, sigma)).mean;
        const values = (await together.data()).slice(b * D, (b + 1) * D);
        assertClose(await alone.data(), values, 16 * EPS32, `row ${b}`);
        tf.dispose([row, alone]);
      }
      tf.dispose([x, together]);
    });
  },
);

testOnDevices(
  devices,
  "mixtureOf() tells close components apart where float32 products cannot",
  async (device) => {
    // Two thin components a tenth of their thickness apart, far from the mean of the mixture.
    const wide = 40, d = 64;
    const centre = (sign: number, shift: number) =>
      Float64Array.from({ length: d }, (_, c) => sign * 10 + (c === 0 ? shift : 0));
    const variances = Float64Array.from({ length: wide }, (_, k) => k === 0 ? 1e-4 : 1);
    const component = (mean: Float64Array): GaussianLaw => ({ mean, variances, floor: 1e-4 });
    const law = mixtureLaw([1, 1, 2], [
      component(centre(1, 0)),
      component(centre(1, 1e-3)),
      component(centre(-1, 0)),
    ]);
    using denoiser = await mixtureOf(law, { device });
    const stream = new RandomStream({ seed: 86 });
    const numbers = Float32Array.from(
      { length: 8 * d },
      (_, i) => 10 + 0.01 * stream.normal() + (i % d === 0 ? 0.03 : 0),
    );
    const x = tf.tensor(numbers, [8, d]);
    const { mean, ...facts } = await denoiser.denoise(x, 1e-3);
    for (let b = 0; b < 8; b++) {
      const row = Float64Array.from(numbers.subarray(b * d, (b + 1) * d));
      const logits = mixtureLogits(law, row, 1e-3);
      const gap = Math.abs(logits[0] - logits[1]);
      assert.ok(Math.abs(facts.logitGap[b] - gap) < 2e-3, `${facts.logitGap[b]}, exact ${gap}`);
      const exact = denoiseMixture(law, row, 1e-3);
      assertClose(
        (await mean.data()).slice(b * d, (b + 1) * d),
        exact,
        64 * EPS32 * 10,
        `row ${b}`,
      );
    }
    tf.dispose([x, mean]);
  },
);

testOnDevices(devices, "mixtureOf() refuses what it cannot do", async (device) => {
  await assert.rejects(mixtureOf(FULL, { device, shape: [5] }), TypeError);
  const denoiser = await mixtureOf(FULL, { device });
  const [good, narrow, bad] = [
    tf.zeros([1, D]),
    tf.zeros([1, 5]),
    tf.tensor([[NaN, 0, 0, 0, 0, 0]]),
  ];
  await assert.rejects(denoiser.denoise(narrow, 1), TypeError);
  await assert.rejects(denoiser.denoise(bad, 1), RangeError);
  await assert.rejects(denoiser.denoise(good, 0), RangeError);
  const signal = AbortSignal.abort(new TypeError("enough"));
  await assert.rejects(denoiser.denoise(good, 1, { signal }), /enough/);
  denoiser.dispose();
  denoiser.dispose();
  await assert.rejects(denoiser.denoise(good, 1), /disposed/);
  tf.dispose([good, narrow, bad]);
});

Deno.test("mixtureOfFloat64() draws from the mixture, and knows its mean", async () => {
  const denoiser = mixtureOfFloat64(FULL), mean = denoiser.mean!();
  const sum = new Float64Array(D), n = 4000;
  for (let sample = 0; sample < n; sample++) {
    const item = denoiser.draw!(new RandomStream({ seed: 87, sample }));
    for (let c = 0; c < D; c++) sum[c] += item[c] / n;
  }
  // Standard errors of at most 2/√n; five of them.
  assertClose(sum, mean, 5 * 2 / Math.sqrt(n), "mean of draws");
  await assert.rejects(
    Promise.resolve().then(() => denoiser.denoise(new Float64Array(7), 1)),
    TypeError,
  );
  assert.throws(() => mixtureOfFloat64(FULL, { shape: [7] }), TypeError);
});

testOnDevices(
  devices,
  "mixtureOf() of one large component is the Gaussian on that device",
  async (device) => {
    const d = 80;
    const law = gaussianLaw(
      startNoise(88, 0, 1, d),
      withSpectrum(Array.from({ length: d }, (_, k) => 5 / (k + 1)), 89),
    );
    using ours = await mixtureOf(mixtureLaw([1], [law]), { device });
    using theirs = await gaussian(law, { device });
    const x = tf.tensor(Float32Array.from(startNoise(90, 0, 3, d)), [3, d]);
    const [a, b] = [(await ours.denoise(x, 0.3)).mean, (await theirs.denoise(x, 0.3)).mean];
    assertClose(await a.data(), await b.data(), 64 * EPS32 * 4, "denoised");
    tensorSpace.dispose(x, a, b);
  },
);
