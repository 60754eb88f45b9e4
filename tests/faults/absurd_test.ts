/** Options and arguments that are far too large or too small: an error, a warning, or the right answer; no hang. */
import * as m from "../_helpers/inner_parts.ts";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { cliRun, failedRun } from "../_helpers/cli_runs.ts";
import { trial } from "../_helpers/fault_table.ts";
import { withFolder } from "../_helpers/files.ts";
import { assertNumbers, assertTyped } from "../_helpers/wrong_calls.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

/** No line takes a second on an idle machine. */
const PATIENCE = 30_000;

/** Options, and what comes of them: an error's message, a warning, or nothing to say. */
const LINES: readonly [options: string, error: RegExp | undefined, warning?: RegExp][] = [
  // Smoothing and kernels.
  ["--denoiser smoothed --bandwidth 1e20 --steps 9", /--bandwidth 1\d*: float32 .* at most \d+$/],
  ["--denoiser smoothed --bandwidth 1e300 --draw-kind fresh", /--bandwidth 1e\+300: float32/],
  ["--denoiser smoothed --bandwidth 600 --steps 9", undefined, /bandwidth 600 is wider/],
  ["--denoiser smoothed --bandwidth 3 --steps 60", undefined, /bandwidth 3 is wider/],
  ["--denoiser smoothed --bandwidth 1e20 --steps 9 --draw-kind gumbel", undefined, /variance 1/],
  ["--denoiser smoothed --bandwidth 1e-300 --steps 60", undefined],
  ["--denoiser smoothed --bandwidth 1e999", /--bandwidth 1e999: wanted auto or a number/],
  ["--denoiser smoothed --draws 1000000000 --steps 9", /1000000000 draws .* GB, wanted/],
  ["--denoiser smoothed --draws 9007199254740991 --steps 9", /draws .* would take \d+ GB/],
  ["--denoiser smoothed --neighbours 1000000000", /neighbours is 1000000000, wanted/],
  ["--denoiser smoothed --neighbours 5,1000000000", /others is 1000000000, wanted/],
  ["--denoiser smoothed --start 0.9999999999999999", undefined],
  ["--denoiser smoothed --start 1e-300", /--start 1e-300: wanted auto, 0 or/],
  ["--denoiser kernel-density --bandwidth 100", undefined, /kernel is 100 in size/],
  ["--denoiser kernel-density --bandwidth 1e17", undefined, /kernel is 1/],
  ["--denoiser kernel-density --bandwidth 1e300", /bandwidth is 1e\+300, wanted a number from 0/],
  ["--denoiser kernel-density --bandwidth 0", undefined],
  ["--denoiser random-average --draws 1000000000", /draws is 1000000000, wanted/],
  ["--denoiser local-average --draws 1000000000", /draws is 1000000000, wanted/],
  ["--denoiser local-average --neighbours 1000000000", /neighbours is 1000000000, wanted/],
  ["--denoiser dirichlet --concentration 1e300", undefined, /samples vary by 0/],
  ["--denoiser dirichlet --concentration 1e-300", undefined],
  // Grids.
  ["--grid uniform-t --start 1e-10", /--start 1e-10: wanted auto, 0 or a flow time from 1e-9/],
  ["--grid uniform-t --start 1e-9", undefined],
  ["--grid uniform-t --steps 1", /steps is 1, wanted/],
  ["--grid uniform-t --steps 2", undefined, /start from noise of 1, .* 5 times larger/],
  ["--grid karras --steps 1", /steps is 1, wanted/],
  ["--grid ddpm --steps 1", undefined, /start from noise of 0.01/],
  ["--grid ddpm --steps 1001", /steps is 1001, wanted/],
  ["--grid log-snr --steps 1", undefined, /samples vary by 0.00/],
  ["--grid karras --steps 1000000000", /steps is 1000000000, wanted/],
  ["--grid log-snr --steps 9007199254740991", /steps is 9007199254740991, wanted/],
  ["--grid uniform-t --steps 1000000000", /steps is 1000000000, wanted/],
  // How many, of what.
  ["--count 1000000000000", /1000000000000 samples would take \d+ GB, wanted/],
  ["--count 9007199254740991", /samples would take \d+ GB, wanted/],
  ["--count 0", /--count 0: wanted/],
  ["--count 99999999999999999999", /--count 9+: wanted/],
  ["--seed 9007199254740991", undefined],
  ["--seed 99999999999999999999", /--seed 9+: wanted/],
  ["--limit 9007199254740991", undefined],
  ["--class 1000000000000000000000", /class 1000000000000000000000/],
  ["--data moons:9007199254740993", /n is 9007199254740992, wanted/],
  ["--data moons:100000000000000000000000", /n is 1e\+23, wanted/],
  ["--data tiny-shapes:1000000000", /n is 1000000000, wanted/],
  ["--data shapes:1000000000", /n is 1000000000, wanted/],
  ["--data circle:1", undefined],
  ["--data moons:1 --denoiser mixture", /k is 10, wanted/],
  ["--data moons:1 --denoiser smoothed", /at least 2 that differ/],
  // Subsets, mixtures, latents.
  ["--denoiser golden --k 1000000000", /k is 1000000000, wanted/],
  ["--denoiser golden --m 1..1000000000", /m is 1000000000, wanted/],
  ["--denoiser golden --tolerance 1e-300", /tolerance is 1e-300, .*wanted a tolerance above/],
  ["--denoiser golden --tolerance 1e300", undefined],
  ["--data tiny-shapes:50 --denoiser golden-pca --tiles 1000000000", /tiles is 1000000000, wanted/],
  ["--denoiser mixture --components 1000000000", /k is 1000000000, wanted/],
  ["--denoiser mixture --rank 1000000000", /rank is 1000000000, wanted/],
  ["--denoiser mixture --components 50", undefined],
  ["--codec pca:999999999", /rank is 999999999, wanted/],
  // Samplers and teleports.
  ["--sampler collocation --sampler-tolerance 1e-300", undefined],
  ["--sampler collocation --sampler-tolerance 1e300", /tolerance is 1e\+300, wanted/],
  ["--sampler dopri5 --sampler-tolerance 1e-300", undefined],
  ["--sampler dopri5 --sampler-tolerance 1e300", /tolerance is 1e\+300, wanted/],
  ["--sampler picard --sampler-tolerance 1e300", /tolerance is 1e\+300, wanted/],
  ["--teleport 1e-300", /displacement .* wanted at most/],
  ["--teleport 1e300", undefined],
  ["--teleport auto --teleport-tolerance 1e-300", undefined],
  ["--teleport 1 --teleport-law mixture --components 1000000000", /k is 1000000000, wanted/],
  ["--teleport 1 --teleport-law mixture --teleport-tolerance 1e-300", /wanted at most/],
];

