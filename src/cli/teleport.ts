/**
 * The teleport of a run: where it lands, what it is predicted to cost, what it saves.
 *
 * @module
 */
import type { SigmaGrid } from "../base/noise.ts";
import { respacedGrid } from "../samplers/respaced_grid.ts";
import type { SampleResult } from "../samplers/run.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { landingLevel, teleport } from "../samplers/teleport/teleport.ts";
import type { RunData } from "./data.ts";
import { planLeg } from "./first_leg.ts";
import type { LegParts, PlannedLeg } from "./first_leg.ts";
import type { RunOptions } from "./options.ts";
import { detailOf, rounded, UsageError } from "./values.ts";

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
 * @param parts The denoiser of the run, the device, and who is told what takes long.
 * @returns The plan; nothing if none is asked for.
 * @throws {UsageError} If the data are not in memory, or the level is too low for the tolerance or the grid.
 */
export async function planTeleport(
  { dataset, rows }: RunData,
  options: RunOptions,
  sampler: Sampler,
  parts: LegParts,
): Promise<PlannedTeleport | undefined> {
  const { teleport: level, grid } = options;
  if (level === undefined) return undefined;
  if (rows) {
    throw new UsageError(
      "Cannot use --teleport with data that stay on disk: wanted data in memory",
    );
  }
  if (dataset.count === 1) {
    throw new UsageError("Cannot use --teleport with a single item: wanted at least 2");
  }
  using resources = new DisposableStack();
  const way = resources.use(await planLeg(dataset, options, parts));
  const planned = respaced(grid, way.wanted, options.respace);
  const landing = landingOf(planned, way.wanted);
  const sigma = planned.sigmas[landing];
  const error = landing === 0 ? 0 : await way.error(sigma);
  const displacement = way.displacement(sigma) + error;
  const perNumber = displacement / Math.sqrt(dataset.dimension);
  if (perNumber > options.teleportTolerance) {
    throw new UsageError(
      `Cannot use --teleport ${level}: the displacement at ${rounded(sigma)} is predicted to be ${
        rounded(perNumber)
      } per number, wanted at most ${options.teleportTolerance}: a level of at least ${
        rounded(way.least)
      }, or a larger --teleport-tolerance`,
    );
  }
  const held = resources.move();
  return {
    ...plan(way, { sampler, grid: planned, landing, displacement, error, perNumber }, options),
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** The grid of the run: with the steps that are saved spent below the level, if that is asked for. */
function respaced(grid: SigmaGrid, level: number, respace: boolean): SigmaGrid {
  if (!respace || level >= grid.sigmas[0]) return grid;
  try {
    return respacedGrid(grid, level);
  } catch (error) {
    throw new UsageError(`Cannot use --respace: ${detailOf(error as RangeError)}`);
  }
}

function landingOf({ sigmas }: SigmaGrid, level: number): number {
  try {
    return landingLevel(sigmas, level);
  } catch (error) {
    throw new UsageError((error as RangeError).message);
  }
}

interface Landing {
  readonly sampler: Sampler;
  readonly grid: SigmaGrid;
  readonly landing: number;
  readonly displacement: number;
  readonly error: number;
  readonly perNumber: number;
}

function plan(
  { leg, way }: PlannedLeg,
  { sampler, grid, landing, displacement, error, perNumber }: Landing,
  options: RunOptions,
): Pick<PlannedTeleport, "sampler" | "grid" | "summary" | "record"> {
  const { sigmas } = grid, sigma = sigmas[landing];
  const between = options.trajectory;
  const saved = options.respace ? 0 : landing;
  return {
    sampler: landing === 0 ? sampler : teleport(sampler, leg, { sigma, between }),
    grid,
    summary: landing === 0
      ? `teleport: nothing to leave out, the grid starts at ${rounded(sigmas[0])}`
      : `teleport: sigma ${rounded(sigmas[0])} to ${
        rounded(sigma)
      } ${way}, predicted displacement ${rounded(perNumber)} per number, ${
        saved === 0 ? "steps spent below" : `${saved} of ${sigmas.length - 1} steps saved`
      }`,
    record: ({ evaluations }) => ({
      law: leg.label,
      sigmaSkip: sigma,
      displacement,
      displacementPerNumber: perNumber,
      integrationError: error,
      tolerancePerNumber: options.teleportTolerance,
      respaced: options.respace,
      stepsSaved: saved,
      // Two per step for Heun, whose last one takes one.
      evaluationsSaved: saved * Math.ceil(evaluations / (sigmas.length - 1 - landing)),
    }),
  };
}
