/**
 * Statements about where smoothed closed-form samples lie.
 *
 * @module
 */
import type { Dataset } from "../datasets/dataset.ts";
import { optimal } from "../denoisers/optimal.ts";
import { smoothed } from "../denoisers/smoothed.ts";
import { sigmaOfFlowTime } from "../base/noise.ts";
import {
  endsOf,
  isNear,
  nearestOf,
  pointsOf,
  scattered,
  shareWhere,
  vectorsOf,
} from "./_smoothed_runs.ts";
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
 * import { Dataset } from "@closedform/diffusion";
 * import { tuplesOf } from "./smoothed_support.ts";
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
  const points = pointsOf(dataset);
  return Array.from({ length: count ** M }, (_, at) => {
    const rows = Array.from({ length: M }, (_, m) => Math.floor(at / count ** (M - 1 - m)) % count);
    const barycenter = new Float64Array(dimension);
    for (const row of rows) barycenter.forEach((_, c) => barycenter[c] += points[row][c] / M);
    return { rows, barycenter };
  });
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
 */
export async function tupleIdentity(): Promise<Report> {
  const dataset = scattered(6), M = 3, bandwidth = .4;
  const denoiser = await smoothed(dataset, { bandwidth, draws: M, device: "float64" });
  const points = pointsOf(dataset);
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
    const expected = meanOf(tuples, logs);
    const denoised = (await denoiser.denoise(x, sigma)).mean;
    worst = Math.max(worst, Math.hypot(denoised[0] - expected[0], denoised[1] - expected[1]));
  }
  return report("smoothed denoiser = posterior mean over tuple barycenters", worst, 1e-12);
}

/**
 * The smoothed score points at a weighted mean of rescaled barycenters. In flow coordinates `z = tx`:
 *
 * ```text
 * (1/M) Σ_m k_t(z + βε_m) − z = t Σ_I W_I c_I − z,   k_t(z) = Σ_i w_i t x_i,
 * W_I ∝ exp(−M [‖z − t c_I‖² + t² Var_I − 2βt a_I] / 2(1−t)²)
 * ```
 *
 * The left side over `(1−t)²` is the published estimator of the smoothed score; the state that is taken off is not
 * perturbed.
 *
 * Reference: C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), arXiv:2310.12395, for the form; weights and proof are ours.
 *
 * @returns The largest distance between both sides, over three flow times, and 1e-12.
 */
export async function barycenterForm(): Promise<Report> {
  const dataset = scattered(6), M = 3, bandwidth = .4;
  const base = await optimal(dataset, { device: "float64" }), points = pointsOf(dataset);
  const tuples = tuplesOf(dataset, M), draws = vectorsOf(0, M, 2);
  const z = Float64Array.of(.3, -.2);
  let worst = 0;
  for (const t of [.2, .7, .95]) {
    const score = z.map((v) => -v);
    for (const draw of draws) {
      const query = z.map((v, c) => (v + bandwidth * draw[c]) / t);
      const mean = (await base.denoise(query, sigmaOfFlowTime(t))).mean;
      mean.forEach((v, c) => score[c] += t * v / M);
    }
    const logs = tuples.map(({ rows, barycenter }) => {
      const square = rows.reduce((sum, i) => sum + dot(points[i], points[i]) / M, 0);
      const tilt = rows.reduce((sum, i, m) => sum + dot(draws[m], points[i]) / M, 0);
      const away = z.map((v, c) => v - t * barycenter[c]);
      const spread = t * t * (square - dot(barycenter, barycenter));
      const total = dot(away, away) + spread - 2 * bandwidth * t * tilt;
      return -M * total / (2 * (1 - t) ** 2);
    });
    const expected = meanOf(tuples, logs).map((v, c) => t * v - z[c]);
    worst = Math.max(worst, Math.hypot(score[0] - expected[0], score[1] - expected[1]));
  }
  return report("smoothed score points at a mean of rescaled barycenters", worst, 1e-12);
}

/** The mean of barycenters under given logits. */
function meanOf(tuples: readonly Tuple[], logits: readonly number[]): Float64Array {
  const normaliser = logSumExp(logits), mean = new Float64Array(2);
  tuples.forEach(({ barycenter }, at) => {
    const weight = Math.exp(logits[at] - normaliser);
    barycenter.forEach((v, c) => mean[c] += weight * v);
  });
  return mean;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return a[0] * b[0] + a[1] * b[1];
}

/**
 * Every smoothed sample lies in the convex hull of the data, for every bandwidth, number of steps and kind of draws:
 * it is the denoiser's last output, a mean of means of data points.
 *
 * @returns How far the farthest of some samples is outside a side of the hull, and 1e-9.
 */
export async function samplesInHull(): Promise<Report> {
  const dataset = scattered(12);
  let worst = -Infinity;
  for (const drawKind of ["fixed", "fresh", "antithetic"] as const) {
    for (const bandwidth of [.5, 5]) {
      for (const steps of [5, 60]) {
        const x = await endsOf(dataset, { bandwidth, draws: 4, drawKind }, steps, 100);
        worst = Math.max(worst, outsideHull(pointsOf(dataset), x));
      }
    }
  }
  return report(
    "smoothed samples are in the convex hull of the data (distance outside)",
    worst,
    1e-9,
  );
}