/** Data far from the size that noise levels are made for, by the factor. */
const SIZES: readonly [factor: number, error: RegExp | undefined, warning?: RegExp][] = [
  [1, undefined],
  [1e-6, undefined, /less than the last noise level/],
  [1e6, undefined, /start from noise of/],
  [1e18, undefined, /start from noise of/],
  [1e30, /too far from the data for float32/],
];

/** Fails unless options give this error, or else this warning or none. */
async function assertLine(
  folder: string,
  args: readonly string[],
  error: RegExp | undefined,
  warning: RegExp | undefined,
): Promise<void> {
  await trial("absurd options of the command line", async () => {
    const begin = performance.now(), what = args.join(" ");
    const all = ["--count", "4", ...args];
    if (error) {
      const { code, lines } = await failedRun("--out", folder, ...all);
      assert.ok(code === 1 || code === 2, what);
      assert.equal(lines.length, 1, what);
      assert.match(lines[0], error, what);
      assert.ok(performance.now() - begin < PATIENCE, what);
      return lines[0];
    }
    const { record, samples } = await cliRun(folder, ...all);
    assert.ok(samples.length > 0 && samples.every(Number.isFinite), what);
    assert.match(record.warnings.join("\n"), warning ?? /^$/, what);
    assert.ok(performance.now() - begin < PATIENCE, what);
    return warning && `warning: ${record.warnings[0]}`;
  });
}

