/**
 * The proxy of leading principal components.
 *
 * @module
 */
import { inTurns } from "../../base/_turns.ts";
import type { Interruptible } from "../../base/_turns.ts";
import type { DataStore, Device } from "../../compute/device.ts";
import { checkEvaluateOptions } from "../../compute/posterior.ts";
import type { EvaluateOptions } from "../../compute/posterior.ts";
import type { Distances } from "../../compute/subset_posterior.ts";
import type { StateNumbers } from "../../compute/batch.ts";
import { storeProxy } from "./proxy.ts";
import type { Projection, RetrievalProxy } from "./proxy.ts";

/**
 * The coordinates of all items in an orthonormal basis of few directions, such as the leading
 * principal components, which of all projections to as few numbers lose the least; with the norms of what they
 * leave out they bound true distances from below.
 *
 * Coordinates come from distances, `⟨xᵢ, u⟩ = (‖xᵢ‖² + ‖u‖² − ‖xᵢ − u‖²)/2`, which a device that stores
 * the data measures with a bound on their error; that bound, and all rounding, is taken off every bound on a distance.
 *
 * Derived here.
 *
 * @param store The data on their device.
 * @param device Where to search.
 * @param basis The basis, `r` orthonormal rows of `d` numbers, such as the beginning of `dataSpectrum(…).basis`.
 * @param options A signal that cancels.
 * @returns The proxy. Dispose it after use.
 * @throws {TypeError} If the basis is no whole number of rows.
 * @throws {RangeError} If it is not orthonormal to ten digits.
 *
 * @example Along the one direction in which points differ, nothing is lost
 * ```ts
 * import { openDevice, pcaProxy } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * const store = await device.store({ data: Float32Array.of(0, 0, 3, 4), dimension: 2 });
 * using proxy = await pcaProxy(store, device, Float64Array.of(0.6, 0.8));
 * const x = tensorSpace.from([3, 4], [1, 2]);
 * const bounds = (await proxy.measure(x)).bounds(0);
 * assert.ok(Math.abs(bounds[0] - 25) < 1e-3 && bounds[1] === 0);
 * x.dispose();
 * ```
 */
export async function pcaProxy(
  store: DataStore,
  device: Device,
  basis: Float64Array,
  options: EvaluateOptions = {},
): Promise<RetrievalProxy> {
  checkEvaluateOptions("make a proxy of principal components", options);
  return await storeProxy(await pcaProjection(store, basis, options), device);
}

/** The map of {@linkcode pcaProxy}, and the items under it. */
async function pcaProjection(
  store: DataStore,
  basis: Float64Array,
  options: EvaluateOptions,
): Promise<Projection> {
  const { count, dimension } = store;
  const rank = basis.length / dimension;
  await inTurns(checkBasis(basis, rank, dimension), options.signal);
  const { queries, lost } = rounded(basis, dimension);
  const data = new Float32Array(count * rank), rests = new Float64Array(count);
  let error = 0, restError = 0;
  for (let first = 0; first < count; first += ROWS) {
    const rows = Uint32Array.from({ length: Math.min(ROWS, count - first) }, (_, i) => first + i);
    const lists = new Array<Uint32Array>(rank + 1).fill(rows);
    const found = await store.distancesTo(queries, lists, options);
    rows.forEach((row, i) => {
      const coordinates = data.subarray(row * rank, (row + 1) * rank);
      const item = coordinatesOf(found, i, lost, coordinates);
      rests[row] = item.rest;
      error = Math.max(error, item.error);
      restError = Math.max(restError, item.restError);
    });
  }
  return {
    label: `${rank} principal components`,
    points: { data, dimension: rank },
    error,
    rests,
    restError,
    whole: dimension,
    project: (query) => project(basis, rank, query),
  };
}

/** How far a basis may be from orthonormal. */
const ORTHONORMAL = 1e-10;
/** Items that are projected at a time. */
const ROWS = 2 ** 14;

/** The coordinates of one item from its distances to the directions and, behind them, to the origin. */
function coordinatesOf(
  { squares, errors }: Distances,
  i: number,
  { norms, share }: Lost,
  out: Float32Array,
): { rest: number; error: number; restError: number } {
  const rank = out.length, norm = squares[rank][i];
  let along = 0, off = 0;
  for (let k = 0; k < rank; k++) {
    const z = (norm + norms[k] - squares[k][i]) / 2;
    out[k] = z;
    const e = (errors[rank][i] + errors[k][i]) / 2 + Math.abs(z) * 2 ** -24;
    off += e * e;
    along += z * z;
  }
  // Float32 directions differ from those meant by a share of the item's length.
  const length = Math.sqrt(norm + errors[rank][i]);
  const error = Math.sqrt(off) + (share + ORTHONORMAL) * length;
  const rest = Math.sqrt(Math.max(0, norm - along));
  return {
    rest,
    error,
    restError: rootError(rest, errors[rank][i] + 2 * Math.sqrt(along) * error + error * error),
  };
}

/** By how much a root may be off whose square may be off by so much. */
function rootError(root: number, error: number): number {
  return root > 0 ? Math.min(Math.sqrt(error), error / root) : Math.sqrt(error);
}

/** What rounding to float32 does to directions. */
interface Lost {
  /** The squared norm of each. */
  readonly norms: Float64Array;
  /** How far all of them together are from what is meant. */
  readonly share: number;
}

function project(basis: Float64Array, rank: number, query: StateNumbers) {
  const row = new Float64Array(rank);
  const d = query.length;
  let norm = 0, along = 0;
  for (let c = 0; c < d; c++) norm += query[c] * query[c];
  for (let k = 0, at = 0; k < rank; k++) {
    let z = 0;
    for (let c = 0; c < d; c++, at++) z += basis[at] * query[c];
    row[k] = z;
    along += z * z;
  }
  const rest = Math.sqrt(Math.max(0, norm - along));
  return { row, rest, restError: rootError(rest, norm * (2 ** -44 + 2 * ORTHONORMAL)) };
}

/** The directions in float32, with the origin behind them, and what rounding does to them. */
function rounded(basis: Float64Array, dimension: number): { queries: Float32Array; lost: Lost } {
  const rank = basis.length / dimension;
  const queries = new Float32Array(basis.length + dimension);
  queries.set(basis);
  const norms = new Float64Array(rank);
  let square = 0;
  for (let at = 0; at < basis.length; at++) {
    norms[Math.floor(at / dimension)] += queries[at] ** 2;
    square += (queries[at] - basis[at]) ** 2;
  }
  return { queries, lost: { norms, share: Math.sqrt(square) } };
}

function* checkBasis(basis: Float64Array, rank: number, dimension: number): Interruptible<void> {
  if (!Number.isInteger(rank) || rank < 1 || rank > dimension) {
    throw new TypeError(
      `Cannot project items: the basis has ${basis.length} numbers, wanted 1 to ${dimension} rows of ${dimension}`,
    );
  }
  for (let k = 0; k < rank; k++) {
    yield;
    for (let j = 0; j <= k; j++) {
      let product = j === k ? -1 : 0;
      for (let c = 0; c < dimension; c++) {
        product += basis[k * dimension + c] * basis[j * dimension + c];
      }
      if (!(Math.abs(product) < ORTHONORMAL / Math.max(1, rank))) {
        throw new RangeError(
          `Cannot project items: rows ${j} and ${k} of the basis have the inner product ${
            product + (j === k ? 1 : 0)
          }, wanted an orthonormal basis`,
        );
      }
    }
  }
}
