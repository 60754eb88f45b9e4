/**
 * The device in float64: plain TypeScript behind the device interface.
 *
 * @module
 */
import { inTurns, rowsPerPart } from "../../base/_turns.ts";
import type { Interruptible } from "../../base/_turns.ts";
import { DeviceError } from "../../base/errors.ts";
import { arraySpace } from "../../states/linear_space.ts";
import { Calls } from "../_calls.ts";
import { batchOf } from "../batch.ts";
import type { StateNumbers } from "../batch.ts";
import { useCpuBackend } from "../cpu_backend.ts";
import type { DataStore, Float64Device } from "../device.ts";
import { MASKED_ACTION, maskedInParts } from "../masked_posterior.ts";
import { neighboursInParts, squaresInParts } from "../neighbours.ts";
import {
  affineOf,
  checkEvaluateOptions,
  checkPoints,
  checkQueries,
  checkRefill,
  POSTERIOR_ACTION,
} from "../posterior.ts";
import type { PointSet } from "../posterior.ts";
import { posteriorInParts } from "./posterior.ts";
import { float64Rounding } from "../rounding.ts";
import { checkRows, MEASURE_ACTION, subsetPosterior } from "../subset_posterior.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";
import { float64Tilted, tiltCapacity } from "../tilted.ts";
import type { TiltedStore } from "../tilted.ts";
import { WINDOW_ACTION } from "../windowed.ts";
import { referenceWindowedInTurns } from "./windowed.ts";

/**
 * Opens the device `float64`: plain TypeScript on one thread, the truth to measure the others by. Its states are
 * `Float64Array`s; a tensor, which is float32, it answers by a tensor.
 *
 * @param reason One line that says why this device was chosen.
 * @returns The device.
 */
export async function openFloat64(reason: string): Promise<Float64Device> {
  await useCpuBackend();
  return float64Device(reason);
}

/** The same, where tensors are not to be computed on. */
export function float64Device(reason: string): Float64Device {
  let open = true;
  const dispose = () => {
    open = false;
  };
  return {
    kind: "float64",
    space: arraySpace,
    products: "loops",
    description: "CPU, float64 TypeScript, 1 thread",
    reason,
    store: (points) => Promise.resolve(points).then((points) => float64Store(points, () => open)),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

const NEAREST_ACTION = "find the nearest rows";

/**
 * Data laid out in float64.
 *
 * @param points The data, which are copied.
 * @param isOpen Whether the device is still there.
 * @returns The store.
 */
export function float64Store(points: PointSet, isOpen: () => boolean = () => true): DataStore {
  const count = checkPoints(points);
  const { dimension, range } = points;
  const bytes = points.data instanceof Uint8Array;
  let data: PointSet | undefined = {
    data: points.data.slice(),
    dimension,
    ...(range && { range }),
  };
  const calls = new Calls();
  // Made when it is needed, and released with the data.
  let tilted: TiltedStore | undefined;
  /** The data, as long as they are there. */
  const held = (action: string): PointSet => {
    if (!data || !isOpen()) throw new DeviceError(`Cannot ${action}: the data were disposed`);
    return data;
  };
  return {
    count,
    dimension,
    rounding: float64Rounding(count, dimension),
    tilted: {
      capacity: (draws) => tiltCapacity(draws, count),
      async mean(x, sigma, options) {
        using _call = calls.begin();
        tilted ??= float64Tilted(held(POSTERIOR_ACTION));
        return await tilted.mean(x, sigma, options);
      },
    },
    async posterior(x, sigma, options) {
      using _call = calls.begin();
      checkEvaluateOptions(POSTERIOR_ACTION, options);
      const batch = batchOf(x, dimension, POSTERIOR_ACTION);
      const values = await batch.values();
      options?.signal?.throwIfAborted();
      const work = posteriorInParts(held(POSTERIOR_ACTION), values, sigma);
      const { mean, facts } = await inTurns(work, options?.signal);
      return { mean: batch.like(mean), facts };
    },
    async nearest(x, k, options) {
      using _call = calls.begin();
      checkEvaluateOptions(NEAREST_ACTION, options);
      const values = await batchOf(x, dimension, NEAREST_ACTION).values();
      options?.signal?.throwIfAborted();
      const points = held(NEAREST_ACTION);
      checkQueries(values, NEAREST_ACTION);
      return await inTurns(neighboursInParts(points, values, k), options?.signal);
    },
    async posteriorOn(x, sigma, subsets, options) {
      using _call = calls.begin();
      return await subsetPosterior(this, x, sigma, subsets, {
        distances: (lists) => this.distancesTo(x, lists, options),
        means: async (weighted) => {
          const work = weightedMeans(held(POSTERIOR_ACTION), weighted);
          const means = await inTurns(work, options?.signal);
          return batchOf(x, dimension, POSTERIOR_ACTION).like(means);
        },
      }, options);
    },
    async distancesTo(x, lists, options) {
      using _call = calls.begin();
      checkEvaluateOptions(MEASURE_ACTION, options);
      const batch = batchOf(x, dimension, MEASURE_ACTION);
      checkRows(lists, batch.rows, count);
      const values = await batch.values();
      options?.signal?.throwIfAborted();
      const points = held(MEASURE_ACTION);
      checkQueries(values, MEASURE_ACTION);
      return await inTurns(distances(points, values, lists), options?.signal);
    },
    async masked(queries, sigma, mask, options) {
      using _call = calls.begin();
      options?.signal?.throwIfAborted();
      const work = maskedInParts(held(MASKED_ACTION), queries, sigma, mask, options);
      return await inTurns(work, options?.signal);
    },
    async windowed(queries, sigma, options) {
      using _call = calls.begin();
      return await referenceWindowedInTurns(held(WINDOW_ACTION), queries, sigma, options);
    },
    refill: (rows) =>
      Promise.resolve().then(() => {
        checkRefill(rows, { count, dimension, bytes });
        calls.checkNone();
        held("replace the data").data.set(rows);
      }),
    dispose() {
      data = tilted = undefined;
    },
  };
}

function* distances(
  points: PointSet,
  queries: StateNumbers,
  lists: readonly Uint32Array[],
): Interruptible<Distances> {
  const { dimension } = points;
  const squares: Float64Array[] = [];
  for (const [q, rows] of lists.entries()) {
    const query = queries.subarray(q * dimension, (q + 1) * dimension);
    squares.push(yield* squaresInParts(query, points, rows));
  }
  return { squares, errors: lists.map(({ length }) => new Float64Array(length)) };
}

function* weightedMeans(
  points: PointSet,
  weighted: readonly WeightedRows[],
): Interruptible<Float64Array> {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const means = new Float64Array(weighted.length * dimension);
  const every = rowsPerPart(dimension);
  for (const [q, { rows, weights }] of weighted.entries()) {
    const sum = new Float64Array(dimension);
    for (let i = 0; i < rows.length; i++) {
      if (i % every === 0) yield;
      for (let c = 0, at = rows[i] * dimension; c < dimension; c++, at++) {
        sum[c] += weights[i] * (data[at] * scale + offset);
      }
    }
    means.set(sum, q * dimension);
  }
  return means;
}
