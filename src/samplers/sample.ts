/**
 * The driver of samplers: start states, batches, progress, cancelling, records.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../base/_options.ts";
import { checkKind, received } from "../base/_kinds.ts";
import { roomFor } from "../base/_memory.ts";
import { sizeOf } from "../base/_shape.ts";
import { showsItself } from "../base/_display.ts";
import * as tf from "@tensorflow/tfjs-core";
import { useCpuBackend } from "../compute/cpu_backend.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { functionDenoiser } from "../denoisers/function_denoiser.ts";
import type { DenoiserFunction } from "../denoisers/function_denoiser.ts";
import { tensorSpace } from "../states/linear_space.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { COUNT } from "../base/_defaults.ts";
import { capabilitiesOf } from "../denoisers/_capabilities.ts";
import { checkSigmas } from "../base/noise.ts";
import type { GridName, SigmaGrid } from "../base/noise.ts";
import { lateProgress } from "../base/progress.ts";
import type { Progress } from "../base/progress.ts";
import { RandomStream, startNoise } from "../base/random.ts";
import { stopButton } from "../base/stop_button.ts";
import { Recorder } from "./_recorder.ts";
import { gridOf, samplerOf } from "./_choices.ts";
import type { SamplerName } from "./registry.ts";
import { factsOf, samplesOf, showTrajectory } from "./run.ts";
import type { Run, SampleResult } from "./run.ts";
import type { Sampler } from "./sampler.ts";
import { planTeleport } from "./teleport/plan.ts";
import type { TeleportChoice } from "./teleport/plan.ts";

/** Options of {@linkcode sample}. */
export interface SampleOptions<O extends Output = Output> {
  /** Number of samples. Default 64, or the rows of `init`. */
  readonly count?: number;
  /** The numerical method: a name of {@linkcode SAMPLER_NAMES}, or an object with settings of its own. Default {@linkcode ddim}. */
  readonly sampler?: SamplerName | Sampler;
  /**
   * The noise levels and the start: `"ddpm"`, `"karras"`, `"log-snr"` or `"uniform-t"`, or an object with settings of its own.
   * Default `"ddpm"`, or that of the denoiser, see `Denoiser.grid`.
   */
  readonly grid?: GridName | SigmaGrid;
  /** The number of steps, of a grid that is named. Default: ddpm 10, karras 18, log-snr and uniform-t 20. */
  readonly steps?: number;
  /** Seed of the start noise. Default 0. */
  readonly seed?: number;
  /** Index of the first sample, to continue an earlier run. Default 0. */
  readonly first?: number;
  /** Start noise of unit variance, `count` rows; the grid's start law turns it into states. Overrides the seed. */
  readonly init?: ArrayLike<number>;
  /** Samples per denoiser call. Default 64. It does not change the samples. */
  readonly batchSize?: number;
  /**
   * Whether to keep all states on the way, and what the denoiser makes of each. Where a sampler did not call it on a state,
   * it is called once more, which no count shows. Default false.
   */
  readonly trajectory?: boolean;
  /** Cancels the run, which then rejects with `signal.reason`. So does the Stop button of a notebook. */
  readonly signal?: AbortSignal;
  /**
   * A first leg in closed form, which leaves out evaluations at large noise: the level it goes to, `"auto"` for the lowest within
   * a tolerance of 0.02 per number, `"crossing"`, or an object with more to say. Default: none.
   */
  readonly teleport?: TeleportChoice;
  /**
   * Whether one line tells how far it has come, of work over two seconds, in a notebook or on a terminal. Default: unless
   * `onProgress` is given.
   */
  readonly progress?: boolean;
  /** Called after every step of every batch. */
  readonly onProgress?: (progress: Progress) => void | Promise<void>;
  /** The shape of one sample, if the denoiser is a plain function. */
  readonly shape?: readonly number[];
  /**
   * What is returned: `"run"`, plain and released by the garbage collector, or `"tensor"`, with the states of the denoiser, which
   * are the caller's to dispose. Default `"run"`.
   */
  readonly output?: O;
}

/** What {@linkcode sample} returns. */
export type Output = "run" | "tensor";

const OPTIONS = {
  count: undefined,
  sampler: undefined,
  grid: undefined,
  steps: undefined,
  seed: 0,
  first: 0,
  init: undefined,
  batchSize: 64,
  trajectory: false,
  teleport: undefined,
  signal: undefined,
  progress: undefined,
  onProgress: undefined,
  shape: undefined,
  output: "run",
} satisfies OptionTable<SampleOptions>;

type Settings = Read<SampleOptions, typeof OPTIONS>;

/** Facts of a posterior, about. */
const FACTS = 6;
// Every so often other work gets its turn, timers and signals among it.
const TURN_MS = 50;

