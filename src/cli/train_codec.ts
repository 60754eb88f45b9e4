/**
 * Trains the autoencoder of a data set, for `--codec autoencoder:FILE`.
 *
 * ```sh
 * deno task train:codec --data mnist:PATH --out mnist.safetensors
 * deno task sample --data mnist:PATH --codec autoencoder:mnist.safetensors --denoiser smoothed
 * ```
 *
 * Exit codes as of `deno task sample`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { visible } from "../base/_escape.ts";
import { checkWritable } from "../base/_temporary_file.ts";
import { decodeAutoencoder, encodeAutoencoder } from "../codecs/autoencoder_codec.ts";
import { trainAutoencoder } from "../codecs/autoencoder.ts";
import type { AutoencoderOptions } from "../codecs/autoencoder.ts";
import { LAYOUTS } from "../datasets/_npy_items.ts";
import { loadDataset } from "../datasets/load.ts";
import { DatasetError } from "../base/errors.ts";
import { writeWhole } from "../training/checkpoint.ts";
import { complain } from "./complain.ts";
import { runCommand } from "./interrupt.ts";
import { telling } from "./data.ts";
import { Inputs } from "./inputs.ts";
import { seconds } from "./progress.ts";
import { oneOf, path, positive, UsageError, usageError, whole } from "./values.ts";

/** The text of `--help`. */
export const HELP: string = `Trains an autoencoder, for deno task sample --codec autoencoder:FILE.

  --data SPEC       the data set, as of deno task sample [builtin:shapes]
  --limit N         its first N items only [all]
  --layout NAME     the axes of its images, as of deno task sample
  --out FILE        where to, in place of an earlier autoencoder [codec.safetensors]
  --overwrite       also in place of another file; never of what is read
  --latents R       numbers per latent [32]
  --components K    principal components that the network sees [256]
  --width H         hidden neurons [512]
  --stability S     how much enlarging small noise counts, > 0 [0.1]
  --steps N         steps of 128 items [3000]
  --seed N          seed of first weights and items [0]
  --quiet           print nothing but errors
  --help            this
`;

/** The largest autoencoder. */
const MOST_BYTES = 2 ** 31;

const TEXT = { type: "string" } as const, FLAG = { type: "boolean" } as const;
const OPTIONS = {
  ...{
    data: TEXT,
    limit: TEXT,
    layout: TEXT,
    out: TEXT,
    latents: TEXT,
    components: TEXT,
    width: TEXT,
  },
  ...{
    stability: TEXT,
    steps: TEXT,
    seed: TEXT,
    overwrite: FLAG,
    quiet: FLAG,
    help: { ...FLAG, short: "h" },
  },
};

/**
 * Runs the command.
 *
 * @param args The arguments, as in `Deno.args`.
 * @param signal Interrupts the run, which then leaves no file.
 * @returns The exit code: 0 done, 1 a failure while running, 2 options or data that cannot be used, 130 interrupted.
 *
 * @example
 * ```ts ignore
 * Deno.exit(await main(["--data", "tiny-shapes:500", "--out", "codec.safetensors"]));
 * ```
 */
export async function main(args: readonly string[], signal?: AbortSignal): Promise<number> {
  try {
    const values = parse(args);
    if (values.help) console.log(HELP.trimEnd());
    else await train(values, signal);
    return 0;
  } catch (error) {
    // Values out of range are the user's as well.
    const unusable = error instanceof RangeError || error instanceof DatasetError;
    return complain(error, unusable, signal);
  }
}

function parse(args: readonly string[]): ReturnType<typeof parseStrictly> {
  try {
    return parseStrictly(args);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw usageError(error, Object.keys(OPTIONS));
  }
}

function parseStrictly(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS }).values;
}

async function train(
  values: ReturnType<typeof parseStrictly>,
  signal?: AbortSignal,
): Promise<void> {
  const say = (line: string) => values.quiet || console.error(visible(line));
  const options = optionsOf(values);
  const limit = whole("limit", values.limit, 1);
  const file = path("out", values.out ?? "codec.safetensors");
  await checkOutput(file, values);
  const dataset = await loadDataset(values.data ?? "builtin:shapes", {
    limit,
    layout: values.layout === undefined ? undefined : oneOf("layout", values.layout, LAYOUTS),
    signal,
    ...telling(say),
  });
  say(`${dataset.summary()}; first its principal components`);
  let told = performance.now();
  const trained = await trainAutoencoder(dataset, {
    ...options,
    signal,
    onStep({ step, steps, loss, remaining }) {
      if (step < steps && performance.now() - told < 5000) return;
      told = performance.now();
      say(`step ${step}/${steps}, loss ${loss.toPrecision(3)}, ${seconds(remaining)} left`);
    },
  });
  await writeWhole(file, encodeAutoencoder(trained));
  say(`${trained.latentDimension} latents for ${dataset.dimension} numbers: ${file}`);
}

/** Refuses a file to write to that is read, or that is not of an earlier training. */
async function checkOutput(
  file: string,
  { data, overwrite }: ReturnType<typeof parseStrictly>,
): Promise<void> {
  await new Inputs({ ...(data !== undefined && { data }) }).check(file);
  const there = await Deno.lstat(file).catch(() => undefined);
  const own = there?.isFile && there.size <= MOST_BYTES && await isAutoencoder(file);
  if (there?.isDirectory || there && !own && !overwrite) {
    throw new UsageError(
      `Cannot write ${file}: ${there.isDirectory ? "a folder" : "a file"} is there that is no ` +
        `autoencoder, wanted another --out${there.isDirectory ? "" : ", or --overwrite"}`,
    );
  }
  await checkWritable(file);
}

async function isAutoencoder(file: string): Promise<boolean> {
  try {
    decodeAutoencoder(await Deno.readFile(file), file);
    return true;
  } catch (error) {
    if (error instanceof DatasetError) return false;
    throw error;
  }
}

function optionsOf(values: ReturnType<typeof parseStrictly>): AutoencoderOptions {
  const given = {
    latentDimension: whole("latents", values.latents, 1),
    components: whole("components", values.components, 1),
    width: whole("width", values.width, 1),
    stability: values.stability === undefined ? undefined : positive("stability", values.stability),
    steps: whole("steps", values.steps, 1),
    seed: whole("seed", values.seed, 0),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

if (import.meta.main) {
  await runCommand((signal) => main(Deno.args, signal));
}
