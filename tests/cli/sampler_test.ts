import {
  decodeNpy,
  encodeNpy,
  karrasGrid,
  moons,
  sample,
  SAMPLER_NAMES,
} from "@closedform/diffusion";
import { samplerByName } from "../../src/samplers/registry.ts";
import { main } from "@closedform/diffusion/cli";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { runSample, startSample } from "../_helpers/command.ts";
import { withFolder } from "../_helpers/files.ts";
import { distance } from "../_helpers/toys.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const COMMON = [
  "--data",
  "moons:100",
  "--grid",
  "karras",
  "--steps",
  "8",
  "--count",
  "6",
  "--device",
  "wasm",
];

async function drawn(out: string) {
  const file = join(out, "samples.npy");
  const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
  return { record, samples: decodeNpy(await Deno.readFile(file), file).data as Float32Array };
}

Deno.test("--sampler takes every sampler, which draws as the library does", () =>
  withFolder(async (folder) => {
    for (const name of SAMPLER_NAMES) {
      if (name === "dpm-v3") continue;
      const out = join(folder, name);
      assert.equal(await main([...COMMON, "--quiet", "--sampler", name, "--out", out]), 0);
      const { record, samples } = await drawn(out);
      const expected = await sample(optimalFloat64(moons(100)), {
        count: 6,
        grid: karrasGrid(8),
        sampler: samplerByName(name),
        output: "tensor",
      });
      assert.equal(record.sampler.name, name);
      // Float32 roundings, and what they do to steps that are adapted to a tolerance of 1e-6.
      assert.ok(distance(samples, expected.x) < 1e-3, `${name}: ${distance(samples, expected.x)}`);
      if (record.convergence) {
        assert.equal(record.convergence.windows.max > 0, true);
        assert.ok(record.convergence.estimatedError.max >= 0);
        assert.ok(Math.abs(record.evaluations / expected.evaluations - 1) < 0.1, name);
      } else {
        assert.equal(record.evaluations, expected.evaluations);
        assert.equal(record.calls, expected.calls);
        assert.equal(expected.convergence, undefined);
      }
    }
  }));

Deno.test("--sampler-tolerance sets the error of samplers that have one, and the record tells what it cost", () =>
  withFolder(async (folder) => {
    const runs = await Promise.all(["1e-3", "1e-5"].map(async (tolerance) => {
      const out = join(folder, tolerance);
      const args = [...COMMON, "--quiet", "--sampler", "dop853", "--sampler-tolerance", tolerance];
      assert.equal(await main([...args, "--out", out]), 0);
      return (await drawn(out)).record;
    }));
    assert.deepEqual(runs.map(({ options }) => options.samplerTolerance), [1e-3, 1e-5]);
    assert.ok(runs[0].evaluations < runs[1].evaluations);
    assert.ok(runs[0].convergence.estimatedError.max > runs[1].convergence.estimatedError.max);
    for (const { convergence, calls } of runs) {
      assert.equal(convergence.converged, 6);
      assert.ok(calls >= convergence.evaluations.max);
      for (const name of ["windows", "rejected", "sweeps"]) {
        assert.ok(convergence[name].min >= 0, name);
      }
    }
    const { stdout } = await runSample(
      ...COMMON,
      "--sampler",
      "collocation",
      "--out",
      join(folder, "c"),
    );
    assert.match(
      stdout,
      /by collocation between the ends of the karras grid, \d+ evaluations per sample in \d+ calls/,
    );
  }));

Deno.test("--sampler dpm-v3 estimates its statistics once", () =>
  withFolder(async (folder) => {
    const args = [
      "--data",
      "moons:100",
      "--steps",
      "6",
      "--count",
      "4",
      "--sampler",
      "dpm-v3",
      "--device",
      "wasm",
    ];
    const outputs: string[] = [];
    for (const out of ["a", "b"]) {
      const env = { CLOSEDFORM_CACHE: join(folder, "cache") };
      const { code, stderr } = await startSample([...args, "--out", out], folder, env).output();
      outputs.push(new TextDecoder().decode(stderr));
      assert.equal(code, 0, outputs.at(-1));
    }
    assert.match(outputs[0], /statistics: 100 %/);
    assert.doesNotMatch(outputs[1], /statistics: 100 %/);
    const [a, b] = [await drawn(join(folder, "a")), await drawn(join(folder, "b"))];
    assert.deepEqual(a.samples, b.samples);
    assert.equal(a.record.evaluations, 6);
    // Both numbers of moons vary in all items; facts of kept tables are kept with them.
    const { statistics } = a.record;
    assert.equal(statistics.coordinates, 2);
    assert.deepEqual([statistics.withoutL, statistics.withoutS, statistics.bounded], [0, 0, 0]);
    assert.deepEqual(b.record.statistics, statistics);
    assert.match(outputs[1], /statistics of 2 coordinates: \d uncertain, 0 without s, 0 of them/);
  }));

Deno.test("--sampler dpm-v3 is not misled by images of which most pixels hardly ever vary", () =>
  withFolder(async (folder) => {
    // Squares of one pixel at the border in two items, and shapes in the middle that all vary.
    const count = 60, side = 8, data = new Float32Array(count * side * side).fill(-1);
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < 12; k++) {
        data[i * side * side + 18 + 8 * (k >> 2) + k % 4] = (i >> k % 6) % 2;
      }
      if (i < 6) data[i * side * side + i % 3] = 1;
    }
    const file = join(folder, "rare.npy");
    await Deno.writeFile(file, encodeNpy(data, [count, side, side, 1]));
    for (const [grid, steps] of [["karras", "18"], ["log-snr", "10"]]) {
      const out = join(folder, grid);
      const args = ["--data", `npy:${file}`, "--grid", grid, "--steps", steps, "--count", "12"];
      const run = ["--sampler", "dpm-v3", "--device", "wasm", "--quiet", "--out", out];
      assert.equal(await main([...args, ...run]), 0);
      const { record, samples } = await drawn(out);
      assert.deepEqual(record.warnings, []);
      assert.ok(record.statistics.withoutS >= 37, `${record.statistics.withoutS} without s`);
      assert.ok(samples.every((v) => Math.abs(v) < 1.5), "in the range of the data");
      const rows = Array.from(
        { length: 12 },
        (_, r) => samples.slice(r * side * side, (r + 1) * side * side).map(Math.round).join(),
      );
      assert.ok(new Set(rows).size >= 6, `${new Set(rows).size} different samples`);
    }
  }));

Deno.test("--sampler and --sampler-tolerance answer what they cannot do in one line", async () => {
  for (
    const [args, words] of [
      [["--sampler", "magic"], /Cannot use --sampler magic: wanted one of ddim, euler, heun/],
      [
        ["--sampler", "heun", "--sampler-tolerance", "1e-3"],
        /Cannot use --sampler-tolerance with --sampler heun: wanted one of dopri5, /,
      ],
      [
        ["--sampler", "dop853", "--sampler-tolerance", "2"],
        /Cannot use --sampler-tolerance 2: .*wanted a number in \(0, 1\)/,
      ],
      [
        ["--sampler", "dop853", "--sampler-tolerance=-1"],
        /Cannot use --sampler-tolerance -1: wanted a number > 0/,
      ],
      [
        ["--sampler", "collocation", "--sampler-tolerance", "0.1"],
        /Cannot use --sampler-tolerance 0.1: /,
      ],
    ] as const
  ) {
    const { code, stdout, stderr } = await runSample(...args);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, words);
    assert.equal(stderr.trim().split("\n").length, 1);
  }
});
