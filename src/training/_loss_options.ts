/** The options of the denoising loss, and of the noise levels among them. */
import type { OptionTable } from "../base/_options.ts";

/** Options of {@linkcode denoisingLoss}. */
export interface DenoisingLossOptions {
  /** Items per step. Default 128. */
  readonly batchSize?: number;
  /** Seed of items, noise levels and noise. Default 0. */
  readonly seed?: number;
  /** The noise levels. */
  readonly levels?: NoiseLevels;
}

/** The noise levels of training, `ln σ ~ N(mean, deviation²)`. */
export interface NoiseLevels {
  /** Mean of `ln σ`. Default -1.2. */
  readonly mean?: number;
  /** Standard deviation of `ln σ`. Default 1.2. */
  readonly deviation?: number;
}

/** With their defaults. */
export const LOSS_OPTIONS = {
  batchSize: 128,
  seed: 0,
  levels: undefined,
} satisfies OptionTable<DenoisingLossOptions>;

/** With their defaults. */
export const LEVEL_OPTIONS = { mean: -1.2, deviation: 1.2 } satisfies OptionTable<NoiseLevels>;
