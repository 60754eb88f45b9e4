/**
 * The first leg of a run that teleports, and what is known of it beforehand.
 *
 * @module
 */
import type { Device } from "../compute/device.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { cumulantNorms } from "../denoisers/gaussian/cumulants.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { gaussian } from "../denoisers/gaussian/gaussian.ts";
import { mixture } from "../denoisers/gaussian/mixture.ts";
import { optimal } from "../denoisers/optimal.ts";
import { dataSpectrum } from "../denoisers/gaussian/spectrum.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { logSnrGrid } from "../base/noise.ts";
import { startNoise } from "../base/random.ts";
import { crossingLevel } from "../samplers/teleport/crossing_level.ts";
import { gaussianLeg, integratedLeg } from "../samplers/teleport/first_leg.ts";
import type { FirstLeg } from "../samplers/teleport/first_leg.ts";
import { legDeviation } from "../samplers/teleport/leg_deviation.ts";
import { skipEstimate, skipLevel } from "../samplers/teleport/skip_level.ts";
import type { RunOptions } from "./options.ts";
import { detailOf, UsageError } from "./values.ts";

/** A first leg, and predictions of where it lands; distances are root mean square over all numbers of a state. */
export interface PlannedLeg extends Disposable {
  /** The leg. */
  readonly leg: FirstLeg;
  /** How it finds its states, in a few words. */
  readonly way: string;
  /** The lowest level that is within the tolerance. */
  readonly least: number;
  /** The level to go to. */
  readonly wanted: number;
  /** The distance from the flow of the data that is predicted at a level. */
  displacement(sigma: number): number;
  /** The error that its own integration is estimated to make on the way to a level. */
  error(sigma: number): Promise<number>;
}

/** What a leg is planned with. */
export interface LegParts {
  /** The denoiser of the run. */
  readonly denoiser: Denoiser<AnyTensor>;
  /** Where to compute. */
  readonly device: Device;
  /** Tells what takes long. */
  readonly say: (line: string) => void;
  /** Cancels. */
  readonly signal?: AbortSignal;
}

/** The share of the tolerance that integration may use up. */
const OF_INTEGRATION = 0.1;
/** Levels per factor e at which a mixture is compared with the data; the lowest level looked at, relative to the start. */
const PER_FOLD = 5, LOWEST = 1 / 160;
/** Trajectories that are followed beforehand to learn the error. */
const PROBES = 8;

/**
 * Plans the first leg that the options ask for.
 *
 * @throws {UsageError} If there is none of the kind for these data.
 */
export async function planLeg(
  dataset: Dataset,
  options: RunOptions,
  parts: LegParts,
): Promise<PlannedLeg> {
  if (options.teleport === "crossing" && options.denoiser === "optimal") {
    throw new UsageError(
      "Cannot use --teleport crossing with --denoiser optimal: no law is nearer to the data than that, wanted auto",
    );
  }
  return options.teleportLaw === "mixture"
    ? await mixtureLeg(dataset, options, parts)
    : await closedLeg(dataset, options, parts);
}

async function closedLeg(
  dataset: Dataset,
  options: RunOptions,
  { denoiser, device, say, signal }: LegParts,
): Promise<PlannedLeg> {
  if (dataset.dimension >= 1024) say("the spectrum of the data may take a minute the first time");
  const spectrum = await dataSpectrum(dataset, { signal });
  const norms = await cumulantNorms(dataset, spectrum, { signal });
  const least = skipLevel(norms, toleranceOf(dataset, options));
  const crossing = async () => {
    using law = await gaussian(spectrum, { device, shape: dataset.shape, name: dataset.name });
    using truth = await optimal(dataset, { device });
    return await crossed(denoiser, law, truth, options, signal);
  };
  const leg = gaussianLeg(spectrum);
  return {
    leg,
    way: "in closed form",
    least,
    wanted: await wantedOf(options, least, crossing),
    displacement: (sigma) => skipEstimate(norms, sigma, options.grid.sigmas[0]).displacement,
    error: () => Promise.resolve(0),
    [Symbol.dispose]: () => leg.dispose(),
  };
}

async function mixtureLeg(
  dataset: Dataset,
  options: RunOptions,
  { denoiser, device, signal }: LegParts,
): Promise<PlannedLeg> {
  const { teleport: level, grid: { sigmas: [start] } } = options;
  const tolerance = toleranceOf(dataset, options);
  using resources = new DisposableStack();
  const model = resources.use(await fitted(dataset, options, device, signal));
  using truth = await optimal(dataset, { device });
  // A little lower than the level itself, which rounding may otherwise leave out.
  const lowest = typeof level === "number" ? Math.min(level / 1.001, start / 1.1) : start * LOWEST;
  const deviation = await legDeviation<AnyTensor>(model, truth, {
    sigmas: levelsBetween(start, lowest),
    // Where it is known where to go, all of the way there is looked at.
    ...(level === "auto" && { tolerance }),
    signal,
  });
  const least = deviation.lowest((1 - OF_INTEGRATION) * tolerance);
  const wanted = await wantedOf(
    options,
    least,
    () => crossed(denoiser, model, truth, options, signal),
  );
  const leg = integratedLeg(model, { tolerance: OF_INTEGRATION * tolerance });
  const held = resources.move();
  return {
    leg,
    way: `along the ${model.label}`,
    least,
    wanted,
    displacement: deviation.displacement,
    async error(sigma) {
      const x = startNoise(options.seed, 0, PROBES, dataset.dimension).map((e) => start * e);
      try {
        const [{ error = 0 }] = await leg.follow(x, [start, sigma], { signal });
        return error;
      } catch (error) {
        if (!(error instanceof RangeError) || signal?.aborted) throw error;
        throw new UsageError(error.message);
      }
    },
    [Symbol.dispose]: () => held.dispose(),
  };
}

async function fitted(
  dataset: Dataset,
  { mixture: choice, seed }: RunOptions,
  device: Device,
  signal?: AbortSignal,
) {
  try {
    return await mixture(dataset, { device, ...choice, seed, signal });
  } catch (error) {
    if (!(error instanceof RangeError) || signal?.aborted) throw error;
    throw new UsageError(`Cannot use --teleport-law mixture: ${detailOf(error)}`);
  }
}

function toleranceOf({ dimension }: Dataset, { teleportTolerance }: RunOptions): number {
  return teleportTolerance * Math.sqrt(dimension);
}

async function wantedOf(
  { teleport }: RunOptions,
  least: number,
  crossing: () => Promise<number>,
): Promise<number> {
  return teleport === "auto" ? least : teleport === "crossing" ? await crossing() : teleport!;
}

/** Where the law begins to be farther from the data than the denoiser of the run is. */
async function crossed(
  denoiser: Denoiser<AnyTensor>,
  law: Denoiser<AnyTensor>,
  truth: Denoiser<AnyTensor>,
  { grid: { sigmas: [start] } }: RunOptions,
  signal?: AbortSignal,
): Promise<number> {
  const sigmas = levelsBetween(start, start * LOWEST);
  const { sigma } = await crossingLevel(denoiser, law, truth, { sigmas, count: 64, signal });
  return sigma;
}

/** The levels that denoisers are compared at. */
function levelsBetween(start: number, lowest: number): readonly number[] {
  const steps = Math.ceil(PER_FOLD * Math.log(start / lowest));
  return logSnrGrid(steps, { sigmaMax: start, sigmaMin: lowest }).sigmas;
}
