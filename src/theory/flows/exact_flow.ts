/**
 * Flows whose end states are known, in float64: what samplers are measured against.
 *
 * @module
 */
import { checkEvaluateOptions, type EvaluateOptions } from "../../compute/posterior.ts";
import { POSTERIOR_ACTION, sigmaPerRow } from "../../compute/posterior.ts";
import { checkQueries } from "../../compute/posterior.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { arraySpace } from "../../states/linear_space.ts";
import { RandomStream } from "../../base/random.ts";

/** A data law with its denoiser and its probability-flow map `dx/dσ = (x − D(x, σ))/σ`, in float64. */
export interface ExactFlow {
  /** What the law is, in a few words. */
  readonly name: string;
  /** Numbers per row, `d`. */
  readonly dimension: number;
  /** The exact denoiser. Its rows do not depend on each other, bit for bit. */
  readonly denoiser: Denoiser<Float64Array>;
  /**
   * The states at another noise level on the same trajectories. In closed form where there is one,
   * else to a relative accuracy of about 1e-12.
   *
   * @param x States at noise level `from`, rows of `d` numbers. Not changed.
   * @param from The noise level `σ > 0` they are at.
   * @param to The noise level `σ' ≥ 0` to go to, below or above.
   * @param options A signal that cancels.
   * @returns The states at `to`.
   */
  transport(
    x: Float64Array,
    from: number,
    to: number,
    options?: EvaluateOptions,
  ): Promise<Float64Array>;
  /**
   * Draws of `x₀ + σε`, one stream of random numbers per row.
   *
   * @param count The number of rows.
   * @param sigma The noise level `σ ≥ 0`.
   * @param seed The seed. Default 0.
   * @returns `count` rows of `d` numbers.
   */
  draw(count: number, sigma: number, seed?: number): Float64Array;
}

/** The mathematics of one row, from which {@linkcode exactFlow} makes an {@linkcode ExactFlow}. */
export interface FlowOfRow {
  /** What the law is, in a few words. */
  readonly name: string;
  /** The mean of the data, `d` numbers. */
  readonly mean: Float64Array;
  /** The shape of one sample. Default `[d]`. */
  readonly shape?: readonly number[];
  /** The denoiser of one row. */
  readonly denoise: (x: Float64Array, sigma: number) => Float64Array;
  /** The flow map of one row. */
  readonly transport: (
    x: Float64Array,
    from: number,
    to: number,
    signal?: AbortSignal,
  ) => Float64Array | Promise<Float64Array>;
  /** A draw of one row. */
  readonly draw: (stream: RandomStream, sigma: number) => Float64Array;
}

/**
 * A flow on batches from the mathematics of one row.
 *
 * @param row The mathematics of one row.
 * @returns The flow.
 *
 * @example The flow of a point at 3
 * ```ts
 * import { exactFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const flow = exactFlow({
 *   name: "a point",
 *   mean: Float64Array.of(3),
 *   denoise: () => Float64Array.of(3),
 *   transport: (x, from, to) => x.map((v) => 3 + to / from * (v - 3)),
 *   draw: (stream, sigma) => Float64Array.of(3 + sigma * stream.normal()),
 * });
 * assert.deepEqual([...await flow.transport(Float64Array.of(5, 7), 2, 1)], [4, 5]);
 * ```
 */
export function exactFlow(row: FlowOfRow): ExactFlow {
  const { name, mean } = row;
  const dimension = mean.length;
  const denoise = (x: Float64Array, sigma: number | ArrayLike<number>) => {
    const sigmas = sigmaPerRow(sigma, rowsOf(x, dimension, POSTERIOR_ACTION), POSTERIOR_ACTION);
    checkQueries(x);
    return inRows(x, dimension, (state, r) => row.denoise(state, sigmas[r]));
  };
  return {
    name,
    dimension,
    denoiser: {
      label: `exact denoiser of ${name}`,
      references: [],
      shape: row.shape ?? [dimension],
      space: arraySpace,
      mean: () => mean.slice(),
      // deno-lint-ignore require-await -- So that what is thrown rejects.
      async denoise(x, sigma, options) {
        checkEvaluateOptions("denoise along a flow", options);
        options?.signal?.throwIfAborted();
        return { mean: denoise(x, sigma) };
      },
    },
    async transport(x, from, to, options = {}) {
      checkEvaluateOptions("follow a flow", options);
      checkLevels(from, to);
      const rows = rowsOf(x, dimension, ACTION);
      checkQueries(x, ACTION);
      const end = new Float64Array(x.length);
      for (let r = 0; r < rows; r++) {
        options.signal?.throwIfAborted();
        const state = x.slice(r * dimension, (r + 1) * dimension);
        end.set(await row.transport(state, from, to, options.signal), r * dimension);
      }
      return end;
    },
    draw(count, sigma, seed = 0) {
      const rows = new Float64Array(count * dimension);
      return inRows(rows, dimension, (_, sample) => {
        return row.draw(new RandomStream({ seed, sample, purpose: "theory" }), sigma);
      });
    },
  };
}

const ACTION = "follow the flow";

function inRows(
  x: Float64Array,
  dimension: number,
  map: (row: Float64Array, index: number) => Float64Array,
): Float64Array {
  const y = new Float64Array(x.length);
  for (let r = 0; r * dimension < x.length; r++) {
    y.set(map(x.slice(r * dimension, (r + 1) * dimension), r), r * dimension);
  }
  return y;
}

function rowsOf(x: Float64Array, dimension: number, action: string): number {
  const rows = x.length / dimension;
  if (!Number.isInteger(rows)) {
    throw new TypeError(
      `Cannot ${action}: received ${x.length} numbers, wanted rows of ${dimension}`,
    );
  }
  return rows;
}

function checkLevels(from: number, to: number): void {
  if (!(from > 0 && from < Infinity && to >= 0 && to < Infinity)) {
    throw new RangeError(
      `Cannot ${ACTION}: the noise levels are ${from} and ${to}, wanted finite numbers, the first > 0, the second >= 0`,
    );
  }
}
