/**
 * The proxy of pooled pixels.
 *
 * @module
 */
import type { Device } from "../compute/device.ts";
import { affineOf } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { storeProxy } from "./proxy.ts";
import type { Embedding, RetrievalProxy } from "./proxy.ts";

/** Options of {@linkcode pooledProxy}. */
export interface PooledProxyOptions {
  /** Pixels per side after pooling, a divisor of the height. Default: the largest one up to 16 and half the height. */
  readonly side?: number;
}

/**
 * Images pooled to about 16 pixels per side: squares of `p × p` pixels become their average times `p`, which is
 * an orthonormal projection `P`; and the norm of what it leaves out, `Q = I − P`, is one more number. Distances of both
 * together are
 *
 * ```text
 * LBᵢ = ‖Px − Pxᵢ‖² + (‖Qx‖ − ‖Qxᵢ‖)² ≤ ‖x − xᵢ‖²
 * ```
 *
 * by the reverse triangle inequality. Images of bytes stay bytes here, at a quarter of the numbers for `p = 2`;
 * their rounding is measured and subtracted.
 *
 * Reference: the pooling is that of the code of arXiv:2602.16498; factor, norm and bound are derived here.
 *
 * @param dataset Images, `[N, height, width, channels]`.
 * @param device Where to search.
 * @param options The number of pixels per side.
 * @returns The proxy. Dispose it after use.
 * @throws {TypeError} If the items are no images.
 * @throws {RangeError} If the side does not divide the height, or the squares do not divide the width.
 *
 * @example The bound of a bound: proxies never exceed true distances
 * ```ts
 * import { openDevice, pooledProxy, shapes, tensorSpace } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = shapes(20);
 * using device = await openDevice("wasm");
 * using proxy = await pooledProxy(set, device);
 * const x = tensorSpace.from(set.values(7), [1, ...set.shape]);
 * const [bounds] = await proxy.bounds(x);
 * assert.equal(bounds.indexOf(Math.min(...bounds)), 7);
 * assert.equal(bounds[7], 0);
 * x.dispose();
 * ```
 */
export async function pooledProxy(
  dataset: Dataset,
  device: Device,
  options: PooledProxyOptions = {},
): Promise<RetrievalProxy> {
  return await storeProxy(pooledEmbedding(dataset, options), device);
}

