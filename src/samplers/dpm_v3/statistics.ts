/**
 * The tables of DPM-Solver-v3: how the denoiser changes along the flow on average, coordinate by coordinate.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { checkLaw, finiteRow } from "../../denoisers/gaussian/gaussian_law.ts";
import type { GaussianLaw } from "../../denoisers/gaussian/gaussian_law.ts";

/**
 * Tables on `intervals + 1` noise levels of equal ratio, `d` numbers per level, level by level. They mean
 * something at their own noise levels only.
 */
export interface DpmV3Statistics {
  /** The noise level of the first row. */
  readonly sigmaMax: number;
  /** The noise level of the last row. */
  readonly sigmaMin: number;
  /** The number of intervals, one less than rows. */
  readonly intervals: number;
  /** The share of the state that its noise is, on average: `l ≈ 1 − ∂D/∂x`. */
  readonly l: Float64Array;
  /** The rate at which `f = (1 − l) ∘ x − D` grows with itself. */
  readonly s: Float64Array;
  /** The rate at which it grows anyhow. */
  readonly b: Float64Array;
  /** Of tables that were estimated, how much of them could be told. */
  readonly facts?: DpmV3Facts;
}

/** How many coordinates estimated tables say something about. */
export interface DpmV3Facts {
  /** All coordinates, `d`. */
  readonly coordinates: number;
  /** Those whose `l` is 1 at all levels, as the mean of `∂D/∂x` was never larger than its error. */
  readonly withoutL: number;
  /** Those whose `s` is 0 at all levels. */
  readonly withoutS: number;
  /** Those from whose `∫|s|` over all levels its errors took more than 1. */
  readonly uncertain: number;
  /** Those whose `s` was set to 0 at all levels because its integral was out of bounds. */
  readonly bounded: number;
}

/**
 * Checks tables.
 *
 * @param statistics The tables.
 * @returns The numbers per level, `d`.
 * @throws {RangeError} If the noise levels do not fall, or a number is not finite.
 * @throws {TypeError} If the tables differ in size or are no whole number of rows.
 */
export function checkStatistics(statistics: DpmV3Statistics): number {
  const { sigmaMax, sigmaMin, intervals, l, s, b } = statistics;
  if (!(sigmaMin > 0 && sigmaMin < sigmaMax && sigmaMax ** 2 < Infinity)) {
    throw new RangeError(
      `Cannot use the statistics: sigmaMin is ${sigmaMin} and sigmaMax ${sigmaMax}, wanted 0 < sigmaMin < sigmaMax`,
    );
  }
  const d = l.length / (intervals + 1);
  if (
    !Number.isInteger(intervals) || intervals < 1 || !Number.isInteger(d) || d < 1 ||
    s.length !== l.length || b.length !== l.length
  ) {
    throw new TypeError(
      `Cannot use the statistics: tables hold ${l.length}, ${s.length} and ${b.length} numbers, ` +
        `wanted equally many, ${intervals + 1} rows`,
    );
  }
  for (const table of [l, s, b]) {
    const bad = table.find((v) => !Number.isFinite(v));
    if (bad !== undefined) {
      throw new RangeError(
        `Cannot use the statistics: a table holds ${bad}, wanted finite numbers`,
      );
    }
  }
  return d;
}

/** The noise levels that tables are made for. */
export interface TableRange {
  /** The largest noise level. Default 80. */
  readonly sigmaMax?: number;
  /** The smallest noise level. Default 0.002. */
  readonly sigmaMin?: number;
  /** The number of intervals. Default 120. */
  readonly intervals?: number;
}

/** The noise levels of the rows of tables. */
export function levelsOf({ sigmaMax, sigmaMin, intervals }: Required<TableRange>): Float64Array {
  return Float64Array.from(
    { length: intervals + 1 },
    (_, j) => sigmaMax * (sigmaMin / sigmaMax) ** (j / intervals),
  );
}

const OPTIONS = { sigmaMax: 80, sigmaMin: 0.002, intervals: 120 } satisfies OptionTable<TableRange>;

/**
 * The tables of a Gaussian whose principal axes are the coordinate axes, in closed form. With them one
 * step of `dpmV3()` is exact, up to the quadrature of the tables.
 *
 * ```text
 * l = σ²/(σ²+λ),   s = 0,   b = 2 l (1−l) μ
 * ```
 *
 * @param law The law, from `gaussianLaw` with one variance or one per coordinate.
 * @param range The noise levels of the tables.
 * @returns The tables.
 * @throws {TypeError} If the law has other axes.
 * @throws {RangeError} If the noise levels do not fall, or the number of intervals is out of range.
 *
 * @example
 * ```ts
 * import { dpmV3, gaussianLaw, logSnrGrid, sample } from "@closedform/diffusion";
 * import { gaussianStatistics } from "@closedform/diffusion/theory";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = gaussianLaw([1, -1], [4, 0.01]);
 * const statistics = gaussianStatistics(law, { intervals: 1000 });
 * const { x } = await sample(gaussianFlow(law).denoiser, {
 *   sampler: dpmV3({ statistics }),
 *   grid: logSnrGrid(1),
 *   init: [0.5, 2],
 *   count: 1, output: "tensor",
 * });
 * const exact = await gaussianFlow(law).transport(Float64Array.of(40, 160), 80, 0.002);
 * assert.ok(Math.abs(x[0] - exact[0]) < 1e-4 && Math.abs(x[1] - exact[1]) < 1e-4);
 * ```
 */
export function gaussianStatistics(law: GaussianLaw, range: TableRange = {}): DpmV3Statistics {
  const { sigmaMax, sigmaMin, intervals } = readOptions(
    "make the tables of a Gaussian",
    range,
    OPTIONS,
  );
  if (law.basis) {
    throw new TypeError(
      "Cannot make the tables of a Gaussian: received principal axes, wanted variances of the coordinates",
    );
  }
  const d = law.mean.length;
  checkLaw(law, "make the tables of a Gaussian");
  if (!(sigmaMin > 0 && sigmaMin < sigmaMax && sigmaMax < Infinity)) {
    throw new RangeError(
      `Cannot make the tables of a Gaussian: sigmaMin is ${sigmaMin} and sigmaMax ${sigmaMax}, wanted 0 < sigmaMin < sigmaMax`,
    );
  }
  if (!Number.isInteger(intervals) || intervals < 1 || intervals > 1e6) {
    throw new RangeError(
      `Cannot make the tables of a Gaussian: intervals is ${intervals}, wanted a whole number from 1 to 1000000`,
    );
  }
  const tables = { sigmaMax, sigmaMin, intervals };
  const levels = levelsOf(tables);
  const share = (at: number) => {
    const square = levels[Math.floor(at / d)] ** 2;
    return square / (square + (law.variances[at % d] ?? law.floor));
  };
  const l = Float64Array.from({ length: levels.length * d }, (_, at) => share(at));
  finiteRow(l, "make the tables of a Gaussian");
  return {
    ...tables,
    l,
    s: new Float64Array(l.length),
    b: l.map((v, at) => 2 * v * (1 - v) * law.mean[at % d]),
  };
}
