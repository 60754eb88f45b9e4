/**
 * Posteriors whose logits are tilted along random vectors: what averages over perturbed queries come to.
 *
 * @module
 */
import { turn } from "../base/_turns.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { batchOf } from "./batch.ts";
import type { State } from "./batch.ts";
import {
  affineOf,
  checkPoints,
  checkQueries,
  EVALUATE_OPTIONS,
  samplePerRow,
  sigmaPerRow,
} from "./posterior.ts";
import type { EvaluateOptions, PointSet, Sigma } from "./posterior.ts";

/** Random vectors of samples, `M` of each: the same whenever they are asked for. */
export interface Tilts {
  /** Vectors of each sample, `M`. */
  readonly count: number;
  /** The vectors of a sample: `M` rows of `d` numbers. */
  of(sample: number): Float64Array;
}

/** Options of {@linkcode TiltedPosterior.mean}. */
export interface TiltOptions extends EvaluateOptions {
  /** The vectors `εₘ` of each sample. What is computed from them is kept for as long as this object is the same. */
  readonly tilts: Tilts;
  /** How far the vectors move each query, `s` in data units per unit of a vector. */
  readonly strengths: ArrayLike<number>;
}

const OPTIONS = {
  ...EVALUATE_OPTIONS,
  tilts: undefined,
  strengths: undefined,
} satisfies OptionTable<TiltOptions>;

/**
 * Posterior means averaged over queries that are moved along vectors, without evaluating each of them.
 *
 * ```text
 * (1/M) Σₘ D(x + s εₘ, σ) = (1/M) Σₘ Σᵢ softmaxᵢ( −‖x − xᵢ‖²/2σ² + s ⟨εₘ, xᵢ⟩/σ² ) xᵢ
 * ```
 *
 * because what the square holds beside these terms does not depend on `i`. The products `⟨εₘ, xᵢ⟩` are computed once
 * per sample and kept for the next call, so that a call measures one distance to each item instead of `M`.
 */
export interface TiltedPosterior<X> {
  /**
   * For how many different samples products are kept from call to call. Of more, they would be computed in every call.
   *
   * @param draws Vectors per sample, `M`.
   */
  capacity(draws: number): number;
  /**
   * The average for each query.
   *
   * @param x Queries, a tensor or an array of `B` rows, in data units. Not disposed.
   * @param sigma Noise level in data units, one for all queries or one each.
   * @param options The vectors, how far they reach, the sample of each query, a signal that cancels.
   * @returns A new state of the kind and shape of `x`.
   * @throws {RangeError} If a number is not finite or a noise level not positive.
   * @throws {TypeError} If there are not as many samples, strengths or noise levels as queries.
   */
  mean(x: X, sigma: Sigma, options: TiltOptions): Promise<X>;
}

/** Such averages over the data of a store, for queries of either kind. */
export interface TiltedStore {
  /** As {@linkcode TiltedPosterior.capacity}. */
  capacity(draws: number): number;
  /** As {@linkcode TiltedPosterior.mean}; the result is of the kind of the queries. */
  mean<X extends State>(x: X, sigma: Sigma, options: TiltOptions): Promise<X>;
}

/** Bytes of products that are kept at most. */
export const TILT_BYTES: number = 2 ** 29;

const ACTION = "average over tilted posteriors";

/** One call's strengths and samples, checked. */
export interface TiltedRows {
  /** Noise levels, one per query. */
  readonly sigmas: Float64Array;
  /** Strengths, one per query. */
  readonly strengths: ArrayLike<number>;
  /** Sample indices, one per query. */
  readonly samples: ArrayLike<number>;
}

/**
 * Checks the arguments of a call.
 *
 * @param sigma Noise level, one for all queries or one each.
 * @param rows The number of queries.
 * @param options Strengths and samples.
 * @returns One of each per query.
 * @throws {RangeError} If a number is out of range.
 * @throws {TypeError} If there is not one per query.
 */
export function tiltedRows(sigma: Sigma, rows: number, options: TiltOptions): TiltedRows {
  const { strengths, samples: given } = readOptions(ACTION, options, OPTIONS);
  const sigmas = sigmaPerRow(sigma, rows, ACTION);
  const samples = samplePerRow({ samples: given }, rows, ACTION);
  if (strengths.length !== rows) {
    throw new TypeError(
      `Cannot ${ACTION}: received ${strengths.length} strengths for ${rows} queries, wanted one each`,
    );
  }
  for (let row = 0; row < rows; row++) {
    if (!Number.isFinite(strengths[row])) {
      throw new RangeError(
        `Cannot ${ACTION}: a strength is ${strengths[row]}, wanted finite numbers`,
      );
    }
  }
  return { sigmas, strengths, samples };
}

