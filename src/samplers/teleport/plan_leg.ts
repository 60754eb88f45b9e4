/**
 * The first leg of a run that teleports, and what is known of it beforehand.
 *
 * @module
 */
import type { Device } from "../../compute/device.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { cumulantNorms } from "../../denoisers/gaussian/cumulants.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { gaussian } from "../../denoisers/gaussian/gaussian.ts";
import { mixture } from "../../denoisers/gaussian/mixture.ts";
import { optimal } from "../../denoisers/optimal.ts";
import { dataSpectrum } from "../../denoisers/gaussian/spectrum.ts";
import type { State } from "../../compute/batch.ts";
import { logSnrGrid } from "../../base/noise.ts";
import { startNoise } from "../../base/random.ts";
import { crossingLevel } from "./crossing_level.ts";
import { gaussianLeg, integratedLeg } from "./first_leg.ts";
import type { FirstLeg } from "./first_leg.ts";
import { legDeviation } from "./leg_deviation.ts";
import { skipEstimate, skipLevel } from "./skip_level.ts";

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
  /** The data whose flow the leg comes near to. */
  readonly dataset: Dataset;
  /** The denoiser of the run. */
  readonly denoiser: Denoiser<State>;
  /** Where to compute. */
  readonly device: Device;
  /** Where the run starts. */
  readonly start: number;
  /** The seed of clusters and probes. */
  readonly seed: number;
  /** Tells what takes long. */
  readonly say: (line: string) => void;
  /** Cancels. */
  readonly signal?: AbortSignal;
}

/** Which leg is wanted. */
export interface LegChoice {
  /** The level to go to; `"auto"` for the lowest within the tolerance, `"crossing"` for where the leg begins to be off by more than the denoiser. */
  readonly sigma: "auto" | "crossing" | number;
  /** The distribution whose flow it follows. */
  readonly law: "gaussian" | "mixture";
  /** The displacement that is allowed, root mean square per number. */
  readonly tolerance: number;
  /** Components of a mixture. */
  readonly components?: number | "classes";
  /** Directions of each component. */
  readonly rank?: number;
}

/** The share of the tolerance that integration may use up. */
const OF_INTEGRATION = 0.1;
/** Levels per factor e at which a mixture is compared with the data; the lowest level looked at, relative to the start. */
const PER_FOLD = 5, LOWEST = 1 / 160;
/** Trajectories that are followed beforehand to learn the error. */
const PROBES = 8;

/**
 * Plans a first leg.
 *
 * @throws {RangeError} If there is none of the kind for these data.
 */
export async function planLeg(choice: LegChoice, parts: LegParts): Promise<PlannedLeg> {
  return choice.law === "mixture"
    ? await mixtureLeg(choice, parts)
    : await closedLeg(choice, parts);
}

async function closedLeg(choice: LegChoice, parts: LegParts): Promise<PlannedLeg> {
  const { dataset, device, start, say, signal } = parts;
  if (dataset.dimension >= 1024) say("the spectrum of the data may take a minute the first time");
  const spectrum = await dataSpectrum(dataset, { signal });
  const norms = await cumulantNorms(dataset, spectrum, { signal });
  const least = skipLevel(norms, toleranceOf(choice, parts));
  const crossing = async () => {
    using law = await gaussian(spectrum, { device, shape: dataset.shape, name: dataset.name });
    using truth = await optimal(dataset, { device });
    return await crossed(law as Denoiser<unknown>, truth as Denoiser<unknown>, parts);
  };
  const leg = gaussianLeg(spectrum);
  return {
    leg,
    way: "in closed form",
    least,
    wanted: await wantedOf(choice, least, crossing),
    displacement: (sigma) => skipEstimate(norms, sigma, start).displacement,
    error: () => Promise.resolve(0),
    [Symbol.dispose]: () => leg.dispose(),
  };
}

async function mixtureLeg(choice: LegChoice, parts: LegParts): Promise<PlannedLeg> {
  const { sigma: level, components, rank } = choice;
  const { dataset, device, start, seed, signal } = parts;
  const tolerance = toleranceOf(choice, parts);
  using resources = new DisposableStack();
  const model = resources.use(await mixture(dataset, { device, components, rank, seed, signal }));
  using truth = await optimal(dataset, { device });
  // A little lower than the level itself, which rounding may otherwise leave out.
  const lowest = typeof level === "number" ? Math.min(level / 1.001, start / 1.1) : start * LOWEST;
  const deviation = await legDeviation<unknown>(
    model as Denoiser<unknown>,
    truth as Denoiser<unknown>,
    {
      sigmas: levelsBetween(start, lowest),
      // Where it is known where to go, all of the way there is looked at.
      ...(level === "auto" && { tolerance }),
      signal,
    },
  );
  const least = deviation.lowest((1 - OF_INTEGRATION) * tolerance);
  const wanted = await wantedOf(
    choice,
    least,
    () => crossed(model as Denoiser<unknown>, truth as Denoiser<unknown>, parts),
  );
  const leg = integratedLeg(model as Denoiser<unknown>, {
    tolerance: OF_INTEGRATION * tolerance,
  });
  const held = resources.move();
  return {
    leg,
    way: `along the ${model.label}`,
    least,
    wanted,
    displacement: deviation.displacement,
    async error(sigma) {
      const x = startNoise(seed, 0, PROBES, dataset.dimension).map((e) => start * e);
      const [{ error = 0 }] = await leg.follow(x, [start, sigma], { signal });
      return error;
    },
    [Symbol.dispose]: () => held.dispose(),
  };
}

function toleranceOf({ tolerance }: LegChoice, { dataset }: LegParts): number {
  return tolerance * Math.sqrt(dataset.dimension);
}

async function wantedOf(
  { sigma }: LegChoice,
  least: number,
  crossing: () => Promise<number>,
): Promise<number> {
  return sigma === "auto" ? least : sigma === "crossing" ? await crossing() : sigma;
}

/** Where a leg begins to be farther from the data than the denoiser of the run is. */
async function crossed(
  law: Denoiser<unknown>,
  truth: Denoiser<unknown>,
  { denoiser, start, signal }: LegParts,
): Promise<number> {
  const sigmas = levelsBetween(start, start * LOWEST);
  const { sigma } = await crossingLevel(denoiser as Denoiser<unknown>, law, truth, {
    ...{ sigmas, count: 64, signal },
  });
  return sigma;
}

/** The levels that denoisers are compared at. */
function levelsBetween(start: number, lowest: number): readonly number[] {
  const steps = Math.ceil(PER_FOLD * Math.log(start / lowest));
  return logSnrGrid(steps, { sigmaMax: start, sigmaMin: lowest }).sigmas;
}
