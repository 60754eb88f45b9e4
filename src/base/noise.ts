/**
 * The noise axis: conversions between the coordinates of the literature, and
 * the grids of noise levels that samplers walk down.
 *
 * Everything inside this package speaks variance-exploding coordinates,
 * `x = x₀ + σε`. A variance-preserving state is `z = x/√(1+σ²)`, a flow state
 * `z_t = t·x` with `t = 1/(1+σ)`: the same state, rescaled.
 *
 * @module
 */
import { type OptionTable, readOptions } from "./_options.ts";
import { MOST_STEPS, SIGMA_RANGE } from "./_checks.ts";
import { STEPS } from "./_defaults.ts";

/**
 * The noise level of a variance-preserving cumulative signal share: `σ = √((1−ᾱ)/ᾱ)`.
 *
 * @param alphaBar `ᾱ` in (0, 1], the squared signal scale (`alphas_cumprod`).
 * @returns `σ ≥ 0` in data units.
 * @throws {RangeError} If `ᾱ` is not in (0, 1].
 *
 * @example
 * ```ts
 * import { alphaBarOfSigma, sigmaOfAlphaBar } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.equal(sigmaOfAlphaBar(0.2), 2);
 * assert.equal(alphaBarOfSigma(2), 0.2);
 * ```
 */
export function sigmaOfAlphaBar(alphaBar: number): number {
  if (!(alphaBar > 0 && alphaBar <= 1)) {
    throw new RangeError(
      `Cannot convert to sigma: alphaBar is ${alphaBar}, wanted a number in (0, 1]`,
    );
  }
  return Math.sqrt((1 - alphaBar) / alphaBar);
}

/**
 * The variance-preserving cumulative signal share of a noise level: `ᾱ = 1/(1+σ²)`.
 *
 * @param sigma `σ ≥ 0` in data units.
 * @returns `ᾱ` in (0, 1].
 * @throws {RangeError} If `σ` is negative or not a number.
 *
 * @example
 * ```ts
 * import { alphaBarOfSigma } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.equal(alphaBarOfSigma(1), 0.5);
 * ```
 */
export function alphaBarOfSigma(sigma: number): number {
  checkSigma(sigma, "alphaBar");
  return 1 / (1 + sigma * sigma);
}

/**
 * The noise level of a flow time, `σ = (1−t)/t`; `t = 0` is pure noise, `t = 1` is data.
 *
 * @param t Flow time in (0, 1].
 * @returns `σ ≥ 0` in data units.
 * @throws {RangeError} If `t` is not in (0, 1].
 *
 * @example
 * ```ts
 * import { flowTimeOfSigma, sigmaOfFlowTime } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.equal(sigmaOfFlowTime(0.25), 3);
 * assert.equal(flowTimeOfSigma(3), 0.25);
 * ```
 */
export function sigmaOfFlowTime(t: number): number {
  if (!(t > 0 && t <= 1)) {
    throw new RangeError(
      `Cannot convert to sigma: t is ${t}, wanted a number in (0, 1]`,
    );
  }
  return (1 - t) / t;
}

/**
 * The flow time of a noise level, `t = 1/(1+σ)`.
 *
 * @param sigma `σ ≥ 0` in data units.
 * @returns Flow time in (0, 1].
 * @throws {RangeError} If `σ` is negative or not a number.
 *
 * @example
 * ```ts
 * import { flowTimeOfSigma } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.equal(flowTimeOfSigma(0), 1);
 * ```
 */
export function flowTimeOfSigma(sigma: number): number {
  checkSigma(sigma, "a flow time");
  return 1 / (1 + sigma);
}

function checkSigma(sigma: number, wanted: string): void {
  if (!(sigma >= 0)) {
    throw new RangeError(
      `Cannot convert to ${wanted}: sigma is ${sigma}, wanted a number >= 0`,
    );
  }
}

/** The names of the grids, as on the command line. */
export type GridName = "ddpm" | "karras" | "log-snr" | "uniform-t";

