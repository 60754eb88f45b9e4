/**
 * Teleportation: the part of the flow over large noise levels in closed form, the rest by any sampler.
 *
 * @module
 */
import { checkOptionNames, type OptionTable, readOptions } from "../../base/_options.ts";
import { checkKind } from "../../base/_kinds.ts";
import { sizeOf } from "../../base/_shape.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { checkSigmas } from "../../base/noise.ts";
import { OwnedStates } from "../_owned_states.ts";
import type { FirstLeg } from "./first_leg.ts";
import { SAMPLER_OPTIONS } from "../sampler.ts";
import type { Sampler, SamplerOptions, SamplerStep } from "../sampler.ts";

/** Options of {@linkcode teleport}. */
export interface TeleportOptions {
  /** The noise level to go to: the run lands on the lowest level of its grid that is not below. */
  readonly sigma: number;
  /** Whether to give the states at the levels on the way too, as steps without evaluations. Default false. */
  readonly between?: boolean;
  /** How far off it may land: a run that would land further off is refused. Default: any distance. */
  readonly limit?: TeleportLimit;
}

/** How far off a teleport may land. */
export interface TeleportLimit {
  /**
   * How far the teleport is predicted to land from the flow of the data, root mean square in data units over all numbers
   * of a state: for a Gaussian `(sigma, start) => skipEstimate(norms, sigma, start).displacement`, for any leg the
   * `displacement` of `legDeviation()`.
   *
   * @param sigma The level it lands on.
   * @param start The level it starts from.
   */
  displacement(sigma: number, start: number): number;
  /** The most that is allowed, in the same unit. */
  readonly tolerance: number;
}

const OPTIONS = { sigma: undefined, between: false, limit: undefined } satisfies OptionTable<
  TeleportOptions
>;

/**
 * A sampler that jumps: a first leg from the first level of the grid to a lower one without a call of
 * the denoiser, then the given sampler down the rest of the same grid.
 *
 * At large noise the denoiser of any data is nearly that of a Gaussian (or, closer, of a mixture), whose flow is
 * known. The jump saves the evaluations of the steps it leaves out; to spend them below instead,
 * see `respacedGrid`. A grid that begins below the noise level is walked as it is.
 *
 * ```text
 * σ₀ ─ first leg → σ_k = min{σᵢ ≥ sigma} ─ sampler → σ_m
 * ```
 *
 * On Gaussian data it is exact at every level. Elsewhere `skipLevel()` and, for other legs, `legDeviation()` say how far
 * it may go; with a limit, runs of further jumps throw a `RangeError`.
 *
 * References: B. Wang, J. Vastola (2024), arXiv:2412.09726; (2023), arXiv:2311.10892.
 *
 * @param sampler The sampler of the rest.
 * @param leg The first leg, for instance `gaussianLeg(await dataSpectrum(dataset))`.
 * @param options Where to land.
 * @returns The sampler; the jump is its first step.
 * @throws {RangeError} If the noise level is not positive.
 * @throws {TypeError} If there is no such option.
 *
 * @example One point as a Gaussian without variance: two of four evaluations saved, nothing lost
 * ```ts
 * import { gaussianLaw, gaussianLeg, karrasGrid, ddim, sample, teleport } from "@closedform/diffusion";
 * import { pointFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * using leg = gaussianLeg(gaussianLaw([2], 0));
 * const sampler = teleport(ddim(), leg, { sigma: 0.1 });
 * const { x, evaluations } = await sample(pointFlow([2]).denoiser, {
 *   sampler,
 *   grid: karrasGrid(4),
 *   count: 1, output: "tensor",
 * });
 * assert.deepEqual([x[0], evaluations], [2, 2]);
 * ```
 */
