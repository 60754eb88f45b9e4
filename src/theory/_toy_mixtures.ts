/**
 * Small mixtures on which the theory of Gaussian approximations is measured.
 *
 * @module
 */
import { gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { meanOfMixture, mixtureLaw } from "../denoisers/gaussian/mixture_law.ts";
import type { MixtureLaw } from "../denoisers/gaussian/mixture_law.ts";
import { startNoise } from "../base/random.ts";

/** Three isotropic modes in the plane. */
export const THREE_MODES: MixtureLaw = mixtureLaw([0.5, 0.3, 0.2], [
  gaussianLaw([1, 0.5], 0.09),
  gaussianLaw([-1, 0.2], 0.04),
  gaussianLaw([0.1, -1.2], 0.16),
]);

/** The mixture with its mirror image about its mean, the mean moved to 0: it has no third cumulants. */
export function symmetrised(law: MixtureLaw): MixtureLaw {
  const mean = meanOfMixture(law);
  const components = [1, -1].flatMap((sign) =>
    law.components.map((component) => ({
      ...component,
      mean: component.mean.map((v, c) => sign * (v - mean[c])),
    }))
  );
  return mixtureLaw([...law.weights, ...law.weights], components);
}

/** Eight modes in 16 dimensions whose spread falls from coordinate to coordinate, as in images. */
export function fadingModes(seed: number): MixtureLaw {
  const components = Array.from({ length: 8 }, (_, k) => {
    const noise = startNoise(seed, k, 1, 32);
    const mean = Array.from({ length: 16 }, (_, j) => 1.5 * noise[j] / (j + 1));
    const variances = mean.map((_, j) => 0.3 * Math.exp(noise[16 + j]) / (j + 1) ** 2 + 1e-3);
    return gaussianLaw(mean, variances);
  });
  return mixtureLaw(new Array(8).fill(1), components);
}
