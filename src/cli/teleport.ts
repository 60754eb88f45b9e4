/**
 * The teleport of a run, in the words of the command line.
 *
 * @module
 */
import type { SampleResult } from "../samplers/run.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { planTeleport as plan } from "../samplers/teleport/plan.ts";
import type { PlannedTeleport as Plan } from "../samplers/teleport/plan.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { RunData } from "./run_data.ts";
import type { RunOptions } from "./options.ts";
import { detailOf, rounded, UsageError } from "./values.ts";

/** A run whose first part is in closed form. */
export interface PlannedTeleport extends Plan {
  /** What there is to say about it before the run, one line. */
  readonly summary: string;
  /** What the record of the run says about it. */
  record(result: SampleResult<unknown>): Record<string, unknown>;
}

/**
 * Plans the teleport that the options ask for.
 *
 * @param sampler The sampler of what is left.
 * @param denoiser The denoiser of the run.
 * @param say Tells what takes long.
 * @returns The plan; nothing if none is asked for.
 * @throws {UsageError} If the data are not in memory, or the level is too low for the tolerance or the grid.
 */
export async function planTeleport(
  { dataset, rows }: RunData,
  options: RunOptions,
  sampler: Sampler,
  denoiser: Denoiser<AnyTensor>,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<PlannedTeleport | undefined> {
  const { teleport: sigma, teleportLaw: law, mixture, respace, grid, seed } = options;
  if (sigma === undefined) return undefined;
  if (rows) {
    throw new UsageError(
      "Cannot use --teleport with data that stay on disk: wanted data in memory",
    );
  }
  if (dataset.count === 1) {
    throw new UsageError("Cannot use --teleport with a single item: wanted at least 2");
  }
  if (sigma === "crossing" && options.denoiser === "optimal") {
    throw new UsageError(
      "Cannot use --teleport crossing with --denoiser optimal: it is exact at every level, wanted auto",
    );
  }
  const choice = {
    ...{ sigma, law, respace, data: dataset, tolerance: options.teleportTolerance },
    ...(law === "mixture" && mixture),
  };
  try {
    const planned = await plan(denoiser, choice, {
      ...{ sampler, grid, seed, between: options.trajectory, say, signal },
    });
    return { ...planned, ...described(planned, grid.sigmas[0]) };
  } catch (error) {
    if (!(error instanceof RangeError) || signal?.aborted) throw error;
    throw new UsageError(
      `Cannot use --teleport ${sigma}: ${
        detailOf(error).replace("a larger tolerance", "a larger --teleport-tolerance")
      }`,
    );
  }
}

/** The same for people and for the record. */
function described(
  { grid, way, facts }: Plan,
  start: number,
): Pick<PlannedTeleport, "summary" | "record"> {
  const { sigma, tolerance, stepsSaved, respaced, ...known } = facts;
  const { sigmas } = grid, landing = sigmas.indexOf(sigma), steps = sigmas.length - 1;
  return {
    summary: landing === 0
      ? `teleport: nothing to leave out, the grid starts at ${rounded(sigmas[0])}`
      : `teleport: sigma ${rounded(start)} to ${rounded(sigma)} ${way}, predicted displacement ${
        rounded(known.displacementPerNumber)
      } per number, ${
        stepsSaved === 0 ? "steps spent below" : `${stepsSaved} of ${steps} steps saved`
      }`,
    record: ({ evaluations }) => ({
      law: known.law,
      sigmaSkip: sigma,
      displacement: known.displacement,
      displacementPerNumber: known.displacementPerNumber,
      integrationError: known.integrationError,
      tolerancePerNumber: tolerance,
      respaced,
      stepsSaved,
      // Two per step for Heun, whose last one takes one.
      evaluationsSaved: stepsSaved * Math.ceil(evaluations / (steps - landing)),
    }),
  };
}
