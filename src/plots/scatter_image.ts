/**
 * Points as a picture, where there is no notebook to draw a chart.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkRows } from "../metrics/_rows.ts";
import { blankBitmap } from "./bitmap.ts";
import type { Bitmap, Colour } from "./bitmap.ts";
import { projection } from "./projection.ts";

/** Options of {@linkcode scatterImage}. */
export interface ScatterImageOptions {
  /** Numbers per point, `d`. */
  readonly dimension: number;
  /** Points drawn light grey below the samples, rows of `d` numbers: the training data. */
  readonly data?: ArrayLike<number>;
  /** Pixels per side. Default 512. */
  readonly size?: number;
}

const GREY: Colour = [176, 182, 190];
const BLUE: Colour = [31, 90, 180];
const FRAME: Colour = [120, 126, 134];
const MARGIN = 12;

const OPTIONS = { dimension: undefined, data: undefined, size: 512 } satisfies OptionTable<
  ScatterImageOptions
>;

/**
 * A square picture of points: samples as blue discs over the data as grey ones,
 * one unit equally long in both directions, in a thin frame.
 *
 * One number per point gives two histograms, the data's behind the samples';
 * two give the plane; three are seen from above one corner, without
 * perspective; of more, the first two are drawn.
 *
 * @param samples The points, rows of `d` numbers.
 * @param options Their dimension, the data, the size.
 * @returns The picture.
 * @throws {TypeError} If samples or data are no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, or the size is no whole number from 64 to 4096.
 *
 * @example
 * ```ts
 * import { scatterImage } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const picture = scatterImage([0, 0, 1, 1], { dimension: 2, size: 100 });
 * assert.equal(picture.data.length, 100 * 100 * 4);
 * ```
 */
export function scatterImage(
  samples: ArrayLike<number>,
  options: ScatterImageOptions,
): Bitmap {
  const { dimension, data, size } = readOptions("draw points", options, OPTIONS);
  checkRows(samples, dimension, "draw points");
  if (data) checkRows(data, dimension, "draw points");
  if (!Number.isInteger(size) || size < 64 || size > 4096) {
    throw new RangeError(
      `Cannot draw points: size is ${size}, wanted a whole number from 64 to 4096`,
    );
  }
  const picture = blankBitmap(size, size);
  const layers = [
    ...(data ? [{ values: data, colour: GREY }] : []),
    { values: samples, colour: BLUE },
  ];
  if (dimension === 1) drawHistograms(picture, layers);
  else drawPoints(picture, layers, dimension);
  drawFrame(picture);
  return picture;
}

interface Layer {
  readonly values: ArrayLike<number>;
  readonly colour: Colour;
}

const fromCorner = projection();

/** Where a point lies in the plane, with up pointing up. */
function project(
  values: ArrayLike<number>,
  at: number,
  dimension: number,
): [number, number] {
  const [x, y] = [values[at], values[at + 1]];
  if (dimension !== 3) return [x, y];
  const [right, up] = fromCorner(x, y, values[at + 2]);
  return [right, up];
}

function drawPoints(
  picture: Bitmap,
  layers: readonly Layer[],
  dimension: number,
): void {
  const clouds = layers.map(({ values, colour }) => ({
    colour,
    points: Array.from(
      { length: values.length / dimension },
      (_, i) => project(values, i * dimension, dimension),
    ),
  }));
  const all = clouds.flatMap(({ points }) => points);
  const [left, right] = bounds(all, 0);
  const [bottom, top] = bounds(all, 1);
  // Points that all coincide are drawn in the middle, at whatever scale.
  const extent = Math.max(right - left, top - bottom) || 1;
  const unit = (picture.width - 4 * MARGIN) / extent;
  const middle = picture.width / 2;
  for (const { points, colour } of clouds) {
    const radius = Math.min(4, Math.max(1.5, 60 / Math.sqrt(points.length))) *
      picture.width / 512;
    for (const [x, y] of points) {
      drawDisc(
        picture,
        middle + (x - (left + right) / 2) * unit,
        middle - (y - (bottom + top) / 2) * unit,
        Math.max(1, radius),
        colour,
      );
    }
  }
}

function bounds(
  points: readonly (readonly [number, number])[],
  axis: 0 | 1,
): [number, number] {
  return points.reduce<[number, number]>(
    ([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])],
    [Infinity, -Infinity],
  );
}

/** A disc with a soft edge one pixel wide. */
function drawDisc(
  picture: Bitmap,
  x: number,
  y: number,
  radius: number,
  colour: Colour,
): void {
  const reach = Math.ceil(radius + 1);
  for (let row = Math.floor(y) - reach; row <= Math.floor(y) + reach; row++) {
    for (let col = Math.floor(x) - reach; col <= Math.floor(x) + reach; col++) {
      const distance = Math.hypot(col + 0.5 - x, row + 0.5 - y);
      const cover = Math.min(1, Math.max(0, radius + 0.5 - distance));
      blend(picture, col, row, colour, cover * 0.85);
    }
  }
}

function blend(
  picture: Bitmap,
  column: number,
  row: number,
  colour: Colour,
  share: number,
): void {
  if (
    share === 0 || column < 0 || row < 0 || column >= picture.width ||
    row >= picture.height
  ) return;
  const at = (row * picture.width + column) * 4;
  for (let c = 0; c < 3; c++) {
    const old = picture.data[at + c];
    picture.data[at + c] = Math.round(old + share * (colour[c] - old));
  }
}

function drawHistograms(picture: Bitmap, layers: readonly Layer[]): void {
  const all = layers.flatMap(({ values }) => Array.from(values, (v) => [v, 0] as const));
  const [low, high] = bounds(all, 0);
  const width = picture.width - 4 * MARGIN;
  const bins = Math.floor(width / 8);
  const heights = layers.map(({ values }) => {
    const shares = new Float64Array(bins);
    for (let i = 0; i < values.length; i++) {
      const place = high > low ? (values[i] - low) / (high - low) : 0.5;
      shares[Math.min(bins - 1, Math.floor(place * bins))] += 1 / values.length;
    }
    return shares;
  });
  const most = Math.max(...heights.flatMap((shares) => [...shares]));
  const bottom = picture.height - 2 * MARGIN;
  layers.forEach(({ colour }, layer) => {
    // The samples' bars are slimmer, so that the data's stay visible behind them.
    const inset = layer === layers.length - 1 && layers.length > 1 ? 2 : 0;
    heights[layer].forEach((share, bin) => {
      const height = Math.round(share / most * (bottom - 2 * MARGIN));
      const from = 2 * MARGIN + Math.round(bin * width / bins) + inset;
      const to = 2 * MARGIN + Math.round((bin + 1) * width / bins) - 1 - inset;
      for (let row = bottom - height; row < bottom; row++) {
        for (let column = from; column < to; column++) {
          blend(picture, column, row, colour, 1);
        }
      }
    });
  });
}

function drawFrame(picture: Bitmap): void {
  const { width, height } = picture;
  for (let i = MARGIN; i < width - MARGIN; i++) {
    blend(picture, i, MARGIN, FRAME, 1);
    blend(picture, i, height - MARGIN - 1, FRAME, 1);
    blend(picture, MARGIN, i, FRAME, 1);
    blend(picture, width - MARGIN - 1, i, FRAME, 1);
  }
}
