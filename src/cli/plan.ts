/**
 * What an option leaves open and the data decide: steps, noise levels, smoothing.
 *
 * @module
 */
import { DRAWS, STEPS } from "../base/_defaults.ts";
import { MOST_STEPS } from "../base/_checks.ts";
import type { Device } from "../compute/device.ts";
import type { DrawKind } from "../denoisers/smoothed.ts";
import { smoothingDefaults, smoothingSteps } from "../denoisers/smoothing_defaults.ts";
import type { SmoothingDefaults } from "../denoisers/smoothing_defaults.ts";
import type { RunData } from "./run_data.ts";
import { gridOf } from "./options.ts";
import type { RunOptions, RunRequest } from "./options.ts";
import type { SmoothingChoice } from "./smoothing_options.ts";
import { rounded, UsageError } from "./values.ts";
import type { SmoothingPlan } from "./smoothing_options.ts";

/**
 * Decides what the options leave to the data.
 *
 * @param request The options.
 * @param data The data, of a run in latents the latents.
 * @param device Where to search for neighbours.
 * @param say Tells what was decided.
 * @returns The options of the run.
 * @throws {UsageError} If the data are of no use for it.
 */
export async function planRun(
  request: RunRequest,
  data: RunData,
  device: Device,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<RunOptions> {
  const { smoothing: choice, gridName, start, steps = STEPS[gridName], ...rest } = request;
  if (!choice) {
    // Only a smoothed denoiser has a start that the data decide.
    const from = start as number;
    const baseline = rest.baseline?.bandwidth === "auto"
      ? { bandwidth: await kernelBandwidth(data, device, say, signal) }
      : rest.baseline;
    return {
      ...rest,
      ...(baseline && { baseline }),
      gridName,
      start: from,
      steps,
      grid: gridOf(gridName, steps, from),
    };
  }
  const measured = await measure(request, data, device, signal);
  const bandwidth = bandwidthOf(choice, measured);
  const from = start === "auto" ? lateStart(bandwidth, choice.drawKind) : start;
  const S = request.steps ??
    (measured && gridName === "uniform-t" ? smoothingSteps(measured.gap, from) : steps);
  if (S > MOST_STEPS) {
    throw new UsageError(
      `Cannot choose --steps: items lie ${rounded(measured!.gap)} apart, which takes ${
        rounded(S)
      } of them, wanted --steps, or data of about unit size`,
    );
  }
  const smoothing: SmoothingPlan = {
    bandwidth,
    draws: choice.draws ?? DRAWS,
    drawKind: choice.drawKind,
    ...(choice.neighbours && { neighbours: choice.neighbours }),
    start: from,
    ...(measured && {
      measured: {
        gap: measured.gap,
        spacing: measured.spacing,
        dimension: measured.dimension,
        neighbourly: measured.neighbourly,
      },
    }),
  };
  say(summary(smoothing, S));
  return { ...rest, gridName, start: from, steps: S, grid: gridOf(gridName, S, from), smoothing };
}

/** The bandwidth of a kernel density: that which smoothing would have. */
async function kernelBandwidth(
  data: RunData,
  device: Device,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<number> {
  const found = await lookAt(data, "kernel-density", device, signal);
  say(`kernel density: bandwidth ${rounded(found.bandwidth)}${why(found)}`);
  return found.bandwidth;
}

/** Looks at the data of a smoothed run, unless nothing depends on them. */
async function measure(
  { smoothing, gridName, steps }: RunRequest,
  data: RunData,
  device: Device,
  signal?: AbortSignal,
): Promise<SmoothingDefaults | undefined> {
  const open = smoothing!.bandwidth === "auto" ||
    steps === undefined && gridName === "uniform-t";
  return open ? await lookAt(data, "smoothed", device, signal) : undefined;
}

async function lookAt(
  { dataset, rows }: RunData,
  denoiser: string,
  device: Device,
  signal?: AbortSignal,
): Promise<SmoothingDefaults> {
  if (rows) {
    throw new UsageError(
      `Cannot use --denoiser ${denoiser} with data that stay on disk: wanted optimal`,
    );
  }
  try {
    return await smoothingDefaults(dataset, { device, signal });
  } catch (error) {
    if (!(error instanceof RangeError) || signal?.aborted) throw error;
    throw new UsageError(`${error.message}, or --bandwidth and --steps`);
  }
}

function bandwidthOf(
  { bandwidth, drawKind }: SmoothingChoice,
  measured: SmoothingDefaults | undefined,
): number {
  if (bandwidth !== "auto") return bandwidth;
  // Two points at a distance r merge at the bandwidth r/√(2π), and at the Gumbel variance r²/4, at which
  // a kernel density of both has one mode.
  return drawKind === "gumbel" ? measured!.spacing ** 2 / 4 : measured!.bandwidth;
}

/** The latest start that leaves the smoothing time to work, `1 − 2β`. */
function lateStart(bandwidth: number, drawKind: DrawKind): number {
  const beta = drawKind === "gumbel" ? Math.sqrt(2 * bandwidth / Math.PI) : bandwidth;
  // No smoothing at all would leave no time at all.
  return Math.min(0.99, Math.max(0, 1 - 2 * beta));
}

function summary(
  { bandwidth, draws, drawKind, start, measured }: SmoothingPlan,
  steps: number,
): string {
  const name = drawKind === "gumbel" ? "variance" : "bandwidth";
  return `smoothing: ${name} ${
    rounded(bandwidth)
  }, ${draws} ${drawKind} draws, S = ${steps} steps, start T = ${rounded(start)}${
    measured ? why(measured) : ""
  }`;
}

function why(
  { gap, spacing, dimension, neighbourly }: NonNullable<SmoothingPlan["measured"]>,
): string {
  return ` (median gap ${rounded(gap)}, spacing ${rounded(spacing)} in ${dimension} dimension${
    dimension === 1 ? "" : "s"
  }, ${Math.round(100 * neighbourly)} % of the picks around an item are its neighbours)`;
}
