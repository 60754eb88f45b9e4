/**
 * The flow of Gaussian mixtures, to rounding.
 *
 * @module
 */
import {
  denoiseMixture,
  drawMixture,
  meanOfMixture,
} from "../../denoisers/gaussian/mixture_law.ts";
import type { MixtureLaw } from "../../denoisers/gaussian/mixture_law.ts";
import type { ExactFlow } from "./exact_flow.ts";
import { exactFlow } from "./exact_flow.ts";
import { extrapolateFlow } from "./extrapolation.ts";
import type { DenoiseRow } from "./extrapolation.ts";
import { normals } from "./gaussian_flow.ts";

/**
 * The flow of a Gaussian mixture: the denoiser in closed form, the flow map by extrapolation to a
 * relative accuracy of about 1e-12.
 *
 * ```text
 * D(x, σ) = Σₘ pₘ(x, σ) Dₘ(x, σ),   dx/dσ = (x − D)/σ
 * ```
 *
 * Components may be isotropic, of full covariance or points.
 *
 * @param law The mixture, from `mixtureLaw`.
 * @param name What it is, in a few words. Default `"a mixture"`.
 * @returns The flow.
 *
 * @example A mixture of one component is that Gaussian
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import { gaussianFlow, mixtureFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = gaussianLaw([1], 0.25), x = Float64Array.of(-3);
 * const [y] = await mixtureFlow(mixtureLaw([1], [law])).transport(x, 4, 0.1);
 * const [z] = await gaussianFlow(law).transport(x, 4, 0.1);
 * assert.ok(Math.abs(y - z) < 1e-12);
 * ```
 */
export function mixtureFlow(law: MixtureLaw, name: string = "a mixture"): ExactFlow {
  const mean = meanOfMixture(law);
  const denoise: DenoiseRow = (x, sigma) => denoiseMixture(law, x, sigma);
  const spread = smallestSpread(law);
  return exactFlow({
    name,
    mean,
    denoise,
    transport: (x, from, to, signal) => followFlow(denoise, x, from, to, spread, signal),
    draw: (stream, sigma) =>
      drawMixture(law, stream.uniform(), normals(stream, mean.length), sigma),
  });
}

/**
 * The flow map of one row by extrapolation, to noise level 0 too.
 *
 * Near 0 a state with local spread `τ` differs from its denoised estimate by a relative `σ²/2τ²`,
 * so that the estimate at `σ = 1e-8 τ` is the end state to rounding. For points, `τ = 0`, the
 * estimate has reached a point long before; there `τ` is the size of their cloud.
 *
 * @param denoise The denoiser of one row.
 * @param x The state at `from`.
 * @param from The noise level `σ > 0`.
 * @param to The noise level to go to, `≥ 0`.
 * @param spread The smallest length scale `τ > 0` of the data.
 * @param signal Cancels.
 * @returns The state at `to`.
 */
export async function followFlow(
  denoise: DenoiseRow,
  x: Float64Array,
  from: number,
  to: number,
  spread: number,
  signal?: AbortSignal,
): Promise<Float64Array> {
  if (to > 0) return await extrapolateFlow(denoise, x, from, to, signal);
  const least = Math.min(from, 1e-8 * spread);
  return denoise(await extrapolateFlow(denoise, x, from, least, signal), least);
}

/** The smallest positive standard deviation of a component; of points, the size of their cloud. */
function smallestSpread({ components }: MixtureLaw): number {
  const variances = components.flatMap(({ variances, floor, mean }) =>
    [...variances, ...(variances.length < mean.length ? [floor] : [])].filter((v) => v > 0)
  );
  if (variances.length > 0) return Math.sqrt(Math.min(...variances));
  return sizeOf(components.map(({ mean }) => mean)) || 1;
}

/**
 * The largest distance of rows from the first one.
 *
 * @param rows The rows.
 * @returns The distance; 0 if all are the same.
 */
export function sizeOf(rows: readonly ArrayLike<number>[]): number {
  let most = 0;
  for (const row of rows) {
    let square = 0;
    for (let c = 0; c < row.length; c++) square += (row[c] - rows[0][c]) ** 2;
    most = Math.max(most, Math.sqrt(square));
  }
  return most;
}
