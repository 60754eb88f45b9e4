/**
 * The texts of `--help`, a screen per topic.
 *
 * @module
 */
import { COUNT, DRAWS, STEPS } from "../base/_defaults.ts";
import { DATASET_SPECS } from "../datasets/load.ts";
import { DEFAULT_WINDOWS, PATCH_TABLES } from "../denoisers/local/patch_schedule.ts";
import { DEFAULT_THETA } from "../denoisers/local/pca_locality.ts";
import { SAMPLER_NAMES, takesTolerance } from "../samplers/registry.ts";
import { CODEC_SPECS } from "./codec.ts";
import { DENOISERS, PROXIES, SCHEDULES } from "./denoiser_options.ts";
import { DEVICES, GRIDS, LAWS } from "./options.ts";
import { OPTION_FIELDS, RECORD_FIELDS, RESULT_FIELDS } from "./record_fields.ts";
import type { RecordField } from "./record_fields.ts";
import { DRAW_KINDS } from "./smoothing_options.ts";
import { PERMISSIONS, VARIABLES } from "./permissions.ts";
import { UsageError } from "./values.ts";

/** The steps of each grid, those that most of them have last. */
const GRID_STEPS = `ddpm ${STEPS.ddpm}, karras ${STEPS.karras}, others ${STEPS["log-snr"]}`;

const MAIN = `Draws samples from a data set, by its closed-form diffusion: no training.

Usage: deno task sample [options]

  --data SPEC       the data set, see --help data                [builtin:shapes]
  --denoiser NAME   what takes noise away, see --help denoisers  [optimal]
  --codec SPEC      work in latents of the data, see --help data [none]
  --sampler NAME    the numerical method, see --help samplers    [ddim]
  --grid NAME       ${names(GRIDS, 45)}[ddpm; smoothed: uniform-t]
  --steps N         steps down the grid  [${GRID_STEPS}; smoothed: from the data]
  --count N         samples                                      [${COUNT}]
  --seed N          seed of the start noise                      [0]
  --init FILE.npy   start noise of unit variance instead of the seed: float32, one row per sample,
                    of the shape of the data or flat
  --device NAME     ${names(DEVICES, 45)}[auto]
  --out DIR         where to write samples.png, samples.npy, run.json, and of points in
                    space samples.ply, in place of an earlier run  [out]
  --overwrite       also in place of other files of these names; never of what is read
  --npz             also write samples.npz: samples, what was last denoised, latents, and with
                    --trajectory all states
  --trajectory      also write trajectory.png, the way of the first samples
  --from RUN.json   repeat a run, from any folder: the record keeps absolute paths of what was read;
                    options that are given go before its own
  --quiet           print nothing but errors
  --json            print the run record instead of text
  --help [TOPIC]    print this (-h too), or one of: data, denoisers, smoothing, baselines,
                    samplers, permissions, record, record-results, record-options

Examples:
  deno task sample --data mnist:PATH --class 3 --grid karras --steps 18
  deno task sample --data images:my-photos:64 --count 16 --seed 1 --out mine
  deno task sample --data mesh:spot.obj:500 --denoiser smoothed --count 2000
  deno task sample --from out/run.json --seed 2 --out again
`;

const DATA = `The data set, and the space to work in.

  --data SPEC       ${list(DATASET_SPECS, 62)}   [builtin:shapes]
                    PATH of mnist, cifar10, cifar100: a folder; of images: a folder or a zip of
                    PNG and JPEG, a folder per class. The size that all are given may follow, height
                    by width, and then they are cut to fit: images:PATH:64, images:PATH:48x64.
                    PATH of mesh: OBJ or PLY, as points of its surface in the cube from -1 to 1. A
                    number of points may follow, and how they are chosen and by which seed:
                    mesh:PATH:500, mesh:PATH:500:farthest, mesh:PATH:500:area:7
                                                                 [2048 by area, seed 0]
  --class NAME      only one class, by name or number
  --limit N         only the first N items
  --layout NAME     channels-last, channels-first or flat: the axes of the images of npy:FILE and
                    npz:FILE, flat if they are points          [by the numbers of channels]
  --stream          leave the data of npy:FILE on disk; above 1 GiB this happens by itself
  --codec SPEC      ${list(CODEC_SPECS)}
                    sample latents and decode them: pca keeps R principal components of the data
                    (of 128 or fewer, if R is not given) and scales them to unit variance;
                    autoencoder is a file that deno task train:codec wrote, see its --help.
                    Any denoiser that needs no images, and any sampler, works in latents.
`;

