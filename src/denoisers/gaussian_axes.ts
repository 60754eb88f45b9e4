/**
 * Batches of tensors scaled along the principal axes of a Gaussian law, on a device.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Device } from "../compute/device.ts";
import { checkQueries, checkQueryShape } from "../compute/posterior.ts";
import type { EvaluateOptions } from "../compute/posterior.ts";
import { DeviceError } from "../errors.ts";
import type { AnyTensor } from "../linear_space.ts";
import { tensorSpace } from "../linear_space.ts";
import { alongAxes } from "./gaussian_law.ts";
import type { GaussianLaw } from "./gaussian_law.ts";

/** A factor for a row of a batch and a variance of the law. */
export type AxisFactor = (row: number, variance: number) => number;

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
   * @param x States, shape `[B, …]` with `d` numbers per row. Not disposed.
   * @param factor The factor `f` of a row and a variance.
   * @param options A signal that cancels.
   * @returns `y`, a new tensor of the shape of `x`.
   * @throws {RangeError} If there are no rows, or a number is not finite.
   * @throws {TypeError} If the rows of `x` do not hold `d` numbers.
   * @throws {DeviceError} If this was disposed.
   */
  scale(x: AnyTensor, factor: AxisFactor, options?: EvaluateOptions): Promise<AnyTensor>;
  /** Releases what lies on the device. */
  dispose(): void;
}

const ACTION = "scale along the axes of a Gaussian";
// Smaller products take less time in plain loops than to start.
const LEAST = 2 ** 16;

/** Sums `base + Uᵀ diag(g) U e` for rows of `d` numbers, with `r` numbers `g` per row. */
interface BasisProducts extends Disposable {
  sum(base: Float64Array, e: Float64Array, g: Float64Array): Promise<AnyTensor>;
}

/**
 * Lays out the axes of a Gaussian law on a device: in float64 on the CPU, as a float32 tensor on a GPU.
 *
 * A call costs two products with the basis, never a `d × d` matrix of its own.
 *
 * @param law The law.
 * @param device Where to compute.
 * @returns The axes. Dispose them after use.
 * @throws {DeviceError} If the device cannot hold them.
 *
 * @example The flow of a Gaussian of variance 3 from noise 1 to none
 * ```ts
 * import { gaussianAxes, gaussianLaw, openDevice, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * using axes = await gaussianAxes(gaussianLaw([1, 1], 3), device);
 * const x = tensorSpace.from([3, 1], [1, 2]);
 * const y = await axes.scale(x, (_, variance) => Math.sqrt(variance / (variance + 1)));
 * assert.deepEqual([...await tensorSpace.values(y)], [Math.fround(1 + Math.sqrt(3)), 1]);
 * tensorSpace.dispose(x, y);
 * ```
 */
export async function gaussianAxes(law: GaussianLaw, device: Device): Promise<GaussianAxes> {
  const { mean, variances, basis } = law;
  const products = !basis || basis.length < LEAST || device.kind === "reference"
    ? undefined
    : device.kind === "wasm"
    ? await inThreads(basis, mean.length)
    : inTensors(basis, mean.length);
  let open = true;
  const dispose = () => {
    if (open) products?.[Symbol.dispose]();
    open = false;
  };
  return {
    async scale(x, factor, options) {
      const count = checkQueryShape(x.shape, mean.length, ACTION);
      const values = await x.data<"float32">();
      checkQueries(values, ACTION);
      options?.signal?.throwIfAborted();
      if (!open) throw new DeviceError(`Cannot ${ACTION}: the axes were disposed`);
      if (!products) return tensorSpace.from(scaleRows(law, values, factor), x.shape);
      const e = Float64Array.from(values, (v, i) => v - mean[i % mean.length]);
      const outside = Float64Array.from(
        { length: count },
        (_, b) => outsideFactor(law, (v) => factor(b, v)),
      );
      const rank = variances.length;
      const g = Float64Array.from({ length: count * rank }, (_, i) => {
        const b = Math.floor(i / rank);
        return factor(b, variances[i % rank]) - outside[b];
      });
      const base = e.map((v, i) =>
        mean[i % mean.length] + outside[Math.floor(i / mean.length)] * v
      );
      const sum = await products.sum(base, e, g);
      return tf.tidy(() => {
        const y = tf.reshape(sum, x.shape);
        sum.dispose();
        return y;
      });
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/**
 * The factor for what no axis takes part in. With a full basis nothing lies outside of it, so it may be
 * anything: halfway between the factors inside, the products have least to add, and rounding least to spoil.
 */
function outsideFactor({ mean, variances, floor }: GaussianLaw, f: (v: number) => number): number {
  if (variances.length < mean.length) return f(floor);
  let low = Infinity, high = -Infinity;
  for (const v of variances) {
    low = Math.min(low, f(v));
    high = Math.max(high, f(v));
  }
  return (low + high) / 2;
}

/**
 * Scales rows along the axes of a law in plain float64 loops.
 *
 * @param law The law.
 * @param x States, rows of `d` numbers.
 * @param factor The factor of a row and a variance.
 * @returns The scaled rows.
 *
 * @example
 * ```ts
 * import { gaussianLaw, scaleRows } from "@closedform/diffusion";
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
  const { mean } = law, d = mean.length;
  const y = new Float64Array(x.length);
  for (let b = 0; b * d < x.length; b++) {
    const e = mean.map((m, c) => x[b * d + c] - m);
    y.set(alongAxes(law, e, (v) => factor(b, v)).map((v, c) => v + mean[c]), b * d);
  }
  return y;
}

async function inThreads(basis: Float64Array, dimension: number): Promise<BasisProducts> {
  const { ThreadedBasis } = await import("../compute/wasm/basis.ts");
  const threads = await ThreadedBasis.open(basis, dimension);
  return {
    async sum(base, e, g) {
      const product = await threads.filter(e, g);
      const sum = Float32Array.from(base, (v, i) => v + product[i]);
      return tf.tensor(sum, [e.length / dimension, dimension], "float32");
    },
    [Symbol.dispose]: () => threads[Symbol.dispose](),
  };
}

function inTensors(basis: Float64Array, dimension: number): BasisProducts {
  const rank = basis.length / dimension;
  const axes = tf.tensor2d(Float32Array.from(basis), [rank, dimension]);
  return {
    sum(base, e, g) {
      const rows = e.length / dimension;
      const tensor = (numbers: Float64Array, width: number) =>
        tf.tensor2d(Float32Array.from(numbers), [rows, width]);
      return Promise.resolve(tf.tidy(() => {
        const q = tf.matMul(tensor(e, dimension), axes, false, true);
        return tf.add(tensor(base, dimension), tf.matMul(tf.mul(q, tensor(g, rank)), axes));
      }));
    },
    [Symbol.dispose]: () => axes.dispose(),
  };
}
