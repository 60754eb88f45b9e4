/**
 * Cuppen's divide and conquer for symmetric tridiagonal matrices.
 *
 * @module
 */
import { implicitQl } from "./implicit_ql.ts";
import { secularRoot } from "./secular.ts";
import type { SecularRoot } from "./secular.ts";

/** Where eigenvectors are kept and multiplied. */
export interface VectorRows {
  /** Rows of `stride` numbers, zeros at first; row `k` of a block becomes the eigenvector of its `k`-th value. */
  readonly rows: Float64Array;
  /** Numbers from one row to the next: `n` rounded up to a multiple of 4. */
  readonly stride: number;
  /** Room for the left factor of a product, `stride²` numbers, in panels of 4 rows. */
  readonly left: Float64Array;
  /** Room for the right factors, `stride (stride + 4)` numbers, in panels of 4 columns. */
  readonly right: Float64Array;
  /** Overwrites rows of a block by products of panels. */
  multiply(product: PanelProduct): Promise<void>;
}

/**
 * A product of panels: `out[4i + r][4j + c] += Σₖ left[i][k][r] right[j][k][c]`, where a panel is
 * quadruples one after the other.
 */
export interface PanelProduct {
  /** Panels of the left factor. */
  readonly leftPanels: number;
  /** From one of them to the next, in quadruples. */
  readonly leftPitch: number;
  /** Where the first begins, in quadruples. */
  readonly leftFirst: number;
  /** Panels of the right factor, each of `depth` quadruples. */
  readonly rightPanels: number;
  /** Where the first begins, in quadruples. */
  readonly rightFirst: number;
  /** Number of quadruples that are summed over. */
  readonly depth: number;
  /** Where the result goes: an index of `rows`. */
  readonly target: number;
}

/** Blocks that are not divided further. */
const SMALLEST = 32;

/**
 * Diagonalises a symmetric tridiagonal matrix: splits it in two, solves the halves, and joins them by the
 * eigenvalues of a diagonal matrix plus one of rank one.
 *
 * Pairs that the joint leaves alone (its vector has no part in them, or two values agree) are
 * set aside; the rest is one matrix product. Eigenvectors are orthogonal because the vector of the joint is computed
 * back from the roots.
 *
 * References: J. Cuppen (1981), A divide and conquer method for the symmetric tridiagonal eigenproblem,
 * doi:10.1007/BF01396757; M. Gu, S. Eisenstat (1995), A divide-and-conquer algorithm for the symmetric
 * tridiagonal eigenproblem, doi:10.1137/S0895479892241287.
 *
 * @param d The diagonal, `n` numbers of size up to about `n`; becomes the eigenvalues, in no order.
 * @param e The coupling of each number to the next, `n − 1` numbers; used up.
 * @param vectors Where to keep the eigenvectors; row `k` becomes that of `d[k]`.
 * @param onJoint Called after each joint with the size of the block.
 */
export async function divideAndConquer(
  d: Float64Array,
  e: Float64Array,
  vectors: VectorRows,
  onJoint: (size: number) => void = () => {},
): Promise<void> {
  await solve(d, e, vectors, 0, d.length, onJoint);
}

async function solve(
  d: Float64Array,
  e: Float64Array,
  vectors: VectorRows,
  from: number,
  to: number,
  onJoint: (size: number) => void,
): Promise<void> {
  if (to - from <= SMALLEST) return solveLeaf(d, e, vectors, from, to);
  // Blocks begin at multiples of 4, as panels do.
  const middle = from + 4 * Math.round((to - from) / 8);
  const coupling = e[middle - 1];
  d[middle - 1] -= Math.abs(coupling);
  d[middle] -= Math.abs(coupling);
  await solve(d, e, vectors, from, middle, onJoint);
  await solve(d, e, vectors, middle, to, onJoint);
  await join(d, coupling, vectors, from, middle, to);
  onJoint(to - from);
}

function solveLeaf(
  d: Float64Array,
  e: Float64Array,
  { rows, stride }: VectorRows,
  from: number,
  to: number,
): void {
  const n = to - from;
  const own = new Float64Array(n * n);
  for (let i = 0; i < n; i++) own[i * n + i] = 1;
  implicitQl(d.subarray(from, to), e.subarray(from, to - 1), own, n);
  for (let i = 0; i < n; i++) {
    rows.set(own.subarray(i * n, (i + 1) * n), (from + i) * stride + from);
  }
}