/**
 * Draws samples: start noise, a walk down the grid, and what happened on the way.
 *
 * A sample depends on the seed and its own index only: not on how many are
 * drawn, nor on the batch size.
 *
 * @param denoiser The denoiser; it decides whether states are tensors or `Float64Array`. A plain function
 * `(x, sigma) => mean` is one, too: `x` is a `Float32Array` of rows, `sigma` one number, and `shape` is an option.
 * @param options How many, by which method, on which grid.
 * @returns The run: samples and last denoised estimates as data sets, and the facts of each step; nothing of it has to be released.
 * With `output: "tensor"` the states of the denoiser, to be released with `denoiser.space.dispose`.
 * @throws {RangeError} If a number is out of range, or the grid starts at a mean that the denoiser does not know; if an end is
 * not finite, or its root mean square per number exceeds 100 times the sum of its noise level and the size of the data, as far as
 * the denoiser knows that.
 * @throws {TypeError} If `init` does not hold `count` rows, there is no such option, or a value is of another kind.
 *
 * @example The exact sampler of two points returns one of them
 * ```ts
 * import { dataset, optimal, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const exact = await optimal(dataset([[-1, 0], [1, 0]]));
 * const { samples, facts } = await sample(exact, { count: 1, grid: "karras", steps: 18, seed: 5 });
 * assert.equal(Math.abs(samples.data[0]), 1);
 * assert.ok(facts[17].effectiveSampleSize! < 1.1);
 * ```
 *
 * @example A denoiser of one's own: that of a standard normal distribution
 * ```ts
 * import { sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { samples } = await sample((x, sigma) => x.map((v) => v / (1 + sigma ** 2)), { shape: [2], count: 100 });
 * assert.equal(samples.count, 100);
 * ```
 */
export async function sample<X = AnyTensor, O extends Output = "run">(
  denoiser: Denoiser<X> | DenoiserFunction,
  options: SampleOptions<O> = {},
): Promise<O extends "tensor" ? SampleResult<X> : Run> {
  type Result = O extends "tensor" ? SampleResult<X> : Run;
  if (typeof denoiser !== "function") checkKind("sample", "denoiser", denoiser, "denoiser");
  const settings = readOptions("sample", options as SampleOptions, OPTIONS);
  if (settings.progress !== undefined && typeof settings.progress !== "boolean") {
    throw new TypeError(
      `Cannot sample: progress is ${received(settings.progress)}, wanted true or false`,
    );
  }
  if (!["run", "tensor"].includes(settings.output)) {
    throw new RangeError(
      `Cannot sample: output is ${received(settings.output)}, wanted "run" or "tensor"`,
    );
  }
  return await run(await denoiserOf(denoiser, settings), settings) as Result;
}

/** The denoiser, also of a plain function. */
export async function denoiserOf<X>(
  denoiser: Denoiser<X> | DenoiserFunction,
  options: Pick<SampleOptions, "shape">,
): Promise<Denoiser<X>> {
  if (typeof denoiser === "function") return await tensorDenoiser(denoiser, options) as Denoiser<X>;
  checkShape(denoiser.shape, options.shape);
  return denoiser;
}

async function run<X>(denoiser: Denoiser<X>, settings: Settings): Promise<SampleResult<X> | Run> {
  const { init, batchSize } = settings;
  const { count = init ? Math.ceil(init.length / sizeOf(denoiser.shape)) : COUNT } = settings;
  const whole = gridOf(denoiser, settings);
  checkSigmas(whole.sigmas);
  using stop = stopButton(settings.signal);
  const { signal } = stop;
  const method = await samplerOf(denoiser, whole, { ...settings, signal });
  const { seed, trajectory: between } = settings;
  using jump = settings.teleport === undefined ? undefined : await planTeleport(
    denoiser,
    settings.teleport,
    { sampler: method, grid: whole, seed, between, signal },
  );
  const { sampler, grid } = jump ?? { sampler: method, grid: whole };
  checkStart(denoiser, count, grid, settings);
  const { space, shape } = denoiser;
  const bytes = count * bytesOf(denoiser, grid, settings);
  using line = settings.progress ?? !settings.onProgress ? lateProgress("sampling") : undefined;
  const record = roomFor(
    "sample",
    `${count} samples`,
    bytes,
    () => new Recorder(space, count, shape, grid.sigmas, settings.trajectory),
  );
  const watched = record.watch(denoiser);
  const clock = new ProgressClock(grid.sigmas, Math.ceil(count / batchSize));
  let turn = performance.now();
  for (let first = 0; first < count; first += batchSize) {
    signal?.throwIfAborted();
    const rows = Math.min(batchSize, count - first);
    const start = space.from(startState(denoiser, grid, first, rows, settings), [rows, ...shape]);
    try {
      const samples = sampleIndices(first + settings.first, rows);
      await record.start(start, first, rows, { signal, samples });
      for await (const at of sampler.run(watched, start, grid.sigmas, { signal, samples })) {
        await record.step(at);
        const progress = clock.at(first / batchSize, at.sigma);
        await settings.onProgress?.(progress);
        await line?.tell(progress);
        if (performance.now() - turn > TURN_MS) {
          await new Promise((resolve) => setTimeout(resolve));
          turn = performance.now();
        }
        record.resume();
      }
      await record.end();
    } finally {
      space.dispose(start);
    }
  }
  signal?.throwIfAborted();
  const { steps, ...known } = record.result(), seconds = clock.elapsed;
  const range = capabilitiesOf(denoiser).data?.dataset.range;
  if (known.trajectory) showTrajectory(known.trajectory, shape, range);
  if (settings.output === "tensor") {
    return showsItself({
      shape,
      x: space.from(record.x, [count, ...shape]),
      denoised: space.from(record.denoised, [count, ...shape]),
      seconds,
      ...known,
      steps,
      ...(jump && { teleport: jump.facts }),
    });
  }
  const result: Run = {
    samples: samplesOf(record.x, shape, `samples of ${denoiser.label}`, range),
    denoised: samplesOf(record.denoised, shape, `denoised by ${denoiser.label}`, range),
    shape,
    facts: factsOf(steps),
    ...(jump && { teleport: jump.facts }),
    seconds,
    ...known,
  };
  return showsItself(result);
}

