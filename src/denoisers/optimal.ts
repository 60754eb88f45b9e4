/**
 * The optimal denoiser: the exact posterior mean of the data set.
 *
 * @module
 */
import type { Device } from "../compute/device.ts";
import { referencePosterior } from "../compute/reference.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { AnyTensor } from "../linear_space.ts";
import { arraySpace, tensorSpace } from "../linear_space.ts";
import type { Denoiser } from "./denoiser.ts";

const REFERENCES = [
  "T. Karras, M. Aittala, T. Aila, S. Laine (2022), Elucidating the design space of diffusion-based generative models, arXiv:2206.00364",
];

/** A tensor denoiser that holds data on a device. */
export interface StoredDenoiser extends Denoiser<AnyTensor>, Disposable {
  /** Releases the data that it holds on the device. */
  dispose(): void;
}

/** Options of the optimal denoisers. */
export interface OptimalOptions {
  /** Restrict the data to one class, by number or by name. Default: all classes. */
  readonly class?: number | string;
}

/**
 * The optimal denoiser of a data set, on a device: the exact, training-free
 * posterior mean over the whole set or one class.
 *
 * ```text
 * D(x, σ) = Σᵢ wᵢ xᵢ,   wᵢ = softmaxᵢ( −‖x − xᵢ‖² / 2σ² )
 * ```
 *
 * @param dataset The data, `N` rows of shape `dataset.shape`.
 * @param device Where to compute.
 * @param options Restriction to a class.
 * @returns The denoiser, on tensors of shape `[B, …dataset.shape]`. Dispose it after use.
 * @throws {RangeError} If the class does not exist.
 * @throws {DeviceError} If the device cannot hold the data.
 *
 * @example Far below the distance between two points, the denoiser returns the nearer one
 * ```ts
 * import { Dataset, openDevice, optimal, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
 * using device = await openDevice("wasm");
 * using denoiser = await optimal(dataset, device);
 * const x = tensorSpace.from([0.6, 0.3], [1, 2]);
 * const denoised = await denoiser.denoise(x, 0.1);
 * assert.deepEqual([...await tensorSpace.values(denoised)], [1, 0]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export async function optimal(
  dataset: Dataset,
  device: Device,
  options: OptimalOptions = {},
): Promise<StoredDenoiser> {
  const data = restricted(dataset, options);
  const store = await device.store(data);
  return {
    label: `optimal denoiser of ${data.name}`,
    references: REFERENCES,
    shape: data.shape,
    space: tensorSpace,
    mean: () => data.mean(),
    async denoise(x, sigma, evaluate) {
      return (await store.posterior(x, sigma, evaluate)).mean;
    },
    posterior: (x, sigma, evaluate) => store.posterior(x, sigma, evaluate),
    dispose: () => store.dispose(),
    [Symbol.dispose]: () => store.dispose(),
  };
}

/**
 * The optimal denoiser in float64, for theory: the same function as
 * {@linkcode optimal}, on `Float64Array` states, by the reference kernel.
 *
 * @param dataset The data.
 * @param options Restriction to a class.
 * @returns The denoiser, on `Float64Array` states of rows one after the other.
 * @throws {RangeError} If the class does not exist.
 *
 * @example
 * ```ts
 * import { Dataset, optimalFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
 * const denoised = await optimalFloat64(dataset).denoise(Float64Array.of(0.5, 0), 1);
 * assert.ok(Math.abs(denoised[0] - Math.tanh(0.5)) < 1e-15);
 * ```
 */
export function optimalFloat64(
  dataset: Dataset,
  options: OptimalOptions = {},
): Denoiser<Float64Array> {
  const data = restricted(dataset, options);
  const posterior: Denoiser<Float64Array>["posterior"] = (
    x,
    sigma,
    evaluate,
  ) => {
    evaluate?.signal?.throwIfAborted();
    return Promise.resolve(referencePosterior(data, x, sigma));
  };
  return {
    label: `optimal denoiser of ${data.name}, float64`,
    references: REFERENCES,
    shape: data.shape,
    space: arraySpace,
    mean: () => data.mean(),
    async denoise(x, sigma, evaluate) {
      return (await posterior(x, sigma, evaluate)).mean;
    },
    posterior,
  };
}

function restricted(dataset: Dataset, options: OptimalOptions): Dataset {
  return options.class === undefined ? dataset : dataset.classSubset(options.class);
}
