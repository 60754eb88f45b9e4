/**
 * Statements about the cost of collocation: what it depends on, and what it does not.
 *
 * @module
 */
import { medianOf } from "../base/_quantile.ts";
import { logSnrGrid } from "../base/noise.ts";
import { collocation } from "../samplers/collocation.ts";
import { collocate, lastStep, RANGE, REFERENCE, slopeOf } from "./_flow_runs.ts";
import { rowDistances } from "./_flow_runs.ts";
import { sphereTarget } from "./flows/targets.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * Evaluations grow as a power of `log(1/ε)`: the exponent of the logarithm, fitted over
 * ε = 1e-3 … 1e-10.
 *
 * The theorem for the published scheme says polylogarithmic (K. Gatmiry, S. Chen, A. Salim (2026),
 * arXiv:2601.10708); the exponent is a measurement. A method of order `q` needs `ε^{−1/q}`.
 *
 * @returns The slope of `ln(evaluations)` over `ln ln(1/ε)`, and 1.7; infinite if the median error of a sample exceeds an `ε`.
 */
export async function logarithmicCost(): Promise<Report> {
  const target = sphereTarget(32, { seed: 2 });
  const start = target.draw(24, RANGE.sigmaMax, 2);
  const exact = (await collocate(REFERENCE, target, start)).x;
  const points: { digits: number; evaluations: number }[] = [];
  let kept = true;
  for (let digits = 3; digits <= 10; digits++) {
    const tolerance = 10 ** -digits;
    const { x, evaluations } = await collocate({ tolerance }, target, start);
    const error = medianOf(rowDistances(x, exact, target.dimension)) / target.scale;
    kept &&= error <= tolerance;
    points.push({ digits, evaluations });
  }
  const exponent = slopeOf(
    points.map(({ digits }) => Math.log(digits)),
    points.map(({ evaluations }) => Math.log(evaluations)),
  );
  return report("evaluations ~ log(1/ε)^p, fitted p", kept ? exponent : Infinity, 1.7);
}

/**
 * Evaluations at `ε = 1e-8` do not depend on the dimension, if the radius of the data does not.
 *
 * The logarithm of the density changes along the flow by `O(R/σ + R²/σ²)`, without `d`.
 *
 * @returns The largest over the smallest number of evaluations at d = 2, 32, 512, 3072, and 1.3.
 */
export async function costWithoutDimension(): Promise<Report> {
  const costs: number[] = [];
  for (const [dimension, count] of [[2, 32], [32, 32], [512, 12], [3072, 6]]) {
    const target = sphereTarget(dimension, { seed: 3 });
    const start = target.draw(count, RANGE.sigmaMax, 3);
    costs.push((await collocate({ tolerance: 1e-8 }, target, start)).evaluations);
  }
  return report(
    "evaluations at ε = 1e-8, d = 2 … 3,072 (largest over smallest)",
    Math.max(...costs) / Math.min(...costs),
    1.3,
  );
}

/**
 * Evaluations stop growing with `R/σ_min` once the posterior has collapsed: then `D` is constant. The
 * worst case of the theorem is `(R/σ_min)²`.
 *
 * 64 equal points on the unit sphere of 32 dimensions, `ε = 1e-8`.
 *
 * @returns Evaluations at `R/σ_min` = 1000 over those at 100, and 1.15.
 */
export async function costAfterCollapse(): Promise<Report> {
  const target = sphereTarget(32, { seed: 4, modes: 64, spread: 0 });
  const start = target.draw(24, RANGE.sigmaMax, 4);
  const sampler = collocation({ tolerance: 1e-8 });
  const [near, far] = await Promise.all([100, 1000].map(async (ratio) => {
    const { sigmas } = logSnrGrid(1, { sigmaMax: RANGE.sigmaMax, sigmaMin: 1 / ratio });
    return (await lastStep(sampler, target.denoiser, start, sigmas)).evaluations;
  }));
  return report("evaluations at R/σ_min = 1000 over those at 100", far / near, 1.15);
}

/**
 * Evaluations grow with the logarithm of the number of points: with what there is to be decided.
 *
 * Equal points on the unit sphere of 64 dimensions, `ε = 1e-4`, `M` = 2, 16, 128, 1024.
 *
 * @returns The slope of evaluations over `ln M`, and 20.
 */
export async function costInPoints(): Promise<Report> {
  const counts = [2, 16, 128, 1024], costs: number[] = [];
  for (const modes of counts) {
    const target = sphereTarget(64, { seed: 5, modes, spread: 0 });
    const start = target.draw(modes > 500 ? 8 : 16, RANGE.sigmaMax, 5);
    costs.push((await collocate({ tolerance: 1e-4 }, target, start)).evaluations);
  }
  return report(
    "evaluations per ln M, M = 2 … 1,024 points",
    slopeOf(counts.map(Math.log), costs),
    20,
  );
}
