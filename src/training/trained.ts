/**
 * Trained networks: their use as denoisers, and their files.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../base/_shape.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { neural } from "../denoisers/neural.ts";
import type { GaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { preconditioningOf } from "../denoisers/preconditioning.ts";
import type { Preconditioning } from "../denoisers/preconditioning.ts";
import { DatasetError } from "../base/errors.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { describe } from "./_describe.ts";
import type { TrainingBackend } from "./backend.ts";
import { readIfThere } from "./checkpoint.ts";
import { mlp } from "./mlp.ts";
import type { MlpOptions } from "./mlp.ts";
import type { Network, NetworkConfig } from "./network.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import type { StoredPrecision } from "./safetensors.ts";
import { unet } from "./unet.ts";
import type { UnetOptions } from "./unet.ts";
import { weightTensors } from "./weights.ts";
import type { Weights } from "./weights.ts";

/** A network with its weights. */
export interface TrainedNetwork {
  /** The network. */
  readonly network: Network;
  /** Its weights: the average over training. */
  readonly weights: Weights;
  /** What it sees and what its output means. */
  readonly preconditioning: Preconditioning;
  /** The mean of the data that it was trained on. */
  readonly mean: Float64Array;
  /** Steps that it was trained for. */
  readonly step: number;
  /** What it was trained on, in a few words. */
  readonly data: string;
}

/** A denoiser that holds the tensors of its weights. */
export interface NetworkDenoiser extends Denoiser<AnyTensor>, Disposable {
  /** Releases the weights. */
  dispose(): void;
}

/** Options of {@linkcode trainedDenoiser}. */
export interface TrainedDenoiserOptions {
  /**
   * Where to compute. Default: tfjs's active backend, which on CPU devices is tfjs's plain one; the backend `"wasm"` of
   * `openTrainingBackend()` is several times faster there. Dispose it after the denoiser.
   */
  readonly backend?: TrainingBackend;
}

const TRAINED_OPTIONS = { backend: undefined } satisfies OptionTable<TrainedDenoiserOptions>;

/**
 * A trained network as a denoiser.
 *
 * @param trained The network.
 * @param options Where to compute.
 * @returns The denoiser. Dispose it after use.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { moons, sample } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import { mlp, trainDenoiser, trainedDenoiser } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const network = mlp({ shape: [2], width: 16 });
 * using denoiser = trainedDenoiser(await trainDenoiser(moons(100), { network, steps: 5 }));
 * const { x, denoised } = await sample(denoiser, { count: 2, output: "tensor" });
 * assert.deepEqual(x.shape, [2, 2]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export function trainedDenoiser(
  trained: TrainedNetwork,
  options: TrainedDenoiserOptions = {},
): NetworkDenoiser {
  checkOptionNames("denoise by a trained network", options, TRAINED_OPTIONS);
  const { network, weights, preconditioning, mean, step, data } = trained;
  const run = options.backend?.run ?? ((body: () => AnyTensor) => body());
  const tensors = weightTensors(weights);
  const dispose = () => tf.dispose(Object.values(tensors));
  return showsItself({
    ...neural((x, noise) => run(() => network.apply(tensors, x, noise)), {
      shape: network.shape,
      preconditioning,
      mean,
      label: `${network.label}, ${step} steps on ${data}`,
    }),
    dispose,
    [Symbol.dispose]: dispose,
  });
}

const FORMAT = "closedform-diffusion network";

/**
 * Encodes a trained network as a safetensors file.
 *
 * @param trained The network.
 * @param precision How the weights are stored. Default `"float32"`, bit for bit.
 * @returns The bytes of the file.
 *
 * @example
 * ```ts
 * import { moons } from "@closedform/diffusion";
 * import { decodeNetwork, encodeNetwork, mlp, trainDenoiser } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const trained = await trainDenoiser(moons(100), { network: mlp({ shape: [2], width: 16 }), steps: 2 });
 * assert.equal(decodeNetwork(encodeNetwork(trained), "x.safetensors").step, 2);
 * ```
 */
export function encodeNetwork(
  trained: TrainedNetwork,
  precision: StoredPrecision = "float32",
): Uint8Array {
  const { weights, preconditioning: { law } } = trained;
  return encodeSafetensors({
    weights: { ...weights, ...law && encodeLaw(law) },
    notes: { ...describe(trained), format: FORMAT, mean: JSON.stringify([...trained.mean]) },
    // What a law leaves of a state at small noise is a difference of nearly equal numbers.
  }, (name) => name.startsWith(LAW) ? "float32" : precision);
}

/** Names of the arrays of a control variate start so. */
const LAW = "law/";

