import {
  circle,
  dirichletAverage,
  localAverage,
  openDevice,
  randomAverage,
  smoothingDefaults,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { parseOptions, UsageError } from "../../src/cli/options.ts";
import { cliRun, failedRun } from "../_helpers/cli_runs.ts";
import { withFolder } from "../_helpers/files.ts";

const CIRCLE = ["--data", "circle:30", "--count", "9", "--seed", "4"];

Deno.test("sample draws averages as baselines, as the library does", () =>
  withFolder(async (out) => {
    const data = circle(30);
    const runs = {
      "random-average --draws 3": await randomAverage(data, { device: "wasm", draws: 3, seed: 4 }),
      "random-average": await randomAverage(data, { device: "wasm", seed: 4 }),
      "local-average --draws 3 --neighbours 5": await localAverage(data, {
        device: "wasm",
        draws: 3,
        neighbours: 5,
        seed: 4,
      }),
      "dirichlet --concentration 0.2": await dirichletAverage(data, {
        device: "wasm",
        concentration: 0.2,
        seed: 4,
      }),
    };
    for (const [args, denoiser] of Object.entries(runs)) {
      const { samples, record } = await cliRun(out, ...CIRCLE, "--denoiser", ...args.split(" "));
      const x = tensorSpace.from(new Float32Array(18), [9, 2]);
      const expected = (await denoiser.denoise(x, 1)).mean;
      const values = await tensorSpace.values(expected);
      tensorSpace.dispose(x, expected);
      assert.ok(samples.every((v, i) => v === values[i]), args);
      assert.equal(record.denoiser, denoiser.label);
    }
  }));

Deno.test("sample --denoiser kernel-density takes a bandwidth, or that which smoothing would have", () =>
  withFolder(async (out) => {
    const args = ["--data", "circle:30", "--count", "400", "--grid", "karras", "--steps", "30"];
    using device = await openDevice("wasm");
    const { bandwidth } = await smoothingDefaults(circle(30), { device });
    const automatic = await cliRun(out, ...args, "--denoiser", "kernel-density");
    assert.equal(automatic.record.options.baseline.bandwidth, bandwidth);
    const given = ["--denoiser", "kernel-density", "--bandwidth", "0.05"];
    const { samples, record } = await cliRun(out, ...args, ...given);
    assert.equal(record.options.baseline.bandwidth, 0.05);
    // The radius of points with noise 0.05 has variance 0.05² to first order; a variance of 400 has a
    // standard error of √(2/400), and the flow's steps add less than that.
    const radii = Array.from(
      { length: 400 },
      (_, i) => Math.hypot(samples[2 * i], samples[2 * i + 1]),
    );
    const mean = radii.reduce((sum, r) => sum + r, 0) / 400;
    const variance = radii.reduce((sum, r) => sum + (r - mean) ** 2, 0) / 400;
    assert.ok(Math.abs(variance / 0.0025 - 1) < 5 * Math.sqrt(2 / 400), `${variance}`);
  }));

Deno.test("baselines take their own options only", () =>
  withFolder(async (folder) => {
    const cases: [string, RegExp][] = [
      [
        "--denoiser dirichlet --draws 3",
        /--draws with --denoiser dirichlet: wanted .*smoothed or random-average or local-average/,
      ],
      ["--denoiser random-average --neighbours 3", /--neighbours with --denoiser random-average/],
      ["--denoiser kernel-density --draw-kind fixed", /--draw-kind with --denoiser kernel-density/],
      ["--denoiser optimal --concentration 1", /wanted --denoiser dirichlet/],
      ["--denoiser dirichlet --concentration 0", /--concentration 0: wanted a number > 0/],
      ["--denoiser local-average --neighbours 3,4", /--neighbours 3,4: wanted a whole number/],
      ["--denoiser kernel-density --bandwidth=-2", /--bandwidth -2/],
    ];
    for (const [args, message] of cases) {
      assert.throws(() => parseOptions(args.split(" ")), (error) => {
        assert.ok(error instanceof UsageError, args);
        assert.match(error.message, message);
        return true;
      });
    }
    const out = join(folder, "o");
    const far = await failedRun(
      "--out",
      out,
      ...CIRCLE,
      "--denoiser",
      "local-average",
      "--neighbours",
      "30",
    );
    assert.deepEqual([far.code, far.lines.length], [2, 1]);
    assert.match(far.lines[0], /^Cannot use --denoiser local-average: .*neighbours is 30/);
  }));
