/** The network of an autoencoder, between components of the data and latents: tensors in, tensors out. */
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor } from "../states/linear_space.ts";
import { addToRows, dense, product } from "../training/layers.ts";
import { normalWeight, zeroWeight } from "../training/weights.ts";
import type { Weight, Weights, WeightTensors } from "../training/weights.ts";

/** The sizes of the network. */
export interface AutoencoderSizes {
  /** Numbers in, `k`: components of the data. */
  readonly components: number;
  /** Numbers in the middle, `r`. */
  readonly latentDimension: number;
  /** Hidden neurons of the encoder, and as many of the decoder. */
  readonly width: number;
}

type Half = "encoder" | "decoder";

/**
 * The weights that training starts from: the linear parts keep the first components, the curved parts say nothing, so
 * that the first autoencoder is the principal components' own.
 */
export function initialAutoencoder(sizes: AutoencoderSizes, seed: number): Weights {
  const { components, latentDimension, width } = sizes;
  const half = (name: Half, inputs: number, outputs: number, layer: number) => ({
    [`${name}.linear`]: identity(inputs, outputs),
    [`${name}.in.weight`]: normalWeight([inputs, width], inputs, seed, layer),
    [`${name}.in.bias`]: zeroWeight([width]),
    [`${name}.out.weight`]: zeroWeight([width, outputs]),
    [`${name}.out.bias`]: zeroWeight([outputs]),
  });
  return {
    ...half("encoder", components, latentDimension, 0),
    ...half("decoder", latentDimension, components, 1),
  };
}

function identity(rows: number, columns: number): Weight {
  const values = new Float32Array(rows * columns);
  for (let i = 0; i < Math.min(rows, columns); i++) values[i * columns + i] = 1;
  return { shape: [rows, columns], values };
}

/**
 * One half of the network, `A x + W' elu(W x + b) + b'`.
 *
 * @returns Its value, and the slopes of the activations, `[B, width]`.
 */
export function half(
  name: Half,
  weights: WeightTensors,
  x: AnyTensor,
): { value: AnyTensor; slopes: AnyTensor } {
  const of = (part: string) => weights[`${name}.${part}`];
  const a = dense(x, of("in.weight"), of("in.bias"));
  const slopes = tf.exp(tf.minimum(a, 0));
  const hidden = tf.add(tf.relu(a), tf.sub(slopes, 1));
  const curved = addToRows(product(hidden, of("out.weight")), of("out.bias"));
  return { value: tf.add(product(x, of("linear")), curved), slopes };
}

/**
 * How much the two stages of a half of the network enlarge small noise: what is not the same whatever the weights, of
 *
 * ```text
 * E_n ‖f(x+τn) − f(x)‖²/τ²  →  ‖J_f(x)‖²_F   as τ → 0,   n ~ N(0, I)
 * ```
 *
 * The first stage is `x ↦ (x, elu(Wx+b))`, the second linear, so that both have a closed form.
 */
export function noiseGain(name: Half, weights: WeightTensors, slopes: AnyTensor): AnyTensor {
  const of = (part: string) => weights[`${name}.${part}`];
  const rows = slopes.shape[0]!;
  const meanSquare = product(tf.fill([1, rows], 1 / rows), tf.square(slopes));
  return tf.addN([
    tf.sum(tf.mul(meanSquare, tf.sum(tf.square(of("in.weight")), 0))),
    tf.sum(tf.square(of("out.weight"))),
    tf.sum(tf.square(of("linear"))),
  ]);
}

/**
 * The loss, a scalar.
 *
 * ```text
 * E ‖x̂ − x‖²/2 + s²/2 (noise gain of the encoder + noise gain of the decoder)
 * ```
 */
export function autoencoderLoss(
  weights: WeightTensors,
  x: AnyTensor,
  stability: number,
): AnyTensor {
  const encoded = half("encoder", weights, x);
  const decoded = half("decoder", weights, encoded.value);
  const error = tf.mul(tf.sum(tf.square(tf.sub(decoded.value, x))), 0.5 / x.shape[0]!);
  if (stability === 0) return error;
  const gain = tf.add(
    noiseGain("encoder", weights, encoded.slopes),
    noiseGain("decoder", weights, decoded.slopes),
  );
  return tf.add(error, tf.mul(gain, stability ** 2 / 2));
}
