import type { ExactFlow } from "@closedform/diffusion/theory";
import { Dataset, gaussianLaw, mixtureLaw, startNoise } from "@closedform/diffusion";
import {
  empiricalFlow,
  extrapolateFlow,
  gaussianFlow,
  mixtureFlow,
  pointFlow,
} from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { logDensityGaussian } from "../../../src/denoisers/gaussian/gaussian_law.ts";
import { mixturePosterior } from "../../../src/denoisers/gaussian/mixture_law.ts";
import { RandomStream } from "../../../src/base/random.ts";
import { assertMean } from "../../_helpers/statistics.ts";
import { assertClose } from "../../_helpers/tolerance.ts";
import { optimalFloat64 } from "../../_helpers/float64.ts";

const EPS = Number.EPSILON;
const stream = new RandomStream({ seed: 11, purpose: "theory" });
const random = (n: number) => Float64Array.from({ length: n }, () => stream.normal());

/** A random covariance `A Aᵀ/d` of full rank. */
function covariance(d: number): Float64Array {
  const a = random(d * d);
  return Float64Array.from({ length: d * d }, (_, at) => {
    const [i, j] = [Math.floor(at / d), at % d];
    let sum = 0;
    for (let k = 0; k < d; k++) sum += a[i * d + k] * a[j * d + k] / d;
    return sum;
  });
}

/** `(Σ + s I) v` by rows. */
function times(matrix: Float64Array, s: number, v: Float64Array): Float64Array {
  const d = v.length;
  return v.map((own, i) =>
    v.reduce((sum, value, j) => sum + matrix[i * d + j] * value, 0) + s * own
  );
}

const fullMixture = mixtureLaw(
  [2, 1, 1],
  [0, 1, 2].map(() => gaussianLaw(random(4), covariance(4))),
);
const points = new Dataset({
  data: Float32Array.of(-1, 0.5, 1, 0, 0.25, -2, 0.5, 0.75),
  shape: [2],
  name: "four points",
});
const FLOWS: ExactFlow[] = [
  pointFlow([0.5, -2]),
  gaussianFlow(gaussianLaw([1, 2, 3], [4, 0.1, 0])),
  gaussianFlow(gaussianLaw(random(4), covariance(4))),
  mixtureFlow(mixtureLaw([1, 3], [gaussianLaw([1, 0], 0.04), gaussianLaw([-1, 1], 0.25)])),
  mixtureFlow(fullMixture),
  empiricalFlow(points),
];

Deno.test("exact flows form a semigroup: by way of a level between, and onto the same level", async () => {
  for (const flow of FLOWS) {
    const x = flow.draw(4, 20, 3);
    const straight = await flow.transport(x, 20, 0.3);
    const between = await flow.transport(x, 20, 2);
    // 2e-14 of |x| = 20·few per step at the start, amplified by at most ten on the way.
    assertClose(await flow.transport(between, 2, 0.3), straight, 2e-11, flow.name);
    assertClose(await flow.transport(x, 20, 20), x, 20 * 8 * EPS, flow.name);
  }
});

Deno.test("exact flows go up as well as down", async () => {
  for (const flow of FLOWS) {
    const x = flow.draw(4, 5, 4);
    const back = await flow.transport(await flow.transport(x, 5, 1), 1, 5);
    // Going up expands what collapsed, by up to (σ/σ')² in the worst direction.
    assertClose(back, x, 1e-10, flow.name);
  }
});

Deno.test("exact flows satisfy their equation: x + dσ (x − D)/σ, by central differences", async () => {
  for (const flow of FLOWS) {
    const sigma = 0.8, step = 1e-4;
    const x = flow.draw(3, sigma, 5);
    const [up, down] = [
      await flow.transport(x, sigma, sigma + step),
      await flow.transport(x, sigma, sigma - step),
    ];
    const d = (await flow.denoiser.denoise(x, sigma)).mean;
    const slope = x.map((v, i) => (v - d[i]) / sigma);
    // Third derivatives are of order 10 here: step²/6 · 10, and 1e-14/step of rounding.
    assertClose(up.map((v, i) => (v - down[i]) / (2 * step)), slope, 2e-7, flow.name);
  }
});

