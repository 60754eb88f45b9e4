/**
 * The law N(μ, Σ) in its eigenbasis, where denoiser, flow, density and draws are one map each.
 *
 * @module
 */
import { symmetricEigen } from "../../compute/symmetric_eigen.ts";

/**
 * A Gaussian law `N(μ, U diag(λ) Uᵀ + τ²(I − U Uᵀ))` on `d` numbers.
 *
 * `λ = 0` and `τ = 0` are allowed: no spread in those directions, down to a single point.
 */
export interface GaussianLaw {
  /** The mean `μ`, `d` numbers. */
  readonly mean: Float64Array;
  /** The variances `λ` along the basis, `r ≤ d` numbers. */
  readonly variances: Float64Array;
  /** The orthonormal basis `U`, `r` rows of `d` numbers. If absent, the first `r` coordinate axes. */
  readonly basis?: Float64Array;
  /** The variance `τ²` in all directions outside the basis. */
  readonly floor: number;
}

/**
 * A Gaussian law from its mean and covariance.
 *
 * @param mean The mean, `d` numbers.
 * @param covariance One variance for all directions, or `d` variances of the coordinates, or `d` rows of `d` numbers.
 * @returns The law in its eigenbasis.
 * @throws {TypeError} If the covariance has another size or is not symmetric.
 * @throws {RangeError} If a number is not finite, or a variance is negative.
 *
 * @example
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(gaussianLaw([1, 2], 4).floor, 4);
 * assert.deepEqual([...gaussianLaw([1, 2], [4, 9]).variances], [4, 9]);
 * assert.deepEqual([...gaussianLaw([1, 2], [4, 0, 0, 9]).variances], [9, 4]);
 * ```
 */
export function gaussianLaw(
  mean: ArrayLike<number>,
  covariance: number | ArrayLike<number>,
): GaussianLaw {
  const law = inEigenbasis(Float64Array.from(mean), covariance);
  for (const value of [...law.variances, law.floor]) checkVariance(value);
  for (const value of law.mean) {
    if (!Number.isFinite(value)) {
      throw new RangeError(
        `Cannot make a Gaussian: its mean holds ${value}, wanted finite numbers`,
      );
    }
  }
  return law;
}

function inEigenbasis(mean: Float64Array, covariance: number | ArrayLike<number>): GaussianLaw {
  const d = mean.length;
  if (typeof covariance === "number") {
    return { mean, variances: new Float64Array(0), floor: covariance };
  }
  if (d < 1 || (covariance.length !== d && covariance.length !== d * d)) {
    throw new TypeError(
      `Cannot make a Gaussian: received ${d} means and ${covariance.length} covariances, wanted 1, ${d} or ${
        d * d
      } covariances`,
    );
  }
  if (covariance.length === d) {
    return { mean, variances: Float64Array.from(covariance), floor: 0 };
  }
  const { values, vectors } = symmetricEigen(covariance);
  // Rounding may leave the smallest eigenvalues of a singular matrix slightly negative.
  const rounding = d * Number.EPSILON * values[0];
  const variances = values.map((v) => v < 0 && v >= -rounding ? 0 : v);
  return { mean, variances, basis: vectors, floor: 0 };
}

function checkVariance(value: number): void {
  if (!(value >= 0 && value < Infinity)) {
    throw new RangeError(
      `Cannot make a Gaussian: a variance is ${value}, wanted finite numbers >= 0`,
    );
  }
}

/**
 * Scales a vector along the principal axes of a law: `U f(λ) Uᵀ e + f(τ²) (e − U Uᵀ e)`.
 *
 * Denoiser (`f = λ/(λ+σ²)`), flow (`f = √((λ+σ'²)/(λ+σ²))`) and draws (`f = √(λ+σ²)`) are such maps.
 *
 * @param law The law.
 * @param e The vector, `d` numbers; a deviation from the mean.
 * @param f The factor as a function of the variance of a direction.
 * @returns The scaled vector, `d` numbers.
 *
 * @example
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { alongAxes } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = gaussianLaw([0, 0], [4, 9]);
 * assert.deepEqual([...alongAxes(law, Float64Array.of(1, 1), Math.sqrt)], [2, 3]);
 * ```
 */
export function alongAxes(
  law: GaussianLaw,
  e: Float64Array,
  f: (variance: number) => number,
): Float64Array {
  const { variances, basis, floor } = law;
  const d = law.mean.length, r = variances.length;
  // With a full basis nothing lies outside of it, and f(τ²) is not asked for.
  const outside = r < d ? f(floor) : 0;
  const y = new Float64Array(d);
  if (outside !== 0) { for (let c = 0; c < d; c++) y[c] = outside * e[c]; }
  for (let k = 0; k < r; k++) {
    const factor = f(variances[k]);
    if (!basis) {
      y[k] = factor * e[k];
      continue;
    }
    const axis = basis.subarray(k * d, (k + 1) * d);
    const step = (factor - outside) * dot(axis, e);
    for (let c = 0; c < d; c++) y[c] += step * axis[c];
  }
  return y;
}

