/**
 * The denoiser of a mixture of Gaussians.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { sizeOf } from "../../base/_shape.ts";
import type { Device } from "../../compute/device.ts";
import {
  checkEvaluateOptions,
  checkQueries,
  checkQueryShape,
  emptyFacts,
  sigmaPerRow,
} from "../../compute/posterior.ts";
import type { EvaluateOptions, Posterior, PosteriorFacts, Sigma } from "../../compute/posterior.ts";
import { logitFacts } from "../../compute/subset_posterior.ts";
import { DeviceError } from "../../base/errors.ts";
import type { AnyTensor } from "../../states/linear_space.ts";
import { arraySpace, tensorSpace } from "../../states/linear_space.ts";
import type { RandomStream } from "../../base/random.ts";
import { stackedMixture } from "./_stacked_mixture.ts";
import type { Denoised, Denoiser } from "../denoiser.ts";
import { gaussianRms } from "./gaussian_law.ts";
import type { GaussianOptions } from "./gaussian.ts";
import { denoiseMixture, drawMixture, meanOfMixture, mixtureLogits } from "./mixture_law.ts";
import type { MixtureLaw } from "./mixture_law.ts";
import type { StoredDenoiser } from "../optimal.ts";

/** A mixture's denoiser on a device, with the posterior over its components. */
export interface MixtureDenoiser extends StoredDenoiser {
  /** The mixture. */
  readonly law: MixtureLaw;
  /**
   * The posterior mean of each row, and facts of its posterior over the components: logits are
   * `ln wₘ N(x; μₘ, Σₘ + σ²I)`, so that `logNormaliser` is the logarithm of the density of `x`, and `topIndex`
   * is the component that weighs most.
   */
  denoise(
    x: AnyTensor,
    sigma: Sigma,
    options?: EvaluateOptions,
  ): Promise<Denoised<AnyTensor, PosteriorFacts>>;
}

const ACTION = "denoise by a mixture";
const REFERENCES = [
  "B. Wang, J. Vastola (2024), The unreasonable effectiveness of Gaussian score approximation for diffusion models and its applications, arXiv:2412.09726",
];

/**
 * The denoiser of a mixture of Gaussians, on a device.
 *
 * ```text
 * D(x, σ) = Σₘ pₘ Dₘ(x, σ),   p = softmaxₘ(ln wₘ + ln N(x; μₘ, Σₘ + σ²I)),   Dₘ the Wiener filter of component m
 * ```
 *
 * Two products with the axes of all components per call; weights in float64, computed anew row by row where
 * float32 products cannot tell them.
 *
 * @param law The mixture, for instance from `fitMixture()`.
 * @param device Where to compute.
 * @param options Shape and name.
 * @returns The denoiser, on tensors of shape `[B, …shape]`. Dispose it after use.
 * @throws {TypeError} If the shape does not hold `d` numbers.
 * @throws {DeviceError} If the device cannot hold the axes.
 *
 * @example Between two equal modes
 * ```ts
 * import { gaussianLaw, mixtureLaw, mixtureOf, openDevice, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 1], [gaussianLaw([-1], 0), gaussianLaw([1], 0)]);
 * using device = await openDevice("wasm");
 * using denoiser = await mixtureOf(law, device);
 * const x = tensorSpace.from([0.5], [1, 1]);
 * const { mean, ...facts } = await denoiser.denoise(x, 1);
 * assert.ok(Math.abs((await tensorSpace.values(mean))[0] - Math.tanh(0.5)) < 1e-7);
 * assert.equal(facts.topIndex[0], 1);
 * tensorSpace.dispose(x, mean);
 * ```
 */
