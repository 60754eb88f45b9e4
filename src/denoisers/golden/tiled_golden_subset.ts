/**
 * Golden subsets by tiles: each part of an image has its own.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../../base/_options.ts";
import { turn } from "../../base/_turns.ts";
import { checkKind } from "../../base/_kinds.ts";
import { sizeOf } from "../../base/_shape.ts";
import { batchOf, queriesOn, roomLike } from "../../compute/batch.ts";
import type { State } from "../../compute/batch.ts";
import type { DataStore } from "../../compute/device.ts";
import { cropImages, placePixels } from "../../compute/pixel_region.ts";
import type { PixelRegion } from "../../compute/pixel_region.ts";
import {
  checkEvaluateOptions,
  checkQueries,
  samplePerRow,
  sigmaPerRow,
} from "../../compute/posterior.ts";
import type { EvaluateOptions, Sigma } from "../../compute/posterior.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { exactProxy } from "./proxy.ts";
import { publishedSizes, subsetSchedule } from "./schedule.ts";
import type { SizeRange, SizesName, SubsetSchedule } from "./schedule.ts";
import { smallest } from "./select.ts";
import { stopButton } from "../../base/stop_button.ts";
import { dataOf, keepCapabilities, subsetOf } from "../_capabilities.ts";
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
 * @param base The denoiser to restrict, which can compute some of the pixels. Its device holds each tile of its data with its margin. Not disposed with this one.
 * @param options Tiles, margin, sizes, signal.
 * @returns The restricted denoiser. Dispose it after use.
 * @throws {TypeError} If the items are no images, the base holds no data in memory, or there is no such option.
 * @throws {RangeError} If there are more tiles than pixels, or an option is out of range.
 * @throws {DeviceError} If the device cannot hold the tiles.
 *
 * @example Each tile finds its own item, and the whole is none of them
 * ```ts
 * import { Dataset, local, tiledGoldenSubset } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * // White below black, and black below white.
 * const data = Float32Array.of(-1, -1, 1, 1, 1, 1, -1, -1);
 * const set = new Dataset({ data, shape: [2, 2, 1], name: "two images" });
 * using base = await local(set, { windows: 1, device: "wasm" });
 * using tiled = await tiledGoldenSubset(base, { tiles: 2, margin: 0, k: 1 });
 * const x = tensorSpace.from([0.9, 0.9, 0.9, 0.9], [1, 2, 2, 1]);
 * const y = (await tiled.denoise(x, 1)).mean;
 * assert.deepEqual([...await tensorSpace.values(y)], [1, 1, 1, 1]);
 * tensorSpace.dispose(x, y);
 * ```
 */
export async function tiledGoldenSubset<X>(
  base: Denoiser<X>,
  options: TiledGoldenSubsetOptions = {},
): Promise<StoredDenoiser<X>> {
  checkKind("make golden subsets by tiles", "base", base, "denoiser");
  const settings = readOptions("make golden subsets by tiles", options, OPTIONS);
  subsetOf(base, "make golden subsets by tiles");
  const { dataset, device } = dataOf(base, "make golden subsets by tiles");
  const { count, shape } = dataset;
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
    const data = cropImages(dataset.data, shape, tile.window);
    const dimension = data.length / count;
    const store = await device.store({ data, dimension, range: dataset.range });
    resources.defer(() => store.dispose());
    parts.push({ ...tile, store });
  }
  const held = resources.move();
  const tiled: StoredDenoiser<X> = {
    label: `golden subsets (${parts.length} tiles) of the ${base.label}`,
    references: [GOLDEN_REFERENCE, ...base.references],
    shape,
    space: base.space,
    mean: () => dataset.mean(),
    draw: (stream) => dataset.values(stream.below(count)),
    rms: (enough) => dataset.rms(enough),
    denoise: async (x, sigma, evaluate) => ({
      mean: await denoise(base, parts, schedule, x as State, sigma, evaluate) as X,
    }),
    dispose: () => held.dispose(),
    [Symbol.dispose]: () => held.dispose(),
  };
  keepCapabilities(tiled, { data: { dataset, device } });
  return tiled;
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

async function denoise<X>(
  base: Denoiser<X>,
  parts: readonly TilePart[],
  schedule: SubsetSchedule,
  x: State,
  sigma: Sigma,
  options: EvaluateOptions = {},
): Promise<State> {
  checkEvaluateOptions(ACTION, options);
  const { shape } = base;
  const { denoiseOn } = subsetOf(base, ACTION);
  const asked = batchOf(x, sizeOf(shape), ACTION);
  const sigmas = sigmaPerRow(sigma, asked.rows, ACTION);
  const samples = samplePerRow(options, asked.rows, ACTION);
  const { signal } = options;
  signal?.throwIfAborted();
  const values = await queriesOn(dataOf(base, ACTION).device, asked);
  checkQueries(values, ACTION);
  const out = roomLike(values, values.length);
  for (const { tile, window, store } of parts) {
    const seen = cropImages(values, shape, window);
    const { squares } = await exactProxy(store).measure(seen, undefined, { signal });
    const subsets = squares.map((list, q) => ({
      rows: smallest(list, schedule.sizes(sigmas[q]).k),
    }));
    const evaluate = { samples, region: tile, ...(signal && { signal }) };
    placePixels(await denoiseOn(values, sigmas, subsets, evaluate), out, shape, tile);
  }
  return asked.like(out);
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
