/**
 * The options of the command line: their text, their parsing, their errors.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { DeviceKind } from "../compute/device.ts";
import { DATASET_SPECS } from "../datasets/load.ts";
import { gridByName } from "../noise.ts";
import type { SigmaGrid } from "../noise.ts";
import { SAMPLER_NAMES, samplerByName, takesTolerance } from "../samplers/registry.ts";
import type { SamplerName } from "../samplers/registry.ts";
import { DENOISER_HELP, DENOISER_OPTIONS, parseDenoiser } from "./denoiser_options.ts";
import type { DenoiserChoice } from "./denoiser_options.ts";
import { oneOf, positive, UsageError, whole } from "./values.ts";

export { UsageError } from "./values.ts";

/** What a run of the command line does. */
export interface RunOptions extends DenoiserChoice {
  /** The data set, as `loadDataset` reads it. */
  readonly data: string;
  /** Restriction to one class, by name or number. */
  readonly class?: string;
  /** Only the first items of the data set. */
  readonly limit?: number;
  /** Whether to leave the data set on disk, however small it is. */
  readonly stream: boolean;
  /** The sampler. */
  readonly sampler: SamplerName;
  /** The tolerance of the sampler, if it takes one and not its default. */
  readonly tolerance?: number;
  /** The noise levels. */
  readonly grid: SigmaGrid;
  /** The number of steps asked for. */
  readonly steps: number;
  /** The number of samples; with start noise from a file, its number of rows. */
  readonly count?: number;
  /** The seed. */
  readonly seed: number;
  /** The device. */
  readonly device: DeviceKind | "auto";
  /** A file of start noise. */
  readonly init?: string;
  /** The level to teleport to; absent for none. */
  readonly teleport?: "auto" | number;
  /** The displacement that a teleport may be predicted to make, per number of a state. */
  readonly teleportTolerance: number;
  /** Whether to spend the steps that a teleport saves below it. */
  readonly respace: boolean;
  /** The folder to write to. */
  readonly out: string;
  /** Whether to draw the way of some samples. */
  readonly trajectory: boolean;
  /** Whether to print nothing but errors. */
  readonly quiet: boolean;
  /** Whether to print the run record instead of text. */
  readonly json: boolean;
}

const DEVICES = ["auto", "webgpu", "wasm", "reference"] as const;
const GRIDS = ["ddpm", "karras", "log-snr", "uniform-t"];

/** The text of `--help`. */
export const HELP = `Draws samples from a data set, by its closed-form diffusion: no training.

Usage: deno task sample [options]

  --data SPEC       the data set                                 [builtin:shapes]
                    ${wrap(DATASET_SPECS)}
  --class NAME      only one class, by name or number
  --limit N         only the first N items
  --stream          leave the data of npy:FILE on disk; above 1 GiB this happens by itself
${DENOISER_HELP}
  --sampler NAME    the numerical method                         [ddim]
                    ${wrap(SAMPLER_NAMES)}
  --tolerance T     of ${SAMPLER_NAMES.filter(takesTolerance).join(", ")}: relative error
  --grid NAME       ${GRIDS.join(" | ").padEnd(45)}[ddpm]
  --steps N         steps down the grid                          [10]
  --count N         samples                                      [64]
  --seed N          seed of the start noise                      [0]
  --init FILE.npy   start noise of unit variance instead of the seed: float32, one row per sample
  --device NAME     ${DEVICES.join(" | ").padEnd(45)}[auto]
  --teleport LEVEL  auto | SIGMA | none: go to this noise level in closed form, as if the
                    data were Gaussian; auto takes the lowest that is safe  [none]
  --teleport-tolerance T  displacement that this may make, per number     [0.02]
  --respace         spend the steps that this saves below the level
  --out DIR         where to write samples.png, samples.npy, run.json  [out]
  --trajectory      also write trajectory.png, the way of the first samples
  --quiet           print nothing but errors
  --json            print the run record instead of text
  --help            print this

Examples:
  deno task sample --data mnist:PATH --class 3 --grid karras --steps 18
  deno task sample --data images:my-photos --count 16 --seed 1 --out mine
`;

function wrap(words: readonly string[]): string {
  let line = "";
  const lines: string[] = [];
  for (const word of words) {
    if (line.length + word.length > 64) {
      lines.push(line);
      line = "";
    }
    line += (line || lines.length === 0 ? (line ? " | " : "") : "| ") + word;
  }
  return [...lines, line].join("\n                    ");
}

