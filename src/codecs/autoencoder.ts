/**
 * Training a small autoencoder.
 *
 * ```ts ignore
 * const data = await readMnist("data/mnist");
 * const trained = await trainAutoencoder(data, {
 *   latentDimension: 32,
 *   onStep: ({ step, loss, remaining }) => console.log(step, loss, remaining),
 * });
 * await writeWhole("mnist.safetensors", encodeAutoencoder(trained));
 * using codec = await loadAutoencoder("mnist.safetensors"); // or --codec autoencoder:mnist.safetensors
 * ```
 *
 * From the command line: `deno task train:codec`.
 *
 * @module
 */
import { optionsFor, type OptionTable, type Read, readOptions } from "../base/_options.ts";
import { ADAM_OPTIONS } from "../training/_check_adam.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { Dataset } from "../datasets/dataset.ts";
import { directionsOf } from "../denoisers/gaussian/_spectrum_rounding.ts";
import { dataSpectrum, lowRank } from "../denoisers/gaussian/spectrum.ts";
import type { SpectrumOptions } from "../denoisers/gaussian/spectrum.ts";
import { RandomStream } from "../base/random.ts";
import { checkWhole } from "../base/_checks.ts";
import { stopButton } from "../base/stop_button.ts";
import { startClock } from "../training/_pace.ts";
import { beginOptimising } from "../training/adam.ts";
import type { AdamOptions } from "../training/adam.ts";
import { openTrainingBackend } from "../training/backend.ts";
import type { TrainingBackend, TrainingBackendKind } from "../training/backend.ts";
import { optimise } from "../training/optimise.ts";
import type { TrainingStep } from "../training/trainer.ts";
import { copyWeights, weightTensors } from "../training/weights.ts";
import type { Weights } from "../training/weights.ts";
import { autoencoderLoss, half, initialAutoencoder } from "./_autoencoder_network.ts";
import type { AutoencoderSizes } from "./_autoencoder_network.ts";
import { inBatches, toComponents } from "./_autoencoder_rows.ts";

/** An autoencoder with its weights. */
export interface TrainedAutoencoder {
  /** The shape of one sample, channels last. */
  readonly shape: readonly number[];
  /** Components of the data that it sees, `k`. */
  readonly components: number;
  /** Numbers per latent, `r`. */
  readonly latentDimension: number;
  /** Hidden neurons of the encoder, and as many of the decoder. */
  readonly width: number;
  /** What was learned: the average over training. */
  readonly weights: Weights;
  /** What was not: `mean` and `basis` of the data, their `scale`, and mean and deviation of the latents. */
  readonly frame: Weights;
  /** Steps that it was trained for. */
  readonly step: number;
  /** What it was trained on, in a few words. */
  readonly data: string;
}

/** Options of {@linkcode trainAutoencoder}. */
export interface AutoencoderOptions extends AdamOptions, Pick<SpectrumOptions, "cache"> {
  /** Numbers per latent, `r`. Default: the smaller of 32 and the number of components. */
  readonly latentDimension?: number;
  /** Principal components that the network sees, `k`. Default: 256, or all if there are fewer. */
  readonly components?: number;
  /** Hidden neurons of the encoder, and as many of the decoder. Default 512. */
  readonly width?: number;
  /** How much enlarging small noise counts, `s`, in units of the root mean variance of the components. Default 0.1. */
  readonly stability?: number;
  /** Steps in all. Default 3000. */
  readonly steps?: number;
  /** Items per step. Default 128. */
  readonly batchSize?: number;
  /** Seed of the first weights and of the items of each step. Default 0. */
  readonly seed?: number;
  /** Where to compute. Default `"auto"`. */
  readonly backend?: TrainingBackendKind;
  /** Called after every step. */
  readonly onStep?: (step: Omit<TrainingStep, "snapshot">) => void | Promise<void>;
  /** Cancels the training, which then rejects with `signal.reason`. So does the Stop button of a notebook. */
  readonly signal?: AbortSignal;
}

const ACTION = "train an autoencoder";

