/**
 * Seeded point sets in the plane whose moments have closed forms. Item `i`
 * depends on the seed and on `i` only, so a longer set begins with the shorter one.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import { roomFor } from "../base/_memory.ts";
import { atOnce, type Interruptible, rowsPerPart } from "../base/_turns.ts";
import { RandomStream } from "../base/random.ts";
import { Dataset } from "./dataset.ts";

/** Options of every generated point set. */
export interface GeneratorOptions {
  /** The seed, a whole number ≥ 0. Default 0. */
  readonly seed?: number;
  /** Standard deviation of the Gaussian noise added to each coordinate, ≥ 0. The default is the set's own. */
  readonly noise?: number;
}

/** Options of {@linkcode checkerboard}. */
export interface CheckerboardOptions {
  /** The seed, a whole number ≥ 0. Default 0. */
  readonly seed?: number;
  /** Squares along one side, a whole number ≥ 1. Default 4. */
  readonly cells?: number;
}

/** Options of {@linkcode spirals}. */
export interface SpiralsOptions extends GeneratorOptions {
  /** Number of arms, which are the classes. Default 2. */
  readonly arms?: number;
  /** Turns of each arm from the centre to its end. Default 1.5. */
  readonly turns?: number;
}

/** A Gaussian mixture; by default eight round components on a circle. */
export interface MixtureOptions {
  /** The seed, a whole number ≥ 0. Default 0. */
  readonly seed?: number;
  /** One mean per component, each of length `d`. Default: eight on the circle of radius 0.8. */
  readonly means?: readonly (readonly number[])[];
  /** One weight ≥ 0 per component, of any positive sum. Default: equal. */
  readonly weights?: readonly number[];
  /** One per component: a variance, or a `d × d` positive definite matrix by rows. Default 0.0025. */
  readonly covariances?: readonly (
    | number
    | readonly (readonly number[])[]
  )[];
}

const MOONS_OPTIONS = { seed: 0, noise: 0.05 } satisfies OptionTable<GeneratorOptions>;

/**
 * Two interleaved half circles, one per class, item `i` in class `i mod 2`.
 *
 * ```text
 * x = ± ⅔ (cos θ − ½, sin θ − ¼) + noise · ε,   θ uniform in [0, π)
 * ```
 *
 * The set is symmetric about the origin, and within `[-1, 1]` but for the noise.
 *
 * @param n Number of points.
 * @param options Seed and noise; noise is 0.05 by default.
 * @returns `n` points in the plane, with labels.
 * @throws {RangeError} If `n` or an option is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { moons } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = moons(1000, { seed: 1 });
 * assert.equal(set.summary(), "moons: 1,000 items of 2 floats in 2 classes");
 * assert.deepEqual(set.values(5), moons(6, { seed: 1 }).values(5));
 * ```
 */
export function moons(n: number, options: GeneratorOptions = {}): Dataset {
  return atOnce(moonsInParts(n, options));
}

/** The work of {@linkcode moons}, which may be interrupted. */
export function* moonsInParts(
  n: number,
  options: GeneratorOptions = {},
): Interruptible<Dataset> {
  const { seed, noise } = readOptions("generate moons", options, MOONS_OPTIONS);
  checkNoise("moons", noise);
  return yield* planar("moons", n, seed, ["upper", "lower"], (i, random) => {
    const angle = Math.PI * random.uniform();
    const side = i % 2 === 0 ? 2 / 3 : -2 / 3;
    return [
      side * (Math.cos(angle) - 0.5) + noise * random.normal(),
      side * (Math.sin(angle) - 0.25) + noise * random.normal(),
    ];
  });
}

const CIRCLE_OPTIONS = { seed: 0, noise: 0 } satisfies OptionTable<
  GeneratorOptions
>;

/**
 * Points on the unit circle: `x = (cos θ, sin θ) + noise · ε`, `θ` uniform.
 *
 * @param n Number of points.
 * @param options Seed and noise; noise is 0 by default.
 * @returns `n` points in the plane.
 * @throws {RangeError} If `n` or an option is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { circle } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const [x, y] = circle(1).values(0);
 * assert.ok(Math.abs(Math.hypot(x, y) - 1) < 1e-7);
 * ```
 */
