/**
 * Mixtures of Gaussian laws: posterior over the components, denoiser, draws.
 *
 * @module
 */
import type { GaussianLaw } from "./gaussian_law.ts";
import {
  alongAxes,
  checkLaw,
  checkRow,
  denoiseGaussian,
  drawGaussian,
  finiteRow,
  gaussianLaw,
  logDensityGaussian,
} from "./gaussian_law.ts";

/** A mixture `Σₘ wₘ N(μₘ, Σₘ)` on `d` numbers. */
export interface MixtureLaw {
  /** The weights `wₘ ≥ 0`, which sum to 1. */
  readonly weights: Float64Array;
  /** The components, all of the same dimension. */
  readonly components: readonly GaussianLaw[];
}

/**
 * A mixture from its weights and components.
 *
 * @param weights Non-negative numbers, one per component; they are scaled to sum to 1.
 * @param components The components, one law each, all on `d` numbers.
 * @returns The mixture.
 * @throws {TypeError} If there are no components, not one weight each, or their dimensions differ.
 * @throws {RangeError} If a weight is negative or not finite, or all are 0.
 *
 * @example
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 3], [gaussianLaw([0], 1), gaussianLaw([5], 1)]);
 * assert.deepEqual([...law.weights], [0.25, 0.75]);
 * ```
 */
export function mixtureLaw(
  weights: ArrayLike<number>,
  components: readonly GaussianLaw[],
): MixtureLaw {
  for (const law of components) {
    checkLaw(law, "make a mixture");
  }
  const lengths = new Set(components.map(({ mean }) => mean.length));
  if (lengths.size !== 1 || weights.length !== components.length) {
    throw new TypeError(
      `Cannot make a mixture: received ${weights.length} weights and ${components.length} components of ` +
        `dimensions ${[...lengths].join(", ")}, wanted one weight each and equal dimensions`,
    );
  }
  const total = Array.from(weights).reduce((sum, w) => sum + w, 0);
  for (let m = 0; m < weights.length; m++) {
    if (!(weights[m] >= 0 && weights[m] < Infinity && total > 0)) {
      throw new RangeError(
        `Cannot make a mixture: a weight is ${weights[m]}, wanted finite numbers >= 0, not all 0`,
      );
    }
  }
  return { weights: Float64Array.from(weights, (w) => w / total), components };
}

/**
 * The posterior weights of the components, `softmaxₘ(ln wₘ + ln N(x; μₘ, Σₘ + σ²I))`.
 *
 * @param law The mixture.
 * @param x The noisy point, `d` numbers.
 * @param sigma The noise level `σ > 0`.
 * @returns One weight per component; they sum to 1.
 * @throws {TypeError} If there is not one weight for each component, or `x` does not hold `d` numbers.
 * @throws {RangeError} If no logit is finite, or a weight is negative or not finite.
 *
 * @example Halfway between two equal components
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import { mixturePosterior } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 1], [gaussianLaw([-1], 0), gaussianLaw([1], 0)]);
 * assert.deepEqual([...mixturePosterior(law, Float64Array.of(0), 1)], [0.5, 0.5]);
 * ```
 */
export function mixturePosterior(law: MixtureLaw, x: Float64Array, sigma: number): Float64Array {
  checkMixture(law, x, "weigh the components of a mixture");
  const logits = sharedSpread(law) ? logitsOfCentres(law, x, sigma) : logitsOfLaws(law, x, sigma);
  const top = logits.reduce((a, b) => Math.max(a, b));
  if (!Number.isFinite(top)) {
    throw new RangeError(
      `Cannot weigh the components of a mixture: their largest logit is ${top}, wanted finite numbers and a noise level >= 0`,
    );
  }
  const exps = logits.map((v) => Math.exp(v - top));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((v) => v / sum);
}

