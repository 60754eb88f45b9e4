/**
 * Training a denoiser.
 *
 * ```ts ignore
 * const trained = await trainDenoiser(tinyShapes(), {
 *   steps: 8000,
 *   checkpoint: "run.safetensors", // continued from there, if it exists
 *   onStep: ({ step, loss, remaining }) => console.log(step, loss, remaining),
 * });
 * await Deno.writeFile("network.safetensors", encodeNetwork(trained));
 * using denoiser = trainedDenoiser(trained); // for every sampler
 * ```
 *
 * Other losses than that of a denoiser: `optimise()`. Other networks: any `Network`. Networks that were trained
 * elsewhere: `neural()`.
 *
 * @module
 */
import { optionsFor, type OptionTable, type Read, readOptions } from "../base/_options.ts";
import { ADAM_OPTIONS } from "./_check_adam.ts";
import { LEVEL_OPTIONS, LOSS_OPTIONS } from "./_loss_options.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { edmPreconditioning } from "../denoisers/preconditioning.ts";
import type { Preconditioning } from "../denoisers/preconditioning.ts";
import { DatasetError } from "../base/errors.ts";
import { checkWhole } from "../base/_checks.ts";
import { stopButton } from "../base/stop_button.ts";
import { describe } from "./_describe.ts";
import { startClock } from "./_pace.ts";
import { beginOptimising } from "./adam.ts";
import type { AdamOptions, OptimiserState } from "./adam.ts";
import { openTrainingBackend } from "./backend.ts";
import type { TrainingBackendKind } from "./backend.ts";
import { decodeCheckpoint, encodeCheckpoint, readIfThere, writeWhole } from "./checkpoint.ts";
import { denoisingLoss } from "./denoising_loss.ts";
import type { DenoisingLossOptions } from "./denoising_loss.ts";
import { mlp } from "./mlp.ts";
import type { Network } from "./network.ts";
import { optimise } from "./optimise.ts";
import type { TrainedNetwork } from "./trained.ts";
import { copyWeights } from "./weights.ts";

/** How far a training has come. */
export interface TrainingStep {
  /** Steps that were taken. */
  readonly step: number;
  /** Steps in all. */
  readonly steps: number;
  /** The loss of this step, before it was taken. */
  readonly loss: number;
  /** Items per second, since this run began or continued. */
  readonly imagesPerSecond: number;
  /** Seconds since then. */
  readonly elapsed: number;
  /** Seconds left, as far as can be told. */
  readonly remaining: number;
  /** The network as it stands, its weights averaged, at the steps where that was asked for. */
  readonly snapshot?: TrainedNetwork;
}

/** Options of {@linkcode trainDenoiser}. */
export interface TrainOptions extends AdamOptions, DenoisingLossOptions {
  /** The network. Default: {@linkcode mlp} of the shape of the data. */
  readonly network?: Network;
  /**
   * What the network sees. Default {@linkcode edmPreconditioning}; with `controlVariate()` it learns only what a Gaussian does
   * not know, and is nearer to the data after as many steps.
   */
  readonly preconditioning?: Preconditioning;
  /** Steps in all. Default 8000. */
  readonly steps?: number;
  /** Items per step. Default 128. */
  readonly batchSize?: number;
  /** Where to compute. Default `"auto"`. */
  readonly backend?: TrainingBackendKind;
  /** A file to continue from if it exists, and to keep the training in. Default: none. */
  readonly checkpoint?: string;
  /** Steps from one writing of the checkpoint to the next; it is written at the end and when cancelled, too. Default 1000. */
  readonly checkpointEvery?: number;
  /** Steps after which `onStep` gets the network as it stands. */
  readonly snapshots?: readonly number[];
  /** Called after every step. */
  readonly onStep?: (step: TrainingStep) => void | Promise<void>;
  /** Cancels the training, which then writes its checkpoint and rejects with `signal.reason`. So does the Stop button of a notebook. */
  readonly signal?: AbortSignal;
}

const OPTIONS = {
  ...ADAM_OPTIONS,
  ...LOSS_OPTIONS,
  network: undefined,
  preconditioning: undefined,
  steps: 8000,
  backend: undefined,
  checkpoint: undefined,
  checkpointEvery: 1000,
  snapshots: [],
  onStep: undefined,
  signal: undefined,
} satisfies OptionTable<TrainOptions>;

