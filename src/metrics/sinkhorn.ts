/**
 * Entropic optimal transport: Sinkhorn's iterations and the Sinkhorn divergence.
 *
 * @module
 */
import { checkOptionNames, type OptionTable, readOptions } from "../base/_options.ts";
import { eachRowOfSquares } from "./_distances.ts";
import { checkRows } from "./_rows.ts";
import { pairOf } from "./samples.ts";
import type { RowsOptions, Samples } from "./samples.ts";
import { fromUnit, unitOf } from "../base/_unit.ts";

const ACTION = "compute the Sinkhorn cost";
/** The largest epsilon over the largest cost: rounding of the potentials then is 1e-7 of a cost. */
const MOST_SMOOTHING = 1e9;

/** Options of {@linkcode sinkhorn} and {@linkcode sinkhornDivergence}. */
export interface SinkhornOptions extends RowsOptions {
  /** The entropic regularisation `ε`, in squared data units. */
  readonly epsilon: number;
  /** Stop when the plan's marginal is off by less than this, in total variation. Default 1e-6. */
  readonly tolerance?: number;
  /** Stop after so many iterations at the latest. Default 10,000. */
  readonly iterations?: number;
}

/** What {@linkcode sinkhorn} returns. */
export interface Sinkhorn {
  /**
   * The regularised cost `⟨P, C⟩ + ε KL(P | a⊗b)`, in squared data units, as the value of the dual problem: at most
   * that, and equal to it once converged. It is not `W₂²`.
   */
  readonly cost: number;
  /**
   * The transport part of it, `⟨P, C⟩`, of the plan rounded so that both its marginals are met, converged or not:
   * at least `W₂²`, from above as `ε → 0`.
   */
  readonly transport: number;
  /** Whether the marginals agree to the tolerance. */
  readonly converged: boolean;
  /** Iterations made. */
  readonly iterations: number;
  /** By how much the plan's first marginal is off, in total variation. */
  readonly residual: number;
  /** The residual after each iteration. */
  readonly history: Float64Array;
}

const OPTIONS = {
  dimension: undefined,
  epsilon: undefined,
  tolerance: 1e-6,
  iterations: 10_000,
} satisfies OptionTable<
  SinkhornOptions
>;

/**
 * Entropic optimal transport between two sets of equally weighted points, by Sinkhorn's iterations
 * on the dual variables, in logarithms.
 *
 * ```text
 * OT_ε = min over plans P of Σᵢⱼ Pᵢⱼ ‖aᵢ − bⱼ‖² + ε KL(P | 1/n ⊗ 1/m)
 * ```
 *
 * It goes under its own name: for `ε > 0` it is not a Wasserstein distance, and not 0 between equal
 * sets; {@linkcode sinkhornDivergence} is.
 *
 * Reference: M. Cuturi (2013), Sinkhorn distances: lightspeed computation of optimal transport, arXiv:1306.0895;
 * J. Altschuler, J. Weed, P. Rigollet (2017), Near-linear time approximation algorithms for optimal transport via
 * Sinkhorn iteration, arXiv:1705.09634, for the rounding of the plan.
 *
 * @param a Points, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Points, `m` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. The regularisation; when to stop.
 * @returns The cost, and whether the iterations converged.
 * @throws {TypeError} If a set is no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, an option is not positive, epsilon is 1e9 times larger than any cost, or
 * squared distances exceed float64.
 *
 * @example
 * ```ts
 * import { sinkhorn } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { transport, converged } = sinkhorn([0, 1], [3, 4], { dimension: 1, epsilon: 0.5 });
 * assert.ok(converged && transport > 9 && transport < 9.2);
 * ```
 */
export function sinkhorn(
  a: Samples,
  b: Samples,
  options: SinkhornOptions,
): Sinkhorn {
  const { tolerance, iterations } = readOptions(ACTION, options, OPTIONS);
  const { first, second, dimension } = pairOf(a, b, ACTION, options.dimension);
  const n = checkRows(first, dimension, ACTION), m = checkRows(second, dimension, ACTION);
  for (const [name, value] of Object.entries({ epsilon: options.epsilon, tolerance, iterations })) {
    if (!(value > 0 && value < Infinity)) {
      throw new RangeError(`Cannot ${ACTION}: ${name} is ${value}, wanted a finite number > 0`);
    }
  }
  const costs = new Float64Array(n * m);
  const unit = unitOf(dimension, first, second);
  eachRowOfSquares(first, second, dimension, unit, (row, squares) => costs.set(squares, row * m));
  const epsilon = options.epsilon / unit / unit;
  const largest = costs.reduce((most, cost) => Math.max(most, cost), 0);
  // The potentials are of the size of epsilon, and differ by costs.
  if (largest > 0 && epsilon > MOST_SMOOTHING * largest) {
    throw new RangeError(
      `Cannot ${ACTION}: epsilon is ${options.epsilon}, wanted at most ${MOST_SMOOTHING} times the largest cost, ${
        largest * unit * unit
      }`,
    );
  }
  if (epsilon === 0) {
    throw new RangeError(
      `Cannot ${ACTION}: epsilon is ${options.epsilon}, wanted one that float64 tells from 0 beside the largest cost`,
    );
  }
  const f = new Float64Array(n), g = new Float64Array(m);
  const history: number[] = [];
  let residual = Infinity;
  while (residual > tolerance && history.length < iterations) {
    updateRows(costs, f, g, epsilon);
    updateColumns(costs, f, g, epsilon);
    residual = marginalError(costs, f, g, epsilon);
    history.push(residual);
  }
  let dual = 0;
  for (const value of f) dual += value / n;
  for (const value of g) dual += value / m;
  return {
    cost: fromUnit(dual, unit, 2, ACTION),
    transport: fromUnit(transportOf(costs, f, g, epsilon), unit, 2, ACTION),
    converged: residual <= tolerance,
    iterations: history.length,
    residual,
    history: Float64Array.from(history),
  };
}

