/** What `--help` tells of defaults is what the library documents of the option that it sets. */
import {
  ddpmGrid,
  karrasGrid,
  logSnrGrid,
  moons,
  sample,
  smoothed,
  uniformTGrid,
} from "@closedform/diffusion";
import { gridByName } from "../../src/base/noise.ts";
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { COUNT, DRAWS, STEPS } from "../../src/base/_defaults.ts";
import { helpOf } from "../../src/cli/help.ts";
import { GRIDS } from "../../src/cli/options.ts";
import { HELP } from "../../src/cli/train_codec.ts";
import { cliRun } from "../_helpers/cli_runs.ts";
import { withFolder } from "../_helpers/files.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const SRC = fromFileUrl(new URL("../../src", import.meta.url));

/** Topic of the help (none for its first page), option, file of the library, interface, member. */
const SAME = [
  ["", "count", "samplers/sample.ts", "SampleOptions", "count"],
  ["", "seed", "samplers/sample.ts", "SampleOptions", "seed"],
  ["data", "data", "datasets/mesh.ts", "SampleMeshOptions", "count"],
  ["denoisers", "components", "denoisers/gaussian/mixture.ts", "MixtureFitOptions", "components"],
  ["denoisers", "rank", "denoisers/gaussian/mixture.ts", "MixtureFitOptions", "rank"],
  ["denoisers", "proxy", "denoisers/golden/golden_subset.ts", "GoldenSubsetOptions", "proxy"],
  ["denoisers", "schedule", "denoisers/golden/golden_subset.ts", "GoldenSubsetOptions", "schedule"],
  ["smoothing", "draws", "denoisers/smoothed.ts", "SmoothedOptions", "draws"],
  ["smoothing", "draw-kind", "denoisers/smoothed.ts", "SmoothedOptions", "drawKind"],
  ["baselines", "draws", "denoisers/baselines.ts", "RandomAverageOptions", "draws"],
  ["baselines", "neighbours", "denoisers/baselines.ts", "LocalAverageOptions", "neighbours"],
  [
    "baselines",
    "concentration",
    "denoisers/baselines.ts",
    "DirichletAverageOptions",
    "concentration",
  ],
  [
    "samplers",
    "sampler-tolerance",
    "samplers/runge_kutta/embedded.ts",
    "EmbeddedOptions",
    "tolerance",
  ],
  ["samplers", "sampler-tolerance", "samplers/collocation.ts", "CollocationOptions", "tolerance"],
  ["train", "latents", "codecs/autoencoder.ts", "AutoencoderOptions", "latentDimension"],
  ["train", "components", "codecs/autoencoder.ts", "AutoencoderOptions", "components"],
  ["train", "width", "codecs/autoencoder.ts", "AutoencoderOptions", "width"],
  ["train", "stability", "codecs/autoencoder.ts", "AutoencoderOptions", "stability"],
  ["train", "steps", "codecs/autoencoder.ts", "AutoencoderOptions", "steps"],
  ["train", "seed", "codecs/autoencoder.ts", "AutoencoderOptions", "seed"],
] as const;

/** The first word in brackets after an option, where the next option is not there yet. */
function toldOf(topic: string, option: string): string | undefined {
  const text = topic === "train" ? HELP : helpOf(["--help", ...topic ? [topic] : []])!;
  const [, own] = RegExp(`^  --${option} ([^]*?)(?=^  --|$(?![^]))`, "m").exec(text) ??
    assert.fail(`--${option} of ${topic}`);
  // Of a range of data sets the bracket that is meant begins with a number.
  const brackets = [...own.matchAll(/\[([\w.-]*\w)/g)].map(([, word]) => word);
  return option === "data" ? brackets.find((word) => /^\d/.test(word)) : brackets[0];
}

/** The default in the comment of a member. */
function documentedOf(file: string, holder: string, member: string): string | undefined {
  const source = Deno.readTextFileSync(join(SRC, file));
  const [, body] = RegExp(`^export interface ${holder}\\b([^]*?)^}`, "m").exec(source) ??
    assert.fail(holder);
  const [, comment] = RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*readonly ${member}\\?`)
    .exec(body) ?? assert.fail(`${holder}.${member}`);
  return /Default:? (?:the smaller of )?[`"]*([\w.-]*\w)/.exec(comment)?.[1];
}

for (const [topic, option, file, holder, member] of SAME) {
  Deno.test(`--help ${topic || "without a topic"} and ${holder} tell the same default of --${option}`, () => {
    const told = toldOf(topic, option);
    assert.ok(told !== undefined);
    assert.equal(told, documentedOf(file, holder, member));
  });
}

Deno.test("the shared defaults are those of the library", async () => {
  const denoiser = optimalFloat64(moons(20));
  const { x } = await sample(denoiser, { output: "tensor" });
  assert.equal(x.length / 2, COUNT);
  assert.match(
    (await smoothed(denoiser, { bandwidth: 1 })).label,
    RegExp(`\\b${DRAWS} fixed draws`),
  );
  // The first step of uniform-t is free.
  const steps = [ddpmGrid(), karrasGrid(), logSnrGrid(), uniformTGrid()].map(({ name, sigmas }) => [
    name,
    name === "uniform-t" ? sigmas.length : sigmas.length - 1,
  ]);
  assert.deepEqual(Object.fromEntries(steps), STEPS);
});

Deno.test("a run whose steps and count are not given takes those of the library", () =>
  withFolder(async (folder) => {
    const denoiser = optimalFloat64(moons(20));
    for (const grid of GRIDS) {
      assert.match(helpOf(["--help"])!, RegExp(`\\b(?:${grid}|others) ${STEPS[grid]}\\b`));
      const out = join(folder, grid);
      const { record, shape } = await cliRun(out, "--data", "moons:20", "--grid", grid);
      const { x, evaluations } = await sample(denoiser, {
        grid: gridByName(grid),
        output: "tensor",
      });
      assert.deepEqual(shape, [x.length / 2, 2]);
      assert.deepEqual([record.options.steps, record.evaluations], [STEPS[grid], evaluations]);
    }
  }));
