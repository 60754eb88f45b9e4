import type { Denoiser, Sampler } from "@closedform/diffusion";
import {
  Dataset,
  dpmV3,
  dpmV3Statistics,
  encodeNpy,
  equivariant,
  gaussianLaw,
  goldenSubset,
  karrasGrid,
  kernelDensity,
  local,
  logSnrGrid,
  mixture,
  moons,
  neighbourEstimator,
  openDevice,
  openRows,
  optimal,
  pcaLocality,
  randomAverage,
  sample,
  SAMPLER_NAMES,
  smoothed,
  tiledGoldenSubset,
  tinyShapes,
  wiener,
} from "@closedform/diffusion";
import { gaussianStatistics } from "@closedform/diffusion/theory";
import { samplerByName } from "../../src/samplers/registry.ts";
import assert from "node:assert/strict";
import { gaussianFloat64, optimalFloat64 } from "../_helpers/float64.ts";

/** Data of three numbers, and what becomes of them. */
function dataOf(...rows: readonly number[][]): Dataset {
  return new Dataset({
    data: Float32Array.from(rows.flat()),
    shape: [rows[0].length],
    name: "rows",
  });
}

/** A sampler that multiplies the end of `heun` by a factor. */
function enlarging(factor: number): Sampler {
  const heun = samplerByName("heun");
  return {
    ...heun,
    async *run(denoiser, x, sigmas, options) {
      const { space } = denoiser;
      for await (const at of heun.run(denoiser, x, sigmas, options)) {
        const larger = space.combine([factor], [at.x]);
        yield { ...at, x: larger };
        space.dispose(larger);
      }
    },
  };
}

Deno.test("sample() refuses an end 100 times as large as the largest item and the noise", async () => {
  // Items of root mean square 5 and 4; heun ends at one of them, and at noise of 0.002 beside it.
  const denoiser = optimalFloat64(dataOf([3, 4, 5 * Math.sqrt(2)], [4, 4, -4]));
  for (const grid of [karrasGrid(18), logSnrGrid(18)]) {
    const run = (factor: number) =>
      sample(denoiser, {
        count: 8,
        sampler: enlarging(factor),
        grid,
        batchSize: 3,
        output: "tensor",
      });
    await run(95);
    await assert.rejects(run(130), {
      name: "RangeError",
      message:
        /^Cannot sample: sample [0-2] ended at a root mean square of \d+, wanted at most 100 times the 5 of the data plus the noise level 0(\.002)?$/,
    });
  }
});

Deno.test("sample() judges each sample by itself, and names the worst", async () => {
  const denoiser = optimalFloat64(moons(50));
  const sampler: Sampler = {
    ...samplerByName("heun"),
    async *run(inner, x, sigmas, options) {
      for await (const at of samplerByName("heun").run(inner, x, sigmas, options)) {
        const values = await inner.space.values(at.x);
        const moved = inner.space.from(values.map((v, k) => k === 11 ? 1e6 : v), [6, 2]);
        yield { ...at, x: moved };
      }
    },
  };
  await assert.rejects(sample(denoiser, { count: 6, sampler, output: "tensor" }), {
    message: /sample 5 ended at a root mean square of 710000, wanted/,
  });
});

Deno.test("sample() asks of a denoiser without data for finite numbers only", async () => {
  const far = { shape: [2], sampler: samplerByName("heun") };
  const { x } = await sample((x) => x.map(() => 1e30), { ...far, output: "tensor" });
  x.dispose();
  await assert.rejects(
    sample({
      ...optimalFloat64(moons(20)),
      rms: undefined,
      denoise: () => Promise.resolve({ mean: Float64Array.of(NaN, 1) }),
    }, { count: 1, output: "tensor" }),
    /wanted finite numbers|not finite/,
  );
});

Deno.test("sample() takes what any sampler makes of zeros, huge offsets, one large item and one item", async () => {
  const outlier = Array.from(
    { length: 400 },
    (_, i) => i === 7 ? [3e5, -2e5] : [i / 400, -i / 400],
  );
  const sets = {
    zeros: dataOf([0, 0], [0, 0]),
    "an offset": dataOf([1e6, 0.1], [1e6, -0.3], [1e6, 0.7]),
    "an item": dataOf([0.25, -1]),
    "tiny numbers": dataOf([1e-30, 0], [0, -1e-30]),
    "an outlier": dataOf(...outlier),
  };
  for (const [name, set] of Object.entries(sets)) {
    const denoiser = optimalFloat64(set);
    const statistics = await dpmV3Statistics(denoiser, set, {
      intervals: 24,
      samples: 8,
      cache: false,
    });
    for (const sampler of SAMPLER_NAMES) {
      for (const grid of [karrasGrid(12), logSnrGrid(12)]) {
        // A start far out, near the outlier.
        const init = name === "an outlier" ? [3e3, -2e3, 0, 1] : undefined;
        const run = { count: 2, grid, init, sampler: samplerByName(sampler, { statistics }) };
        await sample(denoiser, { ...run, output: "tensor" }).catch((error) => {
          assert.fail(`${sampler} on ${grid.name} of ${name}: ${error.message}`);
        });
      }
    }
  }
});

