/**
 * Parts of a data set: the rows that a posterior is restricted to.
 *
 * @module
 */

/** The rows that one query's posterior is restricted to. */
export interface Subset {
  /** The rows, each at most once. */
  readonly rows: Uint32Array;
  /**
   * Added to the logits of these rows, nats, one per row: `log((N−h)/n)` makes `n` rows drawn from
   * `N−h` stand for all of them. Default 0.
   */
  readonly logWeights?: Float64Array;
  /** Their squared distances to the query in data units, if they are known: whoever needs them then need not measure again. */
  readonly squares?: Float64Array;
}

/**
 * Checks the subsets of a batch.
 *
 * @param subsets One per query.
 * @param queries The number of queries.
 * @param count The number of rows there are.
 * @param action What is attempted, for the message.
 * @throws {TypeError} If there is not one subset per query, or not one weight per row.
 * @throws {RangeError} If a subset is empty, or a row or a weight is out of range.
 */
export function checkSubsets(
  subsets: readonly Subset[],
  queries: number,
  count: number,
  action: string,
): void {
  if (subsets.length !== queries) {
    throw new TypeError(
      `Cannot ${action}: received ${subsets.length} subsets for ${queries} queries, wanted one each`,
    );
  }
  for (const { rows, logWeights, squares } of subsets) {
    if (rows.length === 0) {
      throw new RangeError(`Cannot ${action}: a subset is empty, wanted at least one row`);
    }
    const bad = rows.find((row) => row >= count);
    if (bad !== undefined) {
      throw new RangeError(`Cannot ${action}: a subset has row ${bad}, wanted rows below ${count}`);
    }
    if (logWeights && logWeights.length !== rows.length) {
      throw new TypeError(
        `Cannot ${action}: received ${logWeights.length} weights for ${rows.length} rows, wanted one each`,
      );
    }
    if (squares && squares.length !== rows.length) {
      throw new TypeError(
        `Cannot ${action}: received ${squares.length} squared distances for ${rows.length} rows, wanted one each`,
      );
    }
    const weight = logWeights?.find((w) => !Number.isFinite(w));
    if (weight !== undefined) {
      throw new RangeError(`Cannot ${action}: a log-weight is ${weight}, wanted finite numbers`);
    }
  }
}
