/**
 * The flow of Gaussian data, in closed form.
 *
 * @module
 */
import {
  denoiseGaussian,
  drawGaussian,
  gaussianLaw,
} from "../../denoisers/gaussian/gaussian_law.ts";
import { transportGaussian } from "../../denoisers/gaussian/gaussian_law.ts";
import type { GaussianLaw } from "../../denoisers/gaussian/gaussian_law.ts";
import type { RandomStream } from "../../base/random.ts";
import type { ExactFlow } from "./exact_flow.ts";
import { exactFlow } from "./exact_flow.ts";

/**
 * The flow of data `N(μ, Σ)`.
 *
 * ```text
 * D(x, σ) = μ + Σ(Σ + σ²I)⁻¹(x − μ),   x(σ') = μ + √((Σ + σ'²I)(Σ + σ²I)⁻¹) (x − μ)
 * ```
 *
 * @param law The law, from `gaussianLaw`.
 * @param name What it is, in a few words. Default `"a Gaussian"`.
 * @returns The flow.
 *
 * @example Variance 3 and noise 1: the state shrinks by √3/√4 when the noise is gone
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const [x] = await gaussianFlow(gaussianLaw([0], 3)).transport(Float64Array.of(2), 1, 0);
 * assert.ok(Math.abs(x - Math.sqrt(3)) < 1e-15);
 * ```
 */
export function gaussianFlow(law: GaussianLaw, name: string = "a Gaussian"): ExactFlow {
  return exactFlow({
    name,
    mean: law.mean,
    denoise: (x, sigma) => denoiseGaussian(law, x, sigma),
    transport: (x, from, to) => transportGaussian(law, x, from, to),
    draw: (stream, sigma) => drawGaussian(law, normals(stream, law.mean.length), sigma),
  });
}

/**
 * The flow of data that are one point: straight lines, `x(σ') = p + (σ'/σ)(x − p)`.
 *
 * @param point The point `p`, `d` numbers.
 * @returns The flow.
 *
 * @example
 * ```ts
 * import { pointFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const flow = pointFlow([1, -1]);
 * assert.deepEqual([...await flow.transport(Float64Array.of(3, 0), 4, 2)], [2, -0.5]);
 * ```
 */
export function pointFlow(point: ArrayLike<number>): ExactFlow {
  return gaussianFlow(gaussianLaw(point, 0), "a point");
}

/**
 * Standard normal numbers of a stream.
 *
 * @param stream The stream.
 * @param count How many.
 * @returns The numbers.
 */
export function normals(stream: RandomStream, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => stream.normal());
}
