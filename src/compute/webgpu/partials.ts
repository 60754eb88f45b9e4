/**
 * Merging what the statistics kernel writes per chunk into facts per query.
 *
 * @module
 */
import { emptyFacts } from "../posterior.ts";
import type { PosteriorFacts } from "../posterior.ts";
import { NO_DISTANCE, PARTIAL_WORDS } from "./posterior_wgsl.ts";

/** What a query needs for the merge and what the merge gives back. */
export interface Merged {
  /** The facts. */
  readonly facts: PosteriorFacts;
  /** The first query whose distances are too large for float32, or -1. */
  readonly overflow: number;
}

/**
 * Merges the partial states of all chunks in float64.
 *
 * States `(m, Z, Z₂, A)` with the reference distance `m` merge by
 * `r = exp((m − m′)·rate)`: `Z′ = Σ rZ`, `Z₂′ = Σ r²Z₂`, `A′ = Σ r(A + Z log r)`.
 *
 * @param words The partial states, `[chunks, stride]` of eight words.
 * @param chunks The number of chunks.
 * @param stride Queries per chunk in `words`.
 * @param rates `scale²/2σ²` per query, nats per squared stored unit.
 * @param bases What is to be added to the distances of each query, squared stored units.
 * @param count The number of rows, `N`.
 * @returns Facts of the first `rates.length` queries.
 */
export function mergePartials(
  words: ArrayBuffer,
  chunks: number,
  stride: number,
  rates: Float64Array,
  bases: ArrayLike<number>,
  count: number,
): Merged {
  const floats = new Float32Array(words);
  const integers = new Uint32Array(words);
  const queries = rates.length;
  const facts: PosteriorFacts = emptyFacts(queries);
  let overflow = -1;
  for (let q = 0; q < queries; q++) {
    const at = (chunk: number) => (chunk * stride + q) * PARTIAL_WORDS;
    let least = Infinity, second = Infinity, row = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const d = floats[at(chunk)], next = floats[at(chunk) + 1];
      second = Math.min(second, next, Math.max(d, least));
      // Chunks come in the order of their rows, so that a tie keeps the lowest one.
      if (d < least) [least, row] = [d, integers[at(chunk) + 2]];
    }
    if (!(least < NO_DISTANCE && bases[q] < NO_DISTANCE)) {
      if (overflow < 0) overflow = q;
      continue;
    }
    const rate = rates[q];
    let z = 0, z2 = 0, a = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const [reference, z1, zz1, a1] = floats.subarray(at(chunk) + 3);
      const shift = (least - reference) * rate;
      const r = Math.exp(shift);
      if (r === 0) continue;
      z += r * z1;
      z2 += r * r * zz1;
      a += r * (a1 + shift * z1);
    }
    const logZ = Math.log(z);
    facts.topLogit[q] = -(bases[q] + least) * rate;
    facts.logNormaliser[q] = logZ + facts.topLogit[q];
    facts.logitGap[q] = second < Math.fround(NO_DISTANCE) ? (second - least) * rate : Infinity;
    facts.topIndex[q] = row;
    // Rounding must not push them out of the range that they have by definition.
    facts.effectiveSampleSize[q] = clamp(z * z / z2, 1, count);
    facts.entropy[q] = clamp(logZ - a / z, 0, Math.log(count));
  }
  return { facts, overflow };
}

function clamp(x: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, x));
}

/**
 * Facts of consecutive queries as one.
 *
 * @param parts The facts, in order.
 * @returns The facts of all queries.
 */
export function concatenateFacts(
  parts: readonly PosteriorFacts[],
): PosteriorFacts {
  const floats = (of: (facts: PosteriorFacts) => Float64Array) =>
    Float64Array.from(parts.flatMap((facts) => [...of(facts)]));
  return {
    logNormaliser: floats((f) => f.logNormaliser),
    topLogit: floats((f) => f.topLogit),
    logitGap: floats((f) => f.logitGap),
    topIndex: Uint32Array.from(parts.flatMap((f) => [...f.topIndex])),
    effectiveSampleSize: floats((f) => f.effectiveSampleSize),
    entropy: floats((f) => f.entropy),
  };
}
