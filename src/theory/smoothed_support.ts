/**
 * Statements about where smoothed closed-form samples lie.
 *
 * @module
 */
import { Dataset } from "../datasets/dataset.ts";
import { optimalFloat64 } from "../denoisers/optimal.ts";
import { smoothed } from "../denoisers/smoothed.ts";
import type { SmoothedOptions } from "../denoisers/smoothed.ts";
import { uniformTGrid } from "../noise.ts";
import { RandomStream } from "../random.ts";
import { sample } from "../samplers/sample.ts";
import { logSumExp } from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/** A mean of `M` data points, repeats allowed. */
export interface Tuple {
  /** The rows, `M` of them. */
  readonly rows: readonly number[];
  /** Their mean, in data units. */
  readonly barycenter: Float64Array;
}

/**
 * All ordered `M`-tuples of rows and their barycenters, `Nᴹ` of them.
 *
 * @param dataset Few points.
 * @param M Points per tuple.
 * @returns The tuples.
 * @throws {RangeError} If there would be more than a million of them.
 *
 * @example
 * ```ts
 * import { Dataset, tuplesOf } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const two = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
 * assert.deepEqual(tuplesOf(two, 2).map(({ barycenter }) => barycenter[0]), [-1, 0, 0, 1]);
 * ```
 */
export function tuplesOf(dataset: Dataset, M: number): Tuple[] {
  const { count, dimension } = dataset;
  if (!(Number.isInteger(M) && M >= 1 && count ** M <= 1e6)) {
    throw new RangeError(
      `Cannot list the tuples: received ${count} points and M = ${M}, wanted at most a million tuples`,
    );
  }
  const points = Array.from({ length: count }, (_, i) => dataset.values(i));
  return Array.from({ length: count ** M }, (_, at) => {
    const rows = Array.from({ length: M }, (_, m) => Math.floor(at / count ** (M - 1 - m)) % count);
    const barycenter = new Float64Array(dimension);
    for (const row of rows) points[row].forEach((v, c) => barycenter[c] += v / M);
    return { rows, barycenter };
  });
}

/** The vectors `ε_m` of one sample, as {@linkcode smoothed} draws fixed ones. */
function vectorsOf(index: number, M: number, dimension: number): Float64Array[] {
  const stream = new RandomStream({ seed: 0, sample: index, purpose: "smoothing" });
  return Array.from(
    { length: M },
    () => Float64Array.from({ length: dimension }, () => stream.normal()),
  );
}

/** Points of a low-discrepancy sequence in a square. */
function scattered(count: number): Dataset {
  const [a, b] = [.7548776662466927, .5698402909980532];
  const data = Float32Array.from(
    { length: 2 * count },
    (_, at) => 2 * ((at % 2 ? b : a) * (Math.floor(at / 2) + 1) % 1) - 1,
  );
  return new Dataset({ data, shape: [2], name: `${count} scattered points` });
}

async function draw(
  dataset: Dataset,
  options: SmoothedOptions,
  steps: number,
  count: number,
): Promise<Float64Array> {
  const denoiser = smoothed(optimalFloat64(dataset), options);
  const { x } = await sample(denoiser, { count, grid: uniformTGrid(steps), batchSize: count });
  return x;
}

/** The share of samples that are farther than `tolerance` from each of some points. */
function shareAway(
  x: Float64Array,
  dimension: number,
  points: readonly Float64Array[],
  tolerance: number,
): number {
  const count = x.length / dimension;
  let away = 0;
  for (let i = 0; i < count; i++) {
    const near = points.some((point) => {
      let square = 0;
      for (let c = 0; c < dimension; c++) square += (x[i * dimension + c] - point[c]) ** 2;
      return square < tolerance * tolerance;
    });
    if (!near) away++;
  }
  return away / count;
}

/**
 * The smoothed denoiser is an unsmoothed one on tuple barycenters `c_I`, with the noise variance `σ²/M`
 * and a prior that prefers compact tuples and those aligned with the draws:
 *
 * ```text
 * D_β = Σ_I W_I c_I,   W_I ∝ exp(−M [‖x − c_I‖² + Var_I − 2β(1+σ) a_I] / 2σ²),
 * Var_I = (1/M) Σ ‖x_i‖² − ‖c_I‖²,   a_I = (1/M) Σ_m ⟨ε_m, x_{i_m}⟩
 * ```
 *
 * A product of `M` softmaxes is a softmax over tuples.
 *
 * @returns The largest distance between both sides, over three noise levels.
 *
 * @example
 * ```ts
 * import { tupleIdentity } from "@closedform/diffusion";
 *
 * console.log(await tupleIdentity());
 * ```
 */
