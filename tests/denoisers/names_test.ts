import {
  Dataset,
  dirichletAverage,
  equivariant,
  goldenSubset,
  kernelDensity,
  local,
  localAverage,
  mixture,
  neighbourEstimator,
  openDevice,
  optimal,
  pcaLocality,
  randomAverage,
  smoothed,
  smoothingDefaults,
  tiledGoldenSubset,
  tinyShapes,
  wiener,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { AnyTensor, Denoiser, Device } from "@closedform/diffusion";
import assert from "node:assert/strict";

type Make = (set: Dataset, device: Device) => Promise<Denoiser<AnyTensor>>;

/** Every denoiser that stands on data, with all its defaults. */
const DENOISERS: Record<string, Make> = {
  optimal: (set, device) => optimal(set, { device }),
  wiener: (set, device) => wiener(set, { device }),
  local: (set, device) => local(set, { device }),
  equivariant: (set, device) => equivariant(set, { device }),
  pcaLocality: (set, device) => pcaLocality(set, { device, cache: false }),
  mixture: (set, device) => mixture(set, { device, components: 3 }),
  goldenSubset: async (set, device) => goldenSubset(await optimal(set, { device })),
  "goldenSubset of pcaLocality": async (set, device) =>
    goldenSubset(await pcaLocality(set, { device, cache: false })),
  "tiledGoldenSubset of local": async (set, device) =>
    tiledGoldenSubset(await local(set, { device })),
  smoothed: async (set, device) => {
    const { bandwidth } = await smoothingDefaults(set, { device });
    return await smoothed(
      await neighbourEstimator(await optimal(set, { device }), { neighbours: 3 }),
      { bandwidth },
    );
  },
  kernelDensity: async (set, device) =>
    await kernelDensity(await optimal(set, { device }), { bandwidth: 0.1 }),
  randomAverage: (set) => randomAverage(set, { device: "wasm" }),
  localAverage: (set) => localAverage(set, { device: "wasm" }),
  dirichletAverage: (set) => dirichletAverage(set, { device: "wasm" }),
};

/** Names that presets are made for, and one that means nothing. */
const NAMES = [
  "pictures",
  "MNIST train",
  "fashion",
  "CIFAR-10",
  "CelebA-HQ",
  "AFHQ-v2",
  "ImageNet",
];

function renamed({ data, shape, range }: Dataset, name: string): Dataset {
  return new Dataset({ data, shape, range, name });
}

for (const [kind, make] of Object.entries(DENOISERS)) {
  Deno.test(`${kind}: the name of the data changes no number`, async () => {
    using device = await openDevice("wasm");
    const set = tinyShapes(40);
    const noise = Float32Array.from({ length: 2 * set.dimension }, (_, i) => Math.sin(7 * i));
    const outputs: Float64Array[] = [];
    for (const name of NAMES) {
      const denoiser = await make(renamed(set, name), device);
      const found: number[] = [];
      for (const sigma of [0.1, 0.6, 3, 20]) {
        const x = tensorSpace.from(noise.map((v) => v * sigma), [2, ...set.shape]);
        const denoised = (await denoiser.denoise(x, sigma)).mean;
        found.push(...await tensorSpace.values(denoised));
        tensorSpace.dispose(x, denoised);
      }
      outputs.push(Float64Array.from(found));
    }
    for (const output of outputs.slice(1)) assert.deepEqual(output, outputs[0]);
  });
}

Deno.test("goldenSubset(): a size that a known set has changes no schedule", async () => {
  using device = await openDevice("wasm");
  // As many items as AFHQ-v2 has, as many rows, and its neighbours in both.
  for (const [count, side] of [[15_000, 64], [15_000, 63], [13_499, 64]]) {
    const data = Uint8Array.from({ length: count * side }, (_, i) => i * 2654435761 >>> 24);
    const set = new Dataset({ data, shape: [side, 1, 1], name: "rows" });
    using base = await optimal(set, { device });
    using golden = await goldenSubset(base, { tail: false, proxy: "exact" });
    const x = tensorSpace.from(new Float32Array(side), [1, side, 1, 1]);
    const { mean, ...facts } = await golden.denoise(x, 1e6);
    // At infinite noise, the largest size: N/10.
    assert.equal(facts.subsetSize![0], Math.round(count / 10));
    tensorSpace.dispose(x, mean);
  }
});
