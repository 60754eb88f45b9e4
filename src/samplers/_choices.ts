/**
 * What a run is asked for by name: its grid and its sampler.
 *
 * @module
 */
import { STEPS } from "../base/_defaults.ts";
import { checkKind } from "../base/_kinds.ts";
import { gridByName } from "../base/noise.ts";
import type { GridName, SigmaGrid } from "../base/noise.ts";
import { dataOf } from "../denoisers/_capabilities.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { dpmV3Statistics } from "./dpm_v3/estimate.ts";
import { samplerByName } from "./registry.ts";
import type { SamplerName } from "./registry.ts";
import type { Sampler } from "./sampler.ts";

/** A grid by name or as an object, and the steps of the former. */
export interface GridChoice {
  /** Which one. */
  readonly grid?: GridName | SigmaGrid;
  /** Its steps. */
  readonly steps?: number;
}

/** A sampler by name or as an object. */
export interface SamplerChoice {
  /** Which one. */
  readonly sampler?: SamplerName | Sampler;
  /** Cancels the computation of what it needs. */
  readonly signal?: AbortSignal;
}

/** The grid that is asked for, or that of the denoiser. */
export function gridOf<X>(
  denoiser: Denoiser<X>,
  { grid, steps }: GridChoice,
): SigmaGrid {
  if (typeof grid === "object" && grid !== null && steps !== undefined) {
    throw new TypeError(
      `Cannot sample: received the option steps with a grid that has ${
        grid.sigmas?.length - 1
      }, wanted one of them, or the name of a grid`,
    );
  }
  if (grid === undefined || typeof grid === "string") {
    const own = denoiser.grid, name = grid ?? own?.name ?? "ddpm";
    const most = name === own?.name ? own.steps : undefined;
    return gridByName(name, steps ?? most ?? STEPS[name]);
  }
  checkKind("sample", "grid", grid, "grid");
  return grid;
}

/** The method that is asked for; that with tables of the data computes them. */
export async function samplerOf<X>(
  denoiser: Denoiser<X>,
  { sigmas }: SigmaGrid,
  { sampler = "ddim", signal }: SamplerChoice,
): Promise<Sampler> {
  if (sampler === "dpm-v3") {
    const { dataset } = dataOf(denoiser, "compute the statistics of dpm-v3");
    const positive = sigmas.filter((sigma) => sigma > 0);
    const statistics = await dpmV3Statistics(denoiser, dataset, {
      // The published range serves all usual grids, which then share their tables.
      sigmaMax: Math.max(80, positive[0]),
      sigmaMin: Math.min(0.002, positive[positive.length - 1]),
      signal,
    });
    return samplerByName(sampler, { statistics });
  }
  if (typeof sampler === "string") return samplerByName(sampler);
  checkKind("sample", "sampler", sampler, "sampler");
  return sampler;
}
