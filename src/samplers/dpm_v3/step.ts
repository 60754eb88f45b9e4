/**
 * The coefficients of a step of DPM-Solver-v3.
 *
 * @module
 */
import { solveLinear } from "../../linalg/solve_linear.ts";
import type { DpmV3Statistics } from "./statistics.ts";

/** Integrals of the tables from one level to another, per coordinate; `ℓ = −ln σ`, all from the start. */
interface Integrals {
  /** `∫ l`. */
  readonly L: Float64Array;
  /** `∫ s`. */
  readonly S: Float64Array;
  /** `∫ e^{−S} b`. */
  readonly B: Float64Array;
  /** `∫ e^{L+S} B`. */
  readonly C: Float64Array;
  /** `∫ e^{L+S} (ℓ−ℓ₀)^k/k!`, `k = 0, 1, 2`. */
  readonly J: readonly [Float64Array, Float64Array, Float64Array];
}

/** Tables as functions of `ℓ`, linear between their rows. */
export class Tables {
  readonly #begin: number;
  readonly #width: number;
  readonly dimension: number;

  constructor(readonly statistics: DpmV3Statistics) {
    const { sigmaMax, sigmaMin, intervals, l } = statistics;
    this.#begin = -Math.log(sigmaMax);
    this.#width = Math.log(sigmaMax / sigmaMin) / intervals;
    this.dimension = l.length / (intervals + 1);
  }

  /** The place of a noise level in the tables, in rows. */
  #place(ell: number): number {
    const { intervals, sigmaMax, sigmaMin } = this.statistics;
    const place = (ell - this.#begin) / this.#width;
    // Rounding may put the ends slightly outside.
    if (!(place > -1e-6 && place < intervals + 1e-6)) {
      throw new RangeError(
        `Cannot take a step of DPM-Solver-v3: sigma is ${Math.exp(-ell)}, wanted a noise level ` +
          `of the statistics, ${sigmaMax} to ${sigmaMin}`,
      );
    }
    return Math.min(Math.max(place, 0), intervals);
  }

  #row(table: Float64Array, place: number): Float64Array {
    const d = this.dimension, row = Math.min(Math.floor(place), this.statistics.intervals - 1);
    const share = place - row;
    const y = new Float64Array(d);
    for (let c = 0, at = row * d; c < d; c++, at++) {
      y[c] = (1 - share) * table[at] + share * table[at + d];
    }
    return y;
  }

  /** The share `l` at a noise level. */
  share(ell: number): Float64Array {
    return this.#row(this.statistics.l, this.#place(ell));
  }

  /** The integrals from one level to another, by the trapezoidal rule over the rows between them. */
  integrate(from: number, to: number): Integrals {
    const d = this.dimension, { l, s, b } = this.statistics;
    const room = () => new Float64Array(d);
    const sum = {
      L: room(),
      S: room(),
      B: room(),
      C: room(),
      J: [room(), room(), room()] as const,
    };
    const places = between(this.#place(from), this.#place(to));
    let before = {
      l: this.#row(l, places[0]),
      s: this.#row(s, places[0]),
      b: this.#row(b, places[0]),
    };
    for (let i = 1; i < places.length; i++) {
      const at = {
        l: this.#row(l, places[i]),
        s: this.#row(s, places[i]),
        b: this.#row(b, places[i]),
      };
      const half = (places[i] - places[i - 1]) * this.#width / 2;
      const t0 = (places[i - 1] - places[0]) * this.#width, t1 = t0 + 2 * half;
      for (let c = 0; c < d; c++) {
        const decay0 = Math.exp(-sum.S[c]), weight0 = Math.exp(sum.L[c] + sum.S[c]), B0 = sum.B[c];
        sum.L[c] += half * (before.l[c] + at.l[c]);
        sum.S[c] += half * (before.s[c] + at.s[c]);
        const decay1 = Math.exp(-sum.S[c]), weight1 = Math.exp(sum.L[c] + sum.S[c]);
        sum.B[c] += half * (decay0 * before.b[c] + decay1 * at.b[c]);
        sum.C[c] += half * (weight0 * B0 + weight1 * sum.B[c]);
        sum.J[0][c] += half * (weight0 + weight1);
        sum.J[1][c] += half * (weight0 * t0 + weight1 * t1);
        sum.J[2][c] += half * (weight0 * t0 * t0 + weight1 * t1 * t1) / 2;
      }
      before = at;
    }
    return sum;
  }
}

