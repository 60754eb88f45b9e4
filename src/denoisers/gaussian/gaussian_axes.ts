/**
 * Batches of tensors scaled along the principal axes of a Gaussian law, on a device.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { checkOptionNames } from "../../base/_options.ts";
import { openBasis } from "../../compute/basis.ts";
import { batchOf } from "../../compute/batch.ts";
import type { State } from "../../compute/batch.ts";
import { DEVICE_OPTION, deviceOf } from "../../compute/use_device.ts";
import type { DeviceOption } from "../../compute/use_device.ts";
import { checkEvaluateOptions, checkQueries } from "../../compute/posterior.ts";
import type { EvaluateOptions } from "../../compute/posterior.ts";
import { DeviceError } from "../../base/errors.ts";
import type { AnyTensor } from "../../states/linear_space.ts";
import { inTensors, isLarge, shaped, terms } from "./_axis_products.ts";
import { alongAxes, checkRow, finiteRow } from "./gaussian_law.ts";
import type { GaussianLaw } from "./gaussian_law.ts";
import type { AxisFactor } from "./_axis_products.ts";

export type { AxisFactor } from "./_axis_products.ts";

/** What computes the products of a scaling. */
export interface AxisProducts extends Disposable {
  /** Scales rows of `d` numbers. */
  scale(x: ArrayLike<number>, factor: AxisFactor): Promise<Float64Array | AnyTensor>;
}

/** The principal axes of a Gaussian law on a device. */
export interface GaussianAxes extends Disposable {
  /**
   * Scales the deviations from the mean along the axes, by another factor in each direction and row.
   *
   * ```text
   * y = μ + U f(λ) Uᵀ (x − μ) + f(τ²) (I − U Uᵀ)(x − μ)
   * ```
   *
   * Denoiser (`f = λ/(λ+σ²)`) and flow (`f = √((λ+σ'²)/(λ+σ²))`) are such maps.
   *
   * @param x States, a tensor of shape `[B, …]` with `d` numbers per row or an array of rows. Not disposed.
   * @param factor The factor `f` of a row and a variance.
   * @param options A signal that cancels.
   * @returns `y`, a new state of the kind and shape of `x`.
   * @throws {RangeError} If there are no rows, or a number is not finite.
   * @throws {TypeError} If the rows of `x` do not hold `d` numbers.
   * @throws {DeviceError} If this was disposed.
   */
  scale<X extends State>(x: X, factor: AxisFactor, options?: EvaluateOptions): Promise<X>;
  /** Releases what lies on the device. */
  dispose(): void;
}

const ACTION = "scale along the axes of a Gaussian";

/**
 * Lays out the axes of a Gaussian law on a device: in float64 on the CPU, as a float32 tensor on a GPU.
 *
 * A call costs two products with the basis, never a `d × d` matrix of its own.
 *
 * @param law The law.
 * @param options Where to compute.
 * @returns The axes. Dispose them to free the device early.
 * @throws {DeviceError} If the device is not there, or cannot hold them.
 * @throws {TypeError} If there is no such option.
 *
 * @example The flow of a Gaussian of variance 3 from noise 1 to none
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import { gaussianAxes } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * using axes = await gaussianAxes(gaussianLaw([1, 1], 3), { device: "wasm" });
 * const x = tensorSpace.from([3, 1], [1, 2]);
 * const y = await axes.scale(x, (_, variance) => Math.sqrt(variance / (variance + 1)));
 * assert.deepEqual([...await tensorSpace.values(y)], [Math.fround(1 + Math.sqrt(3)), 1]);
 * tensorSpace.dispose(x, y);
 * ```
 */
export async function gaussianAxes(
  law: GaussianLaw,
  options: DeviceOption = {},
): Promise<GaussianAxes> {
  checkOptionNames("lay out the axes of a Gaussian", options, DEVICE_OPTION);
  const { products } = await deviceOf(options.device);
  const axes = !isLarge(law) || products === "loops"
    ? undefined
    : products === "threads"
    ? await inThreads(law)
    : inTensors(law);
  return axesOver(law, axes);
}

