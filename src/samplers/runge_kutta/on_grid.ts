/**
 * Explicit Runge–Kutta methods with one step per interval of the grid.
 *
 * @module
 */
import type { Evaluator } from "../_evaluator.ts";
import type { Reached, Step } from "../_one_step.ts";
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
 * The step of a Runge–Kutta method. A step to `σ' = 0` returns `D`.
 *
 * @param tableau The method.
 * @param variable The variable it integrates in.
 * @returns The step.
 */
export function rungeKuttaStep<X>(tableau: Tableau, variable: Variable): Step<X> {
  return (evaluator, x, sigma, next) => stepOf(evaluator, tableau, variable, x, sigma, next);
}

async function stepOf<X>(
  evaluator: Evaluator<X>,
  { stages, weights }: Tableau,
  { level, factor }: Variable,
  x: X,
  sigma: number,
  next: number,
): Promise<Reached<X>> {
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
