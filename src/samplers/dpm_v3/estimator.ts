/**
 * Turns what a denoiser answers to noised data into tables, level by level.
 *
 * @module
 */
import type { Dataset } from "../../datasets/dataset.ts";
import type { Probe } from "./probe.ts";
import { lineThrough, meanOf, shrunk } from "./regression.ts";
import { levelsOf } from "./statistics.ts";
import type { DpmV3Facts, DpmV3Statistics, TableRange } from "./statistics.ts";

/** Variances of `f` below this share of that of the output are rounding and sampling noise: nothing to regress on. */
const DEGENERATE = 1e-6;
/**
 * The share of the variance of an output that draws must show: with less they miss the items that a coordinate varies by, and
 * all show it settling where those would show it growing.
 */
const REPRESENTATIVE = 0.1;
/**
 * The most that `s` may add up to between two levels. It stands in an exponential, `e⁸ ≈ 3,000`: a spread that grows or
 * falls by more than that is not one that a line through some draws describes.
 */
const MOST_GROWTH = 8;

/** What errors may take off an integral of `s` before a coordinate counts as uncertain: a factor of e in its weights. */
const UNCERTAIN = 1;

/** What is kept of a level until the next one is known, sample by sample. */
interface Level {
  readonly sigma: number;
  readonly denoised: Float32Array | Float64Array;
  readonly rate: Float32Array | Float64Array;
}

/** Makes tables of a denoiser. */
export class Estimator<X> {
  readonly #levels: Float64Array;
  readonly #width: number;
  readonly #l: Float64Array;
  readonly #s: Float64Array;
  /** The means of `f` and `f'`. */
  readonly #f: Float64Array;
  readonly #rate: Float64Array;
  /** The variances of the coordinates over all data. */
  readonly #variances: Float64Array;
  /** What errors took off `∫|s|` of each coordinate, and which coordinates were out of bounds. */
  readonly #taken: Float64Array;
  readonly #bounded: Uint8Array;