const OPTIONS = {
  ...ADAM_OPTIONS,
  latentDimension: undefined,
  components: undefined,
  width: 512,
  stability: 0.1,
  steps: 3000,
  batchSize: 128,
  seed: 0,
  backend: undefined,
  cache: undefined,
  onStep: undefined,
  signal: undefined,
} satisfies OptionTable<AutoencoderOptions>;

/**
 * Trains a small autoencoder whose encoder and decoder do not enlarge small noise, so that averages of latents decode
 * sensibly.
 *
 * ```text
 * c = U(x−μ)/γ,   y = A c + W₂ elu(W₁ c + b₁) + b₂,   ĉ = A' y + W₄ elu(W₃ y + b₃) + b₄
 * E ‖ĉ − c‖²/2 + s²/2 Σ_stages E ‖J_stage‖²_F
 * ```
 *
 * It sees the leading principal components `U` of the data, in units `γ` of their root mean variance, and starts as
 * their projection onto the first `r`: what it learns is how the data bend away from a plane. (The reference sees
 * low cosine frequencies: of MNIST, 256 of them leave out 7.7 % of the variance, 256 components 2.0 %.) The term of
 * noise stability is that of the reference in the limit of small noise, where dense layers give it in closed form,
 * taken over both stages of encoder and decoder: over the encoder alone it could be made small by small latents
 * and a large decoder. Afterwards latents are centred and divided by their standard deviations.
 *
 * The same options give the same bits on the same backend.
 *
 * Reference: C. Scarvelis, J. Solomon (2024), arXiv:2405.14544; D.-A. Clevert, T. Unterthiner, S. Hochreiter (2015),
 * arXiv:1511.07289.
 *
 * @param dataset The data, of any shape.
 * @param options Sizes, stability, steps, step size, and whom to tell the progress.
 * @returns The autoencoder, for `autoencoderCodec()` and `encodeAutoencoder()`.
 * @throws {RangeError} If an option is out of range, there are fewer components than numbers per latent, the items
 * are all the same, or the loss is not finite.
 * @throws {DeviceError} If the backend asked for is not there.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { tinyShapes } from "@closedform/diffusion";
 * import { trainAutoencoder } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const losses: number[] = [];
 * const { latentDimension } = await trainAutoencoder(tinyShapes(100), {
 *   latentDimension: 8,
 *   steps: 20,
 *   onStep: ({ loss }) => void losses.push(loss),
 * });
 * assert.equal(latentDimension, 8);
 * assert.ok(losses[19] < losses[0]);
 * ```
 */
export async function trainAutoencoder(
  dataset: Dataset,
  options: AutoencoderOptions = {},
): Promise<TrainedAutoencoder> {
  const settings = readOptions(ACTION, options, OPTIONS);
  const { stability, steps, batchSize, seed, onStep } = settings;
  using stop = stopButton(settings.signal);
  const { signal } = stop;
  const { frame, ...sizes } = await frameOf(dataset, settings);
  using backend = await openTrainingBackend(settings.backend);
  const coordinates = await coordinatesOf(dataset, frame, backend, signal);
  const state = beginOptimising(initialAutoencoder(sizes, seed));
  const loss = (tensors: Readonly<Record<string, tf.Tensor>>, step: number) =>
    autoencoderLoss(
      tensors,
      batchOf(coordinates, sizes.components, step, batchSize, seed),
      stability,
    );
  const paceAt = startClock(0, steps, batchSize);
  const adam = optionsFor(ADAM_OPTIONS, settings);
  for await (
    const { step, loss: value } of optimise(loss, state, { ...adam, signal, backend, steps })
  ) {
    await onStep?.({ step, steps, loss: value, ...paceAt(step) });
  }
  const weights = copyWeights(state.average);
  const latents = await latentsOf(coordinates, dataset.count, weights, backend, signal);
  return {
    shape: dataset.shape,
    ...sizes,
    weights,
    frame: { ...frame, ...momentsOf(latents, sizes.latentDimension) },
    step: state.step,
    data: dataset.name,
  };
}

