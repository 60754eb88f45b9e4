/**
 * The denoiser of a Gaussian law: the Wiener filter.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { sizeOf } from "../../base/_shape.ts";
import { checkEvaluateOptions, sigmaPerRow } from "../../compute/posterior.ts";
import type { Device } from "../../compute/device.ts";
import type { AnyTensor } from "../../states/linear_space.ts";
import { arraySpace, tensorSpace } from "../../states/linear_space.ts";
import type { RandomStream } from "../../base/random.ts";
import type { Denoiser } from "../denoiser.ts";
import { gaussianAxes, scaleRows } from "./gaussian_axes.ts";
import type { AxisFactor } from "./gaussian_axes.ts";
import { checkRow, drawGaussian, gaussianRms } from "./gaussian_law.ts";

import type { GaussianLaw } from "./gaussian_law.ts";
import type { StoredDenoiser } from "../optimal.ts";

/** What a Gaussian denoiser is called and works on. */
export interface GaussianOptions {
  /** The shape of one sample. Default: `[d]`. */
  readonly shape?: readonly number[];
  /** What the law is of, in a few words. Default `"a Gaussian"`. */
  readonly name?: string;
}

const ACTION = "denoise by a Gaussian";
const REFERENCES = [
  "N. Wiener (1949), Extrapolation, interpolation, and smoothing of stationary time series",
  "B. Wang, J. Vastola (2024), The unreasonable effectiveness of Gaussian score approximation for diffusion models and its applications, arXiv:2412.09726",
];

/**
 * The denoiser of a Gaussian law, on a device.
 *
 * ```text
 * D(x, σ) = μ + U diag(λ/(λ+σ²)) Uᵀ (x − μ) + τ²/(τ²+σ²) (I − U Uᵀ)(x − μ)
 * ```
 *
 * Two products with the basis per call, never a `d × d` filter. The noise level may differ from row to row.
 *
 * @param law The law, for instance from `dataSpectrum()`.
 * @param device Where to compute.
 * @param options Shape and name.
 * @returns The denoiser, on tensors of shape `[B, …shape]`. Dispose it after use.
 * @throws {TypeError} If the shape does not hold `d` numbers.
 * @throws {DeviceError} If the device cannot hold the basis.
 *
 * @example Variance 3 and noise 1: three quarters of the deviation are signal
 * ```ts
 * import { gaussian, gaussianLaw, openDevice, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * using denoiser = await gaussian(gaussianLaw([1, 1], 3), device);
 * const x = tensorSpace.from([5, 1], [1, 2]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * assert.deepEqual([...await tensorSpace.values(denoised)], [4, 1]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function gaussian(
  law: GaussianLaw,
  device: Device,
  options: GaussianOptions = {},
): Promise<StoredDenoiser> {
  const { name, shape } = checked(law, options);
  const axes = await gaussianAxes(law, device);
  return {
    ...common(law, name, shape),
    space: tensorSpace,
    denoise: async (x: AnyTensor, sigma, evaluate) => {
      const factor = wienerFactor(sigmaPerRow(sigma, x.shape[0] ?? 0, ACTION));
      return { mean: await axes.scale(x, factor, evaluate) };
    },
    dispose: () => axes.dispose(),
    [Symbol.dispose]: () => axes.dispose(),
  };
}

/**
 * The denoiser of a Gaussian law in float64, for theory: the same function as {@linkcode gaussian}, on
 * `Float64Array` states, by plain loops.
 *
 * @param law The law.
 * @param options Shape and name.
 * @returns The denoiser, on rows of `d` numbers.
 * @throws {TypeError} If the shape does not hold `d` numbers.
 *
 * @example
 * ```ts
 * import { gaussianFloat64, gaussianLaw } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const denoiser = gaussianFloat64(gaussianLaw([1, 1], [3, 0]));
 * assert.deepEqual([...(await denoiser.denoise(Float64Array.of(5, 5), 1)).mean], [4, 1]);
 * ```
 */
export function gaussianFloat64(
  law: GaussianLaw,
  options: GaussianOptions = {},
): Denoiser<Float64Array> {
  const { name, shape } = checked(law, options);
  const d = law.mean.length;
  return {
    ...common(law, `${name}, float64`, shape),
    space: arraySpace,
    // deno-lint-ignore require-await -- So that what is thrown rejects.
    async denoise(x, sigma, evaluate) {
      checkEvaluateOptions(ACTION, evaluate);
      evaluate?.signal?.throwIfAborted();
      if (x.length % d !== 0) {
        throw new TypeError(
          `Cannot ${ACTION}: received ${x.length} numbers, wanted a multiple of ${d}`,
        );
      }
      const factor = wienerFactor(sigmaPerRow(sigma, x.length / d, ACTION));
      return { mean: scaleRows(law, x, factor) };
    },
  };
}

/** The share of a direction's variance that is signal, `λ/(λ+σ²)`. */
function wienerFactor(sigmas: Float64Array): AxisFactor {
  return (row, variance) => variance / (variance + sigmas[row] ** 2);
}

function common(law: GaussianLaw, name: string, shape: readonly number[]) {
  return {
    label: `Wiener filter of ${name}`,
    references: REFERENCES,
    shape,
    mean: () => law.mean.slice(),
    draw: (stream: RandomStream) => drawGaussian(law, law.mean.map(() => stream.normal()), 0),
    rms: () => gaussianRms(law),
  };
}

const GAUSSIAN_OPTIONS = { shape: undefined, name: "a Gaussian" } satisfies OptionTable<
  GaussianOptions
>;

function checked(law: GaussianLaw, options: GaussianOptions): Required<GaussianOptions> {
  const { shape = [law.mean.length], name } = readOptions(ACTION, options, GAUSSIAN_OPTIONS);
  checkRow(law, law.mean, ACTION);
  if (sizeOf(shape) !== law.mean.length) {
    throw new TypeError(
      `Cannot ${ACTION}: the shape is [${shape}], wanted one of ${law.mean.length} numbers`,
    );
  }
  return { shape, name };
}
