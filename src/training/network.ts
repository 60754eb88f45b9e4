/**
 * What a trainer knows of a network.
 *
 * @module
 */
import type { AnyTensor } from "../states/linear_space.ts";
import type { Weights, WeightTensors } from "./weights.ts";

/** What a network is made from, for files: plain data with a kind. */
export interface NetworkConfig {
  /** Which network, for instance `"mlp"`. */
  readonly kind: string;
  /** Everything else that it takes to make it again. */
  readonly [option: string]: unknown;
}

/** A network `F(x, c_noise)` as a function of its weights. */
export interface Network {
  /** What it is, in a few words. */
  readonly label: string;
  /** What makes it again. */
  readonly config: NetworkConfig;
  /** The shape of one sample, channels last. */
  readonly shape: readonly number[];
  /** The weights that training starts from. */
  initial(): Weights;
  /**
   * Evaluates the network, in operations that tfjs can differentiate.
   *
   * @param weights The weights.
   * @param x A batch, `[B, …shape]`.
   * @param noise What the network is told of the noise level, `[B, 1]`.
   * @returns A batch of the shape of `x`.
   */
  apply(weights: WeightTensors, x: AnyTensor, noise: AnyTensor): AnyTensor;
}
