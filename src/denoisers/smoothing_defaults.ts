/**
 * Bandwidth and number of steps for smoothed denoisers, measured on the data.
 *
 * @module
 */
import { medianOf } from "../_quantile.ts";
import type { Device } from "../compute/device.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { tensorSpace } from "../linear_space.ts";
import { stopButton } from "../stop_button.ts";

/** Options of {@linkcode smoothingDefaults}. */
export interface SmoothingDefaultsOptions {
  /** The flow time `T` that sampling starts at, in [0, 1). Default 0. */
  readonly start?: number;
  /** Cancels the search. */
  readonly signal?: AbortSignal;
}

/** What {@linkcode smoothingDefaults} found. */
export interface SmoothingDefaults {
  /** The bandwidth `β`, in data units. */
  readonly bandwidth: number;
  /** The number of draws, `M`. */
  readonly M: number;
  /** The number of flow steps, `S`. */
  readonly steps: number;
  /** The median distance of an item to the nearest other one, in data units. */
  readonly gap: number;
  /** The median distance to the neighbours that surround an item, in data units. */
  readonly spacing: number;
  /** The dimension that the data have locally, a whole number. */
  readonly dimension: number;
}

/** Items whose neighbours are looked at, and how many neighbours of each. */
const LOOKED_AT = 512, NEIGHBOURS = 64;
/** Ranks of neighbours over which the growth of distances is fitted; on a lattice the first ones are ties. */
const FITTED = [4, 16] as const;
const DRAWS = 4;
/** Steps per gap at which a finite step no longer smooths by itself. */
const STEPS_PER_GAP = 20;

/**
 * Bandwidth and steps for {@linkcode smoothed}, from distances between neighbours.
 *
 * ```text
 * β = r_k / √(2π),   k = m(m+1),   r_k the median distance to the k-th neighbour, r_k ~ k^{1/m}
 * S = max(50, 20/gap) from noise, max(16, 20(1−T)/gap) from a late start T
 * ```
 *
 * Two points at a distance `r` merge at `β = r/√(2π)`. On evenly spread data that distance is the gap
 * to the nearest neighbour; on random data the gap is much smaller than the space between
 * neighbouring points, and a bandwidth made from it memorises. So the distance is that to
 * the neighbours that surround a point, of which a lattice of dimension `m` has about `m(m+1)` (2, 6, 12),
 * and `m` comes from how fast distances grow with the rank of the neighbour.
 *
 * Reference: C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), arXiv:2310.12395, for the method; the rule is ours.
 *
 * @param dataset The data, at least 3 different items.
 * @param device Where to search.
 * @param options A late start; a signal that cancels.
 * @returns The bandwidth, the number of draws and of steps, and what they were derived from.
 * @throws {RangeError} If nearly all items are copies of few, or the start is not in [0, 1).
 *
 * @example A ring of evenly spread points: the bandwidth is two fifths of the gap
 * ```ts
 * import { Dataset, openDevice, smoothingDefaults } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const angle = (at: number) => 2 * Math.PI * Math.floor(at / 2) / 32;
 * const data = Float32Array.from({ length: 64 }, (_, at) => (at % 2 ? Math.sin : Math.cos)(angle(at)));
 * using device = await openDevice("wasm");
 * const { bandwidth, gap } = await smoothingDefaults(new Dataset({ data, shape: [2], name: "ring" }), device);
 * assert.ok(Math.abs(bandwidth / gap - 0.4) < 0.01);
 * ```
 */
