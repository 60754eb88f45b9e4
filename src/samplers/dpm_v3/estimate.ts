/**
 * Estimates the tables of DPM-Solver-v3 of a denoiser from noised data, and keeps them on disk.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { sizeOf } from "../../base/_shape.ts";
import { cacheFolder } from "../../base/_cache_folder.ts";
import { cacheKey, throughCache } from "../../base/_cache_file.ts";
import type { CacheFormat } from "../../base/_cache_file.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { Estimator } from "./estimator.ts";
import { Draws, Probe } from "./probe.ts";
import { levelsOf } from "./statistics.ts";
import type { DpmV3Facts, DpmV3Statistics, TableRange } from "./statistics.ts";
import { stopButton } from "../../base/stop_button.ts";

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

const MAGIC = "CFDPMV32";

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
 * `l` and `s` stand in exponentials, so that what is not known of them does harm: of a coordinate that varies in a few items
 * only, `s` would be rounding, or tell of the one item that was drawn. So of an estimate `v`, which is `1 − l` or `s`, that share is
 * taken which exceeds its sampling error:
 *
 * ```text
 * v · max(0, 1 − (error/v)²)
 * error of 1 − l:  t √(Var/(n−1))                                   n draws, Var of v ∘ (∂D/∂x) v
 * error of s:      t √((n−1)/n Σᵢ (s − s₍ᵢ₎)²) + ρ/√Var(f)          s₍ᵢ₎ without draw i: the jackknife
 * ρ = 4ε rms(D)/(√2 h)                                              the rounding of f', a difference over 2h
 * ```
 *
 * with the limit `t` of Student's distribution that is exceeded once in twenty times. Its degrees of freedom are `n − 1` for a mean,
 * and `(Σg²)²/Σg⁴ − 1`, `g = f − mean f`, for `s`: a slope rests on the draws that stand out. `h` is 0.05 in float32, 0.001
 * in float64. `s` is 0, too, where the draws show less than a tenth of `λ²/(λ+σ²)` for the variance of an output, `λ` that
 * of the coordinate in the data: they then miss the items that it varies by. `1 − l` of a posterior mean is its squared error over
 * `σ²`, from 0 to 1, and is kept there. `b` stands in no exponential and keeps its error, that of a mean. An `s` whose integral
 * between two levels still exceeds 8 is dropped. How many coordinates that all concerns is in `facts`.
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
 * import { dpmV3, dpmV3Statistics, karrasGrid, moons, optimal, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = moons(100);
 * const denoiser = await optimal(set, { device: "float64" });
 * const statistics = await dpmV3Statistics(denoiser, set, { intervals: 20, samples: 16, cache: false });
 * const { evaluations } = await sample(denoiser, { sampler: dpmV3({ statistics }), grid: karrasGrid(8), output: "tensor" });
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
  const estimate = () => new Estimator(probe, range).tables(options.onProgress);
  const folder = await cacheFolder("estimate the statistics", options.cache);
  if (folder === undefined) return await estimate();
  const key = await keyOf(probe, range, samples, seed);
  const format: CacheFormat<DpmV3Statistics> = {
    magic: MAGIC,
    suffix: "statistics",
    decode: (payload) => decode(payload, range, dataset.dimension),
    encode,
  };
  return await throughCache(folder, key, format, estimate);
}

/** The facts that tables are kept with, in this order. */
const FACTS = ["coordinates", "withoutL", "withoutS", "uncertain", "bounded"] as const;

function encode({ l, s, b, facts }: DpmV3Statistics): Uint8Array[] {
  const counts = Float64Array.from(FACTS, (name) => facts![name]);
  return [l, s, b, counts].map((table) => new Uint8Array(table.buffer));
}

/** The tables of a payload; nothing if it holds none of this size, or no numbers. */
function decode(
  payload: Uint8Array,
  range: Required<TableRange>,
  dimension: number,
): DpmV3Statistics | undefined {
  const size = levelsOf(range).length * dimension;
  const length = 3 * size + FACTS.length;
  if (payload.byteLength !== length * Float64Array.BYTES_PER_ELEMENT) return undefined;
  const numbers = new Float64Array(payload.slice().buffer);
  if (!numbers.every(Number.isFinite)) return undefined;
  const [l, s, b] = [0, 1, 2].map((k) => numbers.slice(k * size, (k + 1) * size));
  const counts = numbers.slice(3 * size);
  const facts = Object.fromEntries(FACTS.map((name, k) => [name, counts[k]]));
  return { ...range, l, s, b, facts: facts as unknown as DpmV3Facts };
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
