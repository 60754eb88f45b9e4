import { decodeNpy, subsetSchedule } from "@closedform/diffusion";
import { main } from "@closedform/diffusion/cli";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { parseOptions, UsageError } from "../../src/cli/options.ts";
import type { RunRequest } from "../../src/cli/options.ts";

async function run(...args: string[]): Promise<{ samples: Float32Array; record: RunRecord }> {
  const folder = await Deno.makeTempDir();
  try {
    const out = join(folder, "out");
    const common = ["--data", "tiny-shapes:300", "--device", "wasm", "--count", "3", "--quiet"];
    assert.equal(await main([...common, "--out", out, ...args]), 0);
    const samples = decodeNpy(await Deno.readFile(join(out, "samples.npy")), "samples.npy").data;
    const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    return { samples: samples as Float32Array, record };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

type Spread = { min: number | null; median: number | null; max: number | null };
interface RunRecord {
  readonly denoiser: string;
  readonly references: readonly string[];
  readonly steps: readonly {
    readonly sigma: number;
    readonly posterior?: Record<string, Spread>;
  }[];
}

function parsed(...args: string[]): RunRequest {
  return parseOptions(args);
}

Deno.test("parseOptions() takes a golden subset by sizes, or by a tolerance", () => {
  assert.deepEqual(parsed().subset, {});
  assert.equal(parsed().denoiser, "optimal");
  assert.deepEqual(
    parsed("--denoiser", "golden-pca", "--k", "20..50", "--m", "80", "--schedule", "described")
      .subset,
    { k: [20, 50], m: 80, schedule: "described" },
  );
  assert.deepEqual(
    parsed("--denoiser", "golden", "--proxy", "exact", "--no-tail").subset,
    { proxy: "exact", tail: false },
  );
  assert.deepEqual(parsed("--denoiser", "golden", "--tolerance", "1e-3").subset, {
    tolerance: 1e-3,
  });
  // A tolerance of the sampler stays the sampler's.
  const { subset, samplerTolerance } = parsed("--sampler", "dopri5", "--sampler-tolerance", "1e-4");
  assert.deepEqual([subset, samplerTolerance], [{}, 1e-4]);
  const golden = ["--denoiser", "golden", "--tolerance", "1e-3"];
  const both = parsed(...golden, "--sampler", "dopri5", "--sampler-tolerance", "1e-4");
  assert.deepEqual([both.subset.tolerance, both.samplerTolerance], [1e-3, 1e-4]);
});

Deno.test("parseOptions() takes windows, thresholds and sizes by their published names", () => {
  assert.deepEqual(parsed("--denoiser", "local").pixels, {});
  const windows = (text: string) => parsed("--denoiser", "equivariant", "--windows", text).pixels;
  assert.deepEqual([windows("7"), windows("celeba-unet")], [{ windows: 7 }, {
    windows: "celeba-unet",
  }]);
  const theta = (text: string) => parsed("--denoiser", "golden-pca", "--theta", text).pixels;
  assert.deepEqual([theta("0.1"), theta("cifar10-pca")], [{ theta: 0.1 }, {
    theta: "cifar10-pca",
  }]);
  assert.equal(parsed("--denoiser", "golden", "--k", "afhq").subset.k, "afhq");
});

Deno.test("sample takes the windows, threshold and sizes that were asked for", async () => {
  for (
    const [args, label] of [
      [["local", "--windows", "mnist-unet"], /windows of mnist-unet/],
      [["equivariant", "--windows", "5"], /windows of 5x5/],
      [["golden-local", "--windows", "3"], /windows of 3x3/],
      [["pca", "--theta", "cifar10-pca"], /theta 0\.05/],
      [["golden-pca", "--theta", "0.5"], /theta 0\.5/],
      [["pca"], /theta 0\.02/],
    ] as const
  ) {
    const { record } = await run("--steps", "2", "--limit", "40", "--denoiser", ...args);
    assert.match(record.denoiser, label);
  }
  const sized = await run("--steps", "2", "--denoiser", "golden", "--k", "afhq", "--no-tail");
  // [N/15, N/7.5] of 300 items.
  const { sizes } = subsetSchedule("described", { count: 300, k: [20, 40] });
  for (const { sigma, posterior } of sized.record.steps) {
    assert.equal(posterior!.subsetSize.max, sizes(sigma).k);
  }
});

Deno.test("parseOptions() refuses combinations that make no sense, in one line that says what would", () => {
  const cases = [
    [["--k", "5"], /--k with --denoiser optimal: wanted golden/],
    [["--denoiser", "wiener", "--no-tail"], /--no-tail with --denoiser wiener/],
    [["--denoiser", "golden-pca", "--tolerance", "1"], /no bound holds/],
    [["--denoiser", "golden", "--tolerance", "1", "--k", "5"], /--tolerance with --k/],
    [["--denoiser", "golden", "--tolerance", "0"], /wanted a number > 0/],
    [["--sampler", "dop853", "--tolerance", "1"], /or --sampler-tolerance/],
    [["--denoiser", "golden", "--k", "9..3"], /rising range/],
    [["--denoiser", "golden", "--k", "1..2..3"], /rising range/],
    [["--denoiser", "golden", "--m", "many"], /whole number/],
    [["--denoiser", "golden", "--proxy", "none"], /pooled, pca, exact/],
    [["--denoiser", "golden", "--schedule", "x"], /described, random-pool, random/],
    [["--denoiser", "gold"], /golden-local/],
    [["--tolerance", "1"], /--denoiser golden/],
    [["--denoiser", "golden", "--tiles", "2"], /wanted golden-pca or golden-local/],
    [["--denoiser", "golden-pca", "--tiles", "2", "--m", "9"], /--tiles with --m/],
    [["--windows", "5"], /wanted --denoiser local or equivariant or golden-local/],
    [["--denoiser", "local", "--windows", "4"], /wanted an odd number of pixels, or one of cifar/],
    [["--denoiser", "local", "--windows", "mnist"], /--windows mnist: .*mnist-unet/],
    [["--denoiser", "golden-local", "--theta", "0.1"], /wanted --denoiser pca or golden-pca/],
    [
      ["--denoiser", "pca", "--theta", "2"],
      /--theta 2: wanted a number from 0 to 1, or one of mnist/,
    ],
  ] as const;
  for (const [args, message] of cases) {
    assert.throws(() => parseOptions([...args]), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  }
});

Deno.test("sample runs every denoiser and names it in its record", async () => {
  const labels = {
    wiener: /Wiener/,
    local: /local/,
    equivariant: /equivariant/,
    pca: /PCA|locality/,
    golden: /golden subset \(described with a sampled tail\) of the optimal/,
    "golden-pca": /golden subset \(described\) of the .*(PCA|locality)/,
    "golden-local": /golden subset \(described\) of the .*local/,
  };
  for (const [name, label] of Object.entries(labels)) {
    const { samples, record } = await run("--steps", "3", "--limit", "100", "--denoiser", name);
    assert.match(record.denoiser, label);
    assert.ok(samples.every(Number.isFinite), name);
    assert.ok(record.references.length >= 2, name);
  }
  const tiled = ["--denoiser", "golden-local", "--tiles", "2", "--k", "5..20"];
  const { record } = await run("--steps", "3", "--limit", "100", ...tiled);
  assert.match(record.denoiser, /golden subsets \(4 tiles\) of the .*local/);
});

Deno.test("sample with a certified subset records size, gap, bound and mass, and ends where the whole denoiser does", async () => {
  const tolerance = 1e-3;
  const golden = await run("--denoiser", "golden", "--tolerance", String(tolerance));
  const whole = await run("--denoiser", "optimal");
  for (const { posterior } of golden.record.steps) {
    const { subsetSize, errorBound, capturedMass, certified, subsetGap } = posterior!;
    assert.equal(certified.min, 1);
    assert.ok(subsetSize.min! >= 1 && subsetSize.max! <= 300);
    assert.ok(errorBound.max! >= 0 && capturedMass.min! > 0.9);
    // Nothing is left out: an infinite gap, which JSON has no number for.
    assert.ok(subsetGap.min === null || subsetGap.min > 0);
  }
  assert.equal(golden.record.steps.at(-1)!.posterior!.subsetSize.max, 1);
  const { promised, endEstimate } = golden.record as unknown as {
    promised: { tolerance: number; all: number; open: number };
    endEstimate: { probes: number; largestDistance: number };
  };
  assert.deepEqual([promised.tolerance, promised.open], [tolerance, 0]);
  assert.ok(promised.all > 0 && endEstimate.probes > 0 && endEstimate.largestDistance >= 0);
  const square = golden.samples.reduce((sum, v, i) => sum + (v - whole.samples[i]) ** 2, 0);
  assert.ok(Math.sqrt(square / golden.samples.length) <= tolerance);
});

Deno.test("sample refuses a denoiser that the data cannot have with exit code 2", async () => {
  const error = console.error;
  const lines: string[] = [];
  console.error = (line: string) => lines.push(line);
  try {
    const out = join(await Deno.makeTempDir(), "out");
    const common = ["--quiet", "--device", "wasm", "--out", out];
    assert.equal(await main([...common, "--data", "moons:50", "--denoiser", "local"]), 2);
    assert.equal(await main([...common, "--limit", "50", "--denoiser", "golden", "--k", "51"]), 2);
    assert.match(lines[0], /^Cannot use --denoiser local: .*wanted images/);
    assert.match(lines[1], /^Cannot use --denoiser golden: .*from 1 to 50/);
  } finally {
    console.error = error;
  }
});
