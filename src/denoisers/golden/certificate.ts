/**
 * Certificates at run time: how few items of those that were measured are provably enough.
 *
 * @module
 */

/** Items that were measured for one query, by falling logit. */
export interface MeasuredLogits {
  /** Their logits, nats, the largest first. */
  readonly logits: Float64Array;
  /** By how much each may be off, nats. Default 0. */
  readonly errors?: Float64Array;
  /** `log U'`: an upper bound of `log Σ exp(lᵢ)` over all items that were not measured; `-Infinity` if there are none. */
  readonly logUnseen: number;
}

/** A subset with its certificate. */
export interface CertifiedSize {
  /** Items to keep, `k`: those of the `k` largest logits. */
  readonly k: number;
  /** An upper bound of the share of the posterior mass that is left out, `ε`. */
  readonly discarded: number;
}

/**
 * The smallest subset that provably leaves out at most a share `most` of the posterior mass: items are
 * kept by falling logit, and what is dropped of the measured ones joins the unseen ones.
 *
 * ```text
 * ε ≤ V/(Z_k + V),   Z_k = Σ_{i≤k} exp(lᵢ),   V = U' + Σ_{i>k} exp(lᵢ)
 * ```
 *
 * The truncation theorem then bounds the error of the posterior mean over these items by `ε` times the
 * diameter of the data. Valid for any subset, not only for the items of the largest logits of all. Tails
 * are summed from the small end: a total less a running head would cancel, and fake a certificate.
 *
 * @param measured The measured items and what is known of all others.
 * @param most The share that may be left out, in (0, 1).
 * @returns The subset, or undefined if not even all measured items are enough.
 * @throws {RangeError} If nothing was measured, or `most` is not in (0, 1).
 *
 * @example
 * ```ts
 * import { smallestCertified } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const measured = { logits: Float64Array.of(0, -10, -20), logUnseen: -30 };
 * assert.equal(smallestCertified(measured, 1e-3)!.k, 1);
 * assert.equal(smallestCertified(measured, 1e-6)!.k, 2);
 * assert.equal(smallestCertified(measured, 1e-14), undefined);
 * ```
 */
export function smallestCertified(
  { logits, errors, logUnseen }: MeasuredLogits,
  most: number,
): CertifiedSize | undefined {
  if (!(logUnseen < Infinity) || logits.some((v) => !(v < Infinity))) {
    throw new RangeError(
      `Cannot certify a subset: logUnseen is ${logUnseen}, wanted logits below Infinity`,
    );
  }
  if (logits.length === 0 || !(most > 0 && most < 1)) {
    throw new RangeError(
      `Cannot certify a subset: ${logits.length} items may leave out a share of ${most}, wanted at least 1 item and a share in (0, 1)`,
    );
  }
  const n = logits.length, top = logits.reduce((a, b) => Math.max(a, b), logUnseen);
  // What is dropped counts as much as it can weigh, what is kept as little.
  const dropped = new Float64Array(n + 1);
  dropped[n] = Math.exp(logUnseen - top);
  for (let i = n - 1; i > 0; i--) {
    dropped[i] = dropped[i + 1] + Math.exp(logits[i] + (errors?.[i] ?? 0) - top);
  }
  let kept = 0;
  for (let k = 1; k <= n; k++) {
    kept += Math.exp(logits[k - 1] - (errors?.[k - 1] ?? 0) - top);
    if (dropped[k] <= most * (kept + dropped[k])) {
      return { k, discarded: dropped[k] / (kept + dropped[k]) };
    }
  }
}

/**
 * The share of the posterior mass that is left out when all measured items are kept, at most.
 *
 * @param measured The measured items and what is known of all others.
 * @returns `U'/(Z + U')`, from 0 to 1.
 * @throws {RangeError} If a logit is infinite or not a number.
 *
 * @example
 * ```ts
 * import { discardedMass } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const measured = { logits: Float64Array.of(0, 0), logUnseen: Math.log(2) };
 * assert.ok(Math.abs(discardedMass(measured) - 0.5) < 1e-15);
 * ```
 */
export function discardedMass({ logits, errors, logUnseen }: MeasuredLogits): number {
  if (logUnseen === -Infinity) return 0;
  if (!(logUnseen < Infinity) || logits.some((v) => !(v < Infinity))) {
    throw new RangeError(
      `Cannot weigh what is discarded: logUnseen is ${logUnseen}, wanted logits below Infinity`,
    );
  }
  let kept = 0;
  for (let i = logits.length - 1; i >= 0; i--) {
    kept += Math.exp(logits[i] - (errors?.[i] ?? 0) - logUnseen);
  }
  return 1 / (1 + kept);
}

/**
 * `log(eᵃ + eᵇ)` without overflow.
 *
 * @param a A number, or `-Infinity`.
 * @param b Another.
 */
export function logAdd(a: number, b: number): number {
  const most = Math.max(a, b);
  return most === -Infinity ? most : most + Math.log1p(Math.exp(Math.min(a, b) - most));
}
