/**
 * One window of one sample, and how its sweeps converge. Numbers on the host only.
 *
 * @module
 */
import { sweepMap } from "./sweep_map.ts";
import type { SweepMap } from "./sweep_map.ts";
import { collocationWeights, interpolation } from "./weights.ts";
import type { CollocationRule, CollocationWeights } from "./weights.ts";

/** Sweeps after which a window is given up. */
const MOST_SWEEPS = 14;
/** Nodes of a window from which the values of the next one are extrapolated. */
const EXTRAPOLATED = 6;
/** What a secant may be. */
const SCALARS = [-3, 30] as const;

/** What a sweep changed: inner products at each node, and at the end of the window. */
export interface SweepProducts {
  /** `⟨ΔDⱼ, ΔXⱼ⟩`. */
  readonly secants: Float64Array;
  /** `|ΔXⱼ|²`. */
  readonly moves: Float64Array;
  /** `|Dⱼ|²`. */
  readonly sizes: Float64Array;
  /** `|Σⱼ W_end,ⱼ ΔDⱼ|²`. */
  readonly increment: number;
}

/** A window: its weights, the stand-ins for the Jacobian, and the increments of its sweeps. */
export class CollocationWindow {
  /** Its weights. */
  readonly weights: CollocationWeights;
  /** Scalars that stand for the Jacobian of the denoiser at the nodes. */
  scalars: Float64Array;
  /** Sweeps so far. */
  sweeps = 0;
  /** Root mean square of the denoiser values at the nodes. */
  size = 0;
  #increment = 0;
  #ratio = 0.5;

  /**
   * @param rule The nodes.
   * @param level `ℓ = −ln σ` at its start.
   * @param length Its length in `ℓ`.
   * @param scalar What stands for the Jacobian until secants are known.
   */
  constructor(
    readonly rule: CollocationRule,
    readonly level: number,
    length: number,
    scalar: number,
  ) {
    this.weights = collocationWeights(rule, length);
    this.scalars = new Float64Array(rule.count).fill(scalar);
  }

  /** Its length. */
  get length(): number {
    return this.weights.h;
  }

  /** The scalar of the last node. */
  get lastScalar(): number {
    return this.scalars[this.scalars.length - 1];
  }

  /** The noise levels of the nodes. */
  nodeSigmas(): Float64Array {
    return this.weights.offsets.map((t) => Math.exp(-(this.level + t)));
  }

  /** The decay to the end of the window, and the weights of the values at the nodes there. */
  end(): { decay: number; weights: Float64Array } {
    const K = this.rule.count;
    const { decay, weights } = this.weights;
    return { decay: decay[K], weights: weights.subarray(K * K) };
  }

  /** The sweep that is next. The first one takes the values that the window opened with as they are. */
  sweepMap(): SweepMap {
    const { weights, scalars } = this;
    return sweepMap(weights, this.sweeps > 0 ? scalars : new Float64Array(scalars.length));
  }

  /**
   * Takes up a sweep.
   *
   * @param products What it changed.
   * @param leastMove Moves of a node below this tell noise, not the Jacobian; infinite for Picard's sweeps.
   */
  measure({ secants, moves, sizes, increment }: SweepProducts, leastMove: number): void {
    this.size = Math.sqrt(sizes.reduce((sum, v) => sum + v, 0) / this.rule.count);
    const before = this.#increment;
    this.#increment = Math.sqrt(increment);
    this.#ratio = 0.5;
    if (this.sweeps > 0) {
      // An increment of 0 stays 0.
      this.#ratio = before && this.#increment / before;
      this.scalars = this.scalars.map((c, j) =>
        moves[j] > leastMove ** 2
          ? Math.min(SCALARS[1], Math.max(SCALARS[0], secants[j] / moves[j]))
          : c
      );
    }
    this.sweeps++;
  }

  /** The iteration error that is left at the end, from the last increment and how fast they fall. */
  remaining(): number {
    return this.#increment * Math.min(this.#ratio, 0.5);
  }

  /** Whether more sweeps are of no use. */
  isHopeless(): boolean {
    return this.sweeps >= MOST_SWEEPS || (this.sweeps >= 4 && this.#ratio > 0.9);
  }

  /** `K × K`: from its values to those at the nodes of a window that takes its place. */
  valuesWithin(other: CollocationWindow): Float64Array {
    return interpolation(this.weights.offsets, other.weights.offsets);
  }

  /** `K × K`: from its values, those at the last few nodes, to those at the nodes of the next window. */
  valuesBeyond(next: CollocationWindow): Float64Array {
    const { offsets, h } = this.weights;
    const known = offsets.map((t) => t - h).subarray(-EXTRAPOLATED);
    const K = this.rule.count, m = known.length;
    const part = interpolation(known, next.weights.offsets);
    const map = new Float64Array(K * K);
    for (let i = 0; i < K; i++) map.set(part.subarray(i * m, (i + 1) * m), i * K + K - m);
    return map;
  }
}

/**
 * The error of the end of a window from the sizes of its Legendre coefficients `1 … K − 1`.
 *
 * @param rule The nodes.
 * @param length The length of the window.
 * @param coefficients The sizes, in any unit.
 * @returns The error in that unit, and the larger of the last two coefficients.
 */
export function interpolationError(
  { family }: CollocationRule,
  length: number,
  coefficients: Float64Array,
): { estimate: number; tail: number } {
  const tail = Math.max(...coefficients.subarray(-2));
  const top = Math.max(...coefficients);
  // At Gauss nodes the errors of the interpolant cancel at the end: twice the order.
  const cancelled = family === "gauss" && top > 0 ? Math.min(1, tail / top) : 1;
  return { estimate: -0.3 * Math.expm1(-length) * tail * cancelled, tail };
}
