/**
 * Statements about starting smoothed sampling late, from the unsmoothed law.
 *
 * @module
 */
import { Dataset } from "../datasets/dataset.ts";
import { optimal } from "../denoisers/optimal.ts";
import { smoothed } from "../denoisers/smoothed.ts";
import type { SmoothedOptions } from "../denoisers/smoothed.ts";
import { uniformTGrid } from "../base/noise.ts";
import { sample } from "../samplers/sample.ts";
import { rowDistances, slopeOf } from "./_flow_runs.ts";
import { onLine, pointsOf, vectorsOf } from "./_smoothed_runs.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

const STEPS = 2000, PATHS = 16, M = 4;
/** Euler's method with 2,000 steps is off by less than this. */
const EULER = 1e-4;

/**
 * How far smoothing can move a path by flow time `T`, in flow coordinates:
 *
 * ```text
 * ‖y_T − z_T‖ ≤ min( β ē (exp(Δ² T² / 8(1−T)²) − 1),  T Δ )
 * ```
 *
 * for the smoothed path `y` and the unsmoothed one `z` from the same noise; `ē` is the mean length of the
 * draws and `Δ` the diameter of the data. In the mean over draws it bounds the Wasserstein distance
 * of the smoothed law from the one that a late start draws from.
 *
 * Proof. The denoiser's Jacobian in `z` is `t Cov/(1−t)²`, of norm at most `tΔ²/4(1−t)²`; so the
 * smoothed velocity has the one-sided Lipschitz constant `−1/(1−t) + tΔ²/4(1−t)³` and differs from the
 * plain one by at most `β ē tΔ²/4(1−t)³`. Grönwall's inequality gives the first bound; the second holds
 * because both paths are `(1−T)` times the noise plus `T` times means of the data.
 *
 * Reference: C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), arXiv:2310.12395, bounds the same error; constants and proof are ours.
 *
 * @param T The flow time, in (0, 1).
 * @param bandwidth `β`, in data units.
 * @param meanLength `ē`, the mean length of the draws.
 * @param diameter `Δ`, in data units.
 * @returns The bound on the distance in flow coordinates, in data units.
 * @throws {RangeError} If `T` is not in [0, 1), or a length is negative or not finite.
 *
 * @example
 * ```ts
 * import { lateStartBound } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.equal(lateStartBound(0.99, 0.1, 1, 1), 0.99);
 * ```
 */
export function lateStartBound(
  T: number,
  bandwidth: number,
  meanLength: number,
  diameter: number,
): number {
  const lengths = [bandwidth, meanLength, diameter];
  if (!(T >= 0 && T < 1) || !lengths.every((v) => v >= 0 && v < Infinity)) {
    throw new RangeError(
      `Cannot bound a late start: T is ${T}, bandwidth, length and diameter are ${
        lengths.join(", ")
      }, wanted T in [0, 1) and finite numbers >= 0`,
    );
  }
  const growth = Math.expm1(diameter ** 2 * T ** 2 / (8 * (1 - T) ** 2));
  const early = bandwidth * meanLength;
  // Infinite growth of nothing is nothing.
  return early === 0 ? 0 : Math.min(early * growth, T * diameter);
}

/**
 * The bound of {@linkcode lateStartBound} on every path.
 *
 * @returns The largest ratio of a distance, less the error of the solver, to its bound.
 */
export async function lateStartBounded(): Promise<Report> {
  const four = new Dataset({
    data: Float32Array.of(-.5, -.5, .5, -.4, .1, .5, -.2, .3),
    shape: [2],
    name: "four points",
  });
  let worst = 0;
  for (const dataset of [pair(), four]) {
    for (const bandwidth of [.05, .2]) {
      const ratios = await ratiosOf(dataset, bandwidth, [.2, .5, .8, .9], EULER);
      worst = Math.max(worst, ...ratios.flat());
    }
  }
  return report("late start: moved by smoothing over its bound, every path", worst, 1);
}

/**
 * The bound is not empty: on two points it is nearly reached at `T = 0.2`.
 *
 * @returns 0.9 over the largest ratio of a distance to its bound.
 */
export async function lateStartTight(): Promise<Report> {
  const [ratios] = await ratiosOf(pair(), .2, [.2], 0);
  return report(
    "late start: the bound is reached to nine tenths by two points at T = 0.2",
    .9 / Math.max(...ratios),
    1,
  );
}

/**
 * Draws in pairs `(ε, −ε)` cancel to first order: what smoothing moves a path by is then of order `β²`, and of order `β` else.
 *
 * @returns The largest distance of the slope of log rms against log β from 2 in pairs and from 1 without, for two points at T = 0.5, and 0.15.
 */
export async function antitheticStart(): Promise<Report> {
  const bandwidths = [.2, .1, .05];
  let worst = 0;
  for (const [drawKind, order] of [["antithetic", 2], ["fixed", 1]] as const) {
    const logs: number[] = [];
    for (const bandwidth of bandwidths) {
      const [gaps] = await gapsOf(pair(), { bandwidth, draws: M, drawKind }, [.5]);
      logs.push(Math.log(gaps.reduce((sum, gap) => sum + gap * gap, 0)) / 2);
    }
    worst = Math.max(worst, Math.abs(slopeOf(bandwidths.map(Math.log), logs) - order));
  }
  return report("late start: error of order β² with pairs of draws, β without (slope)", worst, .15);
}

function pair(): Dataset {
  return onLine(-.5, .5);
}

/** Distance over bound, less an error of the solver, for each time and path. */
async function ratiosOf(
  dataset: Dataset,
  bandwidth: number,
  times: readonly number[],
  error: number,
): Promise<number[][]> {
  const gaps = await gapsOf(dataset, { bandwidth, draws: M }, times);
  const diameter = diameterOf(dataset);
  const lengths = Array.from({ length: PATHS }, (_, path) => {
    const draws = vectorsOf(path, M, dataset.dimension);
    return draws.reduce((sum, draw) => sum + Math.hypot(...draw) / M, 0);
  });
  return times.map((T, k) =>
    Array.from(
      gaps[k],
      (gap, path) => (gap - error) / lateStartBound(T, bandwidth, lengths[path], diameter),
    )
  );
}

/** How far smoothing has moved each path by each time, in flow coordinates. */
async function gapsOf(
  dataset: Dataset,
  options: SmoothedOptions,
  times: readonly number[],
): Promise<Float64Array[]> {
  const base = await optimal(dataset, { device: "float64" });
  const run = { count: PATHS, grid: uniformTGrid(STEPS), seed: 1, trajectory: true };
  const plain = await sample(base, { ...run, output: "tensor" }),
    moved = await sample(await smoothed(base, options), { ...run, output: "tensor" });
  return times.map((T) => {
    // Point n of the trajectory is at t = (n + 1)/S, and z = t x.
    const at = Math.round(T * STEPS) - 1;
    const [x, y] = [plain, moved].map(({ trajectory }) => Float64Array.from(trajectory![at].x));
    return rowDistances(x, y, dataset.dimension).map((distance) => T * distance);
  });
}

function diameterOf(dataset: Dataset): number {
  const points = pointsOf(dataset).map((point) => Array.from(point));
  const between = (a: number[], b: number[]) => Math.hypot(...a.map((v, c) => v - b[c]));
  return Math.max(...points.flatMap((a) => points.map((b) => between(a, b))));
}
