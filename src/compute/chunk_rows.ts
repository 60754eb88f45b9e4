/**
 * How data that are read piece by piece are cut up.
 *
 * @module
 */
import type { PointSource, StreamOptions } from "./point_source.ts";

const CHUNK_BYTES = 2 ** 25;

/**
 * How many rows are read at a time.
 *
 * @param source The rows.
 * @param options The size of a chunk.
 * @returns Their number, from 1 to the number of rows.
 * @throws {RangeError} If there are no rows, or the size of a chunk is not positive.
 */
export function chunkRows(
  { count, dimension, bytes }: Pick<PointSource, "count" | "dimension" | "bytes">,
  options: StreamOptions,
): number {
  const { chunkBytes = CHUNK_BYTES } = options;
  if (!(count >= 1)) {
    throw new RangeError("Cannot stream the data: received 0 rows, wanted at least 1");
  }
  if (!(chunkBytes > 0)) {
    throw new RangeError(
      `Cannot stream the data: chunkBytes is ${chunkBytes}, wanted a number > 0`,
    );
  }
  const rows = Math.floor(chunkBytes / (dimension * (bytes ? 1 : 4)));
  return Math.min(count, Math.max(1, rows));
}
