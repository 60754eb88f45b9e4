/**
 * Nodes and integration weights of collocation, in float64.
 *
 * @module
 */

/** Families of nodes in (0, 1): neither holds an end of the window. */
export type NodeFamily = "gauss" | "chebyshev";

/** What depends on the family and the number of nodes only. */
export interface CollocationRule {
  /** The family. */
  readonly family: NodeFamily;
  /** The number of nodes, `K`. */
  readonly count: number;
  /** The nodes `ξ₁ < … < ξ_K`, as fractions of the window. */
  readonly nodes: Float64Array;
  /** `K × K`: values at the nodes to coefficients of the Legendre polynomials of the window. */
  readonly legendre: Float64Array;
}

/** The weights of a window of length `h` in `ℓ = −ln σ`. */
export interface CollocationWeights {
  /** The length of the window. */
  readonly h: number;
  /** Offsets of the nodes, `tⱼ = h ξⱼ`. */
  readonly offsets: Float64Array;
  /** `Eᵢ = e^{−tᵢ}` at the nodes, then `e^{−h}` at the end: `K + 1` numbers. */
  readonly decay: Float64Array;
  /** `Wᵢⱼ = ∫₀^{tᵢ} e^{−(tᵢ−u)} lⱼ(u/h) du`, a row per node, then the row of the end: `(K + 1) × K`. */
  readonly weights: Float64Array;
}

/** Gauss points that integrate `e^u` times a polynomial over a window of 3 to rounding. */
const QUADRATURE = 24;

const rules = new Map<string, CollocationRule>();

/** The rule of a family, made once. */
export function collocationRule(family: NodeFamily, count: number): CollocationRule {
  const key = `${family} ${count}`;
  let rule = rules.get(key);
  if (!rule) {
    const nodes = family === "gauss" ? gaussNodes(count) : chebyshevNodes(count);
    rule = { family, count, nodes, legendre: legendreTransform(nodes) };
    rules.set(key, rule);
  }
  return rule;
}

/** The `n` Gauss–Legendre nodes on [0, 1]: the roots of a Legendre polynomial, by Newton's method. */
export function gaussNodes(n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => {
    let x = -Math.cos(Math.PI * (i + 0.75) / (n + 0.5));
    for (let k = 0; k < 8; k++) {
      const [p, before] = legendreAt(x, n + 1).subarray(n - 1).reverse();
      x -= p * (x * x - 1) / (n * (x * p - before));
    }
    return (1 + x) / 2;
  });
}

/** The weights of the Gauss–Legendre nodes on [0, 1], `1/Σₖ (2k+1) Pₖ²`, a sum without cancellation. */
function gaussWeights(nodes: Float64Array): Float64Array {
  return nodes.map((t) => {
    const p = legendreAt(2 * t - 1, nodes.length);
    return 1 / p.reduce((sum, v, k) => sum + (2 * k + 1) * v * v, 0);
  });
}

/** The `n` roots of a Chebyshev polynomial, on [0, 1]. */
export function chebyshevNodes(n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => Math.sin((i + 0.5) * Math.PI / (2 * n)) ** 2);
}

/** `P₀(x) … P_{n−1}(x)`, the Legendre polynomials. */
export function legendreAt(x: number, n: number): Float64Array {
  const p = new Float64Array(n).fill(1);
  if (n > 1) p[1] = x;
  for (let k = 2; k < n; k++) p[k] = ((2 * k - 1) * x * p[k - 1] - (k - 1) * p[k - 2]) / k;
  return p;
}

/** The inverse of the matrix `P_k(2ξⱼ − 1)`: exact integrals of the interpolant against the `P_k`. */
function legendreTransform(nodes: Float64Array): Float64Array {
  const K = nodes.length;
  const transform = new Float64Array(K * K);
  const points = gaussNodes(K), weights = gaussWeights(points);
  const basis = interpolation(nodes, points);
  for (let q = 0; q < K; q++) {
    legendreAt(2 * points[q] - 1, K).forEach((p, k) => {
      for (let j = 0; j < K; j++) {
        transform[k * K + j] += (2 * k + 1) * weights[q] * p * basis[q * K + j];
      }
    });
  }
  return transform;
}

/**
 * The matrix of Lagrange interpolation from values at `from` to values at `to`, a row per point of
 * `to`, by the barycentric formula in its product form, which also extrapolates.
 */
export function interpolation(from: Float64Array, to: Float64Array): Float64Array {
  const K = from.length;
  const matrix = new Float64Array(to.length * K);
  for (let i = 0; i < to.length; i++) {
    for (let j = 0; j < K; j++) {
      let l = 1;
      for (let m = 0; m < K; m++) if (m !== j) l *= (to[i] - from[m]) / (from[j] - from[m]);
      matrix[i * K + j] = l;
    }
  }
  return matrix;
}

/** `lⱼ` at the quadrature points of `[0, ξᵢ]` and, last, of `[0, 1]`; they do not depend on `h`. */
interface Table {
  readonly points: Float64Array;
  readonly quadrature: Float64Array;
  /** `(K + 1) × QUADRATURE × K`. */
  readonly basis: Float64Array;
}

const tables = new WeakMap<CollocationRule, Table>();

function tableOf(rule: CollocationRule): Table {
  let table = tables.get(rule);
  if (!table) {
    const points = gaussNodes(QUADRATURE);
    const at = [...rule.nodes, 1].flatMap((end) => Array.from(points, (s) => end * s));
    const basis = interpolation(rule.nodes, Float64Array.from(at));
    table = { points, quadrature: gaussWeights(points), basis };
    tables.set(rule, table);
  }
  return table;
}

/** The weights of a rule on a window of length `h`. */
export function collocationWeights(rule: CollocationRule, h: number): CollocationWeights {
  const { points, quadrature, basis } = tableOf(rule);
  const K = rule.count;
  const ends = Float64Array.of(...rule.nodes, 1).map((end) => end * h);
  const weights = new Float64Array((K + 1) * K);
  for (let i = 0, at = 0; i <= K; i++) {
    for (let q = 0; q < QUADRATURE; q++) {
      const factor = ends[i] * quadrature[q] * Math.exp(-ends[i] * (1 - points[q]));
      for (let j = 0; j < K; j++) weights[i * K + j] += factor * basis[at++];
    }
  }
  return { h, offsets: ends.subarray(0, K), decay: ends.map((t) => Math.exp(-t)), weights };
}

/**
 * The weights without the decay, `Aᵢⱼ = ∫₀^{tᵢ} lⱼ(u/h) du`, of the same layout: for sweeping the
 * whole drift instead of its non-linear part.
 */
export function plainWeights(rule: CollocationRule, h: number): Float64Array {
  const { quadrature, basis } = tableOf(rule);
  const K = rule.count;
  const weights = new Float64Array((K + 1) * K);
  for (let i = 0, at = 0; i <= K; i++) {
    const end = h * (i < K ? rule.nodes[i] : 1);
    for (let q = 0; q < QUADRATURE; q++) {
      for (let j = 0; j < K; j++) weights[i * K + j] += end * quadrature[q] * basis[at++];
    }
  }
  return weights;
}
