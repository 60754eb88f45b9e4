/** The options that all multistep samplers share. */
import type { OptionTable } from "../base/_options.ts";
import type { MultistepOptions } from "./multistep.ts";

/** With their defaults. */
export const MULTISTEP_OPTIONS = {
  lowerOrderFinal: true,
  correctLast: false,
} satisfies OptionTable<MultistepOptions>;
