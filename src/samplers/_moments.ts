/**
 * Weights of exponential multistep methods: the exact step with the denoiser replaced by a polynomial.
 *
 * With `ℓ = −ln σ` the flow is `dx/dℓ = D − x`, and a step of length `h` is
 *
 * ```text
 * x' = e^{−h} x + ∫₀^h e^{−(h−u)} D du
 * ```
 *
 * @module
 */
import { solveLinear } from "../linalg/solve_linear.ts";

/**
 * The moments `M_k = ∫₀^h e^{−(h−u)} (u/h)^k du` for `k = 0 … most`.
 *
 * ```text
 * M_k = −k! a_k,   a_k = Σ_{j≥1} q^j/(j+k)!,   q = −h,   a_0 = expm1(q),   a_{k+1} = a_k/q − 1/(k+1)!
 * ```
 *
 * The recursion loses a factor `1/h` per level, so that small steps take the series.
 */
export function moments(h: number, most: number): number[] {
  const a = h < 0.5 ? series(-h, most) : recursion(-h, most);
  let factorial = 1;
  return a.map((value, k) => {
    factorial *= k || 1;
    return -factorial * value;
  });
}

function recursion(q: number, most: number): number[] {
  const a = [Math.expm1(q)];
  let inverse = 1;
  for (let k = 1; k <= most; k++) {
    inverse /= k;
    a.push(a[k - 1] / q - inverse);
  }
  return a;
}

function series(q: number, most: number): number[] {
  return Array.from({ length: most + 1 }, (_, k) => {
    // Terms fall at least like q^j/j! from q/(k+1)!.
    let term = 1, sum = 0;
    for (let j = 2; j <= k; j++) term /= j;
    for (let j = 1; j <= 15; j++) {
      term *= q / (j + k);
      sum += term;
    }
    return k === 0 ? Math.expm1(q) : sum;
  });
}

/**
 * The weights of the outputs at the step's start and at other nodes, for which the step is exact as long
 * as the denoiser is a polynomial in `ℓ` of a degree up to the number of other nodes.
 *
 * ```text
 * x' = e^{−h} x + w D_i + Σⱼ bⱼ (Dⱼ − D_i),   Σⱼ bⱼ rⱼ^k = M_k,   k = 1 … number of other nodes
 * ```
 *
 * @param h The length of the step in `ℓ`.
 * @param nodes Where the other outputs are, `rⱼ = (ℓⱼ − ℓ_i)/h`: negative in the past, 1 at the step's end.
 * @returns The weight of `D_i`, then those of the other nodes; they sum to `w = 1 − e^{−h}`.
 */
export function momentWeights(h: number, nodes: readonly number[]): number[] {
  const [w, ...higher] = moments(h, nodes.length);
  const powers = higher.flatMap((_, k) => nodes.map((r) => r ** (k + 1)));
  return withStart(w, nodes.length ? solveLinear(powers, higher) : []);
}

/** Puts the weight of `D_i` before those of the differences `Dⱼ − D_i`: together they sum to `w`. */
export function withStart(w: number, weights: readonly number[]): number[] {
  return [w - weights.reduce((sum, b) => sum + b, 0), ...weights];
}
