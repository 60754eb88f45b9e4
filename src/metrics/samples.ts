/**
 * Samples in any form that users have, as rows of numbers.
 *
 * @module
 */
import { received } from "../base/_kinds.ts";
import type { OptionTable } from "../base/_options.ts";
import { sizeOf } from "../base/_shape.ts";
import type { AnyTensor } from "../states/linear_space.ts";

/** Samples as numbers, rows one after the other. */
export type SampleRows = Float32Array | Float64Array;

/** Rows of numbers with their dimension, or the shape of one: a `Dataset` is such. */
export interface ShapedRows {
  /** The numbers, row by row; bytes stand for numbers of `range`. */
  readonly data: ArrayLike<number>;
  /** Numbers per row. Default: those of the shape. */
  readonly dimension?: number;
  /** The shape of one row. */
  readonly shape?: readonly number[];
  /** What bytes 0 and 255 stand for. Default `[-1, 1]`. */
  readonly range?: readonly [number, number];
}

/** Samples: a data set, a run of `sample()`, rows with a shape, a tensor `[B, …shape]`, or rows one after the other. */
export type Samples =
  | ShapedRows
  | {
    /** Those of a run. */
    readonly samples: ShapedRows;
  }
  | AnyTensor
  | ArrayLike<number>;

/** Rows of numbers in data units. */
export interface Rows {
  /** The numbers. */
  readonly values: ArrayLike<number>;
  /** Numbers per row. */
  readonly dimension: number;
}

/**
 * Samples as rows of numbers in data units.
 *
 * @param samples The samples.
 * @param action What is attempted, for the message.
 * @param dimension Numbers per row, if known from elsewhere.
 * @returns The numbers, not copied but where bytes stand for others.
 * @throws {TypeError} If they are nothing of the kind, their dimension is unknown, or it is not the one known.
 */
export function rowsOf(samples: Samples, action: string, dimension?: number): Rows {
  if (typeof samples !== "object" || samples === null || samples instanceof Promise) {
    throw wrong(samples, action);
  }
  if ("samples" in samples) return rowsOf(samples.samples, action, dimension);
  if ("dataSync" in samples) return ofTensor(samples, action, dimension);
  if ("data" in samples) return ofShaped(samples, action, dimension);
  if (!("length" in samples)) throw wrong(samples, action);
  if (dimension === undefined) {
    throw new TypeError(
      `Cannot ${action}: received ${samples.length} numbers without a shape, wanted a data set, a run, rows { data, shape }, or the option dimension`,
    );
  }
  return { values: samples, dimension };
}

function ofTensor(tensor: AnyTensor, action: string, dimension: number | undefined): Rows {
  const own = sizeOf(tensor.shape.slice(1));
  checkSame(own, dimension, action);
  try {
    return { values: tensor.dataSync(), dimension: own };
  } catch (cause) {
    throw new TypeError(
      `Cannot ${action}: the numbers of a tensor of shape [${tensor.shape}] cannot be read at once, wanted them read before, by await x.data()`,
      { cause },
    );
  }
}

function ofShaped(
  { data, shape, range = [-1, 1], ...rows }: ShapedRows,
  action: string,
  dimension: number | undefined,
): Rows {
  const own = rows.dimension ?? (shape && sizeOf(shape)) ?? dimension;
  if (own === undefined) {
    throw new TypeError(
      `Cannot ${action}: received rows without a shape, wanted { data, shape }`,
    );
  }
  checkSame(own, dimension, action);
  if (!(data instanceof Uint8Array)) return { values: data, dimension: own };
  const [lo, hi] = range, scale = (hi - lo) / 255;
  return { values: Float64Array.from(data, (v) => v * scale + lo), dimension: own };
}

function checkSame(own: number, wanted: number | undefined, action: string): void {
  if (wanted === undefined || own === wanted) return;
  throw new TypeError(
    `Cannot ${action}: samples hold ${own} numbers each, wanted ${wanted} as the data`,
  );
}

function wrong(samples: unknown, action: string): TypeError {
  return new TypeError(
    `Cannot ${action}: samples are ${
      received(samples)
    }, wanted a run, a data set, a tensor, or an array of numbers`,
  );
}

/** Options of what compares samples. */
export interface RowsOptions {
  /** Numbers per sample, where neither set tells: of plain numbers. Default: that of the sets. */
  readonly dimension?: number;
}

/** The options of {@linkcode RowsOptions}. */
export const ROWS_OPTIONS = { dimension: undefined } satisfies OptionTable<RowsOptions>;

/** Two sets of samples as rows of numbers of one dimension, in data units. */
export interface Pair {
  /** The first set. */
  readonly first: SampleRows;
  /** The second one. */
  readonly second: SampleRows;
  /** Numbers per row. */
  readonly dimension: number;
}

/**
 * Two sets of samples as rows of numbers.
 *
 * @param a The first set.
 * @param b The second one.
 * @param action What is attempted, for the message.
 * @param dimension Numbers per row, if given.
 * @returns The numbers of both, not copied where they are floats.
 * @throws {TypeError} If one is nothing of the kind, or no dimension or more than one is known.
 */
export function pairOf(a: Samples, b: Samples, action: string, dimension?: number): Pair {
  const known = dimension ?? dimensionOf(a) ?? dimensionOf(b);
  const first = rowsOf(a, action, known), second = rowsOf(b, action, known);
  return { first: floats(first), second: floats(second), dimension: first.dimension };
}

/** The dimension that samples tell. */
function dimensionOf(samples: Samples): number | undefined {
  if (typeof samples !== "object" || samples === null) return;
  if ("samples" in samples) return dimensionOf(samples.samples);
  if ("dataSync" in samples) return sizeOf(samples.shape.slice(1));
  if ("data" in samples) return samples.dimension ?? (samples.shape && sizeOf(samples.shape));
}

function floats({ values }: Rows): SampleRows {
  return values instanceof Float32Array || values instanceof Float64Array
    ? values
    : Float64Array.from(values);
}
