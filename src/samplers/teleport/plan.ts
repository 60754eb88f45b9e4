/**
 * The teleport of a run: where it lands, what it is predicted to cost, what it saves.
 *
 * @module
 */
import { checkWhole } from "../../base/_checks.ts";
import { received } from "../../base/_kinds.ts";
import { type OptionTable, readOptions } from "../../base/_options.ts";
import type { SigmaGrid } from "../../base/noise.ts";
import type { State } from "../../compute/batch.ts";
import { deviceOf } from "../../compute/use_device.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { capabilitiesOf } from "../../denoisers/_capabilities.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { respacedGrid } from "../respaced_grid.ts";
import type { Sampler } from "../sampler.ts";
import { planLeg } from "./plan_leg.ts";
import { landingLevel, teleport } from "./teleport.ts";

/** A first leg in closed form, as an option of `sample()`. */
export interface TeleportPlanOptions {
  /**
   * The noise level to go to: a number; `"auto"`, the lowest one at which the predicted displacement is within the tolerance; or
   * `"crossing"`, where the leg begins to be farther from the data than the denoiser is. Default `"auto"`.
   */
  readonly sigma?: "auto" | "crossing" | number;
  /** Whose flow is followed: `"gaussian"`, in closed form, or `"mixture"`, integrated numerically. Default `"gaussian"`. */
  readonly law?: "gaussian" | "mixture";
  /** The data. Default: those of the denoiser. */
  readonly data?: Dataset;
  /** The displacement that may be predicted, root mean square per number of a state. Default 0.02. */
  readonly tolerance?: number;
  /** Whether the steps that are saved are spent below the level. Default false. */
  readonly respace?: boolean;
  /** Components of a mixture, as of `fitMixture()`. */
  readonly components?: number | "classes";
  /** Directions of each component, as of `fitMixture()`. */
  readonly rank?: number;
}

/** A teleport by its level alone, or with more to say. */
export type TeleportChoice = "auto" | "crossing" | number | TeleportPlanOptions;

const ACTION = "teleport";

const OPTIONS = {
  sigma: "auto",
  law: "gaussian",
  data: undefined,
  tolerance: 0.02,
  respace: false,
  components: undefined,
  rank: undefined,
} satisfies OptionTable<TeleportPlanOptions>;

/** What a run tells of its teleport. */
export interface TeleportFacts {
  /** The distribution whose flow was followed. */
  readonly law: string;
  /** The level it landed on. */
  readonly sigma: number;
  /** The distance from the flow of the data that was predicted, root mean square over all numbers of a state. */
  readonly displacement: number;
  /** The same per number. */
  readonly displacementPerNumber: number;
  /** The part of it that is the error of integration. */
  readonly integrationError: number;
  /** What was allowed per number. */
  readonly tolerance: number;
  /** Whether the steps that were saved were spent below. */
  readonly respaced: boolean;
  /** Steps that were left out. */
  readonly stepsSaved: number;
}

/** A run whose first part is in closed form. */
export interface PlannedTeleport extends Disposable {
  /** The sampler of the run. */
  readonly sampler: Sampler;
  /** The grid of the run. */
  readonly grid: SigmaGrid;
  /** How the leg finds its states, in a few words. */
  readonly way: string;
  /** What is known of it. */
  readonly facts: TeleportFacts;
}

/** What a teleport is planned for. */
export interface TeleportParts {
  /** The sampler of what is left. */
  readonly sampler: Sampler;
  /** The grid of the run. */
  readonly grid: SigmaGrid;
  /** The seed of the run. */
  readonly seed: number;
  /** Whether the states on the way are wanted. */
  readonly between: boolean;
  /** Tells what takes long. */
  readonly say?: (line: string) => void;
  /** Cancels. */
  readonly signal?: AbortSignal;
}

