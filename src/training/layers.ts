/**
 * Layers with gradients that every tfjs backend has, and is fast at: products of matrices that are not transposed on
 * the way, sums, slices.
 *
 * The wasm backend multiplies plain matrices several times faster than transposed ones, and has no gradient for the
 * weights of a convolution.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor } from "../states/linear_space.ts";

/**
 * A function of tensors with a gradient of its own.
 *
 * @param forward The function.
 * @param backward Gradients of its inputs, from the gradient of its value and the inputs.
 */
export function differentiable(
  forward: (...inputs: AnyTensor[]) => AnyTensor,
  backward: (dy: AnyTensor, inputs: AnyTensor[]) => AnyTensor[],
): (...inputs: AnyTensor[]) => AnyTensor {
  return tf.customGrad((...given) => {
    const save = given.pop() as tf.GradSaveFunc;
    const inputs = given as AnyTensor[];
    save(inputs);
    return { value: forward(...inputs), gradFunc: backward };
  });
}

function plainProduct(a: AnyTensor, b: AnyTensor): AnyTensor {
  return tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D);
}

/**
 * The product of two matrices.
 *
 * @param a A matrix `[m, k]`.
 * @param b A matrix `[k, n]`.
 * @returns `a b`, of shape `[m, n]`.
 */
export const product: (a: AnyTensor, b: AnyTensor) => AnyTensor = differentiable(
  plainProduct,
  (dy, [a, b]) => [plainProduct(dy, tf.transpose(b)), plainProduct(tf.transpose(a), dy)],
);

/**
 * A vector added to each row of a matrix.
 *
 * @param x A matrix `[m, n]`.
 * @param bias A vector `[n]`.
 * @returns `x + bias`. Its gradient sums columns by a product with ones, which no backend needs to transpose for.
 */
export const addToRows: (x: AnyTensor, bias: AnyTensor) => AnyTensor = differentiable(
  (x, bias) => tf.add(x, bias),
  (dy, [, bias]) => [dy, tf.reshape(plainProduct(tf.ones([1, dy.shape[0]!]), dy), bias.shape)],
);

/**
 * A vector added to each column of a matrix.
 *
 * @param x A matrix `[m, n]`.
 * @param bias A vector `[m]`.
 * @returns `x + bias`, column by column.
 */
export const addToColumns: (x: AnyTensor, bias: AnyTensor) => AnyTensor = differentiable(
  (x, bias) => tf.add(x, tf.reshape(bias, [-1, 1])),
  (dy, [, bias]) => [dy, tf.reshape(plainProduct(dy, tf.ones([dy.shape[1]!, 1])), bias.shape)],
);

/**
 * The activation `x/(1 + e⁻ˣ)`.
 *
 * @param x Any tensor.
 * @returns A tensor of its shape.
 */
export const silu: (x: AnyTensor) => AnyTensor = differentiable(
  (x) => tf.mul(x, tf.sigmoid(x)),
  (dy, [x]) => {
    const s = tf.sigmoid(x), y = tf.mul(x, s);
    return [tf.mul(dy, tf.add(s, tf.mul(y, tf.sub(1, s))))];
  },
);

/**
 * A layer of neurons.
 *
 * @param x Inputs, `[m, k]`.
 * @param weight `[k, n]`.
 * @param bias `[n]`.
 * @returns `x weight + bias`.
 */
export function dense(x: AnyTensor, weight: AnyTensor, bias: AnyTensor): AnyTensor {
  return addToRows(product(x, weight), bias);
}