export async function mixtureOf(
  law: MixtureLaw,
  device: Device,
  options: GaussianOptions = {},
): Promise<MixtureDenoiser> {
  const described = describe(law, options);
  const { dimension } = described;
  const stacked = device.kind === "float64" ? undefined : await stackedMixture(law, device);
  let open = true;
  const dispose = () => {
    if (open) stacked?.[Symbol.dispose]();
    open = false;
  };
  const denoise: MixtureDenoiser["denoise"] = async (x, sigma, evaluate) => {
    checkEvaluateOptions(ACTION, evaluate);
    const count = checkQueryShape(x.shape, dimension, ACTION);
    const sigmas = sigmaPerRow(sigma, count, ACTION);
    const values = await x.data<"float32">();
    checkQueries(values, ACTION);
    evaluate?.signal?.throwIfAborted();
    if (!open) throw new DeviceError(`Cannot ${ACTION}: it was disposed`);
    const { mean, facts } = stacked
      ? await stacked.posterior(values, sigmas)
      : plainPosterior(law, values, sigmas);
    return { mean: tensorSpace.from(mean, x.shape), ...facts };
  };
  return {
    ...described.common,
    law,
    space: tensorSpace,
    denoise,
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/**
 * The denoiser of a mixture in float64, for theory: the same function as {@linkcode mixtureOf}, on `Float64Array`
 * states, by plain loops.
 *
 * @param law The mixture.
 * @param options Shape and name.
 * @returns The denoiser, on rows of `d` numbers, with the posterior over its components.
 * @throws {TypeError} If the shape does not hold `d` numbers.
 *
 * @example
 * ```ts
 * import { gaussianLaw, mixtureLaw, mixtureOfFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 1], [gaussianLaw([-1], 0), gaussianLaw([1], 0)]);
 * const [y] = (await mixtureOfFloat64(law).denoise(Float64Array.of(0.5), 1)).mean;
 * assert.ok(Math.abs(y - Math.tanh(0.5)) < 1e-15);
 * ```
 */
export function mixtureOfFloat64(
  law: MixtureLaw,
  options: GaussianOptions = {},
): Denoiser<Float64Array> {
  const { common, dimension, name } = describe(law, options);
  // deno-lint-ignore require-await -- So that what is thrown rejects.
  const denoise: Denoiser<Float64Array>["denoise"] = async (x, sigma, evaluate) => {
    checkEvaluateOptions(ACTION, evaluate);
    evaluate?.signal?.throwIfAborted();
    if (x.length % dimension !== 0) {
      throw new TypeError(
        `Cannot ${ACTION}: received ${x.length} numbers, wanted a multiple of ${dimension}`,
      );
    }
    const sigmas = sigmaPerRow(sigma, x.length / dimension, ACTION);
    const { mean, facts } = plainPosterior(law, x, sigmas);
    return { mean, ...facts };
  };
  return {
    ...common,
    label: `denoiser of ${name}, float64`,
    space: arraySpace,
    denoise,
  };
}

/** By plain float64 loops, row by row. */
function plainPosterior(
  law: MixtureLaw,
  x: ArrayLike<number>,
  sigmas: Float64Array,
): Posterior<Float64Array> {
  const d = law.components[0].mean.length;
  const mean = new Float64Array(x.length), facts = emptyFacts(sigmas.length);
  const everyone = Uint32Array.from(law.components.keys());
  sigmas.forEach((sigma, b) => {
    const row = Float64Array.from({ length: d }, (_, c) => x[b * d + c]);
    logitFacts(everyone, mixtureLogits(law, row, sigma), facts, b);
    mean.set(denoiseMixture(law, row, sigma), b * d);
  });
  return { mean, facts };
}

const OPTIONS = { shape: undefined, name: undefined } satisfies OptionTable<GaussianOptions>;

function describe(law: MixtureLaw, options: GaussianOptions) {
  const mean = meanOfMixture(law), dimension = mean.length;
  const { shape = [dimension], name = `a mixture of ${law.components.length}` } = readOptions(
    ACTION,
    options,
    OPTIONS,
  );
  if (sizeOf(shape) !== dimension) {
    throw new TypeError(
      `Cannot ${ACTION}: the shape is [${shape}], wanted one of ${dimension} numbers`,
    );
  }
  return {
    dimension,
    name,
    common: {
      label: `denoiser of ${name}`,
      references: REFERENCES,
      shape,
      mean: () => mean.slice(),
      draw: (stream: RandomStream) =>
        drawMixture(law, stream.uniform(), mean.map(() => stream.normal()), 0),
      rms: () => Math.max(...law.components.map(gaussianRms)),
    },
  };
}
