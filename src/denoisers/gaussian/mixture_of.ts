/**
 * The denoiser of a mixture of Gaussians.
 *
 * @module
 */
import { showsItself } from "../../base/_display.ts";
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { sizeOf } from "../../base/_shape.ts";
import { batchOf } from "../../compute/batch.ts";
import type { State } from "../../compute/batch.ts";
import { DEVICE_OPTION, deviceOf } from "../../compute/use_device.ts";
import type { DeviceChoice, StateOf } from "../../compute/use_device.ts";
import {
  checkEvaluateOptions,
  checkQueries,
  emptyFacts,
  sigmaPerRow,
} from "../../compute/posterior.ts";
import type { EvaluateOptions, Posterior, PosteriorFacts, Sigma } from "../../compute/posterior.ts";
import { logitFacts } from "../../compute/subset_posterior.ts";
import { DeviceError } from "../../base/errors.ts";
import type { AnyTensor, StateSpace } from "../../states/linear_space.ts";
import type { RandomStream } from "../../base/random.ts";
import { stackedMixture } from "./_stacked_mixture.ts";
import type { StackedMixture } from "./_stacked_mixture.ts";
import type { Denoised } from "../denoiser.ts";
import { checkLaw, gaussianRms } from "./gaussian_law.ts";
import type { GaussianOptions } from "./gaussian.ts";
import { denoiseMixture, drawMixture, meanOfMixture, mixtureLogits } from "./mixture_law.ts";
import type { MixtureLaw } from "./mixture_law.ts";
import type { StoredDenoiser } from "../optimal.ts";

/** A mixture's denoiser on a device, with the posterior over its components. */
export interface MixtureDenoiser<X = AnyTensor> extends StoredDenoiser<X> {
  /** The mixture. */
  readonly law: MixtureLaw;
  /**
   * The posterior mean of each row, and facts of its posterior over the components: logits are
   * `ln wₘ N(x; μₘ, Σₘ + σ²I)`, so that `logNormaliser` is the logarithm of the density of `x`, and `topIndex`
   * is the component that weighs most.
   */
  denoise(x: X, sigma: Sigma, options?: EvaluateOptions): Promise<Denoised<X, PosteriorFacts>>;
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
 * @param options Shape, name, device.
 * @returns The denoiser, on tensors of shape `[B, …shape]`, or on a `Float64Array` of rows on the device `float64`, with the
 * posterior over the components.
 * @throws {TypeError} If the shape does not hold `d` numbers, or there is no such option.
 * @throws {RangeError} If a number of a component is not finite.
 * @throws {DeviceError} If the device is not there, or cannot hold the axes.
 *
 * @example Between two equal modes
 * ```ts
 * import { gaussianLaw, mixtureLaw, mixtureOf } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 1], [gaussianLaw([-1], 0), gaussianLaw([1], 0)]);
 * using denoiser = await mixtureOf(law, { device: "wasm" });
 * const x = tensorSpace.from([0.5], [1, 1]);
 * const { mean, ...facts } = await denoiser.denoise(x, 1);
 * assert.ok(Math.abs((await tensorSpace.values(mean))[0] - Math.tanh(0.5)) < 1e-7);
 * assert.equal(facts.topIndex[0], 1);
 * tensorSpace.dispose(x, mean);
 * ```
 */
export async function mixtureOf<D extends DeviceChoice = "auto">(
  law: MixtureLaw,
  options: GaussianOptions<D> = {},
): Promise<MixtureDenoiser<StateOf<D>>> {
  const settings = readOptions(ACTION, options, OPTIONS);
  const device = await deviceOf(settings.device);
  const { products } = device;
  const stacked = products === "loops" ? undefined : await stackedMixture(law, products);
  return mixtureOver(law, stacked, device.space as StateSpace<State>, settings) as MixtureDenoiser<
    State
  > as MixtureDenoiser<StateOf<D>>;
}

/**
 * The denoiser of a mixture by whatever computes its posterior.
 *
 * @param law The mixture.
 * @param stacked What computes it; it is disposed with the denoiser. Nothing for plain loops in float64.
 * @param space The space of its states.
 * @param description Shape and name.
 * @returns The denoiser.
 */
export function mixtureOver(
  law: MixtureLaw,
  stacked: StackedMixture | undefined,
  space: StateSpace<State>,
  { shape: given, name = `a mixture of ${law.components.length}` }: Pick<
    GaussianOptions,
    "shape" | "name"
  >,
): MixtureDenoiser<State> {
  for (const component of law.components) checkLaw(component, ACTION);
  const middle = meanOfMixture(law), dimension = middle.length;
  const shape = given ?? [dimension];
  if (sizeOf(shape) !== dimension) {
    throw new TypeError(
      `Cannot ${ACTION}: the shape is [${shape}], wanted one of ${dimension} numbers`,
    );
  }
  let open = true;
  const dispose = () => {
    if (open) stacked?.[Symbol.dispose]();
    open = false;
  };
  return showsItself({
    label: `denoiser of ${name}`,
    references: REFERENCES,
    shape,
    space,
    law,
    mean: () => middle.slice(),
    draw: (stream: RandomStream) =>
      drawMixture(law, stream.uniform(), middle.map(() => stream.normal()), 0),
    rms: () => Math.max(...law.components.map(gaussianRms)),
    async denoise(x, sigma, evaluate) {
      checkEvaluateOptions(ACTION, evaluate);
      const batch = batchOf(x, dimension, ACTION);
      const sigmas = sigmaPerRow(sigma, batch.rows, ACTION);
      const values = await batch.values();
      checkQueries(values, ACTION);
      evaluate?.signal?.throwIfAborted();
      if (!open) throw new DeviceError(`Cannot ${ACTION}: it was disposed`);
      const { mean, facts } = stacked
        ? await stacked.posterior(values, sigmas)
        : plainPosterior(law, values, sigmas);
      return { mean: batch.like(mean), ...facts };
    },
    dispose,
    [Symbol.dispose]: dispose,
  });
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

const OPTIONS = {
  ...DEVICE_OPTION,
  shape: undefined,
  name: undefined,
} satisfies OptionTable<GaussianOptions>;