/** For how many samples of so many draws the products with all items are kept. */
export function tiltCapacity(draws: number, count: number): number {
  return Math.floor(TILT_BYTES / (8 * draws * count));
}

/**
 * Tilted posteriors of a finite data set in float64, with logits from direct differences.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @returns The averages.
 */
export function float64Tilted(points: PointSet): TiltedStore {
  const count = checkPoints(points);
  const { dimension } = points;
  const { scale, offset } = affineOf(points);
  let values: Float64Array | undefined;
  let of: Tilts | undefined;
  let kept = new Map<number, Float64Array>();

  /** The products of the vectors of these samples; those of other samples are forgotten. */
  const productsOf = async (
    { tilts, signal }: TiltOptions,
    samples: ArrayLike<number>,
    data: Float64Array,
  ) => {
    const products = new Map<number, Float64Array>();
    for (let row = 0; row < samples.length; row++) {
      await turn(signal);
      const sample = samples[row];
      const known = products.get(sample) ?? (of === tilts ? kept.get(sample) : undefined);
      products.set(sample, known ?? innerProducts(tilts.of(sample), data, dimension));
    }
    [of, kept] = [tilts, products];
    return products;
  };
  return {
    capacity: (draws) => tiltCapacity(draws, count),
    async mean(x, sigma, options) {
      const batch = batchOf(x, dimension, ACTION);
      const { sigmas, strengths, samples } = tiltedRows(sigma, batch.rows, options);
      const queries = Float64Array.from(await batch.values());
      checkQueries(queries, ACTION);
      const data = values ??= Float64Array.from(points.data, (v) => v * scale + offset);
      const products = await productsOf(options, samples, data);
      const out = new Float64Array(queries.length);
      for (let row = 0; row < sigmas.length; row++) {
        await turn(options.signal);
        const at = row * dimension;
        const squares = squaresTo(queries.subarray(at, at + dimension), data);
        const weights = averageWeights(
          squares,
          products.get(samples[row])!,
          strengths[row],
          sigmas[row],
        );
        addWeighted(weights, data, out.subarray(at, at + dimension));
      }
      return batch.like(out);
    },
  };
}

/** `⟨εₘ, xᵢ⟩`, the items one after the other for each vector. */
function innerProducts(vectors: Float64Array, data: Float64Array, dimension: number): Float64Array {
  const count = data.length / dimension, draws = vectors.length / dimension;
  const products = new Float64Array(draws * count);
  for (let m = 0, to = 0; m < draws; m++) {
    for (let i = 0, at = 0; i < count; i++, to++) {
      for (let c = m * dimension, end = c + dimension; c < end; c++, at++) {
        products[to] += vectors[c] * data[at];
      }
    }
  }
  return products;
}

function squaresTo(query: Float64Array, data: Float64Array): Float64Array {
  const squares = new Float64Array(data.length / query.length);
  for (let i = 0, at = 0; i < squares.length; i++) {
    for (let c = 0; c < query.length; c++, at++) squares[i] += (query[c] - data[at]) ** 2;
  }
  return squares;
}

/** The weight of each item, averaged over the vectors. */
function averageWeights(
  squares: Float64Array,
  products: Float64Array,
  strength: number,
  sigma: number,
): Float64Array {
  const count = squares.length, draws = products.length / count;
  const average = new Float64Array(count), weights = new Float64Array(count);
  for (let from = 0; from < products.length; from += count) {
    let top = -Infinity, z = 0;
    for (let i = 0; i < count; i++) {
      const logit = (strength * products[from + i] - squares[i] / 2) / (sigma * sigma);
      weights[i] = logit;
      if (logit > top) top = logit;
    }
    for (let i = 0; i < count; i++) z += weights[i] = Math.exp(weights[i] - top);
    for (let i = 0; i < count; i++) average[i] += weights[i] / (z * draws);
  }
  return average;
}

function addWeighted(weights: Float64Array, data: Float64Array, out: Float64Array): void {
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i];
    if (weight === 0) continue;
    for (let c = 0, at = i * out.length; c < out.length; c++, at++) out[c] += weight * data[at];
  }
}