/**
 * Parses the arguments of `deno task sample`.
 *
 * @param args The arguments.
 * @returns What to do, or `"help"`.
 * @throws {UsageError} If an option is unknown or its value is no good.
 */
export function parseOptions(args: readonly string[]): RunOptions | "help" {
  const values = parse(args);
  if (values.help) return "help";
  const steps = whole("steps", values.steps, 1) ?? 10;
  return {
    data: values.data ?? "builtin:shapes",
    class: values.class,
    limit: whole("limit", values.limit, 1),
    stream: values.stream ?? false,
    ...methods(values),
    grid: grid(values.grid ?? "ddpm", steps),
    steps,
    count: whole("count", values.count, 1),
    seed: whole("seed", values.seed, 0) ?? 0,
    device: oneOf("device", values.device ?? "auto", DEVICES),
    init: values.init,
    teleport: teleport(values.teleport ?? "none"),
    teleportTolerance: positive("teleport-tolerance", values["teleport-tolerance"] ?? "0.02"),
    respace: values.respace ?? false,
    out: values.out ?? "out",
    trajectory: values.trajectory ?? false,
    quiet: values.quiet ?? false,
    json: values.json ?? false,
  };
}

const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;
const OPTIONS = {
  data: TEXT,
  class: TEXT,
  limit: TEXT,
  stream: FLAG,
  ...DENOISER_OPTIONS,
  sampler: TEXT,
  tolerance: TEXT,
  grid: TEXT,
  steps: TEXT,
  count: TEXT,
  seed: TEXT,
  init: TEXT,
  device: TEXT,
  teleport: TEXT,
  "teleport-tolerance": TEXT,
  respace: FLAG,
  out: TEXT,
  trajectory: FLAG,
  quiet: FLAG,
  json: FLAG,
  help: FLAG,
} as const;

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const names = Object.keys(OPTIONS).map((name) => `--${name}`).join(", ");
    const known = (error as { code?: string }).code !== "ERR_PARSE_ARGS_UNKNOWN_OPTION";
    const problem = error.message.split(/\. |\n/)[0].replace(/\.$/, "");
    throw new UsageError(known ? `${problem}; see --help` : `${problem}, wanted one of ${names}`);
  }
}

function teleport(text: string): "auto" | number | undefined {
  if (text === "none") return undefined;
  if (text === "auto") return "auto";
  if (text.trim() === "" || !(Number(text) > 0 && Number(text) < Infinity)) {
    throw new UsageError(`Cannot use --teleport ${text}: wanted auto, none or a number > 0`);
  }
  return Number(text);
}

/** Denoiser and sampler; a tolerance is the sampler's if it takes one, else that of a golden subset. */
function methods(
  values: ReturnType<typeof parse>,
): DenoiserChoice & Pick<RunOptions, "sampler" | "tolerance"> {
  const { denoiser = "optimal", sampler: name = "ddim", tolerance, ...others } = values;
  const golden = denoiser.startsWith("golden");
  if (!golden) return { ...parseDenoiser({ denoiser, ...others }), ...sampler(name, tolerance) };
  if (tolerance !== undefined && takesTolerance(name)) {
    throw new UsageError(
      `Cannot use --tolerance ${tolerance} with --denoiser ${denoiser} and --sampler ${name}: both take one, wanted another sampler`,
    );
  }
  return { ...parseDenoiser({ denoiser, tolerance, ...others }), ...sampler(name, undefined) };
}

function sampler(
  name: string,
  text: string | undefined,
): Pick<RunOptions, "sampler" | "tolerance"> {
  oneOf("sampler", name, SAMPLER_NAMES);
  if (text === undefined) return { sampler: name as SamplerName };
  const tolerance = positive("tolerance", text);
  try {
    samplerByName(name, { tolerance });
  } catch (error) {
    throw new UsageError(
      `Cannot use --tolerance ${text}: ${(error as RangeError).message}, and --denoiser golden`,
    );
  }
  return { sampler: name as SamplerName, tolerance };
}

function grid(name: string, steps: number): SigmaGrid {
  oneOf("grid", name, GRIDS);
  try {
    return gridByName(name, steps);
  } catch (error) {
    throw new UsageError(`Cannot use --steps ${steps}: ${(error as RangeError).message}`);
  }
}