Deno.test(`sample with ${LINES.length} absurd options refuses, warns or is right`, () =>
  withFolder(async (folder) => {
    for (const [options, error, warning] of LINES) {
      const data = options.includes("--data") ? [] : ["--data", "moons:50"];
      await assertLine(folder, [...data, ...options.split(" ")], error, warning);
    }
  }));

Deno.test("sample of data of absurd sizes refuses, warns or is right", () =>
  withFolder(async (folder) => {
    for (const [factor, error, warning] of SIZES) {
      const file = join(folder, "x.npy");
      const data = Float32Array.from(m.startNoise(1, 0, 60, 2), (e) => factor * e);
      await Deno.writeFile(file, m.encodeNpy(data, [60, 2]));
      await assertLine(join(folder, "out"), ["--data", `npy:${file}`], error, warning);
    }
  }));

const zeros = (n: number, v = 0) => new Float64Array(n).fill(v);
const floats = (n: number, scale = 1) =>
  Float32Array.from(m.startNoise(1, 0, n, 1), (e) => scale * e);
const set = m.moons(20), exact = optimalFloat64(set), law = m.gaussianLaw([0, 0], 1);
const levels = (...sigmas: number[]): m.SigmaGrid => ({
  name: "karras",
  sigmas,
  startScale: sigmas[0],
  startAtMean: false,
});

