/**
 * One sample of a collocation run: where its window stands, and what comes next. Numbers on the
 * host only; the states are elsewhere.
 *
 * @module
 */
import { checkFinite } from "./record.ts";
import type { RowRecord } from "./record.ts";
import type { SweepMap } from "./sweep_map.ts";
import type { CollocationRule } from "./weights.ts";
import { CollocationWindow, interpolationError } from "./window.ts";
import type { SweepProducts } from "./window.ts";

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
/** Increments below this share of what rounding does to one number are noise: they average over the nodes. */
const STILL = 1 / 8;
/** Sweeps after which a window counts as hard, and the next one is shorter. */
const MANY_SWEEPS = 9;

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
  #window!: CollocationWindow;
  /** The length that the next window should have. */
  #wanted = FIRST_LENGTH;
  /** The largest size of the denoiser values in a window so far. */
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
    this.finished = sigma === sigmaEnd || !this.#open(0);
  }

  /** The noise levels of the nodes. */
  nodeSigmas(): Float64Array {
    return this.#window.nodeSigmas();
  }

  /** The decay to the end of the window, and the weights of the values at the nodes there. */
  end(): { decay: number; weights: Float64Array } {
    return this.#window.end();
  }

  /** The sweep that is next. */
  sweepMap(): SweepMap {
    return this.#window.sweepMap();
  }

  /**
   * Takes up a sweep.
   *
   * @returns Whether the window is done with, solved or given up.
   */
  measure(products: SweepProducts): boolean {
    checkFinite(products.increment, this.index);
    const { roundoff, quasiNewton, rule } = this.#settings;
    const leastMove = quasiNewton ? leastMoveOf(roundoff) * this.#scale() : Infinity;
    this.#window.measure(products, leastMove);
    this.#largestSize = Math.max(this.#largestSize, this.#window.size);
    this.sweeps++;
    this.evaluations += rule.count;
    return this.#isSolved() || this.#window.isHopeless() || this.#isStill();
  }

  /** The size of the data: the unit of every error. */
  #scale(): number {
    return this.#settings.scale ?? (this.#largestSize || Number.MIN_VALUE);
  }

  #isSolved(): boolean {
    return this.#window.remaining() <= 0.3 * this.#settings.tolerance * this.#scale();
  }

  /** Whether what a sweep still changes is rounding noise. */
  #isStill(): boolean {
    const { guard, roundoff } = this.#settings;
    return guard && this.#window.remaining() < STILL * roundoff * this.#window.size;
  }

  /**
   * Judges a window that is done with, and opens the next one.
   *
   * @param coefficients Sizes of the Legendre coefficients `1 … K − 1` of the denoiser in the window.
   * @returns What became of it.
   */
  close(coefficients: Float64Array): Closing {
    const { rule, tolerance, guard, lengths } = this.#settings;
    const { length } = this.#window;
    const scale = this.#scale();
    const { estimate, tail } = interpolationError(rule, length, coefficients.map((v) => v / scale));
    const solved = this.#isSolved(), still = this.#isStill();
    const good = solved && estimate <= 2 * tolerance;
    const noisy = guard && this.#isNoise(tail) ||
      !solved && still && estimate <= 2 * tolerance;
    const factor = 0.7 * (tolerance / estimate) ** (1 / (2 * rule.count - 2));
    if (!good && !noisy && !lengths) {
      this.#first ??= { length, tail };
      this.#wanted = solved || still ? length * clip(factor, 0.2, 0.8) : length / 2;
      return this.#reject();
    }
    this.estimatedError += estimate + this.#window.remaining() / scale;
    this.converged &&= good;
    this.noiseLimited ||= noisy && !good;
    const slower = this.#window.sweeps >= MANY_SWEEPS ? 0.7 : 1;
    this.#wanted = Math.min(LONGEST, length * clip(factor, 0.3, 2.5) * slower);
    // Noise must not shorten windows, or they would shrink without end.
    if (noisy) this.#wanted = Math.max(this.#wanted, length);
    return this.#accept();
  }

  /** Whether the last coefficients are rounding noise: as small as that, or not lessened by a shorter window. */
  #isNoise(tail: number): boolean {
    const { length, size } = this.#window, first = this.#first;
    return tail < 4 * this.#settings.roundoff * size / this.#scale() ||
      (first !== undefined && length <= first.length / 2 && tail > first.tail / 2);
  }

  #accept(): Closing {
    const closed = this.#window;
    this.windows++;
    this.#first = undefined;
    if (closed.length >= -Math.log(this.#sigmaEnd) - this.#level) {
      this.sigma = this.#sigmaEnd;
      this.finished = true;
      return { accepted: true };
    }
    this.#level += closed.length;
    this.sigma = Math.exp(-this.#level);
    if (!this.#open(closed.lastScalar)) return { accepted: true };
    return { accepted: true, values: closed.valuesBeyond(this.#window) };
  }

  #reject(): Closing {
    const closed = this.#window;
    this.rejected++;
    if (!this.#open(closed.lastScalar)) return { accepted: false };
    return { accepted: false, values: closed.valuesWithin(this.#window) };
  }

  /** Opens a window at the level reached, or ends the row there if there have been too many. */
  #open(scalar: number): boolean {
    const { rule, maxWindows, lengths } = this.#settings;
    const count = this.windows + this.rejected;
    if (count >= maxWindows) {
      this.converged = false;
      this.finished = true;
      return false;
    }
    const rest = -Math.log(this.#sigmaEnd) - this.#level;
    let length = this.#wanted;
    if (lengths) length = count < lengths.length - 1 ? lengths[count] : rest;
    else if (length >= rest) length = rest;
    else if (2 * length > rest) length = rest / 2;
    this.#window = new CollocationWindow(rule, this.#level, length, scalar);
    return true;
  }
}

/** Moves of a node below this share of the size of the data tell noise, not the Jacobian. */
export function leastMoveOf(roundoff: number): number {
  return roundoff < 1e-12 ? 1e-13 : 17 * roundoff;
}

function clip(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
