/**
 * The posterior over some rows of the data: what is the same on every device.
 *
 * @module
 */
import { mapInTurns } from "../base/_turns.ts";
import { batchOf } from "./batch.ts";
import type { State } from "./batch.ts";
import { checkEvaluateOptions, emptyFacts, POSTERIOR_ACTION, sigmaPerRow } from "./posterior.ts";
import type { EvaluateOptions, Posterior, PosteriorFacts, Sigma } from "./posterior.ts";
import { checkSubsets } from "./subset.ts";
import type { Subset } from "./subset.ts";

/** Squared distances of queries to rows. */
export interface Distances {
  /** One list per query, in the order of its rows, in squared data units. */
  readonly squares: readonly Float64Array[];
  /** By how much each of them may be off. */
  readonly errors: readonly Float64Array[];
}

/** Rows with weights that sum to 1. */
export interface WeightedRows {
  /** The rows. */
  readonly rows: Uint32Array;
  /** The weight of each. */
  readonly weights: Float64Array;
}

/** What a device computes of a posterior over some rows, for one batch of queries. */
export interface SubsetKernels<X> {
  /** Distances to the rows of each query. */
  distances(lists: readonly Uint32Array[]): Promise<Distances>;
  /** The weighted means of rows in data units, of the shape of the queries. */
  means(weighted: readonly WeightedRows[]): Promise<X>;
}

/**
 * The posterior of each query over its own rows: distances from the device, weights in float64 here,
 * means from the device again.
 *
 * @param shape Numbers of rows and dimensions of the store.
 * @param x The queries.
 * @param sigma Noise levels.
 * @param subsets The rows of each query.
 * @param kernels What the device does.
 * @param options A signal that cancels.
 */
export async function subsetPosterior<X extends State>(
  { count, dimension }: { count: number; dimension: number },
  x: X,
  sigma: Sigma,
  subsets: readonly Subset[],
  kernels: SubsetKernels<X>,
  options: EvaluateOptions = {},
): Promise<Posterior<X>> {
  checkEvaluateOptions(POSTERIOR_ACTION, options);
  const { signal } = options;
  const queries = batchOf(x, dimension, POSTERIOR_ACTION).rows;
  const sigmas = sigmaPerRow(sigma, queries, POSTERIOR_ACTION);
  checkSubsets(subsets, queries, count, POSTERIOR_ACTION);
  signal?.throwIfAborted();
  // Known distances are not measured again; the list of their rows is empty then.
  const none = new Uint32Array();
  const unknown = subsets.map(({ rows, squares }) => squares ? none : rows);
  const measured = unknown.some(({ length }) => length > 0)
    ? (await kernels.distances(unknown)).squares
    : [];
  const facts = emptyFacts(queries);
  const weighted = await mapInTurns(
    subsets,
    (subset, q) => weigh(subset, subset.squares ?? measured[q], sigmas[q], facts, q),
    signal,
  );
  signal?.throwIfAborted();
  return { mean: await kernels.means(weighted), facts };
}

// Rows that are left out weigh less together than float32 rounding.
const LEFT_OUT = 2 ** -26;

/** The softmax of one query; writes its facts, and gives the rows that weigh. */
function weigh(
  { rows, logWeights }: Subset,
  squares: Float64Array,
  sigma: number,
  facts: PosteriorFacts,
  q: number,
): WeightedRows {
  const rate = -0.5 / (sigma * sigma);
  const logits = squares.map((d, i) => d * rate + (logWeights?.[i] ?? 0));
  const z = logitFacts(rows, logits, facts, q);
  const least = LEFT_OUT / rows.length;
  const top = facts.topLogit[q];
  const keptRows = new Uint32Array(rows.length), kept = new Float64Array(rows.length);
  let n = 0;
  logits.forEach((logit, i) => {
    const w = Math.exp(logit - top);
    if (w < least) return;
    keptRows[n] = rows[i];
    kept[n++] = w / z;
  });
  return { rows: keptRows.subarray(0, n), weights: kept.subarray(0, n) };
}

/**
 * The facts of one query from its logits, in float64.
 *
 * @param rows The rows.
 * @param logits Their logits, weights included.
 * @param facts Where the facts are written.
 * @param q To which place.
 * @returns `Σ exp(l − l₍₁₎)`.
 */
export function logitFacts(
  rows: Uint32Array,
  logits: Float64Array,
  facts: PosteriorFacts,
  q: number,
): number {
  let top = -Infinity, second = -Infinity, index = Infinity;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i];
    if (logit > top || (logit === top && rows[i] < index)) {
      second = top;
      [top, index] = [logit, rows[i]];
    } else if (logit > second) second = logit;
  }
  let z = 0, z2 = 0, a = 0;
  for (const logit of logits) {
    const w = Math.exp(logit - top);
    if (w === 0) continue;
    z += w;
    z2 += w * w;
    a += w * (logit - top);
  }
  facts.topLogit[q] = top;
  facts.logNormaliser[q] = top + Math.log(z);
  facts.logitGap[q] = top - second;
  facts.topIndex[q] = index;
  facts.effectiveSampleSize[q] = z * z / z2;
  facts.entropy[q] = Math.log(z) - a / z;
  return z;
}

/** What a measurement of distances does, for messages. */
export const MEASURE_ACTION = "measure distances";

/**
 * Checks the lists of rows that distances are asked to.
 *
 * @param lists One list per query.
 * @param queries The number of queries.
 * @param count The number of rows there are.
 * @throws {TypeError} If there is not one list per query.
 * @throws {RangeError} If a row is out of range.
 */
export function checkRows(lists: readonly Uint32Array[], queries: number, count: number): void {
  if (lists.length !== queries) {
    throw new TypeError(
      `Cannot ${MEASURE_ACTION}: received ${lists.length} lists of rows for ${queries} queries, wanted one each`,
    );
  }
  for (const rows of lists) {
    let most = 0;
    for (let i = 0; i < rows.length; i++) most = Math.max(most, rows[i]);
    if (most >= count) {
      throw new RangeError(
        `Cannot ${MEASURE_ACTION}: received row ${most}, wanted rows below ${count}`,
      );
    }
  }
}
