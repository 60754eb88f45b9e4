/**
 * A batch of queries on its way through a golden subset.
 *
 * @module
 */
import type { State, StateNumbers } from "../../compute/batch.ts";

/** A batch of queries. */
export interface QueryBatch {
  /** The queries, `B` rows in data units. */
  readonly x: State;
  /** Their numbers, one row after the other. */
  readonly values: StateNumbers;
  /** Their noise levels. */
  readonly sigmas: Float64Array;
  /** The sample that each belongs to. */
  readonly samples: ArrayLike<number>;
  /** The run that they belong to, if there is one. */
  readonly run?: object;
}
