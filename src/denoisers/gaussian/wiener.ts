/**
 * The Wiener filter of a data set: the denoiser of the Gaussian that has its mean and covariance.
 *
 * @module
 */
import { checkOptionNames, optionsFor, type OptionTable } from "../../base/_options.ts";
import type { State } from "../../compute/batch.ts";
import { DEVICE_OPTION } from "../../compute/use_device.ts";
import type { DeviceChoice, DeviceOption } from "../../compute/use_device.ts";
import type { StatesOf } from "../base_denoiser.ts";
import { keepCapabilities } from "../_capabilities.ts";
import { heldData } from "../data_source.ts";
import type { DataSource } from "../data_source.ts";
import { gaussian } from "./gaussian.ts";
import type { StoredDenoiser } from "../optimal.ts";
import { dataSpectrum, SPECTRUM_OPTIONS } from "./spectrum.ts";
import type { SpectrumOptions } from "./spectrum.ts";

/** Options of {@linkcode wiener}. */
export interface WienerOptions<D extends DeviceChoice = DeviceChoice>
  extends SpectrumOptions, DeviceOption<D> {}

const OPTIONS = { ...SPECTRUM_OPTIONS, ...DEVICE_OPTION } satisfies OptionTable<WienerOptions>;

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
 * @param source The data, `N` items of shape `data.shape`, or a denoiser that holds them.
 * @param options Device; class, rank, floor, cache, signal, progress as of `dataSpectrum()`.
 * @returns The denoiser, on tensors of shape `[B, …data.shape]`, or on a `Float64Array` of rows on the device `float64`.
 * @throws {RangeError} If the class does not exist, or rank or floor are out of range.
 * @throws {DeviceError} If the device is not there, or cannot hold the basis.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { Dataset, wiener } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, 0, 1), shape: [1], name: "three numbers" });
 * using denoiser = await wiener(set, { device: "wasm" });
 * const x = tensorSpace.from([2], [1, 1]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * assert.deepEqual([...await tensorSpace.values(denoised)], [1]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function wiener<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: WienerOptions<D> = {},
): Promise<StoredDenoiser<StatesOf<S, D>>> {
  checkOptionNames(ACTION, options, OPTIONS);
  const { dataset, device } = await heldData(ACTION, source, options);
  const law = await dataSpectrum(dataset, {
    ...optionsFor(SPECTRUM_OPTIONS, options),
    class: undefined,
  });
  const denoiser = await gaussian(law, { device, shape: dataset.shape, name: dataset.name });
  keepCapabilities(denoiser, { data: { dataset, device } });
  return denoiser as StoredDenoiser<State> as StoredDenoiser<StatesOf<S, D>>;
}
