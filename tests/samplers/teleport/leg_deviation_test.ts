import {
  dataSpectrum,
  fitMixture,
  integratedLeg,
  logSnrGrid,
  startNoise,
  tinyShapes,
} from "@closedform/diffusion";
import { cumulantNorms, legDeviation, skipEstimate } from "@closedform/diffusion/theory";
import type { Denoiser } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { SKEWED as skewed } from "../../_helpers/toys.ts";
import {
  gaussianFloat64,
  mixtureFloat64,
  mixtureOfFloat64,
  optimalFloat64,
} from "../../_helpers/float64.ts";

const optimal = optimalFloat64(skewed);
const [ofData] = (await fitMixture(skewed, { components: 1, ridge: 0 })).components;
const gaussian = gaussianFloat64(ofData);

Deno.test("legDeviation() of a Gaussian is what the law of its third cumulants predicts", async () => {
  const norms = await cumulantNorms(skewed, await dataSpectrum(skewed));
  const { displacement } = await legDeviation(gaussian, optimal, { count: 2000 });
  for (const sigma of [10, 20, 40]) {
    const law = skipEstimate(norms, sigma, 80).displacement;
    // The mean over 2,000 squares of polynomials of degree two in noise: a few percent.
    assert.ok(Math.abs(displacement(sigma) / law - 1) < 0.15, `${displacement(sigma)}, law ${law}`);
  }
});

Deno.test("legDeviation() of a power law is its own integral, at levels and between them", async () => {
  const off: Denoiser<Float64Array> = {
    ...optimal,
    denoise: async (x, sigma) => {
      const { mean } = await optimal.denoise(x, sigma);
      return { mean: mean.map((v) => v + 1 / ((sigma as number) ** 2 * Math.sqrt(3))) };
    },
  };
  const { displacement, lowest, levels } = await legDeviation(off, optimal, { count: 4 });
  assert.deepEqual([levels.length, levels[0].sigma], [26, 80]);
  assert.ok(Math.abs(levels[25].sigma - 0.5) < 1e-12);
  for (const sigma of [60, 7.7, 1]) {
    const law = (1 - (sigma / 80) ** 3) / (3 * sigma ** 2);
    assert.ok(Math.abs(displacement(sigma) / law - 1) < 1e-9);
    assert.ok(Math.abs(lowest(law) / sigma - 1) < 1e-9);
  }
  assert.deepEqual([displacement(80), displacement(200)], [0, 0]);
  assert.equal(lowest(1e9), levels[25].sigma);
  assert.throws(() => displacement(0.3), RangeError);
});

Deno.test("legDeviation() predicts where the legs of mixtures land, and tells them apart", async () => {
  const set = tinyShapes(300), truth = optimalFloat64(set), count = 64;
  const x = startNoise(36, 0, count, 144).map((e) => 80 * e);
  const sigmas = logSnrGrid(20, { sigmaMax: 80, sigmaMin: 3 }).sigmas;
  const found: number[] = [];
  for (const components of [1, 10, 60]) {
    const model = await mixtureFloat64(set, { components, rank: 20, ridge: 1e-4 });
    const { displacement, lowest } = await legDeviation(model, truth, { sigmas });
    for (const sigma of [10, 5]) {
      const [exact] = await integratedLeg(truth).follow(x, [80, sigma]);
      const [{ x: reached }] = await integratedLeg(model).follow(x, [80, sigma]);
      const square = reached.reduce((sum, v, i) => sum + (v - exact.x[i]) ** 2, 0);
      const ratio = Math.sqrt(square / count) / displacement(sigma);
      // Both are means over 64 squares of polynomials in noise: measured 0.97 to 1.14.
      assert.ok(ratio > 0.75 && ratio < 1.3, `${components} at ${sigma}: ${ratio}`);
    }
    found.push(lowest(0.02 * 12));
  }
  assert.ok(found[0] > 1.3 * found[1], `${found}`);
  assert.equal(found[2], sigmas.at(-1));
});

Deno.test("legDeviation() looks no further down than a tolerance asks for", async () => {
  const all = await legDeviation(gaussian, optimal);
  const few = await legDeviation(gaussian, optimal, { tolerance: 0.01 });
  assert.ok(few.levels.length < all.levels.length);
  assert.equal(few.lowest(0.01), all.lowest(0.01));
  assert.ok(few.displacement(few.levels.at(-1)!.sigma) > 0.01);
  assert.ok(few.displacement(few.levels.at(-2)!.sigma) <= 0.01);
});

Deno.test("legDeviation() of the data by themselves is nothing, however far down", async () => {
  const points = mixtureOfFloat64(
    await fitMixture(skewed, { components: 400, rank: 0, ridge: 0 }),
  );
  const { displacement, lowest } = await legDeviation(points, optimal);
  assert.ok(displacement(0.5) < 1e-12);
  assert.ok(Math.abs(lowest(0.01) - 0.5) < 1e-12);
});

Deno.test("legDeviation() refuses levels that do not fall, and can be stopped", async () => {
  for (const sigmas of [[], [1], [1, 2], [2, 0]]) {
    await assert.rejects(legDeviation(gaussian, optimal, { sigmas }), RangeError);
  }
  await assert.rejects(legDeviation(gaussian, optimal, { count: 0 }), RangeError);
  const { draw: _, ...silent } = optimal;
  await assert.rejects(legDeviation(gaussian, silent), RangeError);
  const reason = new TypeError("enough");
  await assert.rejects(
    legDeviation(gaussian, optimal, { signal: AbortSignal.abort(reason) }),
    reason,
  );
});
