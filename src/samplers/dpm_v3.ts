/**
 * DPM-Solver-v3: a multistep sampler whose linear part is fitted to the model.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../base/_options.ts";
import { sizeOf } from "../base/_shape.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { checkSigmas } from "../base/noise.ts";
import { rowSpace } from "../states/row_space.ts";
import { Evaluator } from "./_evaluator.ts";
import { checkStatistics } from "./dpm_v3/statistics.ts";
import type { DpmV3Statistics } from "./dpm_v3/statistics.ts";
import { stepCoefficients, Tables } from "./dpm_v3/step.ts";
import type { Sampler, SamplerOptions, SamplerStep } from "./sampler.ts";

/** Options of {@linkcode dpmV3}. */
export interface DpmV3Options {
  /** The tables of the model, from `dpmV3Statistics()` or `gaussianStatistics()`. */
  readonly statistics: DpmV3Statistics;
  /** The order of its predictor, 1, 2 or 3. Default 3. */
  readonly order?: number;
  /**
   * Whether to correct each step by the output at its end, which costs no call. Default true; the published
   * settings correct at six steps or fewer.
   */
  readonly corrector?: boolean;
  /** Whether the predictor takes divided differences for derivatives. Default: at five steps or fewer. */
  readonly pseudo?: boolean;
  /** Whether the order never exceeds the number of steps that remain. Default true. */
  readonly lowerOrderFinal?: boolean;
}

const OPTIONS = {
  statistics: undefined,
  order: 3,
  corrector: true,
  pseudo: undefined,
  lowerOrderFinal: true,
} satisfies OptionTable<DpmV3Options>;

/**
 * DPM-Solver-v3, one evaluation per step.
 *
 * The flow `dx/dℓ = D − x` is written as `dx/dℓ = −l∘x − f` with `f = (1 − l)∘x − D`, and `f` as a solution of
 * `df/dℓ = s∘f + b` plus a polynomial, with tables `l, s, b` per noise level and coordinate that make
 * `f` as predictable as can be. With `l = 1, s = b = 0` it is `exponentialAdams()`; with the tables of a
 * Gaussian one step is exact, whatever its length.
 *
 * The tables have noise levels of their own: a grid may begin and end anywhere among them, and the step to 0
 * returns the last output. They are interpolated linearly; the published code moves the grid to their rows.
 *
 * Reference: K. Zheng, C. Lu, J. Chen, J. Zhu (2023), DPM-Solver-v3, arXiv:2310.13268.
 *
 * @param options The tables; order, corrector, ends.
 * @returns The sampler.
 * @throws {RangeError} If the order is not 1, 2 or 3, or the tables hold what is not finite.
 * @throws {TypeError} If the tables do not fit together.
 *
 * @example Gaussian data in one step
 * ```ts
 * import { dpmV3, gaussianLaw } from "@closedform/diffusion";
 * import { gaussianStatistics } from "@closedform/diffusion/theory";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = gaussianLaw([2], 1);
 * const sampler = dpmV3({ statistics: gaussianStatistics(law, { intervals: 2000 }) });
 * for await (const { x } of sampler.run(gaussianFlow(law).denoiser, Float64Array.of(50), [80, 0.002])) {
 *   const [exact] = await gaussianFlow(law).transport(Float64Array.of(50), 80, 0.002);
 *   assert.ok(Math.abs(x[0] - exact) < 1e-5);
 * }
 * ```
 */
export function dpmV3(options: DpmV3Options): Sampler {
  const settings = readOptions("make DPM-Solver-v3", options, OPTIONS);
  const { order, statistics } = settings;
  if (![1, 2, 3].includes(order)) {
    throw new RangeError(`Cannot make DPM-Solver-v3: order is ${order}, wanted 1, 2 or 3`);
  }
  checkStatistics(statistics);
  const tables = new Tables(statistics);
  return {
    name: "dpm-v3",
    order,
    references: ["K. Zheng, C. Lu, J. Chen, J. Zhu (2023), DPM-Solver-v3, arXiv:2310.13268"],
    run: (denoiser, x, sigmas, run) => walk(denoiser, x, sigmas, tables, settings, run),
  };
}

