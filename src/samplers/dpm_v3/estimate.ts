/**
 * Estimates the tables of DPM-Solver-v3 of a denoiser from noised data, and keeps them on disk.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../_options.ts";
import { sizeOf } from "../../_shape.ts";
import { cacheFolder } from "../../_cache_folder.ts";
import {
  cacheFileIn,
  cacheKey,
  makeCacheFolder,
  readCacheFile,
  writeCacheFile,
} from "../../_cache_file.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { Draws, Probe } from "./probe.ts";
import { levelsOf } from "./statistics.ts";
import type { DpmV3Statistics, TableRange } from "./statistics.ts";
import { stopButton } from "../../stop_button.ts";

/** Options of {@linkcode dpmV3Statistics}. */
export interface DpmV3StatisticsOptions extends TableRange {
  /** The number of noised items at each level. Default 64; the paper takes 1024 and 4096. */
  readonly samples?: number;
  /** Seed of items and noise. Default 0. */
  readonly seed?: number;
  /** Samples per call of the denoiser. Default 64. */
  readonly batchSize?: number;
  /**
   * Where tables are kept: a folder, or false for none. One that cannot be written, or may not be, is done without.
   * Default true: the folder that the variable `CLOSEDFORM_CACHE` names, if not `none`, or the user's folder of caches.
   */
  readonly cache?: string | boolean;
  /** Cancels the computation. */
  readonly signal?: AbortSignal;
  /** Called now and then with the levels that are done and all levels. */
  readonly onProgress?: (done: number, total: number) => void;
}

const MAGIC = "CFDPMV31";
/** Variances of `f` below this share of that of the output are rounding and sampling noise: nothing to regress on. */
const DEGENERATE = 1e-6;

const OPTIONS = {
  sigmaMax: 80,
  sigmaMin: 0.002,
  intervals: 120,
  samples: 64,
  seed: 0,
  batchSize: 64,
  cache: true,
  signal: undefined,
  onProgress: undefined,
} satisfies OptionTable<DpmV3StatisticsOptions>;

/**
 * The tables that {@linkcode dpmV3} needs, estimated from data noised to each level, `x = x₀ + σz`.
 *
 * ```text
 * l = 1 − mean[v ∘ (∂D/∂x) v],   v = ±1 at random
 * f = (1 − l)∘x − D,   f' = −l'∘x + (1 − l)∘(D − x) − D'     along the flow
 * s = Cov(f, f')/Var(f),   b = mean f' − s mean f            per coordinate
 * ```
 *
 * `(∂D/∂x) v` and the derivative `D'` of the output along the flow are central differences, so that any
 * denoiser will do. Items, noise and signs are the same at all levels, so that `l` needs no smoothing before its
 * derivative `l'` is taken. It takes `5 · samples` evaluations per level.
 *
 * Reference: K. Zheng, C. Lu, J. Chen, J. Zhu (2023), arXiv:2310.13268, which regresses `ε = (x − D)/σ`: the same numbers.
 *
 * @param denoiser The denoiser.
 * @param dataset The data that it belongs to.
 * @param options Noise levels, samples, cache.
 * @returns The tables.
 * @throws {RangeError} If a number is out of range.
 * @throws {TypeError} If the data do not fit the denoiser.
 *
 * @example
 * ```ts
 * import { dpmV3, dpmV3Statistics, karrasGrid, moons, optimalFloat64, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = moons(100);
 * const denoiser = optimalFloat64(set);
 * const statistics = await dpmV3Statistics(denoiser, set, { intervals: 20, samples: 16, cache: false });
 * const { evaluations } = await sample(denoiser, { sampler: dpmV3({ statistics }), grid: karrasGrid(8) });
 * assert.equal(evaluations, 8);
 * ```
 */
export async function dpmV3Statistics<X>(
  denoiser: Denoiser<X>,
  dataset: Dataset,
  options: DpmV3StatisticsOptions = {},
): Promise<DpmV3Statistics> {
  const settings = readOptions("estimate the statistics", options, OPTIONS);
  const { sigmaMax, sigmaMin, intervals, samples, seed, batchSize } = settings;
  const whole = { intervals, samples, batchSize };
  for (const [name, value] of Object.entries(whole)) {
    if (!Number.isInteger(value) || value < (name === "samples" ? 2 : 1)) {
      throw new RangeError(
        `Cannot estimate the statistics: ${name} is ${value}, wanted a whole number >= ${
          name === "samples" ? 2 : 1
        }`,
      );
    }
  }
  if (!(sigmaMin > 0 && sigmaMin < sigmaMax && sigmaMax < Infinity)) {
    throw new RangeError(
      `Cannot estimate the statistics: sigmaMin is ${sigmaMin} and sigmaMax ${sigmaMax}, wanted 0 < sigmaMin < sigmaMax`,
    );
  }
  if (dataset.dimension !== sizeOf(denoiser.shape)) {
    throw new TypeError(
      `Cannot estimate the statistics: received data of ${dataset.dimension} numbers per item, ` +
        `wanted the shape [${denoiser.shape}] of ${denoiser.label}`,
    );
  }
  const range = { sigmaMax, sigmaMin, intervals };
  const draws = new Draws(dataset, samples, seed);
  using stop = stopButton(options.signal);
  const probe = new Probe(denoiser, draws, batchSize, stop.signal);
  const folder = await cacheFolder("estimate the statistics", options.cache);
  if (folder === undefined) return await estimate(probe, range, options.onProgress);
  const key = await keyOf(probe, range, samples, seed);
  const file = cacheFileIn(folder, key, "statistics");
  const kept = await readCacheFile(file, MAGIC, key);
  const known = kept && decode(kept, range, dataset.dimension);
  if (known) return known;
  const statistics = await estimate(probe, range, options.onProgress);
  await makeCacheFolder(folder);
  await writeCacheFile(
    file,
    MAGIC,
    key,
    [statistics.l, statistics.s, statistics.b].map((table) => new Uint8Array(table.buffer)),
  );
  return statistics;
}

