import {
  dataSpectrum,
  dpmpp2m,
  energyDistance,
  fitMixture,
  gaussian as gaussianOf,
  gaussianLeg,
  karrasGrid,
  openDevice,
  optimal as optimalOf,
  sample,
  teleport,
  tinyShapes,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import {
  crossingLevel,
  cumulantNorms,
  skipEstimate,
  skipLevel,
} from "@closedform/diffusion/theory";
import type { Denoiser } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { KNEE_LEVELS, kneeOf } from "../../_helpers/knee.ts";
import { SKEWED as skewed } from "../../_helpers/toys.ts";
import { gaussianFloat64, optimalFloat64 } from "../../_helpers/float64.ts";

const optimal = optimalFloat64(skewed);
const spectrum = await dataSpectrum(skewed);
// The divisor N, of the law of the data set itself.
const share = (skewed.count - 1) / skewed.count;
const law = { ...spectrum, variances: spectrum.variances.map((v) => v * share) };
const gaussian = gaussianFloat64(law);

/** The optimal denoiser, off by the same vector everywhere. */
function shifted(distance: number): Denoiser<Float64Array> {
  return {
    ...optimal,
    denoise: async (x, sigma) => ({
      mean: (await optimal.denoise(x, sigma)).mean.map((v) => v + distance / Math.sqrt(3)),
    }),
  };
}

Deno.test("crossingLevel() is where the Gaussian is off by as much as the denoiser", async () => {
  const norms = await cumulantNorms(skewed, spectrum);
  for (const level of [10, 20]) {
    // rms ‖D_G − D‖ = ‖κ₃‖/√2σ², to leading order.
    const error = norms.third / (Math.SQRT2 * level ** 2);
    const { sigma, displacement } = await crossingLevel(shifted(error), gaussian, optimal, {
      count: 2000,
    });
    // Sampling: the square of a polynomial of degree two in noise, over 2,000 draws, a few percent.
    assert.ok(Math.abs(sigma / level - 1) < 0.1, `${sigma}, law ${level}`);
    // A bound by the size of the deviations, which all point one way: equal to leading order.
    const law = skipEstimate(norms, sigma, 80).displacement;
    assert.ok(Math.abs(displacement / law - 1) < 0.15, `${displacement}, law ${law}`);
  }
});

Deno.test("crossingLevel() adds deviations up as the flow does: a power law gives its own integral", async () => {
  const offBy = (f: (sigma: number) => number): Denoiser<Float64Array> => ({
    ...optimal,
    denoise: async (x, sigma) => ({
      mean: (await optimal.denoise(x, sigma)).mean.map((v) =>
        v + f(sigma as number) / Math.sqrt(3)
      ),
    }),
  });
  const { sigma, displacement } = await crossingLevel(
    offBy(() => 0.02),
    offBy((sigma) => 1 / sigma ** 2),
    optimal,
    { count: 8 },
  );
  // Deviations of equal outputs are differences of numbers of size 1; squares are averaged exactly.
  assert.ok(Math.abs(sigma - Math.sqrt(50)) < 1e-9, `${sigma}`);
  const law = (1 - (sigma / 80) ** 3) / (3 * sigma ** 2);
  assert.ok(Math.abs(displacement / law - 1) < 1e-9, `${displacement}, law ${law}`);
});

Deno.test("crossingLevel() knows denoisers that are never and always beaten", async () => {
  const never = await crossingLevel(optimal, gaussian, optimal, { count: 32 });
  assert.deepEqual([never.sigma, never.displacement, never.levels.length], [Infinity, 0, 1]);
  const always = await crossingLevel(shifted(10), gaussian, optimal, { count: 32 });
  assert.equal(always.sigma, 0.5);
  assert.equal(always.levels.length, 17);
});

Deno.test("crossingLevel() refuses levels that do not fall, and denoisers that draw nothing", async () => {
  for (const sigmas of [[], [1], [1, 2], [2, 0]]) {
    await assert.rejects(crossingLevel(optimal, gaussian, optimal, { sigmas }), RangeError);
  }
  for (const count of [0, 1.5]) {
    await assert.rejects(crossingLevel(optimal, gaussian, optimal, { count }), RangeError);
  }
  const { draw: _, ...silent } = optimal;
  await assert.rejects(crossingLevel(optimal, gaussian, silent), RangeError);
  const reason = new TypeError("enough"), signal = AbortSignal.abort(reason);
  await assert.rejects(crossingLevel(optimal, gaussian, optimal, { signal }), reason);
});

Deno.test("the published curve of energy distances has its knee within a factor two of the published crossing", () => {
  // A network on shapes of 12 × 12, of another program: "flat to 3.35, then worse"; the crossing is about 3.2.
  const published = [[20, 0.0431], [5.5, 0.0426], [3.35, 0.0422], [2, 0.0453], [
    1.1,
    0.054,
  ]] as const;
  const knee = kneeOf(published);
  assert.ok(knee > 2 && knee < 3.35, `${knee}`);
  assert.ok(3.2 / knee < 2 && knee / 3.2 < 2);
  // Neither a bias nor the unit of either axis matters, up to a step of the search.
  const moved = published.map(([sigma, value]) => [7 * sigma, 3 * value - 1] as const);
  assert.ok(Math.abs(kneeOf(moved) / 7 / knee - 1) < 5e-3);
});

Deno.test("kneeOf() is where a broken line breaks, and nowhere on a curve that only falls with the level", () => {
  // Between the two lowest levels a break cannot be told from a steeper rise.
  const broken = (knee: number) =>
    KNEE_LEVELS.map((sigma) => [sigma, 5 + 2 * Math.max(0, Math.log(knee / sigma))] as const);
  for (const knee of [2.1, 2.7, 6, 15]) {
    assert.ok(Math.abs(kneeOf(broken(knee)) / knee - 1) < 5e-3, `${knee}`);
  }
  assert.ok(Number.isNaN(kneeOf(KNEE_LEVELS.map((sigma) => [sigma, Math.log(sigma)] as const))));
});

Deno.test("of a denoiser that knows a part of the data, both automatic levels lie on the safe side of the knee, within a factor three", async () => {
  // The denoiser knows a quarter of the items, and so is off at large noise by the difference of the means. It ends on one
  // of its items wherever it starts: the curve stays flat for longer than the levels, which look at single samples, allow.
  const [train, test] = [tinyShapes(1024), tinyShapes(768, { seed: 9 })];
  using device = await openDevice("wasm");
  using whole = await optimalOf(train, { device });
  using quarter = await optimalOf(train.take(256), { device });
  const [ofData] = (await fitMixture(train, { components: 1, ridge: 0 })).components;
  using wiener = await gaussianOf(ofData, { device, shape: train.shape });
  using leg = gaussianLeg(ofData);
  const energies: [number, number][] = [];
  for (const sigma of KNEE_LEVELS) {
    const grid = { ...karrasGrid(10), sigmas: [80, ...karrasGrid(10, { sigmaMax: sigma }).sigmas] };
    const sampler = teleport(dpmpp2m(), leg, { sigma });
    // Of two hundred samples the curve is noise: over seeds the knee lies from 1.1 to 4.5.
    const { x, denoised } = await sample(quarter, {
      count: 768,
      seed: 3,
      sampler,
      grid,
      output: "tensor",
    });
    energies.push([
      sigma,
      energyDistance(await tensorSpace.values(x), test.data, { dimension: 144 }),
    ]);
    tensorSpace.dispose(x, denoised);
  }
  const knee = kneeOf(energies);
  const crossing = await crossingLevel(quarter, wiener, whole, { count: 128 });
  const norms = await cumulantNorms(train, await dataSpectrum(train));
  const ofRuleA = skipLevel(norms, 0.02 * Math.sqrt(144));
  for (const level of [crossing.sigma, ofRuleA]) {
    assert.ok(level > knee && level < 3 * knee, `${level}, knee ${knee}: ${energies}`);
  }
});
