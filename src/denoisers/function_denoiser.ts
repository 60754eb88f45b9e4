/**
 * A plain function as a denoiser.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { received } from "../base/_kinds.ts";
import { sizeOf } from "../base/_shape.ts";
import { checkEvaluateOptions, sigmaPerRow } from "../compute/posterior.ts";
import type { StateSpace } from "../states/linear_space.ts";
import type { Denoiser } from "./denoiser.ts";

/**
 * `D(x, σ)` as a function of numbers: rows one after the other, in a `Float64Array` for a denoiser on
 * {@linkcode arraySpace}, else in a `Float32Array`; and one noise level. It returns as many numbers, or a
 * promise of them, flat or as one array per row.
 */
export type DenoiserFunction = (
  x: Float32Array | Float64Array,
  sigma: number,
) => RowsOfNumbers | Promise<RowsOfNumbers>;

/** Numbers, rows one after the other, or one array for each row. */
export type RowsOfNumbers = ArrayLike<number> | readonly ArrayLike<number>[];

/** Options of {@linkcode functionDenoiser}. */
export interface FunctionDenoiserOptions<X> {
  /** The shape of one sample, channels last. */
  readonly shape: readonly number[];
  /** The space its states live in: {@linkcode arraySpace} or {@linkcode tensorSpace}. */
  readonly space: StateSpace<X>;
}

const ACTION = "denoise by a function";

const OPTIONS = { shape: undefined, space: undefined } satisfies OptionTable<
  FunctionDenoiserOptions<never>
>;

/**
 * A denoiser from a plain function, for whatever takes denoisers. {@linkcode sample} takes the function itself.
 *
 * Where rows have noise levels of their own, the function is called once for each level, with its rows.
 *
 * @param denoise The function `D(x, σ)`.
 * @param options The shape of a sample, and the space of the states.
 * @returns The denoiser.
 * @throws {TypeError} If it is no function, or the shape is not one of positive whole numbers. A call rejects so if
 * the function returns another number of numbers.
 * @throws {RangeError} In a call, if the function returns numbers that are not finite.
 *
 * @example The denoiser of one point
 * ```ts
 * import { functionDenoiser, sample } from "@closedform/diffusion";
 * import { arraySpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const point = functionDenoiser((x) => x.map((_, i) => 3 - 4 * (i % 2)), { shape: [2], space: arraySpace });
 * const { x } = await sample(point, { count: 2, output: "tensor" });
 * assert.deepEqual([...x], [3, -1, 3, -1]);
 * ```
 */
export function functionDenoiser<X>(
  denoise: DenoiserFunction,
  options: FunctionDenoiserOptions<X>,
): Denoiser<X> {
  if (typeof denoise !== "function") {
    throw new TypeError(`Cannot ${ACTION}: received ${received(denoise)}, wanted a function`);
  }
  const { shape, space } = readOptions(ACTION, options, OPTIONS);
  checkShape(shape);
  const dimension = sizeOf(shape);
  const of = async (x: Float32Array | Float64Array, sigma: number) =>
    flat(await denoise(x, sigma), x.length, shape);
  return showsItself({
    label: denoise.name ? `the function ${denoise.name}` : "a function",
    references: [],
    shape,
    space,
    async denoise(x, sigma, evaluate) {
      checkEvaluateOptions(ACTION, evaluate);
      const values = await space.values(x), rows = values.length / dimension;
      const sigmas = sigmaPerRow(sigma, rows, ACTION);
      const mean = space.numbers(values.length);
      for (const [level, at] of rowsByLevel(sigmas)) {
        evaluate?.signal?.throwIfAborted();
        const part = space.numbers(at.length * dimension);
        at.forEach((row, i) => part.set(rowOf(values, row, dimension), i * dimension));
        const found = await of(part, level);
        at.forEach((row, i) => {
          for (let c = 0; c < dimension; c++) mean[row * dimension + c] = found[i * dimension + c];
        });
      }
      return { mean: space.from(mean, [rows, ...shape]) };
    },
  });
}

function rowOf(values: Float32Array | Float64Array, row: number, dimension: number) {
  return values.subarray(row * dimension, (row + 1) * dimension);
}

/** The rows of each level, in the order in which the levels come. */
function rowsByLevel(sigmas: Float64Array): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  sigmas.forEach((sigma, row) => rows.set(sigma, [...rows.get(sigma) ?? [], row]));
  return rows;
}

/** The numbers of what a function returned, if they are as many rows of the shape as it was given. */
function flat(
  returned: RowsOfNumbers,
  length: number,
  shape: readonly number[],
): ArrayLike<number> {
  const numbers = isNested(returned) ? joined(returned, length, shape) : returned;
  if (typeof numbers?.length !== "number" || typeof numbers === "string") {
    throw new TypeError(
      `Cannot ${ACTION}: it returned ${received(returned)}, wanted rows of [${shape}] as an array`,
    );
  }
  if (numbers.length !== length) {
    throw new TypeError(
      `Cannot ${ACTION}: it returned ${numbers.length} numbers, wanted ${length}, rows of [${shape}]`,
    );
  }
  const bad = Array.prototype.findIndex.call(numbers, (v) => !Number.isFinite(v));
  if (bad >= 0) {
    throw new RangeError(
      `Cannot ${ACTION}: it returned ${received(numbers[bad])}, wanted finite numbers`,
    );
  }
  return numbers;
}

function isNested(returned: RowsOfNumbers): returned is readonly ArrayLike<number>[] {
  return typeof returned?.[0] === "object" && returned[0] !== null;
}

/** Rows one after the other, however deep the numbers of each lie. */
function joined(
  rows: readonly ArrayLike<number>[],
  length: number,
  shape: readonly number[],
): number[] {
  const size = sizeOf(shape), count = length / size;
  const parts = Array.from(rows, deep);
  const wrong = parts.find((part) => part.length !== size);
  if (rows.length === count && !wrong) return parts.flat();
  throw new TypeError(
    `Cannot ${ACTION}: it returned ${rows.length} rows${
      wrong ? `, one of ${wrong.length} numbers` : ""
    }, wanted ${count} rows of [${shape}]`,
  );
}

function deep(row: ArrayLike<unknown>): number[] {
  return Array.from(row).flatMap((v) =>
    typeof v === "object" && v !== null ? deep(v as ArrayLike<unknown>) : [v as number]
  );
}

function checkShape(shape: unknown): void {
  const fits = Array.isArray(shape) && shape.length > 0 &&
    shape.every((side) => Number.isInteger(side) && side > 0);
  if (fits) return;
  throw new TypeError(
    `Cannot ${ACTION}: shape is ${received(shape)}, wanted the shape of one sample, such as [2]`,
  );
}
