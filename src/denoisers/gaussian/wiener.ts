/**
 * The Wiener filter of a data set: the denoiser of the Gaussian that has its mean and covariance.
 *
 * @module
 */
import { checkOptionNames } from "../../base/_options.ts";
import type { Device } from "../../compute/device.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { Denoiser } from "../denoiser.ts";
import { gaussian, gaussianFloat64 } from "./gaussian.ts";
import type { StoredDenoiser } from "../optimal.ts";
import { dataSpectrum, SPECTRUM_OPTIONS } from "./spectrum.ts";
import type { SpectrumOptions } from "./spectrum.ts";

const ACTION = "make the Wiener denoiser";

/**
 * The Wiener filter of a data set, on a device: the best linear denoiser, and the exact one if the data are Gaussian.
 *
 * ```text
 * D(x, σ) = μ + U diag(λ/(λ+σ²)) Uᵀ (x − μ) + τ²/(τ²+σ²) (I − U Uᵀ)(x − μ)
 * ```
 *
 * `μ` and `Σ = U diag(λ) Uᵀ` are mean and sample covariance, divisor `N − 1`, in 64-bit arithmetic; `τ²` is the
 * floor of the variances that a rank leaves out. With fewer images than pixels, some variances are 0 and
 * states go to the mean there; a floor keeps them.
 *
 * Reference: A. Lukoianov, C. Yuan, J. Solomon, V. Sitzmann (2025), Locality in image diffusion models emerges from
 * data statistics, arXiv:2509.09672, which compares with it.
 *
 * @param dataset The data, `N` rows of shape `dataset.shape`.
 * @param device Where to compute.
 * @param options Class, rank, floor, cache, signal, progress: those of `dataSpectrum()`.
 * @returns The denoiser, on tensors of shape `[B, …dataset.shape]`. Dispose it after use.
 * @throws {RangeError} If the class does not exist, or rank or floor are out of range.
 * @throws {DeviceError} If the device cannot hold the basis.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { Dataset, openDevice, tensorSpace, wiener } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, 0, 1), shape: [1], name: "three numbers" });
 * using device = await openDevice("wasm");
 * using denoiser = await wiener(set, device);
 * const x = tensorSpace.from([2], [1, 1]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * assert.deepEqual([...await tensorSpace.values(denoised)], [1]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function wiener(
  dataset: Dataset,
  device: Device,
  options: SpectrumOptions = {},
): Promise<StoredDenoiser> {
  checkOptionNames(ACTION, options, SPECTRUM_OPTIONS);
  const law = await dataSpectrum(dataset, options);
  return await gaussian(law, device, describe(dataset, options));
}

/**
 * The Wiener filter of a data set in float64, for theory: the same function as {@linkcode wiener}, on
 * `Float64Array` states.
 *
 * @param dataset The data.
 * @param options Class, rank, floor, cache, signal, progress: those of `dataSpectrum()`.
 * @returns The denoiser, on rows of `dataset.dimension` numbers.
 * @throws {RangeError} If the class does not exist, or rank or floor are out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { Dataset, wienerFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, 0, 1), shape: [1], name: "three numbers" });
 * const denoiser = await wienerFloat64(set);
 * assert.deepEqual([...(await denoiser.denoise(Float64Array.of(2, 5), [1, 2])).mean], [1, 1]);
 * ```
 */
export async function wienerFloat64(
  dataset: Dataset,
  options: SpectrumOptions = {},
): Promise<Denoiser<Float64Array>> {
  checkOptionNames(ACTION, options, SPECTRUM_OPTIONS);
  return gaussianFloat64(await dataSpectrum(dataset, options), describe(dataset, options));
}

function describe(dataset: Dataset, options: SpectrumOptions) {
  const { shape } = dataset;
  const name = options.class === undefined
    ? dataset.name
    : `${dataset.name}, class ${options.class}`;
  return { shape, name };
}
