/**
 * A solver of the flow equation by extrapolation, for reference values in float64.
 *
 * It shares nothing with the samplers: neither the exact linear part nor a tableau, grid or history.
 *
 * @module
 */

/** Numbers of substeps of the columns, Bulirsch's sequence: it amplifies rounding errors by ten at most. */
const SUBSTEPS = [2, 4, 6, 8, 12, 16, 24];
/** Relative error per step. */
const TOLERANCE = 2e-14;
/** The shortest step in `ln σ`; rounding noise of a denoiser asks for shorter ones in vain. */
const SHORTEST = 0.002;
/** The longest time without a pause in which a signal could be heard, milliseconds. */
const PAUSE = 50;

/** A denoiser of one row. */
export type DenoiseRow = (x: Float64Array, sigma: number) => Float64Array;

/**
 * Solves `dx/dℓ = D(x, e^{−ℓ}) − x` from one noise level to another by Gragg's modified midpoint
 * rule, extrapolated to order 14, with steps adapted to a relative error of 2e-14 each.
 *
 * ```text
 * T_{j,0}: nⱼ substeps;   T_{j,m} = T_{j,m−1} + (T_{j,m−1} − T_{j−1,m−1}) / ((nⱼ/n_{j−m})² − 1)
 * ```
 *
 * Reference: E. Hairer, S. Nørsett, G. Wanner, Solving ordinary differential equations I, section II.9.
 *
 * @param denoise The denoiser.
 * @param x The state at `from`, `d` numbers.
 * @param from The noise level `σ > 0`.
 * @param to The noise level `σ' > 0` to go to, below or above.
 * @param signal Cancels.
 * @returns The state at `to`, `d` numbers.
 *
 * @example The flow of a point at 0
 * ```ts
 * import { extrapolateFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const [x] = await extrapolateFlow(() => Float64Array.of(0), Float64Array.of(1), 1, 0.25);
 * assert.ok(Math.abs(x - 0.25) < 1e-14);
 * ```
 */
export async function extrapolateFlow(
  denoise: DenoiseRow,
  x: Float64Array,
  from: number,
  to: number,
  signal?: AbortSignal,
): Promise<Float64Array> {
  const length = Math.log(from / to);
  const direction = Math.sign(length);
  let state = x, done = 0, step = 0.25, paused = performance.now();
  while (Math.abs(length) - done > 1e-15 * Math.abs(length)) {
    if (performance.now() - paused > PAUSE) {
      await new Promise((resolve) => setTimeout(resolve));
      paused = performance.now();
    }
    signal?.throwIfAborted();
    const rest = Math.abs(length) - done;
    const h = Math.min(step, rest);
    const sigma = from * Math.exp(-direction * done);
    const { end, error } = extrapolatedStep(denoise, state, sigma, direction * h);
    if (error <= TOLERANCE || h <= SHORTEST) {
      state = end;
      done = h === rest ? Math.abs(length) : done + h;
    }
    const growth = 0.9 * (TOLERANCE / error) ** (1 / (2 * SUBSTEPS.length - 1));
    step = Math.max(SHORTEST, h * Math.min(3, Math.max(0.2, growth)));
  }
  return state;
}

/** One step of length `h` in `−ln σ`: the last column, and its relative difference from the one before. */
function extrapolatedStep(denoise: DenoiseRow, x: Float64Array, sigma: number, h: number) {
  const slope = (y: Float64Array, offset: number) => {
    const denoised = denoise(y, sigma * Math.exp(-offset));
    for (let c = 0; c < y.length; c++) denoised[c] -= y[c];
    return denoised;
  };
  const first = slope(x, 0);
  let row: Float64Array[] = [];
  for (const n of SUBSTEPS) {
    const next = [midpoint(slope, x, first, h, n)];
    const j = row.length;
    for (let m = 1; m <= j; m++) {
      const weight = 1 / ((n / SUBSTEPS[j - m]) ** 2 - 1);
      next.push(extrapolate(next[m - 1], row[m - 1], weight));
    }
    row = next;
  }
  const [last, end] = row.slice(-2);
  let error = 0, size = Number.MIN_VALUE;
  for (let c = 0; c < x.length; c++) {
    error = Math.max(error, Math.abs(end[c] - last[c]));
    size = Math.max(size, Math.abs(end[c]), Math.abs(x[c]));
  }
  return { end, error: error / size };
}

function midpoint(
  slope: (x: Float64Array, offset: number) => Float64Array,
  x: Float64Array,
  first: Float64Array,
  h: number,
  n: number,
): Float64Array {
  const part = h / n;
  let before = x;
  let now = combination(1, x, part, first);
  for (let i = 1; i < n; i++) {
    [before, now] = [now, combination(1, before, 2 * part, slope(now, i * part))];
  }
  return now;
}

/** `a + (a − b) weight`: the difference first, which keeps two digits more. */
function extrapolate(a: Float64Array, b: Float64Array, weight: number): Float64Array {
  const sum = new Float64Array(a.length);
  for (let c = 0; c < sum.length; c++) sum[c] = a[c] + (a[c] - b[c]) * weight;
  return sum;
}

function combination(a: number, x: Float64Array, b: number, y: Float64Array): Float64Array {
  const sum = new Float64Array(x.length);
  for (let c = 0; c < sum.length; c++) sum[c] = a * x[c] + b * y[c];
  return sum;
}
