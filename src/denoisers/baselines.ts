/**
 * Baselines for smoothed closed-form diffusion: new points from items of the data, without any flow.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole, SIGMA_RANGE } from "../base/_checks.ts";
import { sizeOf } from "../base/_shape.ts";
import { inTurns } from "../base/_turns.ts";
import type { Interruptible } from "../base/_turns.ts";
import { batchOf, disposeState, numbersOf } from "../compute/batch.ts";
import type { State } from "../compute/batch.ts";
import type { DeviceChoice } from "../compute/use_device.ts";
import { neighboursInParts } from "../compute/neighbours.ts";
import { checkEvaluateOptions, samplePerRow, sigmaPerRow } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { StateSpace } from "../states/linear_space.ts";
import { RandomStream } from "../base/random.ts";
import { baseOf } from "./base_denoiser.ts";
import type { StatesOf } from "./base_denoiser.ts";
import { capabilitiesOf, keepCapabilities } from "./_capabilities.ts";
import type { HeldData } from "./_capabilities.ts";
import { DATA_OPTIONS, heldData } from "./data_source.ts";
import type { DataOptions, DataSource } from "./data_source.ts";
import type { Denoiser } from "./denoiser.ts";
import type { StoredDenoiser } from "./optimal.ts";
import { smoothingDefaults } from "./smoothing_defaults.ts";

const ACTION = "draw baseline points";
/** Of more items, the mean is that of all. */
const MOST_PICKS = 1e6;
/** Items between two places where the work may be interrupted. */
const SOME = 1024;

/** Options of {@linkcode randomAverage}. */
export interface RandomAverageOptions<D extends DeviceChoice = DeviceChoice>
  extends DataOptions<D> {
  /** Points that are averaged, `M`. Default 2. */
  readonly draws?: number;
  /** The seed of the draws. Default 0. */
  readonly seed?: number;
}

/** Options of {@linkcode localAverage}. */
export interface LocalAverageOptions<D extends DeviceChoice = DeviceChoice>
  extends RandomAverageOptions<D> {
  /** Nearest other items among which, and the item itself, points are picked. Default 2. */
  readonly neighbours?: number;
}

/** Options of {@linkcode kernelDensity}. */
export interface KernelDensityOptions<D extends DeviceChoice = DeviceChoice>
  extends DataOptions<D> {
  /** The bandwidth `β ≥ 0` in data units. Default: that of {@linkcode smoothingDefaults}. */
  readonly bandwidth?: number;
  /** Cancels the choice of a bandwidth. */
  readonly signal?: AbortSignal;
}

const KERNEL_OPTIONS = {
  ...DATA_OPTIONS,
  bandwidth: undefined,
  signal: undefined,
} satisfies OptionTable<KernelDensityOptions>;

/** Options of {@linkcode dirichletAverage}. */
export interface DirichletAverageOptions<D extends DeviceChoice = DeviceChoice>
  extends DataOptions<D> {
  /** The concentration `α > 0`: small ones give single items, large ones the mean. Default 1, uniform weights. */
  readonly concentration?: number;
  /** The seed of the draws. Default 0. */
  readonly seed?: number;
}

const RANDOM_OPTIONS = {
  ...DATA_OPTIONS,
  draws: 2,
  seed: 0,
} satisfies OptionTable<RandomAverageOptions>;

/**
 * Means of `M` random items, repeats allowed, as a denoiser.
 *
 * ```text
 * y = (1/M) Σₘ x_{iₘ},   iₘ uniform on 1 … N
 * ```
 *
 * Sample `i` of a run has one point `y` of its own, which is the answer at every state and noise level: so
 * every sampler ends on it, and baselines are drawn by the same call as models. The distribution has the mean of the
 * data and `1/M` of their covariance.
 *
 * @param source The items, or a denoiser that holds them.
 * @param options How many items; the seed; class and device.
 * @returns The denoiser.
 * @throws {RangeError} If `draws` is not a whole number >= 1.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { Dataset, randomAverage, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
 * const { x } = await sample(await randomAverage(dataset, { device: "float64" }), { count: 50, output: "tensor" });
 * assert.ok(x.every((v) => [-1, 0, 1].includes(v)));
 * ```
 */