/** A grid of noise levels and the law of its start state. */
export interface SigmaGrid {
  /** Its name. */
  readonly name: GridName;
  /** `σ₀ > … > σ_m ≥ 0`, strictly decreasing, `m + 1` values for `m` steps; only the last may be 0. */
  readonly sigmas: readonly number[];
  /** The start state is `startScale · ε`, with `ε ~ N(0, I)`, plus the data mean if `startAtMean`. */
  readonly startScale: number;
  /** Whether the data mean is added to the start state. */
  readonly startAtMean: boolean;
  /** Whether a random item of the data is added to the start state: the exact law at `σ₀`. Default false. */
  readonly startAtData?: boolean;
}

/**
 * The grid of DDPM with the "leading" spacing of its DDIM samplers.
 *
 * ```text
 * βᵢ from 1e-4 to 0.02 in 1000 steps, ᾱ = Π(1−β), tⱼ = (S−1−j)·⌊1000/S⌋, σⱼ = √((1−ᾱ)/ᾱ), then 0
 * ```
 *
 * The start is `√(1+σ₀²)·ε`, because a DDPM starts at `z ~ N(0, I)`.
 *
 * References: J. Ho, A. Jain, P. Abbeel (2020), arXiv:2006.11239; J. Song, C. Meng, S. Ermon (2020), arXiv:2010.02502.
 *
 * @param steps Number of steps `S`, 1 to 1000. Default 10.
 * @returns The grid, ending at 0.
 * @throws {RangeError} If `steps` is not a whole number from 1 to 1000.
 *
 * @example
 * ```ts
 * import { ddpmGrid } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { sigmas } = ddpmGrid(10);
 * assert.equal(sigmas.length, 11);
 * assert.equal(sigmas[0].toFixed(4), "60.8223");
 * assert.equal(sigmas[10], 0);
 * ```
 */
export function ddpmGrid(steps: number = STEPS.ddpm): SigmaGrid {
  checkSteps(steps, "ddpm", 1, 1000);
  const alphaBar: number[] = [];
  let product = 1;
  for (let i = 0; i < 1000; i++) {
    product *= 1 - (1e-4 + i * (0.02 - 1e-4) / 999);
    alphaBar.push(product);
  }
  const stride = Math.floor(1000 / steps);
  const sigmas = Array.from(
    { length: steps },
    (_, j) => sigmaOfAlphaBar(alphaBar[(steps - 1 - j) * stride]),
  );
  return {
    name: "ddpm",
    sigmas: [...sigmas, 0],
    startScale: Math.sqrt(1 + sigmas[0] ** 2),
    startAtMean: false,
  };
}

/** The ends of a grid. */
export interface GridRange {
  /** The largest noise level. Default 80. */
  readonly sigmaMax?: number;
  /** The smallest positive noise level. Default 0.002. */
  readonly sigmaMin?: number;
}

/**
 * The grid of EDM: equally spaced in `σ^{1/7}`.
 *
 * ```text
 * σᵢ = (σ_max^{1/7} + i/(n−1) (σ_min^{1/7} − σ_max^{1/7}))⁷, i = 0 … n−1, then 0
 * ```
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364, table 1.
 *
 * @param steps Number of positive levels `n ≥ 2`, which is the number of steps. Default 18.
 * @param range The ends.
 * @returns The grid, ending at 0; its start is `σ_max·ε`.
 * @throws {RangeError} If `steps` is not a whole number ≥ 2, or the ends do not fall or are too near for so many steps.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { karrasGrid } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { sigmas } = karrasGrid(10);
 * assert.equal(sigmas[1].toFixed(4), "42.4152");
 * assert.equal(sigmas.at(-2), 0.002);
 * ```
 */
export function karrasGrid(
  steps: number = STEPS.karras,
  range: GridRange = {},
): SigmaGrid {
  checkSteps(steps, "karras", 2);
  const { sigmaMax, sigmaMin } = checkRange(range, "karras");
  const [a, b] = [sigmaMax ** (1 / 7), sigmaMin ** (1 / 7)];
  const sigmas = Array.from(
    { length: steps },
    (_, i) => (a + i / (steps - 1) * (b - a)) ** 7,
  );
  // The ends are meant exactly; the powers miss them by a rounding error.
  sigmas[0] = sigmaMax;
  sigmas[steps - 1] = sigmaMin;
  checkFalling(sigmas, "karras");
  return {
    name: "karras",
    sigmas: [...sigmas, 0],
    startScale: sigmaMax,
    startAtMean: false,
  };
}