Deno.test("exact flows do not mix rows, and take one noise level per row", async () => {
  for (const flow of FLOWS) {
    const d = flow.dimension, x = flow.draw(16, 3, 6);
    const together = await flow.transport(x, 3, 0.5);
    const alone = await flow.transport(x.slice(5 * d, 6 * d), 3, 0.5);
    assert.deepEqual(together.slice(5 * d, 6 * d), alone);
    const sigmas = Float64Array.from({ length: 16 }, (_, r) => 1 + r / 4);
    const denoised = (await flow.denoiser.denoise(x, sigmas)).mean;
    assert.deepEqual(
      denoised.slice(9 * d, 10 * d),
      (await flow.denoiser.denoise(x.slice(9 * d, 10 * d), sigmas[9])).mean,
    );
  }
});

Deno.test("exact flows draw rows with the moments of noised data", () => {
  for (const flow of FLOWS) {
    const d = flow.dimension, sigma = 1.5, count = 4000;
    const x = flow.draw(count, sigma);
    const mean = flow.denoiser.mean!();
    for (let c = 0; c < d; c++) {
      assertMean(flow.name, x.filter((_, i) => i % d === c), mean[c]);
    }
    assert.deepEqual(flow.draw(2, sigma), x.slice(0, 2 * d));
  }
});

Deno.test("gaussianFlow() denoises by the Wiener filter: (Σ + σ²I) Σ⁻¹ (D − μ) = x − μ", async () => {
  const d = 5, sigma = 0.7;
  const [mean, matrix] = [random(d), covariance(d)];
  const x = random(d);
  const denoised = (await gaussianFlow(gaussianLaw(mean, matrix)).denoiser.denoise(x, sigma)).mean;
  // x − D = σ² (Σ + σ²I)⁻¹ (x − μ): multiplied back, nothing is inverted.
  const noise = x.map((v, c) => v - denoised[c]);
  const expected = x.map((v, c) => sigma * sigma * (v - mean[c]));
  assertClose(times(matrix, sigma * sigma, noise), expected, 100 * EPS, "Wiener filter");
});

Deno.test("gaussianFlow() with full, diagonal and single variance agree where they mean the same", async () => {
  const x = Float64Array.of(3, -1, 2), mean = [1, 2, 3];
  const ways = [0.3, [0.3, 0.3, 0.3], [0.3, 0, 0, 0, 0.3, 0, 0, 0, 0.3]].map((c) =>
    gaussianFlow(gaussianLaw(mean, c))
  );
  const ends = await Promise.all(ways.map((flow) => flow.transport(x, 4, 0.2)));
  assertClose(ends[1], ends[0], 4 * EPS, "diagonal");
  assertClose(ends[2], ends[0], 4 * EPS, "full");
});

Deno.test("gaussianFlow() reproduces the end state of the published toy", async () => {
  const flow = gaussianFlow(gaussianLaw([0.5, -0.5, 0.25, 0], [4, 1, 0.25, 0.01]));
  assertClose(
    await flow.transport(Float64Array.of(5, -4, 3, 2), 5, 0.5),
    [2.2226933603497, -1.2674257668937, 0.63697864960166, 0.20392000062117],
    6e-14,
    "toy G, to the printed digits",
  );
});

Deno.test("mixtureFlow() reproduces end states found by another solver", async () => {
  const flow = mixtureFlow(mixtureLaw([0.5, 0.3, 0.2], [
    gaussianLaw([1, 0.5], 0.09),
    gaussianLaw([-1, 0.2], 0.04),
    gaussianLaw([0.1, -1.2], 0.16),
  ]));
  assertClose(
    await flow.transport(Float64Array.of(3, -4), 5, 0.5),
    [0.80659204112356, -0.54424865956488],
    1e-12,
    "toy M",
  );
  assertClose(
    await flow.transport(Float64Array.of(48, -64), 80, 0),
    [0.88900421, -0.10030039],
    5.1e-9,
    "toy M to 0, to the printed digits",
  );
});