/** The tables of a payload; nothing if it holds none of this size, or no numbers. */
function decode(
  payload: Uint8Array,
  range: Required<TableRange>,
  dimension: number,
): DpmV3Statistics | undefined {
  const size = levelsOf(range).length * dimension;
  if (payload.byteLength !== 3 * size * Float64Array.BYTES_PER_ELEMENT) return undefined;
  const numbers = new Float64Array(payload.slice().buffer);
  if (!numbers.every(Number.isFinite)) return undefined;
  const [l, s, b] = [0, 1, 2].map((k) => numbers.slice(k * size, (k + 1) * size));
  return { ...range, l, s, b };
}

/** What the tables depend on. The denoiser is told by its name and by what it answers at three levels. */
async function keyOf<X>(
  probe: Probe<X>,
  range: Required<TableRange>,
  samples: number,
  seed: number,
): Promise<Uint8Array> {
  const { sigmaMax, sigmaMin } = range;
  const answers = [];
  for (const sigma of [sigmaMax, Math.sqrt(sigmaMax * sigmaMin), sigmaMin]) {
    answers.push(await probe.outputs(sigma));
  }
  const meaning = JSON.stringify([range, samples, seed, probe.denoiser.label]);
  const parts = answers.flatMap(({ x, denoised }) => [x, denoised]);
  return await cacheKey(meaning, ...parts.map((part) => new Uint8Array(part.buffer)));
}

/** Sums over samples, per coordinate. */
type Moments = Record<
  "count" | "x" | "D" | "R" | "J" | "xx" | "xD" | "xR" | "DD" | "DR",
  Float64Array
>;

async function estimate<X>(
  probe: Probe<X>,
  range: Required<TableRange>,
  onProgress?: (done: number, total: number) => void,
): Promise<DpmV3Statistics> {
  const levels = levelsOf(range), d = probe.dimension;
  const moments: Moments[] = [];
  for (const sigma of levels) {
    moments.push(await momentsAt(probe, sigma));
    onProgress?.(moments.length, levels.length);
  }
  const l = new Float64Array(levels.length * d);
  moments.forEach(({ J }, j) => l.set(J.map((mean) => 1 - mean), j * d));
  const slope = slopeOf(l, d, Math.log(range.sigmaMax / range.sigmaMin) / range.intervals);
  const s = new Float64Array(l.length), b = new Float64Array(l.length);
  moments.forEach((m, j) => {
    for (let c = 0; c < d; c++) {
      [s[j * d + c], b[j * d + c]] = regress(m, c, l[j * d + c], slope[j * d + c]);
    }
  });
  return { ...range, l, s, b };
}

/** Means and central second moments at a level. */
async function momentsAt<X>(probe: Probe<X>, sigma: number): Promise<Moments> {
  const d = probe.dimension;
  const names = ["count", "x", "D", "R", "J", "xx", "xD", "xR", "DD", "DR"] as const;
  const m = Object.fromEntries(names.map((name) => [name, new Float64Array(d)])) as Moments;
  for await (const { x, denoised, jacobian, rate } of probe.responses(sigma)) {
    // Welford's updates: differences from the mean so far, so that x ≈ σz cancels nothing.
    for (let k = 0; k < x.length; k++) {
      const c = k % d;
      const n = ++m.count[c];
      const dx = x[k] - m.x[c], dD = denoised[k] - m.D[c], dR = rate[k] - m.R[c];
      m.x[c] += dx / n;
      m.D[c] += dD / n;
      m.R[c] += dR / n;
      m.J[c] += (jacobian[k] - m.J[c]) / n;
      const share = (n - 1) / n;
      m.xx[c] += share * dx * dx;
      m.xD[c] += share * dx * dD;
      m.xR[c] += share * dx * dR;
      m.DD[c] += share * dD * dD;
      m.DR[c] += share * dD * dR;
    }
  }
  return m;
}

/** `s` and `b` of a coordinate: the regression of `f' = px + qD − R` on `f = ux − D`. */
function regress(m: Moments, c: number, l: number, slope: number): [number, number] {
  const u = 1 - l, p = -slope - u, q = u;
  const variance = u * u * m.xx[c] - 2 * u * m.xD[c] + m.DD[c];
  const covariance = u * (p * m.xx[c] + q * m.xD[c] - m.xR[c]) -
    (p * m.xD[c] + q * m.DD[c] - m.DR[c]);
  const s = variance > DEGENERATE * m.DD[c] ? covariance / variance : 0;
  const f = u * m.x[c] - m.D[c], rate = p * m.x[c] + q * m.D[c] - m.R[c];
  return [s, rate - s * f];
}

/** Central differences from row to row, one-sided at the ends. */
function slopeOf(table: Float64Array, d: number, width: number): Float64Array {
  const rows = table.length / d;
  return table.map((_, at) => {
    const row = Math.floor(at / d), c = at % d;
    const [a, b] = [Math.max(row - 1, 0), Math.min(row + 1, rows - 1)];
    return (table[b * d + c] - table[a * d + c]) / ((b - a) * width);
  });
}
