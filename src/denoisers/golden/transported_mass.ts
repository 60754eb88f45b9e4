/**
 * Transported certificates: what is known of the unseen items at one query
 * bounds their mass at the next one, so that they need not be read again.
 *
 * @module
 */

/** What is known of the items outside a subset, at one query and noise level. */
export interface UnseenMass {
  /** How many items they are, `|T|`, or more. */
  readonly count: number;
  /** `log U`, or an upper bound of it, `U = Σ_{i∈T} exp(lᵢ)`, nats; `-Infinity` if there are no items. */
  readonly logMass: number;
  /** The largest logit `M = max_{i∈T} lᵢ`, or an upper bound of it, nats. Default `min(log U, 0)`. */
  readonly largest?: number;
}

/** From which query to which. */
export interface Move {
  /** Noise level `σ` of the query that the mass is known at, in data units. */
  readonly sigma: number;
  /** Noise level `σ'` of the query that it is asked for, in data units. */
  readonly nextSigma: number;
  /** The distance between the two queries `‖q − q'‖`, in data units. */
  readonly distance: number;
}

/**
 * An upper bound of the mass of unseen items at another query and noise level,
 * from their mass at this one and the distance between the queries alone.
 *
 * ```text
 * lᵢ = −‖q − xᵢ‖²/2σ²,  U = Σ exp(lᵢ),  M = max lᵢ     at the query q and noise level σ,
 * l'ᵢ = −‖q' − xᵢ‖²/2σ'², U' = Σ exp(l'ᵢ), M' = max l'ᵢ   at q' and σ', sums over the same |T| items
 *
 * For every ρ in (0, 1), with κ = ρσ²/σ'² and b = ρ/(1−ρ) · ‖q − q'‖²/2σ'²:
 *   log U' ≤ log U + (κ−1)M + b ≤ κ log U + b     if κ ≥ 1
 *   log U' ≤ κ log U + (1−κ) log|T| + b           if κ ≤ 1
 *   M'     ≤ κM + b,  at the best ρ equal to −max(0, √(−2σ²M) − ‖q − q'‖)²/2σ'²
 * ```
 *
 * Proof. For vectors `a + b`, Young's inequality gives
 * `‖a + b‖² ≤ ‖a‖²/(1−ρ) + ‖b‖²/ρ`; with `a = q − q'` and `b = q' − xᵢ`,
 * `ρ‖q − xᵢ‖² ≤ ρ/(1−ρ) ‖q − q'‖² + ‖q' − xᵢ‖²`, with equality at
 * `xᵢ = (q' − ρq)/(1−ρ)`. Divided by `−2σ'²` that is `l'ᵢ ≤ κlᵢ + b` for every
 * item, which is the third line, and `U' ≤ e^b Σ exp(lᵢ)^κ`. For `κ ≥ 1`,
 * `exp(lᵢ)^κ ≤ exp(M)^(κ−1) exp(lᵢ)`, and `M ≤ log U`: the first line. For
 * `κ ≤ 1` the power is concave, so by Jensen's (or Hölder's) inequality
 * `Σ exp(lᵢ)^κ ≤ |T| (U/|T|)^κ`: the second line. ∎
 *
 * Each right side is `constant + ρg + b(ρ)` with `b` convex, so the best `ρ` is
 * `1 − √(Δ/−g)`, `Δ = ‖q − q'‖²/2σ'²`, moved into the line's range; any other
 * one would be valid too. A DDIM step moves the query to `q' = rq + (1−r)D`
 * with `r = σ'/σ`; there `ρ = r` gives `κ = 1/r` and `b = (1−r)‖q − D‖²/2rσ²`,
 * with equality for an item at `D`: the lead of the kept items over the unseen
 * ones grows by `1/r`.
 *
 * So a subset certified at one step certifies the next one from its own `k`
 * items: `U'` from here, `Z_S'` from their logits, and the truncation theorem's
 * `ε' ≤ U'/(Z_S' + U')`. Bounds can be chained, but from the query that was
 * scanned straight to the present one they are sharper. The bound holds for real
 * numbers; rounding moves it by a few units in the last place of the largest term.
 *
 * Derived here.
 *
 * @param unseen The unseen items at the first query.
 * @param move Both noise levels and the distance between the queries.
 * @returns Upper bounds at the second query, of the same kind.
 * @throws {RangeError} If a noise level is not positive, the distance negative, the count negative, or a number NaN.
 *
 * @example One unseen item: the bound is the triangle inequality, here an equality
 * ```ts
 * import { transportMass } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * // The item at 0; the query moves from 4 to 3 as the noise level falls from 2 to 1.
 * const unseen = { count: 1, logMass: -(4 ** 2) / (2 * 2 ** 2) };
 * const { logMass } = transportMass(unseen, { sigma: 2, nextSigma: 1, distance: 1 });
 * assert.equal(logMass, -(3 ** 2) / 2);
 * ```
 */
