/**
 * Collects what a run of a sampler yields, over all its batches.
 *
 * @module
 */
import { sizeOf } from "../_shape.ts";
import type { PosteriorFacts, Sigma } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { StateSpace } from "../linear_space.ts";
import type { SampleResult, StepRecord, TrajectoryPoint } from "./sample.ts";
import type { Convergence, SamplerStep } from "./sampler.ts";

type Numbers = Float32Array | Float64Array;
type Facts = { [K in keyof PosteriorFacts]?: Float64Array | Uint32Array };

/** A frame of the trajectory, as it is filled. */
interface Frame {
  sigma: number;
  readonly x: Numbers;
  readonly denoised?: Numbers;
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
    if (trajectory) this.#frames = [];
  }

  /** The same denoiser, which also keeps the facts of the latest evaluation of all rows at each level of the grid. */
  watch(denoiser: Denoiser<X>): Denoiser<X> {
    const { label, references, shape, space } = denoiser;
    return {
      label,
      references,
      shape,
      space,
      denoise: async (x, sigma, options) => {
        const denoised = await denoiser.denoise(x, sigma, options);
        const { mean: _, ...facts } = denoised;
        this.#keepFacts(sigma, facts);
        return denoised;
      },
    };
  }

  /** Begins a batch. */
  async start(x: X, first: number, rows: number): Promise<void> {
    [this.#first, this.#rows, this.#taken] = [first, rows, 0];
    this.#batches++;
    this.#latest = undefined;
    if (this.#frames) this.#place(this.#frame(0, this.sigmas[0]).x, await this.space.values(x));
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
    const [x, denoised] = await Promise.all([
      this.space.values(at.x),
      this.space.values(at.denoised),
    ]);
    this.#place(this.x, x);
    this.#place(this.denoised, denoised);
    if (!this.#frames) return;
    const frame = this.#frame(this.#taken, at.sigma);
    this.#place(frame.x, x);
    this.#place(frame.denoised!, denoised);
  }

  /** Ends a batch. */
  end(): void {
    const end = (this.#first + this.#rows) * this.#dimension;
    const bad = this.x.subarray(0, end).findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot sample: sample ${Math.floor(bad / this.#dimension)} ended at ${
          this.x[bad]
        }, wanted finite numbers`,
      );
    }
    const { evaluations = 0, calls = 0, convergence } = this.#latest ?? {};
    this.#evaluations += evaluations * this.#rows;
    this.#calls += calls;
    if (convergence) this.#convergence.push(convergence);
    // A batch that took fewer steps than others stays where it ended.
    for (const frame of this.#frames?.slice(this.#taken + 1) ?? []) {
      this.#stay(frame, this.#first, end);
    }
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
      frames[k] = { sigma, x: room(), ...(k > 0 && { denoised: room() }) };
      this.#stay(frames[k], 0, this.#first * this.#dimension);
    }
    frames[k].sigma = Math.max(frames[k].sigma, sigma);
    return frames[k];
  }

  #stay({ x, denoised }: Frame, begin: number, end: number): void {
    // The start of every batch is written into frame 0 itself.
    if (!denoised) return;
    x.set(this.x.subarray(begin, end), begin);
    denoised.set(this.denoised.subarray(begin, end), begin);
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
