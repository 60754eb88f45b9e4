/**
 * The driver of samplers: start states, batches, progress, cancelling, records.
 *
 * @module
 */
import type { PosteriorFacts } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { StateSpace } from "../linear_space.ts";
import { checkSigmas, ddpmGrid } from "../noise.ts";
import type { SigmaGrid } from "../noise.ts";
import { RandomStream, startNoise } from "../random.ts";
import { ddim } from "./ddim.ts";
import type { Sampler } from "./sampler.ts";

/** How far a run has come. */
export interface Progress {
  /** Share of the work that is done, 0 to 1. */
  readonly fraction: number;
  /** Steps done, over all batches. */
  readonly done: number;
  /** Steps in all, over all batches. */
  readonly total: number;
  /** The noise level reached. */
  readonly sigma: number;
  /** Seconds since the start. */
  readonly elapsed: number;
  /** Seconds left, as far as can be told; unknown before the first step. */
  readonly remaining: number | undefined;
}

/** Options of {@linkcode sample}. */
export interface SampleOptions {
  /** Number of samples. Default 16. */
  readonly count?: number;
  /** The numerical method. Default {@linkcode ddim}. */
  readonly sampler?: Sampler;
  /** The noise levels and the start law. Default `ddpmGrid(10)`. */
  readonly grid?: SigmaGrid;
  /** Seed of the start noise. Default 0. */
  readonly seed?: number;
  /** Index of the first sample, to continue an earlier run. Default 0. */
  readonly first?: number;
  /** Start noise of unit variance, `count` rows; the grid's start law turns it into states. Overrides the seed. */
  readonly init?: ArrayLike<number>;
  /** Samples per denoiser call. Default 64. It does not change the samples. */
  readonly batchSize?: number;
  /** Whether to keep all states on the way. Default false. */
  readonly trajectory?: boolean;
  /** Cancels the run, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Called after every step of every batch. */
  readonly onProgress?: (progress: Progress) => void | Promise<void>;
}

/** What is known of one step of a run, over all samples. */
export interface StepRecord {
  /** The step, from 1. */
  readonly step: number;
  /** The noise level it started from. */
  readonly sigma: number;
  /** Seconds it took, summed over the batches. */
  readonly seconds: number;
  /** Denoiser evaluations per sample after it. */
  readonly evaluations: number;
  /** Facts of the posterior at the state that the step started from, one value per sample, if the denoiser knows them. */
  readonly facts?: PosteriorFacts;
}

/** A state on the way, of all samples. */
export interface TrajectoryPoint {
  /** Its noise level. */
  readonly sigma: number;
  /** The states, `count` rows. */
  readonly x: Float32Array | Float64Array;
  /** What the denoiser last made of them; of the start state, nothing yet. */
  readonly denoised?: Float32Array | Float64Array;
}

/** What {@linkcode sample} returns. */
export interface SampleResult<X> {
  /** The final states, `[count, …shape]`, in data units. */
  readonly x: X;
  /** The last denoiser outputs. Equal to `x` when the grid ends at 0. */
  readonly denoised: X;
  /** Denoiser evaluations per sample. */
  readonly evaluations: number;
  /** Batched denoiser calls. */
  readonly calls: number;
  /** Wall-clock seconds. */
  readonly seconds: number;
  /** One record per step. */
  readonly steps: readonly StepRecord[];
  /** The start state and the state after each step, if asked for. */
  readonly trajectory?: readonly TrajectoryPoint[];
}

/**
 * Draws samples: start noise, a walk down the grid, and what happened on the way.
 *
 * A sample depends on the seed and its own index only: not on how many are
 * drawn, nor on the batch size.
 *
 * @param denoiser The denoiser; it decides whether states are tensors or `Float64Array`.
 * @param options How many, by which method, on which grid.
 * @returns Final states and last denoised estimates, both named; release them with `denoiser.space.dispose`.
 * @throws {RangeError} If a number is out of range, or the grid starts at a mean that the denoiser does not know.
 * @throws {TypeError} If `init` does not hold `count` rows.
 *
 * @example The exact sampler of two points returns one of them
 * ```ts
 * import { Dataset, karrasGrid, optimalFloat64, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
 * const { x } = await sample(optimalFloat64(dataset), { count: 1, grid: karrasGrid(18), seed: 5 });
 * assert.equal(Math.abs(x[0]), 1);
 * ```
 */
