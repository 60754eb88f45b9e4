/**
 * Procedural colour images in six classes, and the set of them that a clone ships.
 *
 * Only `+ − × ÷ √` and comparisons are used: they round the same way in every
 * engine, so the images are the same byte for byte everywhere.
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

/** Options of {@linkcode shapes}. */
export interface ShapesOptions {
  /** The seed, a whole number ≥ 0. Default 0. */
  readonly seed?: number;
  /** Height and width in pixels, a whole number from 8 to 1024. Default 32. */
  readonly size?: number;
}

/** A signed distance: negative inside the shape, in units of half the image's side. */
type Distance = (x: number, y: number) => number;
type Colour = readonly [number, number, number];

/** For each class, draws a shape of circumradius `r` around the origin. */
const CLASSES: Record<string, (r: number, random: RandomStream) => Distance> = {
  disc: (r) => (x, y) => length(x, y) - 0.9 * r,
  square: (r) => (x, y) => box(x, y, 0.75 * r, 0.75 * r),
  triangle: (r) => (x, y) => Math.max(-y, ROOT3_HALF * x + y / 2, y / 2 - ROOT3_HALF * x) - r / 2,
  ring: (r, random) => {
    const half = r * between(random, 0.12, 0.2);
    return (x, y) => Math.abs(length(x, y) - (r - half)) - half;
  },
  cross: (r, random) => {
    const half = r * between(random, 0.2, 0.3);
    return (x, y) => Math.min(box(x, y, r, half), box(x, y, half, r));
  },
  stripes: (_, random) => {
    const period = between(random, 0.35, 0.7);
    return (x) => {
      const t = x / period - Math.floor(x / period);
      return (Math.abs(t - 0.5) - 0.25) * period;
    };
  },
};

/**
 * The names of the six classes of {@linkcode shapes}, in the order of their labels.
 *
 * @example
 * ```ts
 * import { shapes } from "@closedform/diffusion";
 * import { SHAPE_CLASSES } from "./shapes.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(shapes(6).classNames, SHAPE_CLASSES);
 * ```
 */
export const SHAPE_CLASSES: readonly string[] = Object.keys(CLASSES);

const ROOT3_HALF = 0.8660254037844386;

const OPTIONS = { seed: 0, size: 32 } satisfies OptionTable<ShapesOptions>;

/**
 * Procedural colour images: a disc, square, triangle, ring, cross or stripes,
 * anti-aliased, of random place, size, rotation and colours. Item `i` is of class
 * `i mod 6` and depends on the seed and on `i` only.
 *
 * @param n Number of images. Default 4096.
 * @param options Seed and image size.
 * @returns `n` byte images of shape `[size, size, 3]`, with labels.
 * @throws {RangeError} If `n`, the seed or the size is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { shapes } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = shapes(12);
 * assert.equal(set.summary(), "shapes: 12 items of 32×32×3 bytes in 6 classes");
 * assert.deepEqual(set.classNames, ["disc", "square", "triangle", "ring", "cross", "stripes"]);
 * ```
 */
export function shapes(n: number = 4096, options: ShapesOptions = {}): Dataset {
  return atOnce(shapesInParts(n, options));
}

/** The work of {@linkcode shapes}, which may be interrupted. */
export function* shapesInParts(n: number, options: ShapesOptions = {}): Interruptible<Dataset> {
  const { seed, size } = readOptions("draw shapes", options, OPTIONS);
  checkWhole("draw shapes", "n", n, 1, 2 ** 24);
  checkWhole("draw shapes", "size", size, 8, 1024);
  const bytes = n * size * size * 3;
  const data = roomFor("draw shapes", `${n} images`, bytes, () => new Uint8Array(bytes));
  const labels = Uint32Array.from(
    { length: n },
    (_, i) => i % SHAPE_CLASSES.length,
  );
  for (let i = 0; i < n; i++) {
    yield;
    const random = new RandomStream({ seed, sample: i, purpose: "data" });
    const image = data.subarray(
      i * size * size * 3,
      (i + 1) * size * size * 3,
    );
    draw(image, size, SHAPE_CLASSES[labels[i]], random);
  }
  return new Dataset({
    data,
    shape: [size, size, 3],
    labels,
    classNames: SHAPE_CLASSES,
    name: "shapes",
  });
}

function draw(
  image: Uint8Array,
  size: number,
  name: string,
  random: RandomStream,
): void {
  const radius = between(random, 0.4, 0.75);
  const reach = 0.95 - radius;
  const [cx, cy] = [
    between(random, -reach, reach),
    between(random, -reach, reach),
  ];
  const [cos, sin] = direction(random);
  const [back, front] = colours(random);
  const distance = CLASSES[name](radius, random);
  for (let row = 0, at = 0; row < size; row++) {
    const y = (2 * row + 1) / size - 1 - cy;
    for (let column = 0; column < size; column++) {
      const x = (2 * column + 1) / size - 1 - cx;
      // The share of the pixel inside, as if the edge were straight across it.
      const inside = 0.5 -
        distance(cos * x + sin * y, cos * y - sin * x) * size / 2;
      const share = Math.min(1, Math.max(0, inside));
      for (let c = 0; c < 3; c++) {
        image[at++] = Math.round(back[c] + (front[c] - back[c]) * share);
      }
    }
  }
}

/** A pale or a deep background and a vivid shape that stands out from it. */
function colours(random: RandomStream): [Colour, Colour] {
  for (;;) {
    const back = random.below(2) === 0
      ? colour(random, [0.1, 0.4], [0.88, 1])
      : colour(random, [0.4, 0.8], [0.15, 0.45]);
    const front = colour(random, [0.6, 1], [0.6, 1]);
    if (Math.abs(luma(back) - luma(front)) > 80) return [back, front];
  }
}

/** A colour of any hue, with saturation and value from the given ranges. */
function colour(
  random: RandomStream,
  saturations: readonly [number, number],
  values: readonly [number, number],
): Colour {
  const hue = between(random, 0, 6);
  const saturation = between(random, ...saturations);
  const value = 255 * between(random, ...values);
  // Each channel is full for a third of the hue circle, and ramps up and down over a sixth.
  const channel = (centre: number): number => {
    const away = Math.abs(hue - centre);
    const share = Math.min(1, Math.max(0, 2 - Math.min(away, 6 - away)));
    return value * (1 - saturation * (1 - share));
  };
  return [channel(0), channel(2), channel(4)];
}

function luma([r, g, b]: Colour): number {
  return 0.299 * r + 0.587 * g + 0.114 * b;
}

/** A unit vector, uniform over the circle, by rejection: no trigonometry. */
function direction(random: RandomStream): [number, number] {
  for (;;) {
    const [x, y] = [between(random, -1, 1), between(random, -1, 1)];
    const norm = length(x, y);
    if (norm > 0.1 && norm <= 1) return [x / norm, y / norm];
  }
}

function box(
  x: number,
  y: number,
  halfWidth: number,
  halfHeight: number,
): number {
  const [dx, dy] = [Math.abs(x) - halfWidth, Math.abs(y) - halfHeight];
  return length(Math.max(dx, 0), Math.max(dy, 0)) +
    Math.min(Math.max(dx, dy), 0);
}

/** `Math.hypot` may round differently from engine to engine; `Math.sqrt` may not. */
function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}

function between(random: RandomStream, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}
