/**
 * Mixtures with a seed, on which samplers are compared.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../../base/_options.ts";
import { RandomStream } from "../../base/random.ts";
import { isotropicMixture } from "./isotropic_mixture.ts";
import type { IsotropicMixture } from "./isotropic_mixture.ts";

/** Options of the targets. */
export interface TargetOptions {
  /** Seed of centres and weights. Default 0. */
  readonly seed?: number;
  /** Number of modes `M`. Default 10; 8 on the ring. */
  readonly modes?: number;
  /** The spread `τ` of each mode; 0 makes them points. Default 0.05. */
  readonly spread?: number;
  /** Whether all modes weigh the same; else weights are drawn from a Dirichlet law of parameter 5. Default: if they are points. */
  readonly equal?: boolean;
}

const OPTIONS = {
  seed: 0,
  modes: 10,
  spread: 0.05,
  equal: undefined,
} satisfies OptionTable<TargetOptions>;
type Settings = Read<TargetOptions, typeof OPTIONS>;

const RING_OPTIONS = { ...OPTIONS, modes: 8 };

/**
 * Modes equally spaced on the unit circle.
 *
 * @param options Seed, modes, spread.
 * @returns Their flow in the plane.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { ringTarget } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.ok(Math.abs(ringTarget({ spread: 0 }).scale - 1) < 1e-15);
 * ```
 */
export function ringTarget(options: TargetOptions = {}): IsotropicMixture {
  const settings = readOptions("place modes", options, RING_OPTIONS);
  const { modes } = settings;
  const angles = Array.from({ length: modes }, (_, m) => 2 * Math.PI * m / modes);
  return target("ring", angles.map((t) => [Math.cos(t), Math.sin(t)]), settings);
}

/**
 * Modes uniform on the unit sphere: a radius that does not depend on the dimension.
 *
 * @param dimension The dimension `d`.
 * @param options Seed, modes, spread.
 * @returns Their flow.
 * @throws {RangeError} If a number is not a whole one from 1 to 2²⁴.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { sphereTarget } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.ok(Math.abs(sphereTarget(100, { spread: 0 }).scale - 1) < 1e-15);
 * ```
 */
export function sphereTarget(dimension: number, options: TargetOptions = {}): IsotropicMixture {
  const settings = readOptions("place modes", options, OPTIONS);
  const centres = normalCentres(dimension, settings).map((mu) => {
    const norm = Math.sqrt(mu.reduce((sum, v) => sum + v * v, 0));
    return mu.map((v) => v / norm);
  });
  return target(`sphere-${dimension}`, centres, settings);
}

/**
 * Modes at `0.5 · N(0, I)`, which lie at a distance of about `√d/2` from the origin, as images do.
 *
 * @param dimension The dimension `d`.
 * @param options Seed, modes, spread.
 * @returns Their flow.
 * @throws {RangeError} If a number is not a whole one from 1 to 2²⁴.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { ambientTarget } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.ok(Math.abs(ambientTarget(2000, { modes: 50, spread: 0 }).scale / Math.sqrt(500) - 1) < 0.02);
 * ```
 */
export function ambientTarget(dimension: number, options: TargetOptions = {}): IsotropicMixture {
  const settings = readOptions("place modes", options, OPTIONS);
  const centres = normalCentres(dimension, settings).map((mu) => mu.map((v) => v / 2));
  return target(`ambient-${dimension}`, centres, settings);
}

function normalCentres(
  dimension: number,
  { seed, modes }: Settings,
): Float64Array[] {
  for (const [name, value] of Object.entries({ dimension, modes })) {
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 24) {
      throw new RangeError(
        `Cannot place modes: ${name} is ${value}, wanted a whole number from 1 to 2^24`,
      );
    }
  }
  return Array.from({ length: modes }, (_, sample) => {
    const stream = new RandomStream({ seed, sample, purpose: "data" });
    return Float64Array.from({ length: dimension }, () => stream.normal());
  });
}

function target(
  name: string,
  centres: readonly ArrayLike<number>[],
  { seed, spread, equal = spread === 0 }: Settings,
): IsotropicMixture {
  return isotropicMixture(centres, {
    name,
    spread,
    ...(!equal && { weights: dirichlet(centres.length, seed) }),
  });
}

/** Weights from a Dirichlet law of parameter 5: gamma variables of that shape, scaled to sum to 1. */
function dirichlet(count: number, seed: number): Float64Array {
  const stream = new RandomStream({ seed, purpose: "data", step: 1 });
  const gamma = () => Array.from({ length: 5 }, () => -Math.log(1 - stream.uniform()));
  return Float64Array.from({ length: count }, () => gamma().reduce((sum, v) => sum + v));
}
