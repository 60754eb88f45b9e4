/** Every kind of denoiser, small. */
import type { AnyTensor, Denoiser } from "@closedform/diffusion";
import * as m from "./all_entries.ts";
import {
  equivariantFloat64,
  gaussianFloat64,
  localFloat64,
  mixtureFloat64,
  mixtureOfFloat64,
  optimalFloat64,
  pcaLocalityFloat64,
  wienerFloat64,
} from "./float64.ts";

export const points = m.moons(60);
export const images = m.tinyShapes(40);
const law = m.gaussianLaw([1, 2], 0.8);
const laws = m.mixtureLaw([1, 2], [law, m.gaussianLaw([-1, 0], 0.5)]);

/** Every kind of denoiser in float64. */
export const FLOAT64: Record<
  string,
  () => Promise<Denoiser<Float64Array>> | Denoiser<Float64Array>
> = {
  optimalFloat64: () => optimalFloat64(points),
  localFloat64: () => localFloat64(images, { windows: 3 }),
  equivariantFloat64: () => equivariantFloat64(images, { windows: 3 }),
  pcaLocalityFloat64: () => pcaLocalityFloat64(points, { cache: false }),
  wienerFloat64: () => wienerFloat64(points),
  gaussianFloat64: () => gaussianFloat64(law),
  mixtureOfFloat64: () => mixtureOfFloat64(laws),
  mixtureFloat64: () => mixtureFloat64(points, { components: 2 }),
  smoothed: () => m.smoothed(optimalFloat64(points), { bandwidth: 0.1 }),
  kernelDensity: () => m.kernelDensity(optimalFloat64(points), { bandwidth: 0.1 }),
  randomAverage: () => m.randomAverage(points, { device: "float64" }),
  localAverage: () => m.localAverage(points, { device: "float64" }),
  dirichletAverage: () => m.dirichletAverage(points, { device: "float64" }),
  functionDenoiser: () => m.functionDenoiser((x) => x, { shape: [2], space: m.arraySpace }),
};

/** Every kind of denoiser on tensors; what they hold on the device goes with it. */
export function onTensors(device: m.Device): Record<string, () => Promise<Denoiser<AnyTensor>>> {
  const exact = () => m.optimal(points, { device });
  return {
    optimal: exact,
    local: () => m.local(images, { device, windows: 3 }),
    equivariant: () => m.equivariant(images, { device, windows: 3 }),
    pcaLocality: () => m.pcaLocality(points, { device, cache: false }),
    wiener: () => m.wiener(points, { device }),
    gaussian: () => m.gaussian(law, { device }),
    mixtureOf: () => m.mixtureOf(laws, { device }),
    mixture: () => m.mixture(points, { device, components: 2 }),
    goldenSubset: async () => await m.goldenSubset(await exact(), {}),
    tiledGoldenSubset: async () =>
      await m.tiledGoldenSubset(await m.optimal(images, { device }), { tiles: 2 }),
    neighbourEstimator: async () => await m.neighbourEstimator(await exact(), { neighbours: 5 }),
    neural: () => Promise.resolve(m.neural((x) => x, { shape: [2] })),
  };
}
