/** Tolerances of the masked posterior, derived from norms and the machine epsilon. */
import type { PointSet } from "@closedform/diffusion";
import type { Mask } from "@closedform/diffusion/compute";
import { maskColumn } from "@closedform/diffusion/compute";
import { affineOf } from "../../src/compute/posterior.ts";
import { EPS32 } from "./tolerance.ts";

/** Which rows of a query, with which weights, and the temperature. */
export interface MaskedCase {
  readonly rows?: Uint32Array;
  readonly logWeights?: Float64Array;
  readonly temperature?: number;
}

// Rounding errors are taken as independent; eight standard deviations are never seen by chance.
const DEVIATIONS = 8;
// The CPU measures again what its integers would give a larger error than this, nats.
const INTEGERS = 5e-5;
// Additions in sequence within one float32 partial sum.
const SEQUENCE = 64;

/**
 * The tolerance of each output coordinate of one query, first order in the errors of the logits,
 * `ΔD = Σ wᵢ δᵢ (xᵢ − D)`. With `h = 1/2σ²τ`, a column of k ones and entries `t = (x − q)²`:
 *
 * - integers: an entry is rounded to a unit u, by about 0.3 u, and has three float32 roundings of what may be
 *   2³⁰/k units, about 20/k u each: `δ = h u √k (0.3 + 20/k)`, `u = 2⁻³⁰ ·` half the sum of the ranges of the entries;
 * - float32 sums: `δ = ε h S (√(64/k) + 2 + √(k/192))`, where S = Σt; the entries of a coordinate far from all data are
 *   without their constant part and of either sign, so that the root of the sum of their squared ranges counts;
 * - the query is rounded relative to the stored origin o: `δᵢ = 2 ε h √Σₙ (xᵢₙ − Dₙ)² (qₙ − o)²`, all rows together.
 *
 * Summing and scaling the mean costs 32 ε of the largest stored value.
 */
export function maskedTolerance(
  points: PointSet,
  query: ArrayLike<number>,
  sigma: number,
  mask: Mask,
  { rows, logWeights, temperature = 1 }: MaskedCase = {},
): Float64Array {
  const { data, dimension: d } = points;
  const { scale, offset } = affineOf(points);
  const list = rows ?? Uint32Array.from({ length: data.length / d }, (_, i) => i);
  const h = 0.5 / (sigma * sigma * temperature);
  const value = (i: number, n: number) => data[list[i] * d + n] * scale + offset;
  const columns = Array.from(mask.outputs, (_, m) => maskColumn(mask, m));
  const { halves, far, largest } = entryRanges(points, query);
  const spread = Math.max(0, ...columns.map((c) => c.reduce((sum, n) => sum + halves[n], 0)));
  const k = Math.max(0, ...columns.map((c) => c.length)) + 1;
  const weightRange = logWeights ? Math.max(...logWeights) - Math.min(...logWeights) : 0;
  const unit = (spread + weightRange / h) * 2 ** -29;
  const integers = Math.min(INTEGERS, h * unit * Math.sqrt(k) * (0.3 + 20 / k));
  return Float64Array.from(columns, (column, c) => {
    const sizes = new Float64Array(list.length);
    const energies = Float64Array.from(list, (_, i) => {
      let sum = 0, near = 0, far2 = 0;
      for (const n of column) {
        const t = (query[n] - value(i, n)) ** 2;
        sum += t;
        if (far[n]) far2 += 4 * halves[n] ** 2;
        else near += t;
      }
      sizes[i] = (near + Math.sqrt(far2)) * h + weightRange;
      return sum * h - (logWeights?.[i] ?? 0);
    });
    const least = energies.reduce((a, b) => Math.min(a, b));
    const weights = energies.map((e) => Math.exp(least - e));
    const z = weights.reduce((a, b) => a + b);
    const heavy = [...weights.keys()].filter((i) => weights[i] > 1e-12 * z);
    const means = new Map(
      column.map((n) => [n, heavy.reduce((sum, i) => sum + weights[i] / z * value(i, n), 0)]),
    );
    const output = mask.outputs[c];
    const mean = heavy.reduce((sum, i) => sum + weights[i] / z * value(i, output), 0);
    const k1 = Math.max(1, column.length);
    const roundings = Math.sqrt(SEQUENCE / k1) + 2 + Math.sqrt(k1 / (3 * SEQUENCE));
    let alone = 0, together = 0, worst = 0;
    for (const i of heavy) {
      const away = weights[i] / z * Math.abs(value(i, output) - mean);
      let moved = 0;
      for (const n of column) {
        moved += ((value(i, n) - means.get(n)!) * (query[n] - offset)) ** 2;
      }
      const own = integers + EPS32 * (sizes[i] + energies[i] - least) * roundings;
      worst = Math.max(worst, own);
      alone += (away * own) ** 2;
      together += away * 2 * EPS32 * h * Math.sqrt(moved);
    }
    const curvature = worst && Math.expm1(2 * DEVIATIONS * worst) / (2 * DEVIATIONS * worst);
    return DEVIATIONS * (Math.sqrt(alone) * curvature + together) + 32 * EPS32 * largest;
  });
}

/**
 * Half the range of `(x − q)²` per coordinate, over the hull of the data; whether the coordinate of the query is three
 * times as far from the middle of all data as these; the largest stored value.
 */
function entryRanges(points: PointSet, query: ArrayLike<number>) {
  const { data, dimension: d } = points;
  const { scale, offset } = affineOf(points);
  const low = new Float64Array(d).fill(Infinity), high = new Float64Array(d).fill(-Infinity);
  data.forEach((stored, at) => {
    const v = stored * scale + offset;
    low[at % d] = Math.min(low[at % d], v);
    high[at % d] = Math.max(high[at % d], v);
  });
  const halves = low.map((a, n) => {
    const ends = [(a - query[n]) ** 2, (high[n] - query[n]) ** 2];
    const inside = query[n] > a && query[n] < high[n];
    return (Math.max(...ends) - (inside ? 0 : Math.min(...ends))) / 2;
  });
  const largest = low.reduce((most, a, n) => Math.max(most, Math.abs(a), Math.abs(high[n])), 0);
  const [least, most] = [Math.min(...low), Math.max(...high)];
  const far = halves.map((_, n) =>
    Number(Math.abs(query[n] - (least + most) / 2) > 3 * Math.max(1, (most - least) / 2))
  );
  return { halves, far, largest: largest + Math.abs(offset) };
}
