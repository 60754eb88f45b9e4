/**
 * The reference device: the float64 posterior behind the device interface.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { inTurns, rowsPerPart } from "../../base/_turns.ts";
import type { Interruptible } from "../../base/_turns.ts";
import { DeviceError } from "../../base/errors.ts";
import { Calls } from "../_calls.ts";
import { useCpuBackend } from "../cpu_backend.ts";
import type { DataStore, Device } from "../device.ts";
import { MASKED_ACTION, maskedInParts } from "../masked_posterior.ts";
import { neighboursInParts, squaresInParts } from "../neighbours.ts";
import {
  affineOf,
  checkEvaluateOptions,
  checkPoints,
  checkQueries,
  checkQueryShape,
  checkRefill,
  POSTERIOR_ACTION,
} from "../posterior.ts";
import type { PointSet } from "../posterior.ts";
import { posteriorInParts } from "./posterior.ts";
import { float64Rounding } from "../rounding.ts";
import { checkRows, MEASURE_ACTION, subsetPosterior } from "../subset_posterior.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";
import { WINDOW_ACTION } from "../windowed.ts";
import { referenceWindowedInTurns } from "./windowed.ts";

/**
 * Opens the reference device: plain float64 TypeScript on one thread, for
 * checking the others. Tensors going in and out are float32.
 *
 * @param reason One line that says why this device was chosen.
 * @returns The device.
 */
export async function openReference(reason: string): Promise<Device> {
  await useCpuBackend();
  let open = true;
  const dispose = () => {
    open = false;
  };
  return {
    kind: "reference",
    description: "CPU, float64 TypeScript, 1 thread",
    reason,
    store: (points) => Promise.resolve(points).then((points) => store(points, () => open)),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function store(points: PointSet, isOpen: () => boolean): DataStore {
  const count = checkPoints(points);
  const { dimension, range } = points;
  const bytes = points.data instanceof Uint8Array;
  let data: PointSet | undefined = {
    data: points.data.slice(),
    dimension,
    ...(range && { range }),
  };
  const calls = new Calls();
  return {
    count,
    dimension,
    rounding: float64Rounding(count, dimension),
    async posterior(x, sigma, options) {
      using _call = calls.begin();
      checkEvaluateOptions(POSTERIOR_ACTION, options);
      checkQueryShape(x.shape, dimension);
      const values = await x.data<"float32">();
      options?.signal?.throwIfAborted();
      if (!data || !isOpen()) {
        throw new DeviceError(
          "Cannot compute the posterior mean: its data were disposed",
        );
      }
      const work = posteriorInParts(data, values, sigma);
      const { mean, facts } = await inTurns(work, options?.signal);
      return {
        mean: tf.tensor(Float32Array.from(mean), x.shape, "float32"),
        facts,
      };
    },
    async nearest(x, k, options) {
      using _call = calls.begin();
      checkEvaluateOptions("find the nearest rows", options);
      checkQueryShape(x.shape, dimension, "find the nearest rows");
      const values = await x.data<"float32">();
      options?.signal?.throwIfAborted();
      if (!data || !isOpen()) {
        throw new DeviceError("Cannot find the nearest rows: the data were disposed");
      }
      checkQueries(values, "find the nearest rows");
      return await inTurns(neighboursInParts(data, values, k), options?.signal);
    },
    async posteriorOn(x, sigma, subsets, options) {
      using _call = calls.begin();
      return await subsetPosterior(this, x, sigma, subsets, {
        distances: (lists) => this.distancesTo(x, lists, options),
        means: (weighted) => {
          if (!data || !isOpen()) {
            throw new DeviceError("Cannot compute the posterior mean: its data were disposed");
          }
          return inTurns(weightedMeans(data, weighted), options?.signal)
            .then((means) => tf.tensor(means, x.shape, "float32"));
        },
      }, options);
    },
    async distancesTo(x, lists, options) {
      using _call = calls.begin();
      checkEvaluateOptions(MEASURE_ACTION, options);
      checkRows(lists, checkQueryShape(x.shape, dimension, MEASURE_ACTION), count);
      const values = await x.data<"float32">();
      options?.signal?.throwIfAborted();
      if (!data || !isOpen()) {
        throw new DeviceError("Cannot measure distances: the data were disposed");
      }
      checkQueries(values, MEASURE_ACTION);
      return await inTurns(distances(data, values, lists), options?.signal);
    },
    async masked(queries, sigma, mask, options) {
      using _call = calls.begin();
      options?.signal?.throwIfAborted();
      if (!data || !isOpen()) {
        throw new DeviceError(`Cannot ${MASKED_ACTION}: its data were disposed`);
      }
      const work = maskedInParts(data, queries, sigma, mask, options);
      return Float32Array.from(await inTurns(work, options?.signal));
    },
    async windowed(queries, sigma, options) {
      using _call = calls.begin();
      if (!data || !isOpen()) {
        throw new DeviceError(`Cannot ${WINDOW_ACTION}: the data were disposed`);
      }
      const { mean, ...rest } = await referenceWindowedInTurns(data, queries, sigma, options);
      return { mean: Float32Array.from(mean), ...rest };
    },
    refill: (rows) =>
      Promise.resolve().then(() => {
        checkRefill(rows, { count, dimension, bytes });
        calls.checkNone();
        if (!data || !isOpen()) {
          throw new DeviceError("Cannot replace the data: they were disposed");
        }
        data.data.set(rows);
      }),
    dispose() {
      data = undefined;
    },
  };
}

function* distances(
  points: PointSet,
  queries: Float32Array,
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
): Interruptible<Float32Array> {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const means = new Float32Array(weighted.length * dimension);
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