const DENOISER_TEXT = `What takes noise away.

  --denoiser NAME   ${list(DENOISERS)}   [optimal]
    optimal         the exact posterior mean of the data: ends at items of the data
    wiener          of the Gaussian that has their mean and covariance
    mixture         of Gaussians around clusters of them
    local, equivariant, pca   weights that differ from pixel to pixel, of images
    golden...       of a few items, by choice or with a certified error
    smoothed        optimal, averaged over perturbed queries: ends between items, see
                    --help smoothing
    random-average, local-average, dirichlet, kernel-density   baselines beside it, that draw
                    points without a flow, see --help baselines

  of local, equivariant, golden-local:
  --windows NAME|N  windows of N by N pixels, or a published table of them [${DEFAULT_WINDOWS}]:
                    ${list(PATCH_TABLES)}
  of pca, golden-pca:
  --theta NAME|T    the mask's threshold, 0 to 1, or a published one: mnist, fashion, cifar10,
                    celeba, afhq or imagenet, then -golden or -pca  [${DEFAULT_THETA}]

  of mixture:
  --components N    clusters, or classes for one Gaussian per class  [10]
  --rank N          directions of each Gaussian; the rest is spread evenly  [all]

  of golden denoisers, which look at a few items of the data only:
  --tolerance E     as few items as are proven to keep every posterior mean within E of that over
                    all items at the same state, rounding included, with every sampler; root mean
                    square per number. Where the run ends is estimated, not promised; of golden only
  --k N | N..M      items; a range: more at high noise; afhq: as published  [N/20..N/10]
  --m N | N..M      candidates; with a range, more at low noise   [k..N/4]
  --proxy NAME      ${names(PROXIES, 45)}[pooled; of small items: exact]
  --schedule NAME   ${names(SCHEDULES, 45)}[described]
  --no-tail         the nearest items alone, without a sample of all others
  --tiles N         N by N tiles with items of their own; of golden-pca and golden-local
`;

const SMOOTHING_TEXT = `The smoothed denoiser: samples are barycenters of items, not items.

  --bandwidth B     auto | B: the perturbation of a query, in units of the data (of gumbel draws
                    its variance, in those units squared); larger ones blend farther items.
                    auto is the distance to the items around an item, over the root of 2 pi, or
                    less, so that 95 % of what draws pick are an item's neighbours           [auto]
  --draws M         perturbations per sample, M; one alone ends at items of the data         [${DRAWS}]
  --draw-kind NAME  ${names(DRAW_KINDS, 45)}[fixed]
    fixed           the same at every step, others for each sample
    fresh           new ones at every step
    antithetic      in pairs of opposite signs, fixed
    gumbel          a number for each item instead of a vector, fixed
  --neighbours K,L  use the K nearest items of each query and L random others that stand for the
                    rest, instead of all items                   [L = K]
  --start T         auto | T: start at flow time T, 0 to 1, from items with the noise of that
                    time; auto is 1 - 2 B, or 0. On --grid uniform-t, with any denoiser that
                    holds the data                               [0]
  --steps S         on --grid uniform-t, by itself 20 per median gap between neighbours, at
                    least 50 (late start: at least 16), so that a step smooths nothing

  What was chosen is printed on one line, and recorded in run.json.
`;

const BASELINE_TEXT = `Baselines of smoothed diffusion: new points without a flow, by the same call.

  --denoiser NAME
    random-average  the mean of M random items
    local-average   the mean of M picks among an item and its K nearest
    dirichlet       the mean of all items with random weights
    kernel-density  a random item plus noise
    wiener          the Gaussian with the mean and covariance of the data

  --draws M         items of an average                          [2]
  --neighbours K    nearest items of local-average               [2]
  --concentration A of dirichlet: near 0 single items, large the mean        [1]
  --bandwidth B     auto | B: that of the kernel density, in units of the data; auto is the
                    bandwidth that smoothing would have          [auto]
`;