export async function randomAverage<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: RandomAverageOptions<D> = {},
): Promise<Denoiser<StatesOf<S, D>>> {
  const { draws: M, seed, ...held } = readOptions(ACTION, options, RANDOM_OPTIONS);
  checkWhole(ACTION, "draws", M, 1, MOST_PICKS);
  const data = await heldData(ACTION, source, held), { dataset } = data;
  return drawn(data, seed, `mean of ${M} random items`, function* (stream) {
    yield;
    const picks = Array.from({ length: M }, () => stream.below(dataset.count));
    return meanOf(dataset, picks);
  });
}

const LOCAL_OPTIONS = { ...RANDOM_OPTIONS, neighbours: 2 } satisfies OptionTable<
  LocalAverageOptions
>;

/**
 * Means of `M` random picks among an item and its nearest neighbours, as a denoiser.
 *
 * ```text
 * y = (1/M) Σₘ x_{iₘ},   iₘ uniform on j and the k nearest of xⱼ,   j uniform on 1 … N
 * ```
 *
 * Averages of points that lie near each other, found without a flow: the baseline that smoothed closed-form
 * diffusion must be compared with. As {@linkcode randomAverage}, every sampler ends on the points.
 *
 * @param source The items, or a denoiser that holds them.
 * @param options How many picks, among how many neighbours; the seed; class and device.
 * @returns The denoiser.
 * @throws {RangeError} If `draws` is not a whole number >= 1, or the neighbours are not from 0 to `N − 1`.
 * @throws {TypeError} If there is no such option.
 *
 * @example On a line of points, two picks are at most two places apart
 * ```ts
 * import { Dataset, localAverage, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(0, 10, 20, 30), shape: [1], name: "line" });
 * const { x } = await sample(await localAverage(dataset, { device: "float64" }), { count: 50, output: "tensor" });
 * assert.ok(x.every((v) => v % 5 === 0 && v >= 0 && v <= 30));
 * ```
 */
export async function localAverage<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: LocalAverageOptions<D> = {},
): Promise<Denoiser<StatesOf<S, D>>> {
  const { draws: M, neighbours, seed, ...held } = readOptions(ACTION, options, LOCAL_OPTIONS);
  checkWhole(ACTION, "draws", M, 1, MOST_PICKS);
  const data = await heldData(ACTION, source, held), { dataset } = data;
  checkWhole(ACTION, "neighbours", neighbours, 0, dataset.count - 1);
  const label = `mean of ${M} picks among an item and its ${neighbours} nearest`;
  return drawn(data, seed, label, function* (stream) {
    const item = dataset.values(stream.below(dataset.count));
    const { indices } = yield* neighboursInParts(dataset, item, neighbours + 1);
    return meanOf(dataset, Array.from({ length: M }, () => indices[stream.below(indices.length)]));
  });
}

const DIRICHLET_OPTIONS = {
  ...DATA_OPTIONS,
  concentration: 1,
  seed: 0,
} satisfies OptionTable<
  DirichletAverageOptions
>;

/**
 * Averages of all items with Dirichlet weights, as a denoiser.
 *
 * ```text
 * y = Σᵢ wᵢ xᵢ,   w ~ Dirichlet(α, …, α)
 * ```
 *
 * The distribution has the mean of the data and `1/(Nα + 1)` of their covariance. As {@linkcode randomAverage}, every
 * sampler ends on the points.
 *
 * @param source The items, or a denoiser that holds them.
 * @param options The concentration; the seed; class and device.
 * @returns The denoiser.
 * @throws {RangeError} If the concentration is not a finite number > 0.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { Dataset, dirichletAverage, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
 * const drawn = await dirichletAverage(dataset, { concentration: 1e-3, device: "float64" });
 * const { x } = await sample(drawn, { count: 20, output: "tensor" });
 * assert.ok(x.filter((v) => Math.abs(v) > 0.999).length > 15);
 * ```
 */
