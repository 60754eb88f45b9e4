/**
 * The loss of denoisers: how far a network is from the clean data.
 *
 * @module
 */
import { readOptions } from "../base/_options.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { Dataset } from "../datasets/dataset.ts";
import { denoiseGaussian } from "../denoisers/gaussian/gaussian_law.ts";
import type { Preconditioning } from "../denoisers/preconditioning.ts";
import { RandomStream } from "../base/random.ts";
import { checkPositive, checkWhole } from "../base/_checks.ts";
import { LEVEL_OPTIONS, LOSS_OPTIONS } from "./_loss_options.ts";
import type { Network } from "./network.ts";
import type { Loss } from "./optimise.ts";
import type { DenoisingLossOptions } from "./_loss_options.ts";

export type { DenoisingLossOptions, NoiseLevels } from "./_loss_options.ts";

const ACTION = "train a denoiser";

/** What a step of training sees: rows of `d` numbers. */
export interface TrainingBatch {
  /** What the network is given, `c_in x`. */
  readonly inputs: Float32Array;
  /** What it is told of the noise level, `c_noise`. */
  readonly noise: Float32Array;
  /** What it should say, `(x₀ − c_skip x)/c_out`, or `(x₀ − D_G(x, σ))/c_out` with a Gaussian as control variate. */
  readonly targets: Float32Array;
  /** What its squared error counts, `λ c_out²`: 1 with EDM's weights. */
  readonly weights: Float32Array;
  /** The noise levels. */
  readonly sigmas: Float64Array;
}

/**
 * What one step of training sees: items drawn with replacement, each with a noise level and noise of its own.
 *
 * ```text
 * x = x₀ + σε,   ln σ ~ N(-1.2, 1.2²)
 * ```
 *
 * Each row depends on the seed, the step and its place only.
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364.
 *
 * @param dataset The data.
 * @param preconditioning What the network sees.
 * @param step The step, from 0.
 * @param options Batch size, default 128; seed, default 0; noise levels.
 * @returns The batch.
 * @throws {TypeError} If there is no such option.
 *
 * @example The target has unit variance, whatever the noise
 * ```ts
 * import { tinyShapes } from "@closedform/diffusion";
 * import { edmPreconditioning } from "@closedform/diffusion/training";
 * import { trainingBatch } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const batch = trainingBatch(tinyShapes(100), edmPreconditioning(0.7), 0);
 * const variance = batch.targets.reduce((sum, v) => sum + v * v, 0) / batch.targets.length;
 * assert.ok(variance > 0.7 && variance < 1.3);
 * ```
 */
export function trainingBatch(
  dataset: Dataset,
  preconditioning: Preconditioning,
  step: number,
  options: DenoisingLossOptions = {},
): TrainingBatch {
  const { batchSize, seed, levels = {} } = readOptions(ACTION, options, LOSS_OPTIONS);
  const { mean, deviation } = readOptions(ACTION, levels, LEVEL_OPTIONS);
  const d = dataset.dimension, { law } = preconditioning;
  const inputs = new Float32Array(batchSize * d), targets = new Float32Array(batchSize * d);
  const noise = new Float32Array(batchSize), weights = new Float32Array(batchSize);
  const sigmas = new Float64Array(batchSize), x = new Float64Array(d);
  for (let b = 0, at = 0; b < batchSize; b++) {
    const random = new RandomStream({ seed, sample: b, purpose: "training", step });
    const clean = dataset.values(random.below(dataset.count));
    const sigma = sigmas[b] = Math.exp(mean + deviation * random.normal());
    const scales = preconditioning.scales(sigma);
    noise[b] = scales.noise;
    weights[b] = preconditioning.weight(sigma) * scales.out ** 2;
    for (let c = 0; c < d; c++) x[c] = clean[c] + sigma * random.normal();
    const known = law && denoiseGaussian(law, x, sigma);
    for (let c = 0; c < d; c++, at++) {
      inputs[at] = scales.in * x[c];
      targets[at] = (clean[c] - scales.skip * x[c] - (known?.[c] ?? 0)) / scales.out;
    }
  }
  return { inputs, noise, targets, weights, sigmas };
}

/**
 * The loss of a denoiser, averaged over rows and coordinates.
 *
 * ```text
 * λ(σ) ‖D − x₀‖² = λ c_out² ‖F − (x₀ − c_skip x)/c_out‖²
 * ```
 *
 * The right side is computed: it does not subtract large from nearly equal numbers at small noise.
 *
 * @param network The network.
 * @param dataset The data, of the shape of the network.
 * @param preconditioning What the network sees.
 * @param options Batch size, seed, noise levels.
 * @returns The loss, for `optimise()`.
 * @throws {TypeError} If the data are not of the network's shape, or the law of a control variate of another.
 * @throws {RangeError} If an option is out of range.
 *
 * @example
 * ```ts
 * import { moons } from "@closedform/diffusion";
 * import { edmPreconditioning } from "@closedform/diffusion/training";
 * import { denoisingLoss, mlp } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => denoisingLoss(mlp({ shape: [3] }), moons(10), edmPreconditioning()), TypeError);
 * ```
 */
export function denoisingLoss(
  network: Network,
  dataset: Dataset,
  preconditioning: Preconditioning,
  options: DenoisingLossOptions = {},
): Loss {
  const { batchSize, levels = {} } = readOptions(ACTION, options, LOSS_OPTIONS);
  const { deviation } = readOptions(ACTION, levels, LEVEL_OPTIONS);
  checkWhole(ACTION, "batchSize", batchSize, 1);
  checkPositive(ACTION, "the deviation of the noise levels", deviation);
  if (network.shape.join() !== dataset.shape.join()) {
    throw new TypeError(
      `Cannot train a denoiser: the network is for shape [${network.shape}], ` +
        `wanted [${dataset.shape}], that of the items of ${dataset.name}`,
    );
  }
  const { law } = preconditioning;
  if (law && law.mean.length !== dataset.dimension) {
    throw new TypeError(
      `Cannot train a denoiser: the law is of ${law.mean.length} numbers, wanted ${dataset.dimension}`,
    );
  }
  return (tensors, step) => {
    const batch = trainingBatch(dataset, preconditioning, step, options);
    const shape = [batchSize, ...dataset.shape];
    const column = [batchSize, ...dataset.shape.map(() => 1)];
    const output = network.apply(
      tensors,
      tf.tensor(batch.inputs, shape),
      tf.tensor(batch.noise, [batchSize, 1]),
    );
    const error = tf.sub(output, tf.tensor(batch.targets, shape));
    // Rows are weighed before they are squared, by the root: one product less.
    const weighed = batch.weights.every((w) => Math.abs(w - 1) < 1e-6)
      ? error
      : tf.mul(error, tf.tensor(batch.weights.map(Math.sqrt), column));
    return tf.mean(tf.square(weighed));
  };
}