/** Checks that there is a weight for each component, and that they fit a row of numbers. */
function checkMixture({ weights, components }: MixtureLaw, x: Float64Array, action: string): void {
  if (components.length === 0 || weights.length !== components.length) {
    throw new TypeError(
      `Cannot ${action}: received ${weights.length} weights for ${components.length} components, wanted one each, at least 1`,
    );
  }
  for (const law of components) checkRow(law, x, action);
  const bad = weights.find((w) => !(w >= 0 && w < Infinity));
  if (bad !== undefined) {
    throw new RangeError(`Cannot ${action}: a weight is ${bad}, wanted finite numbers >= 0`);
  }
}

function logitsOfLaws({ weights, components }: MixtureLaw, x: Float64Array, sigma: number) {
  return weights.map((w, m) => Math.log(w) + logDensityGaussian(components[m], x, sigma));
}

/** The spread that all components share, if they are isotropic and have one. */
function sharedSpread({ components }: MixtureLaw): boolean {
  return components.every(({ variances, floor }) =>
    variances.length === 0 && floor === components[0].floor
  );
}

/**
 * Logits of components that differ in their centres only: `|x − μₘ|²` up to what all of them share,
 * `−½|x − μₘ|² = (x − μ₀)·(μₘ − μ₀) − ½|μₘ − μ₀|² + …`, which is smaller than `|x|²` by far.
 */
function logitsOfCentres({ weights, components }: MixtureLaw, x: Float64Array, sigma: number) {
  const variance = components[0].floor + sigma * sigma;
  const origin = components[0].mean;
  return weights.map((w, m) => {
    const { mean } = components[m];
    let sum = 0;
    for (let c = 0; c < x.length; c++) {
      const away = mean[c] - origin[c];
      sum += away * (x[c] - origin[c] - away / 2);
    }
    return Math.log(w) + sum / variance;
  });
}

/**
 * The logarithms of `wₘ N(x; μₘ, Σₘ + σ²I)`, whose log-sum-exp is that of the density of `x = x₀ + σε`.
 *
 * @param law The mixture.
 * @param x The noisy point, `d` numbers.
 * @param sigma The noise level `σ > 0`.
 * @returns One logit per component, in nats.
 * @throws {TypeError} If there is not one weight for each component, or `x` does not hold `d` numbers.
 * @throws {RangeError} If a weight is negative or not finite, or a logit is not a number.
 *
 * @example The standard normal density at 0
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import { mixtureLogits } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const [logit] = mixtureLogits(mixtureLaw([1], [gaussianLaw([0], 0)]), Float64Array.of(0), 1);
 * assert.ok(Math.abs(Math.exp(logit) - 1 / Math.sqrt(2 * Math.PI)) < 1e-15);
 * ```
 */
export function mixtureLogits(law: MixtureLaw, x: Float64Array, sigma: number): Float64Array {
  checkMixture(law, x, "compute the logits of a mixture");
  const constant = x.length / 2 * Math.log(2 * Math.PI);
  return logitsOfLaws(law, x, sigma).map((logit) => logit - constant);
}

/**
 * The denoiser of a mixture.
 *
 * ```text
 * D(x, σ) = Σₘ pₘ(x, σ) Dₘ(x, σ),   Dₘ the denoiser of component m
 * ```
 *
 * @param law The mixture.
 * @param x The noisy point, `d` numbers.
 * @param sigma The noise level `σ > 0`.
 * @returns `E[x₀ | x]`, `d` numbers.
 * @throws {TypeError} If there is not one weight for each component, or `x` does not hold `d` numbers.
 * @throws {RangeError} If no logit is finite, or a weight is negative or not finite.
 *
 * @example Two points at ±1: the hyperbolic tangent
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import { denoiseMixture } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 1], [gaussianLaw([-1], 0), gaussianLaw([1], 0)]);
 * const [mean] = denoiseMixture(law, Float64Array.of(2), 2);
 * assert.ok(Math.abs(mean - Math.tanh(2 / 4)) < 1e-15);
 * ```
 */
export function denoiseMixture(law: MixtureLaw, x: Float64Array, sigma: number): Float64Array {
  const sum = new Float64Array(x.length);
  mixturePosterior(law, x, sigma).forEach((p, m) => {
    // Below this a component changes no digit of the sum.
    if (p < 1e-40) return;
    const denoised = denoiseGaussian(law.components[m], x, sigma);
    for (let c = 0; c < sum.length; c++) sum[c] += p * denoised[c];
  });
  return sum;
}

