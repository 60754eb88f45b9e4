/**
 * Estimates beside their sampling errors: of a mean, and of the slope of a line.
 *
 * @module
 */

/** Two-sided 5 % of a normal distribution. */
const NORMAL_LIMIT = 1.96;

/** An estimate and how far it may be off. */
export interface Estimate {
  /** The estimate. */
  readonly value: number;
  /** Its error, which it exceeds by chance once in twenty times. */
  readonly error: number;
}

/**
 * What is left of an estimate in the light of its error, the positive-part shrinkage of James and Stein: nothing
 * where the error exceeds it, and nearly all where it is far larger.
 *
 * ```text
 * v · max(0, 1 − (error/v)²)
 * ```
 */
export function shrunk({ value, error }: Estimate): number {
  return error < Math.abs(value) ? value * (1 - (error / value) ** 2) : 0;
}

/**
 * How many standard errors an estimate of that many degrees of freedom may be off: the 97.5 % quantile of Student's
 * distribution, infinite for none.
 *
 * ```text
 * t ≈ √( ν [exp(c²/ν) − 1] ),   c = 1.96 (8ν+3)/(8ν+1)
 * ```
 *
 * It is 4 % too large for two degrees, 1 % for three, and the careful side below. Reference: D. Wallace (1959), Bounds on
 * normal approximations to Student's and the chi-square distributions, Annals of Mathematical Statistics 30.
 */
export function studentLimit(freedom: number): number {
  if (!(freedom > 0)) return Infinity;
  const c = NORMAL_LIMIT * (8 * freedom + 3) / (8 * freedom + 1);
  return Math.sqrt(freedom * Math.expm1(c * c / freedom));
}

/** A mean of `count` draws from their sums of squares about it. */
export function meanOf(mean: number, squares: number, count: number): Estimate {
  return {
    value: mean,
    error: studentLimit(count - 1) * Math.sqrt(squares / count / (count - 1)),
  };
}

/** The line `y = s (x − x̄) + ȳ` through draws. */
export interface Line {
  /** `x̄`. */
  readonly x: number;
  /** `ȳ`. */
  readonly y: number;
  /** `s`, and its error. */
  readonly slope: Estimate;
}

/**
 * The line of least squares, with the error of its slope by the jackknife: what becomes of it when one draw is left out.
 *
 * ```text
 * s = Σ gᵢ yᵢ / V,   gᵢ = xᵢ − x̄,   V = Σ gᵢ²,   eᵢ = yᵢ − ȳ − s gᵢ,   hᵢ = 1/n + gᵢ²/V
 * s − s₍ᵢ₎ = gᵢ eᵢ / (V (1 − hᵢ))
 * error = t √( (n−1)/n Σ (s − s₍ᵢ₎)² ) + ρ/√(V/n)
 * ```
 *
 * `t` is {@linkcode studentLimit} of `V²/Σ gᵢ⁴ − 1`: of the draws that the slope rests on, about `n/3` of `n` normal ones, `k` if
 * `k` of them stand out, one less; a single one that stands out says nothing. `ρ` is the rounding of `y`, taken as if it
 * went with `x`.
 *
 * @param x Where the draws are.
 * @param y What they are there.
 * @param rounding The rounding error of a `y`, root mean square.
 * @param least The least variance of `x` that there is to regress on.
 */
export function lineThrough(
  x: Float64Array,
  y: Float64Array,
  rounding: number,
  least: number,
): Line {
  const n = x.length, mx = average(x), my = average(y);
  let V = 0, fourth = 0, product = 0;
  for (let i = 0; i < n; i++) {
    const g = x[i] - mx;
    V += g * g;
    fourth += g ** 4;
    product += g * (y[i] - my);
  }
  if (!(V / n > least)) return { x: mx, y: my, slope: { value: 0, error: 0 } };
  const value = product / V;
  let changes = 0;
  for (let i = 0; i < n; i++) {
    const g = x[i] - mx, rest = 1 - 1 / n - g * g / V;
    // Without some draws there is no line.
    changes += rest > n * Number.EPSILON
      ? (g * (y[i] - my - value * g) / (V * rest)) ** 2
      : Infinity;
  }
  const deviation = Math.sqrt((n - 1) / n * changes);
  const error = studentLimit(V * V / fourth - 1) * deviation + rounding / Math.sqrt(V / n);
  return { x: mx, y: my, slope: { value, error: Number.isNaN(error) ? Infinity : error } };
}

function average(values: Float64Array): number {
  return values.reduce((sum, v) => sum + v, 0) / values.length;
}
