import { gaussianLaw, lowRank, startNoise } from "@closedform/diffusion";
import {
  denoiseGaussian,
  flowFactor,
  gaussianEndpoint,
  gaussianTrajectory,
  transportGaussian,
} from "@closedform/diffusion/theory";
import { extrapolateFlow } from "@closedform/diffusion/theory";
import type { GaussianLaw, Spectrum } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { withSpectrum } from "../../_helpers/symmetric.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

const D = 12;
const VARIANCES = [50, 8, 1, 0.1, 1e-3, 0, 0, 0, 0, 0, 0, 0];
const LEVELS = [80, 40, 10, 2, 0.5, 0.05, 0.002];
const mean = startNoise(21, 0, 1, D);
const rotated = gaussianLaw(mean, withSpectrum(VARIANCES, 22)) as Spectrum;
// The decomposition finds the zeros to about 50 ε only.
const full = { ...rotated, variances: rotated.variances.map((v, k) => k < 5 ? v : 0) };
const LAWS: Record<string, GaussianLaw> = {
  "full rank": full,
  "rank 5 without a floor": { ...lowRank(full, 5), floor: 0 },
  "rank 2 with a floor": lowRank(full, 2),
  "isotropic": gaussianLaw(mean, 0.3),
};
const start = startNoise(23, 0, 2, D).map((e) => 80 * e);

for (const [name, law] of Object.entries(LAWS)) {
  Deno.test(`gaussianTrajectory() is the solution of the flow equation: ${name}`, async () => {
    const states = gaussianTrajectory(law, start, LEVELS);
    const x = start.slice(0, D);
    let reached: Float64Array = x;
    for (const [i, { sigma, x: closed, denoised }] of states.entries()) {
      const denoise = (y: Float64Array, s: number) => denoiseGaussian(law, y, s);
      if (i > 0) reached = await extrapolateFlow(denoise, reached, LEVELS[i - 1], sigma);
      // The solver's own accuracy, 2e-14 of |x| up to 250 in each of about 20 steps.
      assertClose(closed.subarray(0, D), reached, 1e-10, `sigma ${sigma}`);
      // Rounding of x at σ reaches D by a factor up to 1: ε |x|.
      const along = denoiseGaussian(law, closed.slice(D), sigma);
      assertClose(denoised.subarray(D), along, 1e-12, `end point at ${sigma}`);
    }
  });

  Deno.test(`gaussianTrajectory() forms a semigroup, and is the flow: ${name}`, () => {
    const [, between, end] = gaussianTrajectory(law, start, [80, 3, 0]);
    const [, again] = gaussianTrajectory(law, between.x, [3, 0]);
    assertClose(again.x, end.x, 1e-12, "by way of 3");
    assertClose(transportGaussian(law, start.slice(0, D), 80, 0), end.x.subarray(0, D), 1e-12, "");
    assertClose(end.denoised, end.x, 1e-12, "at 0 the end point is the state");
    assertClose(gaussianEndpoint(law, start, 80, 3), between.denoised, 0, "the same end point");
    const [, up] = gaussianTrajectory(law, between.x, [3, 80]);
    // Upwards errors grow by √((λ+80²)/(λ+3²)), up to 27.
    assertClose(up.x, start, 1e-11, "and back");
  });
}

Deno.test("rank r is the full law whose other variances are zero, and the floor their mean", () => {
  const [a, b] = ["full rank", "rank 5 without a floor"].map((name) =>
    gaussianTrajectory(LAWS[name], start, LEVELS)
  );
  a.forEach(({ x, denoised, sigma }, i) => {
    assertClose(b[i].x, x, 1e-12 * Math.max(1, sigma), `states at ${sigma}`);
    assertClose(b[i].denoised, denoised, 1e-12, `end points at ${sigma}`);
  });
  assert.ok(Math.abs(LAWS["rank 2 with a floor"].floor - 1.101 / 10) < 1e-14);
});

Deno.test("gaussianTrajectory() in variance-preserving coordinates solves their own equation", () => {
  // β from 0.1 to 20, α = exp(−½∫β): dz/dt = −½β (z + score).
  const alpha = (t: number) => Math.exp(-0.5 * (0.1 * t + 19.9 * t * t / 2));
  const sigma = (t: number) => Math.sqrt(1 / alpha(t) ** 2 - 1);
  const law = LAWS["rank 2 with a floor"], [from, to, steps] = [0.8, 0.05, 6000];
  const slope = (z: Float64Array, t: number) => {
    const a = alpha(t), s = sigma(t);
    const denoised = denoiseGaussian(law, z.map((v) => v / a), s);
    const beta = 0.1 + 19.9 * t;
    return z.map((v, c) => -0.5 * beta * (v + (a * denoised[c] - v) / (a * s) ** 2));
  };
  const z0 = startNoise(24, 0, 1, D);
  let z = z0;
  const h = (to - from) / steps;
  for (let n = 0; n < steps; n++) {
    const t = from + n * h;
    const k1 = slope(z, t), k2 = slope(z.map((v, c) => v + h / 2 * k1[c]), t + h / 2);
    const k3 = slope(z.map((v, c) => v + h / 2 * k2[c]), t + h / 2);
    const k4 = slope(z.map((v, c) => v + h * k3[c]), t + h);
    z = z.map((v, c) => v + h / 6 * (k1[c] + 2 * k2[c] + 2 * k3[c] + k4[c]));
  }
  const levels = [sigma(from), sigma(to)];
  const [, vp] = gaussianTrajectory(law, z0, levels, { coordinates: "vp" });
  // Runge and Kutta's error, (rate h)⁴/120 with rates up to β/2s² = 40 at the end.
  assertClose(vp.x, z, 1e-10, "states");
  const [first] = levels;
  const x0 = z0.map((v) => v * Math.hypot(1, first));
  const [, ve] = gaussianTrajectory(law, x0, levels);
  assertClose(vp.x, ve.x.map((v) => v * alpha(to)), 1e-13, "the same trajectory");
  const end = gaussianEndpoint(law, z0, first, levels[1], { coordinates: "vp" });
  assertClose(end, ve.denoised, 1e-13, "the same end point");
});

Deno.test("gaussianTrajectory() refuses what is no start", () => {
  const law = LAWS.isotropic;
  assert.throws(() => gaussianTrajectory(law, [1, 2], [80, 1]), TypeError);
  assert.throws(() => gaussianTrajectory(law, [], [80, 1]), TypeError);
  assert.throws(() => gaussianTrajectory(law, start, [0, 1]), RangeError);
  assert.throws(() => gaussianTrajectory(law, start, []), RangeError);
  assert.throws(() => gaussianEndpoint(law, start, 80, NaN), RangeError);
  assert.equal(flowFactor(0, 2, 0), 0);
});
