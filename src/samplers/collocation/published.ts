/**
 * Collocation as it was published: the windows of the grid, plain Picard sweeps, a fixed number of them.
 *
 * @module
 */
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { RowEvaluator } from "../_row_evaluator.ts";
import type { SamplerOptions } from "../sampler.ts";
import { checkFinite, convergenceOf } from "./record.ts";
import type { CollocationStep } from "./record.ts";
import { collocationWeights, plainWeights } from "./weights.ts";
import type { CollocationRule } from "./weights.ts";

/** What a published run needs to know. */
export interface PublishedSettings {
  /** Nodes. */
  readonly rule: CollocationRule;
  /** Sweeps per window, `S`. */
  readonly sweeps: number;
  /** Whether the linear part is solved exactly; else the whole drift `D − X` is swept. */
  readonly exactLinear: boolean;
  /** A row is converged if no window's last increment is above this, relative to its denoiser values. */
  readonly tolerance: number;
}

/** A window of all rows: its coefficients, the same for each of them. */
interface Window {
  readonly sigma: number;
  readonly levels: Float64Array;
  /** Coefficients of the start state, at the nodes and at the end. */
  readonly decay: Float64Array;
  /** Coefficients of the values at the nodes, likewise. */
  readonly weights: Float64Array;
}

/** Denoiser values at the nodes, what is integrated (they or the drift), and that of the sweep before. */
interface Swept<X> {
  readonly denoised: X;
  readonly values: X;
  readonly before?: X;
}

/**
 * Per window: `D = D(x, σ₀)` at all nodes, then `S` times `X = Ex + WD`, `D = D(X)`, then the end.
 * `KS + 1` evaluations in `S + 1` calls; without the exact linear part `KS` in `S`.
 */
export class PublishedRun<X> {
  readonly #settings: PublishedSettings;
  readonly #states: RowEvaluator<X>;
  readonly #rows: number;
  readonly #error: Float64Array;
  readonly #converged: boolean[];
  #x: X;
  #evaluations = 0;
  #windows = 0;

  constructor(
    denoiser: Denoiser<X>,
    start: X,
    settings: PublishedSettings,
    options: SamplerOptions,
  ) {
    this.#settings = settings;
    this.#states = new RowEvaluator(denoiser, options);
    this.#rows = this.#states.rows.rows(start);
    this.#error = new Float64Array(this.#rows);
    this.#converged = new Array(this.#rows).fill(true);
    this.#x = start;
  }

  /** Walks down the grid, a window per interval. */
  async *steps(sigmas: readonly number[]): AsyncGenerator<CollocationStep<X>, void, void> {
    try {
      for (let step = 1; step < sigmas.length; step++) {
        const [from, to] = [sigmas[step - 1], sigmas[step]];
        const denoised = to > 0 ? await this.#window(from, to) : await this.#denoise(this.#x, from);
        if (to === 0) {
          this.#states.release(this.#x);
          this.#x = denoised;
        }
        yield this.#record(step, to, denoised);
        if (to > 0) this.#states.release(denoised);
      }
    } finally {
      this.#states.releaseAll();
    }
  }

  /** Solves a window and moves to its end; the denoiser values at its last node. */
  async #window(from: number, to: number): Promise<X> {
    const K = this.#settings.rule.count;
    const window = this.#coefficients(from, to);
    const { denoised, values, before } = await this.#sweep(window);
    const ends = window.weights.subarray(K * K);
    await this.#judge(ends, values, before);
    const end = this.#integrate(window.decay.subarray(K), ends, values);
    const last = Array.from({ length: this.#rows }, (_, r) => r * K + K - 1);
    const kept = this.#states.take(denoised, last);
    this.#states.release(this.#x, denoised, values, before);
    this.#x = end;
    this.#windows++;
    return kept;
  }

  #coefficients(from: number, to: number): Window {
    const { rule, exactLinear } = this.#settings;
    const h = Math.log(from / to);
    const { offsets, decay, weights } = collocationWeights(rule, h);
    return {
      sigma: from,
      levels: this.#forAllRows(offsets.map((t) => from * Math.exp(-t))),
      decay: exactLinear ? decay : decay.map(() => 1),
      weights: exactLinear ? weights : plainWeights(rule, h),
    };
  }

