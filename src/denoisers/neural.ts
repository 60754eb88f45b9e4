/**
 * The denoiser of a network.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import * as tf from "@tensorflow/tfjs-core";
import { sizeOf } from "../base/_shape.ts";
import { checkEvaluateOptions, sigmaPerRow } from "../compute/posterior.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { tensorSpace } from "../states/linear_space.ts";
import type { RandomStream } from "../base/random.ts";
import { scaleOnce } from "./gaussian/_scale_once.ts";
import type { Denoiser } from "./denoiser.ts";
import { edmPreconditioning } from "./preconditioning.ts";
import type { Preconditioning } from "./preconditioning.ts";

/** A network as a function of a batch `[B, …shape]` and of `c_noise`, `[B, 1]`, that returns a batch. */
export type NetworkFunction = (x: AnyTensor, noise: AnyTensor) => AnyTensor;

/** A network as tfjs makes them: a `LayersModel`, a `Sequential` or a `GraphModel`. */
export interface PredictingModel {
  /** The inputs: if there is one, the network sees the batch only; otherwise batch and `c_noise`, in this order. */
  readonly inputs?: readonly unknown[];
  /** Evaluates the network. */
  predict(inputs: AnyTensor | AnyTensor[]): unknown;
}

/** Options of {@linkcode neural}. */
export interface NeuralOptions {
  /** The shape of one sample, channels last. */
  readonly shape: readonly number[];
  /** What the network sees and what its output means. Default {@linkcode edmPreconditioning}. */
  readonly preconditioning?: Preconditioning;
  /** The mean of the data, `d` numbers: what grids that start at pure noise need. */
  readonly mean?: ArrayLike<number>;
  /** A random item of the data: what grids that start at noised data need. */
  readonly draw?: (stream: RandomStream) => ArrayLike<number>;
  /** What it is, in a few words. Default `"network"`. */
  readonly label?: string;
  /** Where the network comes from: papers, one per entry. */
  readonly references?: readonly string[];
}

const ACTION = "denoise by a network";
const GAUSSIAN =
  "B. Wang, J. Vastola (2024), The unreasonable effectiveness of Gaussian score approximation for diffusion models and its applications, arXiv:2412.09726";
const EDM =
  "T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of diffusion-based generative models, arXiv:2206.00364";

const OPTIONS = {
  shape: undefined,
  preconditioning: undefined,
  mean: undefined,
  draw: undefined,
  label: "network",
  references: undefined,
} satisfies OptionTable<NeuralOptions>;

