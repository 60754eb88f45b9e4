import {
  dataSpectrum,
  dpmpp2m,
  energyDistance,
  explainedScore,
  explainedVariance,
  fitMixture,
  frechetDistance,
  gaussianLaw,
  karrasGrid,
  mmd,
  moons,
  openDevice,
  pcaLocality,
  RandomStream,
  sample,
  startNoise,
  tinyShapes,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { cumulantNorms, drawGaussian } from "@closedform/diffusion/theory";
import fc from "fast-check";
import assert from "node:assert/strict";
import { normals } from "../../src/theory/flows/gaussian_flow.ts";
import { gaussianFloat64, mixtureOfFloat64, optimalFloat64 } from "../_helpers/float64.ts";

Deno.test("explainedVariance() of vectors by themselves is 1, by their centre 0", () => {
  const r = startNoise(1, 0, 20, 5), centre = startNoise(2, 0, 1, 5);
  for (const c of [undefined, centre, r.map((v) => v + 1)]) {
    const self = explainedVariance(r, r, { dimension: 5, centre: c });
    assert.deepEqual([self.meanOfRatios, self.ratioOfMeans], [1, 1]);
    const nothing = explainedVariance(r, r.map((_, i) => c ? c[i % c.length] : 0), {
      dimension: 5,
      centre: c,
    });
    assert.ok(Math.abs(nothing.meanOfRatios) < 1e-14 && Math.abs(nothing.ratioOfMeans) < 1e-14);
  }
});

Deno.test("explainedVariance() does not depend on the order of rows and of numbers, nor on scale", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1000 }),
      fc.double({ min: 0.1, max: 10, noNaN: true }),
      (seed, scale) => {
        const [r, a] = [startNoise(seed, 0, 6, 4), startNoise(seed, 9, 6, 4)];
        const { meanOfRatios, ratioOfMeans, residuals } = explainedVariance(r, a, { dimension: 4 });
        const moved = (x: Float64Array) => x.map((_, i) => scale * x[23 - i]);
        const again = explainedVariance(moved(r), moved(a), { dimension: 4 });
        assert.ok(
          Math.abs(again.meanOfRatios - meanOfRatios) < 1e-12 * (1 + Math.abs(meanOfRatios)),
        );
        assert.ok(
          Math.abs(again.ratioOfMeans - ratioOfMeans) < 1e-12 * (1 + Math.abs(ratioOfMeans)),
        );
        residuals.forEach((v, b) => assert.ok(Math.abs(again.residuals[5 - b] - v) < 1e-12 * v));
      },
    ),
    { seed: 5, numRuns: 50 },
  );
});

Deno.test("explainedVariance() averages in two ways that differ", () => {
  const { meanOfRatios, ratioOfMeans, residuals } = explainedVariance([1, 10], [0, 10], {
    dimension: 1,
  });
  assert.deepEqual([...residuals], [1, 0]);
  assert.deepEqual([meanOfRatios, ratioOfMeans], [0.5, 1 - 1 / 101]);
  const met = explainedVariance([2, 5], [2, 4], { dimension: 1, centre: [2] });
  assert.deepEqual([...met.residuals], [0, 1 / 9]);
});

Deno.test("explainedVariance() refuses rows that do not fit", () => {
  assert.throws(() => explainedVariance([1, 2], [1], { dimension: 1 }), TypeError);
  assert.throws(() => explainedVariance([1, 2, 3], [1, 2, 3], { dimension: 2 }), TypeError);
  assert.throws(
    () => explainedVariance([1, 2], [1, 2], { dimension: 1, centre: [1, 2, 3] }),
    TypeError,
  );
  assert.throws(() => explainedVariance([], [], { dimension: 1 }), TypeError);
  assert.throws(() => explainedVariance([NaN], [1], { dimension: 1 }), RangeError);
});

