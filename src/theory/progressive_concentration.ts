/**
 * Posterior progressive concentration: fewer and fewer items weigh as the noise falls.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import type { PointSet } from "../compute/posterior.ts";
import { medianOf } from "../base/_quantile.ts";
import { checkRows } from "../metrics/_rows.ts";
import { shapes } from "../datasets/shapes.ts";
import { ddpmGrid } from "../base/noise.ts";
import { startNoise } from "../base/random.ts";
import { logSumExp, posteriorLogits } from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";
import { subsetSizes } from "./sufficient_subset.ts";

/** How far the posterior is spread at one noise level, medians over the queries. */
export interface Concentration {
  /** The noise level `σ`, in data units. */
  readonly sigma: number;
  /** The signal-to-noise ratio `1/σ²`. */
  readonly snr: number;
  /** The effective sample size `n_eff = 1/Σw²`. */
  readonly effectiveSampleSize: number;
  /** The number of items that equal weights of the same entropy would need, `n_H = exp(−Σ w log w)`. */
  readonly entropySize: number;
  /** The items needed by the exact discarded mass, {@linkcode subsetSizes}. */
  readonly exact: number;
  /** The items needed by the bound with the largest unseen logit. */
  readonly largest: number;
  /** The items needed by the published gap bound. */
  readonly gap: number;
}

/** Options of {@linkcode concentration}. */
export interface ConcentrationOptions {
  /** The posterior mass that may be left out, in (0, 1). Default 1e-3. */
  readonly mass?: number;
  /** Seed of the noise. Default 0. */
  readonly seed?: number;
}

const OPTIONS = { mass: 1e-3, seed: 0 } satisfies OptionTable<ConcentrationOptions>;

/**
 * How many items weigh, and how many are needed, against the noise level.
 * Query `j` is `cⱼ + σεⱼ` with one fixed noise `εⱼ` at all levels.
 *
 * The mean posterior entropy can only fall with σ: a noisier `x` is made from a
 * less noisy one by adding noise, which loses information on the item. Its rate
 * is known, see {@linkcode entropyRate}.
 *
 * @param points The data, `N` rows of `d` numbers.
 * @param clean Clean points `cⱼ`, rows of `d` numbers in data units.
 * @param sigmas Noise levels in data units, `[n]`.
 * @param options Mass and seed.
 * @returns One entry per noise level.
 * @throws {TypeError} If `clean` is no whole number of rows.
 * @throws {RangeError} If a noise level is not positive or the mass not in (0, 1).
 *
 * @example
 * ```ts
 * import { moons } from "@closedform/diffusion";
 * import { concentration } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const [noisy, clear] = concentration(moons(500), [0, 1, 1, 0], [10, 0.01]);
 * assert.ok(noisy.effectiveSampleSize > 450 && clear.effectiveSampleSize < 10);
 * ```
 */
export function concentration(
  points: PointSet,
  clean: ArrayLike<number>,
  sigmas: readonly number[],
  options: ConcentrationOptions = {},
): Concentration[] {
  const { mass, seed } = readOptions("measure concentration", options, OPTIONS);
  const { dimension } = points;
  const queries = checkRows(clean, dimension, "measure concentration");
  const noise = startNoise(seed, 0, queries, dimension);
  return sigmas.map((sigma) => {
    const found = Array.from({ length: queries }, (_, q) => {
      const query = Float64Array.from(
        { length: dimension },
        (_, c) => clean[q * dimension + c] + sigma * noise[q * dimension + c],
      );
      const logits = posteriorLogits(points, query, sigma);
      return { ...effectiveNumbers(logits), ...subsetSizes(logits, mass) };
    });
    const median = (name: keyof typeof found[0]) => medianOf(found.map((row) => row[name]));
    return {
      sigma,
      snr: 1 / (sigma * sigma),
      effectiveSampleSize: median("effectiveSampleSize"),
      entropySize: median("entropySize"),
      exact: median("exact"),
      largest: median("largest"),
      gap: median("gap"),
    };
  });
}

