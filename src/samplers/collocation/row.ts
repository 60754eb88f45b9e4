/**
 * One sample of a collocation run: where its window stands, and what comes next. Numbers on the
 * host only; the states are elsewhere.
 *
 * @module
 */
import { checkFinite } from "./record.ts";
import type { RowRecord } from "./record.ts";
import { sweepMap } from "./sweep_map.ts";
import type { SweepMap } from "./sweep_map.ts";
import { collocationWeights, interpolation } from "./weights.ts";
import type { CollocationRule, CollocationWeights } from "./weights.ts";

/** What all rows of a run share. */
export interface RowSettings {
  /** Nodes. */
  readonly rule: CollocationRule;
  /** The error per window that is aimed at, relative to the size of the data. */
  readonly tolerance: number;
  /** Unit roundoff of the denoiser's output. */
  readonly roundoff: number;
  /** The size of the data; that of the row's own denoiser values where it is not known. */
  readonly scale?: number;
  /** Whether windows are accepted on noise, and never shortened by it. */
  readonly guard: boolean;
  /** Whether sweeps use the secants; else they are Picard's. */
  readonly quasiNewton: boolean;
  /** The largest number of windows, rejected ones included. */
  readonly maxWindows: number;
  /** Windows of fixed lengths, none of which is rejected. */
  readonly lengths?: readonly number[];
}

/** Length of the first window in `ℓ = −ln σ`, and the longest. */
const FIRST_LENGTH = 1;
const LONGEST = 3;
const MOST_SWEEPS = 14;
/** Increments below this share of what rounding does to one number are noise: they average over the nodes. */
const STILL = 1 / 8;
/** Sweeps after which a window counts as hard, and the next one is shorter. */
const MANY_SWEEPS = 9;
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

/** What became of a window. */
export interface Closing {
  /** Whether its end is taken as the start of the next one; else that one starts where it did. */
  readonly accepted: boolean;
  /** `K × K`: from its denoiser values to those that the next one opens with; none if there is no next one. */
  readonly values?: Float64Array;
}

/** The window that a row is in, and the record of those before. */
export class CollocationRow implements RowRecord {
  windows = 0;
  rejected = 0;
  sweeps = 0;
  evaluations = 0;
  estimatedError = 0;
  converged = true;
  noiseLimited = false;
  /** Whether no window is left. */
  finished = false;
  /** The noise level at the start of the window. */
  sigma: number;

  readonly #settings: RowSettings;
  readonly #sigmaEnd: number;
  /** `ℓ` at the start of the window. */
  #level: number;
  #window!: CollocationWeights;
  /** The length that the next window should have. */
  #wanted = FIRST_LENGTH;
  /** Scalars that stand for the Jacobian of the denoiser at the nodes. */
  #scalars: Float64Array;
  #sweepsOfWindow = 0;
  /** The last increment, and its ratio to the one before. */
  #increment = 0;
  #ratio = 0.5;
  /** Root mean square of the denoiser values at the nodes, and the largest so far. */
  #size = 0;
  #largestSize = 0;
  /** The first attempt at this level. */
  #first?: { readonly length: number; readonly tail: number };

  /**
   * Opens the first window.
   *
   * @param index Which row of the batch it is.
   * @param sigma The noise level to start from.
   * @param sigmaEnd The noise level to end at.
   * @param settings What all rows share.
   */
  constructor(readonly index: number, sigma: number, sigmaEnd: number, settings: RowSettings) {
    this.#settings = settings;
    this.sigma = sigma;
    this.#sigmaEnd = sigmaEnd;
    this.#level = -Math.log(sigma);
    this.#scalars = new Float64Array(settings.rule.count);
    this.finished = sigma === sigmaEnd || !this.#open();
  }

  /** The noise levels of the nodes. */
  nodeSigmas(): Float64Array {
    return this.#window.offsets.map((t) => Math.exp(-(this.#level + t)));
  }

  /** The decay to the end of the window, and the weights of the values at the nodes there. */
  end(): { decay: number; weights: Float64Array } {
    const K = this.#scalars.length;
    const { decay, weights } = this.#window;
    return { decay: decay[K], weights: weights.subarray(K * K) };
  }

  /** The sweep that is next. The first one of a window takes the values it opened with as they are. */
  sweepMap(): SweepMap {
    const { length } = this.#scalars;
    return sweepMap(
      this.#window,
      this.#sweepsOfWindow > 0 ? this.#scalars : new Float64Array(length),
    );
  }

  /**
   * Takes up a sweep.
   *
   * @returns Whether the window is done with, solved or given up.
   */
  measure({ secants, moves, sizes, increment }: SweepProducts): boolean {
    const K = this.#scalars.length;
    checkFinite(increment, this.index);
    this.#size = Math.sqrt(sizes.reduce((sum, v) => sum + v, 0) / K);
    this.#largestSize = Math.max(this.#largestSize, this.#size);
    const before = this.#increment;
    this.#increment = Math.sqrt(increment);
    this.#ratio = 0.5;
    if (this.#sweepsOfWindow > 0) {
      // An increment of 0 stays 0.
      this.#ratio = before && this.#increment / before;
      if (this.#settings.quasiNewton) this.#updateScalars(secants, moves);
    }
    this.#sweepsOfWindow++;
    this.sweeps++;
    this.evaluations += K;
    return this.#isSolved() || this.#isHopeless() || this.#isStill();
  }

  #updateScalars(secants: Float64Array, moves: Float64Array): void {
    const least = (leastMove(this.#settings.roundoff) * this.#scale()) ** 2;
    this.#scalars = this.#scalars.map((c, j) =>
      moves[j] > least ? clip(secants[j] / moves[j], ...SCALARS) : c
    );
  }

  /** The size of the data: the unit of every error. */
  #scale(): number {
    return this.#settings.scale ?? (this.#largestSize || Number.MIN_VALUE);
  }

