/**
 * Collects what a run of a sampler yields, over all its batches.
 *
 * @module
 */
import { sizeOf } from "../base/_shape.ts";
import type { EvaluateOptions, PosteriorFacts, Sigma } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { StateSpace } from "../states/linear_space.ts";
import type { SampleResult, StepRecord, TrajectoryPoint } from "./run.ts";
import type { Convergence, SamplerStep } from "./sampler.ts";

type Numbers = Float32Array | Float64Array;
type Facts = { [K in keyof PosteriorFacts]?: Float64Array | Uint32Array };

/** By what factor an end may be larger than data and noise are. */
const MOST_OF_DATA = 100;
const FLOAT32_EPSILON = 2 ** -23;

/** A frame of the trajectory, as it is filled. */
interface Frame {
  sigma: number;
  readonly x: Numbers;
  readonly denoised: Numbers;
}

/** The latest state of the batch at hand, as long as it waits for its denoiser output. */
interface Waiting<X> {
  /** The state itself, to know it again. */
  readonly state: X;
  readonly sigma: number;
  readonly frame: Frame;
}

/** A step of all batches. Batches may take different numbers of steps, if a sampler adapts them. */
interface Step {
  sigma: number;
  seconds: number;
  /** Evaluations times rows, and rows, of the batches that took it. */
  evaluations: number;
  rows: number;
}

/** Collects states, times, facts and convergence over the batches of a run. */
export class Recorder<X> {
  /** The end states. */
  readonly x: Numbers;
  /** The last denoiser outputs. */
  readonly denoised: Numbers;
  readonly #frames?: Frame[];
  /** Of a trajectory, the denoised end states of batches that have ended. */
  readonly #last?: Numbers;
  readonly #steps: Step[] = [];
  /** Facts by the level of the grid, and the first rows of the batches that they are of. */
  readonly #facts = new Map<number, { facts: Facts; batches: Set<number> }>();
  readonly #convergence: Convergence[] = [];
  readonly #dimension: number;
  #batches = 0;
  #evaluations = 0;
  #calls = 0;
  /** The batch at hand: its first row, its rows, its latest step, and when that began. */
  #first = 0;
  #rows = 0;
  #latest?: SamplerStep<X>;
  #taken = 0;
  #before = 0;
  /** What a trajectory needs: the denoiser, the samples of the batch at hand, and the state without an output yet. */
  #denoiser?: Denoiser<X>;
  #evaluate: EvaluateOptions = {};
  #waiting?: Waiting<X>;

