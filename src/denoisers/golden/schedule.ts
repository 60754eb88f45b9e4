/**
 * How many items a golden subset takes at each noise level.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";

/** How candidates are found: see {@linkcode subsetSchedule}. */
export type ScheduleName = "described" | "random-pool" | "random";

/** A size for all noise levels, or its range over them. */
export type SizeRange = number | readonly [least: number, most: number];

/** Options of {@linkcode subsetSchedule}. */
export interface ScheduleOptions {
  /** Number of items in the data set, `N`. */
  readonly count: number;
  /** Size of the subset: `[k_min, k_max]`, or one size for all noise levels. Default `[N/20, N/10]`. */
  readonly k?: SizeRange;
  /** Number of candidates: `[m_min, m_max]`, or one for all noise levels. Default `[k_max, N/4]`. */
  readonly m?: SizeRange;
}

/** Sizes at one noise level. */
export interface ScheduleSizes {
  /** Size of the subset, `k_t`. */
  readonly k: number;
  /** Candidates whose exact distances are measured, `m_t`. */
  readonly m: number;
  /** Items drawn at random among which candidates are looked for; all items if absent. */
  readonly pool?: number;
}

/** The sizes at each noise level. */
export interface SubsetSchedule {
  /** Which one it is. */
  readonly name: ScheduleName;
  /** The sizes at a noise level `σ > 0`, in data units. */
  sizes(sigma: number): ScheduleSizes;
}

const OPTIONS = { count: undefined, k: undefined, m: undefined } satisfies OptionTable<
  ScheduleOptions
>;

/**
 * The published schedules of a golden subset, with `s = σ/√(1+σ²)` and `u = 1 − s`, which is 0 for
 * pure noise and 1 for clean data:
 *
 * ```text
 * all            k_t = max(k_min, round(k_max − (k_max − k_min) u))
 * "described"    m_t = round(m_min + (m_max − m_min) u) candidates, the best of all N by the proxy
 * "random-pool"  a pool of clip(round(k_max + (N − k_max) u), k_max, N) items drawn at random, of
 *                which the best k_max by the proxy are candidates: the released code
 * "random"       k_t items drawn at random, no search: the released code's ablation
 * ```
 *
 * The paper describes a search over all items; its code draws a random pool at each step, and so
 * finds the item that matters most with probability `pool/N` only. The ranges of "described" are read
 * from its text, the linear rule from its code.
 *
 * Reference: arXiv:2602.16498 and its code.
 *
 * @param name Which one.
 * @param options The number of items; ranges of the sizes.
 * @returns The schedule.
 * @throws {RangeError} If a size is not a whole number from 1 to `N`, a range falls, or there can be fewer candidates than are taken.
 * @throws {TypeError} If a range of sizes does not hold two numbers.
 *
 * @example CIFAR-10 at the noisiest and the cleanest of ten steps
 * ```ts
 * import { ddpmGrid, subsetSchedule } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const [noisiest] = ddpmGrid(10).sigmas;
 * const { sizes } = subsetSchedule("described", { count: 50_000 });
 * assert.deepEqual(sizes(noisiest), { k: 5000, m: 5001 });
 * assert.deepEqual(sizes(0.01), { k: 2525, m: 12_425 });
 * ```
 */
export function subsetSchedule(name: ScheduleName, options: ScheduleOptions): SubsetSchedule {
  const { count } = readOptions(`make the schedule ${name}`, options, OPTIONS);
  if (!["described", "random-pool", "random"].includes(name)) {
    throw new RangeError(
      `Cannot make the schedule ${name}: wanted one of described, random-pool, random`,
    );
  }
  const k = range("k", options.k ?? [fraction(count, 20), fraction(count, 10)], count);
  const m = range("m", options.m ?? [k[1], Math.max(k[1], fraction(count, 4))], count);
  if (name === "described" && m[0] < k[1]) {
    throw new RangeError(
      `Cannot make the schedule: m can be ${m[0]}, wanted at least ${k[1]}, the largest k`,
    );
  }
  const between = ([from, to]: readonly [number, number], u: number) =>
    Math.round(from + (to - from) * u);
  return {
    name,
    sizes(sigma) {
      const u = Math.min(1, Math.max(0, 1 - sigma / Math.hypot(1, sigma)));
      const size = Math.max(k[0], between([k[1], k[0]], u));
      switch (name) {
        case "described":
          return { k: size, m: between(m, u) };
        case "random-pool": {
          const pool = Math.min(count, Math.max(k[1], between([k[1], count], u)));
          return { k: size, m: k[1], pool };
        }
        case "random":
          return { k: size, m: size, pool: size };
      }
    },
  };
}

function fraction(count: number, divisor: number): number {
  return Math.max(1, Math.round(count / divisor));
}

function range(name: string, size: SizeRange, count: number): readonly [number, number] {
  const [least, most, ...more] = typeof size === "number" ? [size, size] : size;
  if (more.length > 0) {
    throw new TypeError(
      `Cannot make the schedule: ${name} holds ${size}, wanted a number or its least and most`,
    );
  }
  for (const n of [least, most]) {
    if (!Number.isInteger(n) || n < 1 || n > count) {
      throw new RangeError(
        `Cannot make the schedule: ${name} is ${n}, wanted a whole number from 1 to ${count}`,
      );
    }
  }
  if (least > most) {
    throw new RangeError(
      `Cannot make the schedule: ${name} goes from ${least} to ${most}, wanted a rising range`,
    );
  }
  return [least, most];
}

/** The name of published sizes: those of AFHQ-v2, or of all other data. */
export type SizesName = "default" | "afhq";

/** The sizes of the published code, by the data they are for: `N` over these. */
const DIVISORS: Readonly<Record<SizesName, readonly [number, number]>> = {
  default: [20, 10],
  afhq: [15, 7.5],
};

/**
 * The range of sizes that the published code uses: `[N/20, N/10]` for MNIST, Fashion-MNIST, CIFAR-10, CelebA-HQ and the
 * classes of ImageNet, and as the default for any data; `[N/15, N/7.5]` for AFHQ-v2, by its name.
 *
 * Source: the code of arXiv:2602.16498.
 *
 * @param count Number of items, `N`.
 * @param name Whose sizes. Default `"default"`.
 * @returns `[k_min, k_max]`.
 * @throws {RangeError} If there are no items, or no sizes of that name.
 *
 * @example
 * ```ts
 * import { publishedSizes } from "./schedule.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(publishedSizes(50_000), [2500, 5000]);
 * assert.deepEqual(publishedSizes(15_000, "afhq"), [1000, 2000]);
 * ```
 */
export function publishedSizes(
  count: number,
  name: SizesName = "default",
): readonly [number, number] {
  if (!(count >= 1)) {
    throw new RangeError(`Cannot choose sizes: received ${count} items, wanted at least 1`);
  }
  if (!Object.hasOwn(DIVISORS, name)) {
    throw new RangeError(
      `Cannot choose sizes: the name is ${name}, wanted one of ${Object.keys(DIVISORS).join(", ")}`,
    );
  }
  const [least, most] = DIVISORS[name];
  return [fraction(count, least), fraction(count, most)];
}
