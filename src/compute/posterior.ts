/**
 * What every posterior kernel takes and gives, whatever device it runs on.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { checkKind, received } from "../base/_kinds.ts";
import { SIGMA_RANGE } from "../base/_checks.ts";
import { sizeOf } from "../base/_shape.ts";

/** The data of a posterior: `count` rows of `dimension` numbers. */
export interface PointSet {
  /**
   * The rows, one after the other. Bytes stay bytes in every kernel; they stand
   * for the values of {@linkcode PointSet.range}. Devices other than `float64` round numbers to float32.
   */
  readonly data: Uint8Array | Float32Array | Float64Array;
  /** Numbers per row, `d`. */
  readonly dimension: number;
  /** For bytes: the values that 0 and 255 stand for. Default `[-1, 1]`. Floats are taken as they are. */
  readonly range?: readonly [number, number];
  /** Of a part of a larger set, the place of each row there. Kernels count rows; denoisers and metrics name places. */
  readonly items?: Uint32Array;
}

/**
 * Facts about the posterior that come free with its mean, one value per query.
 *
 * The logits are `lᵢ = −‖x − xᵢ‖² / 2σ²` and the weights `wᵢ = softmaxᵢ(lᵢ)`. How far rounding can take them on a device, see
 * `optimal()`.
 */
export interface PosteriorFacts {
  /** `log Σᵢ exp(lᵢ)`, nats. */
  readonly logNormaliser: Float64Array;
  /** The largest logit `l₍₁₎`, nats. */
  readonly topLogit: Float64Array;
  /** `l₍₁₎ − l₍₂₎ ≥ 0`, nats; 0 for a tie, infinite for a single data point. */
  readonly logitGap: Float64Array;
  /**
   * The item that has the largest logit, the lowest one in a tie: of a denoiser its place in the whole data set, whatever part
   * of it is used; of a kernel its row.
   */
  readonly topIndex: Uint32Array;
  /** `1 / Σᵢ wᵢ²`, between 1 and `N`. */
  readonly effectiveSampleSize: Float64Array;
  /** `−Σᵢ wᵢ log wᵢ`, nats, between 0 and `log N`. */
  readonly entropy: Float64Array;
  /** Items that the mean was taken over, `k`. This fact and those below come with subsets of the data only. */
  readonly subsetSize?: Float64Array;
  /** How far, at least, the largest logit left out is below the largest of all, nats; NaN where nothing is known of it. */
  readonly subsetGap?: Float64Array;
  /** Share of the posterior mass that these items hold, at least, or as a sample of the others tells; NaN where nothing tells it. */
  readonly capturedMass?: Float64Array;
  /**
   * Bound on the error of the mean, by leaving out the others and by rounding: root mean square per number, in data units;
   * infinite where there is none.
   */
  readonly errorBound?: Float64Array;
  /** 1 where that bound is within the tolerance asked for, else 0. */
  readonly certified?: Float64Array;
}

/**
 * Room for the facts of so many queries.
 *
 * @param queries Their number.
 * @returns Arrays of zeros.
 */
export function emptyFacts(queries: number): PosteriorFacts {
  return {
    logNormaliser: new Float64Array(queries),
    topLogit: new Float64Array(queries),
    logitGap: new Float64Array(queries),
    topIndex: new Uint32Array(queries),
    effectiveSampleSize: new Float64Array(queries),
    entropy: new Float64Array(queries),
  };
}

/** A posterior mean and the facts that came with it. */
export interface Posterior<X> {
  /** `E[x₀ | x]`, of the shape of the queries, in data units. */
  readonly mean: X;
  /** One value per query of each fact. */
  readonly facts: PosteriorFacts;
}

/** A noise level for all queries, or one for each. */
export type Sigma = number | ArrayLike<number>;

