/** Teleports on the shipped network, which was trained on 4,096 tiny shapes. */
import {
  dataSpectrum,
  dpmpp2m,
  energyDistance,
  fitMixture,
  frechetDistance,
  gaussian,
  gaussianLeg,
  heun,
  karrasGrid,
  mmd,
  openDevice,
  optimal,
  respacedGrid,
  sample,
  startNoise,
  teleport,
  tinyShapes,
  unipc,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import {
  crossingLevel,
  cumulantNorms,
  drawGaussian,
  skipLevel,
} from "@closedform/diffusion/theory";
import { readNetwork, trainedDenoiser } from "@closedform/diffusion/training";
import type { AnyTensor, Sampler, SigmaGrid } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { rowDistances } from "../../../src/theory/_flow_runs.ts";
import { KNEE_LEVELS, kneeOf } from "../../_helpers/knee.ts";

const data = tinyShapes(4096), d = data.dimension;
const [law] = (await fitMixture(data, { components: 1, ridge: 0 })).components;
const trained = await readNetwork("data/networks/tiny-shapes.safetensors");

/** Where samples end, from the same noise. */
async function endsOf(sampler: Sampler, grid: SigmaGrid, count: number): Promise<Float64Array> {
  using denoiser = trainedDenoiser(trained);
  const { x, denoised } = await sample(denoiser, {
    count,
    sampler,
    grid,
    seed: 5,
    output: "tensor",
  });
  const values = Float64Array.from(await tensorSpace.values(x));
  tensorSpace.dispose(x, denoised);
  return values;
}

/** Ends after a teleport whose steps are all spent below. */
async function jumped(sampler: Sampler, steps: number, sigma: number, count: number) {
  using leg = gaussianLeg(law);
  const grid = respacedGrid(karrasGrid(steps), sigma);
  return await endsOf(teleport(sampler, leg, { sigma }), grid, count);
}

Deno.test("a teleport lowers the error of a network's samples at equal evaluations, by a factor of two and more", async () => {
  using _device = await openDevice("wasm");
  const exact = await endsOf(unipc(), karrasGrid(60), 16);
  const median = (ends: Float64Array) => rowDistances(ends, exact, d).sort()[8];
  // Steps for ten evaluations; Heun takes two per step and one for the last.
  for (const [sampler, steps] of [[heun(), 5], [dpmpp2m(), 10], [unipc(), 10]] as const) {
    const without = median(await endsOf(sampler, karrasGrid(steps), 16));
    const withIt = median(await jumped(sampler, steps, 5, 16));
    assert.ok(withIt < without / 2, `${sampler.name}: ${withIt} with, ${without} without`);
  }
});

Deno.test("both automatic levels lie within a factor two of the knee of a network's energy distance", async () => {
  using device = await openDevice("wasm");
  using truth = await optimal(data, { device });
  using wiener = await gaussian(law, { device, shape: data.shape });
  using denoiser = trainedDenoiser(trained);
  const others = tinyShapes(512, { seed: 9 });
  const curve: [number, number][] = [];
  for (const sigma of KNEE_LEVELS) {
    const ends = await jumped(dpmpp2m(), 12, sigma, 160);
    curve.push([sigma, energyDistance(ends, others.data, { dimension: d, unbiased: true })]);
  }
  const knee = kneeOf(curve);
  const crossing = await crossingLevel<AnyTensor>(denoiser, wiener, truth, { count: 64 });
  const ofData = skipLevel(
    await cumulantNorms(data, await dataSpectrum(data), { rows: 1000 }),
    0.02 * Math.sqrt(d),
  );
  for (const level of [crossing.sigma, ofData]) {
    assert.ok(level > knee / 2 && level < 2 * knee, `${level}, knee ${knee}: ${curve}`);
  }
});

Deno.test("the metric trap: the Fréchet distance of pixels prefers a plain Gaussian to a network's samples", async () => {
  using _device = await openDevice("wasm");
  const count = 256, test = tinyShapes(1024, { seed: 9 });
  const blurs = new Float64Array(count * d);
  for (let i = 0; i < count; i++) blurs.set(drawGaussian(law, startNoise(1, i, 1, d), 0), i * d);
  const images = await endsOf(dpmpp2m(), karrasGrid(18), count);
  const table = [blurs, images].map((rows) => [
    frechetDistance(rows, test.data, { dimension: d }),
    energyDistance(rows, test.data, { dimension: d }),
    mmd(rows, test.data, { dimension: d, bandwidth: 4 }).squared,
  ]);
  const [ofBlurs, ofImages] = table, shown = JSON.stringify(table);
  assert.ok(ofBlurs[0] < ofImages[0], shown);
  assert.ok(ofImages[1] < ofBlurs[1] && ofImages[2] < ofBlurs[2], shown);
});
