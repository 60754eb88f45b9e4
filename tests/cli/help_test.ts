import { DATASET_SPECS, SAMPLER_NAMES } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { DENOISERS } from "../../src/cli/denoiser_options.ts";
import { HELP_TOPICS, helpOf } from "../../src/cli/help.ts";
import { OPTIONS, parseOptions, UsageError } from "../../src/cli/options.ts";
import { HELP as TRAINING } from "../../src/cli/train_codec.ts";
import { failedRun } from "../_helpers/cli_runs.ts";

const TEXTS = [helpOf(["--help"])!, ...HELP_TOPICS.map((topic) => helpOf(["--help", topic])!)];

Deno.test("--help fits a screen of 100 columns and 40 lines per topic", () => {
  for (const text of [...TEXTS, TRAINING]) {
    const lines = text.trimEnd().split("\n");
    assert.ok(lines.length <= 40, `${lines.length} lines: ${lines[0]}`);
    for (const line of lines) assert.ok(line.length <= 100, `${line.length}: ${line}`);
  }
});

Deno.test("--help names every option, denoiser, sampler, data set and topic", () => {
  const all = TEXTS.join("\n");
  const words = [
    ...Object.keys(OPTIONS).map((name) => `--${name}`),
    ...[...DENOISERS, ...SAMPLER_NAMES, ...DATASET_SPECS],
  ];
  for (const word of words) assert.ok(all.includes(word), word);
  for (const topic of HELP_TOPICS) assert.ok(TEXTS[0].includes(topic), topic);
});

Deno.test("--help finds its topic, and goes before all other options", () => {
  assert.equal(helpOf(["--steps", "3"]), undefined);
  assert.equal(helpOf(["--bogus", "--help", "--quiet"]), TEXTS[0]);
  assert.equal(helpOf(["--help=samplers"]), helpOf(["--help", "samplers"]));
  assert.equal(helpOf(["-h"]), TEXTS[0]);
  assert.equal(helpOf(["-h", "data"]), helpOf(["--help", "data"]));
  assert.throws(() => helpOf(["--help", "cooking"]), UsageError);
});

Deno.test("arguments that cannot be parsed are answered in words that tell what would be right", () => {
  const lines = {
    "--Steps 5": "Cannot use --Steps: there is no such option, wanted --steps",
    "--sead 5": "Cannot use --sead: there is no such option, wanted --seed",
    "--bogus": /^Cannot use --bogus: there is no such option, wanted one of --data, --class, /,
    "-x": /^Cannot use -x: there is no such option, wanted one of --data, /,
    "--steps": /^Cannot use --steps without a value: wanted one after it, as --steps=-1 if/,
    "--seed -1": /^Cannot use --seed without a value: wanted one after it/,
    "--quiet=yes": "Cannot use --quiet with a value: wanted the option alone",
    "photos": "Cannot use the argument photos: wanted options only, see --help",
  };
  for (const [text, message] of Object.entries(lines)) {
    assert.throws(() => parseOptions(text.split(" ")), { name: "UsageError", message }, text);
  }
});

Deno.test("--help on an unknown topic exits 2 with one line", async () => {
  const { code, lines } = await failedRun("--help", "cooking");
  assert.equal(code, 2);
  assert.deepEqual(lines, [`Cannot use --help cooking: wanted one of ${HELP_TOPICS.join(", ")}`]);
});