/**
 * The grid that is uniform in `−ln σ`, half the logarithm of the signal-to-noise ratio.
 *
 * ```text
 * σᵢ = σ_max (σ_min/σ_max)^{i/m}, i = 0 … m
 * ```
 *
 * Its last state still carries noise `σ_min`.
 *
 * Reference: C. Lu et al. (2022), arXiv:2211.01095.
 *
 * @param steps Number of steps `m ≥ 1`. Default 20.
 * @param range The ends.
 * @returns The grid, ending at `σ_min`; its start is `σ_max·ε`.
 * @throws {RangeError} If `steps` is not a whole number ≥ 1, or the ends do not fall or are too near for so many steps.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { logSnrGrid } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(logSnrGrid(2, { sigmaMax: 4, sigmaMin: 1 }).sigmas, [4, 2, 1]);
 * ```
 */
export function logSnrGrid(
  steps: number = STEPS["log-snr"],
  range: GridRange = {},
): SigmaGrid {
  checkSteps(steps, "log-snr", 1);
  const { sigmaMax, sigmaMin } = checkRange(range, "log-snr");
  const sigmas = Array.from(
    { length: steps + 1 },
    (_, i) => sigmaMax * (sigmaMin / sigmaMax) ** (i / steps),
  );
  sigmas[steps] = sigmaMin;
  checkFalling(sigmas, "log-snr");
  return { name: "log-snr", sigmas, startScale: sigmaMax, startAtMean: false };
}

/** Options of {@linkcode uniformTGrid}. */
export interface UniformTOptions {
  /** The flow time `T` to start at, in [0, 1). Default 0: pure noise. */
  readonly start?: number;
}

const UNIFORM_T_OPTIONS = { start: 0 } satisfies OptionTable<UniformTOptions>;

/**
 * The grid that is uniform in flow time, `t = n/S`.
 *
 * ```text
 * σₙ = (S−n)/n, n = 1 … S
 * ```
 *
 * The Euler step from `t = 0` is free, because `D(·, ∞)` is the data mean `μ`:
 * it leads to the start state `μ + σ₁ε`. So `S` flow steps are `S − 1` steps of this grid.
 *
 * A late start `T > 0` saves the steps before it: `tₙ = T + n(1−T)/S`, and the start state is drawn
 * from the exact law at `T`, a random item of the data plus `σ_T ε`.
 *
 * Reference: C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), arXiv:2310.12395.
 *
 * @param steps Number of flow steps `S ≥ 2`, the free first one included; of a late start `S ≥ 1`. Default 20.
 * @param options A late start.
 * @returns The grid, ending at 0; its start is `μ + (S−1)·ε`, of a late one an item of the data plus `σ_T ε`.
 * @throws {RangeError} If `steps` is not a whole number in range, the start is not in [0, 1), or a positive noise level is
 * below 1e-18.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { uniformTGrid } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(uniformTGrid(4).sigmas, [3, 1, 1 / 3, 0]);
 * ```
 */
export function uniformTGrid(
  steps: number = STEPS["uniform-t"],
  options: UniformTOptions = {},
): SigmaGrid {
  const { start } = readOptions("make the grid uniform-t", options, UNIFORM_T_OPTIONS);
  // Before 1e-9 the difference to 1 loses the half of its digits.
  if (!(start === 0 || start >= 1e-9 && start < 1)) {
    throw new RangeError(
      `Cannot make the grid uniform-t: start is ${start}, wanted 0 or a flow time from 1e-9 to below 1`,
    );
  }
  checkSteps(steps, "uniform-t", start > 0 ? 1 : 2);
  if (start > 0) return lateGrid(steps, start);
  const sigmas = Array.from(
    { length: steps },
    (_, i) => (steps - 1 - i) / (i + 1),
  );
  return {
    name: "uniform-t",
    sigmas,
    startScale: sigmas[0],
    startAtMean: true,
  };
}

