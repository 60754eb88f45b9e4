/**
 * First legs: flows that are known without the denoiser that is sampled.
 *
 * @module
 */
import { checkOptionNames, type OptionTable, readOptions } from "../../base/_options.ts";
import { sizeOf } from "../../base/_shape.ts";
import { EVALUATE_OPTIONS, type EvaluateOptions } from "../../compute/posterior.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { rowAxes } from "../../denoisers/gaussian/gaussian_axes.ts";
import type { RowAxes } from "../../denoisers/gaussian/gaussian_axes.ts";
import { flowFactor } from "../../denoisers/gaussian/gaussian_law.ts";
import type { GaussianLaw } from "../../denoisers/gaussian/gaussian_law.ts";
import { endpointFactor } from "../../denoisers/gaussian/gaussian_trajectory.ts";
import type { FlowState } from "../../denoisers/gaussian/gaussian_trajectory.ts";
import { unipc } from "../unipc.ts";

/** A state that a first leg reaches. */
export interface LegState extends FlowState {
  /**
   * The estimated error of the states as solutions of the leg's own flow, root mean square in data units over all
   * numbers of a row. Absent where they are exact.
   */
  readonly error?: number;
}

/** A flow over large noise levels that costs no call of the denoiser that is sampled. */
export interface FirstLeg extends Disposable {
  /** What it follows, in a few words. */
  readonly label: string;
  /** Where it comes from: papers, one per entry. */
  readonly references: readonly string[];
  /** Numbers per row, `d`. */
  readonly dimension: number;
  /**
   * The states at lower noise levels on the trajectories of some states.
   *
   * @param x States at the first level, rows of `d` numbers. Not changed.
   * @param sigmas Strictly decreasing positive levels, at least two.
   * @param options A signal that cancels.
   * @returns States and end points at all levels but the first.
   */
  follow(
    x: Float64Array,
    sigmas: readonly number[],
    options?: EvaluateOptions,
  ): Promise<LegState[]>;
  /** Releases what it holds. */
  dispose(): void;
}

/** Options of {@linkcode gaussianLeg}. */
export interface GaussianLegOptions {
  /**
   * What is kept of the start: `"flow"` the trajectory, `"law"` the exact law of what is reached. Runs start at `σ₀ε`
   * and not at data plus noise; the flow carries that bias on, and `"law"` mends it by going to `μ + √(Σ+σ²I) ε`, from
   * the same noise but on another trajectory. It is for grids whose start is `σ₀ε`. Default `"flow"`.
   */
  readonly keep?: "flow" | "law";
}

const GAUSSIAN_OPTIONS = { keep: "flow" } satisfies OptionTable<GaussianLegOptions>;

/**
 * The first leg along a Gaussian law, in closed form: two products with the basis per level, in float64.
 *
 * ```text
 * x(σ') = μ + √((Σ + σ'²I)(Σ + σ²I)⁻¹) (x − μ)
 * ```
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726.
 *
 * @param law The law, for instance from `dataSpectrum()`.
 * @param options What is kept of the start.
 * @returns The leg. Large ones start threads; dispose them after use.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { gaussianLaw, gaussianLeg } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * using leg = gaussianLeg(gaussianLaw([0], 3));
 * const [{ x }] = await leg.follow(Float64Array.of(4 * Math.sqrt(7)), [5, 2]);
 * assert.ok(Math.abs(x[0] - 4 * Math.sqrt(7) * Math.sqrt(7 / 28)) < 1e-14);
 * ```
 */
