/**
 * Golden subsets by tiles: each part of an image has its own.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../../base/_options.ts";
import { turn } from "../../base/_turns.ts";
import type { DataStore, Device } from "../../compute/device.ts";
import type { PixelRegion } from "../../compute/pixel_region.ts";
import {
  checkEvaluateOptions,
  checkQueries,
  checkQueryShape,
  samplePerRow,
  sigmaPerRow,
} from "../../compute/posterior.ts";
import type { EvaluateOptions, Sigma } from "../../compute/posterior.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { AnyTensor } from "../../states/linear_space.ts";
import { tensorSpace } from "../../states/linear_space.ts";
import { exactProxy } from "./proxy.ts";
import { publishedSizes, subsetSchedule } from "./schedule.ts";
import type { SizeRange, SizesName, SubsetSchedule } from "./schedule.ts";
import { smallest } from "./select.ts";
import { stopButton } from "../../base/stop_button.ts";
import { subsetOf } from "../_capabilities.ts";
import type { Denoiser } from "../denoiser.ts";
import { GOLDEN_REFERENCE } from "./golden_subset.ts";
import type { StoredDenoiser } from "../optimal.ts";

/** Options of {@linkcode tiledGoldenSubset}. */
export interface TiledGoldenSubsetOptions {
  /** Tiles along each side, `G`. Default 4. */
  readonly tiles?: number;
  /** Pixels around a tile that count in the distances of its items. Default: half the height of a tile. */
  readonly margin?: number;
  /** Size of each subset, its range over the noise levels, or the name of published ones. Default {@linkcode publishedSizes}. */
  readonly k?: SizeRange | SizesName;
  /** Cancels the preparation, which then rejects with `signal.reason`. So does the Stop button of a notebook. */
  readonly signal?: AbortSignal;
}

const OPTIONS = {
  tiles: 4,
  margin: undefined,
  k: undefined,
  signal: undefined,
} satisfies OptionTable<
  TiledGoldenSubsetOptions
>;

/**
 * Restricts a local denoiser to golden subsets of its own kind: for each of `G × G` tiles of an image the items that
 * are nearest in the tile and a margin around it. A subset chosen by whole images leaves out items that
 * agree with the query in one place only, which is what weights per pixel live on; these do not.
 *
 * The search is exact, over all items. With one tile it is the golden subset of whole images.
 *
 * Derived here; the golden subset is that of arXiv:2602.16498.
 *
 * @param base The denoiser to restrict, which can compute some of the pixels; it holds the same data. Not disposed with this one.
 * @param dataset The data, images.
 * @param device Where to search. It holds each tile of the data with its margin.
 * @param options Tiles, margin, sizes, signal.
 * @returns The restricted denoiser. Dispose it after use.
 * @throws {TypeError} If the items are no images.
 * @throws {RangeError} If there are more tiles than pixels, an option is out of range, or the base holds another number of items.
 * @throws {DeviceError} If the device cannot hold the tiles.
 *
 * @example Each tile finds its own item, and the whole is none of them
 * ```ts
 * import { Dataset, local, openDevice, tensorSpace, tiledGoldenSubset } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * // White below black, and black below white.
 * const data = Float32Array.of(-1, -1, 1, 1, 1, 1, -1, -1);
 * const set = new Dataset({ data, shape: [2, 2, 1], name: "two images" });
 * using device = await openDevice("wasm");
 * using base = await local(set, device, { windows: 1 });
 * using tiled = await tiledGoldenSubset(base, set, device, { tiles: 2, margin: 0, k: 1 });
 * const x = tensorSpace.from([0.9, 0.9, 0.9, 0.9], [1, 2, 2, 1]);
 * const y = (await tiled.denoise(x, 1)).mean;
 * assert.deepEqual([...await tensorSpace.values(y)], [1, 1, 1, 1]);
 * tensorSpace.dispose(x, y);
 * ```
 */
