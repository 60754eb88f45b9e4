/**
 * Sums of products of the columns of a data set, by threads.
 *
 * @module
 */
import type { PointSet } from "../posterior.ts";
import type { WorkOptions } from "../work_options.ts";
import { roundUp } from "./memory.ts";
import { Workspace } from "./spectral.ts";
import type { ThreadOptions } from "./spectral.ts";

// Rows that are centred and multiplied at a time. For bytes their sums must fit 32 bits: at most 2^15.
const ROWS_OF_BYTES = 1024, ROWS_OF_FLOATS = 512;
// Panels of 4 columns per shard: with 8 KiB each, they fit a quarter of a megabyte of cache.
const PANELS = 8;

/**
 * `Σᵢ (xᵢ − c)(xᵢ − c)ᵀ` in stored units: exact for bytes, in float64 for floats.
 *
 * @param points The data.
 * @param centre The centre `c`, `d` numbers; whole ones for bytes.
 * @param options Threads, signal, progress.
 * @returns `d` rows of `d` numbers, of which those on and above the diagonal count.
 */
export async function columnProducts(
  points: PointSet,
  centre: Float64Array,
  options: WorkOptions & ThreadOptions = {},
): Promise<Float64Array> {
  const { data, dimension } = points;
  const bytes = data instanceof Uint8Array;
  const count = data.length / dimension;
  const chunk = Math.min(count, bytes ? ROWS_OF_BYTES : ROWS_OF_FLOATS);
  const panels = roundUp(Math.ceil(dimension / 4), 2), stride = 4 * panels;
  const panelBytes = bytes ? 16 * Math.ceil(chunk / 2) : 32 * chunk;
  // The last panel reads beyond the last row.
  const sizes = [
    8 * stride * stride,
    8 * stride,
    chunk * dimension * data.BYTES_PER_ELEMENT + 64,
    panels * panelBytes,
  ];
  const space = sizes.reduce((sum, size) => sum + roundUp(size, 64), 0);
  using work = await Workspace.open(space, options, options.signal);
  const [out, centres, rows, packed] = sizes.map((size) => work.take(size));
  if (bytes) new Int16Array(work.bytes(centres, 2 * stride).buffer, centres, stride).set(centre);
  else work.numbers(centres, stride).set(centre);
  for (let first = 0; first < count; first += chunk) {
    const many = Math.min(chunk, count - first);
    const part = data.subarray(first * dimension, (first + many) * dimension);
    work.bytes(rows, part.byteLength).set(
      new Uint8Array(part.buffer, part.byteOffset, part.byteLength),
    );
    const shards = Math.ceil(panels / PANELS);
    const pack = bytes ? "packBytes" : "packFloats";
    await work.run(pack, panels, shards, rows, many, dimension, centres, packed);
    if (bytes) {
      const pairs = Math.ceil(many / 2);
      await work.run(
        "byteProducts",
        panels,
        shards,
        packed,
        panels,
        pairs,
        out,
        8 * stride,
        work.stop,
      );
    } else {
      const size = 32 * many;
      await work.run(
        "products",
        panels,
        shards,
        ...[packed, size, packed, size, panels, many, 1, out, 8 * stride, work.stop],
      );
    }
    options.onProgress?.(first + many, count);
  }
  const products = new Float64Array(dimension * dimension);
  for (let a = 0; a < dimension; a++) {
    products.set(work.numbers(out + 8 * a * stride, dimension), a * dimension);
  }
  return products;
}
