/**
 * Explicit Runge–Kutta methods with one step per interval of the grid.
 *
 * @module
 */
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { checkSigmas } from "../../noise.ts";
import { Evaluator } from "../_evaluator.ts";
import type { SamplerOptions, SamplerStep } from "../sampler.ts";
import { nodeOf } from "./tableaus.ts";
import type { Tableau } from "./tableaus.ts";

/** The variable that a step is divided in: `dx/dσ = (x − D)/σ`, or `dx/dℓ = D − x` with `ℓ = −ln σ`. */
export interface Variable {
  /** The noise level of a stage, at the share `c` of a step. */
  level(sigma: number, next: number, c: number): number;
  /** What the difference `D − x` at a noise level is multiplied by, over the whole step. */
  factor(sigma: number, next: number, level: number): number;
}

/** The noise level itself. */
export const IN_SIGMA: Variable = {
  level: (sigma, next, c) => sigma + c * (next - sigma),
  factor: (sigma, next, level) => (sigma - next) / level,
};

/** Its logarithm. */
export const IN_LOG_SIGMA: Variable = {
  level: (sigma, next, c) => sigma * (next / sigma) ** c,
  factor: (sigma, next) => Math.log(sigma / next),
};

/**
 * Walks down the grid by a Runge–Kutta method. A step to `σ' = 0` returns `D`.
 *
 * @param tableau The method.
 * @param variable The variable it integrates in.
 * @returns A generator of one record per step.
 */
export async function* onGrid<X>(
  tableau: Tableau,
  variable: Variable,
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  options?: SamplerOptions,
): AsyncGenerator<SamplerStep<X>, void, void> {
  checkSigmas(sigmas);
  const evaluator = new Evaluator(denoiser, options);
  let x = start;
  try {
    for (let step = 1; step < sigmas.length; step++) {
      const sigma = sigmas[step - 1], next = sigmas[step];
      const { reached, denoised } = await stepOf(evaluator, tableau, variable, x, sigma, next);
      evaluator.release(x);
      x = reached;
      yield {
        step,
        sigma: next,
        x,
        denoised,
        evaluations: evaluator.calls,
        calls: evaluator.calls,
      };
      evaluator.release(denoised);
    }
  } finally {
    evaluator.releaseAll();
  }
}

/** One step, and the latest denoiser output. */
async function stepOf<X>(
  evaluator: Evaluator<X>,
  { stages, weights }: Tableau,
  { level, factor }: Variable,
  x: X,
  sigma: number,
  next: number,
): Promise<{ reached: X; denoised: X }> {
  let denoised = await evaluator.denoise(x, sigma);
  if (next === 0) return { reached: evaluator.combine([1], [denoised]), denoised };
  const slopes = [evaluator.combine([1, -1], [denoised, x])];
  const levels = [sigma];
  const combine = (coefficients: readonly number[]) =>
    evaluator.combine(
      [1, ...coefficients.map((a, j) => a * factor(sigma, next, levels[j]))],
      [x, ...slopes.slice(0, coefficients.length)],
    );
  for (const stage of stages) {
    // A last stage whose weights are those of the step is for the error estimate only.
    if (slopes.length === weights.length) break;
    const state = combine(stage);
    levels.push(level(sigma, next, nodeOf(stage)));
    evaluator.release(denoised);
    denoised = await evaluator.denoise(state, levels[levels.length - 1]);
    slopes.push(evaluator.combine([1, -1], [denoised, state]));
    evaluator.release(state);
  }
  const reached = combine(weights);
  evaluator.release(...slopes);
  return { reached, denoised };
}
