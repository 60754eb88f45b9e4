/** Smoothed closed-form diffusion as published, in flow coordinates, with given noise and draws: plain float64. */
import { RandomStream } from "@closedform/diffusion";
import { flowTimeOfSigma } from "@closedform/diffusion/theory";
import type { Dataset } from "@closedform/diffusion";

/** The data, the bandwidth and the draws of one trajectory. */
export interface FlowModel {
  readonly points: readonly number[][];
  readonly bandwidth: number;
  readonly draws: readonly number[][];
}

/** A mistake that is seen in other code. */
export type Slip = "perturbed state" | "skipped first step";

/** The points of a data set as lists of numbers. */
export function pointsOf(dataset: Dataset): number[][] {
  return Array.from({ length: dataset.count }, (_, i) => Array.from(dataset.values(i)));
}

/** The vectors that the smoothed denoiser draws for one sample. */
export function drawsOf(sample: number, M: number, dimension: number, seed = 0): number[][] {
  const stream = new RandomStream({ seed, sample, purpose: "smoothing" });
  return Array.from({ length: M }, () => Array.from({ length: dimension }, () => stream.normal()));
}

export function meanOf(rows: readonly number[][]): number[] {
  return rows[0].map((_, c) => rows.reduce((sum, row) => sum + row[c] / rows.length, 0));
}

/** `k_t(z) = Σ w_i t x_i`, with `w` the softmax of `−‖z − t x_i‖²/2(1−t)²`, less what the logits have in common. */
export function flowMean(points: readonly number[][], z: readonly number[], t: number): number[] {
  return tiltedMean(points, z, t, z.map(() => 0));
}

/** The same with `2⟨tilt, t x_i⟩` taken off the squares: the query stays, the logits are tilted. */
export function tiltedMean(
  points: readonly number[][],
  z: readonly number[],
  t: number,
  tilt: readonly number[],
): number[] {
  const logits = points.map((x) =>
    -x.reduce((sum, v, c) => sum + (z[c] - t * v) ** 2 - 2 * t * v * tilt[c], 0) /
    (2 * (1 - t) ** 2)
  );
  const most = Math.max(...logits), weights = logits.map((l) => Math.exp(l - most));
  const total = weights.reduce((sum, w) => sum + w);
  return z.map((_, c) => points.reduce((sum, x, i) => sum + weights[i] / total * t * x[c], 0));
}

/** The smoothed mean of the data given `z`, in data units. At `t = 0` it is the mean of the data. */
export function flowDenoised(model: FlowModel, z: readonly number[], t: number): number[] {
  const { points, bandwidth, draws } = model;
  if (t === 0) return meanOf(points);
  return meanOf(draws.map((draw) => flowMean(points, z.map((v, c) => v + bandwidth * draw[c]), t)))
    .map((v) => v / t);
}

/** Euler's method on `dz/dt = (D − z)/(1−t)` from the noise at `t = 0`, in so many equal steps. */
export function flowEnd(
  model: FlowModel,
  noise: readonly number[],
  steps: number,
  slip?: Slip,
): number[] {
  let z = [...noise];
  const away = meanOf(model.draws);
  for (let n = 0; n < steps; n++) {
    if (n === 0 && slip === "skipped first step") continue;
    const t = n / steps;
    let mean = flowDenoised(model, z, t);
    // Averaging the score at perturbed states also moves it by −β times the mean of the draws.
    if (n > 0 && slip === "perturbed state") {
      mean = mean.map((v, c) => v - model.bandwidth / t * away[c]);
    }
    z = z.map((v, c) => v + (mean[c] - v) / (steps - n));
  }
  return z;
}

/** DDIM without noise in variance-preserving coordinates, on the same levels, from the same start. */
export function ddimEnd(model: FlowModel, noise: readonly number[], steps: number): number[] {
  const sigmas = Array.from({ length: steps }, (_, n) => (steps - 1 - n) / (n + 1));
  const alphas = sigmas.map((sigma) => 1 / (1 + sigma * sigma));
  const centre = meanOf(model.points);
  let y = noise.map((e, c) => Math.sqrt(alphas[0]) * (centre[c] + sigmas[0] * e));
  for (let n = 0; n + 1 < steps; n++) {
    const [alpha, next] = [alphas[n], alphas[n + 1]];
    const t = flowTimeOfSigma(sigmas[n]);
    const mean = flowDenoised(model, y.map((v) => t * v / Math.sqrt(alpha)), t);
    y = y.map((v, c) => {
      const predicted = (v - Math.sqrt(alpha) * mean[c]) / Math.sqrt(1 - alpha);
      return Math.sqrt(next) * mean[c] + Math.sqrt(1 - next) * predicted;
    });
  }
  return y;
}
