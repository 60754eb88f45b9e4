/**
 * Networks that learn what the formulas give exactly: training, files of weights, and their denoisers.
 *
 * ```ts
 * import { moons } from "@closedform/diffusion";
 * import { mlp, trainDenoiser } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const network = mlp({ shape: [2], width: 8, layers: 1 });
 * const trained = await trainDenoiser(moons(100), { network, steps: 5, batchSize: 8, backend: "cpu" });
 * assert.equal(trained.step, 5);
 * ```
 *
 * A training runs on a backend of its own, takes one option per thing that is to be different, and can be
 * interrupted and resumed from a checkpoint. What it gives is plain numbers until a denoiser is made of it.
 *
 * ## Denoisers
 *
 * - {@linkcode trainDenoiser} trains one, {@linkcode trainedDenoiser} denoises with it; networks: {@linkcode mlp},
 *   {@linkcode unet}, {@linkcode networkOf}
 * - Networks of your own: {@linkcode neural}; what they see and mean: {@linkcode edmPreconditioning},
 *   {@linkcode plainPreconditioning}, {@linkcode noisePreconditioning}, {@linkcode controlVariate}
 *
 * ## Autoencoders
 *
 * - {@linkcode trainAutoencoder}; their files: {@linkcode encodeAutoencoder}, {@linkcode decodeAutoencoder}. The main
 *   entry encodes data sets with them.
 *
 * ## Files
 *
 * - Networks: {@linkcode readNetwork}, {@linkcode encodeNetwork}, {@linkcode decodeNetwork}; on the way:
 *   {@linkcode encodeCheckpoint}, {@linkcode decodeCheckpoint}, {@linkcode writeWhole}
 * - Any weights: {@linkcode encodeSafetensors}, {@linkcode decodeSafetensors}
 *
 * ## Parts, for a network or a loss of your own
 *
 * - {@linkcode openTrainingBackend}, {@linkcode optimise}, {@linkcode beginOptimising}, {@linkcode adamStep},
 *   {@linkcode trainingBatch}, {@linkcode denoisingLoss}
 * - {@linkcode weightTensors}, {@linkcode copyWeights}, {@linkcode normalWeight}, {@linkcode zeroWeight}
 *
 * @module
 */
export * from "../codecs/autoencoder.ts";
export { decodeAutoencoder, encodeAutoencoder } from "../codecs/autoencoder_codec.ts";
export * from "../denoisers/neural.ts";
export {
  controlVariate,
  edmPreconditioning,
  noisePreconditioning,
  plainPreconditioning,
} from "../denoisers/preconditioning.ts";
export type {
  PlainOptions,
  Preconditioning,
  PreconditioningConfig,
  Scales,
} from "../denoisers/preconditioning.ts";
export * from "./adam.ts";
export * from "./backend.ts";
export { decodeCheckpoint, encodeCheckpoint, writeWhole } from "./checkpoint.ts";
export type { Checkpoint } from "./checkpoint.ts";
export * from "./denoising_loss.ts";
export * from "./mlp.ts";
export * from "./network.ts";
export * from "./optimise.ts";
export * from "./safetensors.ts";
export * from "./trained.ts";
export * from "./trainer.ts";
export * from "./unet.ts";
export * from "./weights.ts";
