/**
 * Calibrating windows: which sides make a local denoiser most like another one.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { WORK_OPTIONS } from "../../compute/work_options.ts";
import type { WorkOptions } from "../../compute/work_options.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import { startNoise } from "../../base/random.ts";
import type { Denoiser } from "../denoiser.ts";
import { patchTable } from "./patch_schedule.ts";
import type { PatchTable } from "./patch_schedule.ts";
import type { WindowDenoiser } from "./windowed.ts";
import { stopButton } from "../../base/stop_button.ts";

const ACTION = "calibrate windows";

/** Options of {@linkcode calibratePatches}. */
export interface CalibrationOptions extends WorkOptions {
  /**
   * How sides are chosen: by the cosine of scores along trajectories of the target, or by the squared error on noised images. Default
   * `"cosine"`.
   */
  readonly rule?: "cosine" | "error";
  /** The noise levels, rising and positive. Default: those of the published tables. */
  readonly sigmas?: readonly number[];
  /** The sides to choose from, odd and rising. Default 3, 5, … up to the larger side of the images, or twice that less 1 for `"error"`. */
  readonly patches?: readonly number[];
  /** Number of samples. Default 10. */
  readonly count?: number;
  /** The seed of their noise. Default 0. */
  readonly seed?: number;
  /** The images that are noised for `"error"`, the first `count` of them. They should not be among the data of the local denoiser. */
  readonly images?: Dataset;
}

/** Calibrated windows. */
export interface PatchCalibration extends PatchTable {
  /** At each noise level: the median of the samples' best cosines, or the mean squared error per coordinate at the side chosen. */
  readonly agreement: readonly number[];
  /** At each noise level the side that each sample chose, for `"cosine"`. */
  readonly choices?: readonly (readonly number[])[];
}

const OPTIONS = {
  ...WORK_OPTIONS,
  rule: "cosine",
  sigmas: undefined,
  patches: undefined,
  count: 10,
  seed: 0,
  images: undefined,
} satisfies OptionTable<CalibrationOptions>;

/**
 * Finds the sides of windows that make a local denoiser most like a target, by noise level. In one of two ways:
 *
 * - `cosine`, as published: walks down the target's own trajectories, `x' = (σ'/σ) x + (1 − σ'/σ) D`, from pure noise. At each level,
 *   each sample chooses the side whose score `(D − x)/σ²` has the largest cosine with the target's, the smaller of two; the
 *   median over the samples (the lower one) is the entry.
 * - `error`: at each level, from the lowest, takes the next larger side as long as the mean squared error on noised images
 *   does not rise. The error is that to the target, or, with `"clean"` as the target, to the images themselves. Sides do not fall with the noise level.
 *
 * The result is a table for the `patch` option of the local denoisers.
 *
 * Reference for `cosine`: M. Kamb, S. Ganguli (2024), arXiv:2412.20292, and its code.
 *
 * @param denoiser The local denoiser, or an equivariant one.
 * @param target What it should be like, on the same states; `"clean"` for the images themselves.
 * @param options The rule, noise levels, sides, samples, images.
 * @returns The table, and how well the two agree.
 * @throws {TypeError} If the shapes differ.
 * @throws {RangeError} If noise levels, sides or the number of samples are out of range, or images are missing.
 *
 * @example Finds the windows of a local denoiser by looking at what it does
 * ```ts
 * import { calibratePatches, local, shapes } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = shapes(30);
 * const target = await local(set, { device: "float64", windows: (sigma) => sigma > 1 ? 7 : 3 });
 * const options = { sigmas: [0.3, 3], patches: [3, 5, 7], count: 1 };
 * const { patches } = await calibratePatches(await local(set, { device: "float64" }), target, options);
 * assert.deepEqual(patches, [3, 7]);
 * ```
 */
export async function calibratePatches<X>(
  denoiser: WindowDenoiser<X>,
  target: Denoiser<X> | "clean",
  options: CalibrationOptions = {},
): Promise<PatchCalibration> {
  const settings = readOptions("calibrate patches", options, OPTIONS);
  const { rule, count, seed } = settings;
  const [height, width] = denoiser.shape;
  const side = Math.max(height, width);
  const largest = rule === "error" ? 2 * side - 1 : side;
  const {
    sigmas = patchTable("cifar-unet").sigmas.slice(1),
    patches = Array.from({ length: Math.floor((largest - 1) / 2) }, (_, k) => 2 * k + 3),
  } = settings;
  const shape = target === "clean" ? undefined : target.shape;
  check(denoiser.shape, shape, { ...options, rule, sigmas, patches, count });
  const work = { denoiser, target, sigmas, patches, count, noise: noiseOf(denoiser, count, seed) };
  using stop = stopButton(options.signal);
  const watched = { ...settings, signal: stop.signal };
  return rule === "error"
    ? await byError(work, options.images!, watched)
    : await byCosine({ ...work, target: target as Denoiser<X> }, watched);
}

/** What both rules work on. */
interface Work<X> {
  readonly denoiser: WindowDenoiser<X>;
  readonly target: Denoiser<X> | "clean";
  readonly sigmas: readonly number[];
  readonly patches: readonly number[];
  readonly count: number;
  readonly noise: Float64Array;
}

function noiseOf({ shape }: Denoiser<unknown>, count: number, seed: number): Float64Array {
  return startNoise(seed, 0, count, shape.reduce((a, b) => a * b));
}

