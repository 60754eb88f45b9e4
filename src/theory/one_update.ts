/**
 * Statement: DDIM, Euler in σ and Euler on the flow equation are one update.
 *
 * @module
 */
import { arraySpace } from "../states/linear_space.ts";
import { alphaBarOfSigma, ddpmGrid, flowTimeOfSigma } from "../base/noise.ts";
import { startNoise } from "../base/random.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * The three updates of the literature agree, on every positive step of the DDPM grid.
 *
 * ```text
 * DDIM:  z' = √ᾱ' D + √(1−ᾱ') (z − √ᾱ D)/√(1−ᾱ),   z = √ᾱ x
 * Euler: x' = x + (σ'−σ)(x − D)/σ
 * flow:  z' = z + (t'−t)(D − z)/(1−t),               z = t x
 * ours:  x' = ρx + (1−ρ)D,                           ρ = σ'/σ
 * ```
 *
 * The proof: all three keep the line `x = D + σn` with `n = (x − D)/σ` fixed.
 *
 * @returns The largest difference, relative to the largest number that enters, and `1e-14`.
 */
export function oneUpdate(): Report {
  const { sigmas } = ddpmGrid(10);
  const denoised = startNoise(1, 0, 1, 64);
  let worst = 0;
  for (let i = 0; i + 2 < sigmas.length; i++) {
    const [sigma, next] = [sigmas[i], sigmas[i + 1]];
    const x = arraySpace.combine([1, sigma], [denoised, startNoise(2, i, 1, 64)]);
    const ours = arraySpace.combine([next / sigma, 1 - next / sigma], [x, denoised]);
    const size = Math.max(...x.map(Math.abs));
    for (
      const other of [
        ddim(x, denoised, sigma, next),
        euler(x, denoised, sigma, next),
        flow(x, denoised, sigma, next),
      ]
    ) {
      // Near clean data, 1 − ᾱ and 1 − t cancel: the coordinates lose up to 1/σ² of their precision.
      const lost = 1 + 1 / (next * next);
      other.forEach((v, c) => worst = Math.max(worst, Math.abs(v - ours[c]) / (size * lost)));
    }
  }
  return report(
    "DDIM, Euler in σ and the flow step are one update (relative difference)",
    worst,
    1e-14,
  );
}

type Update = (x: Float64Array, d: Float64Array, sigma: number, next: number) => Float64Array;

const ddim: Update = (x, d, sigma, next) => {
  const [a, a2] = [alphaBarOfSigma(sigma), alphaBarOfSigma(next)];
  return x.map((v, c) => {
    const noise = (Math.sqrt(a) * v - Math.sqrt(a) * d[c]) / Math.sqrt(1 - a);
    return d[c] + Math.sqrt(1 - a2) * noise / Math.sqrt(a2);
  });
};

const euler: Update = (x, d, sigma, next) =>
  x.map((v, c) => v + (next - sigma) * (v - d[c]) / sigma);

const flow: Update = (x, d, sigma, next) => {
  const [t, t2] = [flowTimeOfSigma(sigma), flowTimeOfSigma(next)];
  return x.map((v, c) => (t * v + (t2 - t) * (d[c] - t * v) / (1 - t)) / t2);
};
