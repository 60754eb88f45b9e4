/**
 * A sampler step by step, for loops of one's own.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { checkKind } from "../base/_kinds.ts";
import { sizeOf } from "../base/_shape.ts";
import { COUNT } from "../base/_defaults.ts";
import { checkSigmas } from "../base/noise.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { DenoiserFunction } from "../denoisers/function_denoiser.ts";
import { stopButton } from "../base/stop_button.ts";
import { gridOf, samplerOf } from "./_choices.ts";
import { checkStart, denoiserOf, sampleIndices, startState } from "./sample.ts";
import type { SampleOptions } from "./sample.ts";

/** Options of {@linkcode sampleSteps}: those of `sample()` that make sense of a single batch. */
export interface SampleStepsOptions extends
  Pick<
    SampleOptions,
    "count" | "sampler" | "grid" | "steps" | "seed" | "first" | "init" | "signal" | "shape"
  > {}

const OPTIONS = {
  count: undefined,
  sampler: undefined,
  grid: undefined,
  steps: undefined,
  seed: undefined,
  first: undefined,
  init: undefined,
  signal: undefined,
  shape: undefined,
} satisfies OptionTable<SampleStepsOptions>;

/** A state after a step, as plain numbers that stay valid. */
export interface SampleState {
  /** The step just taken, from 1. */
  readonly step: number;
  /** The noise level reached. */
  readonly sigma: number;
  /** The states, `count` rows, in data units. */
  readonly x: Float32Array | Float64Array;
  /** The latest denoiser output, `count` rows. */
  readonly denoised: Float32Array | Float64Array;
  /** Denoiser evaluations per sample so far. */
  readonly evaluations: number;
  /** Batched denoiser calls so far. */
  readonly calls: number;
}

/**
 * Samples step by step: the states of `sample()` with the same options, in one batch, each as plain numbers. A loop that ends
 * early releases all that the run holds.
 *
 * @param denoiser The denoiser, or a plain function with the option `shape`.
 * @param options How many, by which method, on which grid.
 * @returns A generator of one state per step.
 * @throws {RangeError} If a number is out of range, or the grid starts at a mean that the denoiser does not know.
 * @throws {TypeError} If there is no such option, or a value is of another kind.
 *
 * @example Stop where the images are still a blur
 * ```ts
 * import { moons, optimal, sampleSteps } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const levels: number[] = [];
 * for await (const { sigma, x } of sampleSteps(await optimal(moons(100)), { steps: 10, count: 4 })) {
 *   assert.equal(x.length, 8);
 *   levels.push(sigma);
 *   if (sigma < 1) break;
 * }
 * assert.ok(levels.length < 10 && levels.at(-1)! < 1);
 * ```
 */
export async function* sampleSteps<X = AnyTensor>(
  denoiser: Denoiser<X> | DenoiserFunction,
  options: SampleStepsOptions = {},
): AsyncGenerator<SampleState, void, void> {
  if (typeof denoiser !== "function") checkKind("sample", "denoiser", denoiser, "denoiser");
  checkOptionNames("sample", options, OPTIONS);
  const { seed = 0, first = 0, init } = options;
  const of = await denoiserOf(denoiser, options) as Denoiser<X>;
  const { space, shape } = of;
  const count = options.count ?? (init ? Math.ceil(init.length / sizeOf(shape)) : COUNT);
  const grid = gridOf(of, options);
  checkStart(of, count, grid, { init });
  checkSigmas(grid.sigmas);
  using stop = stopButton(options.signal);
  const { signal } = stop;
  const sampler = await samplerOf(of, grid, { ...options, signal });
  const start = space.from(startState(of, grid, 0, count, { seed, first, init }), [
    count,
    ...shape,
  ]);
  try {
    const samples = sampleIndices(first, count);
    for await (const at of sampler.run(of, start, grid.sigmas, { signal, samples })) {
      const { step, sigma, evaluations, calls } = at;
      const [x, denoised] = [await space.values(at.x), await space.values(at.denoised)];
      yield { step, sigma, x, denoised, evaluations, calls };
    }
  } finally {
    space.dispose(start);
  }
}
