/**
 * Proxies: short stand-ins for the items, whose distances bound the true ones from below.
 *
 * @module
 */
import type { DataStore, Device } from "../compute/device.ts";
import type { EvaluateOptions, PointSet } from "../compute/posterior.ts";
import type { AnyTensor } from "../linear_space.ts";
import { tensorSpace } from "../linear_space.ts";

/** Short stand-ins for the items of a data set. */
export interface RetrievalProxy extends Disposable {
  /** What it is, in a few words. */
  readonly label: string;
  /** Number of items, `N`. */
  readonly count: number;
  /** Numbers per item that are compared. */
  readonly dimension: number;
  /**
   * Lower bounds of the squared distances to all items, or to some.
   *
   * @param x Queries, `B` rows in data units. Not disposed.
   * @param lists The items of each query. Default: all, in their order.
   * @param options A signal that cancels.
   * @returns One list of bounds per query, in squared data units.
   */
  bounds(
    x: AnyTensor,
    lists?: readonly Uint32Array[],
    options?: EvaluateOptions,
  ): Promise<Float64Array[]>;
  /** Releases what it holds on the device. */
  dispose(): void;
}

/** A map to short rows that shortens distances, or lengthens them by no more than an error. */
export interface Embedding {
  /** What it is. */
  readonly label: string;
  /** The items, embedded. */
  readonly points: PointSet;
  /** By how much the stored form of an item may be away from its exact image, at most. */
  readonly error: number;
  /** Embeds one query of `d` numbers, in float64, and tells by how much its image may be off. */
  embed(query: Float32Array): { row: Float64Array; error: number };
}

/**
 * The proxy of an embedding `P` that shortens distances, `‖Px − Pxᵢ‖ ≤ ‖x − xᵢ‖`. Its items are stored
 * rounded, as `yᵢ` with `‖yᵢ − Pxᵢ‖ ≤ e`, and so is a query; then
 *
 * ```text
 * ‖x − xᵢ‖ ≥ max(0, ‖y − yᵢ‖ − e − ‖y − Px‖)
 * ```
 *
 * is a bound that rounding cannot break.
 *
 * @param embedding The map, and the items under it.
 * @param device Where to search.
 * @returns The proxy. Dispose it after use.
 * @throws {DeviceError} If the device cannot hold it.
 */
export async function storeProxy(embedding: Embedding, device: Device): Promise<RetrievalProxy> {
  const store = await device.store(embedding.points);
  const dispose = () => store.dispose();
  return {
    label: embedding.label,
    dimension: store.dimension,
    count: store.count,
    bounds: (x, lists, options) => bounds(embedding, store, x, lists, options),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

// Distances that are asked for at once: bounds the memory of lists and results.
const MOST_DISTANCES = 2 ** 22;

async function bounds(
  embedding: Embedding,
  store: DataStore,
  x: AnyTensor,
  lists: readonly Uint32Array[] | undefined,
  options?: EvaluateOptions,
): Promise<Float64Array[]> {
  const { values, errors } = await embed(embedding, x);
  const { count, dimension } = store;
  const all = lists ? undefined : Uint32Array.from({ length: count }, (_, i) => i);
  const batch = Math.max(1, Math.floor(MOST_DISTANCES / count));
  const found: Float64Array[] = [];
  for (let first = 0; first < errors.length; first += batch) {
    const end = Math.min(errors.length, first + batch);
    const y = tensorSpace.from(values.subarray(first * dimension, end * dimension), [
      end - first,
      dimension,
    ]);
    const rows = lists?.slice(first, end) ?? new Array<Uint32Array>(end - first).fill(all!);
    const { squares, errors: off } = await store.distancesTo(y, rows, options)
      .finally(() => y.dispose());
    squares.forEach((list, i) => {
      const error = errors[first + i];
      for (let k = 0; k < list.length; k++) {
        list[k] = shortened(Math.sqrt(Math.max(0, list[k] - off[i][k])), error);
      }
      found.push(list);
    });
  }
  return found;
}

/** The embedded queries, and by how much distances to stored items may be too long. */
async function embed(
  { embed, error, points: { dimension } }: Embedding,
  x: AnyTensor,
): Promise<{ values: Float32Array; errors: Float64Array }> {
  const values = await x.data<"float32">();
  const queries = x.shape[0], d = x.size / queries;
  const rounded = new Float32Array(queries * dimension);
  const errors = new Float64Array(queries);
  for (let q = 0; q < queries; q++) {
    const { row: exact, error: off } = embed(values.subarray(q * d, (q + 1) * d));
    let square = 0;
    for (let c = 0; c < dimension; c++) {
      rounded[q * dimension + c] = exact[c];
      square += (rounded[q * dimension + c] - exact[c]) ** 2;
    }
    errors[q] = error + off + Math.sqrt(square);
  }
  return { values: rounded, errors };
}

/** A lower bound of a squared distance; distances themselves are right to far more than 40 bits. */
function shortened(distance: number, error: number): number {
  return Math.max(0, distance * (1 - 2 ** -40) - error) ** 2;
}
