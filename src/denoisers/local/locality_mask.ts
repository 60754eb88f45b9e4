/**
 * Which coordinates count for which: the mask of PCA locality, from the spectrum of the data.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../../base/_options.ts";
import { filterMatrix } from "../../compute/filter_matrix.ts";
import { emptyMask } from "../../compute/mask.ts";
import type { Mask } from "../../compute/mask.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Spectrum } from "../gaussian/spectrum.ts";

/** How a mask is cut out of the Wiener filter. */
export interface MaskRule {
  /** The threshold `θ`, from 0 (all coordinates count) to 1. */
  readonly theta: number;
  /**
   * Whose diagonal element a filter element `W[n, m]` is divided by: that of the coordinate `n` that
   * counts (`"input"`, as published), or of the coordinate `m` that is estimated (`"output"`, its
   * receptive field). Default `"input"`.
   */
  readonly orientation?: "input" | "output";
  /**
   * What the quotients are measured by: the largest of all (`"global"`, as published), the largest
   * with the same divisor (`"row"`), or by `√(W[n, n] W[m, m])` instead of one diagonal element and
   * by 1 (`"symmetric"`). Thresholds do not carry over from one to the other. Default `"global"`.
   */
  readonly normalisation?: "global" | "row" | "symmetric";
}

/** A diagonal element below this divides nothing, as published. */
const DEAD = 1e-6;

const OPTIONS = { signal: undefined } satisfies OptionTable<Pick<WorkOptions, "signal">>;

/**
 * The mask of PCA locality at one noise level.
 *
 * ```text
 * W = U diag(λ/(λ+σ²)) Uᵀ,   V[n, m] = W[n, m]/W[n, n],   G[n, m] = |V[n, m]| ≥ θ max |V|
 * ```
 *
 * As published, a coordinate with `W[n, n] < 10⁻⁶` is not divided and has `V[n, n] = 1`: a dead pixel, or any at a
 * noise level a thousand times its spread. Towards `σ = 0` the filter tends to the projection on the span
 * of the data, and `G` to the diagonal; towards larger `σ` it is proportional to the covariance.
 *
 * Reference: A. Lukoianov et al. (2025), arXiv:2509.09672, and its code.
 *
 * @param spectrum The spectrum of the data.
 * @param sigma Noise level `σ > 0` in data units.
 * @param rule Threshold, orientation, normalisation.
 * @param options Cancels the work.
 * @returns The mask: coordinate `n` counts for output `m` where `G[n, m] = 1`.
 * @throws {RangeError} If `sigma` or `theta` is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example Two coordinates that vary together, and one apart
 * ```ts
 * import { localityMask } from "@closedform/diffusion";
 * import { maskColumn } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const half = Math.SQRT1_2;
 * const spectrum = {
 *   mean: Float64Array.of(0, 0, 0),
 *   variances: Float64Array.of(2, 1, 0.1),
 *   basis: Float64Array.of(half, half, 0, 0, 0, 1, half, -half, 0),
 *   floor: 0,
 * };
 * const mask = await localityMask(spectrum, 1, { theta: 0.1 });
 * assert.deepEqual([0, 1, 2].map((m) => maskColumn(mask, m)), [[0, 1], [0, 1], [2]]);
 * ```
 */
export async function localityMask(
  spectrum: Spectrum,
  sigma: number,
  rule: MaskRule,
  options: Pick<WorkOptions, "signal"> = {},
): Promise<Mask> {
  checkOptionNames("make a mask", options, OPTIONS);
  checkRule(rule);
  if (!(sigma > 0 && sigma < Infinity)) {
    throw new RangeError(`Cannot make a mask: sigma is ${sigma}, wanted a finite number > 0`);
  }
  const { mean, variances, basis, floor } = spectrum;
  const d = mean.length;
  if (rule.theta === 0) return fullMask(d);
  const shrink = (v: number) => v / (v + sigma * sigma);
  // Outside of the basis, the floor: U diag(f − f₀) Uᵀ + f₀ I.
  const outside = variances.length < d ? shrink(floor) : 0;
  const weights = variances.map((v) => shrink(v) - outside);
  const filter = await filterMatrix(basis, weights, d, options);
  for (let n = 0; n < d; n++) filter[n * d + n] += outside;
  return cutMask(filter, d, rule);
}

/**
 * Checks a rule.
 *
 * @throws {RangeError} If the threshold is not from 0 to 1, or a name is unknown.
 */
export function checkRule({ theta, orientation = "input", normalisation = "global" }: MaskRule) {
  if (!(theta >= 0 && theta <= 1)) {
    throw new RangeError(`Cannot make a mask: theta is ${theta}, wanted a number from 0 to 1`);
  }
  if (orientation !== "input" && orientation !== "output") {
    throw new RangeError(
      `Cannot make a mask: orientation is ${orientation}, wanted "input" or "output"`,
    );
  }
  if (!["global", "row", "symmetric"].includes(normalisation)) {
    throw new RangeError(
      `Cannot make a mask: normalisation is ${normalisation}, wanted "global", "row" or "symmetric"`,
    );
  }
}

function fullMask(d: number): Mask {
  const mask = emptyMask(d);
  for (let m = 0; m < d; m++) {
    const column = mask.bits.subarray(m * mask.words, (m + 1) * mask.words);
    column.fill(0xffffffff, 0, d >> 5);
    if (d & 31) column[d >> 5] = 2 ** (d & 31) - 1;
  }
  return mask;
}

/** The elements of a filter that are large enough; `filter` is used up. */
function cutMask(filter: Float64Array, d: number, rule: MaskRule): Mask {
  const { theta, orientation = "input", normalisation = "global" } = rule;
  const quotients = divide(filter, d, normalisation === "symmetric");
  const largest = new Float64Array(d).fill(1);
  if (normalisation !== "symmetric") {
    for (let n = 0; n < d; n++) {
      for (let m = 0; m < d; m++) largest[n] = Math.max(largest[n], quotients[n * d + m]);
    }
  }
  if (normalisation === "global") largest.fill(largest.reduce((a, b) => Math.max(a, b)));
  const mask = emptyMask(d);
  const { bits, words } = mask;
  for (let n = 0; n < d; n++) {
    const least = theta * largest[n];
    for (let m = 0; m < d; m++) {
      if (quotients[n * d + m] < least) continue;
      // What row n divides by belongs to the coordinate that counts, or to the one that is estimated.
      if (orientation === "input") bits[m * words + (n >> 5)] |= 1 << (n & 31);
      else bits[n * words + (m >> 5)] |= 1 << (m & 31);
    }
  }
  return mask;
}

/** `|W[n, m]|` divided by the diagonal, in place; the diagonal becomes 1. */
function divide(filter: Float64Array, d: number, symmetric: boolean): Float64Array {
  const divisors = Float64Array.from({ length: d }, (_, n) => {
    const own = filter[n * d + n];
    return own < DEAD ? 1 : own;
  });
  for (let n = 0; n < d; n++) {
    for (let m = 0, at = n * d; m < d; m++, at++) {
      const divisor = symmetric ? Math.sqrt(divisors[n] * divisors[m]) : divisors[n];
      filter[at] = Math.abs(filter[at]) / divisor;
    }
    filter[n * d + n] = 1;
  }
  return filter;
}