  async #sweep({ sigma, levels, decay, weights }: Window): Promise<Swept<X>> {
    const { rule: { count: K }, sweeps, exactLinear } = this.#settings;
    const [E, W] = [decay.subarray(0, K), weights.subarray(0, K * K)];
    let swept: Partial<Swept<X>> = {};
    if (exactLinear) {
      const first = await this.#denoise(this.#x, sigma);
      swept = { values: this.#atNodes(first) };
      this.#states.release(first);
    }
    for (let sweep = 0; sweep < sweeps; sweep++) {
      const { values } = swept;
      const nodes = values === undefined ? this.#atNodes(this.#x) : this.#integrate(E, W, values);
      this.#states.release(swept.before);
      if (swept.denoised !== values) this.#states.release(swept.denoised);
      const denoised = await this.#denoise(nodes, levels);
      const drift = () => this.#states.combine([1, -1], [denoised, nodes]);
      swept = { denoised, values: exactLinear ? denoised : drift(), before: values };
      this.#states.release(nodes);
    }
    return swept as Swept<X>;
  }

  /** One call for the states of all rows, or of all nodes of all rows with a noise level each. */
  #denoise(x: X, sigma: number | Float64Array): Promise<X> {
    const { samples } = this.#states.options;
    const copies = typeof sigma === "number" ? 1 : this.#settings.rule.count;
    const indices = Array.from({ length: this.#rows * copies }, (_, i) => {
      const row = Math.floor(i / copies);
      return samples ? samples[row] : row;
    });
    this.#evaluations += copies;
    return this.#states.denoise(x, sigma, indices);
  }

  /** One copy of each row per node. */
  #atNodes(state: X): X {
    const K = this.#settings.rule.count;
    const copies = Array.from({ length: this.#rows * K }, (_, i) => Math.floor(i / K));
    return this.#states.take(state, copies);
  }

  #integrate(decay: Float64Array, weights: Float64Array, values: X): X {
    return this.#states.mix(this.#rows, [
      { matrices: this.#forAllRows(decay), state: this.#x },
      { matrices: this.#forAllRows(weights), state: values },
    ]);
  }

  /** Takes up the last increment of the end of a window. */
  async #judge(ends: Float64Array, values: X, before: X | undefined): Promise<void> {
    const K = this.#settings.rule.count;
    if (before === undefined) return void this.#converged.fill(false);
    const change = this.#states.combine([1, -1], [values, before]);
    const increment = this.#states.mix(this.#rows, [{
      matrices: this.#forAllRows(ends),
      state: change,
    }]);
    const [moved, sizes] = await this.#states.rows.dots([[increment, increment], [values, values]]);
    this.#states.release(change, increment);
    for (let r = 0; r < this.#rows; r++) {
      const size = sizes.subarray(r * K, r * K + K).reduce((a, b) => a + b) / K;
      const relative = Math.sqrt(moved[r] / (size || 1));
      checkFinite(relative, r);
      this.#error[r] += relative;
      if (!(relative <= this.#settings.tolerance)) this.#converged[r] = false;
    }
  }

  #forAllRows(numbers: Float64Array): Float64Array {
    const all = new Float64Array(numbers.length * this.#rows);
    for (let r = 0; r < this.#rows; r++) all.set(numbers, r * numbers.length);
    return all;
  }

  #record(step: number, sigma: number, denoised: X): CollocationStep<X> {
    const rows = Array.from(this.#error, (estimatedError, r) => ({
      windows: this.#windows,
      rejected: 0,
      sweeps: this.#windows * this.#settings.sweeps,
      evaluations: this.#evaluations,
      estimatedError,
      converged: this.#converged[r],
      noiseLimited: false,
    }));
    return {
      step,
      sigma,
      x: this.#x,
      denoised,
      evaluations: this.#evaluations,
      calls: this.#states.calls,
      levels: new Float64Array(this.#rows).fill(sigma),
      convergence: convergenceOf(rows),
    };
  }
}
