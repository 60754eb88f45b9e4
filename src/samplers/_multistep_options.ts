/** The options that all multistep samplers share. */
import type { OptionTable } from "../base/_options.ts";

/** Options of a multistep sampler. */
export interface MultistepOptions {
  /**
   * Whether the order never exceeds the number of steps that remain, so that the last is of order one. It
   * costs accuracy on fine grids and cures an instability on coarse ones. Default true.
   */
  readonly lowerOrderFinal?: boolean;
  /** Whether the last step to a positive noise level is corrected too, at the cost of one more call. Default false. */
  readonly correctLast?: boolean;
}

/** With their defaults. */
export const MULTISTEP_OPTIONS = {
  lowerOrderFinal: true,
  correctLast: false,
} satisfies OptionTable<MultistepOptions>;
