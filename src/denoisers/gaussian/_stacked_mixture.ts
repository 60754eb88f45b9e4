/**
 * The posterior mean of a mixture of Gaussians by two products: with the axes of all components, one under the other.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { openBasis } from "../../compute/basis.ts";
import { emptyFacts } from "../../compute/posterior.ts";
import type { PosteriorFacts } from "../../compute/posterior.ts";
import { logitFacts } from "../../compute/subset_posterior.ts";
import { meanOfMixture, mixtureLogits } from "./mixture_law.ts";
import type { MixtureLaw } from "./mixture_law.ts";

/**
 * The stacked rows `A`: the axes of all components, then their centres relative to the mean of the mixture.
 *
 * With `E = x − μ`, `m = μₘ − μ` and `e = E − m`, everything that the posterior needs of a row are the products `A E`:
 *
 * ```text
 * q = U E − U m,   |e|² = |E|² − 2 m·E + |m|²,   r² = |e|² − |q|²
 * ln p'ₘ = ln wₘ − ½[Σ ln(λ+σ²) + Σ q²/(λ+σ²) + (d−r) ln(τ²+σ²) + r²/(τ²+σ²) + d ln 2π],   p = softmax p'
 * D = μ + Σₘ pₘ [ m + f (E − m) + Uᵀ (t − f) q ],   t = λ/(λ+σ²),   f = τ²/(τ²+σ²)
 * ```
 *
 * and `D` is another product, of coefficients with `A`.
 */
interface Stack {
  readonly law: MixtureLaw;
  readonly mean: Float64Array;
  /** `A`, rows of `d` numbers. */
  readonly rows: Float64Array;
  /** Where the axes of each component begin, and one more. */
  readonly first: readonly number[];
  /** `U m` of each component, in one. */
  readonly shifts: Float64Array;
  /** `|m|²`. */
  readonly squares: Float64Array;
}

/** Products with the stacked rows. */
interface StackProducts extends Disposable {
  /** `A E` for rows `E`: as many numbers each as there are stacked rows. */
  project(rows: Float64Array): Promise<Float64Array>;
  /** `Aᵀ c` for rows of coefficients `c`. */
  combine(coefficients: Float64Array): Promise<Float64Array>;
  /** The largest relative error of a product, of the norms of its factors. */
  readonly precision: number;
}

/** The posterior of a mixture on some device. */
export interface StackedMixture extends Disposable {
  /** The posterior means and facts of rows of `d` numbers, at a noise level each. */
  posterior(
    x: ArrayLike<number>,
    sigmas: Float64Array,
  ): Promise<{ mean: Float64Array; facts: PosteriorFacts }>;
}

/** Lays a mixture out for threads or tensors. */
export async function stackedMixture(
  law: MixtureLaw,
  by: "threads" | "tensors",
): Promise<StackedMixture> {
  const stack = stackOf(law);
  const products = by === "threads" ? await inThreads(stack) : inTensors(stack);
  return {
    posterior: (x, sigmas) => posterior(stack, products, x, sigmas),
    [Symbol.dispose]: () => products[Symbol.dispose](),
  };
}

function stackOf(law: MixtureLaw): Stack {
  const { components } = law;
  const mean = meanOfMixture(law), d = mean.length;
  const first = [0];
  for (const { variances } of components) first.push(first[first.length - 1] + variances.length);
  const axes = first[components.length];
  const rows = new Float64Array((axes + components.length) * d);
  const shifts = new Float64Array(axes), squares = new Float64Array(components.length);
  components.forEach((component, k) => {
    const away = component.mean.map((v, c) => v - mean[c]);
    squares[k] = dot(away, 0, away);
    rows.set(away, (axes + k) * d);
    for (let j = 0; j < component.variances.length; j++) {
      const at = first[k] + j;
      if (component.basis) rows.set(component.basis.subarray(j * d, (j + 1) * d), at * d);
      else rows[at * d + j] = 1;
      shifts[at] = dot(rows, at * d, away);
    }
  });
  return { law, mean, rows, first, shifts, squares };
}

function dot(a: Float64Array, from: number, b: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < b.length; c++) sum += a[from + c] * b[c];
  return sum;
}

async function inThreads({ rows, mean }: Stack): Promise<StackProducts> {
  const basis = await openBasis(rows, mean.length);
  return {
    project: (e) => basis.coordinates(e),
    combine: (coefficients) => basis.combinations(coefficients),
    precision: mean.length * Number.EPSILON,
    [Symbol.dispose]: () => basis[Symbol.dispose](),
  };
}

function inTensors({ rows, mean }: Stack): StackProducts {
  const d = mean.length, many = rows.length / d;
  const stacked = tf.tensor2d(Float32Array.from(rows), [many, d]);
  const times = async (a: Float64Array, width: number, transpose: boolean) => {
    const product = tf.tidy(() => {
      const left = tf.tensor2d(Float32Array.from(a), [a.length / width, width]);
      return tf.matMul(left, stacked, false, transpose);
    });
    try {
      return Float64Array.from(await product.data());
    } finally {
      product.dispose();
    }
  };
  return {
    project: (e) => times(e, d, true),
    combine: (coefficients) => times(coefficients, many, false),
    // Both factors are rounded, and sums of d products in some order that is not known.
    precision: 2 ** -24 * (2 + Math.sqrt(d)),
    [Symbol.dispose]: () => stacked.dispose(),
  };
}