/** A function on tensors, as most denoisers are; those need one of the backends of tfjs. */
async function tensorDenoiser(
  denoise: DenoiserFunction,
  { shape }: Pick<SampleOptions, "shape">,
): Promise<Denoiser<unknown>> {
  if (!shape) {
    throw new TypeError(
      "Cannot sample: the denoiser is a function, wanted the shape of one sample with it, such as { shape: [2] }",
    );
  }
  if (!tf.getBackend()) await useCpuBackend();
  return functionDenoiser(denoise, { shape, space: tensorSpace });
}

function checkShape(own: readonly number[], asked: SampleOptions["shape"]): void {
  if (asked === undefined || asked.join() === own.join()) return;
  throw new TypeError(
    `Cannot sample: shape is [${asked}] and the denoiser is of [${own}], wanted the latter or none`,
  );
}

/** What a run holds of a sample at most: state and output, copies of both for the result, both on the way, and facts. */
function bytesOf<X>(
  { shape }: Denoiser<X>,
  { sigmas }: SigmaGrid,
  { trajectory }: Settings,
): number {
  const each = 8, levels = sigmas.length;
  const numbers = sizeOf(shape) * (4 + (trajectory ? 2 * levels : 0));
  return each * (numbers + FACTS * levels);
}

/** How far a walk down a grid has come, whether or not it stops at its levels. */
class ProgressClock {
  readonly #begin = performance.now();

  constructor(readonly sigmas: readonly number[], readonly batches: number) {}

  get elapsed(): number {
    return (performance.now() - this.#begin) / 1000;
  }

  at(batch: number, sigma: number): Progress {
    const { elapsed, sigmas } = this;
    const steps = sigmas.length - 1;
    const passed = sigmas.findLastIndex((level) => level >= sigma);
    const [above, below] = [sigmas[Math.max(passed, 0)], sigmas[passed + 1] ?? 0];
    // Between two levels, the share of the step in ln σ; of a step to 0 no share is known.
    const share = below > 0 && above > sigma
      ? Math.log(above / sigma) / Math.log(above / below)
      : 0;
    const total = this.batches * steps;
    const done = batch * steps + Math.max(passed, 0) + share;
    return {
      fraction: done / total,
      done: Math.floor(done),
      total,
      sigma,
      elapsed,
      remaining: done > 0 ? elapsed / done * (total - done) : undefined,
    };
  }
}

/** Refuses a number of samples, a start or noise that does not do. */
export function checkStart<X>(
  denoiser: Denoiser<X>,
  count: number,
  grid: SigmaGrid,
  { init, batchSize = 1 }: Pick<SampleOptions, "init" | "batchSize">,
): void {
  for (
    const [name, value] of [["count", count], ["batchSize", batchSize]] as const
  ) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(
        `Cannot sample: ${name} is ${received(value)}, wanted a whole number >= 1`,
      );
    }
  }
  if (grid.startAtMean && !denoiser.mean) {
    throw new RangeError(
      `Cannot sample: the grid ${grid.name} starts at the data mean, which ${denoiser.label} does not know, wanted another grid`,
    );
  }
  if (grid.startAtData && !denoiser.draw) {
    throw new RangeError(
      `Cannot sample: the grid ${grid.name} starts at noised data, of which ${denoiser.label} cannot draw, wanted another grid`,
    );
  }
  const wanted = count * sizeOf(denoiser.shape);
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
export function sampleIndices(first: number, rows: number): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, i) => first + i);
}

/** The grid's start law, applied to the noise of rows `first … first + rows − 1` of the run. */
export function startState<X>(
  denoiser: Denoiser<X>,
  grid: SigmaGrid,
  first: number,
  rows: number,
  { seed, first: offset, init }: Pick<Settings, "seed" | "first" | "init">,
): Float64Array {
  const dimension = sizeOf(denoiser.shape);
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
