/**
 * How far rounding moves a posterior mean: from errors of logits, weights and sums to the mean.
 *
 * @module
 */
import type { StateNumbers } from "../../compute/batch.ts";
import type { PosteriorFacts } from "../../compute/posterior.ts";
import { EPS32, EPS64, float64Logits } from "../../compute/rounding.ts";
import type { StoreRounding } from "../../compute/rounding.ts";
import type { Extent } from "./extent.ts";

/** Logits of one query, and by how much each may be off, nats. */
export interface OffLogits {
  /** The logits. */
  readonly logits: Float64Array;
  /** Their errors, at most. */
  readonly slack: Float64Array;
}

/**
 * How much of its mass a softmax can move when its logits are off: the total variation between the weights
 * `w` and those of the logits `lᵢ + ηᵢ`, `|ηᵢ| ≤ sᵢ`, is at most
 *
 * ```text
 * min( Σᵢ wᵢ (exp(sᵢ) − 1), Σ_{i≠1} wᵢ (exp(sᵢ + s₁) − 1), 1 ),
 * ```
 *
 * the second because a common shift cancels, that of the first item too. Two means over the same items then differ by at most
 * this share of the diameter.
 */
export function movedMass({ logits, slack }: OffLogits): number {
  let first = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[first]) first = i;
  const top = logits[first];
  let z = 0;
  for (const logit of logits) z += Math.exp(logit - top);
  const logZ = top + Math.log(z);
  let all = 0, others = 0;
  for (let i = 0; i < logits.length; i++) {
    const log = logits[i] - logZ;
    all += grown(log, slack[i]);
    if (i !== first) others += grown(log, slack[i] + slack[first]);
  }
  return Math.min(all, others, 1);
}

/** `eˡ (eˢ − 1)`, also where `eˢ` overflows. */
function grown(log: number, slack: number): number {
  return slack < 1 ? Math.exp(log) * Math.expm1(slack) : Math.exp(log + slack);
}

/**
 * The same where only the largest error `s` of all logits is known, and facts of the weights: at most
 * `tanh(s/2)`, and at most `(1 − w₁)(exp(2s) − 1)`.
 */
export function movedMassOfAll(
  facts: Pick<PosteriorFacts, "topLogit" | "logNormaliser" | "logitGap">,
  q: number,
  slack: number,
  { count, sums }: { count: number; sums: number },
): number {
  if (count === 1) return 0;
  // What the facts themselves lose by rounding counts as mass of the others.
  const z = facts.logNormaliser[q] - facts.topLogit[q];
  const byMass = Math.log(
    -Math.expm1(-Math.max(0, z)) + sums + 2 ** -40 * (1 + Math.abs(facts.topLogit[q])),
  );
  const byGap = Math.log(count - 1) - facts.logitGap[q];
  const others = Math.min(byMass, byGap, 0);
  const share = slack < 0.25
    ? Math.exp(others) * Math.expm1(2 * slack)
    : Math.exp(others + 2 * slack);
  return Math.min(Math.tanh(slack / 2), share);
}

/** Bounds of the rounding of posterior means over one data set, root mean square per number, in data units. */
export class MeanRounding {
  /** What a mean of float32 numbers is off by whatever computes it: nothing can be promised below. */
  readonly least: number;
  readonly #extent: Extent;
  readonly #dimension: number;
  readonly #count: number;

  /**
   * @param extent The extent of the data.
   * @param shape Numbers of rows and of numbers per row.
   */
  constructor(extent: Extent, { count, dimension }: { count: number; dimension: number }) {
    this.#extent = extent;
    this.#dimension = dimension;
    this.#count = count;
    this.least = EPS32 * Math.max(Math.abs(extent.low), Math.abs(extent.high));
  }

  /** Of all items, by a store's `posterior()`. */
  ofAll(
    rounding: StoreRounding,
    values: StateNumbers,
    sigma: number,
    facts: PosteriorFacts,
    q: number,
  ): number {
    const variance = sigma * sigma;
    // Farther rows weigh less than e⁻⁶⁴ in all.
    const nats = 64 + Math.log(this.#count);
    const square = 2 * variance * (nats - facts.topLogit[q] * (1 + 2 ** -10));
    const { diameter } = this.#extent;
    const found = rounding.posterior({
      values,
      sigma,
      square,
      diameter,
      entropy: facts.entropy[q],
    });
    const { logits, weights, sums } = found;
    const moved = movedMassOfAll(facts, q, logits, {
      count: this.#count,
      sums: weights + sums,
    });
    return this.#mean(moved + weights, sums, rounding.origin);
  }

  /** Of listed items with known logits, by a store's `posteriorOn()`. */
  ofListed(rounding: StoreRounding, of: OffLogits): number {
    return this.#mean(movedMass(of), rounding.listed(of.logits.length), rounding.origin);
  }

  /** Of so many items by direct differences and sums in float64, see `referencePosterior()`. */
  ofFloat64(count: number, sigma: number, facts: PosteriorFacts, q: number): number {
    const slack = this.slack(64 + Math.log(count) - facts.topLogit[q], sigma);
    const sums = (count + 4) * EPS64;
    return this.#mean(movedMassOfAll(facts, q, slack, { count, sums }), sums, 0);
  }

  /** How far float64 moves a logit of direct differences: their sum, and the way from bytes to data units. */
  readonly slack = (logit: number, sigma: number): number =>
    float64Logits(this.#dimension, logit) +
    4 * EPS64 / EPS32 * this.least * Math.sqrt(this.#dimension * Math.abs(logit) / 2) / sigma;

  #mean(moved: number, sums: number, origin: number): number {
    const { diameter, low, high } = this.#extent;
    const reach = Math.max(Math.abs(low - origin), Math.abs(high - origin));
    const whole = diameter / Math.sqrt(this.#dimension);
    return Math.min(moved, 1) * whole + sums * reach + this.least;
  }
}