/** Which half of a block an eigenvector of the halves lives in. */
const LEFT = 0, BOTH = 1, RIGHT = 2;

/** Joins the halves of a block: `diag(d) + ρ z zᵀ` in the basis of their eigenvectors. */
async function join(
  d: Float64Array,
  coupling: number,
  vectors: VectorRows,
  from: number,
  middle: number,
  to: number,
): Promise<void> {
  const { rows, stride } = vectors;
  const values = d.subarray(from, to), n = to - from;
  const home = new Uint8Array(n).fill(RIGHT).fill(LEFT, 0, middle - from);
  const z = Float64Array.from(
    values,
    (_, i) =>
      (home[i] === LEFT
        ? rows[(from + i) * stride + middle - 1]
        : Math.sign(coupling) * rows[(from + i) * stride + middle]) * Math.SQRT1_2,
  );
  const rho = 2 * Math.abs(coupling);
  const { kept, aside } = deflate(values, z, rho, home, (i, j, cosine, sine) => {
    rotate(rows, (from + i) * stride + from, (from + j) * stride + from, n, cosine, sine);
  });
  if (kept.length === 0) return;
  const poles = Float64Array.from(kept, (i) => values[i]);
  const parts = Float64Array.from(kept, (i) => z[i]);
  const roots = Array.from(poles, (_, j) => secularRoot(poles, parts, rho, j));
  const order = Uint32Array.from(kept.keys()).sort((a, b) =>
    home[kept[a]] - home[kept[b]] || a - b
  );
  writeLeft(vectors.left, poles, parts, roots, order);
  const sorted = Array.from(order, (k) => kept[k]);
  const saved = aside.map((i) => ({
    value: values[i],
    row: rows.slice((from + i) * stride + from, (from + i) * stride + to),
  }));
  await multiplyHalves(vectors, sorted, home, from, middle, to);
  saved.forEach(({ value, row }, i) => {
    values[kept.length + i] = value;
    rows.set(row, (from + kept.length + i) * stride + from);
  });
  roots.forEach(({ origin, offset }, j) => values[j] = poles[origin] + offset);
}

/** What takes part in a joint, the smallest value first, and what does not. */
interface Deflation {
  readonly kept: number[];
  readonly aside: number[];
}

/**
 * Sets aside the pairs that a joint does not change beyond rounding. Of two values that agree, a rotation moves all
 * of the vector to one.
 */
function deflate(
  values: Float64Array,
  z: Float64Array,
  rho: number,
  home: Uint8Array,
  rotatePair: (i: number, j: number, cosine: number, sine: number) => void,
): Deflation {
  const largest = (numbers: Float64Array) =>
    numbers.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const tolerance = 8 * Number.EPSILON * Math.max(largest(values), rho * largest(z));
  const kept: number[] = [], aside: number[] = [];
  for (const j of Array.from(values.keys()).sort((a, b) => values[a] - values[b])) {
    if (rho * Math.abs(z[j]) <= tolerance) {
      aside.push(j);
      continue;
    }
    const i = kept.at(-1);
    if (i !== undefined) {
      const length = Math.hypot(z[i], z[j]);
      const cosine = z[j] / length, sine = -z[i] / length;
      const difference = values[j] - values[i];
      // What the rotation leaves off the diagonal.
      if (Math.abs(difference * cosine * sine) <= tolerance) {
        z[j] = length;
        z[i] = 0;
        rotatePair(i, j, cosine, sine);
        const [low, high] = [values[i], values[j]];
        values[i] = low * cosine * cosine + high * sine * sine;
        values[j] = low * sine * sine + high * cosine * cosine;
        if (home[i] !== home[j]) home[i] = home[j] = BOTH;
        kept.pop();
        aside.push(i);
      }
    }
    kept.push(j);
  }
  return { kept, aside };
}

