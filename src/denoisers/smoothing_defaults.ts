/**
 * Bandwidth and number of steps for smoothed denoisers, measured on the data.
 *
 * @module
 */
import { MOST_STEPS } from "../base/_checks.ts";
import { note } from "../base/_note.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { medianOf } from "../base/_quantile.ts";
import { DRAWS } from "../base/_defaults.ts";
import type { DataStore } from "../compute/device.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { RandomStream } from "../base/random.ts";
import { stopButton } from "../base/stop_button.ts";
import { DATA_OPTIONS, heldData } from "./data_source.ts";
import type { DataOptions, DataSource } from "./data_source.ts";
import { distinctItems } from "./_distinct_items.ts";

/** Options of {@linkcode smoothingDefaults}. */
export interface SmoothingDefaultsOptions extends DataOptions {
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
  readonly draws: number;
  /** The number of flow steps, `S`. */
  readonly steps: number;
  /** The median distance of an item to the nearest other one, in data units. */
  readonly gap: number;
  /** The median distance to the neighbours that surround an item, in data units. */
  readonly spacing: number;
  /** The dimension that the data have locally, a whole number. */
  readonly dimension: number;
  /** The share of picks around an item, itself left out, that are among its nearest ones, at this bandwidth. */
  readonly neighbourly: number;
}

/** Items whose neighbours are looked at, and how many neighbours of each. */
const LOOKED_AT = 512, NEIGHBOURS = 64;
/** Ranks of neighbours over which the growth of distances is fitted; on a lattice the first ones are ties. */
const FITTED = [4, 16] as const;
/** Items around which picks are made, and picks for each. */
const HELD_OUT = 128, PICKS = 2;
/** What counts as a neighbour there, and how many picks have to be one. */
const TRUE_NEIGHBOURS = 8, NEIGHBOURLY = 0.95;
/** How far below the largest one a bandwidth is looked for, and by how many halvings of the logarithm: to 4 per cent. */
const RANGE = 256, HALVINGS = 7;
/** Steps per gap at which a finite step no longer smooths by itself. */
const STEPS_PER_GAP = 20;

const OPTIONS = {
  ...DATA_OPTIONS,
  start: 0,
  signal: undefined,
} satisfies OptionTable<SmoothingDefaultsOptions>;

/**
 * Bandwidth and steps for {@linkcode smoothed}, from distances between neighbours.
 *
 * ```text
 * β = r_k / √(2π),   k = m(m+1),   r_k the median distance to the k-th neighbour, r_k ~ k^{1/m},
 *     or less, so that 95 % of the picks NN(xᵢ + βε), xᵢ itself left out, are among the 8 nearest items of xᵢ
 * S = max(50, 20/gap) from noise, max(16, 20(1−T)/gap) from a late start T
 * ```
 *
 * More than a grid can have are not given, which is said in one line: data that small are better scaled to about 1.
 *
 * Two points at a distance `r` merge at `β = r/√(2π)`. On evenly spread data that distance is the gap
 * to the nearest neighbour; on random data the gap is much smaller than the space between
 * neighbouring points, and a bandwidth made from it memorises. So the distance is that to
 * the neighbours that surround a point, of which a lattice of dimension `m` has about `m(m+1)` (2, 6, 12),
 * and `m` comes from how fast distances grow with the rank of the neighbour.
 *
 * In many dimensions two points are no model: hardly nearer than an item's neighbours lie thousands of others, and one of them
 * wins long before the neighbours merge. What a sample is the mean of are the picks of its draws, the items nearest to where a draw
 * moves it (see {@linkcode smoothed}); around an item that is left out of the data they have to be its neighbours. Of fewer
 * than 64 items an eighth are its neighbours, and at least 2.
 *
 * Copies of items, their order, and moving the data change nothing; scaling the data scales `β`. At most 512 items are
 * looked at, and 128 left out, all against all others: at most 9 searches for the nearest
 * items of 256 points.
 *
 * Reference: C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), arXiv:2310.12395, for the method; the rule is ours.
 *
 * @param source The data, at least 2 items that differ, or a denoiser that holds them.
 * @param options A late start; class and device; a signal that cancels.
 * @returns The bandwidth, the number of draws and of steps, and what they were derived from.
 * @throws {RangeError} If all items are the same, a number is not finite, or the start is not in [0, 1).
 * @throws {TypeError} If there is no such option.
 *
 * @example A ring of evenly spread points: the bandwidth is two fifths of the gap
 * ```ts
 * import { Dataset, smoothingDefaults } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const angle = (at: number) => 2 * Math.PI * Math.floor(at / 2) / 32;
 * const data = Float32Array.from({ length: 64 }, (_, at) => (at % 2 ? Math.sin : Math.cos)(angle(at)));
 * const ring = new Dataset({ data, shape: [2], name: "ring" });
 * const { bandwidth, gap } = await smoothingDefaults(ring, { device: "wasm" });
 * assert.ok(Math.abs(bandwidth / gap - 0.4) < 0.01);
 * ```
 */
export async function smoothingDefaults(
  source: DataSource,
  options: SmoothingDefaultsOptions = {},
): Promise<SmoothingDefaults> {
  const { start, ...held } = readOptions("choose a bandwidth", options, OPTIONS);
  const { dataset, device } = await heldData("choose a bandwidth", source, held);
  using stop = stopButton(options.signal);
  const { signal } = stop;
  if (!(start >= 0 && start < 1)) {
    throw new RangeError(
      `Cannot choose a bandwidth: start is ${start}, wanted a flow time in [0, 1)`,
    );
  }
  const items = distinctItems(dataset);
  if (items.count < 2) {
    throw new RangeError(
      `Cannot choose a bandwidth: ${dataset.summary()}, all the same, wanted at least 2 that differ`,
    );
  }
  const store = await device.store(items);
  try {
    return await chooseFrom(items, store, start, signal);
  } finally {
    store.dispose();
  }
}

