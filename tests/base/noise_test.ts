import { ddpmGrid, karrasGrid, logSnrGrid, startNoise, uniformTGrid } from "@closedform/diffusion";
import { arraySpace } from "@closedform/diffusion/compute";
import {
  alphaBarOfSigma,
  flowTimeOfSigma,
  sigmaOfAlphaBar,
  sigmaOfFlowTime,
} from "@closedform/diffusion/theory";
import { checkSigmas, gridByName } from "../../src/base/noise.ts";
import type { SigmaGrid } from "@closedform/diffusion";
import fc from "fast-check";
import assert from "node:assert/strict";
import { assertClose } from "../_helpers/tolerance.ts";

Deno.test("the DDIM, the Euler and the flow step are one update", () => {
  const sigma = fc.double({ min: 1e-3, max: 160, noNaN: true });
  const share = fc.double({ min: 0, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(sigma, share, fc.nat(1000), (sigma, rho, seed) => {
      const next = rho * sigma;
      const [x, d] = [0, 1].map((sample) =>
        startNoise(seed, sample, 1, 8).map((e) => e * (1 + sigma))
      );
      const update = arraySpace.combine([next / sigma, 1 - next / sigma], [x, d]);

      // The noise share √(1 − ᾱ) = σ√ᾱ, written so that nothing cancels at small σ.
      const [a, a2] = [sigma, next].map(alphaBarOfSigma).map(Math.sqrt);
      const [s, s2] = [sigma * a, next * a2];
      const z = x.map((v) => a * v);
      const eps = z.map((v, i) => (v - a * d[i]) / s);
      const ddim = d.map((v, i) => (a2 * v + s2 * eps[i]) / a2);

      const euler = x.map((v, i) => v + (next - sigma) * (v - d[i]) / sigma);

      const [t, t2] = [sigma, next].map(flowTimeOfSigma);
      const flow = x.map((v, i) => (t * v + (t2 - t) * (d[i] - t * v) / (1 - t)) / t2);

      // A dozen float64 roundings of numbers up to |x| + |D|; 1 − t loses 1/sigma more near clean data.
      const size = Math.max(...x.map(Math.abs), ...d.map(Math.abs));
      const tolerance = 32 * 2 ** -53 * size;
      assertClose(euler, update, tolerance, "Euler");
      assertClose(ddim, update, tolerance, "DDIM");
      assertClose(flow, update, tolerance * (1 + 1 / sigma), "flow");
    }),
    { seed: 1, numRuns: 500 },
  );
});

Deno.test("grids begin and end at the very levels that were asked for", () => {
  const level = fc.double({ min: 1e-4, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      level,
      fc.double({ min: 2, max: 200, noNaN: true }),
      fc.integer({ min: 2, max: 60 }),
      (
        sigmaMin,
        sigmaMax,
        steps,
      ) => {
        const karras = karrasGrid(steps, { sigmaMin, sigmaMax });
        assert.deepEqual([karras.sigmas[0], ...karras.sigmas.slice(-2)], [sigmaMax, sigmaMin, 0]);
        const logSnr = logSnrGrid(steps, { sigmaMin, sigmaMax });
        assert.deepEqual([logSnr.sigmas[0], logSnr.sigmas.at(-1)], [sigmaMax, sigmaMin]);
        for (const { startScale } of [karras, logSnr]) assert.equal(startScale, sigmaMax);
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

Deno.test("conversions invert each other and refuse what they cannot convert", () => {
  for (const sigma of [0, 1e-3, 0.5, 3, 157]) {
    assertClose([sigmaOfAlphaBar(alphaBarOfSigma(sigma))], [sigma], 1e-9 * (1 + sigma), "alphaBar");
    assertClose(
      [sigmaOfFlowTime(flowTimeOfSigma(sigma))],
      [sigma],
      1e-12 * (1 + sigma),
      "flow time",
    );
  }
  for (const bad of [0, -1, 1.5, NaN]) {
    assert.throws(() => sigmaOfAlphaBar(bad), RangeError);
    assert.throws(() => sigmaOfFlowTime(bad), RangeError);
  }
  for (const bad of [-1, NaN]) {
    assert.throws(() => alphaBarOfSigma(bad), RangeError);
    assert.throws(() => flowTimeOfSigma(bad), RangeError);
  }
});

Deno.test("ddpmGrid(10) is the published table", () => {
  const table = [
    60.8223,
    25.7360,
    12.0248,
    6.17351,
    3.44297,
    2.04109,
    1.24016,
    0.723591,
    0.342260,
    0.0100005,
    0,
  ];
  const { sigmas, startScale } = ddpmGrid(10);
  // Half a unit of the last printed digit.
  sigmas.forEach((s, i) => assertClose([s], [table[i]], 5e-6 * table[i] + 1e-12, `sigma ${i}`));
  assert.equal(startScale, Math.sqrt(1 + sigmas[0] ** 2));
  assertClose([ddpmGrid(1000).sigmas[0]], [157.407], 5e-4, "the noisiest level of training");
});

Deno.test("karrasGrid(10) is the published table, and its tail is a grid of its own", () => {
  const table = [
    80,
    42.4152,
    21.1087,
    9.72320,
    4.06612,
    1.50174,
    0.469979,
    0.116639,
    0.0204353,
    0.002,
    0,
  ];
  const { sigmas } = karrasGrid(10);
  sigmas.forEach((s, i) => assertClose([s], [table[i]], 6e-6 * table[i], `sigma ${i}`));
  const tail = karrasGrid(7, { sigmaMax: sigmas[3], sigmaMin: 0.002 }).sigmas;
  tail.forEach((s, i) => assertClose([s], [sigmas[i + 3]], 1e-12 * s, `tail ${i}`));
});

Deno.test("uniformTGrid() starts where the Euler step from pure noise leads", () => {
  const { sigmas, startScale, startAtMean } = uniformTGrid(8);
  const [mean, eps] = [0.3, -1.7];
  // Euler from t = 0 to t = 1/8 on dz/dt = D - eps, D = mean, then x = z/t.
  const t = 1 / 8;
  const x = (eps + t * (mean - eps)) / t;
  assert.ok(startAtMean);
  assertClose([mean + startScale * eps], [x], 1e-12, "start");
  assertClose([sigmas[0]], [sigmaOfFlowTime(t)], 1e-12, "first level");
});

Deno.test("every grid falls, ends as documented, and refuses impossible steps", () => {
  for (const name of ["ddpm", "karras", "log-snr", "uniform-t"]) {
    for (const steps of [2, 3, 10, 50, 1000]) {
      const { sigmas } = gridByName(name, steps);
      checkSigmas(sigmas);
      assert.equal(sigmas.at(-1), name === "log-snr" ? 0.002 : 0);
      assert.equal(sigmas.length, name === "uniform-t" ? steps : steps + 1);
    }
    for (const bad of [0, -1, 1.5, NaN]) assert.throws(() => gridByName(name, bad), RangeError);
  }
  assert.throws(() => ddpmGrid(1001), RangeError);
  assert.throws(() => gridByName("linear"), /wanted one of ddpm, karras, log-snr, uniform-t/);
  assert.throws(() => gridByName("toString"), RangeError);
  assert.throws(() => logSnrGrid(5, { sigmaMin: 2, sigmaMax: 1 }), RangeError);
  for (const bad of [[1], [1, 1], [1, 2], [1, -1], [1, NaN], [Infinity, 1], []]) {
    assert.throws(() => checkSigmas(bad), RangeError);
  }
});

Deno.test("uniformTGrid() of a late start has equal steps in t from T to 1, and starts at noised data", () => {
  const grid = uniformTGrid(16, { start: 0.6 });
  assert.deepEqual([grid.sigmas.length, grid.sigmas.at(-1)], [17, 0]);
  // t = 1/(1+σ), a few roundings.
  grid.sigmas.forEach((sigma, n) => assert.ok(Math.abs(1 / (1 + sigma) - 0.6 - 0.025 * n) < 1e-15));
  assert.deepEqual([grid.startScale, grid.startAtMean, grid.startAtData], [
    grid.sigmas[0],
    false,
    true,
  ]);
  for (const start of [-0.1, 1, NaN]) assert.throws(() => uniformTGrid(16, { start }), RangeError);
});

Deno.test("every grid falls strictly, or says that its ends are too near", () => {
  const makes: [string, (gap: number, steps: number) => SigmaGrid][] = [
    ["karras", (gap, steps) => karrasGrid(steps, { sigmaMax: 1 + gap, sigmaMin: 1 })],
    ["karras", (gap, steps) => karrasGrid(steps, { sigmaMax: 80 * (1 + gap), sigmaMin: 80 })],
    ["log-snr", (gap, steps) => logSnrGrid(steps, { sigmaMax: 1 + gap, sigmaMin: 1 })],
    ["uniform-t", (gap, steps) => uniformTGrid(steps, { start: 1 - Math.min(0.5, gap) })],
    ["uniform-t", (_, steps) => uniformTGrid(steps)],
  ];
  let made = 0, refused = 0;
  for (const [name, make] of makes) {
    for (const gap of [1e-15, 1e-12, 1e-9, 1e-3]) {
      for (const steps of [2, 1000, 100_000]) {
        try {
          checkSigmas(make(gap, steps).sigmas);
          made++;
        } catch (error) {
          refused++;
          assert.ok(error instanceof RangeError, String(error));
          assert.match(error.message, new RegExp(`^Cannot make the grid ${name}: `));
        }
      }
    }
  }
  assert.ok(made > 0 && refused > 0);
  assert.throws(
    () => karrasGrid(1000, { sigmaMax: 1 + 1e-12, sigmaMin: 1 }),
    /rounding merges some of its 1000 levels/,
  );
  assert.throws(() => uniformTGrid(1000, { start: 1 - 2 ** -53 }), /at least 1e-18/);
});