/**
 * Any tfjs network as a denoiser, for every sampler.
 *
 * ```text
 * D(x, σ) = c_skip x + c_out F(c_in x, c_noise)
 * ```
 *
 * plus the denoiser of a Gaussian, if the preconditioning has a law. The noise level may differ from row to row. The network runs on tfjs's active backend, and its tensors are the
 * caller's: they are not disposed.
 *
 * @param model The network `F`.
 * @param options Shape, preconditioning, and what is known of the data.
 * @returns The denoiser. It throws a `RangeError` if the network's output is not finite.
 * @throws {TypeError} If the mean or the law is not one of the shape.
 *
 * @example A network that has learned nothing lets EDM's preconditioning shrink the state
 * ```ts
 * import { openDevice } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import { neural } from "@closedform/diffusion/training";
 * import * as tf from "@tensorflow/tfjs-core";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * const denoiser = neural((x) => tf.zerosLike(x), { shape: [2] });
 * const x = tensorSpace.from([4, 8, 4, 8], [2, 2]);
 * const denoised = (await denoiser.denoise(x, [0.5, 1e-9])).mean;
 * assert.deepEqual([...await tensorSpace.values(denoised)], [2, 4, 4, 8]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export function neural(
  model: NetworkFunction | PredictingModel,
  options: NeuralOptions,
): Denoiser<AnyTensor> {
  const { shape, preconditioning = edmPreconditioning(), draw, label } = readOptions(
    ACTION,
    options,
    OPTIONS,
  );
  const mean = options.mean && Float64Array.from(options.mean);
  const { law, config } = preconditioning;
  const { kind } = config.kind === "control-variate" ? config.base : config;
  const references = [
    ...options.references ?? [],
    ...kind === "edm" ? [EDM] : [],
    ...law ? [GAUSSIAN] : [],
  ];
  if (mean && mean.length !== sizeOf(shape)) {
    throw new TypeError(
      `Cannot ${ACTION}: the mean has ${mean.length} numbers, wanted ${sizeOf(shape)}`,
    );
  }
  if (law && law.mean.length !== sizeOf(shape)) {
    throw new TypeError(
      `Cannot ${ACTION}: the law is of ${law.mean.length} numbers, wanted ${sizeOf(shape)}`,
    );
  }
  return showsItself({
    label,
    references,
    shape,
    space: tensorSpace,
    ...(mean && { mean: () => mean.slice() }),
    ...(draw && { draw }),
    async denoise(x, sigma, evaluate) {
      checkEvaluateOptions(ACTION, evaluate);
      evaluate?.signal?.throwIfAborted();
      const rows = x.shape[0] ?? 0;
      if (x.rank < 2 || sizeOf(x.shape.slice(1)) !== sizeOf(shape)) {
        throw new TypeError(
          `Cannot ${ACTION}: x has shape [${x.shape}], wanted [B,${shape}]`,
        );
      }
      const sigmas = sigmaPerRow(sigma, rows, ACTION);
      const scales = Array.from(sigmas, (s) => preconditioning.scales(s));
      const known = law && await scaleOnce(law, x, (row, v) => v / (v + sigmas[row] ** 2));
      let y: AnyTensor;
      try {
        y = tf.tidy(() => {
          const column = (name: keyof typeof scales[0], sides = shape.length) =>
            tf.tensor(
              scales.map((scale) => scale[name]),
              [rows, ...Array(sides).fill(1)],
              "float32",
            );
          const state = tf.reshape(x, [rows, ...shape]);
          const output = evaluateModel(model, tf.mul(state, column("in")), column("noise", 1));
          if (!tf.util.arraysEqual(output.shape, state.shape)) {
            throw new TypeError(
              `Cannot ${ACTION}: it returned shape [${output.shape}], wanted [${state.shape}]`,
            );
          }
          const sum = tf.add(tf.mul(state, column("skip")), tf.mul(output, column("out")));
          const flat = tf.reshape(sum, x.shape);
          return known ? tf.add(flat, known) : flat;
        });
      } finally {
        known?.dispose();
      }
      try {
        await checkFinite(y, sigmas);
        evaluate?.signal?.throwIfAborted();
      } catch (error) {
        y.dispose();
        throw error;
      }
      return { mean: y };
    },
  });
}

function evaluateModel(
  model: NetworkFunction | PredictingModel,
  x: AnyTensor,
  noise: AnyTensor,
): AnyTensor {
  const output = typeof model === "function"
    ? model(x, noise)
    : model.predict(model.inputs?.length === 1 ? x : [x, noise]);
  if (output instanceof tf.Tensor) return output;
  throw new TypeError(
    `Cannot ${ACTION}: it returned ${
      Array.isArray(output) ? `${output.length} outputs` : typeof output
    }, wanted one tensor`,
  );
}

/** 0 times a number that is not finite is NaN, so that one number tells of all. */
async function checkFinite(y: AnyTensor, sigmas: Float64Array): Promise<void> {
  const zero = tf.tidy(() => tf.sum(tf.mul(y, 0)));
  const [value] = await zero.data();
  zero.dispose();
  if (value === 0) return;
  throw new RangeError(
    `Cannot ${ACTION}: its output is not finite at noise levels up to ${
      sigmas.reduce((most, s) => Math.max(most, s))
    }, wanted finite numbers (networks are rarely trained at the highest levels: start lower, or teleport)`,
  );
}
