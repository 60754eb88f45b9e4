/**
 * The order of a sampler, measured on flows whose end states are known.
 *
 * @module
 */
import { gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { mixtureLaw } from "../denoisers/gaussian/mixture_law.ts";
import { logSnrGrid } from "../base/noise.ts";
import { collocation } from "../samplers/collocation.ts";
import { dop853 } from "../samplers/dop853.ts";
import { dopri5 } from "../samplers/dopri5.ts";
import { dpmV3 } from "../samplers/dpm_v3.ts";
import { gaussianStatistics } from "../samplers/dpm_v3/statistics.ts";
import { dpmpp2m } from "../samplers/dpmpp_2m.ts";
import { dpmpp3m } from "../samplers/dpmpp_3m.ts";
import { exponentialAdams } from "../samplers/exponential_adams.ts";
import type { KnownOutput, MultistepRunOptions } from "../samplers/multistep.ts";
import { picard } from "../samplers/picard.ts";
import { SAMPLER_NAMES, samplerByName } from "../samplers/registry.ts";
import type { SamplerName } from "../samplers/registry.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { unipc } from "../samplers/unipc.ts";
import type { ExactFlow } from "./flows/exact_flow.ts";
import { gaussianFlow, pointFlow } from "./flows/gaussian_flow.ts";
import { mixtureFlow } from "./flows/mixture_flow.ts";

/** An order that was measured. */
export interface MeasuredOrder {
  /** The sampler. */
  readonly name: string;
  /** The data. */
  readonly flow: string;
  /** The order that the sampler declares. */
  readonly declared: number;
  /** The slope of its error, `log₂` of the ratio for twice the steps; infinite if the error is rounding at any number of steps. */
  readonly slope: number;
  /** The errors for 4, 8, 16 … steps, root mean squares relative to the states. */
  readonly errors: readonly number[];
}

const SIGMA_MAX = 5, SIGMA_MIN = 0.5;
/** Numbers of steps. */
const STEPS = [4, 8, 16, 32, 64, 128];
/** Errors below this may be rounding errors of the states and of their references, which are 1e-14 to 1e-13. */
const FLOOR = 1e-12;
/** Or, for dpm-v3, errors of the quadrature of its tables. */
const TABLE_FLOOR = 2e-6;

/** No order is lowered at the end, and the last step is corrected. */
const PURE = { lowerOrderFinal: false, correctLast: true };
/** One step per interval of the grid. */
const GRID = { adaptive: false };

/**
 * The formula of a sampler alone: no lower order at the end, steps of the grid, iterations to rounding.
 *
 * @param name Its name.
 * @param dimension Numbers per row.
 */
function formulaOf(name: SamplerName, dimension: number): Sampler {
  const formulas: Partial<Record<SamplerName, () => Sampler>> = {
    "dpmpp-2m": () => dpmpp2m(PURE),
    "dpmpp-3m": () => dpmpp3m(PURE),
    "dpmpp-3m-taylor": () => dpmpp3m({ ...PURE, form: "taylor" }),
    "exp-ab-2": () => exponentialAdams(2, PURE),
    "exp-ab-3": () => exponentialAdams(3, PURE),
    "exp-ab-4": () => exponentialAdams(4, PURE),
    "unipc": () => unipc(PURE),
    "unipc-b1": () => unipc({ ...PURE, b: "B1" }),
    "unipc-2": () => unipc({ ...PURE, order: 2 }),
    "unipc-2-b1": () => unipc({ ...PURE, order: 2, b: "B1" }),
    "dopri5": () => dopri5(GRID),
    "dop853": () => dop853(GRID),
    "dpm-v3": () => dpmV3WithoutTables(dimension),
    "picard": () => picard({ tolerance: 0 }),
    // Few nodes, so that errors are above rounding; the adaptive mode solves the equations of the static one.
    "collocation": () => collocationToRounding(3),
    "collocation-static": () => collocationToRounding(2),
    "collocation-published": () => collocation({ mode: "published", nodes: 4, sweeps: 8 }),
  };
  return formulas[name]?.() ?? samplerByName(name);
}

/** With tables that say nothing, its order is that of its predictor. */
function dpmV3WithoutTables(dimension: number): Sampler {
  const point = gaussianLaw(new Float64Array(dimension), 0);
  const range = { sigmaMax: SIGMA_MAX, sigmaMin: SIGMA_MIN, intervals: 2048 };
  const statistics = gaussianStatistics(point, range);
  return dpmV3({ statistics, pseudo: false, corrector: false, lowerOrderFinal: false });
}

function collocationToRounding(nodes: number): Sampler {
  const exact = { tolerance: 1e-15, clampTolerance: false, guard: false };
  return collocation({ mode: "static", nodes, ...exact });
}

/** Sixteen states at the first level, where they are at the last, and the outputs before the first. */
interface Problem {
  readonly flow: ExactFlow;
  readonly start: Float64Array;
  readonly exact: Float64Array;
  readonly histories: Map<number, KnownOutput<Float64Array>[]>;
}

async function problemOf(flow: ExactFlow): Promise<Problem> {
  const start = flow.draw(16, SIGMA_MAX, 2);
  const exact = await flow.transport(start, SIGMA_MAX, SIGMA_MIN);
  return { flow, start, exact, histories: new Map() };
}

/** Outputs at the exact states of the last three levels above the first, had the grid begun there. */
async function historyOf(problem: Problem, steps: number): Promise<KnownOutput<Float64Array>[]> {
  const { flow, start, histories } = problem;
  const known = histories.get(steps);
  if (known) return known;
  const ratio = (SIGMA_MAX / SIGMA_MIN) ** (1 / steps);
  const history = await Promise.all([1, 2, 3].map(async (j) => {
    const sigma = SIGMA_MAX * ratio ** j;
    const x = await flow.transport(start, SIGMA_MAX, sigma);
    return { sigma, denoised: (await flow.denoiser.denoise(x, sigma)).mean };
  }));
  histories.set(steps, history);
  return history;
}

/**
 * Levels of equal ratio. A method that takes no history gets a first step as short as the square of the
 * others, so that its low order is not seen.
 */
function levelsOf(name: string, steps: number): number[] {
  const [first, ...rest] = logSnrGrid(steps, { sigmaMax: SIGMA_MAX, sigmaMin: SIGMA_MIN }).sigmas;
  const short = Math.log(first / rest[0]) ** 2;
  return name === "dpm-v3" ? [first, first * Math.exp(-short), ...rest] : [first, ...rest];
}

/** The methods that take outputs known before. */
const MULTISTEP = /^(?:dpmpp|exp-ab|unipc)/;

async function errorOf(sampler: Sampler, problem: Problem, steps: number): Promise<number> {
  const { flow, start, exact } = problem;
  const options: MultistepRunOptions<Float64Array> = MULTISTEP.test(sampler.name)
    ? { history: await historyOf(problem, steps) }
    : {};
  let end = start;
  for await (
    const { x } of sampler.run(flow.denoiser, start, levelsOf(sampler.name, steps), options)
  ) {
    end = x;
  }
  const size = exact.reduce((sum, v) => sum + v * v, 0);
  return Math.sqrt(end.reduce((sum, v, i) => sum + (v - exact[i]) ** 2, 0) / size);
}

async function measure(name: SamplerName, problem: Problem): Promise<MeasuredOrder> {
  const sampler = formulaOf(name, problem.flow.dimension);
  const floor = name === "dpm-v3" ? TABLE_FLOOR : FLOOR;
  const errors: number[] = [];
  for (const steps of STEPS) {
    const error = await errorOf(sampler, problem, steps);
    if (error < floor) break;
    errors.push(error);
  }
  // Nothing above rounding: exact. One error above it: nothing that could be measured.
  const [a, b] = errors.length === 0
    ? [Infinity, 1]
    : errors.length === 1
    ? [NaN, 1]
    : errors.slice(-2);
  return {
    name,
    flow: problem.flow.name,
    declared: sampler.order,
    slope: Math.log2(a / b),
    errors,
  };
}

/**
 * Measures the orders of samplers on three flows: a point, a Gaussian, and a mixture of three wide
 * Gaussians. The formulas alone are measured: with a history of exact outputs where they take one, without
 * lower orders at the end, on the grid, iterated to rounding.
 *
 * @param names Which samplers. Default: all that are registered.
 * @returns One order per sampler and flow.
 * @throws {RangeError} If there is no such sampler.
 *
 * @example
 * ```ts
 * import { measuredOrders } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const [point, gaussian] = await measuredOrders(["heun"]);
 * assert.equal(point.slope, Infinity);
 * assert.ok(Math.abs(gaussian.slope - 2) < 0.05);
 * ```
 */
export async function measuredOrders(
  names: readonly SamplerName[] = SAMPLER_NAMES,
): Promise<MeasuredOrder[]> {
  const wide = mixtureLaw([0.5, 0.3, 0.2], [
    gaussianLaw([1, 0.5], 1.5),
    gaussianLaw([-1, 0.2], 0.9),
    gaussianLaw([0.1, -1.2], 2.4),
  ]);
  const diagonal = gaussianLaw([0.5, -0.5, 0.25, 0], [4, 1, 0.25, 0.01]);
  const orders: MeasuredOrder[] = [];
  for (const flow of [pointFlow([0.5, -2]), gaussianFlow(diagonal), mixtureFlow(wide)]) {
    const problem = await problemOf(flow);
    for (const name of names) orders.push(await measure(name, problem));
  }
  return orders;
}
