import {
  dataSpectrum,
  ddpmGrid,
  functionDenoiser,
  gaussianLeg,
  goldenSubset,
  heun,
  karrasGrid,
  moons,
  nearestItems,
  optimal,
  sample,
  sampleSteps,
  shapes,
  smoothed,
  smoothingDefaults,
  teleport,
  uniformTGrid,
} from "@closedform/diffusion";
import { arraySpace } from "@closedform/diffusion/compute";
import type { SampleOptions } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { shownFor } from "../../src/base/_display.ts";
import { medianOf } from "../../src/base/_quantile.ts";
import { dpmV3 } from "../../src/samplers/dpm_v3.ts";
import { dpmV3Statistics } from "../../src/samplers/dpm_v3/estimate.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const set = moons(200);

Deno.test("sample() gives the states that it gives as tensors, as a data set", async () => {
  const exact = await optimal(set, { device: "wasm" });
  const options = { count: 5, seed: 3, grid: karrasGrid(8) };
  const run = await sample(exact, options);
  const { x, denoised, steps } = await sample(exact, { ...options, output: "tensor" });
  assert.deepEqual(run.samples.data, await exact.space.values(x));
  assert.deepEqual(run.denoised.data, await exact.space.values(denoised));
  assert.deepEqual([run.samples.count, run.samples.shape, run.samples.range], [5, [2], set.range]);
  assert.equal(run.facts.length, steps.length);
  exact.space.dispose(x, denoised);
});

Deno.test("a run in float64 keeps its precision, and its samples are data again", async () => {
  const exact = optimalFloat64(set);
  const run = await sample(exact, { count: 4, steps: 5 });
  const { x } = await sample(exact, { count: 4, steps: 5, output: "tensor" });
  assert.deepEqual(run.samples.data, x);
  assert.ok(run.samples.data instanceof Float64Array);
  for (const device of ["float64", "wasm"] as const) {
    const again = await optimal(run.samples, { device });
    assert.equal(again.count, 4);
  }
});

Deno.test("facts are a row per step: medians to read, all values beside them, none undefined", async () => {
  const golden = await goldenSubset(shapes(100), { device: "wasm", k: 20 });
  const { facts } = await sample(golden, { count: 3, steps: 4 });
  assert.deepEqual(facts.map(({ step }) => step), [1, 2, 3, 4]);
  for (const row of facts) {
    assert.equal(row.values.subsetSize.length, 3);
    assert.equal(row.subsetSize, medianOf(row.values.subsetSize));
    assert.equal(row.logitGap, medianOf(row.values.logitGap));
  }
  const [table] = shownFor(facts) as Record<string, number>[][];
  assert.deepEqual(Object.keys(table[0]), [
    ...["step", "sigma", "evaluations", "k", "gap", "effective items", "captured mass", "bound"],
  ]);
  const plain = await sample((x) => x.map(() => 0), { shape: [2], count: 2, steps: 2 });
  assert.deepEqual(plain.facts.map(({ values }) => values.entropy.length), [0, 0]);
  assert.ok(!("entropy" in plain.facts[0]));
});

Deno.test("samplers and grids by their names are those of the functions", async () => {
  const exact = optimalFloat64(set);
  const draw = async (options: SampleOptions) =>
    (await sample(exact, { count: 3, seed: 1, ...options, output: "run" })).samples.data;
  const pairs: [SampleOptions, SampleOptions][] = [
    [{}, { grid: ddpmGrid(10) }],
    [{ sampler: "heun" }, { sampler: heun() }],
    [{ grid: "karras" }, { grid: karrasGrid(18) }],
    [{ grid: "karras", steps: 7 }, { grid: karrasGrid(7) }],
    [{ steps: 4 }, { grid: ddpmGrid(4) }],
  ];
  for (const [named, made] of pairs) assert.deepEqual(await draw(named), await draw(made));
});

Deno.test("dpm-v3 by its name computes the tables of the denoiser's data", async () => {
  const exact = optimalFloat64(set), steps = 6;
  const statistics = await dpmV3Statistics(exact, set, { sigmaMax: 80, sigmaMin: 0.002 });
  const named = await sample(exact, { count: 3, sampler: "dpm-v3", grid: "log-snr", steps });
  const made = await sample(exact, {
    ...{ count: 3, sampler: dpmV3({ statistics }), grid: "log-snr", steps },
  });
  assert.deepEqual(named.samples.data, made.samples.data);
  const point = functionDenoiser((x) => x.map(() => 1), { shape: [2], space: arraySpace });
  await assert.rejects(sample(point, { sampler: "dpm-v3" }), /holds no data in memory/);
});