/**
 * The denoiser of a Gaussian law, the Wiener filter.
 *
 * ```text
 * D(x, σ) = μ + Σ (Σ + σ²I)⁻¹ (x − μ)
 * ```
 *
 * @param law The law.
 * @param x The noisy point, `d` numbers.
 * @param sigma The noise level `σ > 0`.
 * @returns `E[x₀ | x]`, `d` numbers.
 * @throws {TypeError} If `x` does not hold `d` numbers, or the parts of the law do not fit each other.
 * @throws {RangeError} If a number of the result is not finite.
 *
 * @example As much variance as noise: halfway to the mean
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { denoiseGaussian } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = gaussianLaw([1, 1], 4);
 * assert.deepEqual([...denoiseGaussian(law, Float64Array.of(3, 1), 2)], [2, 1]);
 * ```
 */
export function denoiseGaussian(law: GaussianLaw, x: Float64Array, sigma: number): Float64Array {
  const action = "denoise by a Gaussian", square = sigma * sigma;
  checkRow(law, x, action);
  return finiteRow(
    addTo(law.mean, alongAxes(law, deviation(law, x), (v) => v / (v + square))),
    action,
  );
}

/**
 * The flow of a Gaussian law from one noise level to another, in closed form.
 *
 * ```text
 * x(σ') = μ + √((Σ + σ'²I)(Σ + σ²I)⁻¹) (x − μ)
 * ```
 *
 * In mode `k` the flow is `dc/dσ = c σ/(λ+σ²)`, so `c ∝ √(λ+σ²)`.
 *
 * @param law The law.
 * @param x The state at `from`, `d` numbers.
 * @param from The noise level `σ > 0` it is at.
 * @param to The noise level `σ' ≥ 0` to go to, below or above.
 * @returns The state at `to`, `d` numbers.
 * @throws {TypeError} If `x` does not hold `d` numbers, or the parts of the law do not fit each other.
 * @throws {RangeError} If a number of the result is not finite.
 *
 * @example From noise 4 to none, variance 9: deviations shrink to three fifths
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { transportGaussian } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...transportGaussian(gaussianLaw([1], 9), Float64Array.of(6), 4, 0)], [4]);
 * ```
 */
export function transportGaussian(
  law: GaussianLaw,
  x: Float64Array,
  from: number,
  to: number,
): Float64Array {
  const action = "transport along the flow of a Gaussian";
  checkRow(law, x, action);
  return finiteRow(
    addTo(law.mean, alongAxes(law, deviation(law, x), (v) => flowFactor(v, from, to))),
    action,
  );
}

/**
 * What the flow of a Gaussian multiplies a deviation by, in a direction of variance `λ`: `√((λ+σ'²)/(λ+σ²))`.
 *
 * @param variance The variance `λ ≥ 0`.
 * @param from The noise level `σ > 0`.
 * @param to The noise level `σ' ≥ 0` to go to, below or above.
 * @returns The factor; `σ'/σ` where there is no variance.
 * @throws {RangeError} If the factor is not finite.
 *
 * @example
 * ```ts
 * import { flowFactor } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([flowFactor(3, 1, 0), flowFactor(0, 4, 1)], [Math.sqrt(3 / 4), 1 / 4]);
 * ```
 */
export function flowFactor(variance: number, from: number, to: number): number {
  const factor = variance === 0
    ? to / from
    : Math.sqrt((variance + to * to) / (variance + from * from));
  if (Number.isFinite(factor)) return factor;
  throw new RangeError(
    `Cannot follow the flow of a Gaussian: variance is ${variance}, from ${from} and to ${to}, wanted a finite variance >= 0 and noise levels`,
  );
}

/**
 * The logarithm of the density of `x = x₀ + σε`, without the constant `−(d/2) ln 2π`.
 *
 * ```text
 * −½ [ ln det(Σ + σ²I) + (x−μ)ᵀ (Σ + σ²I)⁻¹ (x−μ) ]
 * ```
 *
 * @param law The law of `x₀`.
 * @param x The noisy point, `d` numbers.
 * @param sigma The noise level.
 * @returns The log density in nats, up to the constant.
 * @throws {TypeError} If `x` does not hold `d` numbers, or the parts of the law do not fit each other.
 * @throws {RangeError} If the result is not a number.
 *
 * @example One standard deviation from the mean the logarithm has fallen by one half
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { logDensityGaussian } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const at = (x: number) => logDensityGaussian(gaussianLaw([0], 9), Float64Array.of(x), 4);
 * assert.ok(Math.abs(at(0) - at(5) - 0.5) < 1e-15);
 * ```
 */
