/** What an array's axes mean: which of them count items, height, width and channels. */
import { sizeOf } from "../base/_shape.ts";
import { DatasetError } from "../base/errors.ts";
import { checkOneOf } from "./_checks.ts";
import type { NpyHeader } from "./_npy_header.ts";

/** The order of the axes of items: `[height, width, channels]`, `[channels, height, width]`, or no images at all. */
export type Layout = "channels-last" | "channels-first" | "flat";

/** The layouts, by their names. */
export const LAYOUTS: readonly Layout[] = ["channels-last", "channels-first", "flat"];

/** How the items of an array are taken. */
export interface Items {
  /** The shape of one item, channels last. */
  readonly shape: readonly number[];
  /** The shape of one item as it is stored, if its channels come first and must be moved. */
  readonly channelsFirst?: readonly number[];
  /** What they were recognised as, if that is not plain. */
  readonly found?: string;
}

const LAST = [1, 3, 4], FIRST = [1, 3];

/**
 * How the items of an array are taken, by a fixed rule where no layout is given:
 *
 * - `[N]` and `[N, d]` are points.
 * - `[N, height, width]` are grey images; a last axis of 3 or 4 that is shorter than the one before may
 *   as well be that of channels or coordinates, and is refused.
 * - `[N, height, width, channels]` are images if there are 1, 3 or 4 channels, `[N, channels, height, width]` if there
 *   are 1 or 3. What may be both, or neither, is refused.
 * - More axes are those of no image.
 *
 * @throws {DatasetError} If the array is no list of items, or its layout is not known.
 * @throws {RangeError} If there is no such layout.
 */
export function itemsOf(
  { shape, dtype }: Pick<NpyHeader, "shape" | "dtype">,
  file: string,
  layout?: Layout,
): Items {
  checkOneOf(`read ${file}`, "layout", layout, [...LAYOUTS, undefined]);
  if (shape.length < 1 || shape.includes(0)) {
    throw new DatasetError(
      file,
      `an array of shape [${shape}]`,
      "items along the first axis, none empty",
    );
  }
  const item = shape.slice(1);
  if (layout === "flat") return { shape: [sizeOf(item)] };
  if (item.length === 2) return greyItems(shape, dtype, file, layout);
  if (item.length === 3) return colourItems(shape, file, layout);
  if (layout !== undefined) {
    throw new DatasetError(
      file,
      `an array of shape [${shape}]`,
      `[N, height, width] or four axes for the layout ${layout}`,
    );
  }
  if (item.length === 0) return { shape: [1], found: `${shape[0]} points of one number` };
  return { shape: item, ...(item.length > 3 && { found: "items that are no images" }) };
}

function greyItems(
  shape: readonly number[],
  dtype: string,
  file: string,
  layout?: Layout,
): Items {
  const [, height, width] = shape;
  if (layout === undefined && (width === 3 || width === 4) && height > width) {
    throw unknown(
      file,
      shape,
      "may hold points, or be one image, as well as images without colour",
    );
  }
  return { shape: dtype === "u1" ? [height, width, 1] : [height, width] };
}

function colourItems(shape: readonly number[], file: string, layout?: Layout): Items {
  const item = shape.slice(1), [first, , last] = item;
  const isLast = layout ? layout === "channels-last" : LAST.includes(last);
  const isFirst = layout ? layout === "channels-first" : FIRST.includes(first);
  if (isLast && isFirst) {
    throw unknown(
      file,
      shape,
      `may hold images of ${first} channels first as well as of ${last} last`,
    );
  }
  if (isFirst) {
    const [channels, height, width] = item;
    const given = layout !== undefined;
    const moved = `images of ${channels} channel${channels === 1 ? "" : "s"} first`;
    return {
      shape: [height, width, channels],
      channelsFirst: item,
      ...(!given && { found: moved }),
    };
  }
  if (!isLast) {
    throw unknown(file, shape, "holds no images of 1, 3 or 4 channels last, or of 1 or 3 first");
  }
  const opacity = layout === undefined && last === 4;
  return {
    shape: item,
    ...(opacity && { found: "images of red, green, blue and opacity" }),
  };
}

function unknown(file: string, shape: readonly number[], what: string): DatasetError {
  return new DatasetError(
    file,
    `an array of shape [${shape}], which ${what}`,
    `the option layout, or --layout, to say which: ${LAYOUTS.join(", ")}`,
  );
}

/** Moves the channels of whole items, from before their pixels to behind them, in place. */
export function moveChannels(
  rows: Uint8Array | Float32Array,
  [channels, height, width]: readonly number[],
): void {
  const pixels = height * width, dimension = channels * pixels;
  for (let at = 0; at < rows.length && channels > 1; at += dimension) {
    const stored = rows.slice(at, at + dimension);
    for (let c = 0, from = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++, from++) rows[at + p * channels + c] = stored[from];
    }
  }
}

/**
 * The numbers that floating-point images draw black and white: `[0, 1]` or `[-1, 1]`, the first that holds all numbers
 * but for an excess by a twentieth of its width, as samples have; `[0, 255]` if that holds all, and the largest is in
 * its upper half; else the least and the largest.
 */
export function rangeOf(numbers: Float32Array): readonly [number, number] {
  let least = Infinity, largest = -Infinity;
  // A plain loop: a callback per number takes longer than the reading.
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i] < least) least = numbers[i];
    if (numbers[i] > largest) largest = numbers[i];
  }
  if (least >= -0.05 && largest <= 1.05) return [0, 1];
  if (least >= -1.1 && largest <= 1.1) return [-1, 1];
  if (least >= 0 && largest > 127.5 && largest <= 255) return [0, 255];
  return least < largest ? [least, largest] : [least - 1, least + 1];
}