/** How far rows are outside the sides of the convex hull of points in the plane, at most; negative inside. */
function outsideHull(points: readonly ArrayLike<number>[], x: Float64Array): number {
  let worst = -Infinity;
  for (const p of points) {
    for (const q of points) {
      const [dx, dy] = [q[0] - p[0], q[1] - p[1]], length = Math.hypot(dx, dy);
      const beyond = (at: ArrayLike<number>) =>
        ((at[0] - p[0]) * dy - (at[1] - p[1]) * dx) / length;
      // A side has no point beyond it.
      if (p === q || !points.every((r) => beyond(r) <= 1e-12)) continue;
      for (let at = 0; at < x.length; at += 2) {
        worst = Math.max(worst, beyond(x.subarray(at, at + 2)));
      }
    }
  }
  return worst;
}

const M = 3, BANDWIDTH = .5, SAMPLES = 600;
/** Shares on twelve points after so many steps, from an independent float64 computation. */
const SUPPORT = [
  { steps: 50, barycenters: .945, fixedPoints: .79 },
  { steps: 100, barycenters: .98, fixedPoints: .86 },
  { steps: 200, barycenters: .997, fixedPoints: .905 },
  { steps: 400, barycenters: 1, fixedPoints: .935 },
];

let measured: Promise<typeof SUPPORT> | undefined;

/** The same shares as this code finds them; several statements share the runs. */
function supportShares(): Promise<typeof SUPPORT> {
  measured ??= Promise.all(SUPPORT.map(async ({ steps }) => {
    const dataset = scattered(12), points = pointsOf(dataset);
    const x = await endsOf(dataset, { bandwidth: BANDWIDTH, draws: M }, steps, SAMPLES);
    const targets = tuplesOf(dataset, M).map(({ barycenter }) => barycenter);
    const isFixed = (row: Float64Array, i: number) => {
      const mean = new Float64Array(2);
      for (const draw of vectorsOf(i, M, 2)) {
        const near = nearestOf(points, row.map((v, c) => v + BANDWIDTH * draw[c]));
        mean.forEach((_, c) => mean[c] += near[c] / M);
      }
      return isNear([mean], 1e-6)(row);
    };
    return {
      steps,
      barycenters: shareWhere(x, 2, isNear(targets, 1e-6)),
      fixedPoints: shareWhere(x, 2, isFixed),
    };
  }));
  return measured;
}

async function farthestShare(name: "barycenters" | "fixedPoints"): Promise<number> {
  const found = await supportShares();
  return Math.max(...SUPPORT.map((row, k) => Math.abs(row[name] - found[k][name])));
}

/**
 * With fixed draws and enough steps, samples are barycenters of `M`-tuples of data points.
 *
 * @returns The largest difference of a share of 600 samples from 0.945, 0.98, 0.997 and 1 after 50, 100, 200 and 400 steps, and 0.03.
 */
export async function barycentricSupport(): Promise<Report> {
  return report(
    "share of samples at a tuple barycenter: .945, .98, .997, 1 (largest difference)",
    await farthestShare("barycenters"),
    .03,
  );
}

/**
 * The limits of the flow with fixed draws are the barycenters that are the mean of the points nearest to the
 * perturbed sample:
 *
 * ```text
 * x = (1/M) Σ_m NN(x + βε_m)
 * ```
 *
 * @returns The largest difference of the share of 600 samples that are, from 0.79, 0.86, 0.905 and 0.935 after 50, 100, 200 and 400 steps, and three standard errors.
 */
export async function fixedPointSupport(): Promise<Report> {
  return report(
    "share of samples that are the mean of nearest points: .79, .86, .905, .935 (largest difference)",
    await farthestShare("fixedPoints"),
    3 * Math.sqrt(.79 * .21 / SAMPLES),
  );
}

/**
 * Both shares rise with the number of steps: the last step is a smoother of its own width, which shrinks.
 *
 * @returns The largest fall of a share from one number of steps to twice as many, and 0.
 */
export async function supportRises(): Promise<Report> {
  const found = await supportShares();
  const falls = found.slice(1).flatMap((row, k) => [
    found[k].barycenters - row.barycenters,
    found[k].fixedPoints - row.fixedPoints,
  ]);
  return report(
    "shares of barycenters and fixed points rise with the steps (fall)",
    Math.max(...falls),
    0,
  );
}

/**
 * One draw cannot make anything new: with `M = 1` samples are items of the data for every bandwidth.
 *
 * @returns The largest share, over three bandwidths, of samples that are none; some end on the border of two cells.
 */
export async function oneDrawMemorises(): Promise<Report> {
  const dataset = scattered(12);
  const points = pointsOf(dataset);
  let worst = 0;
  for (const bandwidth of [.1, 1, 5]) {
    const x = await endsOf(dataset, { bandwidth, draws: 1 }, 400, 200);
    worst = Math.max(worst, 1 - shareWhere(x, 2, isNear(points, 1e-9)));
  }
  return report("share of samples with one draw that are no item of the data", worst, .005);
}
