/**
 * The codec of an autoencoder, and its file.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../base/_shape.ts";
import { WORK_OPTIONS, type WorkOptions } from "../compute/work_options.ts";
import { DatasetError } from "../base/errors.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { openTrainingBackend } from "../training/backend.ts";
import type { TrainingBackendKind } from "../training/backend.ts";
import { readIfThere } from "../training/checkpoint.ts";
import { decodeSafetensors, encodeSafetensors } from "../training/safetensors.ts";
import { weightTensors } from "../training/weights.ts";
import type { Weights } from "../training/weights.ts";
import { half, initialAutoencoder } from "./_autoencoder_network.ts";
import type { AutoencoderSizes } from "./_autoencoder_network.ts";
import { fromComponents, inBatches, toComponents } from "./_autoencoder_rows.ts";
import type { TrainedAutoencoder } from "./autoencoder.ts";
import type { Codec } from "./codec.ts";

/** Options of {@linkcode autoencoderCodec}. */
export interface AutoencoderCodecOptions {
  /** Where to compute. Default `"auto"`. */
  readonly backend?: TrainingBackendKind;
}

const OPTIONS = { backend: undefined } satisfies OptionTable<AutoencoderCodecOptions>;

/**
 * A trained autoencoder as a codec, for any denoiser and sampler.
 *
 * Latents of the data that it was trained on have mean zero and unit variance in each coordinate; unlike principal
 * components they may be correlated.
 *
 * @param trained The autoencoder.
 * @param options Where to compute.
 * @returns The codec. Dispose it after use. It throws a `RangeError` if a result is not finite.
 * @throws {DeviceError} If the backend asked for is not there.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { autoencoderCodec, encodeDataset, tinyShapes } from "@closedform/diffusion";
 * import { trainAutoencoder } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const data = tinyShapes(100);
 * using codec = await autoencoderCodec(await trainAutoencoder(data, { latentDimension: 8, steps: 5 }));
 * const latents = await encodeDataset(data, codec);
 * assert.deepEqual([latents.count, latents.shape], [100, [8]]);
 * ```
 */
export async function autoencoderCodec(
  trained: TrainedAutoencoder,
  options: AutoencoderCodecOptions = {},
): Promise<Codec> {
  checkOptionNames("open an autoencoder", options, OPTIONS);
  const { shape, latentDimension, components, width, step, data } = trained;
  const backend = await openTrainingBackend(options.backend);
  const d = sizeOf(shape);
  const frame = backend.run(() => weightTensors(trained.frame));
  const weights = backend.run(() => weightTensors(trained.weights));
  const { latentMean, latentDeviation } = frame;
  const run = async (
    action: string,
    values: Float32Array,
    [from, to]: [number, number],
    map: (rows: AnyTensor) => AnyTensor,
    work: WorkOptions = {},
  ) => {
    checkOptionNames(action, work, WORK_OPTIONS);
    checkRows(action, values, from);
    const mapped = await inBatches({
      count: values.length / from,
      width: to,
      rows: (first, rows) =>
        tf.tensor(values.slice(first * from, (first + rows) * from), [rows, from]),
      map,
      backend,
      ...work,
    });
    checkFinite(action, mapped);
    return mapped;
  };
  return {
    label:
      `autoencoder of ${latentDimension} latents, ${components} components, ${width} neurons, ${step} steps on ${data}`,
    references: [
      "C. Scarvelis, J. Solomon (2024), Nuclear norm regularization for deep learning, arXiv:2405.14544",
    ],
    shape,
    latentDimension,
    encode: (samples, work) =>
      run("encode", samples, [d, latentDimension], (x) => {
        const { value } = half("encoder", weights, toComponents(frame, x));
        return tf.div(tf.sub(value, latentMean), latentDeviation);
      }, work),
    decode: (latents, work) =>
      run("decode", latents, [latentDimension, d], (y) => {
        const { value } = half("decoder", weights, tf.add(tf.mul(y, latentDeviation), latentMean));
        return fromComponents(frame, value);
      }, work),
    [Symbol.dispose]() {
      tf.dispose([...Object.values(frame), ...Object.values(weights)]);
      backend[Symbol.dispose]();
    },
  };
}

function checkRows(action: string, rows: Float32Array, width: number): void {
  if (rows.length > 0 && rows.length % width === 0) return;
  throw new TypeError(
    `Cannot ${action}: received ${rows.length} numbers, wanted whole rows of ${width}`,
  );
}

function checkFinite(action: string, rows: Float32Array): void {
  const at = rows.findIndex((v) => !Number.isFinite(v));
  if (at < 0) return;
  throw new RangeError(
    `Cannot ${action} by an autoencoder: number ${at} came out as ${
      rows[at]
    }, wanted finite numbers`,
  );
}

const FORMAT = "closedform-diffusion autoencoder";

