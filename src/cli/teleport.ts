/**
 * The teleport of a run: where it lands, what it is predicted to cost, what it saves.
 *
 * @module
 */
import { cumulantNorms } from "../denoisers/cumulants.ts";
import { dataSpectrum } from "../denoisers/spectrum.ts";
import type { SigmaGrid } from "../noise.ts";
import { gaussianLeg } from "../samplers/first_leg.ts";
import type { FirstLeg } from "../samplers/first_leg.ts";
import { respacedGrid } from "../samplers/respaced_grid.ts";
import type { SampleResult } from "../samplers/sample.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { skipEstimate, skipLevel } from "../samplers/skip_level.ts";
import type { SkipEstimate } from "../samplers/skip_level.ts";
import { landingLevel, teleport } from "../samplers/teleport.ts";
import type { RunData } from "./data.ts";
import type { RunOptions } from "./options.ts";
import { rounded, UsageError } from "./values.ts";

/** A run whose first part is in closed form. */
export interface PlannedTeleport extends Disposable {
  /** The sampler of the run. */
  readonly sampler: Sampler;
  /** The grid of the run. */
  readonly grid: SigmaGrid;
  /** What there is to say about it before the run, one line. */
  readonly summary: string;
  /** What the record of the run says about it. */
  record(result: SampleResult<unknown>): Record<string, unknown>;
}

/**
 * Plans the teleport that the options ask for.
 *
 * @param sampler The sampler of what is left.
 * @param say Tells what takes long.
 * @returns The plan; nothing if none is asked for.
 * @throws {UsageError} If the data are not in memory, or the level is too low for the tolerance or the grid.
 */
export async function planTeleport(
  { dataset, rows }: RunData,
  options: RunOptions,
  sampler: Sampler,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<PlannedTeleport | undefined> {
  const { teleport: level, grid } = options;
  if (level === undefined) return undefined;
  if (rows) {
    throw new UsageError("Cannot use --teleport with data on disk: wanted data that fit in memory");
  }
  if (dataset.count === 1) {
    throw new UsageError("Cannot use --teleport with a single item: wanted at least 2");
  }
  if (dataset.dimension >= 1024) say("the spectrum of the data may take a minute the first time");
  const spectrum = await dataSpectrum(dataset, { signal });
  const norms = await cumulantNorms(dataset, spectrum, { signal });
  const tolerance = options.teleportTolerance * Math.sqrt(dataset.dimension);
  const least = skipLevel(norms, tolerance);
  const wanted = level === "auto" ? least : level;
  const planned = respaced(grid, wanted, options.respace);
  const landing = landingOf(planned, wanted);
  const estimate = skipEstimate(norms, planned.sigmas[landing], planned.sigmas[0]);
  if (estimate.displacement > tolerance) {
    throw new UsageError(
      `Cannot use --teleport ${level}: the displacement at ${
        rounded(estimate.sigma)
      } is predicted to be ${
        rounded(estimate.displacement / Math.sqrt(dataset.dimension))
      } per number, wanted at most ${options.teleportTolerance}: a level of at least ${
        rounded(least)
      }, or a larger --teleport-tolerance`,
    );
  }
  return plan(
    gaussianLeg(spectrum),
    sampler,
    planned,
    landing,
    estimate,
    dataset.dimension,
    options,
  );
}

/** The grid of the run: with the steps that are saved spent below the level, if that is asked for. */
function respaced(grid: SigmaGrid, level: number, respace: boolean): SigmaGrid {
  if (!respace || level >= grid.sigmas[0]) return grid;
  try {
    return respacedGrid(grid, level);
  } catch (error) {
    throw new UsageError(`Cannot use --respace: ${(error as RangeError).message}`);
  }
}

function landingOf({ sigmas }: SigmaGrid, level: number): number {
  try {
    return landingLevel(sigmas, level);
  } catch (error) {
    throw new UsageError((error as RangeError).message);
  }
}

function plan(
  leg: FirstLeg,
  sampler: Sampler,
  grid: SigmaGrid,
  landing: number,
  estimate: SkipEstimate,
  dimension: number,
  options: RunOptions,
): PlannedTeleport {
  const { sigma } = estimate;
  const perNumber = estimate.displacement / Math.sqrt(dimension);
  const between = options.trajectory;
  const saved = options.respace ? 0 : landing;
  return {
    sampler: landing === 0 ? sampler : teleport(sampler, leg, { sigma, between }),
    grid,
    summary: landing === 0
      ? `teleport: nothing to leave out, the grid starts at ${rounded(grid.sigmas[0])}`
      : `teleport: sigma ${rounded(grid.sigmas[0])} to ${
        rounded(sigma)
      } in closed form, predicted displacement ${rounded(perNumber)} per number, ${
        saved === 0 ? "steps spent below" : `${saved} of ${grid.sigmas.length - 1} steps saved`
      }`,
    record: ({ evaluations }) => ({
      law: leg.label,
      sigmaSkip: sigma,
      displacement: estimate.displacement,
      displacementPerNumber: perNumber,
      tolerancePerNumber: options.teleportTolerance,
      respaced: options.respace,
      stepsSaved: saved,
      // Two per step for Heun, whose last one takes one.
      evaluationsSaved: saved * Math.ceil(evaluations / (grid.sigmas.length - 1 - landing)),
    }),
    [Symbol.dispose]: () => leg.dispose(),
  };
}