Deno.test("explainedScore() of the optimal denoiser: a Gaussian explains all but ‖κ₃‖²/2dσ⁶ at large noise", async () => {
  const set = tinyShapes(300), spectrum = await dataSpectrum(set);
  const { third } = await cumulantNorms(set, spectrum);
  const share = (set.count - 1) / set.count, sigma = 30, count = 600;
  const law = { ...spectrum, variances: spectrum.variances.map((v) => v * share) };
  const noise = startNoise(3, 0, count, 144);
  const x = noise.map((e, i) => set.data[i % set.data.length] + sigma * e);
  const { score, centred } = await explainedScore(
    optimalFloat64(set),
    gaussianFloat64(law, { shape: set.shape }),
    x,
    sigma,
  );
  const predicted = third ** 2 / (2 * 144 * sigma ** 6);
  // The law has a relative error of a few percent at this level, doubled by the square; sampling adds as much.
  assert.ok(Math.abs((1 - score.ratioOfMeans) / predicted - 1) < 0.25);
  // Beside the mean of the data, which explains nothing of the denoiser, a Gaussian is far from perfect.
  assert.ok(centred.ratioOfMeans > 0.5 && centred.ratioOfMeans < 0.9999);
});

Deno.test("explainedScore() orders what explains a mixture: the point, the Gaussian, itself", async () => {
  const law = await fitMixture(moons(300), { components: 6 });
  const truth = mixtureOfFloat64(law);
  const x = startNoise(4, 0, 200, 2).map((e) => 1.2 * e), sigma = 0.5;
  const gaussian = gaussianFloat64((await fitMixture(moons(300), { components: 1 })).components[0]);
  const point = gaussianFloat64(gaussianLaw(truth.mean!(), 0));
  const scores = [];
  for (const other of [point, gaussian, truth]) {
    scores.push((await explainedScore(truth, other, x, sigma)).score.ratioOfMeans);
  }
  assert.ok(scores[0] < scores[1] && scores[1] < scores[2] && scores[2] === 1, `${scores}`);
  const { mean: _, ...nameless } = gaussian;
  await assert.rejects(explainedScore(truth, nameless, x, sigma), RangeError);
  await assert.rejects(explainedScore(truth, optimalFloat64(tinyShapes(4)), x, sigma), TypeError);
});

Deno.test("the metric trap: the Fréchet distance of pixels prefers a plain Gaussian to images", async () => {
  const [train, test] = [tinyShapes(512), tinyShapes(1024, { seed: 9 })], count = 256;
  const [law] = (await fitMixture(train, { components: 1, ridge: 0 })).components;
  const blurs = new Float64Array(count * 144);
  for (let i = 0; i < count; i++) {
    const stream = new RandomStream({ seed: 1, sample: i });
    blurs.set(drawGaussian(law, normals(stream, 144), 0), i * 144);
  }
  // Images that are none of the training set, by a denoiser that generalises.
  using device = await openDevice("wasm");
  using denoiser = await pcaLocality(train, { device });
  const { x, denoised } = await sample(denoiser, {
    count,
    sampler: dpmpp2m(),
    grid: karrasGrid(10),
    seed: 3,
    output: "tensor",
  });
  const images = Float64Array.from(await x.data());
  tensorSpace.dispose(x, denoised);
  const frechet = (rows: ArrayLike<number>) => frechetDistance(rows, test.data, { dimension: 144 });
  const energy = (rows: ArrayLike<number>) => energyDistance(rows, test.data, { dimension: 144 });
  const kernel = (rows: ArrayLike<number>) =>
    mmd(rows, test.data, { dimension: 144, bandwidth: 4 }).squared;
  const fresh = tinyShapes(count, { seed: 77 }).data;
  const table = [blurs, images, fresh].map((rows) => [frechet(rows), energy(rows), kernel(rows)]);
  const [ofBlurs, ofImages, ofFresh] = table, shown = JSON.stringify(table);
  // Better than the images, and as good as other images of the same law, which are as far off by chance.
  assert.ok(ofBlurs[0] < ofImages[0] && ofBlurs[0] < 1.1 * ofFresh[0], shown);
  assert.ok(ofImages[1] < ofBlurs[1] && ofImages[2] < ofBlurs[2], shown);
  assert.ok(ofFresh[1] < ofImages[1] && ofFresh[2] < ofImages[2], shown);
});
