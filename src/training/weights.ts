/**
 * The weights of networks: named arrays, from which tensors are made when they are needed.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { roomFor } from "../base/_memory.ts";
import { sizeOf } from "../base/_shape.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { RandomStream } from "../base/random.ts";

/** Numbers with a shape. */
export interface Weight {
  /** The shape. */
  readonly shape: readonly number[];
  /** The numbers, row-major. */
  readonly values: Float32Array;
}

/** Arrays by name: the weights of a network, or something kept for each of them. */
export type Weights = Readonly<Record<string, Weight>>;

/** The same names, with a tensor each. */
export type WeightTensors = Readonly<Record<string, AnyTensor>>;

/**
 * Tensors of weights, on the active backend.
 *
 * @param weights The weights.
 * @returns A tensor each, for the caller to dispose.
 *
 * @example
 * ```ts
 * import { openDevice } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import { weightTensors } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * const { bias } = weightTensors({ bias: { shape: [2], values: Float32Array.of(1, 2) } });
 * assert.deepEqual(bias.shape, [2]);
 * tensorSpace.dispose(bias);
 * ```
 */
export function weightTensors(weights: Weights): WeightTensors {
  return Object.fromEntries(
    // A tensor may keep the array it was given instead of a copy.
    Object.entries(weights).map((
      [name, { shape, values }],
    ) => [name, tf.tensor(values.slice(), [...shape], "float32")]),
  );
}

/**
 * A copy of weights, or zeros of their names and shapes.
 *
 * @param weights The weights.
 * @param copy What becomes of the numbers of each. Default: a copy.
 * @returns New weights.
 *
 * @example
 * ```ts
 * import { copyWeights } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const bias = { shape: [1], values: Float32Array.of(3) };
 * assert.equal(copyWeights({ bias }, (values) => new Float32Array(values.length)).bias.values[0], 0);
 * ```
 */
export function copyWeights(
  weights: Weights,
  copy: (values: Float32Array) => Float32Array = (values) => values.slice(),
): Weights {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { shape, values }]) => [
      name,
      { shape, values: copy(values) },
    ]),
  );
}

/**
 * Random weights from `N(0, 1/fan-in)`, so that the outputs of a layer are as large as its inputs.
 *
 * @param shape The shape.
 * @param fanIn Inputs of each output.
 * @param seed The seed.
 * @param layer Which layer of the network it is: each has a stream of its own.
 * @returns The weight.
 * @throws {RangeError} If there is no memory for it.
 *
 * @example
 * ```ts
 * import { normalWeight } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const { values } = normalWeight([100, 100], 100, 0, 0);
 * const variance = values.reduce((sum, v) => sum + v * v, 0) / values.length;
 * assert.ok(Math.abs(variance - 0.01) < 0.001);
 * ```
 */
export function normalWeight(
  shape: readonly number[],
  fanIn: number,
  seed: number,
  layer: number,
): Weight {
  const stream = new RandomStream({ seed, sample: layer, purpose: "weights" });
  const { values } = zeroWeight(shape);
  for (let i = 0; i < values.length; i++) values[i] = stream.normal() / Math.sqrt(fanIn);
  return { shape, values };
}

/**
 * Weights that are zero: of biases, and of layers that must not say anything at first.
 *
 * @param shape The shape.
 * @returns The weight.
 * @throws {RangeError} If there is no memory for it.
 *
 * @example
 * ```ts
 * import { zeroWeight } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.equal(zeroWeight([2, 3]).values.length, 6);
 * ```
 */
export function zeroWeight(shape: readonly number[]): Weight {
  const size = sizeOf(shape);
  // Beside them there will be their gradient, two moments and an average.
  const what = `${shape.join("×")} weights and what training keeps of them`;
  return { shape, values: roomFor("make weights", what, 20 * size, () => new Float32Array(size)) };
}
