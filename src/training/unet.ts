/**
 * A small convolutional network for images.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import * as tf from "@tensorflow/tfjs-core";
import type { AnyTensor } from "../states/linear_space.ts";
import { checkWhole } from "../base/_checks.ts";
import { noiseFeatures, noiseFrequencies } from "./_noise_features.ts";
import { addToPixels, convolve, double, halve, mixChannels } from "./image_layers.ts";
import { addToColumns, product, silu } from "./layers.ts";
import type { Network } from "./network.ts";
import { normalWeight, zeroWeight } from "./weights.ts";
import type { Weight, WeightTensors } from "./weights.ts";

/** Options of {@linkcode unet}. */
export interface UnetOptions {
  /** The shape of one image, `[height, width, channels]`. */
  readonly shape: readonly number[];
  /** Channels at each level; each level has half the height and width of the one before. Default `[32, 64]`. */
  readonly channels?: readonly number[];
  /** Residual blocks per level and direction. Default 1. */
  readonly blocks?: number;
  /** Waves of the noise level, each a cosine and a sine. Default 8. */
  readonly frequencies?: number;
  /** Seed of the weights and frequencies. Default 0. */
  readonly seed?: number;
}

/** A residual block: its name, and its channels before and after. */
interface Block {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

const ACTION = "make a network";

const OPTIONS = {
  shape: undefined,
  channels: undefined,
  blocks: 1,
  frequencies: 8,
  seed: 0,
} satisfies OptionTable<UnetOptions>;

/**
 * A U-Net: residual blocks of 3 × 3 convolutions at falling and then rising resolution; what a level knew on the way
 * down is added on the way up.
 *
 * ```text
 * block: x ↦ M x + conv(SiLU(conv(SiLU(x)) + A e)),   e = SiLU(B [cos(2πf c_noise), sin(2πf c_noise)] + b)
 * ```
 *
 * The last convolution of each block and of the network start from zero, so that it says nothing at first. There is no
 * normalisation and no attention.
 *
 * Reference, of the idea: O. Ronneberger, P. Fischer, T. Brox (2015), arXiv:1505.04597.
 *
 * @param options The sizes.
 * @returns The network.
 * @throws {TypeError} If the shape is not that of an image.
 * @throws {RangeError} If a size is not a whole number ≥ 1, or the sides of the images cannot be halved so often.
 *
 * @example
 * ```ts
 * import { unet } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => unet({ shape: [14, 14, 1], channels: [8, 16, 32] }), RangeError);
 * assert.deepEqual(unet({ shape: [12, 12, 1] }).shape, [12, 12, 1]);
 * ```
 */
export function unet(options: UnetOptions): Network {
  const { shape, channels = [32, 64], blocks, frequencies, seed } = readOptions(
    "make a network",
    options,
    OPTIONS,
  );
  checkSizes(shape, channels, { blocks, frequencies });
  const [, , colours] = shape, [base] = channels, wide = 4 * base;
  const waves = noiseFrequencies(frequencies, seed);
  const { down, up } = blocksOf(channels, blocks);
  return {
    label: `U-Net of ${channels.join("-")} channels`,
    config: { kind: "unet", shape, channels, blocks, frequencies, seed },
    shape,
    initial() {
      let layer = 0;
      const normal = (outputs: number, inputs: number) =>
        normalWeight([outputs, inputs], inputs, seed, layer++);
      const weights: Record<string, Weight> = {
        "noise.weight": normal(wide, 2 * frequencies),
        "noise.bias": zeroWeight([wide]),
        "in": normal(base, 9 * colours + 1),
        "out": zeroWeight([colours, 9 * base + 1]),
      };
      for (const { name, from, to } of [...down, ...up].flat()) {
        weights[`${name}.first`] = normal(to, 9 * from + 1);
        weights[`${name}.noise`] = normal(to, wide);
        weights[`${name}.second`] = zeroWeight([to, 9 * to + 1]);
        if (from !== to) weights[`${name}.mix`] = normal(to, from);
      }
      return weights;
    },
    apply(weights, x, noise) {
      const features = tf.transpose(noiseFeatures(noise, waves));
      const e = silu(
        addToColumns(product(weights["noise.weight"], features), weights["noise.bias"]),
      );
      const run = (h: AnyTensor, level: readonly Block[]) =>
        level.reduce((state, block) => residual(weights, block, state, e), h);
      const kept: AnyTensor[] = [];
      let h = convolve(toChannels(x, shape), weights["in"]);
      down.forEach((level, k) => {
        h = run(k > 0 ? halve(h) : h, level);
        kept.push(h);
      });
      up.forEach((level, k) => {
        const before = kept[kept.length - 2 - k];
        const [first, ...others] = level;
        h = run(tf.add(residual(weights, first, double(h), e), before), others);
      });
      return fromChannels(convolve(silu(h), weights["out"]), x.shape);
    },
  };
}

/** The blocks level by level: down, and from the last level but one up. The first block up takes the channels of its level. */
function blocksOf(channels: readonly number[], blocks: number): { down: Block[][]; up: Block[][] } {
  const level = (name: string, from: number, to: number) =>
    Array.from(
      { length: blocks },
      (_, j) => ({ name: `${name}.${j}`, from: j > 0 ? to : from, to }),
    );
  const down = channels.map((to, k) => level(`down.${k}`, channels[Math.max(0, k - 1)], to));
  const up = channels.slice(0, -1).map((to, k) => level(`up.${k}`, channels[k + 1], to)).reverse();
  return { down, up };
}

function residual(weights: WeightTensors, block: Block, x: AnyTensor, e: AnyTensor): AnyTensor {
  const { name, from, to } = block;
  const first = convolve(silu(x), weights[`${name}.first`]);
  const told = addToPixels(first, product(weights[`${name}.noise`], e));
  const second = convolve(silu(told), weights[`${name}.second`]);
  return tf.add(from === to ? x : mixChannels(x, weights[`${name}.mix`]), second);
}

/** `[B, H, W, C]` to `[C, H, W, B]`. */
function toChannels(x: AnyTensor, [height, width, colours]: readonly number[]): AnyTensor {
  const rows = tf.transpose(tf.reshape(x, [-1, height * width, colours]), [2, 1, 0]);
  return tf.reshape(rows, [colours, height, width, -1]);
}

/** `[C, H, W, B]` to `[B, H, W, C]`, in the shape that is wanted. */
function fromChannels(x: AnyTensor, shape: number[]): AnyTensor {
  const [colours, height, width, batch] = x.shape;
  return tf.reshape(
    tf.transpose(tf.reshape(x, [colours, height * width, batch]), [2, 1, 0]),
    shape,
  );
}

function checkSizes(
  shape: readonly number[],
  channels: readonly number[],
  counts: Record<string, number>,
): void {
  if (shape.length !== 3) {
    throw new TypeError(
      `Cannot ${ACTION}: the shape is [${shape}], wanted [height,width,channels]`,
    );
  }
  if (channels.length === 0) {
    throw new RangeError(
      `Cannot ${ACTION}: received no channels, wanted them for at least 1 level`,
    );
  }
  for (const value of channels) checkWhole(ACTION, "channels", value, 1);
  for (const [name, value] of Object.entries(counts)) checkWhole(ACTION, name, value, 1);
  const factor = 2 ** (channels.length - 1);
  if (shape[0] % factor !== 0 || shape[1] % factor !== 0) {
    throw new RangeError(
      `Cannot ${ACTION}: images of ${shape[0]} × ${shape[1]} pixels cannot be halved ${
        channels.length - 1
      } times, wanted multiples of ${factor}`,
    );
  }
}