const SAMPLERS =
  `The numerical method, and its grid of noise levels. Ten steps and no thought: ddim. More quality
for 8 to 20 steps: dpmpp-2m or unipc. The papers' reference: heun on --grid karras. A known error:
collocation or dop853.

  --sampler NAME    ${list(SAMPLER_NAMES)}   [ddim]
  --sampler-tolerance T  relative error, of ${list(SAMPLER_NAMES.filter(takesTolerance), 50, ", ")}
                    [1e-6; collocation-static: 1e-5; picard: 0.1]
  --grid NAME       ${names(GRIDS, 45)}[ddpm; smoothed: uniform-t]
  --steps N         steps down the grid  [${GRID_STEPS}; smoothed: from the data]
  --start T         late start on --grid uniform-t, see --help smoothing     [0]
  --teleport LEVEL  auto | crossing | SIGMA | none: go to this noise level without the denoiser, as
                    if the data were Gaussian; auto takes the lowest that is safe, crossing the
                    lowest where the Gaussian is no worse than the denoiser  [none]
  --teleport-law NAME  ${names(LAWS, 42)}[gaussian]
                    mixture goes farther; --components and --rank say which
  --teleport-tolerance T  displacement that this may make, per number        [0.02]
  --respace         spend the steps that this saves below the level
`;

/** One line per field, or as few as hold it. */
function fieldLines(fields: readonly RecordField[]): string {
  return fields.map(([path, meaning]) => wrapped(`${path}: ${meaning}`)).join("\n");
}

/** Words in lines of at most 100 columns, indented. */
function wrapped(text: string, indent = "  ", later = `${indent}   `): string {
  const [first, ...words] = text.split(" "), lines = [indent + first];
  for (const word of words) {
    const line = lines[lines.length - 1];
    if (line.length + 1 + word.length > 100) lines.push(later + word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join("\n");
}

const RECORD = `Fields of run.json that say what was run; those that do not apply are left out.
Others: --help record-results, --help record-options.

${fieldLines(RECORD_FIELDS)}
`;

const RECORD_RESULTS =
  `Fields of run.json that say what came of the run; those that do not apply are left out.

${fieldLines(RESULT_FIELDS)}
`;

const RECORD_OPTIONS = `Fields of run.json below options; those that do not apply are left out.

${fieldLines(OPTION_FIELDS)}
`;

const VARIABLE_LINES = Object.entries(VARIABLES).map(([name, use]) =>
  `      ${name.padEnd(18)}${use}\n`
).join("");

const PERMISSIONS_TEXT =
  `What the command may do; deno task sample and train:codec give these permissions to Deno, and
no others: once the packages are there, nothing goes over the network, and no program is started.

` + PERMISSIONS.map(({ flag, use }) =>
    `  ${flag.replace(/^(--allow-env)=.*/, "$1=…")}\n${wrapped(use, "    ", "    ")}\n${
      flag.startsWith("--allow-env") ? VARIABLE_LINES : ""
    }`
  ).join("");

const TOPICS: Readonly<Record<string, string>> = {
  data: DATA,
  denoisers: DENOISER_TEXT,
  smoothing: SMOOTHING_TEXT,
  baselines: BASELINE_TEXT,
  samplers: SAMPLERS,
  record: RECORD,
  "record-results": RECORD_RESULTS,
  "record-options": RECORD_OPTIONS,
  permissions: PERMISSIONS_TEXT,
};

/** The topics of `--help`. */
export const HELP_TOPICS: readonly string[] = Object.keys(TOPICS);

/**
 * The text that `--help` asks for.
 *
 * @param args The arguments.
 * @returns The text; nothing if no help is asked for.
 * @throws {UsageError} If there is no such topic.
 */
export function helpOf(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => arg === "--help" || arg === "-h" || arg.startsWith("--help="));
  if (at < 0) return undefined;
  const next = args[at + 1];
  const topic = args[at].startsWith("--help=")
    ? args[at].slice("--help=".length)
    : next?.startsWith("-")
    ? undefined
    : next;
  if (topic === undefined) return MAIN;
  if (Object.hasOwn(TOPICS, topic)) return TOPICS[topic];
  throw new UsageError(`Cannot use --help ${topic}: wanted one of ${HELP_TOPICS.join(", ")}`);
}

function names(words: readonly string[], width: number): string {
  return words.join(" | ").padEnd(width);
}

/** Words in lines below each other. */
function list(words: readonly string[], width: number = 72, between: string = " | "): string {
  const lines = [""];
  for (const word of words) {
    const line = lines[lines.length - 1];
    if (line.length + word.length > width) lines.push((between === " | " ? "| " : "") + word);
    else lines[lines.length - 1] = line === "" ? word : line + between + word;
  }
  return lines.join((between === " | " ? "" : ",") + "\n" + " ".repeat(20));
}
