/**
 * A run of the Picard sampler over all samples of a batch.
 *
 * @module
 */
import { sizeOf } from "../../base/_shape.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { RowEvaluator } from "../_row_evaluator.ts";
import type { Convergence, SamplerOptions, SamplerStep } from "../sampler.ts";
import { PicardWindow } from "./window.ts";

/** What a run needs to know. */
export interface PicardSettings {
  /** The number of grid points of a sample that are evaluated together. */
  readonly parallel: number;
  /** How much a point may still change, relative to the noise of a DDPM step there. */
  readonly tolerance: number;
}

/** The states of all samples and the windows that they are in. */
export class PicardRun<X> {
  readonly #evaluator: RowEvaluator<X>;
  readonly #windows: readonly PicardWindow[];
  readonly #samples: ArrayLike<number>;
  readonly #dimension: number;
  readonly #parallel: number;
  readonly #tolerance: number;
  /** The points that windows begin with, and the outputs at the points before; all samples. */
  #x: X;
  #denoised!: X;
  /** The points of the windows of unfinished samples, `parallel + 1` each. */
  #points!: X;

  constructor(
    denoiser: Denoiser<X>,
    start: X,
    sigmas: readonly number[],
    { parallel, tolerance }: PicardSettings,
    options: SamplerOptions,
  ) {
    this.#evaluator = new RowEvaluator(denoiser, options);
    this.#dimension = sizeOf(denoiser.shape);
    this.#parallel = parallel;
    this.#tolerance = tolerance;
    this.#x = start;
    this.#windows = Array.from(
      { length: this.#evaluator.rows.rows(start) },
      (_, index) => new PicardWindow(index, sigmas, parallel),
    );
    this.#samples = options.samples ?? this.#windows.map(({ index }) => index);
  }

  get finished(): boolean {
    return this.#active().length === 0;
  }

  release(): void {
    this.#evaluator.releaseAll();
  }

  #active(): PicardWindow[] {
    return this.#windows.filter(({ count }) => count > 0);
  }

  /** The first windows: one evaluation, whose output is taken for constant. */
  async begin(): Promise<void> {
    const [{ sigmas, steps }] = this.#windows;
    const rows = this.#windows.length;
    this.#denoised = await this.#evaluator.denoise(this.#x, sigmas[0]);
    const shares = range(0, this.#parallel + 1).map((k) => sigmas[Math.min(k, steps)] / sigmas[0]);
    this.#points = this.#evaluator.mix(rows, [
      { matrices: repeated(shares, rows), state: this.#x },
      { matrices: repeated(shares.map((share) => 1 - share), rows), state: this.#denoised },
    ]);
  }

  /** One call for all windows; each moves on. */
  async sweep(): Promise<void> {
    const active = this.#active();
    const outputs = await this.#outputs(active);
    const p = this.#parallel;
    const first = this.#evaluator.take(this.#points, active.map((_, r) => r * (p + 1)));
    const reached = this.#pointsFrom(active, first, outputs, active.map(({ begin }) => begin));
    const squares = await this.#changes(reached);
    const moves = active.map((window, r) =>
      window.advance(squares[0].subarray(r * (p + 1)), this.#dimension, this.#tolerance)
    );
    const next = this.#pointsFrom(
      active,
      first,
      outputs,
      active.map(({ begin }, r) => begin + moves[r]),
    );
    this.#keep(active, next, outputs, moves);
    active.forEach((window, r) => {
      for (let k = 1; k < moves[r]; k++) {
        const at = r * (p + 1) + k;
        window.estimatedError = Math.max(
          window.estimatedError,
          Math.sqrt(squares[0][at] / Math.max(squares[1][at], Number.MIN_VALUE)),
        );
      }
      window.evaluations += window.count;
      window.sweeps++;
      window.begin += moves[r];
    });
    const open = active.flatMap(({ count }, r) => count > 0 ? [r] : []);
    const points = this.#evaluator.take(next, open.flatMap((r) => range(r * (p + 1), p + 1)));
    this.#evaluator.release(this.#points, outputs, first, reached, next);
    this.#points = points;
  }

  /** The outputs at the points of the windows, `parallel` each; where there are fewer points, the last is repeated. */
  async #outputs(active: readonly PicardWindow[]): Promise<X> {
    const p = this.#parallel;
    const rows = active.flatMap(({ count }, r) => range(r * (p + 1), count));
    const states = this.#evaluator.take(this.#points, rows);
    const denoised = await this.#evaluator.denoise(
      states,
      Float64Array.from(active.flatMap((window) => window.levels())),
      Uint32Array.from(
        active.flatMap(({ index, count }) => new Array(count).fill(this.#samples[index])),
      ),
    );
    let at = 0;
    const padded = active.flatMap(({ count }) => {
      const first = at;
      at += count;
      return Array.from({ length: p }, (_, k) => first + Math.min(k, count - 1));
    });
    const outputs = this.#evaluator.take(denoised, padded);
    this.#evaluator.release(states, denoised);
    return outputs;
  }

  #pointsFrom(active: readonly PicardWindow[], first: X, outputs: X, from: readonly number[]): X {
    const maps = active.map((window, r) => window.points(from[r]));
    return this.#evaluator.mix(active.length, [
      { matrices: joined(maps.map((map) => map.first)), state: first },
      { matrices: joined(maps.map((map) => map.outputs)), state: outputs },
    ]);
  }

  /** Squares of the changes of all points, and of the points. */
  async #changes(reached: X): Promise<Float64Array[]> {
    const change = this.#evaluator.combine([1, -1], [reached, this.#points]);
    const squares = await this.#evaluator.rows.dots([[change, change], [reached, reached]]);
    this.#evaluator.release(change);
    return squares;
  }

  /** Keeps the points that windows now begin with, and the outputs before them. */
  #keep(active: readonly PicardWindow[], next: X, outputs: X, moves: readonly number[]): void {
    const p = this.#parallel;
    const all = this.#windows.length;
    const order = range(0, all), orderOfOutputs = range(0, all);
    active.forEach(({ index }, r) => {
      order[index] = all + r * (p + 1);
      orderOfOutputs[index] = all + r * p + moves[r] - 1;
    });
    this.#x = this.#evaluator.replace(this.#x, next, order);
    this.#denoised = this.#evaluator.replace(this.#denoised, outputs, orderOfOutputs);
  }

  record(step: number): SamplerStep<X> {
    const windows = this.#windows;
    const convergence: Convergence = {
      evaluations: Int32Array.from(windows, ({ evaluations }) => evaluations),
      windows: Int32Array.from(windows, ({ begin }) => begin),
      rejected: new Int32Array(windows.length),
      sweeps: Int32Array.from(windows, ({ sweeps }) => sweeps),
      estimatedError: Float64Array.from(windows, ({ estimatedError }) => estimatedError),
      converged: windows.map(() => true),
    };
    return {
      step,
      sigma: Math.max(...windows.map(({ begin, sigmas }) => sigmas[begin])),
      x: this.#x,
      denoised: this.#denoised,
      evaluations: convergence.evaluations.reduce((a, b) => a + b, 0) / windows.length,
      calls: this.#evaluator.calls,
      convergence,
    };
  }
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, k) => first + k);
}

function repeated(row: readonly number[], count: number): Float64Array {
  return joined(new Array(count).fill(row));
}

function joined(parts: readonly (readonly number[] | Float64Array)[]): Float64Array {
  return Float64Array.from(parts.flatMap((part) => [...part]));
}