/** What is kept of a level: `f` there, and the output it came from. */
interface Node<X> {
  readonly ell: number;
  readonly f: X;
  readonly denoised: X;
}

async function* walk<X>(
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  tables: Tables,
  options: Read<DpmV3Options, typeof OPTIONS>,
  run?: SamplerOptions,
): AsyncGenerator<SamplerStep<X>, void, void> {
  checkSigmas(sigmas);
  const steps = sigmas.length - 1;
  const { order, lowerOrderFinal, corrector, pseudo = steps <= 5 } = options;
  const level = new Levels(denoiser, start, tables, run);
  const { evaluator } = level;
  let x = start;
  let past: Node<X>[] = [];
  let current: Node<X> | undefined;
  try {
    for (let step = 1; step <= steps; step++) {
      const next = sigmas[step];
      current ??= await level.at(x, sigmas[step - 1]);
      const most = Math.min(order, lowerOrderFinal ? steps - step + 1 : order);
      const nodes: Node<X>[] = [current, ...past].slice(0, most);
      let upcoming: Node<X> | undefined;
      let reached = next === 0
        ? evaluator.combine([1], [current.denoised])
        : level.step(x, next, nodes, pseudo);
      if (corrector && next > 0 && step < steps && nodes.length > 1) {
        upcoming = await level.at(reached, next);
        evaluator.release(reached);
        // The new node stands where the oldest one was; f there is kept as it is.
        reached = level.step(x, next, [current, upcoming, ...nodes.slice(1, -1)], false);
      }
      evaluator.release(x);
      x = reached;
      const { denoised } = upcoming ?? current;
      yield {
        step,
        sigma: next,
        x,
        denoised,
        evaluations: evaluator.calls,
        calls: evaluator.calls,
      };
      evaluator.release(current.denoised);
      past = [current, ...past];
      evaluator.release(...past.splice(order - 1).map(({ f }) => f));
      current = upcoming;
    }
  } finally {
    evaluator.releaseAll();
  }
}

/** Evaluations and steps, with coefficients per coordinate. */
class Levels<X> {
  readonly evaluator: Evaluator<X>;
  readonly #ones: X;

  constructor(denoiser: Denoiser<X>, start: X, readonly tables: Tables, run?: SamplerOptions) {
    const { space, shape } = denoiser;
    const dimension = sizeOf(shape);
    if (dimension !== tables.dimension) {
      throw new TypeError(
        `Cannot sample by DPM-Solver-v3: the statistics have ${tables.dimension} coordinates, ` +
          `wanted the ${dimension} of ${denoiser.label}`,
      );
    }
    this.evaluator = new Evaluator(denoiser, run);
    const rows = rowSpace(space, shape).rows(start);
    const ones = new Float64Array(rows * dimension).fill(1);
    this.#ones = this.evaluator.own(space.from(ones, [rows, ...shape]));
  }

  async at(x: X, sigma: number): Promise<Node<X>> {
    const ell = -Math.log(sigma);
    const share = this.tables.share(ell);
    const denoised = await this.evaluator.denoise(x, sigma);
    const { space } = this.evaluator.denoiser;
    const f = space.combineCoordinates([share.map((l) => 1 - l), -1], [x, denoised]);
    return { ell, f: this.evaluator.own(f), denoised };
  }

  step(x: X, next: number, nodes: readonly Node<X>[], pseudo: boolean): X {
    const [{ ell }, ...others] = nodes;
    const { state, nodes: weights, constant } = stepCoefficients(
      this.tables,
      ell,
      -Math.log(next),
      others.map((node) => node.ell),
      pseudo,
    );
    const { space } = this.evaluator.denoiser;
    return this.evaluator.own(space.combineCoordinates(
      [state, ...weights, constant],
      [x, ...nodes.map(({ f }) => f), this.#ones],
    ));
  }
}