/**
 * The axes of a Gaussian law by whatever computes the products.
 *
 * @param law The law.
 * @param axes What computes them. Default: plain loops in float64.
 * @returns The axes.
 */
export function axesOver(law: GaussianLaw, axes?: AxisProducts): GaussianAxes {
  let open = true;
  const dispose = () => {
    if (open) axes?.[Symbol.dispose]();
    open = false;
  };
  return {
    async scale(x, factor, options) {
      checkEvaluateOptions(ACTION, options);
      const batch = batchOf(x, law.mean.length, ACTION);
      const values = await batch.values();
      checkQueries(values, ACTION);
      options?.signal?.throwIfAborted();
      if (!open) throw new DeviceError(`Cannot ${ACTION}: the axes were disposed`);
      const y = await axes?.scale(values, factor) ?? scaleRows(law, values, factor);
      if (y instanceof Float64Array) return batch.like(y);
      if (x instanceof tf.Tensor) return shaped(y, x.shape) as State as typeof x;
      const numbers = await y.data<"float32">().finally(() => y.dispose());
      return batch.like(numbers);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** The principal axes of a Gaussian law, for rows of numbers in float64. */
export interface RowAxes extends Disposable {
  /**
   * Scales deviations from the mean along the axes, as {@linkcode scaleRows} does.
   *
   * @param x Rows of `d` numbers.
   * @param factor The factor of a row and a variance.
   * @returns The scaled rows.
   */
  scale(x: ArrayLike<number>, factor: AxisFactor): Promise<Float64Array>;
}

/**
 * The axes of a Gaussian law for rows of numbers, on the CPU in float64: by threads if the basis is large.
 *
 * @param law The law.
 * @returns The axes. Dispose them after use.
 * @throws {DeviceError} If there is not enough memory for the threads.
 *
 * @example
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { rowAxes } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * using axes = await rowAxes(gaussianLaw([1], 4));
 * assert.deepEqual([...await axes.scale([3], (_, v) => Math.sqrt(v))], [5]);
 * ```
 */
export async function rowAxes(law: GaussianLaw): Promise<RowAxes> {
  if (isLarge(law)) return await inThreads(law);
  return {
    scale: (x, factor) => Promise.resolve(scaleRows(law, x, factor)),
    [Symbol.dispose]: () => {},
  };
}

/**
 * Scales rows along the axes of a law in plain float64 loops.
 *
 * @param law The law.
 * @param x States, rows of `d` numbers.
 * @param factor The factor of a row and a variance.
 * @returns The scaled rows.
 * @throws {TypeError} If `x` is no whole number of rows, or the parts of the law do not fit each other.
 * @throws {RangeError} If a result is not finite.
 *
 * @example
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { scaleRows } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...scaleRows(gaussianLaw([1], 4), [3], (_, v) => Math.sqrt(v))], [5]);
 * ```
 */
export function scaleRows(
  law: GaussianLaw,
  x: ArrayLike<number>,
  factor: AxisFactor,
): Float64Array {
  const { mean } = law, d = mean.length, action = "scale deviations from a Gaussian";
  checkRow(law, mean, action);
  if (x.length % d !== 0) {
    throw new TypeError(`Cannot ${action}: received ${x.length} numbers, wanted rows of ${d}`);
  }
  const y = new Float64Array(x.length);
  for (let b = 0; b * d < x.length; b++) {
    const e = mean.map((m, c) => x[b * d + c] - m);
    y.set(alongAxes(law, e, (v) => factor(b, v)).map((v, c) => v + mean[c]), b * d);
  }
  return finiteRow(y, action);
}

async function inThreads(law: GaussianLaw): Promise<RowAxes> {
  const threads = await openBasis(law.basis!, law.mean.length);
  return {
    async scale(x, factor) {
      const { base, e, g } = terms(law, x, factor);
      const product = await threads.filter(e, g);
      return base.map((v, i) => v + product[i]);
    },
    [Symbol.dispose]: () => threads[Symbol.dispose](),
  };
}