/** Options of one evaluation. */
export interface EvaluateOptions {
  /** Cancels the evaluation, which then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /**
   * The sample of the run that each query belongs to, for denoisers that draw random numbers: their
   * draws then depend neither on batches nor on order. Default: query `i` belongs to sample `i`.
   */
  readonly samples?: ArrayLike<number>;
  /**
   * What the run is told by, that this call is part of: any object, the same for all its calls. What a denoiser
   * learns for later calls it keeps for each run by itself, so that runs at the same time are what each alone would be.
   */
  readonly run?: object;
}

/** The options of {@linkcode EvaluateOptions}, none with a default. */
export const EVALUATE_OPTIONS = {
  signal: undefined,
  samples: undefined,
  run: undefined,
} satisfies OptionTable<EvaluateOptions>;

/**
 * Refuses options of a call that do not exist.
 *
 * @param action What is attempted, for the message.
 * @param options The options, if there are any.
 * @throws {TypeError} If they are no plain object, or there is no such option.
 */
export function checkEvaluateOptions(action: string, options?: EvaluateOptions): void {
  if (options !== undefined) checkOptionNames(action, options, EVALUATE_OPTIONS);
}

/**
 * The sample that each query belongs to.
 *
 * @param options What the evaluation was given.
 * @param queries The number of queries.
 * @param action What is attempted, for the message.
 * @returns One sample index per query.
 * @throws {TypeError} If there is not one per query.
 */
export function samplePerRow(
  { samples }: EvaluateOptions,
  queries: number,
  action: string,
): ArrayLike<number> {
  if (samples && samples.length !== queries) {
    throw new TypeError(
      `Cannot ${action}: received ${samples.length} sample indices for ${queries} queries, wanted one each`,
    );
  }
  return samples ?? Uint32Array.from({ length: queries }, (_, i) => i);
}

/**
 * One noise level per query.
 *
 * @param sigma A number for all rows, or one number per row.
 * @param rows The number of queries.
 * @param action What is attempted, for the message.
 * @returns `rows` positive numbers.
 * @throws {RangeError} If a noise level is not a finite number > 0, or there are no queries.
 * @throws {TypeError} If there is not one noise level per query.
 */
export function sigmaPerRow(
  sigma: Sigma,
  rows: number,
  action: string,
): Float64Array {
  if (rows < 1) {
    throw new RangeError(
      `Cannot ${action}: received 0 queries, wanted at least 1`,
    );
  }
  if (typeof sigma !== "number" && typeof sigma?.length !== "number" || typeof sigma === "string") {
    throw new TypeError(
      `Cannot ${action}: sigma is ${received(sigma)}, wanted a number or one per query`,
    );
  }
  const sigmas = typeof sigma === "number"
    ? new Float64Array(rows).fill(sigma)
    : Float64Array.from(sigma);
  if (sigmas.length !== rows) {
    throw new TypeError(
      `Cannot ${action}: received ${sigmas.length} noise levels for ${rows} queries, wanted 1 or ${rows}`,
    );
  }
  for (const s of sigmas) {
    if (!(s >= SIGMA_RANGE[0] && s <= SIGMA_RANGE[1])) {
      throw new RangeError(
        `Cannot ${action}: sigma is ${s}, wanted a number from ${SIGMA_RANGE.join(" to ")}`,
      );
    }
  }
  return sigmas;
}

/** What a posterior does, for messages. */
export const POSTERIOR_ACTION = "compute the posterior mean";

/**
 * Checks the shape of a batch of queries.
 *
 * @param shape The shape, `[B, …]`.
 * @param dimension The numbers per row that are wanted.
 * @param action What is attempted, for the message.
 * @returns The number of queries, `B`.
 * @throws {RangeError} If there are no queries.
 * @throws {TypeError} If the rows do not hold `dimension` numbers.
 */
export function checkQueryShape(
  shape: readonly number[],
  dimension: number,
  action: string = POSTERIOR_ACTION,
): number {
  if (!Array.isArray(shape)) {
    throw new TypeError(
      `Cannot ${action}: the queries have no shape, wanted a tensor of rows of ${dimension} numbers`,
    );
  }
  const [rows, ...rest] = shape;
  if (rows === 0) {
    throw new RangeError(`Cannot ${action}: received 0 queries, wanted at least 1`);
  }
  if (shape.length < 2 || sizeOf(rest) !== dimension) {
    throw new TypeError(
      `Cannot ${action}: the queries have shape [${shape}], wanted rows of ${dimension} numbers`,
    );
  }
  return rows;
}

