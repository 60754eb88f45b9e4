/**
 * The denoiser of a Gaussian law: the Wiener filter.
 *
 * @module
 */
import { showsItself } from "../../base/_display.ts";
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { sizeOf } from "../../base/_shape.ts";
import { batchOf } from "../../compute/batch.ts";
import type { State } from "../../compute/batch.ts";
import { sigmaPerRow } from "../../compute/posterior.ts";
import { DEVICE_OPTION, deviceOf } from "../../compute/use_device.ts";
import type { DeviceChoice, DeviceOption, StateOf } from "../../compute/use_device.ts";
import type { StateSpace } from "../../states/linear_space.ts";
import type { RandomStream } from "../../base/random.ts";
import { gaussianAxes } from "./gaussian_axes.ts";
import type { AxisFactor, GaussianAxes } from "./gaussian_axes.ts";
import { checkRow, drawGaussian, gaussianRms } from "./gaussian_law.ts";
import type { GaussianLaw } from "./gaussian_law.ts";
import type { StoredDenoiser } from "../optimal.ts";

/** Options of denoisers of Gaussians and of mixtures. */
export interface GaussianOptions<D extends DeviceChoice = DeviceChoice> extends DeviceOption<D> {
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
 * @param options Shape, name, device.
 * @returns The denoiser, on tensors of shape `[B, …shape]`, or on a `Float64Array` of rows on the device `float64`.
 * @throws {TypeError} If the shape does not hold `d` numbers, or there is no such option.
 * @throws {DeviceError} If the device is not there, or cannot hold the basis.
 *
 * @example Variance 3 and noise 1: three quarters of the deviation are signal
 * ```ts
 * import { gaussian, gaussianLaw } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * using denoiser = await gaussian(gaussianLaw([1, 1], 3), { device: "wasm" });
 * const x = tensorSpace.from([5, 1], [1, 2]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * assert.deepEqual([...await tensorSpace.values(denoised)], [4, 1]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function gaussian<D extends DeviceChoice = "auto">(
  law: GaussianLaw,
  options: GaussianOptions<D> = {},
): Promise<StoredDenoiser<StateOf<D>>> {
  const settings = readOptions(ACTION, options, GAUSSIAN_OPTIONS);
  const device = await deviceOf(settings.device);
  const axes = await gaussianAxes(law, { device });
  return gaussianOver(law, axes, device.space as StateSpace<State>, settings) as StoredDenoiser<
    State
  > as StoredDenoiser<StateOf<D>>;
}

/**
 * The denoiser of a Gaussian law whose axes are laid out.
 *
 * @param law The law.
 * @param axes Its axes. They are disposed with the denoiser.
 * @param space The space of its states.
 * @param description Shape and name.
 * @returns The denoiser.
 */
export function gaussianOver(
  law: GaussianLaw,
  axes: GaussianAxes,
  space: StateSpace<State>,
  { shape = [law.mean.length], name = "a Gaussian" }: Pick<GaussianOptions, "shape" | "name">,
): StoredDenoiser<State> {
  const dimension = law.mean.length;
  checkRow(law, law.mean, ACTION);
  if (sizeOf(shape) !== dimension) {
    throw new TypeError(
      `Cannot ${ACTION}: the shape is [${shape}], wanted one of ${dimension} numbers`,
    );
  }
  return showsItself({
    label: `Wiener filter of ${name}`,
    references: REFERENCES,
    shape,
    space,
    mean: () => law.mean.slice(),
    draw: (stream: RandomStream) => drawGaussian(law, law.mean.map(() => stream.normal()), 0),
    rms: () => gaussianRms(law),
    async denoise(x, sigma, evaluate) {
      const { rows } = batchOf(x, dimension, ACTION);
      const factor = wienerFactor(sigmaPerRow(sigma, rows, ACTION));
      return { mean: await axes.scale(x, factor, evaluate) };
    },
    dispose: () => axes.dispose(),
    [Symbol.dispose]: () => axes.dispose(),
  });
}

/** The share of a direction's variance that is signal, `λ/(λ+σ²)`. */
function wienerFactor(sigmas: Float64Array): AxisFactor {
  return (row, variance) => variance / (variance + sigmas[row] ** 2);
}

const GAUSSIAN_OPTIONS = {
  ...DEVICE_OPTION,
  shape: undefined,
  name: "a Gaussian",
} satisfies OptionTable<GaussianOptions>;
