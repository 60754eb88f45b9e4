/**
 * Householder's reduction of a symmetric matrix to a tridiagonal one, in plain loops.
 *
 * @module
 */

/** A symmetric tridiagonal matrix `T = Qᵀ A Q` and the reflections that `Q` is made of. */
export interface Tridiagonal {
  /** The diagonal, `n` numbers. */
  readonly diagonal: Float64Array;
  /** Element `i` couples `i` and `i + 1`; `n − 1` numbers. */
  readonly coupling: Float64Array;
  /** Row `i` begins with the `i` numbers of the reflector `uᵢ`; the rest of it is not looked at. */
  readonly reflectors: Float64Array;
  /** `βᵢ` of the reflection `Hᵢ = I − βᵢ uᵢ uᵢᵀ` of the first `i` coordinates; 0 for none. */
  readonly scales: Float64Array;
}

/** A reflection that maps a vector to a multiple of its last axis. */
export interface Reflection {
  /** The last coordinate of the image. */
  readonly image: number;
  /** `β`, 0 if there is nothing to reflect. */
  readonly scale: number;
}

// Squares of what is smaller than this beside 1 vanish.
const NOTHING = 1e-290;

/**
 * Overwrites a vector `x` by `u` such that `(I − β u uᵀ) x = (0, …, 0, image)`.
 *
 * @param x The vector, of numbers up to about 1.
 */
export function reflect(x: Float64Array): Reflection {
  const last = x.length - 1;
  let rest = 0;
  for (let j = 0; j < last; j++) rest += x[j] * x[j];
  if (rest < NOTHING) return { image: x[last], scale: 0 };
  const norm = Math.sqrt(rest + x[last] * x[last]);
  // The sign that adds numbers of one sign.
  const image = x[last] > 0 ? -norm : norm;
  x[last] -= image;
  return { image, scale: 2 / (rest + x[last] * x[last]) };
}

/**
 * Reduces a symmetric matrix to a tridiagonal one, from its last row to its first.
 *
 * Step `i` reflects the first `i` coordinates so that only the last number of row `i` remains, and
 * updates the leading matrix by `A − u wᵀ − w uᵀ` with `p = βAu`, `w = p − (β/2)(uᵀp) u`.
 *
 * Reference: G. Golub, C. Van Loan, Matrix computations, section 8.3.1.
 *
 * @param a The matrix, `n` rows of which the part on and below the diagonal is used up; numbers up to about 1.
 * @param n Its size.
 * @returns The tridiagonal matrix; its reflectors lie in `a`.
 */
export function tridiagonalise(a: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n), coupling = new Float64Array(Math.max(0, n - 1));
  const scales = new Float64Array(n);
  const w = new Float64Array(n);
  for (let i = n - 1; i > 0; i--) {
    const u = a.subarray(i * n, i * n + i);
    const { image, scale } = reflect(u);
    diagonal[i] = a[i * n + i];
    coupling[i - 1] = image;
    scales[i] = scale;
    if (scale === 0) continue;
    multiplyLower(a, n, u, w);
    let product = 0;
    for (let j = 0; j < i; j++) product += u[j] * w[j];
    for (let j = 0; j < i; j++) w[j] = scale * (w[j] - scale / 2 * product * u[j]);
    for (let r = 0; r < i; r++) {
      const ur = u[r], wr = w[r], row = r * n;
      for (let c = 0; c <= r; c++) a[row + c] -= ur * w[c] + wr * u[c];
    }
  }
  if (n > 0) diagonal[0] = a[0];
  return { diagonal, coupling, reflectors: a, scales };
}

/** `y = A u` from the lower triangle of the leading rows of `a`. */
function multiplyLower(a: Float64Array, n: number, u: Float64Array, y: Float64Array): void {
  for (let r = 0; r < u.length; r++) {
    const ur = u[r], row = r * n;
    let sum = 0;
    for (let c = 0; c < r; c++) {
      sum += a[row + c] * u[c];
      y[c] += a[row + c] * ur;
    }
    y[r] = sum + a[row + r] * ur;
  }
}

/**
 * Turns eigenvectors of the tridiagonal matrix into those of the full one: `v = Hₙ₋₁ ⋯ H₁ s`.
 *
 * @param tridiagonal The reflections.
 * @param vectors Rows of `n` numbers, overwritten.
 */
export function reflectBack({ reflectors, scales }: Tridiagonal, vectors: Float64Array): void {
  const n = scales.length;
  for (let from = 0; from < vectors.length; from += n) {
    for (let i = 1; i < n; i++) {
      const row = i * n;
      let product = 0;
      for (let j = 0; j < i; j++) product += reflectors[row + j] * vectors[from + j];
      product *= scales[i];
      for (let j = 0; j < i; j++) vectors[from + j] -= product * reflectors[row + j];
    }
  }
}