export function circle(n: number, options: GeneratorOptions = {}): Dataset {
  return atOnce(circleInParts(n, options));
}

/** The work of {@linkcode circle}, which may be interrupted. */
export function* circleInParts(
  n: number,
  options: GeneratorOptions = {},
): Interruptible<Dataset> {
  const { seed, noise } = readOptions("generate circle", options, CIRCLE_OPTIONS);
  checkNoise("circle", noise);
  return yield* planar("circle", n, seed, undefined, (_, random) => {
    const angle = 2 * Math.PI * random.uniform();
    return [
      Math.cos(angle) + noise * random.normal(),
      Math.sin(angle) + noise * random.normal(),
    ];
  });
}

const CHECKERBOARD_OPTIONS = { seed: 0, cells: 4 } satisfies OptionTable<
  CheckerboardOptions
>;

/**
 * Points uniform on the dark squares of a board that fills `[-1, 1]²`; the
 * square at the corner `(-1, -1)` is dark.
 *
 * @param n Number of points.
 * @param options Seed and squares per side.
 * @returns `n` points in the plane.
 * @throws {RangeError} If `n` or an option is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { checkerboard } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const [x, y] = checkerboard(1).values(0).map((v) => Math.floor(2 * (v + 1)));
 * assert.equal((x + y) % 2, 0);
 * ```
 */
export function checkerboard(n: number, options: CheckerboardOptions = {}): Dataset {
  return atOnce(checkerboardInParts(n, options));
}

/** The work of {@linkcode checkerboard}, which may be interrupted. */
export function* checkerboardInParts(
  n: number,
  options: CheckerboardOptions = {},
): Interruptible<Dataset> {
  const { seed, cells } = readOptions("generate checkerboard", options, CHECKERBOARD_OPTIONS);
  checkWhole("generate checkerboard", "cells", cells, 1, 2 ** 16);
  const dark = Math.ceil(cells * cells / 2);
  return yield* planar("checkerboard", n, seed, undefined, (_, random) => {
    const square = 2 * random.below(dark);
    const row = Math.floor(square / cells);
    // With an even side, every second row starts on a light square.
    const column = square % cells + (cells % 2 === 0 ? row % 2 : 0);
    return [
      (column + random.uniform()) * 2 / cells - 1,
      (row + random.uniform()) * 2 / cells - 1,
    ];
  });
}

const SPIRALS_OPTIONS = { seed: 0, noise: 0.02, arms: 2, turns: 1.5 } satisfies OptionTable<
  SpiralsOptions
>;

/**
 * Archimedean spirals around the origin, one class per arm, item `i` in arm `i mod arms`.
 *
 * ```text
 * x = t (cos φ, sin φ) + noise · ε,   φ = 2π (turns · t + arm / arms),   t² uniform in [0, 1)
 * ```
 *
 * @param n Number of points.
 * @param options Seed, noise (0.02 by default), arms and turns.
 * @returns `n` points in the plane, with labels.
 * @throws {RangeError} If `n` or an option is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { spirals } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...spirals(6, { arms: 3 }).labels!], [0, 1, 2, 0, 1, 2]);
 * ```
 */
export function spirals(n: number, options: SpiralsOptions = {}): Dataset {
  return atOnce(spiralsInParts(n, options));
}

/** The work of {@linkcode spirals}, which may be interrupted. */
export function* spiralsInParts(
  n: number,
  options: SpiralsOptions = {},
): Interruptible<Dataset> {
  const { seed, noise, arms, turns } = readOptions("generate spirals", options, SPIRALS_OPTIONS);
  checkNoise("spirals", noise);
  checkWhole("generate spirals", "arms", arms, 1, 2 ** 24);
  if (!Number.isFinite(turns)) {
    throw new RangeError(
      `Cannot generate spirals: turns is ${turns}, wanted a finite number`,
    );
  }
  const names = Array.from({ length: arms }, (_, k) => `arm ${k}`);
  return yield* planar("spirals", n, seed, names, (i, random) => {
    const t = Math.sqrt(random.uniform());
    const angle = 2 * Math.PI * (turns * t + (i % arms) / arms);
    return [
      t * Math.cos(angle) + noise * random.normal(),
      t * Math.sin(angle) + noise * random.normal(),
    ];
  });
}

