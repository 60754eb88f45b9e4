/**
 * The options of the command line that choose a denoiser.
 *
 * @module
 */
import { PATCH_TABLES } from "../denoisers/local/patch_schedule.ts";
import type { Patch } from "../denoisers/local/patch_schedule.ts";
import { publishedTheta } from "../denoisers/local/pca_locality.ts";
import type { ThetaName } from "../denoisers/local/pca_locality.ts";
import type { ScheduleName, SizeRange, SizesName } from "../denoisers/golden/schedule.ts";
import { BASELINES, parseBaseline } from "./baseline_options.ts";
import type { BaselineChoice } from "./baseline_options.ts";
import { parseSmoothing, SMOOTHING_OPTIONS } from "./smoothing_options.ts";
import type { SmoothingChoice } from "./smoothing_options.ts";
import { detailOf, oneOf, positive, UsageError, whole } from "./values.ts";

/** The denoisers, by name. */
export const DENOISERS = [
  "optimal",
  "wiener",
  "local",
  "equivariant",
  "pca",
  "mixture",
  "golden",
  "golden-pca",
  "golden-local",
  "smoothed",
  ...BASELINES,
] as const;

/** How the sizes of a golden subset follow the noise level. */
export const SCHEDULES: readonly ScheduleName[] = ["described", "random-pool", "random"];
/** How the candidates of a golden subset are found. */
export const PROXIES = ["pooled", "pca", "exact"] as const;

/** How a golden subset is chosen. */
export interface SubsetChoice {
  /** Its size, the range of it over the noise levels, or the name of published sizes. */
  readonly k?: SizeRange | SizesName;
  /** The number of candidates, or its range. */
  readonly m?: SizeRange;
  /** How candidates are found. */
  readonly proxy?: (typeof PROXIES)[number];
  /** How sizes follow the noise level. */
  readonly schedule?: ScheduleName;
  /** False for the nearest items alone, without a sample of all others. */
  readonly tail?: boolean;
  /** Tiles per side that have subsets of their own. */
  readonly tiles?: number;
  /** Instead of sizes, the error of the final image that is allowed. */
  readonly tolerance?: number;
}

/** How a mixture is fitted. */
export interface MixtureChoice {
  /** How many components, or one per class. */
  readonly components?: number | "classes";
  /** Directions of each component. */
  readonly rank?: number;
}

/** What weights per pixel look at. */
export interface PixelChoice {
  /** The side of windows, or the name of a published table of them. */
  readonly windows?: Patch;
  /** The threshold of masks, or the name of a published one. */
  readonly theta?: number | ThetaName;
}

/** A denoiser and its options. */
export interface DenoiserChoice {
  /** Which one. */
  readonly denoiser: (typeof DENOISERS)[number];
  /** How its golden subset is chosen, if it has one. */
  readonly subset: SubsetChoice;
  /** What its weights per pixel look at, if it has some. */
  readonly pixels: PixelChoice;
  /** How its mixture is fitted, if it is one. */
  readonly mixture: MixtureChoice;
  /** How it is smoothed, if it is. */
  readonly smoothing?: SmoothingChoice;
  /** How it is made, if it is a baseline. */
  readonly baseline?: BaselineChoice;
}

const TEXT = { type: "string" } as const;

/** The options, as `node:util` parses them. */
export const DENOISER_OPTIONS = {
  denoiser: TEXT,
  k: TEXT,
  m: TEXT,
  proxy: TEXT,
  schedule: TEXT,
  "no-tail": { type: "boolean" },
  tiles: TEXT,
  windows: TEXT,
  theta: TEXT,
  components: TEXT,
  rank: TEXT,
  tolerance: TEXT,
  ...SMOOTHING_OPTIONS,
} as const;

/** Their texts. */
type Values = {
  readonly [name in keyof typeof DENOISER_OPTIONS | "teleport-law"]?: string | boolean;
};

/**
 * Parses the options that choose a denoiser.
 *
 * @param values Their texts.
 * @returns The choice.
 * @throws {UsageError} If a value is no good, or options do not go together.
 */