/** The map of {@linkcode pooledProxy}, and the items under it. */
export function pooledEmbedding(dataset: Dataset, options: PooledProxyOptions = {}): Embedding {
  const pooling = poolingOf(dataset.shape, options.side);
  const { size, p } = pooling;
  const { scale, offset } = affineOf(dataset);
  const longest = dataset.data instanceof Uint8Array ? longestRest(dataset, pooling) * scale : 0;
  const form = formOf(dataset, pooling, longest);
  const data = form.make(dataset.count);
  let error = 0;
  eachPooled(dataset, pooling, (pooled, restError, i) => {
    // From stored numbers to data units.
    for (let c = 0; c < size; c++) pooled[c] = pooled[c] * scale + offset * p;
    pooled[size] *= scale;
    const row = data.subarray(i * form.dimension, (i + 1) * form.dimension);
    error = Math.max(error, form.write(pooled, row) + restError * scale);
  });
  const { dimension, range } = form;
  return {
    label: `pooled to ${pooling.rows}x${pooling.columns} pixels`,
    points: { data, dimension, ...(range && { range }) },
    error,
    embed(query) {
      const pooled = new Float64Array(size + 1);
      const error = pool(pooling, query, pooled);
      return { row: form.layOut(pooled), error };
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

function poolingOf(shape: readonly number[], side?: number): Pooling {
  if (shape.length !== 3) {
    throw new TypeError(
      `Cannot pool items: their shape is [${shape}], wanted images of height, width and channels`,
    );
  }
  const [height, width, channels] = shape;
  const makesSquares = (rows: number) => height % rows === 0 && width % (height / rows) === 0;
  let rows = side ?? Math.min(16, Math.max(1, Math.floor(height / 2)));
  if (side === undefined) { while (!makesSquares(rows) && rows > 1) rows--; }
  if (!Number.isInteger(rows) || rows < 1 || !makesSquares(rows)) {
    throw new RangeError(
      `Cannot pool images of ${height}x${width} pixels to ${rows} per side, wanted a divisor that makes squares`,
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
 * `Σ x² − Σ (pooled)²`.
 *
 * @returns By how much that norm may be off, by rounding of the difference.
 */
function pool({ places, size, p }: Pooling, image: ArrayLike<number>, out: Float64Array): number {
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
  const rest = out[size] = Math.sqrt(Math.max(0, square));
  return rest > 0 ? Math.min(Math.sqrt(rounding), rounding / rest) : Math.sqrt(rounding);
}

/** Calls `use` with the pooled numbers of every item as stored, which it must not keep. */
function eachPooled(
  { count, dimension, data }: Dataset,
  pooling: Pooling,
  use: (pooled: Float64Array, restError: number, index: number) => void,
): void {
  const pooled = new Float64Array(pooling.size + 1);
  for (let i = 0; i < count; i++) {
    use(pooled, pool(pooling, data.subarray(i * dimension, (i + 1) * dimension), pooled), i);
  }
}

function longestRest(dataset: Dataset, pooling: Pooling): number {
  let longest = 0;
  eachPooled(dataset, pooling, (pooled) => longest = Math.max(longest, pooled[pooling.size]));
  return longest;
}

/** How pooled items are stored. */
interface Form {
  /** Numbers per stored row. */
  readonly dimension: number;
  /** For bytes: what 0 and 255 stand for. */
  readonly range?: readonly [number, number];
  /** Room for so many rows. */
  make(count: number): Uint8Array | Float32Array;
  /** Brings pooled numbers and the norm of the rest, in data units, into the order of a stored row. */
  layOut(pooled: Float64Array): Float64Array;
  /** Stores a row; returns how far it is from the exact one. */
  write(pooled: Float64Array, row: Uint8Array | Float32Array): number;
}

function formOf({ data, range }: Dataset, pooling: Pooling, longest: number): Form {
  return data instanceof Uint8Array ? byteForm(pooling, range, longest) : floatForm(pooling);
}

function floatForm({ size }: Pooling): Form {
  return {
    dimension: size + 1,
    make: (count) => new Float32Array(count * (size + 1)),
    layOut: (pooled) => pooled,
    write(pooled, row) {
      row.set(pooled);
      return Math.sqrt(pooled.reduce((sum, v, c) => sum + (v - row[c]) ** 2, 0));
    },
  };
}

/**
 * Pooled bytes as bytes: averages of bytes are rounded to bytes, in units of `p` times theirs. The
 * norm of the rest may be longer than a byte can tell; it is spread evenly over as many numbers as are needed, which
 * leaves its differences as they are.
 */
function byteForm(
  { size, p }: Pooling,
  [lo, hi]: readonly [number, number],
  longest: number,
): Form {
  const low = p * lo, unit = p * (hi - lo) / 255;
  const copies = Math.max(1, Math.ceil((longest / (255 * unit)) ** 2));
  const root = Math.sqrt(copies), dimension = size + copies;
  return {
    dimension,
    range: [low, p * hi],
    make: (count) => new Uint8Array(count * dimension),
    layOut(pooled) {
      const row = new Float64Array(dimension).fill(low + pooled[size] / root, size);
      row.set(pooled.subarray(0, size));
      return row;
    },
    write(pooled, row) {
      let square = 0;
      for (let c = 0; c < dimension; c++) {
        const exact = (c < size ? pooled[c] - low : pooled[size] / root) / unit;
        const byte = Math.min(255, Math.round(exact));
        row[c] = byte;
        square += (byte - exact) ** 2;
      }
      return Math.sqrt(square) * unit;
    },
  };
}