export function transportMass(unseen: UnseenMass, move: Move): Required<UnseenMass> {
  const { count, logMass } = unseen;
  const { sigma, nextSigma, distance } = move;
  check(unseen, move);
  if (count === 0 || logMass === -Infinity) {
    return { count, logMass: -Infinity, largest: -Infinity };
  }
  // Logits are at most 0, and at most their log-sum-exp.
  const largest = Math.min(unseen.largest ?? logMass, logMass, 0);
  const mass = Math.min(logMass, Math.log(count) + largest);
  const ratio = (sigma / nextSigma) ** 2;
  const cost = (distance / nextSigma) ** 2 / 2;
  const even = mass - Math.log(count);
  // The end of both ranges: κ = 1 there, or ρ = 1 if that cannot be reached.
  const turn = Math.min(1, 1 / ratio);
  const spread = Math.log(count) + least(ratio * even, cost, 0, turn);
  const kept = ratio > 1 ? mass - largest + least(ratio * largest, cost, turn, 1) : Infinity;
  const logNext = Math.min(spread, kept);
  const largestNext = Math.min(logNext, least(ratio * largest, cost, 0, 1));
  if (Number.isNaN(largestNext)) {
    throw new RangeError(
      `Cannot transport the mass of unseen items: from ${sigma} to ${nextSigma} is too far, wanted levels whose ratio is finite`,
    );
  }
  return { count, logMass: logNext, largest: largestNext };
}

/**
 * The least value of `ρg + ρ/(1−ρ) Δ` over `ρ` in `[from, to]`, for `g ≤ 0`, written in
 * `1 − ρ`, which stays exact where `ρ` rounds to 1.
 */
function least(g: number, cost: number, from: number, to: number): number {
  // Queries at the same place: ρ = 1 is allowed and costs nothing.
  if (cost === 0) return to * g;
  const best = g < 0 ? Math.sqrt(cost / -g) : 1;
  const rest = Math.min(1 - from, Math.max(1 - to, best));
  return (1 - rest) * (g + cost / rest);
}

function check({ count, logMass, largest = 0 }: UnseenMass, move: Move): void {
  const wrong = (name: string, value: number, wanted: string) => {
    throw new RangeError(
      `Cannot transport the mass of unseen items: ${name} is ${value}, wanted ${wanted}`,
    );
  };
  for (const [name, value] of Object.entries({ count, logMass, largest })) {
    if (typeof value !== "number") wrong(name, value, "a number");
  }
  if (!(count >= 0 && count < Infinity)) wrong("count", count, "a number >= 0");
  if (!(logMass < Infinity)) wrong("logMass", logMass, "a number below Infinity");
  if (Number.isNaN(largest)) wrong("largest", largest, "a number");
  for (const name of ["sigma", "nextSigma"] as const) {
    if (!(move[name] > 0 && move[name] < Infinity)) wrong(name, move[name], "a finite number > 0");
  }
  if (!(move.distance >= 0 && move.distance < Infinity)) {
    wrong("distance", move.distance, "a finite number >= 0");
  }
}
