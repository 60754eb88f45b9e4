/**
 * The implicit QL algorithm for symmetric tridiagonal matrices.
 *
 * @module
 */

/**
 * Diagonalises a symmetric tridiagonal matrix by QL steps with Wilkinson's shift, which converge for
 * every matrix, at about 1.7 steps per eigenvalue.
 *
 * Reference: G. Golub, C. Van Loan, Matrix computations, section 8.3.
 *
 * @param d The diagonal, `n` numbers; becomes the eigenvalues, in no order.
 * @param e The coupling of each number to the next, `n − 1` numbers; becomes 0.
 * @param vectors `n` rows of `width` numbers, for instance the identity; the same rotations are applied to these rows,
 * so that row `k` becomes the eigenvector of `d[k]` (times what was there).
 * @param width Numbers per row.
 */
export function implicitQl(
  d: Float64Array,
  e: Float64Array,
  vectors: Float64Array,
  width: number,
): void {
  for (let first = 0; first < d.length; first++) {
    for (;;) {
      const last = endOfBlock(d, e, first);
      if (last === first) break;
      step(d, e, first, last, vectors, width);
    }
  }
}

/** The end of the unreduced block that begins at `first`. */
function endOfBlock(d: Float64Array, e: Float64Array, first: number): number {
  for (let m = first; m < d.length - 1; m++) {
    const size = Math.abs(d[m]) + Math.abs(d[m + 1]);
    if (Math.abs(e[m]) <= Number.EPSILON / 2 * size || Math.abs(e[m]) < 1e-290) {
      e[m] = 0;
      return m;
    }
  }
  return d.length - 1;
}

/** One QL step on the rows from `first` to `last`. */
function step(
  d: Float64Array,
  e: Float64Array,
  first: number,
  last: number,
  vectors: Float64Array,
  width: number,
): void {
  const half = (d[first + 1] - d[first]) / 2;
  const root = Math.hypot(half, e[first]);
  const shift = d[first] - e[first] * (e[first] / (half + (half < 0 ? -root : root)));
  // The rotation that begins the step acts on what follows as if the matrix were shifted; then a bulge is chased upwards.
  let sine = 1, cosine = 1, carried = 0;
  let g = d[last] - shift;
  for (let i = last - 1; i >= first; i--) {
    const f = sine * e[i], b = cosine * e[i];
    const r = Math.sqrt(f * f + g * g);
    if (i + 1 < last) e[i + 1] = r;
    if (r < 1e-150) {
      // The block has split: undo the pending shift and look for the blocks again.
      d[i + 1] -= carried;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1] - carried;
    const t = (d[i] - g) * sine + 2 * cosine * b;
    carried = sine * t;
    d[i + 1] = g + carried;
    g = cosine * t - b;
    rotate(vectors, i * width, width, cosine, sine);
  }
  d[first] -= carried;
  e[first] = g;
}

/** Rotates the row at `at` with the one after it. */
function rotate(v: Float64Array, at: number, width: number, cosine: number, sine: number): void {
  for (let k = at; k < at + width; k++) {
    const x = v[k], y = v[k + width];
    v[k] = cosine * x - sine * y;
    v[k + width] = sine * x + cosine * y;
  }
}