/**
 * Refuses queries that are not finite.
 *
 * @param queries The numbers to check.
 * @param action What is attempted, for the message.
 * @throws {RangeError} If one is not finite.
 */
export function checkQueries(
  queries: ArrayLike<number>,
  action: string = POSTERIOR_ACTION,
): void {
  for (let i = 0; i < queries.length; i++) {
    if (!Number.isFinite(queries[i])) {
      throw new RangeError(
        `Cannot ${action}: the queries hold ${queries[i]}, wanted finite numbers`,
      );
    }
  }
}

/** The data as devices of float32 store them. */
export function storedData({ data }: PointSet): Uint8Array | Float32Array {
  return data instanceof Float64Array ? Float32Array.from(data) : data;
}

/** The affine map from stored numbers to data units: `value = stored · scale + offset`. */
export interface Affine {
  /** Data units per stored unit. */
  readonly scale: number;
  /** The value that a stored 0 stands for. */
  readonly offset: number;
}

/**
 * The affine map of a point set: `(hi − lo)/255` and `lo` for bytes, the identity for floats.
 *
 * @param points The points.
 * @returns The map from what is stored to data units.
 */
export function affineOf(points: PointSet): Affine {
  if (!(points.data instanceof Uint8Array)) return { scale: 1, offset: 0 };
  const [lo, hi] = points.range ?? [-1, 1];
  return { scale: (hi - lo) / 255, offset: lo };
}

/**
 * Checks a point set at the public border.
 *
 * @param points The points.
 * @param firstRow The number of their first row, for the message. Default 0.
 * @returns The number of rows.
 * @throws {TypeError} If the data are no whole, positive number of rows.
 * @throws {RangeError} If a number is not finite.
 */
export function checkPoints(points: PointSet, firstRow = 0): number {
  checkKind("store the data", "points", points, "points");
  const { data, dimension, range } = points;
  const isData = data instanceof Uint8Array || data instanceof Float32Array ||
    data instanceof Float64Array;
  if (!isData) {
    throw new TypeError(
      `Cannot store the data: data is ${
        received(data)
      }, wanted a Uint8Array, Float32Array or Float64Array`,
    );
  }
  const count = data.length / dimension;
  if (
    !Number.isInteger(dimension) || dimension < 1 || !Number.isInteger(count) ||
    count < 1
  ) {
    throw new TypeError(
      `Cannot store the data: received ${data.length} numbers in rows of ${dimension}, wanted at least one whole row`,
    );
  }
  if (
    range &&
    !(Number.isFinite(range[0]) && Number.isFinite(range[1]) &&
      range[0] < range[1])
  ) {
    throw new RangeError(
      `Cannot store the data: range is [${range}], wanted two rising finite numbers`,
    );
  }
  if (!(data instanceof Uint8Array)) {
    const bad = data.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot store the data: row ${firstRow + Math.floor(bad / dimension)} holds ${
          data[bad]
        }, wanted finite numbers`,
      );
    }
  }
  return count;
}

/**
 * Checks data that are to replace others.
 *
 * @param data The new data.
 * @param old The data they replace.
 * @throws {TypeError} If they are of another kind or number.
 * @throws {RangeError} If a number is not finite.
 */
export function checkRefill(
  data: Uint8Array | Float32Array,
  { count, dimension, bytes }: { count: number; dimension: number; bytes: boolean },
): void {
  if (data instanceof Uint8Array !== bytes || data.length !== count * dimension) {
    throw new TypeError(
      `Cannot replace the data: received a ${data.constructor.name} of ${data.length}, wanted a ${
        bytes ? "Uint8Array" : "Float32Array"
      } of ${count * dimension}`,
    );
  }
  checkPoints({ data, dimension });
}