export async function tiledGoldenSubset(
  base: Denoiser<AnyTensor>,
  dataset: Dataset,
  device: Device,
  options: TiledGoldenSubsetOptions = {},
): Promise<StoredDenoiser> {
  const settings = readOptions("make golden subsets by tiles", options, OPTIONS);
  const { count, shape, name } = dataset;
  const whole = subsetOf(base, "make golden subsets by tiles");
  if (whole.count !== count) {
    throw new RangeError(
      `Cannot make golden subsets by tiles: the ${base.label} holds ${whole.count} items and ${name} ${count}, wanted the same data`,
    );
  }
  using stop = stopButton(options.signal);
  const { signal } = stop;
  const tiles = tilesOf(dataset, settings);
  const { k } = settings;
  const sizes = typeof k === "string" ? publishedSizes(count, k) : k ?? publishedSizes(count);
  const schedule = subsetSchedule("described", { count, k: sizes, m: count });
  using resources = new DisposableStack();
  const parts: TilePart[] = [];
  for (const tile of tiles) {
    await turn(signal);
    const data = crop(dataset.data, shape, tile.window);
    const dimension = data.length / count;
    const store = await device.store({ data, dimension, range: dataset.range });
    resources.defer(() => store.dispose());
    parts.push({ ...tile, store });
  }
  const held = resources.move();
  return {
    label: `golden subsets (${parts.length} tiles) of the ${base.label}`,
    references: [GOLDEN_REFERENCE, ...base.references],
    shape,
    space: tensorSpace,
    mean: () => dataset.mean(),
    draw: (stream) => dataset.values(stream.below(count)),
    rms: (enough) => dataset.rms(enough),
    denoise: async (x, sigma, evaluate) => ({
      mean: await denoise(base, parts, schedule, x, sigma, evaluate),
    }),
    dispose: () => held.dispose(),
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** A tile, and the pixels that its items are compared in. */
interface Tile {
  readonly tile: PixelRegion;
  readonly window: PixelRegion;
}

interface TilePart extends Tile {
  /** The items in the window. */
  readonly store: DataStore;
}

const ACTION = "denoise by golden subsets of tiles";

async function denoise(
  base: Denoiser<AnyTensor>,
  parts: readonly TilePart[],
  schedule: SubsetSchedule,
  x: AnyTensor,
  sigma: Sigma,
  options: EvaluateOptions = {},
): Promise<AnyTensor> {
  checkEvaluateOptions(ACTION, options);
  const { shape } = base;
  const { denoiseOn } = subsetOf(base, ACTION);
  const queries = checkQueryShape(x.shape, shape.reduce((a, b) => a * b, 1), ACTION);
  const sigmas = sigmaPerRow(sigma, queries, ACTION);
  const samples = samplePerRow(options, queries, ACTION);
  const { signal } = options;
  signal?.throwIfAborted();
  const values = await x.data<"float32">();
  checkQueries(values, ACTION);
  const images = tensorSpace.from(values, [queries, ...shape]);
  const out = new Float32Array(values.length);
  try {
    for (const { tile, window, store } of parts) {
      const y = tensorSpace.from(crop(values, shape, window), [queries, store.dimension]);
      const { squares } = await exactProxy(store).measure(y, undefined, { signal })
        .finally(() => y.dispose());
      const subsets = squares.map((list, q) => ({
        rows: smallest(list, schedule.sizes(sigmas[q]).k),
      }));
      const evaluate = { samples, region: tile, ...(signal && { signal }) };
      const part = await denoiseOn(images, sigmas, subsets, evaluate);
      place(await tensorSpace.values(part), out, shape, tile);
      part.dispose();
    }
  } finally {
    images.dispose();
  }
  return tensorSpace.from(out, x.shape);
}

function tilesOf(
  { shape, name }: Dataset,
  { tiles, margin }: Read<TiledGoldenSubsetOptions, typeof OPTIONS>,
): Tile[] {
  if (shape.length !== 3) {
    throw new TypeError(
      `Cannot make golden subsets by tiles: items of ${name} have shape [${shape}], wanted images of height, width and channels`,
    );
  }
  const [height, width] = shape;
  if (!Number.isInteger(tiles) || tiles < 1 || tiles > Math.min(height, width)) {
    throw new RangeError(
      `Cannot make golden subsets by tiles: tiles is ${tiles}, wanted a whole number from 1 to ${
        Math.min(height, width)
      }`,
    );
  }
  const around = margin ?? Math.floor(height / tiles / 2);
  if (!Number.isInteger(around) || around < 0) {
    throw new RangeError(
      `Cannot make golden subsets by tiles: margin is ${around}, wanted a whole number >= 0`,
    );
  }
  const spans = (size: number) =>
    Array.from({ length: tiles }, (_, i) => {
      const from = Math.floor(i * size / tiles), to = Math.floor((i + 1) * size / tiles);
      return { from, to, low: Math.max(0, from - around), high: Math.min(size, to + around) };
    });
  return spans(height).flatMap((y) =>
    spans(width).map((x) => ({
      tile: { top: y.from, left: x.from, height: y.to - y.from, width: x.to - x.from },
      window: { top: y.low, left: x.low, height: y.high - y.low, width: x.high - x.low },
    }))
  );
}

/** The pixels of a rectangle out of each image. */
function crop<T extends Uint8Array | Float32Array>(
  images: T,
  [height, width, channels]: readonly number[],
  { top, left, height: rows, width: columns }: PixelRegion,
): T {
  const size = height * width * channels, line = columns * channels;
  const count = images.length / size;
  const out = new (images.constructor as new (length: number) => T)(count * rows * line);
  for (let i = 0, to = 0; i < count; i++) {
    for (let y = top; y < top + rows; y++, to += line) {
      const from = i * size + (y * width + left) * channels;
      out.set(images.subarray(from, from + line), to);
    }
  }
  return out;
}

/** Puts the pixels of a rectangle into each image. */
function place(
  part: ArrayLike<number>,
  images: Float32Array,
  [height, width, channels]: readonly number[],
  { top, left, height: rows, width: columns }: PixelRegion,
): void {
  const size = height * width * channels, line = columns * channels;
  const count = images.length / size;
  for (let i = 0, from = 0; i < count; i++) {
    for (let y = top; y < top + rows; y++) {
      const to = i * size + (y * width + left) * channels;
      for (let c = 0; c < line; c++) images[to + c] = part[from++];
    }
  }
}