  /** The iteration error that is left, from the last increment and how fast they fall. */
  #remaining(): number {
    return this.#increment / this.#scale() * Math.min(this.#ratio, 0.5);
  }

  #isSolved(): boolean {
    return this.#remaining() < 0.3 * this.#settings.tolerance;
  }

  /** Whether what a sweep still changes is rounding noise. */
  #isStill(): boolean {
    const { guard, roundoff } = this.#settings;
    return guard && this.#increment * Math.min(this.#ratio, 0.5) < STILL * roundoff * this.#size;
  }

  #isHopeless(): boolean {
    return this.#sweepsOfWindow >= MOST_SWEEPS ||
      (this.#sweepsOfWindow >= 4 && this.#ratio > 0.9);
  }

  /**
   * Judges a window that is done with, and opens the next one.
   *
   * @param coefficients Sizes of the Legendre coefficients `1 … K − 1` of the denoiser in the window.
   * @returns What became of it.
   */
  close(coefficients: Float64Array): Closing {
    const { rule, tolerance, guard, lengths } = this.#settings;
    const { h } = this.#window;
    const tail = Math.max(...coefficients.subarray(-2)) / this.#scale();
    const estimate = this.#interpolationError(tail, Math.max(...coefficients) / this.#scale());
    const solved = this.#isSolved(), still = this.#isStill();
    const good = solved && estimate <= 2 * tolerance;
    const noisy = guard && this.#isNoise(tail) ||
      !solved && still && estimate <= 2 * tolerance;
    const factor = 0.7 * (tolerance / estimate) ** (1 / (2 * rule.count - 2));
    if (!good && !noisy && !lengths) {
      this.#first ??= { length: h, tail };
      this.#wanted = solved || still ? h * clip(factor, 0.2, 0.8) : h / 2;
      return this.#reject();
    }
    this.estimatedError += estimate + this.#remaining();
    this.converged &&= good;
    this.noiseLimited ||= noisy && !good;
    const slower = this.#sweepsOfWindow >= MANY_SWEEPS ? 0.7 : 1;
    this.#wanted = Math.min(LONGEST, h * clip(factor, 0.3, 2.5) * slower);
    // Noise must not shorten windows, or they would shrink without end.
    if (noisy) this.#wanted = Math.max(this.#wanted, h);
    return this.#accept();
  }

  /** The error of the end of the window, from the last two of its coefficients and the largest one. */
  #interpolationError(tail: number, top: number): number {
    // At Gauss nodes the errors of the interpolant cancel at the end: twice the order.
    const cancelled = this.#settings.rule.family === "gauss" && top > 0
      ? Math.min(1, tail / top)
      : 1;
    return -0.3 * Math.expm1(-this.#window.h) * tail * cancelled;
  }

  /** Whether the last coefficients are rounding noise: as small as that, or not lessened by a shorter window. */
  #isNoise(tail: number): boolean {
    const { h } = this.#window, first = this.#first;
    return tail < 4 * this.#settings.roundoff * this.#size / this.#scale() ||
      (first !== undefined && h <= first.length / 2 && tail > first.tail / 2);
  }

  #accept(): Closing {
    const { h, offsets } = this.#window;
    this.windows++;
    this.#first = undefined;
    const end = -Math.log(this.#sigmaEnd);
    if (h >= end - this.#level) {
      this.sigma = this.#sigmaEnd;
      this.finished = true;
      return { accepted: true };
    }
    this.#level += h;
    this.sigma = Math.exp(-this.#level);
    const known = offsets.map((t) => t - h).subarray(-EXTRAPOLATED);
    return { accepted: true, values: this.#openFrom(known) };
  }

  #reject(): Closing {
    this.rejected++;
    return { accepted: false, values: this.#openFrom(this.#window.offsets) };
  }

  /** Opens the next window: the map from values at `known`, the last nodes of the old one, to its nodes. */
  #openFrom(known: Float64Array): Float64Array | undefined {
    this.finished = !this.#open();
    if (this.finished) {
      this.converged = false;
      return undefined;
    }
    const K = this.#scalars.length, m = known.length;
    const part = interpolation(known, this.#window.offsets);
    const map = new Float64Array(K * K);
    for (let i = 0; i < K; i++) map.set(part.subarray(i * m, (i + 1) * m), i * K + K - m);
    return map;
  }

  /** Opens a window at the level reached, unless there have been too many. */
  #open(): boolean {
    const { rule, maxWindows, lengths } = this.#settings;
    const count = this.windows + this.rejected;
    if (count >= maxWindows) return false;
    const rest = -Math.log(this.#sigmaEnd) - this.#level;
    let h = this.#wanted;
    if (lengths) h = count < lengths.length - 1 ? lengths[count] : rest;
    else if (h >= rest) h = rest;
    else if (2 * h > rest) h = rest / 2;
    this.#window = collocationWeights(rule, h);
    this.#scalars.fill(this.#scalars[this.#scalars.length - 1]);
    this.#sweepsOfWindow = 0;
    return true;
  }
}

/** Moves of a node below this share of the size of the data tell noise, not the Jacobian. */
function leastMove(roundoff: number): number {
  return roundoff < 1e-12 ? 1e-13 : 17 * roundoff;
}

function clip(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
