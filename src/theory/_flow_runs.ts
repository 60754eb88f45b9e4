/**
 * Runs of samplers on flows that are known, and the errors of their end states.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";
import { logSnrGrid } from "../base/noise.ts";
import { collocation } from "../samplers/collocation.ts";
import type { CollocationOptions, CollocationStep } from "../samplers/collocation.ts";
import type { Sampler, SamplerStep } from "../samplers/sampler.ts";

/** The noise levels that experiments run between: far above the data, far below their spread. */
export const RANGE = { sigmaMax: 40, sigmaMin: 0.005 };

/** The last step of a run. */
export async function lastStep(
  sampler: Sampler,
  denoiser: Denoiser<Float64Array>,
  start: Float64Array,
  sigmas: readonly number[],
): Promise<SamplerStep<Float64Array>> {
  let last: SamplerStep<Float64Array> | undefined;
  for await (const step of sampler.run(denoiser, start, sigmas)) last = step;
  return last!;
}

/** The last step of collocation over the range, in so many windows where they are fixed. */
export async function collocate(
  options: CollocationOptions,
  { denoiser }: { readonly denoiser: Denoiser<Float64Array> },
  start: Float64Array,
  windows = 1,
): Promise<CollocationStep<Float64Array>> {
  const { sigmas } = logSnrGrid(windows, RANGE);
  return await lastStep(
    collocation(options),
    denoiser,
    start,
    sigmas,
  ) as CollocationStep<Float64Array>;
}

/** Options that give end states to about 1e-13, as tests against extrapolation show. */
export const REFERENCE: CollocationOptions = { nodes: 12, tolerance: 1e-13 };

/** Euclidean distances of rows. */
export function rowDistances(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  dimension: number,
): Float64Array {
  return Float64Array.from({ length: a.length / dimension }, (_, r) => {
    let sum = 0;
    for (let c = r * dimension; c < (r + 1) * dimension; c++) sum += (a[c] - b[c]) ** 2;
    return Math.sqrt(sum);
  });
}

/** `√(mean ‖x − y‖² / mean ‖y‖²)` over rows. */
export function relativeError(x: Float64Array, y: Float64Array): number {
  let error = 0, size = 0;
  for (let i = 0; i < x.length; i++) {
    error += (x[i] - y[i]) ** 2;
    size += y[i] ** 2;
  }
  return Math.sqrt(error / size);
}

/** The slope of the least-squares line through points. */
export function slopeOf(x: readonly number[], y: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  return x.reduce((sum, v, i) => sum + (v - mx) * (y[i] - my), 0) /
    x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
}
