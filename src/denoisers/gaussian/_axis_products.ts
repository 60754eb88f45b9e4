/** What scaling along the axes of a Gaussian law computes, and on tensors. */
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor } from "../../states/linear_space.ts";
import type { GaussianLaw } from "./gaussian_law.ts";

/** A factor for a row of a batch and a variance of the law. */
export type AxisFactor = (row: number, variance: number) => number;

// Smaller products take less time in plain loops than to start.
const LEAST = 2 ** 16;

/** Whether products with the basis are worth threads or tensors. */
export function isLarge({ basis }: GaussianLaw): boolean {
  return basis !== undefined && basis.length >= LEAST;
}

/** A tensor in another shape; the one that was is disposed. */
export function shaped(y: AnyTensor, shape: number[]): AnyTensor {
  const tensor = tf.reshape(y, shape);
  y.dispose();
  return tensor;
}

/**
 * What a scaling sums: `y = base + Uᵀ diag(g) U e` for rows of `d` numbers, with `r` numbers `g` per row.
 */
export function terms(law: GaussianLaw, x: ArrayLike<number>, factor: AxisFactor) {
  const { mean, variances } = law, d = mean.length, rank = variances.length;
  const count = x.length / d;
  const e = Float64Array.from(x, (v, i) => v - mean[i % d]);
  const outside = Float64Array.from(
    { length: count },
    (_, b) => outsideFactor(law, (v) => factor(b, v)),
  );
  const g = Float64Array.from({ length: count * rank }, (_, i) => {
    const b = Math.floor(i / rank);
    return factor(b, variances[i % rank]) - outside[b];
  });
  const base = e.map((v, i) => mean[i % d] + outside[Math.floor(i / d)] * v);
  return { base, e, g };
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

/** The axes as a tensor on tfjs's active backend. */
export function inTensors(law: GaussianLaw) {
  const d = law.mean.length, rank = law.variances.length;
  const axes = tf.tensor2d(Float32Array.from(law.basis!), [rank, d]);
  return {
    scale(x: ArrayLike<number>, factor: AxisFactor): Promise<AnyTensor> {
      const { base, e, g } = terms(law, x, factor);
      const tensor = (numbers: Float64Array, width: number) =>
        tf.tensor2d(Float32Array.from(numbers), [x.length / d, width]);
      return Promise.resolve(tf.tidy(() => {
        const q = tf.matMul(tensor(e, d), axes, false, true);
        return tf.add(tensor(base, d), tf.matMul(tf.mul(q, tensor(g, rank)), axes));
      }));
    },
    [Symbol.dispose]: () => axes.dispose(),
  };
}