function check(
  shape: readonly number[],
  targetShape: readonly number[] | undefined,
  { rule, sigmas, patches, count, images }:
    & CalibrationOptions
    & Required<Pick<CalibrationOptions, "rule" | "sigmas" | "patches" | "count">>,
): void {
  for (const other of [targetShape, images?.shape]) {
    if (other && String(other) !== String(shape)) {
      throw new TypeError(
        `Cannot ${ACTION}: shapes are [${shape}] and [${other}], wanted equal shapes`,
      );
    }
  }
  const rises = (values: readonly number[]) =>
    values.length > 0 && values.every((v, i) => v > (values[i - 1] ?? 0));
  if (!rises(sigmas) || !rises(patches)) {
    throw new RangeError(
      `Cannot ${ACTION}: noise levels are [${sigmas}] and sides [${patches}], wanted rising positive numbers`,
    );
  }
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`Cannot ${ACTION}: count is ${count}, wanted a whole number >= 1`);
  }
  if (rule === "cosine" && !targetShape) {
    throw new RangeError(`Cannot ${ACTION}: clean images have no score, wanted the rule "error"`);
  }
  if (rule === "error" && !(images && images.count >= count)) {
    throw new RangeError(
      `Cannot ${ACTION}: received ${images?.count ?? 0} images, wanted at least ${count}`,
    );
  }
}

/** The cosine of scores along the target's trajectories. */
async function byCosine<X>(
  { denoiser, target, sigmas, patches, count, noise }: Work<X> & { readonly target: Denoiser<X> },
  { signal, onProgress }: WorkOptions,
): Promise<PatchCalibration> {
  const { space, shape } = denoiser;
  const choices: number[][] = [], agreement: number[] = [];
  const top = sigmas.length - 1;
  let x = space.from(noise.map((e) => e * Math.hypot(1, sigmas[top])), [count, ...shape]);
  try {
    for (let level = top; level >= 0; level--) {
      const sigma = sigmas[level];
      const aim = (await target.denoise(x, sigma, { signal })).mean;
      try {
        const state = await space.values(x), wanted = scores(await space.values(aim), state);
        const cosines: number[][] = [];
        for (const [k, patch] of patches.entries()) {
          const values = await estimate(denoiser, x, sigma, patch, signal);
          cosines.push(rowCosines(scores(values, state), wanted, count));
          onProgress?.((top - level) * patches.length + k + 1, sigmas.length * patches.length);
        }
        const best = Array.from({ length: count }, (_, i) => {
          const row = cosines.map((each) => each[i]);
          return row.indexOf(Math.max(...row));
        });
        choices.unshift(best.map((k) => patches[k]));
        agreement.unshift(lowerMedian(best.map((k, i) => cosines[k][i])));
        if (level > 0) {
          const ratio = sigmas[level - 1] / sigma;
          const next = space.combine([ratio, 1 - ratio], [x, aim]);
          space.dispose(x);
          x = next;
        }
      } finally {
        space.dispose(aim);
      }
    }
  } finally {
    space.dispose(x);
  }
  return { sigmas, patches: choices.map(lowerMedian), agreement, choices };
}

/** The squared error on noised images. */
async function byError<X>(
  { denoiser, target, sigmas, patches, count, noise }: Work<X>,
  images: Dataset,
  { signal, onProgress }: WorkOptions,
): Promise<PatchCalibration> {
  const { space, shape } = denoiser;
  const clean = Float64Array.from({ length: noise.length });
  for (let i = 0; i < count; i++) clean.set(images.values(i), i * images.dimension);
  const chosen: number[] = [], agreement: number[] = [];
  let at = 0;
  for (const [level, sigma] of sigmas.entries()) {
    const x = space.from(clean.map((v, i) => v + sigma * noise[i]), [count, ...shape]);
    try {
      let wanted: ArrayLike<number> = clean;
      if (target !== "clean") {
        const aim = (await target.denoise(x, sigma, { signal })).mean;
        wanted = await space.values(aim);
        space.dispose(aim);
      }
      const errorAt = async (k: number) =>
        meanSquare(await estimate(denoiser, x, sigma, patches[k], signal), wanted);
      let error = await errorAt(at);
      while (at + 1 < patches.length) {
        const next = await errorAt(at + 1);
        if (next > error) break;
        at++;
        error = next;
      }
      chosen.push(patches[at]);
      agreement.push(error);
      onProgress?.(level + 1, sigmas.length);
    } finally {
      space.dispose(x);
    }
  }
  return { sigmas, patches: chosen, agreement };
}

/** The numbers of an estimate with windows of one side. */
async function estimate<X>(
  { space, perPixel }: WindowDenoiser<X>,
  x: X,
  sigma: number,
  patch: number,
  signal?: AbortSignal,
): Promise<ArrayLike<number>> {
  const { mean } = await perPixel(x, sigma, { patch, signal });
  try {
    return await space.values(mean);
  } finally {
    space.dispose(mean);
  }
}

/** `D − x`, the score but for the factor `1/σ²`. */
function scores(denoised: ArrayLike<number>, x: ArrayLike<number>): Float64Array {
  return Float64Array.from(denoised, (v, i) => v - x[i]);
}

/** The cosine of the angle between rows of two arrays. */
function rowCosines(a: Float64Array, b: Float64Array, rows: number): number[] {
  const width = a.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    let ab = 0, aa = 0, bb = 0;
    for (let i = row * width; i < (row + 1) * width; i++) {
      ab += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    return ab / Math.sqrt(aa * bb);
  });
}

function meanSquare(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

/** The median; of an even number of values, the lower of the two in the middle. */
function lowerMedian(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}
