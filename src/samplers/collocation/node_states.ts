/**
 * What is measured on the states of all nodes of all windows: row after row, and within a row node after node.
 *
 * @module
 */
import type { RowEvaluator } from "../_row_evaluator.ts";
import type { CollocationRule } from "./weights.ts";
import type { SweepProducts } from "./window.ts";

/** Denoiser values at the nodes, and the states there; none before the first sweep. */
export interface NodeStates<X> {
  /** Denoiser values. */
  readonly values: X;
  /** States. */
  readonly nodes?: X;
}

/** Positions of all nodes of the windows at these positions. */
export function nodesOf(windows: readonly number[], K: number): number[] {
  return windows.flatMap((w) => Array.from({ length: K }, (_, j) => w * K + j));
}

/** Arrays one after the other. */
export function concat(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * What a sweep changed in each window, by one readback. Differences are formed before products: a
 * Gram matrix of the values would lose half the digits.
 *
 * @param states The run.
 * @param ends Of each window, the weights of its end.
 * @param now Values and states after the sweep.
 * @param before The same before it.
 * @returns Inner products of each window.
 */
export async function sweepProducts<X>(
  states: RowEvaluator<X>,
  ends: readonly Float64Array[],
  now: Required<NodeStates<X>>,
  before: NodeStates<X>,
): Promise<SweepProducts[]> {
  const K = ends[0].length;
  const change = states.combine([1, -1], [now.values, before.values]);
  const increment = states.mix(ends.length, [{ matrices: concat(ends), state: change }]);
  const move = before.nodes && states.combine([1, -1], [now.nodes, before.nodes]);
  const [increments, sizes, secants, moves] = await states.rows.dots([
    [increment, increment],
    [now.values, now.values],
    ...(move ? [[change, move], [move, move]] as const : []),
  ]);
  states.release(change, increment, move);
  const unmoved = new Float64Array(ends.length * K);
  return ends.map((_, w) => {
    const ofWindow = (numbers: Float64Array = unmoved) => numbers.subarray(w * K, w * K + K);
    return {
      increment: increments[w],
      sizes: ofWindow(sizes),
      secants: ofWindow(secants),
      moves: ofWindow(moves),
    };
  });
}

/**
 * Sizes of the Legendre coefficients `1 … K − 1` of the denoiser in windows.
 *
 * @param states The run.
 * @param rule The nodes.
 * @param values Denoiser values at the nodes of the windows.
 * @param count The number of windows.
 * @returns `K − 1` numbers per window.
 */
export async function legendreSizes<X>(
  states: RowEvaluator<X>,
  { count: K, legendre }: CollocationRule,
  values: X,
  count: number,
): Promise<Float64Array[]> {
  const matrices = concat(new Array<Float64Array>(count).fill(legendre.subarray(K)));
  const coefficients = states.mix(count, [{ matrices, state: values }]);
  const [squares] = await states.rows.dots([[coefficients, coefficients]]);
  states.release(coefficients);
  return Array.from(
    { length: count },
    (_, w) => squares.slice(w * (K - 1), (w + 1) * (K - 1)).map(Math.sqrt),
  );
}
