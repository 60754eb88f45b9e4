/**
 * Rows of data that stay where they are until they are read.
 *
 * @module
 */

/** Rows of data that can be read piece by piece. */
export interface PointSource {
  /** Number of rows, `N`. */
  readonly count: number;
  /** Numbers per row, `d`. */
  readonly dimension: number;
  /** Whether the numbers are bytes; else they are float32. */
  readonly bytes: boolean;
  /** For bytes: the values that 0 and 255 stand for. Default `[-1, 1]`. Floats are taken as they are. */
  readonly range?: readonly [number, number];
  /**
   * Reads some rows.
   *
   * @param firstRow The first one, from 0.
   * @param rows How many.
   * @param target Takes `rows · dimension` numbers; a `Uint8Array` if the numbers are bytes, else a `Float32Array`.
   * @param signal Cancels the reading.
   */
  read(
    firstRow: number,
    rows: number,
    target: Uint8Array | Float32Array,
    signal?: AbortSignal,
  ): Promise<void>;
}

/** How data are streamed. */
export interface StreamOptions {
  /** Bytes read at a time, at least one row. Up to four times as many are in memory. Default 32 MiB. */
  readonly chunkBytes?: number;
}
