/**
 * Grey images of 12 × 12 pixels: enough for every claim about Gaussian and learned scores, and done in seconds.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { atOnce } from "../base/_turns.ts";
import type { Interruptible } from "../base/_turns.ts";
import { checkWhole } from "../base/_checks.ts";
import { roomFor } from "../base/_memory.ts";
import { RandomStream } from "../base/random.ts";
import { Dataset } from "./dataset.ts";

/** Options of {@linkcode tinyShapes}. */
export interface TinyShapesOptions {
  /** The seed, a whole number ≥ 0. Default 0. */
  readonly seed?: number;
}

const SIZE = 12;

/** Signed distances in pixels to a shape of size `r`, from the distances to its centre along the axes. */
const SHAPES: Record<string, (dx: number, dy: number, r: number) => number> = {
  disc: (dx, dy, r) => Math.sqrt(dx * dx + dy * dy) - r,
  square: (dx, dy, r) => Math.max(dx, dy) - 0.85 * r,
  cross: (dx, dy, r) => Math.min(bar(dx, dy, r), bar(dy, dx, r)),
  bar,
};

function bar(dx: number, dy: number, r: number): number {
  return Math.max(dx - r, dy - r / 3);
}

const OPTIONS = { seed: 0 } satisfies OptionTable<TinyShapesOptions>;

/**
 * Grey images of a disc, square, cross or bar, of random place, size and tones, anti-aliased: 144 numbers each.
 *
 * Item `i` depends on the seed and on `i` only.
 *
 * @param n Number of images. Default 4096.
 * @param options Seed.
 * @returns `n` images of floats of shape `[12, 12, 1]` in [-1, 1], with labels.
 * @throws {RangeError} If `n` or the seed is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { tinyShapes } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = tinyShapes(64);
 * assert.equal(set.summary(), "tiny shapes: 64 items of 12×12×1 floats in 4 classes");
 * assert.ok(set.data.every((v) => v >= -1 && v <= 1));
 * ```
 */
export function tinyShapes(n: number = 4096, options: TinyShapesOptions = {}): Dataset {
  return atOnce(tinyShapesInParts(n, options));
}

/** The work of {@linkcode tinyShapes}, which may be interrupted. */
export function* tinyShapesInParts(
  n: number,
  options: TinyShapesOptions = {},
): Interruptible<Dataset> {
  const { seed } = readOptions("draw tiny shapes", options, OPTIONS);
  checkWhole("draw tiny shapes", "n", n, 1, 2 ** 24);
  const classNames = Object.keys(SHAPES);
  const length = n * SIZE * SIZE, labels = new Uint32Array(n);
  const room = () => new Float32Array(length);
  const data = roomFor("draw tiny shapes", `${n} images`, 4 * length, room);
  for (let i = 0; i < n; i++) {
    yield;
    const random = new RandomStream({ seed, sample: i, purpose: "data" });
    labels[i] = random.below(classNames.length);
    draw(data.subarray(i * SIZE * SIZE, (i + 1) * SIZE * SIZE), classNames[labels[i]], random);
  }
  return new Dataset({ data, shape: [SIZE, SIZE, 1], labels, classNames, name: "tiny shapes" });
}

function draw(image: Float32Array, kind: string, random: RandomStream): void {
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  const [cx, cy] = [between(3, 8), between(3, 8)];
  const r = between(2, 4.5);
  const [back, front] = [between(-1, -0.4), between(0.2, 1)];
  const upright = kind === "bar" && random.below(2) === 1;
  for (let at = 0; at < image.length; at++) {
    const dx = Math.abs(at % SIZE - cx), dy = Math.abs(Math.floor(at / SIZE) - cy);
    const distance = upright ? SHAPES[kind](dy, dx, r) : SHAPES[kind](dx, dy, r);
    // The share of the pixel inside, as if the edge were straight across it.
    const share = Math.min(1, Math.max(0, 0.5 - distance));
    image[at] = back + (front - back) * share;
  }
}
