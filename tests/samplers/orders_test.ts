import type { DpmV3Statistics, Sampler, SamplerName } from "@closedform/diffusion";
import {
  collocation,
  dop853,
  dopri5,
  dpmpp2m,
  dpmpp3m,
  dpmV3,
  exponentialAdams,
  gaussianLaw,
  mixtureFlow,
  mixtureLaw,
  picard,
  SAMPLER_NAMES,
  samplerByName,
  unipc,
} from "@closedform/diffusion";
import assert from "node:assert/strict";
import { endOf, exactHistory, GAUSSIAN, POINT, uniformLevels } from "../_helpers/toys.ts";
import type { Toy } from "../_helpers/toys.ts";

/** Wide modes, so that a dozen steps are asymptotic. */
const WIDE: Toy = {
  flow: mixtureFlow(mixtureLaw([0.5, 0.3, 0.2], [
    gaussianLaw([1, 0.5], 1.5),
    gaussianLaw([-1, 0.2], 0.9),
    gaussianLaw([0.1, -1.2], 2.4),
  ])),
  start: Float64Array.of(3, -4),
};

/** Tables that say nothing, fine enough for their quadrature not to be seen. */
function plainTables(d: number): DpmV3Statistics {
  const intervals = 2048;
  const table = (value: number) => new Float64Array((intervals + 1) * d).fill(value);
  return { sigmaMax: 5, sigmaMin: 0.5, intervals, l: table(1), s: table(0), b: table(0) };
}

/** The formulas alone: a history, no lower order at the end, steps of the grid. */
const PURE = { lowerOrderFinal: false, correctLast: true };
const GRID = { adaptive: false };
/** What adapts or lowers its order by default does not here. */
const FORMULAS: Partial<Record<SamplerName, (d: number) => Sampler>> = {
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
  "dpm-v3": (d) =>
    dpmV3({ statistics: plainTables(d), pseudo: false, corrector: false, lowerOrderFinal: false }),
  "picard": () => picard({ tolerance: 0 }),
  "collocation": () => staticCollocation(3),
  "collocation-static": () => staticCollocation(2),
  "collocation-published": () => collocation({ mode: "published", nodes: 4, sweeps: 8 }),
};

/** The windows of the grid, solved to rounding; the adaptive mode solves the same equations. */
function staticCollocation(nodes: number): Sampler {
  return collocation({
    mode: "static",
    nodes,
    tolerance: 1e-15,
    clampTolerance: false,
    guard: false,
  });
}

/** Numbers of steps; each doubles the one before the last. */
const STEPS = [4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];
/** Errors below this may be rounding errors of the states and of their references, which are 1e-14 to 1e-13. */
const FLOOR = 1e-12;
/** Or, for dpm-v3, errors of the quadrature of its tables. */
const TABLE_FLOOR = 2e-6;

/**
 * The levels from 5 to 0.5. A method that takes no history gets a first step as short as the square of
 * the others, so that its low order is not seen.
 */
function levels(name: SamplerName, steps: number): readonly number[] {
  const [first, ...rest] = uniformLevels(steps);
  return name === "dpm-v3"
    ? [first, first * Math.exp(-((Math.LN10 / steps) ** 2)), ...rest]
    : [first, ...rest];
}

function floorOf(name: SamplerName): number {
  return name === "dpm-v3" ? TABLE_FLOOR : FLOOR;
}

/** Sixteen states at noise level 5, and where they are at 0.5. */
interface Problem extends Toy {
  readonly exact: Float64Array;
  /** Outputs above the start, by the number of steps. */
  readonly histories: Map<number, ReturnType<typeof exactHistory>>;
}

async function problemOf({ flow }: Toy): Promise<Problem> {
  const start = flow.draw(16, 5, 2);
  return { flow, start, exact: await flow.transport(start, 5, 0.5), histories: new Map() };
}

const PROBLEMS = await Promise.all([POINT, GAUSSIAN, WIDE].map(problemOf));

/** The root mean square error, relative to the states. */
function errorOf(x: Float64Array, { exact }: Problem): number {
  const square = exact.reduce((sum, v) => sum + v * v, 0);
  return Math.sqrt(x.reduce((sum, v, i) => sum + (v - exact[i]) ** 2, 0) / square);
}

/** Errors for rising numbers of steps, down to the floor. */
async function errorsOf(
  sampler: Sampler,
  problem: Problem,
  name: SamplerName,
): Promise<number[]> {
  const { flow, start, histories } = problem;
  const errors: number[] = [];
  for (const steps of STEPS) {
    const history = histories.get(steps) ?? exactHistory(problem, steps);
    histories.set(steps, history);
    const x = await endOf(sampler, flow.denoiser, start, levels(name, steps), {
      history: await history,
    });
    errors.push(errorOf(x, problem));
    if (errors.at(-1)! < floorOf(name)) break;
  }
  return errors;
}

for (const name of SAMPLER_NAMES) {
  Deno.test(`${name} has the order that it declares, on three closed-form flows`, async () => {
    for (const problem of PROBLEMS) {
      const sampler = FORMULAS[name]?.(problem.flow.dimension) ?? samplerByName(name);
      const errors = await errorsOf(sampler, problem, name);
      const what = problem.flow.name;
      // Constant outputs are followed exactly by whatever solves the linear part exactly.
      if (errors[0] < floorOf(name)) {
        assert.equal(what, "a point", `${what}: nothing to measure`);
        continue;
      }
      const above = errors.filter((error) => error >= floorOf(name));
      assert.ok(above.length >= 3, `${what}: errors ${errors} reach rounding too soon`);
      const [a, , b] = above.slice(-3);
      const slope = Math.log2(a / b);
      assert.ok(
        Math.abs(slope - sampler.order) <= 0.25,
        `${what}: slope ${slope}, declared ${sampler.order}, errors ${
          errors.map((e) => e.toExponential(1))
        }`,
      );
    }
  });
}

Deno.test("multistep samplers with their default ends are of order two, whatever their formula", async () => {
  for (const name of SAMPLER_NAMES) {
    if (!/^(dpmpp-[23]|exp-ab-[234]|unipc)/.test(name)) continue;
    for (const problem of PROBLEMS.slice(1)) {
      const { flow, start } = problem;
      const [a, b] = await Promise.all(
        [64, 128].map(async (steps) =>
          errorOf(
            await endOf(samplerByName(name), flow.denoiser, start, uniformLevels(steps)),
            problem,
          )
        ),
      );
      const slope = Math.log2(a / b);
      assert.ok(slope > 1.75 && slope < 2.25, `${name}: slope ${slope}`);
    }
  }
});
