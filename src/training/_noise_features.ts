/** What networks see of the noise level: waves of `c_noise` with random, fixed frequencies. */
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor } from "../states/linear_space.ts";
import { RandomStream } from "../base/random.ts";

/**
 * Frequencies from N(0, 1), times 2π.
 *
 * @param count How many.
 * @param seed The seed.
 */
export function noiseFrequencies(count: number, seed: number): Float32Array {
  const stream = new RandomStream({ seed, purpose: "weights", step: 1 });
  return Float32Array.from({ length: count }, () => 2 * Math.PI * stream.normal());
}

/**
 * Cosines and sines.
 *
 * @param noise `c_noise`, `[B, 1]`.
 * @param frequencies `f` of them.
 * @returns `[B, 2 f]`.
 */
export function noiseFeatures(noise: AnyTensor, frequencies: Float32Array): AnyTensor {
  const angles = tf.mul(noise, tf.tensor(frequencies.slice(), [1, frequencies.length]));
  return tf.concat([tf.cos(angles), tf.sin(angles)], 1);
}
