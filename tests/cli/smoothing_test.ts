import {
  circle,
  encodeNpy,
  memorisedShare,
  nearestItems,
  neighbourEstimator,
  openDevice,
  optimal,
  sample,
  smoothed,
  smoothingDefaults,
  uniformTGrid,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { smoothingSteps } from "../../src/denoisers/smoothing_defaults.ts";
import type { SmoothedOptions } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { parseOptions, UsageError } from "../../src/cli/options.ts";
import { cliRun, failedRun } from "../_helpers/cli_runs.ts";
import { withFolder } from "../_helpers/files.ts";

const CIRCLE = ["--data", "circle:30", "--denoiser", "smoothed", "--count", "12"];

/** What the library draws with the same options. */
async function drawn(
  options: SmoothedOptions,
  steps: number,
  start = 0,
  neighbours?: { neighbours: number; others: number },
): Promise<Float32Array> {
  using device = await openDevice("wasm");
  using base = await optimal(circle(30), { device });
  const inner = neighbours ? await neighbourEstimator(base, neighbours) : base;
  const { x, denoised } = await sample(await smoothed(inner, options), {
    count: 12,
    grid: uniformTGrid(steps, { start }),
    output: "tensor",
  });
  const values = Float32Array.from(await tensorSpace.values(x));
  tensorSpace.dispose(x, denoised);
  return values;
}

function same(a: Float32Array, b: Float32Array): void {
  assert.ok(a.length === b.length && a.every((v, i) => v === b[i]));
}

Deno.test("sample --denoiser smoothed chooses bandwidth, draws and steps by the data, and records them", () =>
  withFolder(async (out) => {
    using device = await openDevice("wasm");
    const found = await smoothingDefaults(circle(30), { device });
    const { record, samples } = await cliRun(out, ...CIRCLE);
    const { bandwidth, draws, drawKind, start, measured } = record.options.smoothing;
    assert.deepEqual([bandwidth, draws, drawKind, start], [found.bandwidth, 4, "fixed", 0]);
    const { gap, spacing, dimension, neighbourly } = found;
    assert.deepEqual(measured, { gap, spacing, dimension, neighbourly });
    assert.equal(record.options.steps, found.steps);
    assert.equal(record.options.grid, "uniform-t");
    assert.ok(record.references.some((entry: string) => entry.includes("2310.12395")));
    same(samples, await drawn({ bandwidth }, found.steps));
    // Which is what it is for: new points, where the optimal denoiser ends at items.
    const near = memorisedShare(await nearestItems(samples, circle(30)));
    assert.ok(near < 0.9, `${near}`);
    const exact = await cliRun(out, ...CIRCLE, "--bandwidth", "0");
    assert.equal(memorisedShare(await nearestItems(exact.samples, circle(30))), 1);
  }));

Deno.test("sample draws smoothed samples as the library does, with every option", () =>
  withFolder(async (folder) => {
    const runs: Record<string, Parameters<typeof drawn>> = {
      "--bandwidth 0.2 --steps 40 --draws 2": [{ bandwidth: .2, draws: 2 }, 40],
      "--bandwidth 0.2 --steps 40 --draw-kind fresh": [{ bandwidth: .2, drawKind: "fresh" }, 40],
      "--bandwidth 0.2 --steps 40 --draw-kind antithetic --draws 6": [
        { bandwidth: .2, drawKind: "antithetic", draws: 6 },
        40,
      ],
      "--bandwidth 0.05 --steps 40 --draw-kind gumbel": [
        { bandwidth: .05, drawKind: "gumbel" },
        40,
      ],
      "--bandwidth 0.2 --steps 20 --start 0.5": [{ bandwidth: .2 }, 20, .5],
      "--bandwidth 0.2 --steps 40 --neighbours 8,5": [{ bandwidth: .2 }, 40, 0, {
        neighbours: 8,
        others: 5,
      }],
      "--bandwidth 0.2 --steps 40 --neighbours 8": [{ bandwidth: .2 }, 40, 0, {
        neighbours: 8,
        others: 8,
      }],
    };
    for (const [args, expected] of Object.entries(runs)) {
      const { samples } = await cliRun(join(folder, "o"), ...CIRCLE, ...args.split(" "));
      same(samples, await drawn(...expected));
    }
  }));

Deno.test("sample --start auto leaves the smoothing its time, and takes the steps that remain", () =>
  withFolder(async (out) => {
    const { record } = await cliRun(out, ...CIRCLE, "--start", "auto");
    const { bandwidth, start, measured } = record.options.smoothing;
    assert.equal(start, 1 - 2 * bandwidth);
    assert.equal(record.options.steps, smoothingSteps(measured.gap, start));
    assert.equal(record.sigmas[0], (1 - start) / (1 - (1 - start)));
    assert.equal(record.start.atData, true);
  }));

Deno.test("sample chooses the Gumbel variance at which two points of that distance have one mode", () =>
  withFolder(async (out) => {
    const { record } = await cliRun(out, ...CIRCLE, "--draw-kind", "gumbel");
    const { bandwidth, measured } = record.options.smoothing;
    assert.equal(bandwidth, measured.spacing ** 2 / 4);
    // The density of two Gaussians at ±r/2 has a maximum in the middle from there on.
    const density = (x: number, variance: number) =>
      [-1, 1].reduce(
        (sum, end) => sum + Math.exp(-((x - end * measured.spacing / 2) ** 2) / (2 * variance)),
        0,
      );
    const step = measured.spacing / 100;
    for (const [factor, one] of [[1.05, true], [0.95, false]] as const) {
      const variance: number = factor * bandwidth;
      assert.equal(density(0, variance) > density(step, variance), one);
    }
  }));

Deno.test("parseOptions() reads a smoothing, and refuses what does not go together", () => {
  const { smoothing, gridName, steps, start } = parseOptions(
    "--denoiser smoothed --bandwidth 0.5 --draws 8 --neighbours 20,10 --start 0.9".split(" "),
  );
  assert.deepEqual(smoothing, {
    bandwidth: 0.5,
    draws: 8,
    drawKind: "fixed",
    neighbours: { neighbours: 20, others: 10 },
  });
  assert.deepEqual([gridName, steps, start], ["uniform-t", undefined, 0.9]);
  assert.equal(parseOptions([]).smoothing, undefined);
  assert.equal(parseOptions(["--denoiser", "smoothed", "--grid", "karras"]).gridName, "karras");
  const cases: [string, RegExp][] = [
    ["--bandwidth 1", /--bandwidth with --denoiser optimal: wanted --denoiser smoothed/],
    ["--denoiser wiener --draws 3", /--draws with --denoiser wiener/],
    ["--denoiser smoothed --bandwidth=-1", /--bandwidth -1: wanted auto or a number >= 0/],
    ["--denoiser smoothed --bandwidth wide", /wanted auto or a number/],
    ["--denoiser smoothed --draws 0", /--draws 0: wanted a whole number >= 1/],
    ["--denoiser smoothed --draw-kind odd", /wanted one of fixed, fresh, antithetic, gumbel/],
    ["--denoiser smoothed --draw-kind antithetic --draws 3", /wanted an even number/],
    [
      "--denoiser smoothed --draw-kind gumbel --neighbours 5",
      /--neighbours with --draw-kind gumbel/,
    ],
    ["--denoiser smoothed --neighbours 5,x", /--neighbours x: wanted a whole number/],
    ["--denoiser smoothed --neighbours 1,2,3", /one or two numbers like 50,50/],
    ["--denoiser smoothed --neighbours 0", /--neighbours 0/],
    ["--denoiser smoothed --start 1", /--start 1: wanted auto, 0 or a flow time/],
    ["--denoiser smoothed --start 0.5 --grid karras", /--start 0.5 with --grid karras/],
    ["--start 0.5", /--start 0.5 with --grid ddpm: wanted --grid uniform-t/],
    ["--start auto --grid uniform-t", /--start auto with a denoiser that is not smoothed/],
    ["--grid uniform-t --start 0.5 --teleport auto", /--teleport with --start/],
    ["--denoiser smoothed --k 5", /--k with --denoiser smoothed: wanted golden/],
    ["--denoiser smoothed --steps 1", /--steps 1/],
  ];
  for (const [args, message] of cases) {
    assert.throws(() => parseOptions(args.split(" ")), (error) => {
      assert.ok(error instanceof UsageError, args);
      assert.match(error.message, message);
      return !error.message.includes("\n");
    });
  }
});

Deno.test("sample exits 2, in one line, where data and smoothing do not go together", () =>
  withFolder(async (folder) => {
    const npy = join(folder, "points.npy");
    await Deno.writeFile(npy, encodeNpy(new Float32Array(20).fill(1), [10, 2]));
    const cases: [string[], RegExp][] = [
      [["--data", `npy:${npy}`, "--denoiser", "smoothed"], /wanted at least 2 that differ/],
      [
        ["--data", `npy:${npy}`, "--stream", "--denoiser", "smoothed"],
        /stay on disk: wanted optimal/,
      ],
      [
        [...CIRCLE, "--neighbours", "31", "--bandwidth", "1", "--steps", "9"],
        /neighbours is 31, wanted/,
      ],
      [
        ["--data", `npy:${npy}`, "--stream", "--grid", "uniform-t", "--start", ".5"],
        /--start 0.5: it starts at noised items, of which the optimal .* cannot draw/,
      ],
    ];
    for (const [args, message] of cases) {
      const { code, lines } = await failedRun("--out", join(folder, "o"), ...args);
      assert.deepEqual([code, lines.length], [2, 1], `${args}: ${lines}`);
      assert.match(lines[0], message);
    }
  }));