Deno.test("sample() refuses steps beside a grid of its own, and other words", async () => {
  const exact = optimalFloat64(set);
  const wrong: [SampleOptions, RegExp][] = [
    [{ grid: ddpmGrid(5), steps: 5 }, /received the option steps with a grid that has 5, wanted/],
    [{ steps: 0 }, /wanted a whole number/],
    [{ sampler: "hoin" as "heun" }, /Cannot make the sampler hoin: wanted one of/],
    [{ grid: "karas" as "karras" }, /karas/],
    [{ progress: "no" as unknown as boolean }, /progress is "no", wanted true or false/],
    [{ output: "tensors" as "tensor" }, /output is "tensors", wanted "run" or "tensor"/],
  ];
  for (const [options, message] of wrong) {
    await assert.rejects(sample(exact, { count: 1, ...options }), message);
  }
});

Deno.test("smoothed() without a bandwidth brings bandwidth, grid and steps of its data", async () => {
  const device = "wasm";
  const found = await smoothingDefaults(set, { device });
  const denoiser = await smoothed(set, { device });
  assert.deepEqual(denoiser.grid, { name: "uniform-t", steps: found.steps });
  const run = await sample(denoiser, { count: 6 });
  const made = await sample(await smoothed(set, { device, bandwidth: found.bandwidth }), {
    count: 6,
    grid: uniformTGrid(found.steps),
  });
  assert.deepEqual(run.samples.data, made.samples.data);
  const near = await nearestItems(run, set);
  assert.ok(near.memorisedShare < 1);
});

Deno.test("sampleSteps() yields the states of sample(), which stay valid, and may be left", async () => {
  for (const device of ["wasm", "float64"] as const) {
    const exact = await optimal(set, { device });
    const options = { count: 3, seed: 2, sampler: "heun", grid: "karras", steps: 6 } as const;
    const states = [];
    for await (const state of sampleSteps(exact, options)) states.push(state);
    const { samples, trajectory, evaluations } = await sample(exact, {
      ...options,
      trajectory: true,
    });
    assert.deepEqual(states.map(({ step }) => step), [1, 2, 3, 4, 5, 6]);
    states.forEach(({ x }, k) => assert.deepEqual(x, trajectory![k + 1].x));
    assert.deepEqual(states[5].x, samples.data);
    assert.equal(states[5].evaluations, evaluations);
    for await (const { sigma } of sampleSteps(exact, options)) if (sigma < 5) break;
  }
  const own = sampleSteps((x) => x.map(() => 1), { shape: [2], count: 1, steps: 2 });
  assert.deepEqual([...(await own.next()).value!.denoised], [1, 1]);
  await assert.rejects(sampleSteps((x) => x, {}).next(), /wanted the shape of one sample/);
});

Deno.test("sample({ teleport }) is the sampler around a leg, and says where it landed", async () => {
  const exact = await optimal(set, { device: "wasm" });
  const shared = { count: 4, seed: 5, grid: "karras", steps: 12, sampler: "heun" } as const;
  const run = await sample(exact, { ...shared, teleport: "auto" });
  const { sigma, stepsSaved, displacementPerNumber, tolerance, law } = run.teleport!;
  assert.ok(stepsSaved > 0 && displacementPerNumber <= tolerance && /Gaussian/i.test(law));
  using leg = gaussianLeg(await dataSpectrum(set));
  const made = await sample(exact, {
    ...{ count: 4, seed: 5, grid: karrasGrid(12), sampler: teleport(heun(), leg, { sigma }) },
  });
  assert.deepEqual(run.samples.data, made.samples.data);
  assert.equal(run.evaluations, made.evaluations);
  const deeper = await sample(exact, {
    ...shared,
    teleport: { sigma: "auto", law: "mixture", components: 4, tolerance: 0.02, respace: true },
  });
  assert.ok(deeper.teleport!.sigma < sigma && deeper.teleport!.stepsSaved === 0);
  const none = await sample(exact, { ...shared, teleport: 1e5 });
  assert.equal(none.teleport!.stepsSaved, 0);
});

Deno.test("sample({ teleport }) takes the data of the denoiser or those that are given", async () => {
  const own = (x: Float32Array | Float64Array, sigma: number) => x.map((v) => v / (1 + sigma ** 2));
  const options = { shape: [2], count: 2, grid: "karras" } as const;
  await assert.rejects(
    sample(own, { ...options, teleport: "auto" }),
    /wanted teleport: \{ data \}/,
  );
  const { teleport: facts } = await sample(own, { ...options, teleport: { data: set } });
  assert.ok(facts!.sigma > 0);
  const exact = optimalFloat64(set);
  const wrong: [unknown, RegExp][] = [
    [0.01, /is predicted to be .* wanted at most 0.02: a level of at least/],
    ["soon", /sigma is "soon", wanted auto, crossing or a number/],
    [{ law: "delta" }, /law is "delta", wanted gaussian or mixture/],
    [{ tolerence: 1 }, /there is no option tolerence, wanted tolerance/],
    [{ components: 4 }, /received components with the law gaussian, wanted them with law/],
    [{ law: "mixture", rank: -3 }, /rank is -3, wanted/],
  ];
  for (const [teleport, message] of wrong) {
    const asked = { count: 1, teleport: teleport as "auto" };
    await assert.rejects(sample(exact, asked), message);
  }
});
