/**
 * Images side by side in one picture.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../base/_options.ts";
import { blankBitmap } from "./bitmap.ts";
import type { Bitmap, Colour } from "./bitmap.ts";

/** Options of {@linkcode imageGrid}. */
export interface ImageGridOptions {
  /** The shape of one image: `[height, width]` or `[height, width, channels]` with 1 (grey), 3 (red, green, blue) or 4 (and opacity, drawn on white) channels. */
  readonly shape: readonly number[];
  /** Images per row. Default: as square a grid as possible. */
  readonly columns?: number;
  /** Pixels per side that one number becomes. Default: as few as make the longer side of an image at least 64 pixels. */
  readonly scale?: number;
  /** The numbers drawn black and white; what lies outside is clamped. Default `[-1, 1]`. */
  readonly range?: readonly [number, number];
  /** Pixels between images and around them. Default 2. */
  readonly padding?: number;
  /** The colour between images. Default white. */
  readonly background?: Colour;
}

const LEAST_SIDE = 64;

const OPTIONS = {
  shape: undefined,
  columns: undefined,
  scale: undefined,
  range: [-1, 1],
  padding: 2,
  background: undefined,
} satisfies OptionTable<ImageGridOptions>;

/**
 * A grid of images as one picture, row by row from the top left, small images
 * enlarged without smoothing.
 *
 * @param values The images, `[n, …shape]`, row-major, channels last.
 * @param options The shape of one image, and the layout.
 * @returns The picture; places after the last image keep the background.
 * @throws {TypeError} If the shape is that of no image, or `values` is no positive, whole number of images.
 * @throws {RangeError} If a value is not finite, the range does not rise, or a count is no whole number.
 *
 * @example A black and a white pixel
 * ```ts
 * import { imageGrid } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { width, height, data } = imageGrid([-1, 1], { shape: [1, 1], scale: 1, padding: 0 });
 * assert.deepEqual([width, height], [2, 1]);
 * assert.deepEqual([...data], [0, 0, 0, 255, 255, 255, 255, 255]);
 * ```
 */
export function imageGrid(
  values: ArrayLike<number>,
  options: ImageGridOptions,
): Bitmap {
  const settings = readOptions("draw images", options, OPTIONS);
  const layout = layOut(values, settings);
  const { count, columns, tileWidth, tileHeight, padding } = layout;
  const rows = Math.ceil(count / columns);
  const grid = blankBitmap(
    columns * (tileWidth + padding) + padding,
    rows * (tileHeight + padding) + padding,
    settings.background,
  );
  for (let image = 0; image < count; image++) {
    const left = padding + (image % columns) * (tileWidth + padding);
    const top = padding +
      Math.floor(image / columns) * (tileHeight + padding);
    drawTile(grid, left, top, values, image, layout);
  }
  return grid;
}

interface Layout {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly columns: number;
  readonly scale: number;
  readonly padding: number;
  readonly tileWidth: number;
  readonly tileHeight: number;
  readonly range: readonly [number, number];
}

function layOut(
  values: ArrayLike<number>,
  settings: Read<ImageGridOptions, typeof OPTIONS>,
): Layout {
  const { shape, range, padding } = settings;
  const [height, width, channels = 1] = shape;
  if (
    shape.length < 2 || shape.length > 3 ||
    ![height, width].every((n) => Number.isInteger(n) && n > 0) ||
    ![1, 3, 4].includes(channels)
  ) {
    throw new TypeError(
      `Cannot draw images: shape is [${shape}], wanted [height, width] or [height, width, channels] with 1, 3 or 4 channels`,
    );
  }
  const count = values.length / (height * width * channels);
  if (!Number.isInteger(count) || count < 1) {
    throw new TypeError(
      `Cannot draw images: received ${values.length} numbers, wanted a positive multiple of ${
        height * width * channels
      }`,
    );
  }
  if (!(range[1] > range[0] && Number.isFinite(range[1] - range[0]))) {
    throw new RangeError(
      `Cannot draw images: range is [${range}], wanted two rising finite numbers`,
    );
  }
  const columns = settings.columns ?? Math.ceil(Math.sqrt(count));
  const scale = settings.scale ??
    Math.max(1, Math.ceil(LEAST_SIDE / Math.max(height, width)));
  for (
    const [name, value, least] of [
      ["columns", columns, 1],
      ["scale", scale, 1],
      ["padding", padding, 0],
    ] as const
  ) {
    if (!Number.isInteger(value) || value < least) {
      throw new RangeError(
        `Cannot draw images: ${name} is ${value}, wanted a whole number >= ${least}`,
      );
    }
  }
  return {
    count,
    height,
    width,
    channels,
    columns: Math.min(columns, count),
    scale,
    padding,
    range,
    tileWidth: width * scale,
    tileHeight: height * scale,
  };
}

/** Draws one image: each of its rows once, then copies of that row of pixels. */
function drawTile(
  grid: Bitmap,
  left: number,
  top: number,
  values: ArrayLike<number>,
  image: number,
  layout: Layout,
): void {
  const { height, width, channels, scale, tileWidth, range: [lo, hi] } = layout;
  const line = new Uint8Array(tileWidth * 4).fill(255);
  const shareOf = (at: number): number => {
    if (Number.isFinite(values[at])) return Math.min(1, Math.max(0, (values[at] - lo) / (hi - lo)));
    throw new RangeError(
      `Cannot draw images: image ${image} holds ${values[at]}, wanted finite numbers`,
    );
  };
  let at = image * height * width * channels;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += channels) {
      const opacity = channels === 4 ? shareOf(at + 3) : 1;
      for (let c = 0; c < 3; c++) {
        const share = shareOf(channels === 1 ? at : at + c);
        const byte = Math.round((opacity * share + (1 - opacity)) * 255);
        for (let s = 0; s < scale; s++) line[(x * scale + s) * 4 + c] = byte;
      }
    }
    for (let s = 0; s < scale; s++) {
      grid.data.set(line, ((top + y * scale + s) * grid.width + left) * 4);
    }
  }
}
