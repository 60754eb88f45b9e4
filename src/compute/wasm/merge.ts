/**
 * Merging what the shards of a scan found, in float64.
 *
 * @module
 */

/** The states and weighted sums that a scan leaves, one of each per shard and query. */
export interface Partials {
  /** Per shard and query: least and second least squared distance, row of the least, Z, Z2, A, and two unused. */
  readonly states: Float64Array;
  /** Per shard and query: the weighted sum Y, `stride` numbers. */
  readonly sums: Float32Array;
  /** Number of shards. */
  readonly shards: number;
  /** Number of queries. */
  readonly batch: number;
  /** Numbers per weighted sum. */
  readonly stride: number;
}

/** The posterior of one query in stored units. */
export interface Merged {
  /** Least squared distance. */
  readonly least: number;
  /** Second least squared distance, infinite if there is one row. */
  readonly second: number;
  /** The row of the least. */
  readonly index: number;
  /** `Σ w`, the largest weight being 1. */
  readonly z: number;
  /** `Σ w²`. */
  readonly z2: number;
  /** `Σ w log w`. */
  readonly a: number;
  /** `Σ w x / Σ w`, `stride` numbers. */
  readonly mean: Float64Array;
}

/**
 * Merges the shards of one query:
 * `m = min mⱼ, rⱼ = e^{(m − mⱼ)g}, Z = Σ rⱼZⱼ, Z2 = Σ rⱼ²Z2ⱼ, A = Σ rⱼ(Aⱼ + (m − mⱼ)g Zⱼ), Y = Σ rⱼYⱼ`.
 *
 * @param partials What the scan left.
 * @param k Which query.
 * @param g Nats per squared distance.
 */
export function mergeShards(partials: Partials, k: number, g: number): Merged {
  const { states, sums, shards, batch, stride } = partials;
  let least = Infinity, second = Infinity, index = 0;
  for (let s = 0; s < shards; s++) {
    const at = (s * batch + k) * 8;
    const [d1, d2] = [states[at], states[at + 1]];
    if (d1 < least) {
      second = Math.min(least, d2);
      [least, index] = [d1, states[at + 2]];
    } else second = Math.min(second, d1);
  }
  let z = 0, z2 = 0, a = 0;
  const mean = new Float64Array(stride);
  for (let s = 0; s < shards; s++) {
    const at = (s * batch + k) * 8;
    const shift = (least - states[at]) * g;
    const factor = Math.exp(shift);
    // A shard whose rows are all too far has an infinite least distance; one that weighs so little changes no digit.
    if (!(factor > 1e-30)) continue;
    z += factor * states[at + 3];
    z2 += factor * factor * states[at + 4];
    a += factor * (states[at + 5] + shift * states[at + 3]);
    const from = (s * batch + k) * stride;
    for (let c = 0; c < stride; c++) mean[c] += factor * sums[from + c];
  }
  for (let c = 0; c < stride; c++) mean[c] /= z;
  return { least, second, index, z, z2, a, mean };
}