export async function sample<X>(
  denoiser: Denoiser<X>,
  options: SampleOptions = {},
): Promise<SampleResult<X>> {
  const {
    count = 16,
    sampler = ddim(),
    grid = ddpmGrid(),
    batchSize = 64,
    signal,
  } = options;
  checkOptions(denoiser, count, batchSize, options);
  checkSigmas(grid.sigmas);
  const steps = grid.sigmas.length - 1;
  const batches = Math.ceil(count / batchSize);
  const dimension = denoiser.shape.reduce((product, n) => product * n, 1);
  const record = new Recorder(
    denoiser.space,
    count,
    dimension,
    grid.sigmas,
    options.trajectory ?? false,
  );
  const begin = performance.now();
  let evaluations = 0, calls = 0;

  for (let batch = 0; batch < batches; batch++) {
    signal?.throwIfAborted();
    const first = batch * batchSize;
    const rows = Math.min(batchSize, count - first);
    const { space } = denoiser;
    const start = space.from(startState(denoiser, grid, first, rows, options), [
      rows,
      ...denoiser.shape,
    ]);
    let before = performance.now();
    let callsOfBatch = 0;
    try {
      await record.start(denoiser, start, first);
      for await (
        const at of sampler.run(
          record.watch(denoiser, first),
          start,
          grid.sigmas,
          { signal, samples: sampleIndices(first + (options.first ?? 0), rows) },
        )
      ) {
        await record.step(
          denoiser,
          at,
          first,
          (performance.now() - before) / 1000,
        );
        ({ evaluations, calls: callsOfBatch } = at);
        const done = batch * steps + at.step, total = batches * steps;
        const elapsed = (performance.now() - begin) / 1000;
        await options.onProgress?.({
          fraction: done / total,
          done,
          total,
          sigma: at.sigma,
          elapsed,
          remaining: elapsed / done * (total - done),
        });
        before = performance.now();
      }
    } finally {
      space.dispose(start);
    }
    calls += callsOfBatch;
  }
  signal?.throwIfAborted();
  const shape = [count, ...denoiser.shape];
  return {
    x: denoiser.space.from(record.x, shape),
    denoised: denoiser.space.from(record.denoised, shape),
    evaluations,
    calls,
    seconds: (performance.now() - begin) / 1000,
    steps: record.records(),
    ...(record.trajectory && { trajectory: record.trajectory }),
  };
}

function checkOptions<X>(
  denoiser: Denoiser<X>,
  count: number,
  batchSize: number,
  { grid, init }: SampleOptions,
): void {
  for (
    const [name, value] of [["count", count], ["batchSize", batchSize]] as const
  ) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(
        `Cannot sample: ${name} is ${value}, wanted a whole number >= 1`,
      );
    }
  }
  if (grid?.startAtMean && !denoiser.mean) {
    throw new RangeError(
      `Cannot sample: the grid ${grid.name} starts at the data mean, which ${denoiser.label} does not know`,
    );
  }
  if (grid?.startAtData && !denoiser.draw) {
    throw new RangeError(
      `Cannot sample: the grid ${grid.name} starts at noised data, of which ${denoiser.label} cannot draw`,
    );
  }
  const wanted = count * denoiser.shape.reduce((product, n) => product * n, 1);
  if (init && init.length !== wanted) {
    throw new TypeError(
      `Cannot sample: init holds ${init.length} numbers, wanted ${count} rows of [${denoiser.shape}], ${wanted} numbers`,
    );
  }
  if (init) {
    for (let i = 0; i < init.length; i++) {
      if (!Number.isFinite(init[i])) {
        throw new RangeError(
          `Cannot sample: init holds ${init[i]}, wanted finite numbers`,
        );
      }
    }
  }
}

/** Whole numbers from `first` on. */
function sampleIndices(first: number, rows: number): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, i) => first + i);
}

/** The grid's start law, applied to the noise of rows `first … first + rows − 1` of the run. */
function startState<X>(
  denoiser: Denoiser<X>,
  grid: SigmaGrid,
  first: number,
  rows: number,
  { seed = 0, first: offset = 0, init }: SampleOptions,
): Float64Array {
  const dimension = denoiser.shape.reduce((product, n) => product * n, 1);
  const noise = init
    ? Float64Array.from(
      { length: rows * dimension },
      (_, i) => init[first * dimension + i],
    )
    : startNoise(seed, offset + first, rows, dimension);
  const mean = grid.startAtMean ? denoiser.mean!() : undefined;
  const state = noise.map((e, i) => grid.startScale * e + (mean ? mean[i % dimension] : 0));
  if (grid.startAtData) {
    for (let row = 0; row < rows; row++) {
      const stream = new RandomStream({ seed, sample: offset + first + row, purpose: "data" });
      const item = denoiser.draw!(stream);
      for (let c = 0; c < dimension; c++) state[row * dimension + c] += item[c];
    }
  }
  return state;
}

