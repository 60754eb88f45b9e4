/**
 * Trajectories of Gaussian data, in closed form.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../../base/_options.ts";
import { scaleRows } from "./gaussian_axes.ts";
import { flowFactor } from "./gaussian_law.ts";
import type { GaussianLaw } from "./gaussian_law.ts";

/** Options of {@linkcode gaussianTrajectory} and {@linkcode gaussianEndpoint}. */
export interface TrajectoryOptions {
  /**
   * The coordinates of the states: `"ve"` for `x = x₀ + σε`, `"vp"` for `z = x/√(1+σ²)`. Noise levels
   * are `σ` either way, and end points are data. Default `"ve"`.
   */
  readonly coordinates?: "ve" | "vp";
}

/** States of trajectories at one noise level. */
export interface FlowState {
  /** The noise level `σ`. */
  readonly sigma: number;
  /** The states, rows of `d` numbers. */
  readonly x: Float64Array;
  /** What the denoiser makes of them, `D(x, σ)`, rows of `d` numbers. */
  readonly denoised: Float64Array;
}

const OPTIONS = { coordinates: undefined } satisfies OptionTable<TrajectoryOptions>;

/**
 * The trajectories of a Gaussian law through some noise levels, in closed form.
 *
 * ```text
 * x(σ) = μ + U (c ∘ √((λ+σ²)/(λ+σ₀²))) + √((τ²+σ²)/(τ²+σ₀²)) (x(σ₀) − μ − U c),   c = Uᵀ(x(σ₀) − μ)
 * ```
 *
 * Each state is computed from the start, so that errors do not add up. By way of another level, or in
 * other coordinates, the states are the same.
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726.
 *
 * @param law The law.
 * @param x The states at the first level, rows of `d` numbers.
 * @param sigmas The noise levels, `[n]`, the first one `> 0`, in any order, each finite and `≥ 0`.
 * @param options Coordinates.
 * @returns One entry per level.
 * @throws {TypeError} If `x` is no positive, whole number of rows.
 * @throws {RangeError} If a noise level is out of range.
 *
 * @example Variance 3: half of the way in the state, three quarters in what is seen of the data
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { gaussianTrajectory } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const [, { x, denoised }] = gaussianTrajectory(gaussianLaw([0], 3), [2 * Math.sqrt(3)], [3, 1]);
 * assert.ok(Math.abs(x[0] - 2) < 1e-15 && Math.abs(denoised[0] - 1.5) < 1e-15);
 * ```
 */
export function gaussianTrajectory(
  law: GaussianLaw,
  x: ArrayLike<number>,
  sigmas: readonly number[],
  options: TrajectoryOptions = {},
): FlowState[] {
  checkOptionNames("follow a Gaussian trajectory", options, OPTIONS);
  const [from] = sigmas;
  const start = startOf(law, x, from, options);
  return sigmas.map((sigma) => {
    checkLevel(sigma);
    const state = scaleRows(law, start, (_, v) => flowFactor(v, from, sigma));
    const scale = signalOf(sigma, options);
    return {
      sigma,
      x: scale === 1 ? state : state.map((v) => v * scale),
      denoised: scaleRows(law, start, (_, v) => endpointFactor(v, from, sigma)),
    };
  });
}

/**
 * The end point that the trajectories of a Gaussian law show at a noise level: the denoiser along them, in one step.
 *
 * ```text
 * D(x(σ'), σ') = μ + U (ξ ∘ Uᵀ(x(σ) − μ)) + …,   ξ = λ/√((λ+σ'²)(λ+σ²))
 * ```
 *
 * Relative to the end, mode `k` has come as far as `√(λ/(λ+σ'²))`: directions of large variance come first,
 * "outline before details" (B. Wang, J. Vastola (2023), arXiv:2303.02490).
 *
 * @param law The law.
 * @param x The states at `from`, rows of `d` numbers.
 * @param from The noise level `σ > 0`.
 * @param to The noise level `σ' ≥ 0` at which the denoiser looks.
 * @param options Coordinates of `x`.
 * @returns The end points, in data units, rows of `d` numbers.
 * @throws {TypeError} If `x` is no positive, whole number of rows.
 * @throws {RangeError} If a noise level is out of range.
 *
 * @example
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { gaussianEndpoint } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const [end] = gaussianEndpoint(gaussianLaw([0], 3), [2], 1, 0);
 * assert.ok(Math.abs(end - Math.sqrt(3)) < 1e-15);
 * ```
 */
export function gaussianEndpoint(
  law: GaussianLaw,
  x: ArrayLike<number>,
  from: number,
  to: number,
  options: TrajectoryOptions = {},
): Float64Array {
  checkOptionNames("follow a Gaussian trajectory", options, OPTIONS);
  checkLevel(to);
  return scaleRows(
    law,
    startOf(law, x, from, options),
    (_, v) => endpointFactor(v, from, to),
  );
}

/** What the end point at `to` has of a deviation at `from`, in a direction of some variance. */
export function endpointFactor(variance: number, from: number, to: number): number {
  if (variance === 0) return 0;
  return variance / Math.sqrt((variance + to * to) * (variance + from * from));
}

/** The share of the signal in a state: `1/√(1+σ²)` in variance-preserving coordinates. */
function signalOf(sigma: number, { coordinates = "ve" }: TrajectoryOptions): number {
  return coordinates === "vp" ? 1 / Math.hypot(1, sigma) : 1;
}

function startOf(
  law: GaussianLaw,
  x: ArrayLike<number>,
  from: number,
  options: TrajectoryOptions,
): Float64Array {
  const d = law.mean.length;
  if (x.length === 0 || x.length % d !== 0) {
    throw new TypeError(
      `Cannot follow a Gaussian: received ${x.length} numbers, wanted rows of ${d}`,
    );
  }
  if (!(from > 0 && from < Infinity)) {
    throw new RangeError(
      `Cannot follow a Gaussian: it starts at sigma ${from}, wanted a finite number > 0`,
    );
  }
  const scale = signalOf(from, options);
  return Float64Array.from(x, (v) => v / scale);
}

function checkLevel(sigma: number): void {
  if (!(sigma >= 0 && sigma < Infinity)) {
    throw new RangeError(`Cannot follow a Gaussian: sigma is ${sigma}, wanted finite numbers >= 0`);
  }
}
