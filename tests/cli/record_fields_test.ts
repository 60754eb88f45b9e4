import {
  encodeNpy,
  loadDataset,
  nearestItems,
  startNoise,
  tinyShapes,
} from "@closedform/diffusion";
import { encodeAutoencoder, trainAutoencoder, writeWhole } from "@closedform/diffusion/training";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { OPTIONS } from "../../src/cli/options.ts";
import { NOT_RECORDED } from "../../src/cli/recall.ts";
import {
  OPTION_FIELDS,
  RECORD_FIELDS,
  recordPaths,
  RESULT_FIELDS,
} from "../../src/cli/record_fields.ts";
import { cliRun } from "../_helpers/cli_runs.ts";
import { withFolder, write } from "../_helpers/files.ts";

/** The paths of a record: of objects all names, of lists their elements. */
function pathsOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) {
    return value.length === 0
      ? [`${path}[]`]
      : [...new Set(value.flatMap((v) => pathsOf(v, `${path}[]`)))];
  }
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([name, v]) => pathsOf(v, path ? `${path}.${name}` : name));
}

/** Runs that have every field between them. */
async function records(folder: string): Promise<Record<string, unknown>[]> {
  const codec = await trainAutoencoder(tinyShapes(60), {
    ...{ latentDimension: 2, components: 4, width: 4, steps: 2 },
    ...{ cache: false, backend: "wasm" },
  });
  const file = join(folder, "codec.safetensors");
  await writeWhole(file, encodeAutoencoder(codec));
  const init = await write(
    folder,
    "init.npy",
    encodeNpy(Float32Array.from(startNoise(1, 0, 2, 144)), [2, 12, 12, 1]),
  );
  const { data } = tinyShapes(60);
  const rows = await write(folder, "rows.npy", encodeNpy(data, [60, 144]));
  const runs = [
    "--denoiser golden --tolerance 1e-3 --teleport auto --respace --class 1 --limit 50",
    "--denoiser golden --k 2..5 --m 8..20 --proxy exact --schedule described --no-tail",
    "--denoiser golden-local --tiles 2 --k 4 --windows 3",
    "--denoiser golden --k 3 --m 9",
    "--denoiser pca --theta cifar10-pca --npz --trajectory",
    "--denoiser mixture --components 2 --rank 3 --teleport 2 --teleport-law mixture --teleport-tolerance 9",
    "--denoiser smoothed --neighbours 5,6 --start auto",
    "--denoiser smoothed --bandwidth 0.1 --draws 2 --draw-kind fresh --steps 3",
    "--denoiser local-average --draws 2 --neighbours 3",
    "--denoiser dirichlet --concentration 2",
    "--denoiser kernel-density",
    "--sampler collocation --sampler-tolerance 1e-3",
    "--sampler dpm-v3 --seed 1",
    "--codec pca:3",
    `--codec autoencoder:${file}`,
    `--init ${init} --grid uniform-t`,
    `--data npy:${rows} --stream --layout flat`,
  ];
  const found: Record<string, unknown>[] = [];
  for (const run of runs) {
    const defaults = run.includes("--data") ? [] : ["--data", "tiny-shapes:60"];
    const count = run.includes("--init") ? [] : ["--count", "2"];
    const steps = run.includes("smoothed") ? [] : ["--steps", "3"];
    const args = [...defaults, ...count, ...steps, ...run.split(" ")];
    found.push((await cliRun(join(folder, "out"), ...args)).record);
  }
  return found;
}

Deno.test("every field of a record is described, and every field that is described is in some record", () =>
  withFolder(async (folder) => {
    const described = recordPaths([...RECORD_FIELDS, ...RESULT_FIELDS, ...OPTION_FIELDS]);
    assert.equal(new Set(described).size, described.length, "described twice");
    const written = new Set((await records(folder)).flatMap((record) => pathsOf(record)));
    // The options as given are named as the options are, files as they are.
    const named = (path: string) => path.replace(/^(arguments|files)\..*/, "$1.*");
    // Objects without anything in them have no path of their own.
    const undescribed = [...written].map(named).filter((path) => !described.includes(path));
    assert.deepEqual(undescribed, []);
    const seen = new Set([...written].map(named));
    const options = Object.keys(OPTIONS).filter((name) => !NOT_RECORDED.includes(name));
    assert.deepEqual(options.filter((name) => !written.has(`arguments.${name}`)), [], "not tried");
    assert.deepEqual(described.filter((path) => path !== "options" && !seen.has(path)), []);
  }));

Deno.test("topItem names places in the whole data set, whatever class and limit restrict it", () =>
  withFolder(async (out) => {
    const whole = await loadDataset("tiny-shapes:90");
    for (
      const args of [
        [],
        ["--class", "2"],
        ["--class", "2", "--limit", "60"],
        ["--class", "1", "--codec", "pca:20"],
        ["--class", "1", "--denoiser", "golden"],
        ["--class", "1", "--denoiser", "golden", "--tolerance", "1e-3"],
      ]
    ) {
      const common = ["--data", "tiny-shapes:90", "--count", "5", "--grid", "karras"];
      const { record, samples } = await cliRun(out, ...common, ...args);
      const { nearest, nearestDistance, secondDistance } = await nearestItems(samples, whole);
      const found = record.topItem as number[];
      found.forEach((item, i) => {
        // Latents lose some of the image, so that the nearest must be clear.
        assert.ok(nearestDistance[i] < secondDistance[i] / 2, `${args}: sample ${i}`);
        assert.equal(item, nearest[i], `${args}: sample ${i}`);
        if (args[0] === "--class") assert.equal(whole.labels![item], Number(args[1]));
      });
    }
  }));