/** Both ends and the whole numbers between them, in order. */
function between(from: number, to: number): number[] {
  const inner: number[] = [];
  if (from < to) { for (let k = Math.floor(from) + 1; k < to; k++) inner.push(k); }
  else for (let k = Math.ceil(from) - 1; k > to; k--) inner.push(k);
  return [from, ...inner, to];
}

/** The coefficients of a step, per coordinate. */
export interface StepCoefficients {
  /** Of the state. */
  readonly state: Float64Array;
  /** Of `f` at the step's start, then of those at the other nodes. */
  readonly nodes: readonly Float64Array[];
  /** What is added. */
  readonly constant: Float64Array;
}

/**
 * The step from `ℓ_a` to `ℓ_c` in which `g = e^{−S} f − B`, constant if the tables were the whole truth, is
 * the polynomial through its values at the start and other nodes. All integrals from `ℓ_a`.
 *
 * ```text
 * g_i = e^{−S_i} f_i − B_i,   g_i − g_a = Σ_k g⁽ᵏ⁾ (ℓ_i−ℓ_a)^k/k!
 * x_c = e^{−L} [ x_a − J₀ f_a − C − Σ_k g⁽ᵏ⁾ J_k ]
 * ```
 *
 * @param tables The tables.
 * @param from `ℓ_a`.
 * @param to `ℓ_c`.
 * @param others `ℓ_i` of the other nodes, the nearest first.
 * @param pseudo Whether `g⁽ᵏ⁾` is `k!` times the `k`-th divided difference, which leaves the correction of the slope out.
 */
export function stepCoefficients(
  tables: Tables,
  from: number,
  to: number,
  others: readonly number[],
  pseudo: boolean,
): StepCoefficients {
  const { L, C, J } = tables.integrate(from, to);
  const inverse = derivatives(others.map((ell) => ell - from), pseudo);
  const d = tables.dimension;
  const state = L.map((v) => Math.exp(-v));
  const start = J[0].slice(), constant = C.slice();
  const nodes = others.map((ell, i) => {
    const { S, B } = tables.integrate(from, ell);
    const coefficient = new Float64Array(d);
    for (let c = 0; c < d; c++) {
      let weight = 0;
      for (let k = 0; k < others.length; k++) weight += inverse[k][i] * J[k + 1][c];
      start[c] -= weight;
      constant[c] -= weight * B[c];
      coefficient[c] = -state[c] * weight * Math.exp(-S[c]);
    }
    return coefficient;
  });
  return {
    state,
    nodes: [start.map((v, c) => -state[c] * v), ...nodes],
    constant: constant.map((v, c) => -state[c] * v),
  };
}

/** Row `k` gives `g⁽ᵏ⁺¹⁾` from the differences `g_i − g_a` at offsets `t_i`. */
function derivatives(offsets: readonly number[], pseudo: boolean): number[][] {
  const n = offsets.length;
  if (n === 0) return [];
  const factorials = [1, 2];
  const powers = offsets.flatMap((t) => factorials.slice(0, n).map((f, k) => t ** (k + 1) / f));
  const columns = offsets.map((_, i) =>
    solveLinear(powers, offsets.map((_, j) => Number(i === j)))
  );
  const inverse = Array.from({ length: n }, (_, k) => columns.map((column) => column[k]));
  if (pseudo) inverse[0] = offsets.map((t, i) => i === 0 ? 1 / t : 0);
  return inverse;
}