/** The grid from `T` on, with the exact law of `T` as its start. */
function lateGrid(steps: number, start: number): SigmaGrid {
  const sigmas = Array.from({ length: steps + 1 }, (_, n) => {
    // (1−t)/t with t = T + n(1−T)/S; the last one is 0 without rounding.
    const left = (1 - start) * (steps - n) / steps;
    return left / (1 - left);
  });
  if (sigmas[steps - 1] < SIGMA_RANGE[0]) {
    throw new RangeError(
      `Cannot make the grid uniform-t: from start ${start} its last positive noise level is ${
        sigmas[steps - 1]
      }, wanted at least ${SIGMA_RANGE[0]}: an earlier start or fewer steps`,
    );
  }
  checkFalling(sigmas, "uniform-t");
  return {
    name: "uniform-t",
    sigmas,
    startScale: sigmas[0],
    startAtMean: false,
    startAtData: true,
  };
}

/**
 * A grid by its name.
 *
 * @param name Which grid.
 * @param steps Its number of steps. Default: the grid's own.
 * @returns The grid.
 * @throws {RangeError} If there is no such grid, or not with so many steps.
 *
 * @example
 * ```ts
 * import { gridByName } from "./noise.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(gridByName("karras", 50).sigmas.length, 51);
 * ```
 */
export function gridByName(name: string, steps?: number): SigmaGrid {
  if (!Object.hasOwn(GRIDS, name)) {
    throw new RangeError(
      `Cannot make the grid ${name}: wanted one of ${Object.keys(GRIDS).join(", ")}`,
    );
  }
  return GRIDS[name as GridName](steps);
}

const GRIDS: Record<GridName, (steps?: number) => SigmaGrid> = {
  "ddpm": ddpmGrid,
  "karras": karrasGrid,
  "log-snr": logSnrGrid,
  "uniform-t": uniformTGrid,
};

/**
 * Checks that noise levels can be walked down.
 *
 * @param sigmas The levels, `[n + 1]` for `n` steps.
 * @throws {RangeError} If they are fewer than two, not strictly decreasing and finite, or not positive before the last.
 *
 * @example
 * ```ts
 * import { checkSigmas } from "./noise.ts";
 * import assert from "node:assert/strict";
 *
 * assert.throws(() => checkSigmas([1, 2]), RangeError);
 * ```
 */
export function checkSigmas(sigmas: readonly number[]): void {
  const falls = sigmas.every((s, i) =>
    Number.isFinite(s) && s >= 0 && (i === 0 || s < sigmas[i - 1])
  );
  if (sigmas.length < 2 || !falls) {
    throw new RangeError(
      `Cannot walk the grid [${sigmas.slice(0, 8).join(", ")}${sigmas.length > 8 ? ", …" : ""}]: ` +
        "wanted at least two strictly decreasing noise levels, the last one >= 0",
    );
  }
}

function checkSteps(
  steps: number,
  grid: GridName,
  least: number,
  most: number = MOST_STEPS,
): void {
  if (!Number.isInteger(steps) || steps < least || steps > most) {
    const wanted = `from ${least} to ${most}`;
    throw new RangeError(
      `Cannot make the grid ${grid}: steps is ${steps}, wanted a whole number ${wanted}`,
    );
  }
}

/** Levels that are told apart, by more than a few roundings: samplers divide by the differences of their logarithms. */
const LEAST_FALL = 2 ** -46;

function checkFalling(sigmas: readonly number[], grid: GridName): void {
  const at = sigmas.findIndex((sigma, i) => i > 0 && !(sigma <= sigmas[i - 1] * (1 - LEAST_FALL)));
  if (at < 0) return;
  throw new RangeError(
    `Cannot make the grid ${grid}: from ${sigmas[0]} to ${
      sigmas[sigmas.length - 1]
    } rounding merges some of its ${sigmas.length} levels, wanted ends further apart or fewer steps`,
  );
}

const RANGE_OPTIONS = { sigmaMax: 80, sigmaMin: 0.002 } satisfies OptionTable<GridRange>;

function checkRange(range: GridRange, grid: GridName): Required<GridRange> {
  const { sigmaMax, sigmaMin } = readOptions(`make the grid ${grid}`, range, RANGE_OPTIONS);
  const [least, most] = SIGMA_RANGE;
  if (!(sigmaMin >= least && sigmaMin < sigmaMax && sigmaMax <= most)) {
    throw new RangeError(
      `Cannot make the grid ${grid}: sigmaMin is ${sigmaMin} and sigmaMax ${sigmaMax}, wanted sigmaMin < sigmaMax, both from ${least} to ${most}`,
    );
  }
  return { sigmaMax, sigmaMin };
}
