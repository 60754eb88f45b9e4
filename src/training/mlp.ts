/**
 * A small network of dense layers: enough for points and tiny images.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../base/_shape.ts";
import { noiseFeatures, noiseFrequencies } from "./_noise_features.ts";
import { checkWhole } from "../base/_checks.ts";
import { dense, silu } from "./layers.ts";
import type { Network } from "./network.ts";
import { normalWeight, zeroWeight } from "./weights.ts";
import type { Weight } from "./weights.ts";

/** Options of {@linkcode mlp}. */
export interface MlpOptions {
  /** The shape of one sample. */
  readonly shape: readonly number[];
  /** Neurons per hidden layer. Default 256. */
  readonly width?: number;
  /** Hidden layers. Default 3. */
  readonly layers?: number;
  /** Waves of the noise level, each a cosine and a sine. Default 8. */
  readonly frequencies?: number;
  /** Seed of the weights and frequencies. Default 0. */
  readonly seed?: number;
}

const OPTIONS = {
  shape: undefined,
  width: 256,
  layers: 3,
  frequencies: 8,
  seed: 0,
} satisfies OptionTable<MlpOptions>;

/**
 * A multilayer perceptron over all numbers of a sample and waves of the noise level.
 *
 * ```text
 * [x, cos(2πf c_noise), sin(2πf c_noise)] → width → … → width → d,   SiLU between,   f ~ N(0, 1)
 * ```
 *
 * Weights start from `N(0, 1/fan-in)`; biases and the last layer from zero, so that the network says nothing at first.
 *
 * @param options The sizes.
 * @returns The network.
 * @throws {RangeError} If a size is not a whole number ≥ 1.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { mlp } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const weights = mlp({ shape: [12, 12, 1] }).initial();
 * assert.equal(Object.values(weights).reduce((sum, { values }) => sum + values.length, 0), 209_808);
 * ```
 */
export function mlp(options: MlpOptions): Network {
  const { shape, width, layers, frequencies, seed } = readOptions(
    "make a network",
    options,
    OPTIONS,
  );
  for (const [name, value] of Object.entries({ width, layers, frequencies })) {
    checkWhole("make a network", name, value, 1);
  }
  const d = sizeOf(shape), waves = noiseFrequencies(frequencies, seed);
  const sides = [d + 2 * frequencies, ...Array<number>(layers).fill(width), d];
  return {
    label: `network of ${layers} × ${width} neurons`,
    config: { kind: "mlp", shape, width, layers, frequencies, seed },
    shape,
    initial() {
      const weights: Record<string, Weight> = {};
      for (let k = 0; k <= layers; k++) {
        const sizes = [sides[k], sides[k + 1]];
        weights[`${k}.weight`] = k < layers
          ? normalWeight(sizes, sides[k], seed, k)
          : zeroWeight(sizes);
        weights[`${k}.bias`] = zeroWeight([sides[k + 1]]);
      }
      return weights;
    },
    apply(weights, x, noise) {
      let h = tf.concat([tf.reshape(x, [-1, d]), noiseFeatures(noise, waves)], 1);
      for (let k = 0; k <= layers; k++) {
        h = dense(k > 0 ? silu(h) : h, weights[`${k}.weight`], weights[`${k}.bias`]);
      }
      return tf.reshape(h, x.shape);
    },
  };
}
