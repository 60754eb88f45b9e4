/**
 * Layers for images, with gradients that every tfjs backend has.
 *
 * Images are kept channel by channel, `[C, H, W, B]`: then a shifted image is a few long pieces of memory, and a
 * convolution is one product of its weights with nine shifted images under each other.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor } from "../states/linear_space.ts";
import { differentiable } from "./layers.ts";

type Side = readonly [channels: number, height: number, width: number, batch: number];

function sidesOf(x: AnyTensor): Side {
  return x.shape as unknown as Side;
}

/** The nine shifts of images under each other and a row of ones, `[9 C + 1, H W B]`, with zeros beyond the border. */
function neighbourhoods(x: AnyTensor): AnyTensor {
  const [channels, height, width, batch] = sidesOf(x);
  return tf.tidy(() => {
    const padded = tf.pad(tf.reshape(x, [channels, height, width * batch]), [
      [0, 0],
      [1, 1],
      [batch, batch],
    ]);
    const shifted = Array.from({ length: 9 }, (_, k) =>
      tf.reshape(
        tf.slice(padded, [0, Math.floor(k / 3), k % 3 * batch], [
          channels,
          height,
          width * batch,
        ]),
        [channels, height * width * batch],
      ));
    return tf.concat([...shifted, tf.ones([1, height * width * batch])], 0);
  });
}

function multiply(a: AnyTensor, b: AnyTensor): AnyTensor {
  return tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D);
}

/**
 * The weights that carry gradients back: those of each output to each input, with the shift turned round; no bias.
 *
 * @param weight `[C', 9 C + 1]`.
 * @returns `[C, 9 C' + 1]`, whose last column is zero.
 */
function turned(weight: AnyTensor): AnyTensor {
  const [outputs, columns] = weight.shape, inputs = (columns - 1) / 9;
  const shifts = tf.reshape(tf.slice(weight, [0, 0], [outputs, columns - 1]), [outputs, 9, inputs]);
  const back = tf.reshape(tf.transpose(tf.reverse(shifts, 1), [2, 1, 0]), [inputs, 9 * outputs]);
  return tf.concat([back, tf.zeros([inputs, 1])], 1);
}

function convolveOnly(x: AnyTensor, weight: AnyTensor): AnyTensor {
  const [, ...sides] = sidesOf(x);
  return tf.reshape(multiply(weight, neighbourhoods(x)), [weight.shape[0], ...sides]);
}

/**
 * A convolution over 3 × 3 pixels with a bias, with zeros beyond the border.
 *
 * @param x Images, `[C, H, W, B]`.
 * @param weight `[C', 9 C + 1]`: for each output, weights by shift and channel, and its bias.
 * @returns Images, `[C', H, W, B]`.
 */
export const convolve: (x: AnyTensor, weight: AnyTensor) => AnyTensor = differentiable(
  convolveOnly,
  (dy, [x, weight]) => {
    const rows = tf.transpose(tf.reshape(dy, [dy.shape[0], -1]));
    return [
      convolveOnly(dy, turned(weight)),
      tf.transpose(multiply(neighbourhoods(x), rows)),
    ];
  },
);

/**
 * Other channels pixel by pixel: a convolution over a single pixel without a bias.
 *
 * @param x Images, `[C, H, W, B]`.
 * @param weight `[C', C]`.
 * @returns Images, `[C', H, W, B]`.
 */
export const mixChannels: (x: AnyTensor, weight: AnyTensor) => AnyTensor = differentiable(
  mixOnly,
  (dy, [x, weight]) => [
    mixOnly(dy, tf.transpose(weight)),
    tf.transpose(
      multiply(
        tf.reshape(x, [x.shape[0], -1]),
        tf.transpose(tf.reshape(dy, [dy.shape[0], -1])),
      ),
    ),
  ],
);

function mixOnly(x: AnyTensor, weight: AnyTensor): AnyTensor {
  const [channels, ...sides] = sidesOf(x);
  return tf.reshape(multiply(weight, tf.reshape(x, [channels, -1])), [weight.shape[0], ...sides]);
}

/**
 * A number for each channel and image, added to all pixels.
 *
 * @param x Images, `[C, H, W, B]`.
 * @param shift `[C, B]`.
 * @returns Images of the shape of `x`.
 */
export const addToPixels: (x: AnyTensor, shift: AnyTensor) => AnyTensor = differentiable(
  (x, shift) => {
    const [channels, height, width, batch] = sidesOf(x);
    const sum = tf.add(
      tf.reshape(x, [channels, height * width, batch]),
      tf.reshape(shift, [channels, 1, batch]),
    );
    return tf.reshape(sum, x.shape);
  },
  (dy) => {
    const [channels, height, width, batch] = sidesOf(dy);
    return [dy, tf.sum(tf.reshape(dy, [channels, height * width, batch]), 1)];
  },
);

/** Sums over 2 × 2 pixels. */
function sumSquares(x: AnyTensor): AnyTensor {
  const [channels, height, width, batch] = sidesOf(x);
  return tf.tidy(() => {
    const rows = pairSum(tf.reshape(x, [channels * height / 2, 2, width * batch]));
    const sums = pairSum(tf.reshape(rows, [channels * height / 2 * width / 2, 2, batch]));
    return tf.reshape(sums, [channels, height / 2, width / 2, batch]);
  });
}

function pairSum(x: AnyTensor): AnyTensor {
  const [outer, , inner] = x.shape;
  return tf.add(
    tf.slice(x, [0, 0, 0], [outer, 1, inner]),
    tf.slice(x, [0, 1, 0], [outer, 1, inner]),
  );
}

/** Each pixel four times. */
function repeatSquares(x: AnyTensor): AnyTensor {
  const [channels, height, width, batch] = sidesOf(x);
  return tf.tidy(() => {
    const pixels = tf.reshape(x, [channels * height * width, 1, batch]);
    const rows = tf.reshape(tf.concat([pixels, pixels], 1), [
      channels * height,
      1,
      2 * width * batch,
    ]);
    return tf.reshape(tf.concat([rows, rows], 1), [channels, 2 * height, 2 * width, batch]);
  });
}

/**
 * Images of half the height and width, by means over 2 × 2 pixels.
 *
 * @param x Images, `[C, H, W, B]`, of even sides.
 * @returns Images, `[C, H/2, W/2, B]`.
 */
export const halve: (x: AnyTensor) => AnyTensor = differentiable(
  (x) => tf.mul(sumSquares(x), 1 / 4),
  (dy) => [tf.mul(repeatSquares(dy), 1 / 4)],
);

/**
 * Images of twice the height and width, each pixel four times.
 *
 * @param x Images, `[C, H, W, B]`.
 * @returns Images, `[C, 2 H, 2 W, B]`.
 */
export const double: (x: AnyTensor) => AnyTensor = differentiable(
  repeatSquares,
  (dy) => [sumSquares(dy)],
);
