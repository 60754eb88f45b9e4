/**
 * The data of a run.
 *
 * @module
 */
import type { Dataset } from "../datasets/dataset.ts";
import type { FileRows } from "../datasets/file_rows.ts";

/** The data of a run. */
export interface RunData extends Disposable {
  /** The data set; of one that stays on disk, its first items. */
  readonly dataset: Dataset;
  /** The rows, if they stay on disk. */
  readonly rows?: FileRows;
}
