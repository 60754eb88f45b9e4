/**
 * Codecs: ways into a latent space and back, so that any denoiser and sampler can work there.
 *
 * @module
 */
import { checkOptionNames } from "../base/_options.ts";
import { WORK_OPTIONS, type WorkOptions } from "../compute/work_options.ts";
import { Dataset } from "../datasets/dataset.ts";

/** A way from samples to latents and back. */
export interface Codec extends Disposable {
  /** What it is, in a few words. */
  readonly label: string;
  /** Where it comes from: papers, one per entry. */
  readonly references: readonly string[];
  /** The shape of one sample, channels last. */
  readonly shape: readonly number[];
  /** Numbers per latent, `r`. */
  readonly latentDimension: number;
  /**
   * Latents of samples.
   *
   * @param samples Rows of `d` numbers in data units.
   * @returns Rows of `r` numbers, centred and of about unit variance.
   */
  encode(samples: Float32Array, options?: WorkOptions): Promise<Float32Array>;
  /**
   * Samples from latents.
   *
   * @param latents Rows of `r` numbers.
   * @returns Rows of `d` numbers in data units.
   */
  decode(latents: Float32Array, options?: WorkOptions): Promise<Float32Array>;
}

// Items that are encoded at a time.
const BATCH = 512;

/**
 * The latents of a data set, as a data set of points: labels and class names stay.
 *
 * @param dataset The data, of the codec's shape.
 * @param codec The codec.
 * @param options A signal that cancels; progress in items.
 * @returns The latents, `[N, r]`.
 * @throws {TypeError} If the data are not of the codec's shape.
 *
 * @example
 * ```ts
 * import { encodeDataset, moons, pcaCodec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const data = moons(100);
 * using codec = await pcaCodec(data, { rank: 1 });
 * const latents = await encodeDataset(data, codec);
 * assert.deepEqual([latents.count, latents.shape], [100, [1]]);
 * ```
 */
export async function encodeDataset(
  dataset: Dataset,
  codec: Codec,
  options: WorkOptions = {},
): Promise<Dataset> {
  checkOptionNames(`encode ${dataset.name}`, options, WORK_OPTIONS);
  if (dataset.shape.join() !== codec.shape.join()) {
    throw new TypeError(
      `Cannot encode ${dataset.name}: its items have shape [${dataset.shape}], wanted [${codec.shape}]`,
    );
  }
  const { count, dimension, labels, classNames, items } = dataset;
  const data = new Float32Array(count * codec.latentDimension);
  for (let first = 0; first < count; first += BATCH) {
    options.signal?.throwIfAborted();
    const rows = Math.min(BATCH, count - first);
    const samples = new Float32Array(rows * dimension);
    for (let i = 0; i < rows; i++) samples.set(dataset.values(first + i), i * dimension);
    data.set(await codec.encode(samples), first * codec.latentDimension);
    options.onProgress?.(first + rows, count);
  }
  return new Dataset({
    data,
    shape: [codec.latentDimension],
    name: `${dataset.name}, ${codec.label}`,
    ...(labels && { labels }),
    ...(classNames && { classNames }),
    ...(items && { items }),
  });
}
