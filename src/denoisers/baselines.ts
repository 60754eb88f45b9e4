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
import { neighboursInParts } from "../compute/neighbours.ts";
import { checkEvaluateOptions, samplePerRow, sigmaPerRow } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { StateSpace } from "../states/linear_space.ts";
import { RandomStream } from "../base/random.ts";
import type { Denoiser } from "./denoiser.ts";

const ACTION = "draw baseline points";
/** Of more items, the mean is that of all. */
const MOST_PICKS = 1e6;
/** Items between two places where the work may be interrupted. */
const SOME = 1024;

/** Options of {@linkcode randomAverage}. */
export interface RandomAverageOptions {
  /** Points that are averaged, `M`. Default 2. */
  readonly M?: number;
  /** The seed of the draws. Default 0. */
  readonly seed?: number;
}

/** Options of {@linkcode localAverage}. */
export interface LocalAverageOptions extends RandomAverageOptions {
  /** Nearest other items among which, and the item itself, points are picked. Default 2. */
  readonly neighbours?: number;
}

/** Options of {@linkcode dirichletAverage}. */
export interface DirichletAverageOptions {
  /** The concentration `α > 0`: small ones give single items, large ones the mean. Default 1, uniform weights. */
  readonly concentration?: number;
  /** The seed of the draws. Default 0. */
  readonly seed?: number;
}

const RANDOM_OPTIONS = { M: 2, seed: 0 } satisfies OptionTable<RandomAverageOptions>;

/**
 * Means of `M` random items, repeats allowed, as a denoiser.
 *
 * ```text
 * y = (1/M) Σₘ x_{iₘ},   iₘ uniform on 1 … N
 * ```
 *
 * Sample `i` of a run has one point `y` of its own, which is the answer at every state and noise level: so
 * every sampler ends on it, and baselines are drawn by the same call as models. The law has the mean of the
 * data and `1/M` of their covariance.
 *
 * @param dataset The items.
 * @param space The states, `tensorSpace` or `arraySpace`.
 * @param options How many items; the seed.
 * @returns The denoiser.
 * @throws {RangeError} If `M` is not a whole number >= 1.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { arraySpace, Dataset, randomAverage, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
 * const { x } = await sample(randomAverage(dataset, arraySpace, { M: 2 }), { count: 50 });
 * assert.ok(x.every((v) => [-1, 0, 1].includes(v)));
 * ```
 */