export async function dirichletAverage<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: DirichletAverageOptions<D> = {},
): Promise<Denoiser<StatesOf<S, D>>> {
  const { concentration, seed, ...held } = readOptions(ACTION, options, DIRICHLET_OPTIONS);
  if (!(concentration > 0 && concentration < Infinity)) {
    throw new RangeError(
      `Cannot ${ACTION}: concentration is ${concentration}, wanted a finite number > 0`,
    );
  }
  const data = await heldData(ACTION, source, held), { dataset } = data;
  const label = `Dirichlet average of concentration ${concentration}`;
  return drawn(data, seed, label, function* (stream) {
    const logs = new Float64Array(dataset.count);
    for (let i = 0; i < logs.length; i++) {
      if (i % SOME === 0) yield;
      logs[i] = logGamma(stream, concentration);
    }
    const most = logs.reduce((a, b) => Math.max(a, b));
    const weights = logs.map((log) => Math.exp(log - most));
    const sum = weights.reduce((a, b) => a + b);
    const y = new Float64Array(dataset.dimension);
    for (let i = 0; i < weights.length; i++) {
      if (i % SOME === 0) yield;
      const weight = weights[i];
      if (weight > 0) dataset.values(i).forEach((v, c) => y[c] += weight / sum * v);
    }
    return y;
  });
}

/**
 * The denoiser of a Gaussian kernel density over a data set, exactly, from the data set's own.
 *
 * ```text
 * D_w(x, σ) = (w² x + σ² D(x, √(σ² + w²))) / (σ² + w²)
 * ```
 *
 * Each item is blurred to `N(xᵢ, w² I)`; given the item, the posterior mean of its Gaussian is linear in `x`, and the
 * item's weight is that of noise `√(σ² + w²)`. Equal to the denoiser inside for `w = 0`.
 *
 * The other usual baseline, the Gaussian fit, is `wiener()`.
 *
 * @param source The items, or a denoiser of them, which is not disposed with this.
 * @param options The bandwidth of the kernel, `w ≥ 0`, in data units; class and device of a data set.
 * @returns The denoiser, on the same states.
 * @throws {RangeError} If the bandwidth is not a finite number >= 0, or none is given and all items are the same.
 * @throws {TypeError} If there is no such option, or no bandwidth is given and the denoiser holds no data.
 *
 * @example One item: its blur is a Gaussian, whose denoiser is linear
 * ```ts
 * import { Dataset, kernelDensity } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(2), shape: [1], name: "a point" });
 * const blurred = await kernelDensity(dataset, { bandwidth: 3, device: "float64" });
 * const denoised = (await blurred.denoise(Float64Array.of(7), 4)).mean;
 * assert.ok(Math.abs(denoised[0] - (2 + 5 * 9 / 25)) < 1e-14);
 * ```
 */
export async function kernelDensity<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: KernelDensityOptions<D> = {},
): Promise<StoredDenoiser<StatesOf<S, D>>> {
  const { bandwidth: given, signal, ...rest } = readOptions(ACTION, options, KERNEL_OPTIONS);
  using resources = new DisposableStack();
  const base = await baseOf(ACTION, source, rest, resources);
  const bandwidth = given ?? (await smoothingDefaults(base, { signal })).bandwidth;
  const denoiser = widened(base, bandwidth), held = resources.move();
  const { data } = capabilitiesOf(base);
  const made: StoredDenoiser<State> = {
    ...denoiser,
    dispose: () => held.dispose(),
    [Symbol.dispose]: () => held.dispose(),
  };
  keepCapabilities(made, { ...(data && { data }) });
  return made as StoredDenoiser<State> as StoredDenoiser<StatesOf<S, D>>;
}