function rotate(
  v: Float64Array,
  a: number,
  b: number,
  length: number,
  cosine: number,
  sine: number,
): void {
  for (let k = 0; k < length; k++) {
    const x = v[a + k], y = v[b + k];
    v[a + k] = cosine * x + sine * y;
    v[b + k] = cosine * y - sine * x;
  }
}

/**
 * Writes the eigenvectors of `diag(d) + ρ z zᵀ` as panels of 4 rows: `uⱼ[i] ∝ ẑᵢ/(dᵢ − λⱼ)`, where `ẑ` is the vector
 * for which the computed roots are exact, `ẑᵢ² = Πⱼ (λⱼ − dᵢ) / Π_{j≠i} (dⱼ − dᵢ)` up to a factor.
 *
 * @param order The numbers `i` in the order in which they are written.
 */
function writeLeft(
  left: Float64Array,
  poles: Float64Array,
  z: Float64Array,
  roots: readonly SecularRoot[],
  order: Uint32Array,
): void {
  const n = poles.length;
  const squares = new Float64Array(n).fill(1);
  for (let j = 0; j < n; j++) {
    const { origin, offset } = roots[j];
    const pole = poles[origin];
    for (let i = 0; i < n; i++) {
      const distance = poles[i] - pole - offset;
      squares[i] *= i === j ? distance : distance / (poles[i] - poles[j]);
    }
  }
  const hat = squares.map((s, i) => Math.sign(z[i]) * Math.sqrt(Math.abs(s)));
  for (let j = 0; j < n; j++) {
    const { origin, offset } = roots[j];
    const pole = poles[origin];
    const at = (j >> 2) * 4 * n + (j & 3);
    let square = 0;
    for (let k = 0; k < n; k++) {
      const u = hat[order[k]] / (poles[order[k]] - pole - offset);
      left[at + 4 * k] = u;
      square += u * u;
    }
    const norm = Math.sqrt(square);
    for (let k = 0; k < n; k++) left[at + 4 * k] /= norm;
  }
}

/**
 * Overwrites the first rows of a block by `left` times the rows that take part, half by half: rows of the left half are
 * 0 in the right one, and the other way round.
 */
async function multiplyHalves(
  vectors: VectorRows,
  sorted: readonly number[],
  home: Uint8Array,
  from: number,
  middle: number,
  to: number,
): Promise<void> {
  const { rows, stride } = vectors;
  const depth = sorted.length;
  const firstBoth = sorted.filter((i) => home[i] === LEFT).length;
  const firstRight = sorted.filter((i) => home[i] !== RIGHT).length;
  const leftPanels = Math.ceil(depth / 4);
  const inLeft = sorted.slice(0, firstRight), inRight = sorted.slice(firstBoth);
  const rightFirst = writeRight(vectors, inLeft, from, from, middle, 0);
  writeRight(vectors, inRight, from, middle, to, rightFirst);
  // The last panel may have fewer rows; its others are of values set aside, and are written afterwards.
  for (let r = from; r < from + 4 * leftPanels; r++) {
    rows.fill(0, r * stride + from, r * stride + to);
  }
  const common = { leftPanels, leftPitch: depth };
  await vectors.multiply({
    ...common,
    leftFirst: 0,
    rightPanels: (middle - from) / 4,
    rightFirst: 0,
    depth: inLeft.length,
    target: from * stride + from,
  });
  await vectors.multiply({
    ...common,
    leftFirst: firstBoth,
    rightPanels: Math.ceil((to - middle) / 4),
    rightFirst,
    depth: inRight.length,
    target: from * stride + middle,
  });
}

/** Writes columns `first` to `end` of some rows as panels, from a place on; the place after them, in quadruples. */
function writeRight(
  { rows, stride, right }: VectorRows,
  numbers: readonly number[],
  from: number,
  first: number,
  end: number,
  place: number,
): number {
  const depth = numbers.length;
  const panels = Math.ceil((end - first) / 4);
  numbers.forEach((i, k) => {
    const row = (from + i) * stride;
    for (let p = 0, c = first; p < panels; p++, c += 4) {
      const at = 4 * (place + p * depth + k);
      // Columns beyond the last are padding, zeros.
      for (let q = 0; q < 4; q++) right[at + q] = rows[row + c + q];
    }
  });
  return place + panels * depth;
}