/** Calls, and the error that they are refused with; without one they answer with numbers. */
const CALLS: readonly [name: string, call: () => unknown, error?: RegExp][] = [
  ["moons(2^31)", () => m.moons(2 ** 31), /n is 2147483648, wanted/],
  ["moons() of noise 1e300", () => m.moons(9, { noise: 1e300 }), /beyond float32/],
  ["moons() of noise 1e37", () => m.moons(9, { noise: 1e37 })],
  ["circle() of noise 1e300", () => m.circle(9, { noise: 1e300 }), /beyond float32/],
  [
    "checkerboard() of 2^24 cells",
    () => m.checkerboard(9, { cells: 2 ** 24 }),
    /cells is 16777216/,
  ],
  ["checkerboard() of 2^16 cells", () => m.checkerboard(9, { cells: 2 ** 16 })],
  ["spirals() of 1e20 turns", () => m.spirals(9, { turns: 1e20 })],
  [
    "gaussianMixture() at 1e300",
    () => m.gaussianMixture(9, { means: [[1e300, 0]] }),
    /beyond float32/,
  ],
  [
    "gaussianMixture() of variance 1e300",
    () => m.gaussianMixture(9, { covariances: [1e300], means: [[0]] }),
    /beyond float32/,
  ],
  ["tinyShapes(2^25)", () => m.tinyShapes(2 ** 25), /n is 33554432, wanted/],
  ["shapes() of 52 TB", () => m.shapes(2 ** 24, { size: 1024 }), /would take 49200 GB, wanted/],
  [
    "startNoise() of sample 2^53",
    () => m.startNoise(1, 2 ** 53 - 5, 9, 2),
    /sample is 9007199254740987/,
  ],
  // Grids and levels.
  ["ddpmGrid(1e9)", () => m.ddpmGrid(1e9), /steps is 1000000000, wanted/],
  ["karrasGrid(1e9)", () => m.karrasGrid(1e9), /steps is 1000000000, wanted/],
  ["karrasGrid() to 1e300", () => m.karrasGrid(9, { sigmaMax: 1e300 }), /sigmaMax 1e\+300, wanted/],
  ["karrasGrid() to 1e18", () => m.karrasGrid(9, { sigmaMax: 1e18 })],
  ["logSnrGrid() from 1e-300", () => m.logSnrGrid(9, { sigmaMin: 1e-300 }), /sigmaMin is 1e-300/],
  ["logSnrGrid() of all levels", () => m.logSnrGrid(9, { sigmaMin: 1e-18, sigmaMax: 1e18 })],
  ["uniformTGrid() from 1e-300", () => m.uniformTGrid(9, { start: 1e-300 }), /start is 1e-300/],
  ["uniformTGrid(1e7)", () => m.uniformTGrid(1e7), /steps is 10000000, wanted/],
  ["flowTimeOfSigma(1e308)", () => m.flowTimeOfSigma(1e308)],
  ["alphaBarOfSigma(1e200)", () => m.alphaBarOfSigma(1e200)],
  // Denoisers in float64.
  ["optimalFloat64() at 1e300", () => exact.denoise(zeros(2), 1e300), /sigma is 1e\+300, wanted/],
  ["optimalFloat64() at 1e-300", () => exact.denoise(zeros(2), 1e-300), /sigma is 1e-300, wanted/],
  ["optimalFloat64() at 1e18", () => exact.denoise(zeros(2), 1e18)],
  ["optimalFloat64() at 1e-18", () => exact.denoise(zeros(2), 1e-18)],
  ["optimalFloat64() of 1e300", () => exact.denoise(zeros(2, 1e300), 1), /too far from the data/],
  ["denoiseGaussian() at 1e200", () => m.denoiseGaussian(law, zeros(2), 1e200)],
  [
    "smoothed() by 1e17",
    async () => (await m.smoothed(exact, { bandwidth: 1e17 })).denoise(zeros(2), 1),
  ],
  [
    "smoothed() of 1e12 draws",
    async () => (await m.smoothed(exact, { bandwidth: 1, draws: 1e12 })).denoise(zeros(2), 1),
    /1000000000000 draws for each of 1 queries would take 29800 GB/,
  ],
  [
    "smoothed() of 1e12 gumbel draws",
    async () =>
      (await m.smoothed(exact, { bandwidth: 1, draws: 1e12, drawKind: "gumbel" })).denoise(
        zeros(2),
        1,
      ),
    /1000000000000 draws for each of 1 queries would take/,
  ],
  [
    "kernelDensity() of 1e300",
    () => m.kernelDensity(exact, { bandwidth: 1e300 }),
    /bandwidth is 1e\+300, wanted/,
  ],
  [
    "kernelDensity() of 1e18",
    async () => (await m.kernelDensity(exact, { bandwidth: 1e18 })).denoise(zeros(2), 1),
  ],
  [
    "randomAverage() of 1e9",
    () => m.randomAverage(set, { device: "float64", draws: 1e9 }),
    /draws is 1000000000/,
  ],
  [
    "localAverage() of 1e9",
    () => m.localAverage(set, { device: "float64", draws: 1e9 }),
    /draws is 1000000000/,
  ],
  [
    "dirichletAverage() of 1e308",
    async () =>
      (await m.dirichletAverage(set, { device: "float64", concentration: 1e308 })).denoise(
        zeros(2),
        1,
      ),
  ],
  // Samplers.
  [
    "sample() of 1e12",
    () => m.sample(exact, { count: 1e12, output: "tensor" }),
    /would take \d+ GB, wanted/,
  ],
  [
    "sample() in one batch of 1e15",
    () => m.sample(exact, { count: 3, batchSize: 1e15, output: "tensor" }),
  ],
  [
    "sample() from 2^53",
    () => m.sample(exact, { count: 3, first: 2 ** 53 - 2, output: "tensor" }),
    /sample is 9007/,
  ],
  [
    "sample() from 1e300",
    () => m.sample(exact, { count: 1, grid: levels(1e300, 1, 0), output: "tensor" }),
    /sigma is 1e/,
  ],
  [
    "sample() from 1e18",
    () => m.sample(exact, { count: 1, grid: levels(1e18, 1, 0), output: "tensor" }),
  ],
  [
    "sample() from 1e-17",
    () => m.sample(exact, { count: 1, grid: levels(1e-17, 1e-18, 0), output: "tensor" }),
  ],
  ["picard() to 1e300", () => m.picard({ tolerance: 1e300 }), /tolerance is 1e\+300, wanted/],
  [
    "picard() in windows of 1e9",
    () => m.sample(exact, { count: 1, sampler: m.picard({ parallel: 1e9 }), output: "tensor" }),
  ],
  ["dopri5() to 1e300", () => m.dopri5({ tolerance: 1e300 }), /tolerance is 1e\+300, wanted/],
  [
    "collocation() of 1e9 nodes",
    () => m.collocation({ nodes: 1e9 }),
    /nodes is 1000000000, wanted/,
  ],
  ["exponentialAdams(1e9)", () => m.exponentialAdams(1e9), /order is 1000000000, wanted/],
  ["unipc() of order 9", () => m.unipc({ order: 9 as 3 }), /order is 9, wanted/],
  // Metrics.
  [
    "slicedWasserstein2() along 1e12",
    () => m.slicedWasserstein2(floats(8), floats(8), { dimension: 2, directions: 1e12 }),
    /directions is 1000000000000, wanted/,
  ],
  [
    "sinkhorn() of 1e-300",
    () => m.sinkhorn(floats(8), floats(8), { dimension: 2, epsilon: 1e-300 }),
  ],
  [
    "sinkhorn() of 1e300",
    () => m.sinkhorn(floats(8), floats(8), { dimension: 2, epsilon: 1e300 }),
    /epsilon is 1e\+300, wanted at most 1000000000 times the largest cost/,
  ],
  ["wasserstein2() of 1e30", () => m.wasserstein2(floats(8, 1e30), floats(8), { dimension: 2 })],
  ["mmd() of 1e30", () => m.mmd(floats(8, 1e30), floats(8), { dimension: 2 })],
  [
    "energyDistance() of 1e30",
    () => m.energyDistance(floats(8, 1e30), floats(8), { dimension: 2 }),
  ],
  [
    "frechetDistance() of 1e30",
    () => m.frechetDistance(floats(12, 1e30), floats(12), { dimension: 2 }),
  ],
  [
    "precisionRecall() of 1e9",
    () => m.precisionRecall(floats(20), floats(20), { dimension: 2, k: 1e9 }),
    /k is 1000000000, wanted/,
  ],
  [
    "kMeans(1e9)",
    () => m.kMeans({ data: floats(24), dimension: 2 }, 1e9),
    /k is 1000000000, wanted/,
  ],
  [
    "kMeans() of 1e12 rounds",
    () => m.kMeans({ data: floats(24), dimension: 2 }, 3, { iterations: 1e12 }),
  ],
  // Pictures and windows.
  ["blankBitmap(1e6, 1e6)", () => m.blankBitmap(1e6, 1e6), /1000000×1000000, wanted/],
  [
    "imageGrid() by 1e9",
    () => m.imageGrid(floats(288), { shape: [12, 12, 1], scale: 1e9 }),
    /its size is 24000000006/,
  ],
  ["scatterImage() of 1e37", () => m.scatterImage(floats(10, 1e37), { dimension: 2 })],
  [
    "scatterImage() of 1e9 pixels",
    () => m.scatterImage(floats(10), { dimension: 2, size: 1e9 }),
    /size is 1000000000, wanted/,
  ],
  ["maskOf(1e6)", () => m.maskOf(1e6, () => true), /dimension is 1000000, wanted/],
  ["patchSchedule(1e9, 1e9)", () => m.patchSchedule(1e9, 1e9), /side is 1000000000, wanted/],
  ["smoothingSteps(1e-300)", () => m.smoothingSteps(1e-300)],
];

Deno.test(`${CALLS.length} absurd calls of the library are refused or right`, async () => {
  for (const [name, call, error] of CALLS) {
    await trial("absurd arguments of public functions", async () => {
      const begin = performance.now();
      const found = await Promise.resolve().then(call).then(
        async (result) => await assertNumbers(result),
        (error) => error as Error,
      );
      assert.ok(performance.now() - begin < PATIENCE, name);
      if (found) assertTyped(found);
      if (found || error) assert.match(found?.message ?? "answered", error ?? /^$/, name);
      return found ?? undefined;
    });
  }
});