Deno.test("sample() takes of data that are all 0 what rounding leaves of the noise, and no more", async () => {
  const denoiser = optimalFloat64(dataOf([0, 0], [0, 0]));
  const ending = (end: number): Sampler => ({
    ...samplerByName("heun"),
    async *run(inner, x, sigmas, options) {
      for await (const at of samplerByName("heun").run(inner, x, sigmas, options)) {
        yield { ...at, x: at.sigma > 0 ? at.x : inner.space.from([end, end], [1, 2]) };
      }
    },
  });
  const run = (end: number) =>
    sample(denoiser, { count: 1, grid: karrasGrid(8), sampler: ending(end), output: "tensor" });
  // Float32 rounds states of size 80 by 5e-6.
  await run(80 * 2 ** -24);
  await assert.rejects(
    run(1e-4),
    /ended at a root mean square of 0\.0001, wanted at most 100 times the 0 of the data/,
  );
});

Deno.test("sample() refuses a run whose tables are wrong, by the size of its states", async () => {
  const set = moons(100), denoiser = optimalFloat64(set);
  const tables = gaussianStatistics(gaussianLaw([0, 0], 1));
  // Of an s that is rounding over a few levels: e^±30.
  const statistics = { ...tables, s: tables.s.map((_, at) => at > 60 && at < 70 ? 60 : 0) };
  const run = sample(denoiser, {
    count: 4,
    grid: logSnrGrid(10),
    sampler: dpmV3({ statistics, corrector: false }),
    output: "tensor",
  });
  await assert.rejects(run, /ended at a root mean square of/);
});

Deno.test("rms() of data is the size of the largest item, or of the first one that is large enough", async () => {
  const set = dataOf([1, -1], [3, 4], [-6, 8], [0, 0]);
  assert.equal(set.rms(), Math.sqrt(50));
  assert.equal(set.rms(2), Math.sqrt(12.5));
  assert.equal(set.rms(0.5), 1);
  assert.equal(set.rms(1e9), Math.sqrt(50));
  const bytes = new Dataset({
    data: Uint8Array.of(0, 255, 51, 51),
    shape: [2],
    range: [-2, 3],
    name: "b",
  });
  assert.equal(bytes.rms(), Math.sqrt(6.5));
  const denoisers: [Denoiser<Float64Array>, number][] = [
    [optimalFloat64(set), Math.sqrt(50)],
    [await kernelDensity(optimalFloat64(set), { bandwidth: 3 }), Math.sqrt(59)],
    [gaussianFloat64(gaussianLaw([3, 4], [5, 16])), Math.sqrt(23)],
  ];
  for (const [denoiser, size] of denoisers) {
    const found = await denoiser.rms!();
    assert.ok(Math.abs(found - size) < 1e-15 * 10, `${denoiser.label}: ${found}, ${size}`);
  }
});

Deno.test("rms() is known of every denoiser on data, whatever it wraps", async () => {
  using device = await openDevice("wasm");
  const set = tinyShapes(24);
  const size = set.rms();
  const file = await Deno.makeTempFile({ suffix: ".npy" });
  try {
    await Deno.writeFile(file, encodeNpy(dataOf([1, 2], [6, 8]).data as Float32Array, [2, 2]));
    using rows = await openRows(file);
    using streamed = await optimal(rows, { device });
    assert.equal(await streamed.rms!(), Math.sqrt(50));
    assert.equal(await streamed.rms!(1), Math.sqrt(2.5));
  } finally {
    await Deno.remove(file);
  }
  using base = await optimal(set, { device });
  using subset = await goldenSubset(base);
  using patches = await local(set, { device });
  using shifts = await equivariant(set, { device });
  using pca = await pcaLocality(set, { device, cache: false });
  using tiles = await tiledGoldenSubset(patches, { tiles: 2 });
  for (
    const denoiser of [
      base,
      subset,
      patches,
      shifts,
      pca,
      tiles,
      await smoothed(base, { bandwidth: 0.1, draws: 2 }),
      await neighbourEstimator(base, { neighbours: 4 }),
      await randomAverage(set, { device: "wasm" }),
    ]
  ) {
    assert.equal(await denoiser.rms?.(), size, denoiser.label);
  }
  // Laws know the mean size of what they stand for.
  const mean = Math.sqrt(
    Array.from({ length: set.count }, (_, i) => set.values(i))
      .reduce((sum, item) => sum + item.reduce((all, v) => all + v * v, 0), 0) /
      (set.count * set.dimension),
  );
  using filter = await wiener(set, { device, cache: false });
  using several = await mixture(set, { device, components: 2, rank: 4 });
  // The divisor N − 1 of the covariance; and of a mixture the larger of two groups.
  assert.ok(Math.abs(await filter.rms!() / mean - 1) < 1 / set.count);
  assert.ok(await several.rms!() > 0.9 * mean && await several.rms!() < 2 * size);
});
