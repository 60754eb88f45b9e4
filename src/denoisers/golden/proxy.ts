/**
 * Proxies: short stand-ins for the items, to rank them by and to bound their distances from below.
 *
 * @module
 */
import { numbersOf } from "../../compute/batch.ts";
import type { State, StateNumbers } from "../../compute/batch.ts";
import { MEASURE_ACTION } from "../../compute/subset_posterior.ts";
import type { DataStore, Device } from "../../compute/device.ts";
import {
  checkEvaluateOptions,
  type EvaluateOptions,
  type PointSet,
} from "../../compute/posterior.ts";

/** Distances by a proxy, one list per query, in squared data units. */
export interface ProxyDistances {
  /** Squared distances of the stand-ins: what to rank by. */
  readonly squares: readonly Float64Array[];
  /** Lower bounds of the true squared distances of a query, which rounding cannot break. */
  bounds(query: number): Float64Array;
}

/** Short stand-ins for the items of a data set. */
export interface RetrievalProxy extends Disposable {
  /** What it is, in a few words. */
  readonly label: string;
  /** Number of items, `N`. */
  readonly count: number;
  /** Numbers per item that are compared. */
  readonly dimension: number;
  /**
   * Distances to all items, or to some.
   *
   * @param x Queries, `B` rows in data units. Not disposed.
   * @param lists The items of each query. Default: all, in their order.
   * @param options A signal that cancels.
   */
  measure(
    x: State,
    lists?: readonly Uint32Array[],
    options?: EvaluateOptions,
  ): Promise<ProxyDistances>;
  /** Releases what it holds on the device. */
  dispose(): void;
}

/** An image under an orthonormal projection `P`, and the norm of what it leaves out. */
export interface Projected {
  /** `Px`, in float64. */
  readonly row: Float64Array;
  /** `‖x − PᵀPx‖`. */
  readonly rest: number;
  /** By how much that norm may be off. */
  readonly restError: number;
}

/** An orthonormal projection of items to short rows. */
export interface Projection {
  /** What it is. */
  readonly label: string;
  /** The items, projected, in data units. */
  readonly points: PointSet;
  /** By how much a stored row may be away from the exact one, at most. */
  readonly error: number;
  /** The norm of what the projection leaves out of each item. */
  readonly rests: Float64Array;
  /** By how much those may be off, at most. */
  readonly restError: number;
  /** Numbers of a query, `d`. */
  readonly whole: number;
  /** Projects one query of `d` numbers. */
  project(query: StateNumbers): Projected;
}

/**
 * The proxy of an orthonormal projection `P`, with `Q` for what it leaves out. Items are ranked by
 * `‖Px − Pxᵢ‖`; true distances are bounded by the reverse triangle inequality,
 *
 * ```text
 * LBᵢ = ‖Px − Pxᵢ‖² + (‖Qx‖ − ‖Qxᵢ‖)² ≤ ‖x − xᵢ‖²
 * ```
 *
 * where all that is stored rounded, or measured so, is taken as short as it may be. The bound is not
 * what to rank by: at high noise `‖Qx‖` is nearly all noise, and its second term prefers the items that are least smooth.
 *
 * @param projection The projection, and the items under it.
 * @param device Where to search.
 * @returns The proxy. Dispose it after use.
 * @throws {DeviceError} If the device cannot hold it.
 */
export async function storeProxy(projection: Projection, device: Device): Promise<RetrievalProxy> {
  const store = await device.store(projection.points);
  const dispose = () => store.dispose();
  return {
    label: projection.label,
    count: store.count,
    dimension: store.dimension,
    async measure(x, lists, options) {
      checkEvaluateOptions(MEASURE_ACTION, options);
      return await measure(projection, store, x, lists, options);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/**
 * No proxy at all: the true distances.
 *
 * @param store The data. Not disposed with the proxy.
 * @returns The proxy.
 */
export function exactProxy(store: DataStore): RetrievalProxy {
  return {
    label: "exact distances",
    count: store.count,
    dimension: store.dimension,
    async measure(x, lists, options) {
      checkEvaluateOptions(MEASURE_ACTION, options);
      const { squares, errors } = await inGroups(store, await numbersOf(x), lists, options);
      return { squares, bounds: (q) => shorter(squares[q], errors[q]) };
    },
    dispose() {},
    [Symbol.dispose]() {},
  };
}

async function measure(
  projection: Projection,
  store: DataStore,
  x: State,
  lists: readonly Uint32Array[] | undefined,
  options?: EvaluateOptions,
): Promise<ProxyDistances> {
  const { rests, restError } = projection;
  const { rounded, queries } = await projectAll(projection, x);
  const { squares, errors } = await inGroups(store, rounded, lists, options);
  const bounds = (q: number) => {
    const { error, rest, restError: off } = queries[q];
    const rows = lists?.[q];
    const found = shorter(squares[q], errors[q]);
    for (let i = 0; i < found.length; i++) {
      const along = short(Math.sqrt(found[i]), projection.error + error);
      const across = short(Math.abs(rest - rests[rows ? rows[i] : i]), restError + off);
      found[i] = along * along + across * across;
    }
    return found;
  };
  return { squares, bounds };
}

/** Projected queries in float32, and how far each is from the exact one. */
async function projectAll({ project, whole: d, points: { dimension } }: Projection, x: State) {
  const values = await numbersOf(x), count = values.length / d;
  const rounded = new Float32Array(count * dimension);
  const queries = Array.from({ length: count }, (_, q) => {
    const { row, rest, restError } = project(values.subarray(q * d, (q + 1) * d));
    let square = 0;
    for (let c = 0, at = q * dimension; c < dimension; c++, at++) {
      rounded[at] = row[c];
      square += (rounded[at] - row[c]) ** 2;
    }
    return { error: Math.sqrt(square), rest, restError };
  });
  return { rounded, queries };
}

// Distances that are asked for at once: bounds the memory of lists and results.
const MOST_DISTANCES = 2 ** 22;

/** Distances to listed rows or to all, a group of queries at a time. */
async function inGroups(
  store: DataStore,
  values: StateNumbers,
  lists?: readonly Uint32Array[],
  options?: EvaluateOptions,
): Promise<{ squares: Float64Array[]; errors: Float64Array[] }> {
  const { count, dimension } = store;
  const queries = values.length / dimension;
  const all = lists ? undefined : new Uint32Array(count).map((_, i) => i);
  const most = Math.max(1, Math.floor(MOST_DISTANCES / count));
  const squares: Float64Array[] = [], errors: Float64Array[] = [];
  for (let first = 0; first < queries; first += most) {
    const group = Math.min(most, queries - first);
    const part = values.subarray(first * dimension, (first + group) * dimension);
    const rows = lists?.slice(first, first + group) ?? new Array<Uint32Array>(group).fill(all!);
    const found = await store.distancesTo(part, rows, options);
    squares.push(...found.squares);
    errors.push(...found.errors);
  }
  return { squares, errors };
}

/** Squared distances as short as they may be; they are right to far more than 40 bits beside their error. */
function shorter(squares: Float64Array, errors: Float64Array): Float64Array {
  const found = new Float64Array(squares.length);
  for (let i = 0; i < found.length; i++) {
    found[i] = Math.max(0, squares[i] * (1 - 2 ** -40) - errors[i]);
  }
  return found;
}

function short(length: number, error: number): number {
  return Math.max(0, length - error);
}
