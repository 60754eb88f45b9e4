/**
 * Statements about starting smoothed sampling late, from the unsmoothed law.
 *
 * @module
 */
import { Dataset } from "../datasets/dataset.ts";
import { optimalFloat64 } from "../denoisers/optimal.ts";
import { smoothed } from "../denoisers/smoothed.ts";
import { uniformTGrid } from "../noise.ts";
import { RandomStream } from "../random.ts";
import { sample } from "../samplers/sample.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

const STEPS = 1000, PATHS = 16, M = 4;
/** Euler's method with 1,000 steps is off by less than this. */
const EULER = 2e-4;

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
 *
 * @example
 * ```ts
 * import { lateStartBound } from "@closedform/diffusion";
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
  const growth = Math.expm1(diameter ** 2 * T ** 2 / (8 * (1 - T) ** 2));
  return Math.min(bandwidth * meanLength * growth, T * diameter);
}

/**
 * The bound of {@linkcode lateStartBound} on every path.
 *
 * @returns The largest ratio of a distance, less the error of the solver, to its bound.
 *
 * @example
 * ```ts
 * import { lateStartBounded } from "@closedform/diffusion";
 *
 * console.log(await lateStartBounded());
 * ```
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
 *
 * @example
 * ```ts
 * import { lateStartTight } from "@closedform/diffusion";
 *
 * console.log(await lateStartTight());
 * ```
 */
export async function lateStartTight(): Promise<Report> {
  const [ratios] = await ratiosOf(pair(), .2, [.2], 0);
  return report(
    "late start: the bound is reached to nine tenths by two points at T = 0.2",
    .9 / Math.max(...ratios),
    1,
  );
}

function pair(): Dataset {
  return new Dataset({ data: Float32Array.of(-.5, .5), shape: [1], name: "a pair" });
}

/** Distance over bound, less an error of the solver, for each time and path. */
async function ratiosOf(
  dataset: Dataset,
  bandwidth: number,
  times: readonly number[],
  error: number,
): Promise<number[][]> {
  const { dimension } = dataset;
  const base = optimalFloat64(dataset);
  const run = { count: PATHS, grid: uniformTGrid(STEPS), seed: 1, trajectory: true };
  const [plain, moved] = [
    await sample(base, run),
    await sample(smoothed(base, { bandwidth, M }), run),
  ];
  const lengths = Array.from({ length: PATHS }, (_, path) => meanLength(path, dimension));
  const diameter = diameterOf(dataset);
  return times.map((T) => {
    // Point n of the trajectory is at t = (n + 1)/S, and z = t x.
    const at = Math.round(T * STEPS) - 1;
    const [z, y] = [plain.trajectory![at].x, moved.trajectory![at].x];
    return lengths.map((length, path) => {
      let square = 0;
      for (let c = 0; c < dimension; c++) {
        square += (T * (y[path * dimension + c] - z[path * dimension + c])) ** 2;
      }
      return (Math.sqrt(square) - error) / lateStartBound(T, bandwidth, length, diameter);
    });
  });
}

/** The mean length of one path's draws. */
function meanLength(path: number, dimension: number): number {
  const stream = new RandomStream({ seed: 0, sample: path, purpose: "smoothing" });
  let sum = 0;
  for (let m = 0; m < M; m++) {
    let square = 0;
    for (let c = 0; c < dimension; c++) square += stream.normal() ** 2;
    sum += Math.sqrt(square);
  }
  return sum / M;
}

function diameterOf(dataset: Dataset): number {
  const points = Array.from({ length: dataset.count }, (_, i) => dataset.values(i));
  const between = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((v, c) => v - b[c]));
  return Math.max(...points.flatMap((a) => points.map((b) => between(a, b))));
}
