/**
 * The ranges of the coordinates of stored rows.
 *
 * @module
 */
import { Arena, grow, roundUp } from "./memory.ts";
import type { StoredRows } from "./store_view.ts";

/** The least and the greatest stored number of each coordinate. */
export interface Ranges {
  readonly least: Float32Array;
  readonly most: Float32Array;
}

const knownRanges = new WeakMap<WebAssembly.Memory, { generation: number; ranges: Ranges }>();

/** The ranges of the rows of a store, found once. */
export async function rangesOf(view: StoredRows): Promise<Ranges> {
  const { memory, pool, count, dimension, data, rowBytes, bytes, generation } = view;
  const known = knownRanges.get(memory);
  if (known?.generation === generation) return known.ranges;
  const stride = roundUp(dimension, 8), shards = Math.min(count, 8 * pool.threads);
  const arena = new Arena(view.free);
  const control = arena.take(8), out = arena.take(shards * stride * 8);
  grow(memory, arena.end);
  await pool.run({
    module: "posterior",
    kernel: "ranges",
    memory,
    rows: count,
    shards,
    control,
    arguments: [
      { base: bytes ? 1 : 0 },
      { base: data, row: rowBytes },
      { rows: 1 },
      { base: rowBytes },
      { base: stride },
      { base: out, shard: stride * 8 },
    ],
  });
  const found = new Float32Array(memory.buffer, out, shards * stride * 2);
  const least = found.slice(0, dimension), most = found.slice(stride, stride + dimension);
  for (let s = 1; s < shards; s++) {
    for (let c = 0, at = 2 * s * stride; c < dimension; c++, at++) {
      least[c] = Math.min(least[c], found[at]);
      most[c] = Math.max(most[c], found[at + stride]);
    }
  }
  const ranges = { least, most };
  knownRanges.set(memory, { generation, ranges });
  return ranges;
}
