/**
 * The sampler of a run.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { dpmV3Statistics } from "../samplers/dpm_v3/estimate.ts";
import type { DpmV3Facts } from "../samplers/dpm_v3/statistics.ts";
import { samplerByName } from "../samplers/registry.ts";
import type { Sampler } from "../samplers/sampler.ts";
import type { RunData } from "./run_data.ts";
import type { RunOptions } from "./options.ts";

/**
 * The sampler that the options name, with what it needs to know of the data.
 *
 * @param say Tells what takes long.
 * @returns The sampler, and how many coordinates its tables say something about, if it has some.
 */
export async function samplerOf(
  { dataset }: RunData,
  denoiser: Denoiser<AnyTensor>,
  options: RunOptions,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<{ sampler: Sampler; statistics?: DpmV3Facts }> {
  const { sampler, samplerTolerance: tolerance, grid } = options;
  if (sampler !== "dpm-v3") return { sampler: samplerByName(sampler, { tolerance }) };
  say("the statistics of dpm-v3 take a while the first time; they are kept on disk");
  let told = 0;
  const positive = grid.sigmas.filter((sigma) => sigma > 0);
  const statistics = await dpmV3Statistics(denoiser, dataset, {
    // The published range serves all usual grids, which then share their tables.
    sigmaMax: Math.max(80, positive[0]),
    sigmaMin: Math.min(0.002, positive[positive.length - 1]),
    signal,
    onProgress: (done, total) => {
      if (Math.floor(4 * done / total) === told) return;
      told = Math.floor(4 * done / total);
      say(`statistics: ${25 * told} %`);
    },
  });
  const facts = statistics.facts!;
  say(
    `statistics of ${facts.coordinates} coordinates: ${facts.uncertain} uncertain, ${facts.withoutS} without s, ` +
      `${facts.bounded} of them because it adds up to more than 8`,
  );
  return { sampler: samplerByName(sampler, { statistics }), statistics: facts };
}
