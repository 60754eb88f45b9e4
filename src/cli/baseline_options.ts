/**
 * The options of the command line that belong to baselines: new points without a flow.
 *
 * @module
 */
import { bandwidthOf } from "./smoothing_options.ts";
import { positive, whole } from "./values.ts";

/** The baselines, by name. */
export const BASELINES = [
  "random-average",
  "local-average",
  "dirichlet",
  "kernel-density",
] as const;

/** How a baseline is made. */
export interface BaselineChoice {
  /** Items that are averaged. */
  readonly draws?: number;
  /** Nearest items among which they are picked. */
  readonly neighbours?: number;
  /** Concentration of the weights of all items. */
  readonly concentration?: number;
  /** Bandwidth of the kernel. */
  readonly bandwidth?: number | "auto";
}

/**
 * Parses the options of a baseline; which of them it takes is checked elsewhere.
 *
 * @param denoiser The denoiser they are given with.
 * @param text The text of an option.
 * @returns The choice; nothing if the denoiser is no baseline.
 * @throws {UsageError} If a value is no good.
 */
export function parseBaseline(
  denoiser: string,
  text: (name: string) => string | undefined,
): BaselineChoice | undefined {
  if (!(BASELINES as readonly string[]).includes(denoiser)) return undefined;
  const draws = whole("draws", text("draws"), 1);
  const neighbours = whole("neighbours", text("neighbours"), 0);
  const concentration = text("concentration");
  return {
    ...(draws !== undefined && { draws }),
    ...(neighbours !== undefined && { neighbours }),
    ...(concentration !== undefined && {
      concentration: positive("concentration", concentration),
    }),
    ...(denoiser === "kernel-density" && { bandwidth: bandwidthOf(text("bandwidth") ?? "auto") }),
  };
}