export async function smoothingDefaults(
  dataset: Dataset,
  device: Device,
  options: SmoothingDefaultsOptions = {},
): Promise<SmoothingDefaults> {
  const { start = 0 } = options;
  using stop = stopButton(options.signal);
  const { signal } = stop;
  if (!(start >= 0 && start < 1)) {
    throw new RangeError(
      `Cannot choose a bandwidth: start is ${start}, wanted a flow time in [0, 1)`,
    );
  }
  const distances = await neighbourDistances(dataset, device, signal);
  const gap = distances[0];
  if (!(gap > 0)) {
    throw new RangeError(
      `Cannot choose a bandwidth: ${dataset.summary()}, wanted at least 3 items that differ`,
    );
  }
  const dimension = growthDimension(distances);
  const surrounding = Math.min(dimension * (dimension + 1), distances.length);
  const spacing = distances[surrounding - 1];
  return {
    bandwidth: spacing / Math.sqrt(2 * Math.PI),
    M: DRAWS,
    steps: smoothingSteps(gap, start),
    gap,
    spacing,
    dimension,
  };
}

/**
 * The number of flow steps at which a finite step no longer smooths by itself.
 *
 * ```text
 * S = max(50, 20/gap) from noise, max(16, 20(1−T)/gap) from a late start T
 * ```
 *
 * @param gap The distance of neighbouring items, in data units.
 * @param start The flow time `T` that sampling starts at, in [0, 1). Default 0.
 * @returns A whole number of steps.
 * @throws {RangeError} If the gap is not positive.
 *
 * @example
 * ```ts
 * import { smoothingSteps } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([smoothingSteps(0.1), smoothingSteps(0.1, 0.9)], [200, 20]);
 * ```
 */
export function smoothingSteps(gap: number, start: number = 0): number {
  if (!(gap > 0)) {
    throw new RangeError(`Cannot choose a number of steps: gap is ${gap}, wanted a number > 0`);
  }
  // A product like 1 − 0.9 may lie a rounding error above what it means.
  const steps = Math.ceil(STEPS_PER_GAP * (1 - start) / gap * (1 - 2 ** -40));
  return Math.max(start > 0 ? 16 : 50, steps);
}

/** The median distance to the first, second, … other item; copies of an item do not count. */
async function neighbourDistances(
  dataset: Dataset,
  device: Device,
  signal?: AbortSignal,
): Promise<Float64Array> {
  const { count, shape } = dataset;
  const looked = Math.min(LOOKED_AT, count);
  const queries = new Float32Array(looked * dataset.dimension);
  for (let i = 0; i < looked; i++) {
    queries.set(dataset.values(Math.floor(i * count / looked)), i * dataset.dimension);
  }
  const x = tensorSpace.from(queries, [looked, ...shape]);
  const store = await device.store(dataset);
  try {
    const k = Math.min(count, NEIGHBOURS + 1);
    const { distances } = await store.nearest(x, k, { signal });
    const others = Array.from({ length: looked }, (_, i) => {
      const all = distances.subarray(i * k, (i + 1) * k);
      // The item itself is as near as float32 can write it.
      const copy = 2 ** -20 * all[k - 1];
      return all.filter((distance) => distance > copy);
    });
    // A small set must not call its far side a neighbourhood.
    const ranks = Math.max(1, Math.min(NEIGHBOURS, Math.floor((count - 1) / 2)));
    return Float64Array.from(
      { length: ranks },
      (_, rank) => medianOf(others.map((list) => list[rank] ?? list.at(-1) ?? 0)),
    );
  } finally {
    store.dispose();
    x.dispose();
  }
}

/** `m` of `r_k ~ k^{1/m}`, by a line through the logarithms. */
function growthDimension(distances: Float64Array): number {
  const [first, last] = [FITTED[0], Math.min(FITTED[1], distances.length)];
  if (last <= first) return 1;
  const ranks = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const x = ranks.map((rank) => Math.log(distances[rank - 1]));
  const y = ranks.map((rank) => Math.log(rank - 0.5));
  const mean = (list: number[]) => list.reduce((sum, v) => sum + v, 0) / list.length;
  const [mx, my] = [mean(x), mean(y)];
  const variance = mean(x.map((v) => (v - mx) ** 2));
  const slope = mean(x.map((v, k) => (v - mx) * (y[k] - my))) / variance;
  // Distances that do not grow at all are those of a simplex, of the largest dimension.
  return Number.isFinite(slope) ? Math.max(1, Math.round(slope)) : Infinity;
}