export function parseDenoiser(values: Values): DenoiserChoice {
  const text = (name: keyof Values) => values[name] as string | undefined;
  const denoiser = oneOf("denoiser", text("denoiser") ?? "optimal", DENOISERS);
  const given = (["tolerance", "k", "m", "proxy", "schedule", "no-tail", "tiles"] as const)
    .filter((name) => values[name] !== undefined);
  if (given.length > 0 && !denoiser.startsWith("golden")) {
    if (given[0] === "tolerance") {
      throw new UsageError(
        `Cannot use --tolerance with --denoiser ${denoiser}: it is that of a golden subset, wanted --denoiser golden, or --sampler-tolerance`,
      );
    }
    throw new UsageError(
      `Cannot use --${
        given[0]
      } with --denoiser ${denoiser}: wanted golden, golden-pca or golden-local`,
    );
  }
  const fitted = (["components", "rank"] as const).find((name) => values[name] !== undefined);
  if (fitted && denoiser !== "mixture" && values["teleport-law"] !== "mixture") {
    throw new UsageError(
      `Cannot use --${fitted} with --denoiser ${denoiser}: wanted mixture, or --teleport-law mixture`,
    );
  }
  if (values.tolerance !== undefined && denoiser !== "golden") {
    throw new UsageError(
      `Cannot use --tolerance with --denoiser ${denoiser}: no bound holds for weights that differ from pixel to pixel, wanted golden`,
    );
  }
  if (values.tolerance !== undefined && given.length > 1) {
    throw new UsageError(
      `Cannot use --tolerance with --${given[1]}: it chooses the items itself, wanted one of them`,
    );
  }
  if (values.tiles !== undefined) checkTiles(denoiser, given);
  const tolerance = text("tolerance"), proxy = text("proxy"), schedule = text("schedule");
  const k = text("k") === "afhq" ? "afhq" : size("k", text("k")), m = size("m", text("m"));
  const windows = windowsOf(text("windows")), theta = thetaOf(text("theta"));
  const components = text("components"), rank = text("rank");
  checkTaken(denoiser, values);
  const plain = (name: string) => text(name as keyof Values);
  const smoothing = parseSmoothing(denoiser, plain), baseline = parseBaseline(denoiser, plain);
  return {
    denoiser,
    ...(smoothing && { smoothing }),
    ...(baseline && { baseline }),
    pixels: { ...(windows !== undefined && { windows }), ...(theta !== undefined && { theta }) },
    mixture: {
      ...(components !== undefined && {
        components: components === "classes" ? components : whole("components", components, 1),
      }),
      ...(rank !== undefined && { rank: whole("rank", rank, 0) }),
    },
    subset: {
      ...(k !== undefined && { k }),
      ...(m !== undefined && { m }),
      ...(proxy !== undefined && { proxy: oneOf("proxy", proxy, PROXIES) }),
      ...(schedule !== undefined && { schedule: oneOf("schedule", schedule, SCHEDULES) }),
      ...(values["no-tail"] && { tail: false }),
      ...(values.tiles !== undefined && { tiles: whole("tiles", text("tiles"), 1) }),
      ...(tolerance !== undefined && { tolerance: positive("tolerance", tolerance) }),
    },
  };
}

/** Which denoisers take the options of windows and masks, of smoothing and of baselines. */
const TAKEN_BY: Readonly<
  Record<keyof typeof SMOOTHING_OPTIONS | "windows" | "theta", readonly string[]>
> = {
  windows: ["local", "equivariant", "golden-local"],
  theta: ["pca", "golden-pca"],
  bandwidth: ["smoothed", "kernel-density"],
  draws: ["smoothed", "random-average", "local-average"],
  "draw-kind": ["smoothed"],
  neighbours: ["smoothed", "local-average"],
  concentration: ["dirichlet"],
};

function checkTaken(denoiser: string, values: Values): void {
  for (const [name, takers] of Object.entries(TAKEN_BY)) {
    if (values[name as keyof Values] === undefined || takers.includes(denoiser)) continue;
    throw new UsageError(
      `Cannot use --${name} with --denoiser ${denoiser}: wanted --denoiser ${takers.join(" or ")}`,
    );
  }
}

function checkTiles(denoiser: string, given: readonly string[]): void {
  if (denoiser === "golden") {
    throw new UsageError(
      "Cannot use --tiles with --denoiser golden: its weights are those of whole images, wanted golden-pca or golden-local",
    );
  }
  const clash = given.find((name) => name !== "tiles" && name !== "k");
  if (clash) {
    throw new UsageError(
      `Cannot use --tiles with --${clash}: tiles are searched exactly, wanted --k alone`,
    );
  }
}

/** The side of windows, or the name of a table. */
function windowsOf(text: string | undefined): Patch | undefined {
  const name = PATCH_TABLES.find((table) => table === text);
  if (text === undefined || name) return name;
  const side = Number(text);
  if (/^\d+$/.test(text) && side % 2 === 1 && side <= Number.MAX_SAFE_INTEGER) return side;
  throw new UsageError(
    `Cannot use --windows ${text}: wanted an odd number of pixels, or one of ${
      PATCH_TABLES.join(", ")
    }`,
  );
}

/** The threshold of masks, or the name of a published one. */
function thetaOf(text: string | undefined): PixelChoice["theta"] {
  if (text === undefined) return undefined;
  const theta = Number(text);
  if (text.trim() !== "" && theta >= 0 && theta <= 1) return theta;
  try {
    publishedTheta(text as ThetaName);
    return text as ThetaName;
  } catch (error) {
    throw new UsageError(
      `Cannot use --theta ${text}: ${
        detailOf(error as RangeError).replace("wanted", "wanted a number from 0 to 1, or")
      }`,
    );
  }
}

/** A number of items, or a range like 100..200. */
function size(name: string, text: string | undefined): SizeRange | undefined {
  if (text === undefined) return undefined;
  const [least, most, ...rest] = text.split("..");
  if (most === undefined) return whole(name, least, 1);
  const range = [whole(name, least, 1)!, whole(name, most, 1)!] as const;
  if (rest.length > 0 || range[0] > range[1]) {
    throw new UsageError(
      `Cannot use --${name} ${text}: wanted a number or a rising range like 100..200`,
    );
  }
  return range;
}