export async function tupleIdentity(): Promise<Report> {
  const dataset = scattered(6), M = 3, bandwidth = .4;
  const denoiser = smoothed(optimalFloat64(dataset), { bandwidth, M });
  const points = Array.from({ length: 6 }, (_, i) => dataset.values(i));
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => a[0] * b[0] + a[1] * b[1];
  const draws = vectorsOf(0, M, 2);
  const x = Float64Array.of(.2, -.5);
  let worst = 0;
  for (const sigma of [4, .5, .06]) {
    const tuples = tuplesOf(dataset, M);
    const logs = tuples.map(({ rows, barycenter }) => {
      const square = rows.reduce((sum, i) => sum + dot(points[i], points[i]) / M, 0);
      const tilt = rows.reduce((sum, i, m) => sum + dot(draws[m], points[i]) / M, 0);
      const away = x.map((v, c) => v - barycenter[c]);
      const spread = square - dot(barycenter, barycenter);
      const total = dot(away, away) + spread - 2 * bandwidth * (1 + sigma) * tilt;
      return -M * total / (2 * sigma * sigma);
    });
    const normaliser = logSumExp(logs);
    const expected = [0, 0];
    tuples.forEach(({ barycenter }, at) => {
      const weight = Math.exp(logs[at] - normaliser);
      barycenter.forEach((v, c) => expected[c] += weight * v);
    });
    const denoised = await denoiser.denoise(x, sigma);
    worst = Math.max(worst, Math.hypot(denoised[0] - expected[0], denoised[1] - expected[1]));
  }
  return report("smoothed denoiser = posterior mean over tuple barycenters", worst, 1e-12);
}

/**
 * With fixed draws and enough steps, samples are barycenters of `M`-tuples of data points: the limits of
 * the flow are those barycenters that are the mean of the points nearest to the perturbed sample.
 *
 * @returns The share of 500 samples that are not, after 1,000 steps; finite steps leave a few per cent at most.
 *
 * @example
 * ```ts
 * import { barycentricSupport } from "@closedform/diffusion";
 *
 * console.log(await barycentricSupport());
 * ```
 */
export async function barycentricSupport(): Promise<Report> {
  const dataset = scattered(12), M = 2;
  const x = await draw(dataset, { bandwidth: .5, M }, 400, 500);
  const points = tuplesOf(dataset, M).map(({ barycenter }) => barycenter);
  return report(
    "share of smoothed samples away from every tuple barycenter",
    shareAway(x, 2, points, 1e-6),
    .03,
  );
}

/**
 * One draw cannot make anything new: with `M = 1` samples are training points for every bandwidth.
 *
 * @returns The largest share, over three bandwidths, of samples that are none; some end on the border of two cells.
 *
 * @example
 * ```ts
 * import { oneDrawMemorises } from "@closedform/diffusion";
 *
 * console.log(await oneDrawMemorises());
 * ```
 */
export async function oneDrawMemorises(): Promise<Report> {
  const dataset = scattered(12);
  const points = tuplesOf(dataset, 1).map(({ barycenter }) => barycenter);
  let worst = 0;
  for (const bandwidth of [.1, 1, 5]) {
    const x = await draw(dataset, { bandwidth, M: 1 }, 400, 300);
    worst = Math.max(worst, shareAway(x, 2, points, 1e-9));
  }
  return report("share of samples with one draw that are no training point", worst, .01);
}

/**
 * Two points, two draws, a huge bandwidth: each draw picks a point at random, so the law is
 * `−a, 0, a` with `1/4, 1/2, 1/4`.
 *
 * @returns The largest deviation of a share from its law, in standard errors.
 *
 * @example
 * ```ts
 * import { twoPointLaw } from "@closedform/diffusion";
 *
 * console.log(await twoPointLaw());
 * ```
 */
export async function twoPointLaw(): Promise<Report> {
  const count = 3000;
  const two = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
  const x = await draw(two, { bandwidth: 50, M: 2 }, 100, count);
  const law: [number, number][] = [[-1, .25], [0, .5], [1, .25]];
  const deviations = law.map(([at, p]) => {
    const share = 1 - shareAway(x, 1, [Float64Array.of(at)], 1e-6);
    return Math.abs(share - p) / Math.sqrt(p * (1 - p) / count);
  });
  return report(
    "two points, two draws: shares 1/4, 1/2, 1/4, in standard errors",
    Math.max(...deviations),
    4,
  );
}

/**
 * Exact smoothing of two points at `±a` ends where `z = a(2Φ(z/β) − 1)`, which is not 0 exactly if
 * `β < a√(2/π)`: neighbours at a gap `g = 2a` merge at `β* = g/√(2π)`, the rule for the bandwidth.
 *
 * @returns How far the ends are from that, for a bandwidth well below and one well above `β* = 0.798`.
 *
 * @example
 * ```ts
 * import { mergingBandwidth } from "@closedform/diffusion";
 *
 * console.log(await mergingBandwidth());
 * ```
 */
export async function mergingBandwidth(): Promise<Report> {
  const two = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
  const ends = async (bandwidth: number) =>
    await draw(two, { bandwidth, M: 400, draws: "antithetic" }, 100, 6);
  // z = 2Φ(z/0.3) − 1 has the solution 0.99914, z = 2Φ(z/3) − 1 only 0.
  const apart = (await ends(.3)).map((z) => Math.abs(Math.abs(z) - .99914));
  const merged = (await ends(3)).map(Math.abs);
  // A pick flips with probability 4e-4 below; above, 100 steps leave 100^(−1 + 0.27) of the start.
  return report(
    "two points: apart below the merging bandwidth, together above it",
    Math.max(...apart, ...merged),
    .05,
  );
}