Deno.test("mixtureFlow() of one component is the Gaussian's closed form", async () => {
  const law = gaussianLaw(random(4), covariance(4));
  const [mixture, gaussian] = [mixtureFlow(mixtureLaw([1], [law])), gaussianFlow(law)];
  const x = gaussian.draw(8, 80, 7);
  for (const to of [20, 1, 0.002, 0]) {
    // 1e-13 of |x| = 80·few per step at the start, which the flow shrinks to the size of the data.
    assertClose(
      await mixture.transport(x, 80, to),
      await gaussian.transport(x, 80, to),
      1e-12 * Math.max(to, 1),
      `to ${to}`,
    );
  }
});

Deno.test("in one dimension mixtureFlow() keeps the quantile of its state", async () => {
  const law = mixtureLaw([0.3, 0.7], [gaussianLaw([-1], 0.04), gaussianLaw([0.8], 0.09)]);
  const flow = mixtureFlow(law);
  for (const start of [-9, -1, 0.3, 4, 12]) {
    const [end] = await flow.transport(Float64Array.of(start), 6, 0.4);
    assertClose([quantile(end, 0.4)], [quantile(start, 6)], 1e-12, `quantile of ${start}`);
  }

  /** The distribution function by Simpson's rule, 4000 panels over ten deviations: error below 1e-13. */
  function quantile(x: number, sigma: number): number {
    const least = -1 - 10 * Math.hypot(0.3, sigma), panels = 4000;
    const density = (v: number) =>
      law.components.reduce((sum, component, m) =>
        sum + law.weights[m] / Math.sqrt(2 * Math.PI) *
          Math.exp(logDensityGaussian(component, Float64Array.of(v), sigma)), 0);
    let sum = 0;
    for (let i = 0; i <= panels; i++) {
      const weight = i === 0 || i === panels ? 1 : i % 2 ? 4 : 2;
      sum += weight * density(least + (x - least) * i / panels);
    }
    return sum * (x - least) / panels / 3;
  }
});

Deno.test("mixtureFlow() denoises by Tweedie's formula, D = x + σ² ∇ ln p", async () => {
  const sigma = 0.9, step = 1e-5;
  const x = random(4);
  const logDensity = (v: Float64Array) =>
    Math.log(
      fullMixture.components.reduce((sum, component, m) =>
        sum + fullMixture.weights[m] * Math.exp(logDensityGaussian(component, v, sigma)), 0),
    );
  const expected = x.map((v, c) => {
    const [up, down] = [x.slice(), x.slice()];
    up[c] += step;
    down[c] -= step;
    return v + sigma * sigma * (logDensity(up) - logDensity(down)) / (2 * step);
  });
  const flow = mixtureFlow(fullMixture);
  // Central differences: 1e-16/step of rounding and step² of truncation.
  assertClose((await flow.denoiser.denoise(x, sigma)).mean, expected, 1e-9, "Tweedie");
});

Deno.test("mixtures of equal spread use the same posterior by either formula", () => {
  const means = [random(3), random(3), random(3)];
  const centres = mixtureLaw([1, 2, 3], means.map((mean) => gaussianLaw(mean, 0.3)));
  const general = mixtureLaw([1, 2, 3], means.map((mean) => gaussianLaw(mean, [0.3, 0.3, 0.3])));
  const x = random(3);
  for (const sigma of [10, 1, 0.1]) {
    assertClose(
      mixturePosterior(centres, x, sigma),
      mixturePosterior(general, x, sigma),
      1e-12,
      `sigma ${sigma}`,
    );
  }
});