/**
 * Encodes a trained autoencoder as a safetensors file, bit for bit.
 *
 * @param trained The autoencoder.
 * @returns The bytes of the file.
 *
 * @example
 * ```ts
 * import { moons } from "@closedform/diffusion";
 * import { decodeAutoencoder, encodeAutoencoder, trainAutoencoder } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const trained = await trainAutoencoder(moons(100), { latentDimension: 1, steps: 2 });
 * assert.deepEqual(decodeAutoencoder(encodeAutoencoder(trained), "x.safetensors"), trained);
 * ```
 */
export function encodeAutoencoder(trained: TrainedAutoencoder): Uint8Array {
  const { shape, components, latentDimension, width, weights, frame, step, data } = trained;
  const prefixed = (part: string, group: Weights) =>
    Object.fromEntries(Object.entries(group).map(([name, w]) => [`${part}/${name}`, w]));
  return encodeSafetensors({
    weights: { ...prefixed("weights", weights), ...prefixed("frame", frame) },
    notes: {
      format: FORMAT,
      sizes: JSON.stringify({ shape, components, latentDimension, width }),
      step: String(step),
      data,
    },
  });
}

/**
 * Decodes a trained autoencoder.
 *
 * @param bytes The bytes of the file.
 * @param file The file's name, for messages.
 * @returns The autoencoder.
 * @throws {DatasetError} If the file is damaged, ends early, or is no trained autoencoder.
 *
 * @example
 * ```ts
 * import { DatasetError } from "@closedform/diffusion";
 * import { decodeAutoencoder } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => decodeAutoencoder(new Uint8Array(3), "x.safetensors"), DatasetError);
 * ```
 */
export function decodeAutoencoder(bytes: Uint8Array, file: string): TrainedAutoencoder {
  const { weights: arrays, notes } = decodeSafetensors(bytes, file);
  if (notes.format !== FORMAT) {
    throw new DatasetError(file, "other contents", "a trained autoencoder");
  }
  const sizes = sizesOf(notes.sizes, file);
  const part = (prefix: string): Weights =>
    Object.fromEntries(
      Object.entries(arrays).filter(([name]) => name.startsWith(prefix)).map((
        [name, weight],
      ) => [name.slice(prefix.length), weight]),
    );
  const weights = part("weights/"), frame = part("frame/");
  const shapesOf = (group: Readonly<Record<string, { readonly shape: readonly number[] }>>) =>
    Object.keys(group).sort().map((name) => `${name} [${group[name].shape}]`).join();
  const { shape, components, latentDimension } = sizes, d = sizeOf(shape);
  const wanted = {
    mean: { shape: [d] },
    basis: { shape: [components, d] },
    scale: { shape: [1] },
    latentMean: { shape: [latentDimension] },
    latentDeviation: { shape: [latentDimension] },
  };
  if (
    shapesOf(frame) !== shapesOf(wanted) ||
    shapesOf(weights) !== shapesOf(initialAutoencoder(sizes, 0))
  ) {
    throw new DatasetError(file, "weights of other shapes", `those of sizes ${notes.sizes}`);
  }
  return { ...sizes, weights, frame, step: Number(notes.step), data: notes.data };
}

function sizesOf(text: string, file: string): AutoencoderSizes & { shape: number[] } {
  try {
    const { shape, components, latentDimension, width } = JSON.parse(text);
    const all = [...shape, components, latentDimension, width];
    if (shape.length > 0 && all.every((n) => Number.isInteger(n) && n > 0)) {
      return { shape, components, latentDimension, width };
    }
  } catch (cause) {
    throw new DatasetError(file, `sizes ${text}`, "those of an autoencoder", { cause });
  }
  throw new DatasetError(file, `sizes ${text}`, "those of an autoencoder");
}

/**
 * Opens the autoencoder of a file as a codec.
 *
 * @param file Which, a safetensors file as {@linkcode encodeAutoencoder} makes it.
 * @param options Where to compute.
 * @returns The codec. Dispose it after use.
 * @throws {DatasetError} If there is no such file, it is damaged, ends early, or is no trained autoencoder.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { loadAutoencoder, moons } from "@closedform/diffusion";
 * import { encodeAutoencoder, trainAutoencoder, writeWhole } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * const trained = await trainAutoencoder(moons(100), { latentDimension: 1, steps: 2 });
 * await writeWhole(`${folder}/moons.safetensors`, encodeAutoencoder(trained));
 * using codec = await loadAutoencoder(`${folder}/moons.safetensors`);
 * assert.equal(codec.latentDimension, 1);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function loadAutoencoder(
  file: string,
  options: AutoencoderCodecOptions = {},
): Promise<Codec> {
  checkOptionNames(`load ${file}`, options, OPTIONS);
  const bytes = await readIfThere(file);
  if (!bytes) throw new DatasetError(file, "no such file", "a trained autoencoder");
  return await autoencoderCodec(decodeAutoencoder(bytes, file), options);
}
