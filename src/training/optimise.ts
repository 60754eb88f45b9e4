/**
 * Learning by gradient descent: any loss that tfjs can differentiate.
 *
 * ```ts ignore
 * using backend = await openTrainingBackend();
 * const state = beginOptimising(weights);
 * const loss = (tensors: WeightTensors, step: number) => …;   // a scalar, from the batch of this step
 * for await (const { step, loss: value } of optimise(loss, state, { backend, steps: 1000 })) …
 * // state.average are the weights to use; encodeCheckpoint() keeps all of `state`.
 * ```
 *
 * @module
 */
import { optionsFor, type OptionTable, readOptions } from "../base/_options.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor } from "../states/linear_space.ts";
import { checkWhole } from "../base/_checks.ts";
import { turn } from "../base/_turns.ts";
import { ADAM_OPTIONS, checkAdam } from "./_check_adam.ts";
import { adamStep } from "./adam.ts";
import type { AdamOptions, OptimiserState } from "./adam.ts";
import type { TrainingBackend } from "./backend.ts";
import { weightTensors } from "./weights.ts";
import type { WeightTensors } from "./weights.ts";

/**
 * A loss to be made small.
 *
 * It must depend on nothing but its arguments, so that an interrupted run continues as if it had not been: random
 * numbers are keyed by the step.
 *
 * @param weights The weights.
 * @param step The step that is taken, from 0.
 * @returns A scalar. Tensors made on the way are disposed.
 */
export type Loss = (weights: WeightTensors, step: number) => AnyTensor;

/** Options of {@linkcode optimise}. */
export interface OptimiseOptions extends AdamOptions {
  /** Where to compute. */
  readonly backend: TrainingBackend;
  /** Steps in all, those of the state included. */
  readonly steps: number;
  /** Cancels: the generator then throws `signal.reason`, with the state as it was after the last step. */
  readonly signal?: AbortSignal;
}

/** One step. */
export interface OptimiseStep {
  /** Steps that were taken. */
  readonly step: number;
  /** The loss, before the step. */
  readonly loss: number;
}

const OPTIONS = {
  ...ADAM_OPTIONS,
  backend: undefined,
  steps: undefined,
  signal: undefined,
} satisfies OptionTable<OptimiseOptions>;

/**
 * Makes a loss small by Adam, step by step.
 *
 * @param loss The loss.
 * @param state Where to start, which is changed; after each step that is yielded it is whole.
 * @param options Backend, number of steps, step size and the like.
 * @returns The steps, each yielded after it was taken.
 * @throws {RangeError} If an option is out of range or the loss not finite.
 * @throws {TypeError} If there is no such option.
 *
 * @example The minimum of a parabola
 * ```ts
 * import { beginOptimising, openTrainingBackend, optimise, zeroWeight } from "@closedform/diffusion/training";
 * import type { WeightTensors } from "@closedform/diffusion/training";
 * import * as tf from "@tensorflow/tfjs-core";
 * import assert from "node:assert/strict";
 *
 * using backend = await openTrainingBackend("cpu");
 * const state = beginOptimising({ x: zeroWeight([1]) });
 * const parabola = ({ x }: WeightTensors) => tf.sum(tf.square(tf.sub(x, 3)));
 * for await (const _ of optimise(parabola, state, { backend, steps: 500, rate: 0.05 }));
 * assert.ok(Math.abs(state.weights.x.values[0] - 3) < 0.01);
 * ```
 */
export async function* optimise(
  loss: Loss,
  state: OptimiserState,
  options: OptimiseOptions,
): AsyncGenerator<OptimiseStep, void, void> {
  const { backend, steps, signal } = readOptions("optimise", options, OPTIONS);
  const adam = optionsFor(ADAM_OPTIONS, options);
  checkWhole("optimise", "steps", steps, 0);
  checkAdam(adam);
  while (state.step < steps) {
    signal?.throwIfAborted();
    const { value, gradients } = await gradientsOf(loss, state, backend);
    if (!Number.isFinite(value)) {
      throw new RangeError(
        `Cannot optimise: the loss is ${value} at step ${state.step}, wanted a finite number (try a smaller rate)`,
      );
    }
    adamStep(state, gradients, adam);
    yield { step: state.step, loss: value };
    await turn();
  }
}

/** The loss and its gradients, as arrays. */
async function gradientsOf(
  loss: Loss,
  { weights, step }: OptimiserState,
  backend: TrainingBackend,
): Promise<{ value: number; gradients: Record<string, Float32Array> }> {
  const names = Object.keys(weights);
  const { value, grads } = backend.run(() =>
    tf.tidy(() => {
      const tensors = Object.values(weightTensors(weights));
      const named = (...given: AnyTensor[]) =>
        loss(Object.fromEntries(names.map((name, k) => [name, given[k]])), step);
      return tf.valueAndGrads(named as (...given: AnyTensor[]) => tf.Scalar)(tensors);
    })
  );
  try {
    const [[number], ...arrays] = await Promise.all([value, ...grads].map((t) => t.data()));
    return {
      value: number,
      gradients: Object.fromEntries(names.map((name, k) => [name, arrays[k] as Float32Array])),
    };
  } finally {
    tf.dispose([value, ...grads]);
  }
}
