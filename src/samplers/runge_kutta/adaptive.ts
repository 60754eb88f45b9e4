/**
 * Embedded Runge–Kutta methods with adapted steps, each sample with steps of its own.
 *
 * @module
 */
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { checkSigmas } from "../../base/noise.ts";
import { checkSmooth } from "../_smooth.ts";
import { RowEvaluator } from "../_row_evaluator.ts";
import type { Convergence, SamplerOptions, SamplerStep } from "../sampler.ts";
import { nodeOf } from "./tableaus.ts";
import type { EmbeddedTableau } from "./tableaus.ts";

/** The shortest step in `ln σ`. Where rounding noise asks for less, it is taken unconverged. */
const SHORTEST = 1e-3;
/** The first step tried, in `ln σ`. */
const FIRST = 0.5;

/** What is known of one row. */
class Row {
  /** The length of the next step in `ln σ`, if there is room for it. */
  step = FIRST;
  accepted = 0;
  rejected = 0;
  evaluations = 1;
  estimatedError = 0;
  converged = true;
  #justRejected = false;

  constructor(readonly index: number, public sigma: number, readonly end: number) {}

  get finished(): boolean {
    return this.sigma === this.end;
  }

  get #rest(): number {
    return Math.log(this.sigma / this.end);
  }

  /** The step that is tried: not beyond the end, nor leaving a rest that is no step. */
  get length(): number {
    return this.step > this.#rest - SHORTEST ? this.#rest : this.step;
  }

  /** Takes in the error of a step, relative to the tolerance; whether the step is taken. */
  judge(error: number, tolerance: number, order: number): boolean {
    if (!Number.isFinite(error)) {
      throw new RangeError(
        `Cannot adapt the steps: the denoiser gave a state of error ${error} for sample ${this.index} of the batch, ` +
          "wanted finite numbers",
      );
    }
    const { length } = this;
    // What is left at the end is between one and two of the shortest steps.
    const small = error <= 1, shortest = length < 2 * SHORTEST;
    const factor = Math.min(10, Math.max(0.2, 0.9 * error ** (-1 / (order + 1))));
    const taken = small || shortest;
    if (taken) {
      this.accepted++;
      this.estimatedError += error * tolerance;
      this.converged &&= small;
      this.sigma = length === this.#rest ? this.end : this.sigma * Math.exp(-length);
    } else {
      this.rejected++;
    }
    this.step = Math.max(length * (this.#justRejected ? Math.min(1, factor) : factor), SHORTEST);
    this.#justRejected = !taken;
    return taken;
  }
}

/**
 * Integrates `dx/dℓ = D − x`, `ℓ = −ln σ`, to a tolerance. The grid gives the ends; if its last level is 0, the last
 * step from the lowest positive level returns `D` there.
 *
 * The error of a step is measured by the norm of a whole row, relative to that of the state:
 *
 * ```text
 * error = ‖h Σ eⱼ kⱼ‖ / (tol · max(‖x‖, ‖x'‖))
 * ```
 *
 * @param tableau The method.
 * @param tolerance The relative error that a step may make.
 * @returns A generator of one record per round in which a row advanced.
 */
export async function* adaptive<X>(
  tableau: EmbeddedTableau,
  tolerance: number,
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  options: SamplerOptions = {},
): AsyncGenerator<SamplerStep<X>, void, void> {
  checkSigmas(sigmas);
  checkSmooth(denoiser);
  const positive = sigmas.filter((sigma) => sigma > 0);
  const run = new AdaptiveRun(tableau, tolerance, denoiser, start, [
    positive[0],
    positive[positive.length - 1],
  ], options);
  try {
    await run.begin();
    while (!run.finished) if (await run.round()) yield run.record();
    if (positive.length < sigmas.length) yield run.recordAtZero();
  } finally {
    run.release();
  }
}

class AdaptiveRun<X> {
  readonly #evaluator: RowEvaluator<X>;
  readonly #rows: readonly Row[];
  readonly #samples: ArrayLike<number>;
  /** The states of all rows and the denoiser's outputs there. */
  #x: X;
  #denoised!: X;
  #steps = 0;

  constructor(
    readonly tableau: EmbeddedTableau,
    readonly tolerance: number,
    denoiser: Denoiser<X>,
    start: X,
    [sigma, end]: readonly [number, number],
    options: SamplerOptions,
  ) {
    this.#evaluator = new RowEvaluator(denoiser, options);
    this.#x = start;
    this.#rows = Array.from(
      { length: this.#evaluator.rows.rows(start) },
      (_, index) => new Row(index, sigma, end),
    );
    this.#samples = options.samples ?? this.#rows.map(({ index }) => index);
  }

  get finished(): boolean {
    return this.#rows.every((row) => row.finished);
  }

  release(): void {
    this.#evaluator.releaseAll();
  }

  async begin(): Promise<void> {
    this.#denoised = await this.#evaluator.denoise(this.#x, this.#rows[0].sigma);
  }

  /** One attempt of a step in every unfinished row; whether a row advanced. */
  async round(): Promise<boolean> {
    const active = this.#rows.filter((row) => !row.finished);
    const indices = active.map(({ index }) => index);
    const x = this.#evaluator.take(this.#x, indices);
    const first = this.#evaluator.take(this.#denoised, indices);
    const trial = await this.#trial(active, x, first);
    this.#evaluator.release(first);
    const errors = await this.#errorsOf(active, x, trial);
    const { order, taken } = this.#judge(active, errors);
    if (taken.length > 0) {
      const reached = this.#evaluator.take(trial.reached, taken);
      const denoised = trial.denoised
        ? this.#evaluator.take(trial.denoised, taken)
        : await this.#denoise(reached, taken.map((r) => active[r]));
      this.#x = this.#evaluator.replace(this.#x, reached, order);
      this.#denoised = this.#evaluator.replace(this.#denoised, denoised, order);
      this.#evaluator.release(reached, denoised);
    }
    this.#evaluator.release(x, trial.reached, trial.denoised, ...trial.slopes);
    return taken.length > 0;
  }

  /** The stages of a step in each of the rows, and the state that it would reach. */
  async #trial(active: readonly Row[], x: X, first: X) {
    const { stages, weights, firstSameAsLast } = this.tableau;
    const slopes = [this.#evaluator.combine([1, -1], [first, x])];
    let reached: X | undefined, denoised: X | undefined;
    for (const [i, stage] of stages.entries()) {
      const state = this.#combine(active, x, slopes, stage);
      const c = nodeOf(stage);
      const levels = active.map(({ sigma, length }) => sigma * Math.exp(-c * length));
      const output = await this.#denoise(state, active, levels);
      slopes.push(this.#evaluator.combine([1, -1], [output, state]));
      if (firstSameAsLast && i === stages.length - 1) [reached, denoised] = [state, output];
      else this.#evaluator.release(state, output);
    }
    reached ??= this.#combine(active, x, slopes, weights);
    return { slopes, reached, denoised };
  }

  /** `x + h Σⱼ aⱼ (Dⱼ − Xⱼ)` in each row; without `x`, the sum alone. */
  #combine(
    active: readonly Row[],
    x: X | undefined,
    slopes: readonly X[],
    weights: readonly number[],
  ): X {
    const terms = weights.flatMap((a, j) =>
      a === 0 ? [] : [{
        matrices: Float64Array.from(active, ({ length }) => a * length),
        state: slopes[j],
      }]
    );
    const ones = new Float64Array(active.length).fill(1);
    const own = x ? [{ matrices: ones, state: x }] : [];
    return this.#evaluator.mix(active.length, [...own, ...terms]);
  }

  /** Errors relative to the tolerance, one per row. */
  async #errorsOf(
    active: readonly Row[],
    x: X,
    { slopes, reached }: { slopes: readonly X[]; reached: X },
  ): Promise<number[]> {
    const { errors } = this.tableau;
    const estimates = errors.map((e) => this.#combine(active, undefined, slopes, e));
    const [before, after, ...squares] = await this.#evaluator.rows.dots(
      [x, reached, ...estimates].map((state) => [state, state] as const),
    );
    this.#evaluator.release(...estimates);
    return active.map((_, r) => {
      const size = Math.max(before[r], after[r], Number.MIN_VALUE);
      const [fifth, third] = squares.map((square) => square[r] / size);
      // DOP853 damps its estimate of order 5 by the one of order 3.
      const error = third === undefined || fifth === 0
        ? Math.sqrt(fifth)
        : fifth / Math.sqrt(fifth + 0.01 * third);
      return error / this.tolerance;
    });
  }

  /** Which attempts are taken, and where the rows are then found: in all states, or behind them. */
  #judge(active: readonly Row[], errors: readonly number[]) {
    const order = this.#rows.map(({ index }) => index);
    const taken: number[] = [];
    active.forEach((row, r) => {
      if (!row.judge(errors[r], this.tolerance, this.tableau.errorOrder)) return;
      order[row.index] = this.#rows.length + taken.length;
      taken.push(r);
    });
    return { order, taken };
  }

  async #denoise(
    x: X,
    rows: readonly Row[],
    levels: readonly number[] = rows.map(({ sigma }) => sigma),
  ): Promise<X> {
    for (const row of rows) row.evaluations++;
    return await this.#evaluator.denoise(
      x,
      Float64Array.from(levels),
      Uint32Array.from(rows, ({ index }) => this.#samples[index]),
    );
  }

  record(): SamplerStep<X> {
    const sigma = Math.max(...this.#rows.map((row) => row.sigma));
    return this.#recordOf(sigma, this.#x);
  }

  recordAtZero(): SamplerStep<X> {
    return this.#recordOf(0, this.#denoised);
  }

  #recordOf(sigma: number, x: X): SamplerStep<X> {
    const convergence = convergenceOf(this.#rows);
    return {
      step: ++this.#steps,
      sigma,
      x,
      denoised: this.#denoised,
      evaluations: convergence.evaluations.reduce((a, b) => a + b, 0) / this.#rows.length,
      calls: this.#evaluator.calls,
      convergence,
    };
  }
}

function convergenceOf(rows: readonly Row[]): Convergence {
  const accepted = Int32Array.from(rows, (row) => row.accepted);
  return {
    evaluations: Int32Array.from(rows, ({ evaluations }) => evaluations),
    windows: accepted,
    rejected: Int32Array.from(rows, ({ rejected }) => rejected),
    sweeps: accepted,
    estimatedError: Float64Array.from(rows, ({ estimatedError }) => estimatedError),
    converged: rows.map(({ converged }) => converged),
  };
}