  constructor(
    readonly space: StateSpace<X>,
    readonly count: number,
    shape: readonly number[],
    readonly sigmas: readonly number[],
    trajectory: boolean,
  ) {
    this.#dimension = sizeOf(shape);
    this.x = space.numbers(count * this.#dimension);
    this.denoised = space.numbers(count * this.#dimension);
    if (!trajectory) return;
    this.#frames = [];
    this.#last = space.numbers(count * this.#dimension);
  }

  /**
   * The same denoiser, which also keeps the facts of the latest evaluation of all rows at each level of the grid, and
   * for a trajectory the output at each of its states.
   */
  watch(denoiser: Denoiser<X>): Denoiser<X> {
    this.#denoiser = denoiser;
    const { label, references, shape, space, drawsPerLevel } = denoiser;
    return {
      label,
      references,
      shape,
      space,
      ...(drawsPerLevel && { drawsPerLevel }),
      denoise: async (x, sigma, options) => {
        const denoised = await denoiser.denoise(x, sigma, options);
        const { mean: _, ...facts } = denoised;
        this.#keepFacts(sigma, facts);
        const waiting = this.#waiting;
        if (x === waiting?.state && sigma === waiting.sigma) await this.#pair(denoised.mean);
        return denoised;
      },
    };
  }

  /** Begins a batch, whose rows are some samples. */
  async start(x: X, first: number, rows: number, evaluate: EvaluateOptions): Promise<void> {
    this.#evaluate = evaluate;
    [this.#first, this.#rows, this.#taken] = [first, rows, 0];
    this.#batches++;
    this.#latest = undefined;
    if (this.#frames) await this.#wait(x, await this.space.values(x), this.sigmas[0]);
    this.resume();
  }

  /** Says that the sampler goes on. */
  resume(): void {
    this.#before = performance.now();
  }

  /** Takes in what the sampler yielded. */
  async step(at: SamplerStep<X>): Promise<void> {
    const step = this.#steps[this.#taken] ??= { sigma: 0, seconds: 0, evaluations: 0, rows: 0 };
    step.seconds += (performance.now() - this.#before) / 1000;
    step.sigma = Math.max(step.sigma, this.#latest?.sigma ?? this.sigmas[0]);
    step.evaluations += at.evaluations * this.#rows;
    step.rows += this.#rows;
    this.#latest = at;
    this.#taken++;
    // A sampler that adapts its steps may stop early, and says so; of others the end is known.
    const mayBeLast = at.convergence || at.sigma === this.sigmas[this.sigmas.length - 1];
    if (!mayBeLast && !this.#frames) return;
    await this.#settle();
    const [x, denoised] = await Promise.all([
      this.space.values(at.x),
      this.space.values(at.denoised),
    ]);
    this.#place(this.x, x);
    this.#place(this.denoised, denoised);
    if (this.#frames) await this.#wait(at.x, x, at.sigma);
  }

  /** Puts a state into its frame, where it waits for the denoiser to be called on it. */
  async #wait(state: X, values: ArrayLike<number>, sigma: number): Promise<void> {
    const frame = this.#frame(this.#taken, sigma);
    this.#place(frame.x, values);
    this.#waiting = { state, sigma, frame };
    // Without noise, a state is its own denoised image.
    if (sigma === 0) await this.#pair(state);
  }

  /** Takes in the denoiser's output on the state that waits for it. */
  async #pair(mean: X): Promise<void> {
    const { frame } = this.#waiting!;
    this.#waiting = undefined;
    this.#place(frame.denoised, await this.space.values(mean));
  }

  /** Calls the denoiser on a state that the sampler did not call it on. */
  async #settle(): Promise<void> {
    if (!this.#waiting) return;
    const { frame, sigma } = this.#waiting;
    const { space } = this, [begin, end] = this.#ends();
    const x = space.from(frame.x.subarray(begin, end), [this.#rows, ...this.#denoiser!.shape]);
    try {
      const { mean } = await this.#denoiser!.denoise(x, sigma, this.#evaluate);
      try {
        await this.#pair(mean);
      } finally {
        space.dispose(mean);
      }
    } finally {
      space.dispose(x);
    }
  }

  /** Where the numbers of the batch at hand begin and end. */
  #ends(): [begin: number, end: number] {
    return [this.#first * this.#dimension, (this.#first + this.#rows) * this.#dimension];
  }

  /**
   * Ends a batch.
   *
   * @throws {RangeError} If an end is not finite, or far larger than the data of the denoiser.
   */
  async end(): Promise<void> {
    const end = (this.#first + this.#rows) * this.#dimension;
    const bad = this.x.subarray(0, end).findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot sample: sample ${Math.floor(bad / this.#dimension)} ended at ${
          this.x[bad]
        }, wanted finite numbers`,
      );
    }
    await this.#checkSizes();
    await this.#settle();
    const { evaluations = 0, calls = 0, convergence } = this.#latest ?? {};
    this.#evaluations += evaluations * this.#rows;
    this.#calls += calls;
    if (convergence) this.#convergence.push(convergence);
    // A batch that took fewer steps than others stays where it ended.
    if (!this.#frames) return;
    const [begin] = this.#ends(), last = this.#frames[this.#taken];
    this.#last!.set(last.denoised.subarray(begin, end), begin);
    for (const frame of this.#frames.slice(this.#taken + 1)) this.#stay(frame, begin, end);
  }

  /** Ends of steps that were too long for the sampler leave the data by orders of magnitude. */
  async #checkSizes(): Promise<void> {
    const { rms } = this.#denoiser!;
    if (!rms) return;
    const sigma = this.#latest?.sigma ?? this.sigmas[0];
    const sizes = Array.from({ length: this.#rows }, (_, row) => this.#sizeOf(this.#first + row));
    const worst = sizes.reduce((most, size, row) => size > sizes[most] ? row : most, 0);
    // Where all data are 0, the rounding of the noise that has been is left.
    const rounding = FLOAT32_EPSILON * this.sigmas[0];
    const needed = (sizes[worst] - rounding) / MOST_OF_DATA - sigma;
    if (needed <= 0) return;
    const size = await rms(needed);
    if (size >= needed) return;
    const [end, data, noise] = [sizes[worst], size, sigma].map((v) => Number(v.toPrecision(2)));
    throw new RangeError(
      `Cannot sample: sample ${
        this.#first + worst
      } ended at a root mean square of ${end}, wanted at most ` +
        `${MOST_OF_DATA} times the ${data} of the data plus the noise level ${noise}`,
    );
  }

  /** The root mean square per number of an end. */
  #sizeOf(row: number): number {
    const x = this.x.subarray(row * this.#dimension, (row + 1) * this.#dimension);
    let sum = 0;
    for (const v of x) sum += v * v;
    return Math.sqrt(sum / this.#dimension);
  }

  /** What is known at the end of the run, beside the end states. */
  result(): Pick<
    SampleResult<X>,
    "evaluations" | "calls" | "convergence" | "steps" | "trajectory"
  > {
    return {
      evaluations: this.#evaluations / this.count,
      calls: this.#calls,
      ...(this.#convergence.length > 0 && { convergence: joined(this.#convergence) }),
      steps: this.#steps.map((step, i) => this.#recordOf(step, i)),
      ...(this.#frames && { trajectory: this.#frames as readonly TrajectoryPoint[] }),
    };
  }

  #recordOf({ sigma, seconds, evaluations, rows }: Step, i: number): StepRecord {
    const kept = this.#facts.get(sigma);
    // Adapted steps may meet a level of the grid in one batch and not in another.
    const facts = kept?.batches.size === this.#batches
      ? kept.facts as Partial<PosteriorFacts>
      : undefined;
    return {
      step: i + 1,
      sigma,
      seconds,
      evaluations: evaluations / rows,
      ...(facts && { facts }),
    };
  }

  /** Frame `k`, at which batches that ended before stay where they ended. */
  #frame(k: number, sigma: number): Frame {
    const frames = this.#frames!;
    if (!frames[k]) {
      const room = () => this.space.numbers(this.count * this.#dimension);
      frames[k] = { sigma, x: room(), denoised: room() };
      // Every batch writes its own start.
      if (k > 0) this.#stay(frames[k], 0, this.#first * this.#dimension);
    }
    frames[k].sigma = Math.max(frames[k].sigma, sigma);
    return frames[k];
  }

  #stay({ x, denoised }: Frame, begin: number, end: number): void {
    x.set(this.x.subarray(begin, end), begin);
    denoised.set(this.#last!.subarray(begin, end), begin);
  }

  #place(target: Numbers, values: ArrayLike<number>): void {
    target.set(values, this.#first * this.#dimension);
  }

  #keepFacts(sigma: Sigma, facts: Partial<PosteriorFacts>): void {
    const level = typeof sigma === "number" ? sigma : sigma[0];
    const values = Object.values(facts);
    const ofAllRows = values.length > 0 && values.every(({ length }) => length === this.#rows) &&
      (typeof sigma === "number" || Array.from(sigma).every((s) => s === level));
    if (!ofAllRows || !this.sigmas.includes(level)) return;
    const kept = this.#facts.get(level) ??
      { facts: roomFor(facts, this.count), batches: new Set<number>() };
    this.#facts.set(level, kept);
    kept.batches.add(this.#first);
    for (const [name, values] of Object.entries(facts)) {
      kept.facts[name as keyof PosteriorFacts]!.set(values, this.#first);
    }
  }
}

function roomFor(facts: Partial<PosteriorFacts>, count: number): Facts {
  return Object.fromEntries(
    Object.entries(facts).map(([name, values]) => [
      name,
      values instanceof Uint32Array ? new Uint32Array(count) : new Float64Array(count),
    ]),
  ) as Facts;
}

/** The convergence of all batches, row after row. */
function joined(parts: readonly Convergence[]): Convergence {
  const int = (name: "evaluations" | "windows" | "rejected" | "sweeps") =>
    Int32Array.from(parts.flatMap((part) => [...part[name]]));
  return {
    evaluations: int("evaluations"),
    windows: int("windows"),
    rejected: int("rejected"),
    sweeps: int("sweeps"),
    estimatedError: Float64Array.from(parts.flatMap((part) => [...part.estimatedError])),
    converged: parts.flatMap(({ converged }) => converged),
  };
}