/** The sizes of the network, and the components that it sees. */
async function frameOf(
  dataset: Dataset,
  settings: Read<AutoencoderOptions, typeof OPTIONS>,
): Promise<AutoencoderSizes & { frame: Weights }> {
  const { dimension: d } = dataset,
    { cache, signal, width, stability, steps, batchSize } = settings;
  const { components: most = Math.min(256, d), latentDimension: wanted = 1 } = settings;
  const counts = { components: most, latentDimension: wanted, width, steps, batchSize };
  for (const [name, value] of Object.entries(counts)) checkWhole(ACTION, name, value, 1);
  if (!(stability >= 0 && stability < Infinity)) {
    throw new RangeError(`Cannot ${ACTION}: stability is ${stability}, wanted a number >= 0`);
  }
  const whole = await dataSpectrum(dataset, {
    rank: most,
    signal,
    ...(cache !== undefined && { cache }),
  });
  const components = directionsOf(whole);
  if (components === 0) {
    throw new RangeError(
      `Cannot ${ACTION}: the ${dataset.count} items of ${dataset.name} are all the same, wanted some that differ`,
    );
  }
  const { mean, variances, basis } = lowRank(whole, components);
  const { latentDimension = Math.max(1, Math.min(32, components)) } = settings;
  if (latentDimension > components) {
    throw new RangeError(
      `Cannot ${ACTION}: latentDimension is ${latentDimension}, wanted at most ${components}, the components of the data`,
    );
  }
  const variance = variances.reduce((sum, v) => sum + v, 0) / components;
  const frame = {
    mean: { shape: [d], values: Float32Array.from(mean) },
    basis: { shape: [components, d], values: Float32Array.from(basis) },
    scale: { shape: [1], values: Float32Array.of(Math.sqrt(variance)) },
  };
  return { components, latentDimension, width, frame };
}

/** The items of one step, drawn with replacement, as rows of components. */
function batchOf(
  coordinates: Float32Array,
  width: number,
  step: number,
  batchSize: number,
  seed: number,
): tf.Tensor {
  const random = new RandomStream({ seed, purpose: "training", step });
  const rows = new Float32Array(batchSize * width);
  for (let b = 0; b < batchSize; b++) {
    const i = random.below(coordinates.length / width);
    rows.set(coordinates.subarray(i * width, (i + 1) * width), b * width);
  }
  return tf.tensor(rows, [batchSize, width]);
}

/** All items in components: they are computed once, and not at every step. */
async function coordinatesOf(
  dataset: Dataset,
  frame: Weights,
  backend: TrainingBackend,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { count, dimension } = dataset;
  const tensors = backend.run(() => weightTensors(frame));
  try {
    return await inBatches({
      count,
      width: frame.basis.shape[0],
      rows(first, rows) {
        const x = new Float32Array(rows * dimension);
        for (let i = 0; i < rows; i++) x.set(dataset.values(first + i), i * dimension);
        return tf.tensor(x, [rows, dimension]);
      },
      map: (x) => toComponents(tensors, x),
      backend,
      signal,
    });
  } finally {
    tf.dispose(Object.values(tensors));
  }
}

async function latentsOf(
  coordinates: Float32Array,
  count: number,
  weights: Weights,
  backend: TrainingBackend,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const [components, latentDimension] = weights["encoder.linear"].shape;
  const tensors = backend.run(() => weightTensors(weights));
  try {
    return await inBatches({
      count,
      width: latentDimension,
      rows: (first, rows) =>
        tf.tensor(coordinates.slice(first * components, (first + rows) * components), [
          rows,
          components,
        ]),
      map: (x) => half("encoder", tensors, x).value,
      backend,
      signal,
    });
  } finally {
    tf.dispose(Object.values(tensors));
  }
}

/** Mean and standard deviation of each column; 1 for columns that do not vary. */
function momentsOf(rows: Float32Array, width: number): Weights {
  const count = rows.length / width;
  const mean = new Float64Array(width), square = new Float64Array(width);
  rows.forEach((v, i) => mean[i % width] += v / count);
  rows.forEach((v, i) => square[i % width] += (v - mean[i % width]) ** 2 / count);
  const deviation = square.map((v) => v > 0 ? Math.sqrt(v) : 1);
  return {
    latentMean: { shape: [width], values: Float32Array.from(mean) },
    latentDeviation: { shape: [width], values: Float32Array.from(deviation) },
  };
}
