/**
 * What the kernels' callers know of rows in shared memory.
 *
 * @module
 */
import type { DataBox } from "../data_box.ts";
import type { ThreadPool } from "./pool.ts";

/** Where rows are. It holds during one turn. */
export interface StoredRows {
  /** The memory. Rows are in it; what lies behind {@linkcode StoreView.free} may be used. */
  readonly memory: WebAssembly.Memory;
  /** The threads. */
  readonly pool: ThreadPool;
  /** Number of rows. */
  readonly count: number;
  /** Numbers per row. */
  readonly dimension: number;
  /** Address of the first row. */
  readonly data: number;
  /** Bytes from one row to the next. */
  readonly rowBytes: number;
  /** Whether rows hold signed bytes; else float32. */
  readonly bytes: boolean;
  /** Data units per stored unit. */
  readonly scale: number;
  /** The value that a stored 0 stands for. */
  readonly offset: number;
  /** Address of the first byte that may be used, a multiple of 64. Grow the memory first. */
  readonly free: number;
  /** How often the rows were replaced. */
  readonly generation: number;
}

/** What kernels in other files need to know of a store. It holds during one turn. */
export interface StoreView extends StoredRows {
  /** The box of the rows, stored units. */
  readonly box: DataBox;
  /** For floats: address of its middle, `dimension` float32 and zeros up to a multiple of 8. */
  readonly centre: number;
}