function effectiveNumbers(logits: Float64Array) {
  const total = logSumExp(logits);
  let squares = 0, entropy = 0;
  for (const logit of logits) {
    const weight = Math.exp(logit - total);
    if (weight === 0) continue;
    squares += weight * weight;
    entropy -= weight * (logit - total);
  }
  return { effectiveSampleSize: 1 / squares, entropySize: Math.exp(entropy) };
}

/**
 * The posterior concentrates: along the DDPM grid, from much noise to little, the
 * medians of the effective numbers and of the items needed never rise.
 *
 * @returns The largest ratio of a median to the one at the next higher noise level, on 400 images of shapes and 16 others as queries; and 1 and a rounding error.
 */
export function progressiveConcentration(): Report {
  const points = shapes(400, { size: 8 }), heldOut = shapes(16, { size: 8, seed: 99 });
  const clean = Array.from({ length: 16 }, (_, q) => [...heldOut.values(q)]).flat();
  const levels = concentration(points, clean, ddpmGrid(20).sigmas.slice(0, -1), { seed: 17 });
  let worst = 0;
  levels.slice(1).forEach((level, i) => {
    for (const name of ["effectiveSampleSize", "entropySize", "exact", "largest", "gap"] as const) {
      worst = Math.max(worst, level[name] / levels[i][name]);
    }
  });
  return report(
    "n_eff, n_H and k needed do not rise as SNR grows (ratio of medians)",
    worst,
    1 + 1e-9,
  );
}

/**
 * The rate of the concentration: the mean posterior entropy falls with the
 * signal-to-noise ratio at half the mean squared error of the denoiser.
 *
 * ```text
 * d E[H]/d(1/σ²) = −E‖x₀ − D(x, σ)‖²/2
 * ```
 *
 * As `H = log N − I(x₀; x)`, it is the I-MMSE relation; so the number of items that
 * weigh, `exp(H)`, falls fastest where the denoiser is least sure.
 *
 * Reference: D. Guo, S. Shamai, S. Verdú (2005), Mutual information and minimum mean-square error in
 * Gaussian channels, doi:10.1109/TIT.2005.844072.
 *
 * @returns The largest difference of both sides, relative to the right one, for six items on a line at five noise levels, all integrals by quadrature; and the error of the difference quotient.
 */
export function entropyRate(): Report {
  const items = [-2, -1.6, -0.3, 0.5, 0.6, 1.9];
  let worst = 0;
  for (const sigma of [0.1, 0.3, 0.8, 2, 6]) {
    const snr = 1 / (sigma * sigma), step = 1e-3 * snr;
    const entropy = (s: number) => expectation(items, 1 / Math.sqrt(s)).entropy;
    const rate = (entropy(snr + step) - entropy(snr - step)) / (2 * step);
    const half = expectation(items, sigma).error / 2;
    worst = Math.max(worst, Math.abs(rate + half) / half);
  }
  // The quotient is off by (step²/6) times a third derivative, 1e-6/6 times a number of size 1 to 10.
  return report("d E[entropy]/d(1/σ²) = −E‖x₀ − D‖²/2 (relative difference)", worst, 1e-5);
}

/** The mean posterior entropy and the mean squared error of items on a line, by the trapezoidal rule. */
function expectation(items: readonly number[], sigma: number): { entropy: number; error: number } {
  let entropy = 0, error = 0;
  const [lo, hi] = [Math.min(...items) - 9 * sigma, Math.max(...items) + 9 * sigma];
  const points = Math.ceil((hi - lo) / (sigma / 12));
  for (let j = 0; j <= points; j++) {
    const x = lo + j / points * (hi - lo);
    const logits = items.map((item) => -((x - item) ** 2) / (2 * sigma * sigma));
    const total = logSumExp(logits);
    const weights = logits.map((logit) => Math.exp(logit - total));
    const mean = weights.reduce((sum, w, i) => sum + w * items[i], 0);
    // The density of x is exp(total)/N√2πσ.
    const density = Math.exp(total) / (items.length * Math.sqrt(2 * Math.PI) * sigma);
    weights.forEach((w, i) => {
      entropy -= density * w * (logits[i] - total);
      error += density * w * (items[i] - mean) ** 2;
    });
  }
  const width = (hi - lo) / points;
  return { entropy: entropy * width, error: error * width };
}