const MIXTURE_OPTIONS = {
  seed: 0,
  means: undefined,
  weights: undefined,
  covariances: undefined,
} satisfies OptionTable<MixtureOptions>;

/**
 * Independent draws from a Gaussian mixture, labelled by their component.
 *
 * ```text
 * k ~ weights,   x = meanₖ + Lₖ ε,   Lₖ Lₖᵀ = covarianceₖ
 * ```
 *
 * @param n Number of points.
 * @param options The mixture and the seed.
 * @returns `n` points of the means' dimension, with labels.
 * @throws {RangeError} If `n` or an option is out of range, or a covariance is not symmetric and positive definite.
 * @throws {TypeError} If means, weights and covariances do not fit together.
 *
 * @example Two points on a line, the second three times as heavy
 * ```ts
 * import { gaussianMixture } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = gaussianMixture(400, { means: [[-1], [1]], weights: [1, 3], covariances: [0.01, 0.01] });
 * assert.equal(set.classSubset(1).count, 292);
 * ```
 */
export function gaussianMixture(n: number, options: MixtureOptions = {}): Dataset {
  return atOnce(gaussianMixtureInParts(n, options));
}

/** The work of {@linkcode gaussianMixture}, which may be interrupted. */
export function* gaussianMixtureInParts(
  n: number,
  options: MixtureOptions = {},
): Interruptible<Dataset> {
  const { seed, means = ring(8, 0.8) } = readOptions(
    "generate gaussians",
    options,
    MIXTURE_OPTIONS,
  );
  const components = means.length;
  const dimension = means[0]?.length ?? 0;
  const weights = options.weights ?? means.map(() => 1);
  const covariances = options.covariances ?? means.map(() => 0.0025);
  checkMixture(means, weights, covariances);
  const factors = covariances.map((c) => cholesky(c, dimension));
  const total = weights.reduce((sum, w) => sum + w, 0);
  const data = items("gaussians", n, dimension);
  const labels = new Uint32Array(n);
  const noise = new Float64Array(dimension);
  for (let i = 0; i < n; i++) {
    if (i % SOME === 0) yield;
    const random = new RandomStream({ seed, sample: i, purpose: "data" });
    const k = labels[i] = pick(weights, total * random.uniform());
    for (let c = 0; c < dimension; c++) noise[c] = random.normal();
    for (let r = 0; r < dimension; r++) {
      let value = means[k][r];
      for (let c = 0; c <= r; c++) value += factors[k][r][c] * noise[c];
      data[i * dimension + r] = value;
    }
  }
  yield* checkFinite(data, "gaussians", "smaller means and covariances");
  const classNames = Array.from(
    { length: components },
    (_, k) => `component ${k}`,
  );
  return new Dataset({
    data,
    shape: [dimension],
    labels,
    classNames,
    name: "gaussians",
  });
}

/** Items between two places where the work may be interrupted. */
const SOME = 1024;

/** A planar set, item `i` drawn from its own stream and in class `i mod classes`. */
function* planar(
  name: string,
  n: number,
  seed: number,
  classNames: string[] | undefined,
  draw: (i: number, random: RandomStream) => [number, number],
): Interruptible<Dataset> {
  const data = items(name, n, 2);
  const labels = classNames && new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    if (i % SOME === 0) yield;
    data.set(
      draw(i, new RandomStream({ seed, sample: i, purpose: "data" })),
      2 * i,
    );
    if (labels) labels[i] = i % classNames.length;
  }
  yield* checkFinite(data, name, "less noise");
  return new Dataset({ data, shape: [2], name, labels, classNames });
}

