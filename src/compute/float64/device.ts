/**
 * The device in float64: plain TypeScript behind the device interface.
 *
 * @module
 */
import { inTurns, rowsPerPart } from "../../base/_turns.ts";
import type { Interruptible } from "../../base/_turns.ts";
import { DeviceError } from "../../base/errors.ts";
import { arraySpace } from "../../states/linear_space.ts";
import { HeldStore } from "../_held_store.ts";
import { batchOf } from "../batch.ts";
import type { Batch, State, StateNumbers } from "../batch.ts";
import { useCpuBackend } from "../cpu_backend.ts";
import type { DataStore, Float64Device } from "../device.ts";
import type { Mask } from "../mask.ts";
import { MASKED_ACTION, maskedInParts } from "../masked_posterior.ts";
import type { MaskedOptions } from "../masked_posterior.ts";
import { NEAREST_ACTION, neighboursInParts, squaresInParts } from "../neighbours.ts";
import type { Neighbours } from "../neighbours.ts";
import { affineOf, checkPoints, checkRefill, POSTERIOR_ACTION } from "../posterior.ts";
import type { EvaluateOptions, PointSet, Posterior, Sigma } from "../posterior.ts";
import { posteriorInParts } from "./posterior.ts";
import { float64Rounding } from "../rounding.ts";
import type { StoreRounding } from "../rounding.ts";
import { MEASURE_ACTION } from "../subset_posterior.ts";
import type { Distances, WeightedRows } from "../subset_posterior.ts";
import { float64Tilted, tiltCapacity } from "../tilted.ts";
import type { TiltedStore } from "../tilted.ts";
import { WINDOW_ACTION } from "../windowed.ts";
import type { WindowJob, WindowOptions, WindowPosterior } from "../windowed.ts";
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

/**
 * Data laid out in float64.
 *
 * @param points The data, which are copied.
 * @param isOpen Whether the device is still there.
 * @returns The store.
 */
export function float64Store(points: PointSet, isOpen: () => boolean = () => true): DataStore {
  return new Float64Store(points, isOpen);
}

class Float64Store extends HeldStore<StateNumbers> {
  override readonly rounding: StoreRounding;
  readonly tilted: TiltedStore = {
    capacity: (draws) => tiltCapacity(draws, this.count),
    mean: async (x, sigma, options) => {
      using _call = this.begin(POSTERIOR_ACTION);
      const tilted = this.#tilted ??= float64Tilted(this.#held(POSTERIOR_ACTION));
      return await tilted.mean(x, sigma, options);
    },
  };
  readonly #isOpen: () => boolean;
  #points: PointSet | undefined;
  /** Computed when it is needed; it keeps products with the rows, and goes with them. */
  #tilted: TiltedStore | undefined;

  constructor(points: PointSet, isOpen: () => boolean) {
    const count = checkPoints(points), { data, dimension, range } = points;
    super({ count, dimension });
    this.rounding = float64Rounding(count, dimension);
    this.#isOpen = isOpen;
    this.#points = { data: data.slice(), dimension, ...(range && { range }) };
  }

  override async posterior<X extends State>(
    x: X,
    sigma: Sigma,
    options: EvaluateOptions = {},
  ): Promise<Posterior<X>> {
    using _call = this.begin(POSTERIOR_ACTION);
    const batch = this.batch(x, options, POSTERIOR_ACTION);
    const values = await this.read(batch, options, POSTERIOR_ACTION);
    const work = posteriorInParts(this.#held(POSTERIOR_ACTION), values, sigma);
    const { mean, facts } = await inTurns(work, options.signal);
    return { mean: batch.like(mean), facts };
  }

  override async nearest(x: State, k: number, options: EvaluateOptions = {}): Promise<Neighbours> {
    using _call = this.begin(NEAREST_ACTION);
    const batch = this.batch(x, options, NEAREST_ACTION);
    const values = await this.read(batch, options, NEAREST_ACTION);
    return await inTurns(
      neighboursInParts(this.#held(NEAREST_ACTION), values, k),
      options.signal,
    );
  }

  protected override numbers(batch: Batch<unknown>): Promise<StateNumbers> {
    return batch.values();
  }

  protected override distances(
    queries: StateNumbers,
    lists: readonly Uint32Array[],
    signal?: AbortSignal,
  ): Promise<Distances> {
    return inTurns(distances(this.#held(MEASURE_ACTION), queries, lists), signal);
  }

  protected override async means<X extends State>(
    x: X,
    weighted: readonly WeightedRows[],
    signal?: AbortSignal,
  ): Promise<X> {
    const means = await inTurns(weightedMeans(this.#held(POSTERIOR_ACTION), weighted), signal);
    return batchOf(x, this.dimension, POSTERIOR_ACTION).like(means);
  }

  protected override async maskedMeans(
    queries: StateNumbers,
    sigma: number,
    mask: Mask,
    options: MaskedOptions,
  ): Promise<StateNumbers> {
    options.signal?.throwIfAborted();
    const work = maskedInParts(this.#held(MASKED_ACTION), queries, sigma, mask, options);
    return await inTurns(work, options.signal);
  }

  protected override perPixel(
    queries: StateNumbers,
    { sigmas }: WindowJob,
    options: WindowOptions,
  ): Promise<WindowPosterior<StateNumbers>> {
    return referenceWindowedInTurns(this.#held(WINDOW_ACTION), queries, sigmas, options);
  }

  // deno-lint-ignore require-await -- a failure is a rejection.
  async refill(rows: Uint8Array | Float32Array): Promise<void> {
    const { count, dimension } = this, points = this.#held("replace the data");
    checkRefill(rows, { count, dimension, bytes: points.data instanceof Uint8Array });
    this.checkNoCalls();
    points.data.set(rows);
    this.#tilted = undefined;
  }

  protected override check(action: string): void {
    super.check(action);
    if (!this.#isOpen()) throw new DeviceError(`Cannot ${action}: the data were disposed`);
  }

  protected override free(): void {
    this.#points = this.#tilted = undefined;
  }

  /** The data, as long as they are there. */
  #held(action: string): PointSet {
    this.check(action);
    return this.#points!;
  }
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