  constructor(readonly probe: Probe<X>, readonly range: Required<TableRange>) {
    this.#levels = levelsOf(range);
    this.#width = Math.log(range.sigmaMax / range.sigmaMin) / range.intervals;
    const room = () => new Float64Array(this.#levels.length * probe.dimension);
    [this.#l, this.#s, this.#f, this.#rate] = [room(), room(), room(), room()];
    this.#variances = variancesOf(probe.draws.dataset);
    this.#taken = new Float64Array(probe.dimension);
    this.#bounded = new Uint8Array(probe.dimension);
  }

  /** The tables. */
  async tables(onProgress?: (done: number, total: number) => void): Promise<DpmV3Statistics> {
    const rows = this.#levels.length;
    let before: Level | undefined;
    for (let j = 0; j < rows; j++) {
      const level = await this.#level(j);
      // The slope of l at a level takes l at the next one.
      if (before) this.#regress(j - 1, before);
      before = level;
      onProgress?.(j + 1, rows);
    }
    this.#regress(rows - 1, before!);
    this.#bound();
    const b = this.#rate.map((rate, at) => rate - this.#s[at] * this.#f[at]);
    return { ...this.range, l: this.#l, s: this.#s, b, facts: this.#facts() };
  }

  /** Asks the denoiser at a level, and fills in its row of `l`. */
  async #level(j: number): Promise<Level> {
    const { dimension: d, draws, denoiser } = this.probe, sigma = this.#levels[j];
    const denoised = denoiser.space.numbers(draws.count * d), rate = denoised.slice();
    const mean = new Float64Array(d), squares = new Float64Array(d);
    let row = 0;
    for await (const batch of this.probe.responses(sigma)) {
      denoised.set(batch.denoised, row * d);
      rate.set(batch.rate, row * d);
      for (let k = 0; k < batch.jacobian.length; k += d) {
        row++;
        for (let c = 0; c < d; c++) {
          const away = batch.jacobian[k + c] - mean[c];
          mean[c] += away / row;
          squares[c] += away * (batch.jacobian[k + c] - mean[c]);
        }
      }
    }
    for (let c = 0; c < d; c++) {
      const share = shrunk(meanOf(mean[c], squares[c], row));
      this.#l[j * d + c] = 1 - Math.min(Math.max(share, 0), 1);
    }
    return { sigma, denoised, rate };
  }

  /** `s` of a level, and the means that `b` is made of: the regression of `f'` on `f`. */
  #regress(j: number, { sigma, denoised, rate }: Level): void {
    const { dimension: d, draws } = this.probe, n = draws.count;
    const x = draws.noised(sigma, 0, n);
    const f = new Float64Array(n), change = new Float64Array(n);
    for (let c = 0; c < d; c++) {
      const at = j * d + c, share = 1 - this.#l[at], slope = this.#slope(j, c);
      for (let i = 0, k = c; i < n; i++, k += d) {
        f[i] = share * x[k] - denoised[k];
        change[i] = -slope * x[k] + share * (denoised[k] - x[k]) - rate[k];
      }
      const { mean, variance } = columnMoments(denoised, c, d);
      const rounding = this.probe.rateRounding * Math.hypot(mean, Math.sqrt(variance));
      const line = lineThrough(f, change, rounding, DEGENERATE * variance);
      [this.#f[at], this.#rate[at]] = [line.x, line.y];
      this.#s[at] = variance < this.#leastVariance(c, sigma) ? 0 : shrunk(line.slope);
      this.#taken[c] += this.#width * Math.abs(line.slope.value - this.#s[at]);
    }
  }

  /**
   * The variance that an output must have over the draws if they are to stand for the data: a share of `λ²/(λ+σ²)`, that of
   * the best linear estimate, which a posterior mean never falls short of.
   */
  #leastVariance(c: number, sigma: number): number {
    const variance = this.#variances[c];
    return variance > 0 ? REPRESENTATIVE * variance ** 2 / (variance + sigma * sigma) : 0;
  }

  /** `l'`: central differences from row to row, one-sided at the ends. */
  #slope(j: number, c: number): number {
    const d = this.probe.dimension;
    const [a, b] = [Math.max(j - 1, 0), Math.min(j + 1, this.#levels.length - 1)];
    return (this.#l[b * d + c] - this.#l[a * d + c]) / ((b - a) * this.#width);
  }

  /** Gives up `s` of coordinates in which it adds up to too much. */
  #bound(): void {
    const d = this.probe.dimension;
    for (let c = 0; c < d; c++) {
      let integral = 0, least = 0, most = 0;
      for (let at = c + d; at < this.#s.length; at += d) {
        integral += this.#width * (this.#s[at - d] + this.#s[at]) / 2;
        least = Math.min(least, integral);
        most = Math.max(most, integral);
      }
      if (most - least <= MOST_GROWTH) continue;
      this.#bounded[c] = 1;
      for (let at = c; at < this.#s.length; at += d) this.#s[at] = 0;
    }
  }

  #facts(): DpmV3Facts {
    const d = this.probe.dimension;
    const always = (table: Float64Array, value: number) =>
      Array.from({ length: d }, (_, c) => c).filter((c) => {
        for (let at = c; at < table.length; at += d) if (table[at] !== value) return false;
        return true;
      }).length;
    return {
      coordinates: d,
      withoutL: always(this.#l, 1),
      withoutS: always(this.#s, 0),
      uncertain: this.#taken.reduce((sum, taken) => sum + Number(taken > UNCERTAIN), 0),
      bounded: this.#bounded.reduce((sum, mark) => sum + mark, 0),
    };
  }
}

/** Mean and variance of a column of rows of `d` numbers. */
function columnMoments(rows: Float32Array | Float64Array, c: number, d: number) {
  const n = rows.length / d;
  let mean = 0, variance = 0;
  for (let k = c; k < rows.length; k += d) mean += rows[k] / n;
  for (let k = c; k < rows.length; k += d) variance += (rows[k] - mean) ** 2 / n;
  return { mean, variance };
}

/** The variance of each coordinate over all items. */
function variancesOf(dataset: Dataset): Float64Array {
  const mean = dataset.mean(), sum = new Float64Array(mean.length);
  for (let i = 0; i < dataset.count; i++) {
    dataset.values(i).forEach((v, c) => sum[c] += (v - mean[c]) ** 2);
  }
  return sum.map((v) => v / dataset.count);
}
