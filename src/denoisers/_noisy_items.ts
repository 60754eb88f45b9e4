/**
 * Items of data under noise, and what denoisers make of them.
 *
 * @module
 */
import { sizeOf } from "../base/_shape.ts";
import { RandomStream } from "../base/random.ts";
import type { Denoiser } from "./denoiser.ts";

/** Random items, and a noise of unit variance for each, from which states at all levels are made. */
export interface NoisyItems {
  /** Their number. */
  readonly count: number;
  /** The items, `count` rows of `d` numbers. */
  readonly items: Float64Array;
  /** The noise, as many numbers. */
  readonly noise: Float64Array;
}

/**
 * Draws items and their noise.
 *
 * @param draw Draws an item of `dimension` numbers.
 * @param seed Seed of items and noise; row `i` depends on it and on `i` only.
 */
export function noisyItems(
  draw: (stream: RandomStream) => ArrayLike<number>,
  dimension: number,
  count: number,
  seed: number,
): NoisyItems {
  const items = new Float64Array(count * dimension), noise = new Float64Array(count * dimension);
  for (let sample = 0; sample < count; sample++) {
    items.set(draw(new RandomStream({ seed, sample, purpose: "data" })), sample * dimension);
    const stream = new RandomStream({ seed, sample, purpose: "metric" });
    for (let c = 0; c < dimension; c++) noise[sample * dimension + c] = stream.normal();
  }
  return { count, items, noise };
}

/** The states `x₀ + σε` at one level, as numbers. */
export function noisyStates({ items, noise }: NoisyItems, sigma: number): Float64Array {
  return items.map((v, i) => v + sigma * noise[i]);
}

/** The mean squared distance of each denoiser's output from the first one's, over all numbers of a state. */
export async function deviationsFrom<X>(
  reference: Denoiser<X>,
  denoisers: readonly Denoiser<X>[],
  noisy: NoisyItems,
  sigma: number,
): Promise<number[]> {
  const { space, shape } = reference;
  const x = space.from(noisyStates(noisy, sigma), [noisy.count, ...shape]);
  const valuesOf = async (denoiser: Denoiser<X>) => {
    const denoised = (await denoiser.denoise(x, sigma)).mean;
    try {
      return await space.values(denoised);
    } finally {
      space.dispose(denoised);
    }
  };
  try {
    const truth = await valuesOf(reference);
    const deviations: number[] = [];
    for (const denoiser of denoisers) {
      const ours = await valuesOf(denoiser);
      let sum = 0;
      for (let i = 0; i < truth.length; i++) sum += (ours[i] - truth[i]) ** 2;
      deviations.push(sum / noisy.count);
    }
    return deviations;
  } finally {
    space.dispose(x);
  }
}

/** Checks what denoisers are compared at. */
export function checkComparison(
  { draw, label, shape }: Denoiser<unknown>,
  sigmas: readonly number[],
  count: number,
): { draw: NonNullable<Denoiser<unknown>["draw"]>; dimension: number } {
  const fall = sigmas.every((s, i) => s > 0 && s < (sigmas[i - 1] ?? Infinity));
  if (sigmas.length < 2 || !fall) {
    throw new RangeError(
      `Cannot compare denoisers over noise: received the levels [${sigmas}], wanted at least two falling ones > 0`,
    );
  }
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(
      `Cannot compare denoisers over noise: count is ${count}, wanted a whole number > 0`,
    );
  }
  if (!draw) {
    throw new RangeError(
      `Cannot compare denoisers over noise: ${label} cannot draw items, wanted one that can`,
    );
  }
  return { draw, dimension: sizeOf(shape) };
}
