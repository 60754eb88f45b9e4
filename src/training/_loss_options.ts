/** The options of the denoising loss, and of the noise levels among them. */
import type { OptionTable } from "../base/_options.ts";
import type { DenoisingLossOptions, NoiseLevels } from "./denoising_loss.ts";

/** With their defaults. */
export const LOSS_OPTIONS = {
  batchSize: 128,
  seed: 0,
  levels: undefined,
} satisfies OptionTable<DenoisingLossOptions>;

/** With their defaults. */
export const LEVEL_OPTIONS = { mean: -1.2, deviation: 1.2 } satisfies OptionTable<NoiseLevels>;
