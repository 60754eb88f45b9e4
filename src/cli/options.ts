/**
 * The options of the command line: their text, their parsing, their errors.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { STEPS } from "../base/_defaults.ts";
import type { DeviceKind } from "../compute/device.ts";
import { LAYOUTS } from "../datasets/_npy_items.ts";
import type { Layout } from "../datasets/_npy_items.ts";
import { gridByName, uniformTGrid } from "../base/noise.ts";
import type { GridName, SigmaGrid } from "../base/noise.ts";
import { SAMPLER_NAMES, samplerByName, takesTolerance } from "../samplers/registry.ts";
import type { SamplerName } from "../samplers/registry.ts";
import { parseCodec } from "./codec.ts";
import type { CodecChoice } from "./codec.ts";
import { DENOISER_OPTIONS, DENOISERS, parseDenoiser } from "./denoiser_options.ts";
import type { DenoiserChoice } from "./denoiser_options.ts";
import type { SmoothingPlan } from "./smoothing_options.ts";
import { detailOf, oneOf, path, positive, UsageError, usageError, whole } from "./values.ts";

export { UsageError } from "./values.ts";

/** What the options of the command line ask for. */
export interface RunRequest extends DenoiserChoice {
  /** The data set, as `loadDataset` reads it. */
  readonly data: string;
  /** Restriction to one class, by name or number. */
  readonly class?: string;
  /** Only the first items of the data set. */
  readonly limit?: number;
  /** The order of the axes of an array of images, if it is given. */
  readonly layout?: Layout;
  /** Whether to leave the data set on disk, however small it is. */
  readonly stream: boolean;
  /** The latent space to work in, if any. */
  readonly codec?: CodecChoice;
  /** The sampler. */
  readonly sampler: SamplerName;
  /** The tolerance of the sampler, if it takes one and not its default. */
  readonly samplerTolerance?: number;
  /** Which noise levels. */
  readonly gridName: GridName;
  /** The number of steps, if it is given. */
  readonly steps?: number;
  /** The flow time to start at. */
  readonly start: number | "auto";
  /** The number of samples; with start noise from a file, its number of rows. */
  readonly count?: number;
  /** The seed. */
  readonly seed: number;
  /** The device. */
  readonly device: DeviceKind | "auto";
  /** A file of start noise. */
  readonly init?: string;
  /** The level to teleport to; absent for none. */
  readonly teleport?: "auto" | "crossing" | number;
  /** The law whose flow it follows. */
  readonly teleportLaw: (typeof LAWS)[number];
  /** The displacement that a teleport may be predicted to make, per number of a state. */
  readonly teleportTolerance: number;
  /** Whether to spend the steps that a teleport saves below it. */
  readonly respace: boolean;
  /** The folder to write to. */
  readonly out: string;
  /** Whether to replace files there that are not of an earlier run; never what is read. */
  readonly overwrite: boolean;
  /** Whether to draw the way of some samples. */
  readonly trajectory: boolean;
  /** Whether to write all arrays into one file too. */
  readonly npz: boolean;
  /** Whether to print nothing but errors. */
  readonly quiet: boolean;
  /** Whether to print the run record instead of text. */
  readonly json: boolean;
  /** The options as they were given. */
  readonly texts: OptionTexts;
}

/** What a run does, once the data are known. */
export interface RunOptions extends Omit<RunRequest, "smoothing"> {
  /** The noise levels. */
  readonly grid: SigmaGrid;
  /** The number of steps asked for. */
  readonly steps: number;
  /** The flow time to start at. */
  readonly start: number;
  /** How the denoiser is smoothed, if it is. */
  readonly smoothing?: SmoothingPlan;
}

/** The devices. */
export const DEVICES = ["auto", "webgpu", "wasm", "float64"] as const;
/** The laws whose flow a teleport can follow. */
export const LAWS = ["gaussian", "mixture"] as const;
/** The grids. */
export const GRIDS: readonly GridName[] = ["ddpm", "karras", "log-snr", "uniform-t"];

/** The options as texts, by their names. */
export type OptionTexts = Readonly<Record<string, string | true>>;

/**
 * Parses the arguments of `deno task sample`, of a run that repeats no other.
 *
 * @param args The arguments.
 * @returns What to do.
 * @throws {UsageError} If an option is unknown or its value is no good.
 */
export function parseOptions(args: readonly string[]): RunRequest {
  return optionsOf(parseTexts(args));
}

/**
 * What options ask for.
 *
 * @param texts The options.
 * @returns What to do.
 * @throws {UsageError} If a value is no good, or options do not go together.
 */
export function optionsOf(texts: OptionTexts): RunRequest {
  const values = texts as ReturnType<typeof parse>;
  const method = methods(values);
  const request: RunRequest = {
    data: values.data ?? "builtin:shapes",
    class: values.class,
    limit: whole("limit", values.limit, 1),
    layout: values.layout === undefined ? undefined : oneOf("layout", values.layout, LAYOUTS),
    stream: values.stream ?? false,
    codec: parseCodec(values.codec),
    ...method,
    ...walk(values, method.smoothing !== undefined),
    count: whole("count", values.count, 1),
    seed: whole("seed", values.seed, 0) ?? 0,
    device: oneOf("device", values.device ?? "auto", DEVICES),
    init: values.init,
    teleport: teleport(values.teleport ?? "none"),
    teleportLaw: oneOf("teleport-law", values["teleport-law"] ?? "gaussian", LAWS),
    teleportTolerance: positive("teleport-tolerance", values["teleport-tolerance"] ?? "0.02"),
    respace: values.respace ?? false,
    out: path("out", values.out ?? "out"),
    overwrite: values.overwrite ?? false,
    trajectory: values.trajectory ?? false,
    npz: values.npz ?? false,
    quiet: values.quiet ?? false,
    json: values.json ?? false,
    texts,
  };
  checkTogether(request);
  return request;
}