type Numbers = Float32Array | Float64Array;

/** Collects states, times and facts over the batches of a run. */
class Recorder {
  readonly x: Numbers;
  readonly denoised: Numbers;
  readonly trajectory?: { sigma: number; x: Numbers; denoised?: Numbers }[];
  readonly #seconds: number[];
  readonly #evaluations: number[];
  readonly #facts: (Record<keyof PosteriorFacts, Float64Array | Uint32Array> | undefined)[];
  #step = 0;

  constructor(
    space: StateSpace<unknown>,
    readonly count: number,
    readonly dimension: number,
    readonly sigmas: readonly number[],
    trajectory: boolean,
  ) {
    const steps = sigmas.length - 1;
    const numbers = count * dimension;
    this.x = space.numbers(numbers);
    this.denoised = space.numbers(numbers);
    this.#seconds = new Array(steps).fill(0);
    this.#evaluations = new Array(steps).fill(0);
    this.#facts = new Array(steps).fill(undefined);
    if (trajectory) {
      this.trajectory = sigmas.map((sigma, i) => ({
        sigma,
        x: space.numbers(numbers),
        ...(i > 0 && { denoised: space.numbers(numbers) }),
      }));
    }
  }

  /** The same denoiser, which also keeps the facts of the first evaluation of each step. */
  watch<X>(denoiser: Denoiser<X>, first: number): Denoiser<X> {
    if (!denoiser.posterior) return denoiser;
    let seen = -1;
    return {
      label: denoiser.label,
      references: denoiser.references,
      shape: denoiser.shape,
      space: denoiser.space,
      denoise: async (x, sigma, options) => {
        const { mean, facts } = await denoiser.posterior!(x, sigma, options);
        if (seen !== this.#step) this.#keepFacts(this.#step, facts, first);
        seen = this.#step;
        return mean;
      },
    };
  }

  async start<X>(denoiser: Denoiser<X>, x: X, first: number): Promise<void> {
    this.#step = 0;
    if (this.trajectory) {
      this.#place(this.trajectory[0].x, await denoiser.space.values(x), first);
    }
  }

  async step<X>(
    denoiser: Denoiser<X>,
    at: { step: number; x: X; denoised: X; evaluations: number },
    first: number,
    seconds: number,
  ): Promise<void> {
    const i = at.step - 1;
    this.#step = at.step;
    this.#seconds[i] += seconds;
    this.#evaluations[i] = at.evaluations;
    const last = at.step === this.sigmas.length - 1;
    if (!last && !this.trajectory) return;
    const { space } = denoiser;
    const [x, denoised] = await Promise.all([
      space.values(at.x),
      space.values(at.denoised),
    ]);
    if (last) {
      const bad = x.findIndex((v) => !Number.isFinite(v));
      if (bad >= 0) {
        throw new RangeError(
          `Cannot sample: sample ${first + Math.floor(bad / this.dimension)} ended at ${
            x[bad]
          }, wanted finite numbers`,
        );
      }
      this.#place(this.x, x, first);
      this.#place(this.denoised, denoised, first);
    }
    if (this.trajectory) {
      this.#place(this.trajectory[at.step].x, x, first);
      this.#place(this.trajectory[at.step].denoised!, denoised, first);
    }
  }

  records(): StepRecord[] {
    return this.#seconds.map((seconds, i) => ({
      step: i + 1,
      sigma: this.sigmas[i],
      seconds,
      evaluations: this.#evaluations[i],
      ...(this.#facts[i] &&
        { facts: this.#facts[i] as unknown as PosteriorFacts }),
    }));
  }

  #place(target: Numbers, values: ArrayLike<number>, first: number): void {
    target.set(values, first * this.dimension);
  }

  #keepFacts(step: number, facts: PosteriorFacts, first: number): void {
    const kept = this.#facts[step] ??= Object.fromEntries(
      Object.entries(facts).map(([name, values]) => [
        name,
        values instanceof Uint32Array ? new Uint32Array(this.count) : new Float64Array(this.count),
      ]),
    ) as Record<keyof PosteriorFacts, Float64Array | Uint32Array>;
    for (const [name, values] of Object.entries(facts)) {
      kept[name as keyof PosteriorFacts].set(values, first);
    }
  }
}