/** What {@linkcode sinkhornDivergence} returns. */
export interface SinkhornDivergence {
  /** The divergence, in squared data units. */
  readonly divergence: number;
  /** Whether all three problems converged. */
  readonly converged: boolean;
}

/**
 * The Sinkhorn divergence: entropic transport without its bias, 0 between equal sets.
 *
 * ```text
 * S_ε(a, b) = OT_ε(a, b) − ½ OT_ε(a, a) − ½ OT_ε(b, b)
 * ```
 *
 * Reference: J. Feydy, T. Séjourné, F.-X. Vialard, S. Amari, A. Trouvé, G. Peyré (2018),
 * Interpolating between optimal transport and MMD using Sinkhorn divergences, arXiv:1810.08278.
 *
 * @param a Points, `n` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param b Points, `m` rows of `d` numbers; or a run, a data set, a tensor, rows with a shape.
 * @param options The dimension of plain numbers. The regularisation; when to stop.
 * @returns The divergence, and whether the iterations converged.
 * @throws {TypeError} If a set is no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite, or an option is not positive.
 *
 * @example
 * ```ts
 * import { sinkhornDivergence } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { divergence } = sinkhornDivergence([0, 1], [0, 1], { dimension: 1, epsilon: 1 });
 * assert.ok(Math.abs(divergence) < 1e-5);
 * ```
 */
export function sinkhornDivergence(
  a: Samples,
  b: Samples,
  options: SinkhornOptions,
): SinkhornDivergence {
  checkOptionNames(ACTION, options, OPTIONS);
  const { first, second, dimension } = pairOf(a, b, ACTION, options.dimension);
  const [ab, aa, bb] = [[first, second], [first, first], [second, second]].map(([x, y]) =>
    sinkhorn(x, y, { ...options, dimension })
  );
  return {
    divergence: ab.cost - (aa.cost + bb.cost) / 2,
    converged: ab.converged && aa.converged && bb.converged,
  };
}

/** `fᵢ = −ε log (1/m) Σⱼ exp((gⱼ − Cᵢⱼ)/ε)`. */
function updateRows(costs: Float64Array, f: Float64Array, g: Float64Array, epsilon: number): void {
  const m = g.length;
  for (let i = 0; i < f.length; i++) {
    let most = -Infinity, sum = 0;
    for (let j = 0, at = i * m; j < m; j++, at++) most = Math.max(most, g[j] - costs[at]);
    for (let j = 0, at = i * m; j < m; j++, at++) {
      sum += Math.exp((g[j] - costs[at] - most) / epsilon);
    }
    f[i] = -most - epsilon * Math.log(sum / m);
  }
}

/** `gⱼ = −ε log (1/n) Σᵢ exp((fᵢ − Cᵢⱼ)/ε)`, in the order of memory. */
function updateColumns(
  costs: Float64Array,
  f: Float64Array,
  g: Float64Array,
  epsilon: number,
): void {
  const n = f.length, m = g.length;
  const most = new Float64Array(m).fill(-Infinity), sum = new Float64Array(m);
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < m; j++, at++) most[j] = Math.max(most[j], f[i] - costs[at]);
  }
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < m; j++, at++) sum[j] += Math.exp((f[i] - costs[at] - most[j]) / epsilon);
  }
  for (let j = 0; j < m; j++) g[j] = -most[j] - epsilon * Math.log(sum[j] / n);
}

/** Half the sum of `|Σⱼ Pᵢⱼ − 1/n|`; the other marginal is exact after its update. */
function marginalError(
  costs: Float64Array,
  f: Float64Array,
  g: Float64Array,
  epsilon: number,
): number {
  const n = f.length, m = g.length;
  let error = 0;
  for (let i = 0, at = 0; i < n; i++) {
    let mass = 0;
    for (let j = 0; j < m; j++, at++) mass += Math.exp((f[i] + g[j] - costs[at]) / epsilon);
    error += Math.abs(mass / m - 1) / n;
  }
  return error / 2;
}

/**
 * `⟨P, C⟩` of the nearest plan that Altschuler, Weed and Rigollet round to: rows with too much mass are scaled down, then
 * columns, and what is missing is added as the product of what rows and columns lack.
 */
function transportOf(
  costs: Float64Array,
  f: Float64Array,
  g: Float64Array,
  epsilon: number,
): number {
  const n = f.length, m = g.length;
  const plan = new Float64Array(n * m);
  const columns = new Float64Array(m), rows = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let mass = 0;
    for (let j = 0, at = i * m; j < m; j++, at++) {
      mass += plan[at] = Math.exp((f[i] + g[j] - costs[at]) / epsilon) / (n * m);
    }
    const share = mass * n > 1 ? 1 / (mass * n) : 1;
    for (let j = 0, at = i * m; j < m; j++, at++) columns[j] += plan[at] *= share;
  }
  let transport = 0;
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < m; j++, at++) {
      const mass = columns[j] * m > 1 ? plan[at] / (columns[j] * m) : plan[at];
      rows[i] += mass;
      transport += mass * costs[at];
    }
  }
  const lackOf = (mass: number, wanted: number) => Math.max(0, 1 / wanted - mass);
  const rowLacks = rows.map((mass) => lackOf(mass, n));
  const columnLacks = columns.map((mass) => lackOf(Math.min(mass, 1 / m), m));
  const lack = rowLacks.reduce((sum, v) => sum + v, 0);
  if (lack === 0) return transport;
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < m; j++, at++) transport += rowLacks[i] * columnLacks[j] / lack * costs[at];
  }
  return transport;
}