async function chooseFrom(
  items: Dataset,
  store: DataStore,
  start: number,
  signal?: AbortSignal,
): Promise<SmoothingDefaults> {
  const looked = someOf(items.count);
  const around = await neighboursOf(items, store, looked, signal);
  const distances = medians(around, items.count);
  const gap = distances[0];
  const dimension = Math.min(growthDimension(distances), items.dimension, items.count - 1);
  const surrounding = Math.min(dimension * (dimension + 1), distances.length);
  const spacing = distances[surrounding - 1];
  const held = looked.slice(0, HELD_OUT);
  const share = picksAround(items, store, held, around, signal);
  const { bandwidth, neighbourly } = await largest(spacing / Math.sqrt(2 * Math.PI), share);
  return {
    bandwidth,
    draws: DRAWS,
    steps: smoothingSteps(gap, start),
    gap,
    spacing,
    dimension,
    neighbourly,
  };
}

/** The largest bandwidth up to `most` at which enough picks are neighbours. */
async function largest(
  most: number,
  shareAt: ShareOf,
): Promise<{ bandwidth: number; neighbourly: number }> {
  const share = await shareAt(most);
  if (share >= NEIGHBOURLY) return { bandwidth: most, neighbourly: share };
  let low = most / RANGE, high = most, neighbourly: number | undefined;
  for (let k = 0; k < HALVINGS; k++) {
    const middle = Math.sqrt(low * high), found = await shareAt(middle);
    if (found >= NEIGHBOURLY) [low, neighbourly] = [middle, found];
    else high = middle;
  }
  return { bandwidth: low, neighbourly: neighbourly ?? await shareAt(low) };
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
 * import { smoothingSteps } from "./smoothing_defaults.ts";
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
  if (steps > MOST_STEPS) {
    note(
      `items ${gap} apart would take ${steps} steps, and ${MOST_STEPS} are the most of a grid: scale the data to about 1`,
    );
    return MOST_STEPS;
  }
  return Math.max(start > 0 ? 16 : 50, steps);
}

/** Places of some items, drawn without replacement; all of them if there are few. */
function someOf(count: number): Uint32Array {
  const places = Uint32Array.from({ length: count }, (_, i) => i);
  const stream = new RandomStream({ seed: 0, purpose: "smoothing" });
  const looked = Math.min(LOOKED_AT, count);
  for (let i = 0; i < looked; i++) {
    const j = i + Math.floor(stream.uniform() * (count - i));
    [places[i], places[j]] = [places[j], places[i]];
  }
  return places.slice(0, looked);
}

/** The distances of each place's item to the others, the nearest first. */
async function neighboursOf(
  items: Dataset,
  store: DataStore,
  places: Uint32Array,
  signal?: AbortSignal,
): Promise<Float64Array[]> {
  const k = Math.min(items.count, NEIGHBOURS + 1);
  const rows = new Float32Array(places.length * items.dimension);
  places.forEach((place, i) => rows.set(items.values(place), i * items.dimension));
  const { indices, distances } = await store.nearest(rows, k, { signal });
  return Array.from(places, (place, i) => {
    const found = indices.subarray(i * k, (i + 1) * k);
    return distances.subarray(i * k, (i + 1) * k).filter((_, at) => found[at] !== place);
  });
}

/** The median distance to the first, second, … other item. */
function medians(around: readonly Float64Array[], count: number): Float64Array {
  // A small set must not call its far side a neighbourhood.
  const ranks = Math.max(1, Math.min(NEIGHBOURS, Math.floor((count - 1) / 2)));
  return Float64Array.from({ length: ranks }, (_, rank) => medianOf(around.map((d) => d[rank])));
}

/** The share of picks at a bandwidth that are neighbours of the item that they are made around. */
type ShareOf = (beta: number) => Promise<number>;

/**
 * Picks around some items: of the others, the item nearest to `x + βε`. It is a neighbour if it is among those nearest to `x`. The
 * draws `ε` are the same at every bandwidth.
 */
function picksAround(
  items: Dataset,
  store: DataStore,
  places: Uint32Array,
  around: readonly Float64Array[],
  signal?: AbortSignal,
): ShareOf {
  const { dimension: d, count } = items, picks = PICKS * places.length;
  const K = Math.min(count - 1, Math.max(2, Math.min(TRUE_NEIGHBOURS, Math.floor(count / 8))));
  const centres = new Float32Array(picks * d), draws = new Float32Array(picks * d);
  for (let i = 0; i < picks; i++) {
    const stream = new RandomStream({ seed: 0, sample: i, purpose: "smoothing", step: 1 });
    centres.set(items.values(places[i % places.length]), i * d);
    for (let c = 0; c < d; c++) draws[i * d + c] = stream.normal();
  }
  return async (beta) => {
    const moved = centres.map((v, at) => v + beta * draws[at]);
    const { indices } = await store.nearest(moved, 2, { signal });
    let neighbours = 0;
    for (let i = 0; i < picks; i++) {
      const place = places[i % places.length];
      const picked = indices[2 * i] === place ? indices[2 * i + 1] : indices[2 * i];
      // As far as float32 tells: on a lattice many are the K-th.
      const most = around[i % places.length][K - 1] * (1 + 2 ** -20);
      if (distanceOf(items, place, picked) <= most) neighbours++;
    }
    return neighbours / picks;
  };
}

function distanceOf(items: Dataset, i: number, j: number): number {
  const a = items.values(i), b = items.values(j);
  return Math.sqrt(a.reduce((sum, v, c) => sum + (v - b[c]) ** 2, 0));
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