/** The grid, as far as the options say. */
function walk(
  { grid: name, steps: count, start: text = "0" }: ReturnType<typeof parse>,
  smoothed: boolean,
): Pick<RunRequest, "gridName" | "steps" | "start"> {
  const gridName = oneOf("grid", name ?? (smoothed ? "uniform-t" : "ddpm"), GRIDS);
  const steps = whole("steps", count, 1);
  const start = text === "auto" ? text : Number(text);
  if (text.trim() === "" || !(start === "auto" || start === 0 || start >= 1e-9 && start < 1)) {
    throw new UsageError(
      `Cannot use --start ${text}: wanted auto, 0 or a flow time from 1e-9 to below 1`,
    );
  }
  if (start !== 0 && gridName !== "uniform-t") {
    throw new UsageError(
      `Cannot use --start ${text} with --grid ${gridName}: wanted --grid uniform-t`,
    );
  }
  if (start === "auto" && !smoothed) {
    throw new UsageError(
      "Cannot use --start auto with a denoiser that is not smoothed: wanted a flow time from 0 to below 1",
    );
  }
  // A number of steps that is given must do for the grid, before any data are read.
  gridOf(gridName, steps ?? STEPS[gridName], start === "auto" ? 0.5 : start);
  return { gridName, steps, start };
}

/** Denoisers that need images, which latents are not. */
const OF_IMAGES: readonly string[] = ["local", "equivariant", "golden-local"];

function checkTogether({ teleport, start, codec, stream, denoiser, texts }: RunRequest): void {
  if (teleport === undefined && texts["teleport-law"] !== undefined) {
    throw new UsageError("Cannot use --teleport-law without --teleport: wanted auto or a level");
  }
  if (teleport !== undefined && start !== 0) {
    throw new UsageError(
      "Cannot use --teleport with --start: both leave the first steps out, wanted one of them",
    );
  }
  if (codec && stream) {
    throw new UsageError("Cannot use --codec with --stream: wanted data in memory");
  }
  if (codec && OF_IMAGES.includes(denoiser)) {
    throw new UsageError(
      `Cannot use --codec with --denoiser ${denoiser}: latents are no images, wanted one of ${
        DENOISERS.filter((name) => !OF_IMAGES.includes(name)).join(", ")
      }`,
    );
  }
}

const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;
/** The options, as `node:util` parses them. */
export const OPTIONS = {
  data: TEXT,
  class: TEXT,
  limit: TEXT,
  layout: TEXT,
  stream: FLAG,
  codec: TEXT,
  ...DENOISER_OPTIONS,
  sampler: TEXT,
  "sampler-tolerance": TEXT,
  grid: TEXT,
  steps: TEXT,
  start: TEXT,
  count: TEXT,
  seed: TEXT,
  init: TEXT,
  device: TEXT,
  teleport: TEXT,
  "teleport-law": TEXT,
  "teleport-tolerance": TEXT,
  respace: FLAG,
  out: TEXT,
  overwrite: FLAG,
  trajectory: FLAG,
  npz: FLAG,
  from: TEXT,
  quiet: FLAG,
  json: FLAG,
  help: FLAG,
} as const;

/**
 * The options that arguments give, unchecked but for their names.
 *
 * @param args The arguments.
 * @returns Their texts.
 * @throws {UsageError} If one is unknown, or lacks its value.
 */
export function parseTexts(args: readonly string[]): OptionTexts {
  return { ...parse(args) } as OptionTexts;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw usageError(error, Object.keys(OPTIONS));
  }
}

function teleport(text: string): RunRequest["teleport"] {
  if (text === "none") return undefined;
  if (text === "auto" || text === "crossing") return text;
  if (text.trim() === "" || !(Number(text) > 0 && Number(text) < Infinity)) {
    throw new UsageError(
      `Cannot use --teleport ${text}: wanted auto, crossing, none or a number > 0`,
    );
  }
  return Number(text);
}

/** Denoiser and sampler. */
function methods(
  values: ReturnType<typeof parse>,
): DenoiserChoice & Pick<RunOptions, "sampler" | "samplerTolerance"> {
  const { sampler: name = "ddim", "sampler-tolerance": tolerance, ...others } = values;
  return { ...parseDenoiser(others), ...sampler(name, tolerance) };
}

function sampler(
  name: string,
  text: string | undefined,
): Pick<RunOptions, "sampler" | "samplerTolerance"> {
  oneOf("sampler", name, SAMPLER_NAMES);
  if (text === undefined) return { sampler: name as SamplerName };
  const tolerance = positive("sampler-tolerance", text);
  if (!takesTolerance(name)) {
    const takers = SAMPLER_NAMES.filter(takesTolerance).join(", ");
    throw new UsageError(
      `Cannot use --sampler-tolerance with --sampler ${name}: wanted one of ${takers}`,
    );
  }
  try {
    samplerByName(name, { tolerance });
  } catch (error) {
    throw new UsageError(
      `Cannot use --sampler-tolerance ${text}: ${detailOf(error as RangeError)}`,
    );
  }
  return { sampler: name as SamplerName, samplerTolerance: tolerance };
}

/**
 * A grid.
 *
 * @param start The flow time that it starts at, of `uniform-t` only.
 * @throws {UsageError} If there is none with so many steps.
 */
export function gridOf(name: GridName, steps: number, start: number): SigmaGrid {
  try {
    return name === "uniform-t" ? uniformTGrid(steps, { start }) : gridByName(name, steps);
  } catch (error) {
    throw new UsageError(
      `Cannot use --steps ${steps} with --grid ${name}: ${detailOf(error as RangeError)}`,
    );
  }
}