/**
 * Trains a network to denoise a data set.
 *
 * ```text
 * E λ(σ) ‖D(x₀+σε, σ) − x₀‖²,   ln σ ~ N(-1.2, 1.2²),   by Adam, the weights averaged
 * ```
 *
 * The same options give the same weights on the same backend, whether or not the training was interrupted.
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364.
 *
 * @param dataset The data.
 * @param options Network, steps, step size, checkpoint, and whom to tell the progress.
 * @returns The network with its averaged weights.
 * @throws {TypeError} If the network is not for data of this shape.
 * @throws {RangeError} If an option is out of range, the loss is not finite, or the checkpoint is of a training with
 * other options.
 * @throws {DatasetError} If the checkpoint is damaged or none.
 * @throws {DeviceError} If the backend asked for is not there.
 *
 * @example
 * ```ts
 * import { moons } from "@closedform/diffusion";
 * import { mlp, trainDenoiser } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const losses: number[] = [];
 * await trainDenoiser(moons(200), {
 *   network: mlp({ shape: [2], width: 32 }),
 *   steps: 60,
 *   rate: 0.01,
 *   onStep: ({ loss }) => void losses.push(loss),
 * });
 * assert.ok(losses[59] < losses[0]);
 * ```
 */
export async function trainDenoiser(
  dataset: Dataset,
  options: TrainOptions = {},
): Promise<TrainedNetwork> {
  const settings = readOptions("train a denoiser", options, OPTIONS);
  const { steps, checkpoint, checkpointEvery, snapshots, batchSize, onStep } = settings;
  const { network = mlp({ shape: dataset.shape }), preconditioning = edmPreconditioning() } =
    settings;
  checkWhole("train a denoiser", "steps", steps, 1);
  checkWhole("train a denoiser", "checkpointEvery", checkpointEvery, 1);
  const loss = denoisingLoss(
    network,
    dataset,
    preconditioning,
    optionsFor(LOSS_OPTIONS, settings),
  );
  const about = { network, preconditioning, data: dataset.name };
  const notes = notesOf(describe({ ...about, step: 0 }), dataset, settings);
  const state = await startingState(network, notes, checkpoint);
  const result = (): TrainedNetwork => ({
    ...about,
    weights: copyWeights(state.average),
    mean: dataset.mean(),
    step: state.step,
  });
  const save = async () => {
    if (!checkpoint || saved === state.step) return;
    await writeWhole(checkpoint, encodeCheckpoint({ state, notes, extra: {} }));
    saved = state.step;
  };
  let saved = state.step > 0 ? state.step : -1;
  using backend = await openTrainingBackend(settings.backend);
  using stop = stopButton(settings.signal);
  const { signal } = stop;
  const paceAt = startClock(state.step, steps, batchSize);
  const adam = optionsFor(ADAM_OPTIONS, settings);
  try {
    for await (
      const { step, loss: value } of optimise(loss, state, { ...adam, signal, backend, steps })
    ) {
      if (step % checkpointEvery === 0) await save();
      await onStep?.({
        step,
        steps,
        loss: value,
        ...paceAt(step),
        ...(snapshots.includes(step) && { snapshot: result() }),
      });
    }
  } catch (error) {
    if (signal?.aborted) await save();
    throw error;
  }
  await save();
  return result();
}

/** What a training must have in common with one that it continues. */
function notesOf(
  { network, preconditioning, data }: ReturnType<typeof describe>,
  { count }: Dataset,
  settings: Read<TrainOptions, typeof OPTIONS>,
): Record<string, string> {
  const { batchSize, seed, levels = {} } = settings;
  const { rate, warmUp, beta1, beta2, epsilon, halfLife, rampUp } = settings;
  const { mean, deviation } = optionsFor(LEVEL_OPTIONS, levels);
  const adam = { rate, warmUp, beta1, beta2, epsilon, halfLife, rampUp };
  return {
    network,
    preconditioning,
    data,
    count: String(count),
    batch: String(batchSize),
    seed: String(seed),
    levels: JSON.stringify([mean, deviation]),
    adam: JSON.stringify(adam),
  };
}

async function startingState(
  network: Network,
  notes: Record<string, string>,
  file: string | undefined,
): Promise<OptimiserState> {
  const bytes = file === undefined ? undefined : await readIfThere(file);
  const initial = network.initial();
  if (!bytes) return beginOptimising(initial);
  const { state, notes: found } = decodeCheckpoint(bytes, file!);
  for (const [name, wanted] of Object.entries(notes)) {
    if (found[name] !== wanted) {
      throw new RangeError(
        `Cannot continue the training of ${file}: its ${name} is ${
          found[name]
        }, wanted ${wanted} (or another file)`,
      );
    }
  }
  for (const [name, { values }] of Object.entries(initial)) {
    if (state.weights[name]?.values.length !== values.length) {
      throw new DatasetError(file!, `no or other weights ${name}`, `${values.length} numbers`);
    }
  }
  return state;
}
