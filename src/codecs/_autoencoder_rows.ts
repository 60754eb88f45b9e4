/** Rows of an autoencoder: batch by batch through tensors, and between data, components and latents. */
import { turn } from "../base/_turns.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { WorkOptions } from "../compute/work_options.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { TrainingBackend } from "../training/backend.ts";
import { product } from "../training/layers.ts";
import type { WeightTensors } from "../training/weights.ts";

// Rows that are computed at a time.
const BATCH = 512;

/** What {@linkcode inBatches} maps. */
export interface BatchedMap extends WorkOptions {
  /** Rows in all. */
  readonly count: number;
  /** Numbers per row that comes out. */
  readonly width: number;
  /** Some of the rows that go in. */
  rows(first: number, count: number): AnyTensor;
  /** What becomes of them. */
  map(rows: AnyTensor): AnyTensor;
  /** Where to compute. */
  readonly backend: TrainingBackend;
}

/** Maps rows batch by batch; leaves no tensors. */
export async function inBatches(
  { count, width, rows, map, backend, signal, onProgress }: BatchedMap,
): Promise<Float32Array> {
  const all = new Float32Array(count * width);
  for (let first = 0; first < count; first += BATCH) {
    await turn(signal);
    const some = Math.min(BATCH, count - first);
    const mapped = backend.run(() => tf.tidy(() => map(rows(first, some))));
    try {
      all.set(await mapped.data() as Float32Array, first * width);
    } finally {
      mapped.dispose();
    }
    onProgress?.(first + some, count);
  }
  return all;
}

/** Components of samples, `U(x−μ)/γ`. */
export function toComponents({ mean, basis, scale }: WeightTensors, x: AnyTensor): AnyTensor {
  return tf.div(product(tf.sub(x, mean), tf.transpose(basis)), scale);
}

/** Samples from components, `μ + γ Uᵀc`. */
export function fromComponents({ mean, basis, scale }: WeightTensors, c: AnyTensor): AnyTensor {
  return tf.add(product(tf.mul(c, scale), basis), mean);
}
