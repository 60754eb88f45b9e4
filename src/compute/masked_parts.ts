/**
 * How the rows of a masked posterior are cut into parts, and how these are put together again.
 *
 * @module
 */

/** Rows of one part, about, and most parts per query: bounds the memory of their states. */
const PART_ROWS = 512, MOST_PARTS = 32;

/** Some consecutive rows of one query: all have one state per column. */
export interface RowPart {
  /** Which query. */
  readonly query: number;
  /** The first of its rows, counted in its list. */
  readonly from: number;
  /** How many. */
  readonly count: number;
}

/**
 * Cuts the rows of a query; how depends on their number alone, as the bits of a sum do.
 *
 * @param count How many rows the query has.
 * @param query Which query.
 * @param batch Rows per part, if each is to have a softmax of its own.
 */
function cutRows(count: number, query: number, batch?: number): RowPart[] {
  const parts = Math.min(MOST_PARTS, Math.ceil(count / PART_ROWS));
  const size = batch ?? 16 * Math.ceil(count / parts / 16);
  const cut: RowPart[] = [];
  for (let from = 0; from < count; from += size) {
    cut.push({ query, from, count: Math.min(size, count - from) });
  }
  return cut;
}

/**
 * Cuts the rows of consecutive queries, as many of these as the memory of states allows, at least one.
 *
 * @param first The first query.
 * @param lengths How many rows each query has.
 * @param columns States per part.
 * @param batch Rows per part, if each is to have a softmax of its own.
 */
export function cutQueries(
  first: number,
  lengths: readonly number[],
  columns: number,
  batch?: number,
): RowPart[] {
  const parts = cutRows(lengths[first], first, batch);
  for (let query = first + 1; query < lengths.length; query++) {
    const more = cutRows(lengths[query], query, batch);
    if ((parts.length + more.length) * columns > MOST_STATES) break;
    parts.push(...more);
  }
  return parts;
}

/** States at a time. */
const MOST_STATES = 2 ** 21;

/** The softmaxes of parts: one number per part and column. */
export interface PartSums {
  /** The energy `E` that the sums are relative to, squared stored units. */
  readonly energies: Float64Array;
  /** `Z = Σ exp(−h(Eᵢ − E))`. */
  readonly z: Float64Array;
  /** `Y = Σ exp(−h(Eᵢ − E)) xᵢ`, stored units. */
  readonly y: Float64Array;
}

/**
 * Puts the parts of each query together: `Y/Z` of the whole, or the mean of `Y/Z` of the parts.
 *
 * @param parts The parts, query by query.
 * @param sums Their sums.
 * @param columns Columns per part.
 * @param h Nats per squared stored unit.
 * @param averaged Whether each part has a softmax of its own.
 * @returns One number per column for each query that has parts, in stored units.
 */
export function mergeParts(
  parts: readonly RowPart[],
  { energies, z, y }: PartSums,
  columns: number,
  h: number,
  averaged: boolean,
): Float64Array {
  const first = parts[0].query;
  const means = new Float64Array((parts[parts.length - 1].query - first + 1) * columns);
  for (let begin = 0, end = 0; begin < parts.length; begin = end) {
    while (end < parts.length && parts[end].query === parts[begin].query) end++;
    for (let c = 0; c < columns; c++) {
      let least = Infinity;
      for (let p = begin; p < end; p++) least = Math.min(least, energies[p * columns + c]);
      let above = 0, below = 0;
      for (let p = begin; p < end; p++) {
        const at = p * columns + c;
        const factor = averaged ? 1 / z[at] : Math.exp((least - energies[at]) * h);
        above += factor * y[at];
        below += factor * z[at];
      }
      means[(parts[begin].query - first) * columns + c] = above / below;
    }
  }
  return means;
}
