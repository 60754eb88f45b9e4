/**
 * How many of the nearest items are enough.
 *
 * @module
 */
import { rowsByLogit } from "./posterior_logits.ts";

/** The numbers of items that different certificates ask for. */
export interface SubsetSizes {
  /** By the exact discarded mass: the smallest `k` that is right, all logits known. */
  readonly exact: number;
  /** By `U'/(Z_S + U')` with `U' = (N−k) exp(l₍ₖ₊₁₎)`. */
  readonly largest: number;
  /** By the published gap bound `(N−k) exp(l₍ₖ₊₁₎ − l₍₁₎)`. */
  readonly gap: number;
}

/**
 * The smallest numbers of items, taken by falling logit, that leave out at most
 * a share `mass` of the posterior, by the exact mass and by two bounds of it.
 *
 * ```text
 * exact:    εₖ ≤ mass
 * largest:  U'/(Z_S + U') ≤ mass,          U' = (N−k) exp(l₍ₖ₊₁₎)
 * gap:      l₍₁₎ − l₍ₖ₊₁₎ ≥ log((N−k)/mass)
 * ```
 *
 * Each needs at least as many as the one before, since each is a bound of the
 * one before it; for an error of at most `δ`, ask for `mass = δ/2R`. Tails are summed
 * from the small end, so a small one is not lost in rounding.
 *
 * @param logits The logits, one per row of the data, nats.
 * @param mass The share that may be left out, in (0, 1).
 * @returns Three numbers of items, from 1 to `N`.
 * @throws {TypeError} If there are no logits.
 * @throws {RangeError} If the mass is not in (0, 1).
 *
 * @example
 * ```ts
 * import { subsetSizes } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(subsetSizes([0, -10, -20, -30], 1e-3), { exact: 1, largest: 1, gap: 1 });
 * assert.deepEqual(subsetSizes([0, 0, 0, 0], 0.3), { exact: 3, largest: 3, gap: 4 });
 * ```
 */
export function subsetSizes(logits: ArrayLike<number>, mass: number): SubsetSizes {
  if (logits.length === 0) {
    throw new TypeError("Cannot size a subset: received no logits, wanted at least 1");
  }
  if (!(mass > 0 && mass < 1)) {
    throw new RangeError(`Cannot size a subset: mass is ${mass}, wanted a number in (0, 1)`);
  }
  const count = logits.length;
  const rows = rowsByLogit(logits), top = logits[rows[0]];
  const weights = Float64Array.from(rows, (i) => Math.exp(logits[i] - top));
  // tails[k] is the mass of all but the k largest.
  const tails = new Float64Array(count + 1);
  for (let k = count - 1; k >= 0; k--) tails[k] = tails[k + 1] + weights[k];
  const smallest = (enough: (k: number, unseen: number) => boolean) => {
    for (let k = 1; k < count; k++) if (enough(k, (count - k) * weights[k])) return k;
    return count;
  };
  // Heads are what is left of the total: they are never small.
  const head = (k: number) => tails[0] - tails[k];
  return {
    exact: smallest((k) => tails[k] <= mass * tails[0]),
    largest: smallest((k, unseen) => unseen <= mass * (head(k) + unseen)),
    gap: smallest((_, unseen) => unseen <= mass),
  };
}
