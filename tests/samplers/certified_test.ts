import type { AnyTensor, Denoiser, PosteriorFacts, SamplerName } from "@closedform/diffusion";
import {
  Dataset,
  gaussianLaw,
  goldenSubset,
  karrasGrid,
  moons,
  openDevice,
  optimal,
  sample,
  SAMPLER_NAMES,
  shapes,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { gaussianStatistics } from "@closedform/diffusion/theory";
import { samplerByName, takesTolerance } from "../../src/samplers/registry.ts";
import { referencePosterior } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";

/** Digits, nearly: bytes with a border that never varies. */
const digits = new Dataset({
  data: Uint8Array.from(startNoise(4, 0, 250, 64), (e, at) => {
    const [row, column] = [Math.floor(at % 64 / 8), at % 8];
    const border = row % 7 === 0 || column % 7 === 0;
    return border ? 0 : 128 + 90 * Math.sin(row + at / 640) + 15 * e;
  }),
  shape: [8, 8, 1],
  name: "digits",
});
const plain = moons(200);
const away = new Dataset({
  data: (plain.data as Float32Array).map((v) => v + 1000),
  shape: [2],
  name: "moons at an offset of 1000",
});

/** What a run promised and did. */
interface Watch {
  evaluations: number;
  /** The largest error of a mean, and the largest error relative to its bound. */
  error: number;
  ratio: number;
  certified: boolean;
}

/** Compares each mean with that of float64 at the very same state. */
function watched(golden: Denoiser<AnyTensor>, set: Dataset, watch: Watch): Denoiser<AnyTensor> {
  return {
    ...golden,
    async denoise(x, sigma, options) {
      const states = await tensorSpace.values(x);
      const denoised = await golden.denoise(x, sigma, options);
      const { errorBound, certified } = denoised as PosteriorFacts;
      const found = await tensorSpace.values(denoised.mean);
      const exact = referencePosterior(set, states, sigma).mean;
      errorBound!.forEach((bound, q) => {
        let square = 0;
        for (let c = q * set.dimension; c < (q + 1) * set.dimension; c++) {
          square += (found[c] - exact[c]) ** 2;
        }
        const error = Math.sqrt(square / set.dimension);
        watch.evaluations++;
        watch.error = Math.max(watch.error, error);
        watch.ratio = Math.max(watch.ratio, error / bound);
        watch.certified &&= certified![q] === 1;
      });
      return denoised;
    },
  };
}

for (
  const [set, tolerance] of [[digits, 1e-2], [digits, 1e-5], [away, 1e-4], [
    shapes(60),
    1e-3,
  ]] as const
) {
  Deno.test(`every sampler gets posterior means of ${set.name} within ${tolerance}, rounding included`, async () => {
    using device = await openDevice("wasm");
    using base = await optimal(set, { device });
    using golden = await goldenSubset(base, { tolerance, retained: 50 });
    const grid = karrasGrid(6, { sigmaMax: 40, sigmaMin: 0.02 });
    for (const name of SAMPLER_NAMES) {
      const watch: Watch = { evaluations: 0, error: 0, ratio: 0, certified: true };
      const sampler = samplerByName(name, requestOf(name, set.dimension));
      const run = await sample(watched(golden, set, watch), {
        sampler,
        grid,
        count: 3,
        seed: 2,
        output: "tensor",
      });
      tensorSpace.dispose(run.x, run.denoised);
      assert.ok(watch.evaluations >= 15, `${name}: ${watch.evaluations} evaluations`);
      assert.ok(watch.error <= tolerance, `${name}: ${watch.error}`);
      assert.ok(watch.ratio <= 1, `${name}: ${watch.ratio} of the bound`);
      assert.ok(watch.certified, name);
    }
  });
}

/** What a sampler needs; few evaluations of those that adapt, whose number is not what is tested. */
function requestOf(name: SamplerName, d: number) {
  // Tables that say nothing about the data: what they are good for is not what is tested either.
  const law = gaussianLaw(new Float64Array(d), 0);
  if (name !== "dpm-v3") return takesTolerance(name) ? { tolerance: 1e-3 } : {};
  return { statistics: gaussianStatistics(law, { sigmaMax: 50, sigmaMin: 0.01, intervals: 100 }) };
}
