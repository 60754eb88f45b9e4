import type { SamplerName } from "@closedform/diffusion";
import {
  gaussianLaw,
  karrasGrid,
  logSnrGrid,
  moons,
  openDevice,
  optimal,
  sample,
  SAMPLER_NAMES,
  smoothed,
  uniformTGrid,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { gaussianStatistics } from "@closedform/diffusion/theory";
import { samplerByName } from "../../src/samplers/registry.ts";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const set = moons(60);
/** Tables that say nothing about the data, for the sampler that needs some. */
const statistics = gaussianStatistics(gaussianLaw(new Float64Array(2), 0), {
  sigmaMax: 200,
  sigmaMin: 1e-3,
  intervals: 200,
});
const make = (name: SamplerName) => samplerByName(name, { statistics });

for (const name of SAMPLER_NAMES) {
  Deno.test(`${name}: each state of a trajectory stands beside what the denoiser makes of it`, async () => {
    const denoiser = optimalFloat64(set);
    for (const grid of [karrasGrid(6), logSnrGrid(5, { sigmaMax: 20, sigmaMin: 0.1 })]) {
      for (const batchSize of [5, 2]) {
        const options = { sampler: make(name), grid, count: 5, batchSize, seed: 4 };
        const run = await sample(denoiser, { ...options, trajectory: true, output: "tensor" });
        const states = run.trajectory!;
        assert.deepEqual(states.at(-1)!.x, run.x);
        // Steps that adapt take batches to different levels, of which a state names the largest.
        const alike = batchSize === 5 || !adapts(name) ? states : [states[0], states.at(-1)!];
        for (const { sigma, x, denoised } of alike) {
          if (sigma === 0) assert.deepEqual(denoised, x);
          else assert.deepEqual(denoised, (await denoiser.denoise(x as Float64Array, sigma)).mean);
        }
        // What is called besides is not counted, and changes no sample.
        const { evaluations, calls, x } = await sample(denoiser, { ...options, output: "tensor" });
        assert.deepEqual([run.evaluations, run.calls, run.x], [evaluations, calls, x]);
      }
    }
  });
}

function adapts(name: SamplerName): boolean {
  return /collocation|dop|picard/.test(name);
}

Deno.test("a trajectory asks nothing more of the denoiser where the sampler calls it on every state", async () => {
  for (const name of ["ddim", "dpmpp-2m", "heun"] as const) {
    let calls = 0;
    const inner = optimalFloat64(set);
    const counted = {
      ...inner,
      denoise: (...args: Parameters<typeof inner.denoise>) => (calls++, inner.denoise(...args)),
    };
    const options = { sampler: make(name), grid: karrasGrid(6), count: 3, trajectory: true };
    const result = await sample(counted, { ...options, output: "tensor" });
    assert.equal(calls, result.calls, name);
  }
});

Deno.test("a trajectory of tensors leaks nothing, and its outputs are of the samples' own draws", () =>
  withoutLeaks(async () => {
    using device = await openDevice("wasm");
    using base = await optimal(set, { device });
    const denoiser = await smoothed(base, { bandwidth: 0.3, draws: 2, seed: 1 });
    for (const name of ["ddim", "collocation-static", "dop853"] as const) {
      const grid = uniformTGrid(5);
      const options = { sampler: make(name), grid, count: 4, first: 3, seed: 2, trajectory: true };
      const { trajectory, x, denoised: last } = await sample(denoiser, {
        ...options,
        output: "tensor",
      });
      const samples = Uint32Array.of(3, 4, 5, 6);
      for (const { sigma, x, denoised } of [trajectory![0], trajectory!.at(-1)!]) {
        if (sigma === 0) assert.deepEqual(denoised, x);
        else {
          const state = tensorSpace.from(x, [4, 2]);
          const { mean } = await denoiser.denoise(state, sigma, { samples });
          assert.deepEqual(Float32Array.from(await tensorSpace.values(mean)), denoised);
          tensorSpace.dispose(state, mean);
        }
      }
      tensorSpace.dispose(x, last);
    }
  }));