export function logDensityGaussian(law: GaussianLaw, x: Float64Array, sigma: number): number {
  const { variances, basis, floor } = law;
  const action = "compute the log-density of a Gaussian";
  checkRow(law, x, action);
  const d = law.mean.length, r = variances.length, square = sigma * sigma;
  const e = deviation(law, x);
  let sum = 0;
  for (let k = 0; k < r; k++) {
    const axis = basis?.subarray(k * d, (k + 1) * d);
    const q = axis ? dot(axis, e) : e[k];
    sum += Math.log(variances[k] + square) + q * q / (variances[k] + square);
    // What lies outside the basis is left over: no difference of large squares.
    if (!axis) e[k] = 0;
    else if (r < d) { for (let c = 0; c < d; c++) e[c] -= q * axis[c]; }
  }
  if (r < d) sum += (d - r) * Math.log(floor + square) + dot(e, e) / (floor + square);
  if (Number.isNaN(sum)) throw notFinite(sum, action);
  return -sum / 2;
}

/**
 * A draw of `x = x₀ + σε` made from standard normal numbers: `μ + √(Σ + σ²I) z`.
 *
 * @param law The law of `x₀`.
 * @param noise `d` numbers from N(0, 1).
 * @param sigma The noise level `σ ≥ 0`.
 * @returns The draw, `d` numbers.
 * @throws {TypeError} If `noise` does not hold `d` numbers, or the parts of the law do not fit each other.
 * @throws {RangeError} If a number of the result is not finite.
 *
 * @example
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { drawGaussian } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...drawGaussian(gaussianLaw([1], 9), Float64Array.of(2), 4)], [11]);
 * ```
 */
export function drawGaussian(law: GaussianLaw, noise: Float64Array, sigma: number): Float64Array {
  const action = "draw from a Gaussian";
  checkRow(law, noise, action);
  return finiteRow(
    addTo(law.mean, alongAxes(law, noise, (v) => Math.sqrt(v + sigma * sigma))),
    action,
  );
}

/**
 * Checks that the parts of a law fit each other and a row of numbers.
 *
 * @param law The law.
 * @param x The row.
 * @param action What for, for the message.
 * @throws {TypeError} If they do not.
 */
export function checkRow(
  { mean, variances, basis }: GaussianLaw,
  x: Float64Array,
  action: string,
): void {
  const d = mean.length, r = variances.length;
  if (x.length !== d) {
    throw new TypeError(`Cannot ${action}: received ${x.length} numbers, wanted ${d}`);
  }
  if (!(r <= d) || (basis && basis.length !== r * d)) {
    throw new TypeError(
      `Cannot ${action}: the law has ${r} variances${
        basis ? ` and ${basis.length} numbers of axes` : ""
      } in ${d} dimensions, wanted at most ${d}${basis ? ` and ${r * d} numbers` : ""}`,
    );
  }
}

/**
 * Checks all numbers of a law: where they only pass through, nobody would see what is wrong with them.
 *
 * @param law The law.
 * @param action What is attempted, for the message.
 * @throws {TypeError} If its parts do not fit together.
 * @throws {RangeError} If one of its numbers is not finite.
 */
export function checkLaw(law: GaussianLaw, action: string): void {
  const { mean, variances, basis, floor } = law;
  checkRow(law, mean, action);
  for (const row of [mean, variances, basis ?? mean, Float64Array.of(floor)]) {
    finiteRow(row, action);
  }
}

/**
 * A result, unless a number of it is not finite: then the law, the row or the noise level was not.
 *
 * @param y The result.
 * @param action What was done, for the message.
 * @returns The same row.
 * @throws {RangeError} If a number of it is not finite.
 */
export function finiteRow(y: Float64Array, action: string): Float64Array {
  for (let c = 0; c < y.length; c++) if (!Number.isFinite(y[c])) throw notFinite(y[c], action);
  return y;
}

function notFinite(value: number, action: string): RangeError {
  return new RangeError(
    `Cannot ${action}: the result is ${value}, wanted finite numbers and a noise level >= 0`,
  );
}

/**
 * The root mean square per number, about zero, of draws of a Gaussian.
 *
 * ```text
 * √( (‖μ‖² + tr Σ)/d )
 * ```
 */
export function gaussianRms({ mean, variances, floor }: GaussianLaw): number {
  const d = mean.length;
  const squares = mean.reduce((sum, v) => sum + v * v, 0);
  const trace = variances.reduce((sum, v) => sum + v, (d - variances.length) * floor);
  return Math.sqrt((squares + trace) / d);
}

function deviation({ mean }: GaussianLaw, x: Float64Array): Float64Array {
  const e = new Float64Array(mean.length);
  for (let c = 0; c < e.length; c++) e[c] = x[c] - mean[c];
  return e;
}

function addTo(mean: Float64Array, y: Float64Array): Float64Array {
  for (let c = 0; c < y.length; c++) y[c] += mean[c];
  return y;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += a[c] * b[c];
  return sum;
}