/**
 * Plans a teleport.
 *
 * @param denoiser The denoiser of the run.
 * @param choice Where to, along whose flow.
 * @param parts The run.
 * @returns The plan. Dispose it after the run.
 * @throws {RangeError} If the level is too low for the tolerance or the grid, or the data are a single item.
 * @throws {TypeError} If no data are given and the denoiser holds none in memory, or there is no such option.
 */
export async function planTeleport<X>(
  denoiser: Denoiser<X>,
  choice: TeleportChoice,
  { sampler, grid, seed, between, say = () => {}, signal }: TeleportParts,
): Promise<PlannedTeleport> {
  const settings = readOptions(
    ACTION,
    typeof choice === "object" ? choice : { sigma: choice },
    OPTIONS,
  );
  checkSettings(settings);
  const held = capabilitiesOf(denoiser).data, dataset = settings.data ?? held?.dataset;
  if (!dataset) {
    throw new TypeError(
      `Cannot ${ACTION}: ${denoiser.label} holds no data in memory, wanted teleport: { data }`,
    );
  }
  if (dataset.count === 1) {
    throw new RangeError(`Cannot ${ACTION}: ${dataset.summary()}, wanted at least 2 items`);
  }
  using resources = new DisposableStack();
  const device = held?.device ?? await deviceOf();
  const planned = resources.use(
    await planLeg(settings, {
      ...{ dataset, denoiser: denoiser as Denoiser<unknown> as Denoiser<State>, device },
      ...{ start: grid.sigmas[0], seed, say, signal },
    }),
  );
  const { wanted, leg, way, least } = planned;
  const respaced = settings.respace && wanted < grid.sigmas[0] ? respacedGrid(grid, wanted) : grid;
  const { sigmas } = respaced, landing = landingLevel(sigmas, wanted), sigma = sigmas[landing];
  const integrationError = landing === 0 ? 0 : await planned.error(sigma);
  const displacement = planned.displacement(sigma) + integrationError;
  const displacementPerNumber = displacement / Math.sqrt(dataset.dimension);
  const { tolerance } = settings;
  if (displacementPerNumber > tolerance) {
    throw new RangeError(
      `Cannot ${ACTION}: the displacement at ${rounded(sigma)} is predicted to be ${
        rounded(displacementPerNumber)
      } per number, wanted at most ${tolerance}: a level of at least ${
        rounded(least)
      }, or a larger tolerance`,
    );
  }
  const kept = resources.move();
  return {
    sampler: landing === 0 ? sampler : teleport(sampler, leg, { sigma, between }),
    grid: respaced,
    way,
    facts: {
      law: leg.label,
      sigma,
      displacement,
      displacementPerNumber,
      integrationError,
      tolerance,
      respaced: settings.respace,
      stepsSaved: settings.respace ? 0 : landing,
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}

function checkSettings(
  { sigma, law, tolerance, components, rank }: Omit<TeleportPlanOptions, "data" | "respace">,
): void {
  const isLevel = sigma === "auto" || sigma === "crossing" ||
    (typeof sigma === "number" && sigma > 0 && sigma < Infinity);
  if (!isLevel) {
    throw new RangeError(
      `Cannot ${ACTION}: sigma is ${received(sigma)}, wanted auto, crossing or a number > 0`,
    );
  }
  if (law !== "gaussian" && law !== "mixture") {
    throw new RangeError(`Cannot ${ACTION}: law is ${received(law)}, wanted gaussian or mixture`);
  }
  if (!(tolerance! > 0 && tolerance! < Infinity)) {
    throw new RangeError(
      `Cannot ${ACTION}: tolerance is ${received(tolerance)}, wanted a finite number > 0`,
    );
  }
  for (const [name, value] of Object.entries({ components, rank })) {
    if (value === undefined || law === "mixture") continue;
    throw new RangeError(
      `Cannot ${ACTION}: received ${name} with the law gaussian, wanted them with law: "mixture" only`,
    );
  }
  if (typeof components === "number") checkWhole(ACTION, "components", components, 1, 1e9);
  if (rank !== undefined) checkWhole(ACTION, "rank", rank, 0, 1e9);
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(3)));
}