export function teleport(sampler: Sampler, leg: FirstLeg, options: TeleportOptions): Sampler {
  checkKind("teleport", "sampler", sampler, "sampler");
  checkKind("teleport", "leg", leg, "leg");
  const { sigma, between, limit } = readOptions("teleport", options, OPTIONS);
  if (!(sigma > 0 && sigma < Infinity)) {
    throw new RangeError(`Cannot teleport: sigma is ${sigma}, wanted a finite number > 0`);
  }
  return {
    name: `${sampler.name}+teleport`,
    order: sampler.order,
    references: [...new Set([...leg.references, ...sampler.references])],
    run: (denoiser, x, sigmas, runOptions) => {
      checkSigmas(sigmas);
      const landing = landingLevel(sigmas, sigma);
      if (landing === 0) return sampler.run(denoiser, x, sigmas, runOptions);
      if (limit) checkLanding(limit, sigmas[landing], sigmas[0]);
      return run(denoiser, x, sigmas, { sampler, leg, landing, between }, runOptions);
    },
  };
}

/**
 * The level that a teleport to a noise level lands on.
 *
 * @param sigmas The levels of the grid, `[n + 1]`, falling.
 * @param sigma Where to go.
 * @returns The index of the lowest level that is not below; 0 if there is nothing to leave out.
 * @throws {RangeError} If no level is left to walk to.
 *
 * @example
 * ```ts
 * import { karrasGrid } from "@closedform/diffusion";
 * import { landingLevel } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { sigmas } = karrasGrid(18);
 * assert.equal(sigmas[landingLevel(sigmas, 5)].toFixed(2), "5.32");
 * ```
 */
export function landingLevel(sigmas: readonly number[], sigma: number): number {
  const landing = Math.max(0, sigmas.findLastIndex((level) => level >= sigma));
  if (landing + 1 >= sigmas.length) {
    throw new RangeError(
      `Cannot teleport: the grid ends at ${
        sigmas.at(-1)
      }, wanted a level below ${sigma} to walk to`,
    );
  }
  return landing;
}

interface Settings {
  readonly sampler: Sampler;
  readonly leg: FirstLeg;
  readonly landing: number;
  readonly between: boolean;
}

async function* run<X>(
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  { sampler, leg, landing, between }: Settings,
  options: SamplerOptions = {},
): AsyncGenerator<SamplerStep<X>, void, void> {
  checkOptionNames("sample", options, SAMPLER_OPTIONS);
  const { signal } = options;
  const { shape } = denoiser;
  checkLeg(leg, shape);
  signal?.throwIfAborted();
  const states = new OwnedStates(denoiser.space);
  try {
    const rows = Float64Array.from(await denoiser.space.values(start));
    const levels = between ? sigmas.slice(0, landing + 1) : [sigmas[0], sigmas[landing]];
    const way = await leg.follow(rows, levels, { signal });
    signal?.throwIfAborted();
    let x = start;
    const batch = [rows.length / leg.dimension, ...shape];
    for (const [i, at] of way.entries()) {
      states.release(x);
      x = states.own(denoiser.space.from(at.x, batch));
      const denoised = states.own(denoiser.space.from(at.denoised, batch));
      yield { step: i + 1, sigma: at.sigma, x, denoised, evaluations: 0, calls: 0 };
      states.release(denoised);
    }
    for await (const at of sampler.run(denoiser, x, sigmas.slice(landing), options)) {
      yield { ...at, step: way.length + at.step };
    }
  } finally {
    states.releaseAll();
  }
}

function checkLanding(limit: TeleportLimit, sigma: number, start: number): void {
  const displacement = limit.displacement(sigma, start);
  if (displacement <= limit.tolerance) return;
  throw new RangeError(
    `Cannot teleport from ${start} to ${sigma}: the displacement is predicted to be ${displacement}, wanted at most ${limit.tolerance}`,
  );
}

function checkLeg(leg: FirstLeg, shape: readonly number[]): void {
  if (sizeOf(shape) !== leg.dimension) {
    throw new TypeError(
      `Cannot teleport: the first leg works on rows of ${leg.dimension} numbers, wanted those of shape [${shape}]`,
    );
  }
}
