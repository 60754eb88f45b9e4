/**
 * Statement: on Gaussian data a teleport is exact for every sampler.
 *
 * @module
 */
import { denoiseGaussian, gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { karrasGrid } from "../base/noise.ts";
import { startNoise } from "../base/random.ts";
import { gaussianStatistics } from "../samplers/dpm_v3/statistics.ts";
import { gaussianLeg } from "../samplers/teleport/first_leg.ts";
import { SAMPLER_NAMES, samplerByName } from "../samplers/registry.ts";
import { teleport } from "../samplers/teleport/teleport.ts";
import { lastStep } from "./_flow_runs.ts";
import { gaussianFlow } from "./flows/gaussian_flow.ts";
import { extrapolateFlow } from "./flows/extrapolation.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * A run that jumps to level `k` ends where a run ends that is begun at the exact state of level `k`, whatever walks
 * the rest: the jump adds no error, so what is left is that of the sampler below `σ_k`.
 *
 * @returns The largest difference over all samplers and landings at every third of 18 levels, and 1e-10.
 */
export async function teleportExact(): Promise<Report> {
  const law = gaussianLaw([0.5, -0.5, 0.25, 0], [4, 1, 0.25, 0.01]);
  const { denoiser } = gaussianFlow(law);
  const { sigmas } = karrasGrid(18);
  const x = startNoise(64, 0, 1, 4).map((e) => sigmas[0] * e);
  using leg = gaussianLeg(law);
  const statistics = gaussianStatistics(law);
  const samplers = SAMPLER_NAMES.map((name) => samplerByName(name, { statistics }));
  let exact: Float64Array = x, worst = 0;
  for (let k = 1; k + 1 < sigmas.length; k++) {
    const denoise = (y: Float64Array, sigma: number) => denoiseGaussian(law, y, sigma);
    exact = await extrapolateFlow(denoise, exact, sigmas[k - 1], sigmas[k]);
    if (k % 3 !== 1) continue;
    for (const sampler of samplers) {
      const jumping = teleport(sampler, leg, { sigma: sigmas[k] });
      const ours = (await lastStep(jumping, denoiser, x, sigmas)).x;
      const theirs = (await lastStep(sampler, denoiser, exact, sigmas.slice(k))).x;
      ours.forEach((v, c) => worst = Math.max(worst, Math.abs(v - theirs[c])));
    }
  }
  return report(
    "a teleport on Gaussian data adds no error, for every sampler and level",
    worst,
    1e-10,
  );
}
