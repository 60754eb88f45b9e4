/**
 * Adam, with an exponential moving average of the weights.
 *
 * The state is kept as arrays, not as tensors: a step is then one pass over them, in float64, the same bits on every
 * backend, and a checkpoint is the arrays as they are.
 *
 * @module
 */
import { checkAdam } from "./_check_adam.ts";
import { copyWeights } from "./weights.ts";
import type { Weights } from "./weights.ts";
import type { AdamOptions } from "./_check_adam.ts";

export type { AdamOptions } from "./_check_adam.ts";

/** Where an optimisation stands: all that the next step depends on. */
export interface OptimiserState {
  /** Steps that were taken. */
  step: number;
  /** The weights. */
  readonly weights: Weights;
  /** Running means of the gradients. */
  readonly first: Weights;
  /** Running means of the squared gradients. */
  readonly second: Weights;
  /** The exponential moving average of the weights: what to use. */
  readonly average: Weights;
}

/**
 * The state before the first step.
 *
 * @param weights Where to start. They are copied.
 * @returns A state with running means of zero and the weights as their own average.
 *
 * @example
 * ```ts
 * import { beginOptimising, zeroWeight } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.equal(beginOptimising({ bias: zeroWeight([3]) }).step, 0);
 * ```
 */
export function beginOptimising(weights: Weights): OptimiserState {
  const zeros = () => copyWeights(weights, (values) => new Float32Array(values.length));
  return {
    step: 0,
    weights: copyWeights(weights),
    first: zeros(),
    second: zeros(),
    average: copyWeights(weights),
  };
}

/**
 * One step of Adam, in place.
 *
 * ```text
 * m ← β₁m + (1−β₁)g,   v ← β₂v + (1−β₂)g²,   w ← w − η m/(1−β₁ⁿ) / (√(v/(1−β₂ⁿ)) + ε)
 * ```
 *
 * and the average `w̄ ← w + ½^(items per step / half-life) (w̄ − w)`, with the half-life as in EDM.
 *
 * Reference: D. Kingma, J. Ba (2015), arXiv:1412.6980; T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364.
 *
 * @param state The state, which is changed.
 * @param gradients One array per weight.
 * @param options Step size and the like.
 * @throws {TypeError} If there is not one gradient per weight, or it is not as long.
 * @throws {RangeError} If an option is out of range.
 *
 * @example The first step is as long as the step size, whatever the gradient
 * ```ts
 * import { adamStep, beginOptimising, zeroWeight } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const state = beginOptimising({ bias: zeroWeight([2]) });
 * adamStep(state, { bias: Float32Array.of(100, -1) }, { rate: 0.5 });
 * assert.deepEqual([...state.weights.bias.values], [-0.5, 0.5]);
 * ```
 */
export function adamStep(
  state: OptimiserState,
  gradients: Readonly<Record<string, ArrayLike<number>>>,
  options: AdamOptions = {},
): void {
  const settings = checkAdam(options);
  const { rate, warmUp, beta1, beta2, epsilon } = settings;
  const kept = averageKept(state.step, settings);
  const n = ++state.step;
  const size = rate * (warmUp > 0 ? Math.min(1, n / warmUp) : 1) / (1 - beta1 ** n);
  const unbias = 1 / (1 - beta2 ** n);
  for (const [name, { values: w }] of Object.entries(state.weights)) {
    const g = gradients[name];
    if (g?.length !== w.length) {
      throw new TypeError(
        `Cannot take a step of Adam: the gradient of ${name} has ${g?.length} numbers, wanted ${w.length}`,
      );
    }
    const m = state.first[name].values, v = state.second[name].values;
    const average = state.average[name].values;
    for (let i = 0; i < w.length; i++) {
      const gradient = g[i];
      m[i] = beta1 * m[i] + (1 - beta1) * gradient;
      v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
      w[i] -= size * m[i] / (Math.sqrt(v[i] * unbias) + epsilon);
      average[i] = w[i] + kept * (average[i] - w[i]);
    }
  }
}

/** How much of the average stays in a step, after so many. */
function averageKept(
  steps: number,
  { batchSize, halfLife, rampUp }: ReturnType<typeof checkAdam>,
): number {
  const items = Math.min(halfLife, rampUp * steps * batchSize);
  return items > 0 ? 0.5 ** (batchSize / items) : 0;
}