function encodeLaw({ mean, variances, basis, floor }: GaussianLaw): Weights {
  const weight = (numbers: Float64Array, ...shape: number[]) => ({
    shape,
    values: Float32Array.from(numbers),
  });
  const d = mean.length, rank = variances.length;
  return {
    [`${LAW}mean`]: weight(mean, d),
    [`${LAW}variances`]: weight(variances, rank),
    ...(basis && { [`${LAW}basis`]: weight(basis, rank, d) }),
    [`${LAW}floor`]: weight(Float64Array.of(floor), 1),
  };
}

function decodeLaw(arrays: Weights): GaussianLaw | undefined {
  const numbers = (name: string) =>
    arrays[LAW + name] && Float64Array.from(arrays[LAW + name].values);
  const mean = numbers("mean"), variances = numbers("variances"), basis = numbers("basis");
  const floor = numbers("floor")?.[0];
  if (!mean || !variances || floor === undefined) return undefined;
  return { mean, variances, ...(basis && { basis }), floor };
}

/** Options of {@linkcode decodeNetwork}. */
export interface DecodeNetworkOptions {
  /** Makes a network from what the file says of it. Default: those of this package. */
  readonly networkOf?: (config: NetworkConfig) => Network;
}

const DECODE_OPTIONS = { networkOf: undefined } satisfies OptionTable<DecodeNetworkOptions>;

/**
 * Decodes a trained network.
 *
 * @param bytes The bytes of the file.
 * @param file The file's name, for messages.
 * @param options How to make networks that are not of this package.
 * @returns The network.
 * @throws {DatasetError} If the file is damaged, ends early, is no trained network, or of an unknown kind.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { DatasetError } from "@closedform/diffusion";
 * import { decodeNetwork } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => decodeNetwork(new Uint8Array(3), "x.safetensors"), DatasetError);
 * ```
 */
export function decodeNetwork(
  bytes: Uint8Array,
  file: string,
  options: DecodeNetworkOptions = {},
): TrainedNetwork {
  checkOptionNames(`decode ${file}`, options, DECODE_OPTIONS);
  const { weights: arrays, notes } = decodeSafetensors(bytes, file);
  const weights = Object.fromEntries(
    Object.entries(arrays).filter(([name]) => !name.startsWith(LAW)),
  );
  if (notes.format !== FORMAT) {
    throw new DatasetError(file, "other contents", "a trained network");
  }
  let parsed: Pick<TrainedNetwork, "network" | "preconditioning" | "mean">;
  try {
    parsed = {
      network: (options.networkOf ?? networkOf)(JSON.parse(notes.network)),
      preconditioning: preconditioningOf(JSON.parse(notes.preconditioning), decodeLaw(arrays)),
      mean: Float64Array.from(JSON.parse(notes.mean)),
    };
  } catch (cause) {
    throw new DatasetError(file, String(cause), "a network that can be made again", { cause });
  }
  const shapes = (group: Weights) =>
    Object.keys(group).sort().map((name) => `${name} [${group[name].shape}]`).join();
  const d = sizeOf(parsed.network.shape), { law } = parsed.preconditioning;
  if (
    shapes(weights) !== shapes(parsed.network.initial()) || parsed.mean.length !== d ||
    (law && law.mean.length !== d)
  ) {
    throw new DatasetError(file, "weights of other shapes", `those of a ${parsed.network.label}`);
  }
  return { ...parsed, weights, step: Number(notes.step), data: notes.data };
}

/**
 * Reads a trained network from a file.
 *
 * @param file Which, a safetensors file as {@linkcode encodeNetwork} makes it.
 * @param options How to make networks that are not of this package.
 * @returns The network.
 * @throws {DatasetError} If there is no such file, it is damaged, ends early, or is no trained network.
 * @throws {TypeError} If there is no such option.
 *
 * @example The network that comes with a clone
 * ```ts
 * import { readNetwork } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const { network } = await readNetwork("data/networks/tiny-shapes.safetensors");
 * assert.deepEqual(network.shape, [12, 12, 1]);
 * ```
 */
export async function readNetwork(
  file: string,
  options: DecodeNetworkOptions = {},
): Promise<TrainedNetwork> {
  checkOptionNames(`read ${file}`, options, DECODE_OPTIONS);
  const bytes = await readIfThere(file);
  if (bytes) return decodeNetwork(bytes, file, options);
  throw new DatasetError(file, "no such file", "a trained network");
}

/**
 * The network of this package that a file names.
 *
 * @param config What it is made from.
 * @returns The network.
 * @throws {RangeError} If there is no such kind.
 *
 * @example
 * ```ts
 * import { mlp, networkOf } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const { config } = mlp({ shape: [2], width: 8 });
 * assert.deepEqual(networkOf(config).config, config);
 * ```
 */
export function networkOf(config: NetworkConfig): Network {
  const { kind, ...sizes } = config;
  switch (kind) {
    case "mlp":
      return mlp(sizes as unknown as MlpOptions);
    case "unet":
      return unet(sizes as unknown as UnetOptions);
    default:
      throw new RangeError(
        `Cannot make a network: the kind is ${kind}, wanted mlp or unet`,
      );
  }
}