export function randomAverage<X>(
  dataset: Dataset,
  space: StateSpace<X>,
  options: RandomAverageOptions = {},
): Denoiser<X> {
  const { M, seed } = readOptions(ACTION, options, RANDOM_OPTIONS);
  checkWhole(ACTION, "M", M, 1, MOST_PICKS);
  return drawn(dataset, space, seed, `mean of ${M} random items`, function* (stream) {
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
 * @param dataset The items.
 * @param space The states, `tensorSpace` or `arraySpace`.
 * @param options How many picks, among how many neighbours; the seed.
 * @returns The denoiser.
 * @throws {RangeError} If `M` is not a whole number >= 1, or the neighbours are not from 0 to `N − 1`.
 * @throws {TypeError} If there is no such option.
 *
 * @example On a line of points, two picks are at most two places apart
 * ```ts
 * import { arraySpace, Dataset, localAverage, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(0, 10, 20, 30), shape: [1], name: "line" });
 * const { x } = await sample(localAverage(dataset, arraySpace), { count: 50 });
 * assert.ok(x.every((v) => v % 5 === 0 && v >= 0 && v <= 30));
 * ```
 */
export function localAverage<X>(
  dataset: Dataset,
  space: StateSpace<X>,
  options: LocalAverageOptions = {},
): Denoiser<X> {
  const { M, neighbours, seed } = readOptions(ACTION, options, LOCAL_OPTIONS);
  checkWhole(ACTION, "M", M, 1, MOST_PICKS);
  checkWhole(ACTION, "neighbours", neighbours, 0, dataset.count - 1);
  const label = `mean of ${M} picks among an item and its ${neighbours} nearest`;
  return drawn(dataset, space, seed, label, function* (stream) {
    const item = dataset.values(stream.below(dataset.count));
    const { indices } = yield* neighboursInParts(dataset, item, neighbours + 1);
    return meanOf(dataset, Array.from({ length: M }, () => indices[stream.below(indices.length)]));
  });
}

const DIRICHLET_OPTIONS = { concentration: 1, seed: 0 } satisfies OptionTable<
  DirichletAverageOptions
>;

/**
 * Averages of all items with Dirichlet weights, as a denoiser.
 *
 * ```text
 * y = Σᵢ wᵢ xᵢ,   w ~ Dirichlet(α, …, α)
 * ```
 *
 * The law has the mean of the data and `1/(Nα + 1)` of their covariance. As {@linkcode randomAverage}, every
 * sampler ends on the points.
 *
 * @param dataset The items.
 * @param space The states, `tensorSpace` or `arraySpace`.
 * @param options The concentration; the seed.
 * @returns The denoiser.
 * @throws {RangeError} If the concentration is not a finite number > 0.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { arraySpace, Dataset, dirichletAverage, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
 * const { x } = await sample(dirichletAverage(dataset, arraySpace, { concentration: 1e-3 }), { count: 20 });
 * assert.ok(x.filter((v) => Math.abs(v) > 0.999).length > 15);
 * ```
 */
export function dirichletAverage<X>(
  dataset: Dataset,
  space: StateSpace<X>,
  options: DirichletAverageOptions = {},
): Denoiser<X> {
  const { concentration, seed } = readOptions(ACTION, options, DIRICHLET_OPTIONS);
  if (!(concentration > 0 && concentration < Infinity)) {
    throw new RangeError(
      `Cannot ${ACTION}: concentration is ${concentration}, wanted a finite number > 0`,
    );
  }
  const label = `Dirichlet average of concentration ${concentration}`;
  return drawn(dataset, space, seed, label, function* (stream) {
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
 * @param base The optimal denoiser of the items. It is not disposed with this.
 * @param bandwidth The bandwidth of the kernel, `w ≥ 0`, in data units.
 * @returns The denoiser, on the same states.
 * @throws {RangeError} If the bandwidth is not a finite number >= 0.
 *
 * @example One item: its blur is a Gaussian, whose denoiser is linear
 * ```ts
 * import { Dataset, kernelDensity, optimalFloat64 } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(2), shape: [1], name: "a point" });
 * const denoised = (await kernelDensity(optimalFloat64(dataset), 3).denoise(Float64Array.of(7), 4)).mean;
 * assert.ok(Math.abs(denoised[0] - (2 + 5 * 9 / 25)) < 1e-14);
 * ```
 */
export function kernelDensity<X>(base: Denoiser<X>, bandwidth: number): Denoiser<X> {
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
      const values = await space.values(x);
      const dimension = sizeOf(shape), rows = values.length / dimension;
      const sigmas = sigmaPerRow(sigma, rows, ACTION);
      const wider = sigmas.map((s) => Math.hypot(s, bandwidth));
      const { mean: inner } = await base.denoise(x, wider, evaluate);
      const means = await space.values(inner);
      space.dispose(inner);
      const out = Float64Array.from(values, (v, at) => {
        const noise = sigmas[Math.floor(at / dimension)] ** 2,
          total = noise + bandwidth * bandwidth;
        return (bandwidth * bandwidth * v + noise * means[at]) / total;
      });
      return { mean: space.from(out, [rows, ...shape]) };
    },
  };
}

/** A denoiser whose answer for a sample is one random point, whatever the state and the noise level. */
function drawn<X>(
  dataset: Dataset,
  space: StateSpace<X>,
  seed: number,
  label: string,
  draw: (stream: RandomStream) => Interruptible<Float64Array>,
): Denoiser<X> {
  const { shape, dimension } = dataset;
  let kept = new Map<number, Float64Array>();
  return {
    label: `${label} of ${dataset.name}`,
    references: [],
    shape,
    space,
    mean: () => dataset.mean(),
    draw: (stream) => dataset.values(stream.below(dataset.count)),
    rms: (enough) => dataset.rms(enough),
    async denoise(x, sigma, evaluate = {}) {
      checkEvaluateOptions(ACTION, evaluate);
      const rows = (await space.values(x)).length / dimension;
      sigmaPerRow(sigma, rows, ACTION);
      const samples = samplePerRow(evaluate, rows, ACTION);
      const points = new Map<number, Float64Array>();
      const out = space.numbers(rows * dimension);
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
      return { mean: space.from(out, [rows, ...shape]) };
    },
  };
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