async function posterior(
  stack: Stack,
  products: StackProducts,
  x: ArrayLike<number>,
  sigmas: Float64Array,
): Promise<{ mean: Float64Array; facts: PosteriorFacts }> {
  const { law, mean, first } = stack;
  const d = mean.length, count = sigmas.length, modes = law.components.length;
  const many = first[modes] + modes;
  const e = Float64Array.from({ length: x.length }, (_, i) => x[i] - mean[i % d]);
  const projected = await products.project(e);
  const coefficients = new Float64Array(count * many);
  const facts = emptyFacts(count);
  const everyone = Uint32Array.from({ length: modes }, (_, k) => k);
  const kept = new Float64Array(count);
  for (let b = 0; b < count; b++) {
    const own = projected.subarray(b * many, (b + 1) * many);
    // In place: q of each component.
    for (let at = 0; at < first[modes]; at++) own[at] -= stack.shifts[at];
    const row = e.subarray(b * d, (b + 1) * d);
    const measured = logitsOf(stack, own, dot(row, 0, row), sigmas[b]);
    const logits = ambiguous(measured, products.precision)
      ? mixtureLogits(law, Float64Array.from({ length: d }, (_, c) => x[b * d + c]), sigmas[b])
      : measured.logits;
    const z = logitFacts(everyone, logits, facts, b);
    const weights = logits.map((logit) => Math.exp(logit - facts.topLogit[b]) / z);
    kept[b] = weigh(
      stack,
      weights,
      own,
      sigmas[b],
      coefficients.subarray(b * many, (b + 1) * many),
    );
  }
  const sums = await products.combine(coefficients);
  return { mean: sums.map((v, i) => mean[i % d] + kept[Math.floor(i / d)] * e[i] + v), facts };
}

interface MeasuredLogits {
  readonly logits: Float64Array;
  /** By how much a logit may be off per unit of relative error of the products. */
  readonly sensitivity: Float64Array;
}

function logitsOf(
  { law, mean, first, squares }: Stack,
  own: Float64Array,
  square: number,
  sigma: number,
): MeasuredLogits {
  const { components, weights } = law;
  const axes = first[components.length], d = mean.length, noise = sigma * sigma;
  const sensitivity = new Float64Array(components.length);
  const logits = Float64Array.from(components, ({ variances, floor }, k) => {
    const r = variances.length;
    let sum = d * Math.log(2 * Math.PI), inside = 0, quadratic = 0, least = Infinity;
    for (let j = 0; j < r; j++) {
      const q = own[first[k] + j] ** 2, variance = variances[j] + noise;
      sum += Math.log(variance);
      quadratic += q / variance;
      inside += q;
      if (variance < least) least = variance;
    }
    const away = square - 2 * own[axes + k] + squares[k];
    // Products are off by ε|E| each, and q is divided by the root of a variance.
    let spread = Math.sqrt(quadratic * square / least);
    if (r < d) {
      const outside = floor + noise;
      sum += (d - r) * Math.log(outside);
      quadratic += Math.max(0, away - inside) / outside;
      spread += (Math.sqrt(square * inside) + Math.sqrt(square * squares[k])) / outside;
    }
    sensitivity[k] = spread;
    return Math.log(weights[k]) - (sum + quadratic) / 2;
  });
  return { logits, sensitivity };
}

/** Components within so many nats of the best one matter. */
const MATTER = 20;
/** Logits are wanted to so many nats. */
const WANTED = 1e-3;

/** Whether rounding of the products may move the weights of components that matter. */
function ambiguous({ logits, sensitivity }: MeasuredLogits, precision: number): boolean {
  const top = logits.reduce((a, b) => Math.max(a, b));
  let matter = 0, worst = 0;
  logits.forEach((logit, k) => {
    const error = precision * sensitivity[k];
    worst = Math.max(worst, error);
    if (logit + 2 * error > top - MATTER) matter++;
  });
  return matter > 1 && worst > WANTED;
}

/** Writes the coefficients of the stacked rows in `D − μ`, and gives that of the row itself. */
function weigh(
  { law, first }: Stack,
  weights: Float64Array,
  own: Float64Array,
  sigma: number,
  coefficients: Float64Array,
): number {
  const { components } = law, axes = first[components.length];
  let kept = 0;
  components.forEach(({ variances, floor, mean }, k) => {
    // With a full basis nothing lies outside of it.
    const f = variances.length < mean.length ? floor / (floor + sigma * sigma) : 0;
    kept += weights[k] * f;
    coefficients[axes + k] = weights[k] * (1 - f);
    for (let j = 0; j < variances.length; j++) {
      const t = variances[j] / (variances[j] + sigma * sigma);
      coefficients[first[k] + j] = weights[k] * (t - f) * own[first[k] + j];
    }
  });
  return kept;
}