Deno.test("empiricalFlow() is the mixture of points and the optimal denoiser", async () => {
  const rows = [0, 1, 2, 3].map((i) => points.values(i));
  const mixture = mixtureFlow(mixtureLaw([1, 1, 1, 1], rows.map((row) => gaussianLaw(row, 0))));
  const flow = empiricalFlow(points);
  const x = flow.draw(6, 3, 8);
  const optimal = (await optimalFloat64(points).denoise(x, 0.4)).mean;
  assertClose((await flow.denoiser.denoise(x, 0.4)).mean, optimal, 0, "optimal");
  // Logits of up to |x|²/2σ² ≈ 100 are rounded.
  assertClose((await mixture.denoiser.denoise(x, 0.4)).mean, optimal, 1e-13, "mixture");
  assertClose(
    await mixture.transport(x, 3, 0.2),
    await flow.transport(x, 3, 0.2),
    1e-11,
    "flow",
  );
});

Deno.test("empiricalFlow() ends at items when the noise is gone", async () => {
  const flow = empiricalFlow(points);
  const ends = await flow.transport(flow.draw(8, 10, 9), 10, 0);
  for (let r = 0; r < 8; r++) {
    const end = [...ends.slice(2 * r, 2 * r + 2)];
    assert.ok(
      [0, 1, 2, 3].some((i) => points.values(i).every((v, c) => v === end[c])),
      `row ${r} ended at ${end}`,
    );
  }
});

Deno.test("extrapolateFlow() stops when its signal says so", async () => {
  const controller = new AbortController();
  const reason = new RangeError("enough");
  let calls = 0;
  const slow = (x: Float64Array) => {
    if (++calls === 10) controller.abort(reason);
    return x.map(() => 0);
  };
  await assert.rejects(
    extrapolateFlow(slow, Float64Array.of(1), 80, 1e-3, controller.signal),
    (error) => error === reason,
  );
  // A step of the solver is 66 evaluations.
  assert.ok(calls <= 66, `${calls} calls`);
});

Deno.test("exact flows draw rows of streams of their own: samples do not start where rows were drawn", () => {
  const noise = startNoise(3, 0, 50, 2);
  for (const flow of [pointFlow([0, 0]), gaussianFlow(gaussianLaw([0, 0], 0))]) {
    const rows = flow.draw(50, 1, 3);
    // As many standard normal numbers: of independent ones the mean product is 0 within 4 standard errors.
    const mean = rows.reduce((sum, v, i) => sum + v * noise[i] / rows.length, 0);
    assert.ok(Math.abs(mean) < 4 / Math.sqrt(rows.length), `${flow.name}: ${mean}`);
    assert.notDeepEqual(flow.draw(50, 1, 4), rows);
    assert.deepEqual(flow.draw(20, 1, 3), rows.slice(0, 40));
  }
});

Deno.test("exact flows refuse wrong rows, levels, laws", async () => {
  const flow = pointFlow([0, 0]);
  await assert.rejects(flow.transport(Float64Array.of(1), 1, 0), TypeError);
  await assert.rejects(flow.transport(Float64Array.of(1, NaN), 1, 0), RangeError);
  await assert.rejects(flow.transport(Float64Array.of(1, 1), 0, 1), RangeError);
  await assert.rejects(flow.transport(Float64Array.of(1, 1), 1, -1), RangeError);
  await assert.rejects(flow.denoiser.denoise(Float64Array.of(1), 1), TypeError);
  assert.throws(() => gaussianLaw([0, 0], [1, 2, 3]), TypeError);
  assert.throws(() => gaussianLaw([0, 0], -1), RangeError);
  assert.throws(() => gaussianLaw([0, NaN], 1), RangeError);
  assert.throws(() => gaussianLaw([0, 0], [1, 2, 2, 1]), RangeError);
  assert.throws(() => mixtureLaw([1], []), TypeError);
  assert.throws(() => mixtureLaw([1, 1], [gaussianLaw([0], 1), gaussianLaw([0, 0], 1)]), TypeError);
  assert.throws(() => mixtureLaw([0], [gaussianLaw([0], 1)]), RangeError);
  assert.throws(() => mixtureLaw([-1], [gaussianLaw([0], 1)]), RangeError);
});