/** Room for so many items. */
function items(name: string, n: number, dimension: number): Float32Array {
  const action = `generate ${name}`, length = n * dimension;
  checkWhole(action, "n", n, 1, 2 ** 30);
  return roomFor(action, `${n} items`, 4 * length, () => new Float32Array(length));
}

/** Data that float32 cannot hold are none. */
function* checkFinite(data: Float32Array, name: string, wanted: string): Interruptible<void> {
  const every = rowsPerPart(1);
  for (let at = 0; at < data.length; at += every) {
    if (!data.subarray(at, at + every).every(Number.isFinite)) {
      throw new RangeError(`Cannot generate ${name}: an item is beyond float32, wanted ${wanted}`);
    }
    yield;
  }
}

function checkNoise(name: string, noise: number): void {
  if (!(noise >= 0 && noise < Infinity)) {
    throw new RangeError(
      `Cannot generate ${name}: noise is ${noise}, wanted a finite number >= 0`,
    );
  }
}

function checkMixture(
  means: readonly (readonly number[])[],
  weights: readonly number[],
  covariances: readonly unknown[],
): void {
  const sizes = [means, weights, covariances].map((list) => list.length);
  if (sizes[0] === 0 || sizes.some((size) => size !== sizes[0])) {
    throw new TypeError(
      `Cannot generate gaussians: received ${sizes[0]} means, ${sizes[1]} weights and ${
        sizes[2]
      } covariances, wanted one of each per component`,
    );
  }
  const dimension = means[0].length;
  if (dimension === 0 || means.some((mean) => mean.length !== dimension)) {
    throw new TypeError(
      `Cannot generate gaussians: means have lengths ${
        means.map((mean) => mean.length).join(", ")
      }, wanted equal lengths >= 1`,
    );
  }
  if (!means.flat().every(Number.isFinite)) {
    throw new RangeError(
      "Cannot generate gaussians: a mean is not finite, wanted finite numbers",
    );
  }
  const total = weights.reduce((sum, w) => sum + w, 0);
  if (!(weights.every((w) => w >= 0) && total > 0 && total < Infinity)) {
    throw new RangeError(
      `Cannot generate gaussians: weights are [${weights}], wanted numbers >= 0 with a positive sum`,
    );
  }
}

/** The lower triangle `L` with `L Lᵀ = covariance`. */
function cholesky(
  covariance: number | readonly (readonly number[])[],
  dimension: number,
): Float64Array[] {
  const at = (r: number, c: number): number =>
    typeof covariance === "number" ? (r === c ? covariance : 0) : covariance[r]?.[c];
  if (Array.isArray(covariance) && covariance.some((row) => row?.length !== covariance.length)) {
    throw new TypeError(
      `Cannot generate gaussians: a covariance is ${
        JSON.stringify(covariance)
      }, wanted a symmetric positive definite ${dimension} × ${dimension} matrix`,
    );
  }
  const factor = Array.from(
    { length: dimension },
    () => new Float64Array(dimension),
  );
  for (let r = 0; r < dimension; r++) {
    for (let c = 0; c <= r; c++) {
      let rest = at(r, c);
      for (let k = 0; k < c; k++) rest -= factor[r][k] * factor[c][k];
      if (at(r, c) !== at(c, r) || (r === c && !(rest > 0))) {
        throw new RangeError(
          `Cannot generate gaussians: a covariance is ${
            JSON.stringify(covariance)
          }, wanted a positive variance or a symmetric positive definite ${dimension} × ${dimension} matrix`,
        );
      }
      factor[r][c] = r === c ? Math.sqrt(rest) : rest / factor[c][c];
    }
  }
  return factor;
}

/** The first component at which the cumulative weight passes `target`. */
function pick(weights: readonly number[], target: number): number {
  let k = 0;
  let cumulative = weights[0];
  while (cumulative <= target && k < weights.length - 1) {
    cumulative += weights[++k];
  }
  return k;
}

function ring(count: number, radius: number): number[][] {
  return Array.from({ length: count }, (_, k) => {
    const angle = 2 * Math.PI * k / count;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}