/** The denoiser of a distribution that is widened by a Gaussian. */
function widened<X>(base: Denoiser<X>, bandwidth: number): Denoiser<X> {
  if (!(bandwidth >= 0 && bandwidth <= SIGMA_RANGE[1])) {
    throw new RangeError(
      `Cannot ${ACTION}: bandwidth is ${bandwidth}, wanted a number from 0 to ${SIGMA_RANGE[1]}`,
    );
  }
  const { space, shape, mean, draw, drawsPerLevel, rms } = base;
  return {
    label: `kernel density of bandwidth ${bandwidth} over ${base.label}`,
    references: base.references,
    shape,
    space,
    ...(mean && { mean: () => mean() }),
    ...(drawsPerLevel && { drawsPerLevel }),
    ...(draw && {
      draw: (stream: RandomStream) =>
        Float64Array.from(draw(stream), (v) => v + bandwidth * stream.normal()),
    }),
    ...(rms && { rms: async (enough?: number) => Math.hypot(await rms(enough), bandwidth) }),
    async denoise(x, sigma, evaluate) {
      checkEvaluateOptions(ACTION, evaluate);
      const dimension = sizeOf(shape),
        batch = batchOf(x as State, dimension, ACTION),
        { rows } = batch;
      const values = await batch.values();
      const sigmas = sigmaPerRow(sigma, rows, ACTION);
      const wider = sigmas.map((s) => Math.hypot(s, bandwidth));
      const { mean: inner } = await base.denoise(x, wider, evaluate);
      const means = await numbersOf(inner as State);
      disposeState(inner as State);
      const out = Float64Array.from(values, (v, at) => {
        const noise = sigmas[Math.floor(at / dimension)] ** 2,
          total = noise + bandwidth * bandwidth;
        return (bandwidth * bandwidth * v + noise * means[at]) / total;
      });
      return { mean: batch.like(out) as X };
    },
  };
}

/** A denoiser whose answer for a sample is one random point, whatever the state and the noise level. */
function drawn<X>(
  { dataset, device }: HeldData,
  seed: number,
  label: string,
  draw: (stream: RandomStream) => Interruptible<Float64Array>,
): Denoiser<X> {
  const { shape, dimension } = dataset;
  const space = device.space as StateSpace<unknown> as StateSpace<X>;
  let kept = new Map<number, Float64Array>();
  const denoiser: Denoiser<X> = {
    label: `${label} of ${dataset.name}`,
    references: [],
    shape,
    space,
    mean: () => dataset.mean(),
    draw: (stream) => dataset.values(stream.below(dataset.count)),
    rms: (enough) => dataset.rms(enough),
    async denoise(x, sigma, evaluate = {}) {
      checkEvaluateOptions(ACTION, evaluate);
      const batch = batchOf(x as State, dimension, ACTION), { rows } = batch;
      sigmaPerRow(sigma, rows, ACTION);
      const samples = samplePerRow(evaluate, rows, ACTION);
      const points = new Map<number, Float64Array>();
      const out = new Float64Array(rows * dimension);
      for (let row = 0; row < rows; row++) {
        evaluate.signal?.throwIfAborted();
        const sample = samples[row];
        const stream = new RandomStream({ seed, sample, purpose: "data" });
        const point = points.get(sample) ?? kept.get(sample) ??
          await inTurns(draw(stream), evaluate.signal);
        points.set(sample, point);
        out.set(point, row * dimension);
      }
      // The next step asks for the same samples.
      kept = points;
      return { mean: batch.like(out) as X };
    },
  };
  keepCapabilities(denoiser, { data: { dataset, device } });
  return denoiser;
}

function meanOf(dataset: Dataset, picks: readonly number[]): Float64Array {
  const mean = new Float64Array(dataset.dimension);
  for (const pick of picks) dataset.values(pick).forEach((v, c) => mean[c] += v / picks.length);
  return mean;
}

/**
 * The logarithm of a Gamma(α, 1) number. By G. Marsaglia and W. Tsang (2000), A simple method for generating gamma
 * variables; for `α < 1` that of `α + 1` times `u^{1/α}`, whose logarithm does not underflow.
 */
function logGamma(stream: RandomStream, shape: number): number {
  // 1 − u is in (0, 1].
  const logUniform = () => Math.log(1 - stream.uniform());
  if (shape < 1) return logGamma(stream, shape + 1) + logUniform() / shape;
  const d = shape - 1 / 3, c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const z = stream.normal(), v = (1 + c * z) ** 3;
    if (v > 0 && logUniform() < z * z / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}
