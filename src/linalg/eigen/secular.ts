/**
 * The secular equation: eigenvalues of a diagonal matrix plus one of rank one.
 *
 * @module
 */

/** One root of the secular equation. */
export interface SecularRoot {
  /** The number of the pole it is measured from. */
  readonly origin: number;
  /** The root minus that pole. */
  readonly offset: number;
}

/**
 * The `j`-th eigenvalue of `diag(d) + ρ z zᵀ`, which lies between `d[j]` and `d[j + 1]` (or, for the last one,
 * `d[j] + ρ ‖z‖²`): the root there of
 *
 * ```text
 * f(λ) = 1/ρ + Σᵢ zᵢ² / (dᵢ − λ)
 * ```
 *
 * The root is found as an offset from the nearer of the two poles, so that its distance to every pole
 * is accurate to the last bits, which orthogonal eigenvectors need. Steps replace the terms
 * of the poles on either side by one pole each, with the same value and slope, and are kept within a
 * bracket that halves if they do not get on.
 *
 * Reference: R.-C. Li (1993), Solving secular equations stably and efficiently, LAPACK working note 89.
 *
 * @param d The poles, strictly rising.
 * @param z The numbers of the vector, none of them 0.
 * @param rho `ρ > 0`.
 * @param j Which root.
 */
export function secularRoot(
  d: Float64Array,
  z: Float64Array,
  rho: number,
  j: number,
): SecularRoot {
  const last = j === d.length - 1;
  const gap = last ? rho * z.reduce((sum, v) => sum + v * v, 0) : d[j + 1] - d[j];
  // The sign of f halfway says which pole is nearer.
  const origin = last || evaluate(d, z, rho, j, j, gap / 2).value >= 0 ? j : j + 1;
  let low = origin === j ? 0 : -gap / 2;
  let high = origin === j ? (last ? gap : gap / 2) : 0;
  let offset = origin === j ? gap / 4 : -gap / 4;
  for (;;) {
    const f = evaluate(d, z, rho, j, origin, offset);
    if (Math.abs(f.value) <= f.error) break;
    if (f.value < 0) low = offset;
    else high = offset;
    const next = offset + interpolate(d, j, origin, offset, f);
    const middle = low + (high - low) / 2;
    const usable = next > low && next < high && Math.abs(f.value) < Infinity;
    const candidate = usable ? next : middle;
    if (candidate === offset || middle <= low || middle >= high) break;
    offset = candidate;
  }
  return { origin, offset };
}

/** `f` at a point, what the poles up to `j` and after it add to its slope, and how far rounding may be off. */
interface SecularValue {
  readonly value: number;
  readonly below: number;
  readonly above: number;
  readonly error: number;
}

function evaluate(
  d: Float64Array,
  z: Float64Array,
  rho: number,
  j: number,
  origin: number,
  offset: number,
): SecularValue {
  const pole = d[origin];
  let negative = 0, positive = 0, below = 0, above = 0;
  for (let i = 0; i <= j; i++) {
    const t = z[i] / (d[i] - pole - offset);
    negative += z[i] * t;
    below += t * t;
  }
  for (let i = d.length - 1; i > j; i--) {
    const t = z[i] / (d[i] - pole - offset);
    positive += z[i] * t;
    above += t * t;
  }
  const sizes = 1 / rho + positive - negative;
  return {
    value: 1 / rho + negative + positive,
    below,
    above,
    error: Number.EPSILON * (8 * sizes + Math.abs(offset) * (below + above)),
  };
}

/** The step to the zero of `c + s/(p − λ) + S/(q − λ)` that has the value and slopes of `f`. */
function interpolate(
  d: Float64Array,
  j: number,
  origin: number,
  offset: number,
  { value, below, above }: SecularValue,
): number {
  const p = d[j] - d[origin] - offset;
  if (j === d.length - 1) {
    const c = value - p * below;
    return p + p * p * below / c;
  }
  const q = d[j + 1] - d[origin] - offset;
  const c = value - p * below - q * above;
  const a = (p + q) * value - p * q * (below + above);
  const b = p * q * value;
  const root = Math.sqrt(Math.max(0, a * a - 4 * b * c));
  return a <= 0 ? (a - root) / (2 * c) : 2 * b / (a + root);
}
