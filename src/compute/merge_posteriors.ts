/**
 * Merging the posteriors of parts of a data set into that of the whole.
 *
 * @module
 */
import { emptyFacts } from "./posterior.ts";
import type { Posterior } from "./posterior.ts";

/** The posterior over some consecutive rows of a data set, for a batch of queries. */
export interface PartialPosterior extends Posterior<ArrayLike<number>> {
  /** Where the part begins: its row 0 is this row of the whole. Default 0. */
  readonly firstRow?: number;
}

/**
 * The posterior over all rows of a data set from the posteriors over disjoint parts of it, in
 * float64, query by query. With the log normalisers `Lⱼ` of the parts and their shares
 * `pⱼ = e^{Lⱼ} / Σₖ e^{Lₖ}`:
 *
 * ```text
 * L = log Σⱼ e^{Lⱼ},   D = Σⱼ pⱼ Dⱼ,   1/ESS = Σⱼ pⱼ²/ESSⱼ,   H = Σⱼ pⱼ (Hⱼ − log pⱼ)
 * ```
 *
 * Parts can be merged in any order and any grouping: the largest logit, its row and the gap come out
 * the same to the last bit, everything else to float64 rounding.
 *
 * @param parts At least one part, all for the same queries at the same noise levels.
 * @returns The means, rows one after the other, and the facts of each query.
 * @throws {RangeError} If there are no parts.
 * @throws {TypeError} If the parts do not answer equally many queries in equally many numbers.
 *
 * @example Two halves make the whole
 * ```ts
 * import { mergePosteriors, referencePosterior } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const over = (...rows: number[]) =>
 *   referencePosterior({ data: Float32Array.from(rows), dimension: 1 }, [0.4], 1);
 * const merged = mergePosteriors([over(-1, 0), { ...over(1), firstRow: 2 }]);
 * assert.ok(Math.abs(merged.mean[0] - over(-1, 0, 1).mean[0]) < 1e-15);
 * assert.equal(merged.facts.topIndex[0], 1);
 * ```
 */
export function mergePosteriors(parts: readonly PartialPosterior[]): Posterior<Float64Array> {
  const [{ mean, facts }] = checkParts(parts);
  const queries = facts.logNormaliser.length, dimension = mean.length / queries;
  const merged = {
    mean: new Float64Array(mean.length),
    facts: emptyFacts(queries),
  };
  for (let q = 0; q < queries; q++) {
    mergeTop(parts, q, merged);
    mergeWeights(parts, q, dimension, merged);
  }
  const { topLogit, logitGap, effectiveSampleSize, entropy } = merged.facts;
  for (const numbers of [merged.mean, topLogit, logitGap, effectiveSampleSize, entropy]) {
    if (numbers.some(Number.isNaN)) {
      throw new RangeError("Cannot merge posteriors: a part holds NaN, wanted numbers");
    }
  }
  return merged;
}

function checkParts(parts: readonly PartialPosterior[]): readonly PartialPosterior[] {
  if (parts.length === 0) {
    throw new RangeError("Cannot merge posteriors: received no parts, wanted at least 1");
  }
  const size = ({ mean, facts }: PartialPosterior) =>
    `${facts.logNormaliser.length} queries in ${mean.length} numbers`;
  const queries = parts[0].facts.logNormaliser.length, numbers = parts[0].mean.length;
  if (queries < 1 || numbers < 1 || numbers % queries !== 0) {
    throw new TypeError(
      `Cannot merge posteriors: received a part of ${
        size(parts[0])
      }, wanted whole rows, at least 1`,
    );
  }
  for (const part of parts) {
    if (size(part) !== size(parts[0])) {
      throw new TypeError(
        `Cannot merge posteriors: received a part of ${size(part)}, wanted ${size(parts[0])}`,
      );
    }
  }
  return parts;
}

/** The largest logit, the lowest row in a tie, and how far the next one is. */
function mergeTop(
  parts: readonly PartialPosterior[],
  q: number,
  { facts: out }: Posterior<Float64Array>,
): void {
  let top = -Infinity, gap = Infinity, index = Infinity;
  for (const { facts, firstRow = 0 } of parts) {
    const logit = facts.topLogit[q], row = firstRow + facts.topIndex[q];
    if (logit > top || (logit === top && row < index)) {
      // Gaps are kept as they came: a difference of large logits would round them.
      gap = Math.min(facts.logitGap[q], logit - top);
      [top, index] = [logit, row];
    } else gap = Math.min(gap, top - logit);
  }
  [out.topLogit[q], out.logitGap[q], out.topIndex[q]] = [top, gap, index];
}

function mergeWeights(
  parts: readonly PartialPosterior[],
  q: number,
  dimension: number,
  { mean, facts: out }: Posterior<Float64Array>,
): void {
  const most = parts.reduce((m, { facts }) => Math.max(m, facts.logNormaliser[q]), -Infinity);
  const shares = parts.map(({ facts }) => Math.exp(facts.logNormaliser[q] - most));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const from = q * dimension;
  let concentration = 0, entropy = 0;
  parts.forEach((part, j) => {
    const p = shares[j] / total;
    // 0 log 0 is 0, not NaN.
    if (p === 0) return;
    concentration += p * p / part.facts.effectiveSampleSize[q];
    entropy += p * (part.facts.entropy[q] - Math.log(p));
    for (let c = from; c < from + dimension; c++) mean[c] += p * part.mean[c];
  });
  out.logNormaliser[q] = most + Math.log(total);
  out.effectiveSampleSize[q] = 1 / concentration;
  out.entropy[q] = entropy;
}
