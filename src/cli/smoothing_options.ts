/**
 * The options of the command line that smooth a denoiser.
 *
 * @module
 */
import type { DrawKind } from "../denoisers/smoothed.ts";
import { oneOf, UsageError, whole } from "./values.ts";
import type { SmoothingDefaults } from "../denoisers/smoothing_defaults.ts";

/** How a run smooths, and what of the data decided it. */
export interface SmoothingPlan {
  /** The bandwidth; of Gumbel draws, the variance. */
  readonly bandwidth: number;
  /** The number of draws. */
  readonly draws: number;
  /** The kind of the draws. */
  readonly drawKind: DrawKind;
  /** Nearest and random items of each query, instead of all items. */
  readonly neighbours?: SmoothingChoice["neighbours"];
  /** The flow time that the run starts at. */
  readonly start: number;
  /** What was measured on the data, if anything had to be. */
  readonly measured?: Pick<SmoothingDefaults, "gap" | "spacing" | "dimension" | "neighbourly">;
}

/** The kinds of draws. */
export const DRAW_KINDS: readonly DrawKind[] = ["fixed", "fresh", "antithetic", "gumbel"];

/** How a denoiser is smoothed. */
export interface SmoothingChoice {
  /** The bandwidth; of Gumbel draws, the variance. */
  readonly bandwidth: number | "auto";
  /** The number of draws, if it is not the default. */
  readonly draws?: number;
  /** The kind of the draws. */
  readonly drawKind: DrawKind;
  /** Nearest and random items of each query, instead of all items. */
  readonly neighbours?: {
    /** Nearest items. */
    readonly neighbours: number;
    /** Random others; as many as nearest ones, if it is not given. */
    readonly others?: number;
  };
}

const TEXT = { type: "string" } as const;

/** The options of smoothing and of the baselines beside it, as `node:util` parses them. */
export const SMOOTHING_OPTIONS = {
  bandwidth: TEXT,
  draws: TEXT,
  "draw-kind": TEXT,
  neighbours: TEXT,
  concentration: TEXT,
} as const;

/**
 * Parses the options that smooth; which of them go with a denoiser is checked elsewhere.
 *
 * @param denoiser The denoiser they are given with.
 * @param text The text of an option.
 * @returns The choice; nothing if the denoiser is not smoothed.
 * @throws {UsageError} If a value is no good, or options do not go together.
 */
export function parseSmoothing(
  denoiser: string,
  text: (name: string) => string | undefined,
): SmoothingChoice | undefined {
  if (denoiser !== "smoothed") return undefined;
  const drawKind = oneOf("draw-kind", text("draw-kind") ?? "fixed", DRAW_KINDS);
  const draws = whole("draws", text("draws"), 1);
  if (drawKind === "antithetic" && draws !== undefined && draws % 2 === 1) {
    throw new UsageError(
      `Cannot use --draws ${draws} with --draw-kind antithetic: they come in pairs, wanted an even number`,
    );
  }
  const neighbours = text("neighbours");
  if (drawKind === "gumbel" && neighbours !== undefined) {
    throw new UsageError(
      "Cannot use --neighbours with --draw-kind gumbel: its draws weigh all items, wanted another kind",
    );
  }
  return {
    bandwidth: bandwidthOf(text("bandwidth") ?? "auto"),
    ...(draws !== undefined && { draws }),
    drawKind,
    ...(neighbours !== undefined && { neighbours: counts(neighbours) }),
  };
}

/**
 * Parses a bandwidth.
 *
 * @throws {UsageError} If it is no number >= 0, nor `auto`.
 */
export function bandwidthOf(text: string): number | "auto" {
  if (text === "auto") return "auto";
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value < Infinity)) {
    throw new UsageError(`Cannot use --bandwidth ${text}: wanted auto or a number >= 0`);
  }
  return value;
}

function counts(text: string): { neighbours: number; others?: number } {
  const [nearest, others, ...rest] = text.split(",");
  if (rest.length > 0) {
    throw new UsageError(`Cannot use --neighbours ${text}: wanted one or two numbers like 50,50`);
  }
  const K = whole("neighbours", nearest, 1)!;
  const L = whole("neighbours", others, 0);
  return { neighbours: K, ...(L !== undefined && { others: L }) };
}