export function gaussianLeg(law: GaussianLaw, options: GaussianLegOptions = {}): FirstLeg {
  const { keep } = readOptions("make a Gaussian first leg", options, GAUSSIAN_OPTIONS);
  const { mean } = law, ofLaw = keep === "law";
  let opened: Promise<RowAxes> | undefined;
  const dispose = () => {
    void opened?.then((axes) => axes[Symbol.dispose]());
    opened = undefined;
  };
  return {
    label: "the Gaussian of the data",
    references: [
      "B. Wang, J. Vastola (2024), The unreasonable effectiveness of Gaussian score approximation for diffusion models and its applications, arXiv:2412.09726",
    ],
    dimension: mean.length,
    async follow(x, [from, ...sigmas], evaluate = {}) {
      checkOptionNames("follow a first leg", evaluate, EVALUATE_OPTIONS);
      const axes = await (opened ??= rowAxes(law));
      // The axes take deviations from the mean; all of a start σ₀ε is noise.
      const start = ofLaw ? x.map((v, i) => v + mean[i % mean.length]) : x;
      const states: FlowState[] = [];
      for (const sigma of sigmas) {
        evaluate.signal?.throwIfAborted();
        const spread = (v: number) => Math.sqrt(v + sigma * sigma);
        const [state, end] = ofLaw
          ? [(v: number) => spread(v) / from, (v: number) => v / (spread(v) * from)]
          : [
            (v: number) => flowFactor(v, from, sigma),
            (v: number) => endpointFactor(v, from, sigma),
          ];
        states.push({
          sigma,
          x: await axes.scale(start, (_, v) => state(v)),
          denoised: await axes.scale(start, (_, v) => end(v)),
        });
      }
      return states;
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Options of {@linkcode integratedLeg}. */
export interface IntegratedLegOptions {
  /**
   * Steps per factor `e` of the noise level that are tried first; they are doubled until the error is within the
   * tolerance. Default 8.
   */
  readonly stepsPerFold?: number;
  /**
   * The error that the integration may be estimated to make, root mean square in data units over all numbers of a
   * state. Default `1e-3 √d`.
   */
  readonly tolerance?: number;
}

/** More steps per factor `e` than this are not tried: what has not converged by then is not smooth. */
const MOST_STEPS = 128;
/** Halving the steps takes an error of third order to an eighth, so that it is a seventh of the change. */
const LEFT = 7;

const INTEGRATED_OPTIONS = { stepsPerFold: 8, tolerance: undefined } satisfies OptionTable<
  IntegratedLegOptions
>;

/**
 * The first leg along the flow of any denoiser that costs little beside the one that is sampled, such as a mixture's:
 * integrated by UniPC of order 3 without lower orders at the end, with steps as short as the tolerance asks for.
 *
 * The error is estimated from what halving the steps changed. That the denoiser itself is not that of the data is
 * another error, which `legDeviation()` measures.
 *
 * @param denoiser The cheap denoiser. Not disposed with the leg.
 * @param options The length of the steps, the tolerance.
 * @returns The leg, whose states carry the estimated error. Its `follow()` throws a `RangeError` if that is still
 * beyond the tolerance with 128 steps per factor `e`.
 * @throws {RangeError} If the number of steps or the tolerance is not positive.
 * @throws {TypeError} If there is no such option.
 *
 * @example A mixture of one component is a Gaussian
 * ```ts
 * import { gaussianLaw, integratedLeg } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser, transport } = gaussianFlow(gaussianLaw([0, 1], [3, 1]));
 * using leg = integratedLeg(denoiser);
 * const x = Float64Array.of(60, -70);
 * const [{ x: reached, error }] = await leg.follow(x, [80, 5]);
 * const exact = await transport(x, 80, 5);
 * assert.ok(Math.hypot(reached[0] - exact[0], reached[1] - exact[1]) < error! && error! < 1e-3);
 * ```
 */
export function integratedLeg<X>(
  denoiser: Denoiser<X>,
  options: IntegratedLegOptions = {},
): FirstLeg {
  const dimension = sizeOf(denoiser.shape);
  const { stepsPerFold, tolerance = 1e-3 * Math.sqrt(dimension) } = readOptions(
    "integrate a first leg",
    options,
    INTEGRATED_OPTIONS,
  );
  for (const [name, value] of Object.entries({ stepsPerFold, tolerance })) {
    if (!(value > 0 && value < Infinity)) {
      throw new RangeError(
        `Cannot integrate a first leg: ${name} is ${value}, wanted a finite number > 0`,
      );
    }
  }
  return {
    label: denoiser.label,
    references: denoiser.references,
    dimension,
    async follow(x, sigmas, evaluate = {}) {
      checkOptionNames("follow a first leg", evaluate, EVALUATE_OPTIONS);
      let perFold = stepsPerFold;
      let coarse = await integrate(denoiser, x, sigmas, perFold / 2, evaluate);
      for (;;) {
        const fine = await integrate(denoiser, x, sigmas, perFold, evaluate);
        const states = fine.map((state, i) => ({
          ...state,
          error: rootMeanSquare(state.x, coarse[i].x, dimension) / LEFT,
        }));
        const worst = states.reduce((most, { error }) => Math.max(most, error), 0);
        if (worst <= tolerance) return states;
        if (perFold >= MOST_STEPS) {
          throw new RangeError(
            `Cannot follow ${denoiser.label} as a first leg: the error with ${perFold} steps per factor e is ${
              worst.toPrecision(3)
            }, wanted at most ${tolerance.toPrecision(3)}`,
          );
        }
        [coarse, perFold] = [fine, 2 * perFold];
      }
    },
    dispose() {},
    [Symbol.dispose]() {},
  };
}

/** The states at all levels but the first, with so many steps per factor `e`. */
async function integrate<X>(
  denoiser: Denoiser<X>,
  x: Float64Array,
  sigmas: readonly number[],
  stepsPerFold: number,
  evaluate: EvaluateOptions,
): Promise<FlowState[]> {
  const { space, shape } = denoiser;
  const start = space.from(x, [x.length / sizeOf(shape), ...shape]);
  const sampler = unipc({ order: 3, lowerOrderFinal: false, correctLast: true });
  const states: FlowState[] = [];
  const levels = refined(sigmas, stepsPerFold);
  try {
    for await (const at of sampler.run(denoiser, start, levels, evaluate)) {
      if (!sigmas.includes(at.sigma)) continue;
      const [state, denoised] = await Promise.all([
        space.values(at.x),
        space.values(at.denoised),
      ]);
      states.push({
        sigma: at.sigma,
        x: Float64Array.from(state),
        denoised: Float64Array.from(denoised),
      });
    }
  } finally {
    space.dispose(start);
  }
  return states;
}

/** The root mean square over rows of their distances. */
function rootMeanSquare(a: Float64Array, b: Float64Array, dimension: number): number {
  const square = a.reduce((sum, v, i) => sum + (v - b[i]) ** 2, 0);
  return Math.sqrt(square * dimension / a.length);
}

/** The levels, with others between them that are equally spaced in `ln σ`. */
function refined(sigmas: readonly number[], perFold: number): number[] {
  return sigmas.flatMap((sigma, i) => {
    if (i === 0) return [sigma];
    const before = sigmas[i - 1];
    // A single step between close levels would leave the next one without history of its own order.
    const steps = Math.ceil(perFold * Math.log(before / sigma));
    return Array.from(
      { length: steps },
      (_, j) => j + 1 === steps ? sigma : before * (sigma / before) ** ((j + 1) / steps),
    );
  });
}