/**
 * The mean of a mixture, `Σₘ wₘ μₘ`.
 *
 * @param law The mixture.
 * @returns `d` numbers.
 * @throws {TypeError} If there is not one weight for each component, or there are none.
 * @throws {RangeError} If a weight is negative or not finite.
 *
 * @example
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import { meanOfMixture } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 3], [gaussianLaw([-1], 1), gaussianLaw([1], 4)]);
 * assert.deepEqual([...meanOfMixture(law)], [0.5]);
 * ```
 */
export function meanOfMixture({ weights, components }: MixtureLaw): Float64Array {
  const [first] = components;
  checkMixture({ weights, components }, first?.mean, "average a mixture");
  const sum = new Float64Array(first.mean.length);
  components.forEach(({ mean }, m) => {
    for (let c = 0; c < sum.length; c++) sum[c] += weights[m] * mean[c];
  });
  return finiteRow(sum, "average a mixture");
}

/**
 * The Gaussian that has the mean and the covariance of a mixture; for few dimensions.
 *
 * ```text
 * Σ = Σₘ wₘ (Σₘ + (μₘ − μ)(μₘ − μ)ᵀ)
 * ```
 *
 * @param law The mixture.
 * @returns The Gaussian law.
 * @throws {TypeError} If there is not one weight for each component, or there are none.
 * @throws {RangeError} If a weight is negative or not finite.
 *
 * @example
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import { gaussianOfMixture } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 1], [gaussianLaw([-1], 1), gaussianLaw([1], 3)]);
 * assert.deepEqual([...gaussianOfMixture(law).variances], [3]);
 * ```
 */
export function gaussianOfMixture(law: MixtureLaw): GaussianLaw {
  const mean = meanOfMixture(law), d = mean.length;
  const covariance = new Float64Array(d * d);
  law.components.forEach((component, m) => {
    for (let i = 0; i < d; i++) {
      const away = component.mean[i] - mean[i];
      const unit = new Float64Array(d);
      unit[i] = 1;
      const column = alongAxes(component, unit, (variance) => variance);
      for (let j = 0; j < d; j++) {
        const product = away * (component.mean[j] - mean[j]);
        covariance[i * d + j] += law.weights[m] * (column[j] + product);
      }
    }
  });
  // Rounding may differ across the diagonal.
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < i; j++) covariance[i * d + j] = covariance[j * d + i];
  }
  return gaussianLaw(mean, covariance);
}

/**
 * A draw of `x = x₀ + σε` from a mixture, made from random numbers.
 *
 * @param law The law of `x₀`.
 * @param uniform A number from [0, 1), which picks the component.
 * @param noise `d` numbers from N(0, 1).
 * @param sigma The noise level `σ ≥ 0`.
 * @returns The draw, `d` numbers.
 * @throws {TypeError} If there is not one weight for each component, or `noise` does not hold `d` numbers.
 * @throws {RangeError} If `uniform` is not in [0, 1), or a weight is negative or not finite.
 *
 * @example The first number picks the component
 * ```ts
 * import { gaussianLaw, mixtureLaw } from "@closedform/diffusion";
 * import { drawMixture } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = mixtureLaw([1, 1], [gaussianLaw([-1], 0), gaussianLaw([1], 0)]);
 * assert.deepEqual([...drawMixture(law, 0.75, Float64Array.of(0.5), 2)], [2]);
 * ```
 */
export function drawMixture(
  law: MixtureLaw,
  uniform: number,
  noise: Float64Array,
  sigma: number,
): Float64Array {
  if (!(uniform >= 0 && uniform < 1)) {
    throw new RangeError(
      `Cannot draw from a mixture: uniform is ${uniform}, wanted a number in [0, 1)`,
    );
  }
  checkMixture(law, noise, "draw from a mixture");
  let m = 0;
  for (let sum = law.weights[0]; sum <= uniform && m + 1 < law.weights.length;) {
    sum += law.weights[++m];
  }
  return drawGaussian(law.components[m], noise, sigma);
}
