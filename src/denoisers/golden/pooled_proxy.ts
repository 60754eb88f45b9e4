/**
 * The proxy of pooled pixels.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../../base/_options.ts";
import { inTurns, rowsPerPart } from "../../base/_turns.ts";
import type { Interruptible } from "../../base/_turns.ts";
import type { Device } from "../../compute/device.ts";
import { affineOf } from "../../compute/posterior.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { storeProxy } from "./proxy.ts";
import type { Projection, RetrievalProxy } from "./proxy.ts";

/** Options of {@linkcode pooledProxy}. */
export interface PooledProxyOptions {
  /** Pixels per side after pooling, a divisor of the height. Default: the largest one up to 16 and half the height, or, if that is below 4, the next one above that halves the image at least. */
  readonly side?: number;
  /** Cancels the pooling, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

/**
 * Images pooled to about 16 pixels per side: squares of `p × p` pixels become their average times `p`, which is
 * an orthonormal projection. Items are ranked by the distances of pooled images; with the norms of
 * what pooling leaves out they bound the true ones from below.
 *
 * Images of bytes stay bytes here, at a quarter of the numbers for `p = 2`; their rounding is measured, and
 * taken off every bound.
 *
 * Reference: the pooling is that of the code of arXiv:2602.16498; factor, norms and bound are derived here.
 *
 * @param dataset Images, `[N, height, width, channels]`.
 * @param device Where to search.
 * @param options The number of pixels per side; a signal.
 * @returns The proxy. Dispose it after use.
 * @throws {TypeError} If the items are no images.
 * @throws {RangeError} If the side does not divide the height, or the squares do not divide the width.
 *
 * @example An item is nearest to itself
 * ```ts
 * import { openDevice, pooledProxy, shapes } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const set = shapes(20);
 * using device = await openDevice("wasm");
 * using proxy = await pooledProxy(set, device);
 * const x = tensorSpace.from(set.values(7), [1, ...set.shape]);
 * const { squares: [squares], bounds } = await proxy.measure(x);
 * assert.equal(squares.indexOf(Math.min(...squares)), 7);
 * assert.ok(bounds(0)[7] < 1e-9);
 * x.dispose();
 * ```
 */
export async function pooledProxy(
  dataset: Dataset,
  device: Device,
  options: PooledProxyOptions = {},
): Promise<RetrievalProxy> {
  checkOptionNames("pool pixels", options, OPTIONS);
  const { signal } = options;
  return await storeProxy(await inTurns(pooledProjection(dataset, options), signal), device);
}

const OPTIONS = { side: undefined, signal: undefined } satisfies OptionTable<PooledProxyOptions>;

/** The projection of {@linkcode pooledProxy}, and the items under it; which may be interrupted. */
export function* pooledProjection(
  dataset: Dataset,
  options: PooledProxyOptions = {},
): Interruptible<Projection> {
  checkOptionNames("pool pixels", options, OPTIONS);
  const pooling = poolingOf(dataset.shape, options.side);
  const { rows, columns, size, p } = pooling;
  const { data, count, dimension, range } = dataset;
  const { scale, offset } = affineOf(dataset);
  const bytes = data instanceof Uint8Array;
  // A pooled byte is an average of bytes, in units of p of theirs.
  const [low, unit] = bytes ? [p * range[0], p * scale] : [0, 1];
  const stored = bytes ? new Uint8Array(count * size) : new Float32Array(count * size);
  const rests = new Float64Array(count), pooled = new Float64Array(size);
  const every = rowsPerPart(dimension);
  let error = 0, restError = 0;
  for (let i = 0; i < count; i++) {
    if (i % every === 0) yield;
    const { rest, restError: off } = pool(
      pooling,
      data.subarray(i * dimension, (i + 1) * dimension),
      pooled,
    );
    rests[i] = rest * scale;
    restError = Math.max(restError, off * scale);
    let square = 0;
    for (let k = 0, at = i * size; k < size; k++, at++) {
      const exact = (pooled[k] * scale + offset * p - low) / unit;
      stored[at] = bytes ? Math.round(exact) : exact;
      square += (stored[at] - exact) ** 2;
    }
    error = Math.max(error, Math.sqrt(square) * unit);
  }
  return {
    label: `pooled to ${rows}x${columns} pixels`,
    points: {
      data: stored,
      dimension: size,
      ...(bytes && { range: [low, p * range[1]] as const }),
    },
    // What rounds here is far below one part in 2^40.
    error: error * (1 + 2 ** -40),
    rests,
    restError: restError + 2 ** -48 * scale * Math.sqrt(dimension) * 255,
    whole: dimension,
    project(query) {
      const row = new Float64Array(size);
      return { row, ...pool(pooling, query, row) };
    },
  };
}

/** How images are pooled. */
interface Pooling {
  readonly rows: number;
  readonly columns: number;
  /** Pixels per side of a square. */
  readonly p: number;
  /** Pooled numbers. */
  readonly size: number;
  /** The pooled number that each number of an image goes to. */
  readonly places: Uint32Array;
}

/** Pixels per side after pooling where fewer would say little, and where more would save little. */
const LEAST_SIDE = 4, MOST_SIDE = 16;

function makesSquares([height, width]: readonly number[], rows: number): boolean {
  return height % rows === 0 && width % (height / rows) === 0;
}

/** As many pixels per side as squares give, below what says much. */
function coarseSide(shape: readonly number[]): number | undefined {
  for (let rows = LEAST_SIDE - 1; rows >= 1; rows--) {
    if (rows < shape[0] && makesSquares(shape, rows)) return rows;
  }
  return undefined;
}

/**
 * Pixels per side after pooling, if nobody says: as many as there can be up to 16, or else as few as there can be above.
 * With fewer than 4 a proxy tells little, and exact distances serve better.
 *
 * @param shape The shape of an image.
 * @returns The height after pooling, at least 4; undefined if no squares of at least 2 pixels make such.
 */
export function poolingSide(shape: readonly number[]): number | undefined {
  const most = Math.floor(shape[0] / 2);
  for (let rows = Math.min(MOST_SIDE, most); rows >= LEAST_SIDE; rows--) {
    if (makesSquares(shape, rows)) return rows;
  }
  for (let rows = MOST_SIDE + 1; rows <= most; rows++) if (makesSquares(shape, rows)) return rows;
  return undefined;
}

function poolingOf(shape: readonly number[], side?: number): Pooling {
  if (shape.length !== 3) {
    throw new TypeError(
      `Cannot pool items: their shape is [${shape}], wanted images of height, width and channels`,
    );
  }
  const [height, width, channels] = shape;
  const rows = side ?? poolingSide(shape) ?? coarseSide(shape);
  if (rows === undefined) {
    throw new RangeError(
      `Cannot pool images of ${height}×${width} pixels: no squares of 2 and more pixels fill them, wanted other sides`,
    );
  }
  if (!Number.isInteger(rows) || rows < 1 || !makesSquares(shape, rows)) {
    throw new RangeError(
      `Cannot pool images of ${height}×${width} pixels: side is ${rows}, wanted a divisor that makes squares`,
    );
  }
  const p = height / rows, columns = width / p;
  const places = Uint32Array.from({ length: height * width * channels }, (_, at) => {
    const pixel = Math.floor(at / channels), y = Math.floor(pixel / width), x = pixel % width;
    return (Math.floor(y / p) * columns + Math.floor(x / p)) * channels + at % channels;
  });
  return { rows, columns, p, size: rows * columns * channels, places };
}

/**
 * The pooled numbers of an image, and the norm of what pooling leaves out, whose square is
 * `Σ x² − Σ (pooled)²`, and by how much that norm may be off, by rounding of the difference.
 */
function pool({ places, size, p }: Pooling, image: ArrayLike<number>, out: Float64Array) {
  out.fill(0);
  let square = 0;
  for (let c = 0; c < places.length; c++) {
    const v = image[c];
    square += v * v;
    out[places[c]] += v;
  }
  const rounding = square * 2 ** -46;
  for (let k = 0; k < size; k++) {
    out[k] /= p;
    square -= out[k] * out[k];
  }
  const rest = Math.sqrt(Math.max(0, square));
  const root = Math.sqrt(rounding);
  return { rest, restError: rest > 0 ? Math.min(root, rounding / rest) : root };
}
