import assert from "node:assert/strict";
import { openDevice } from "../../src/compute/open_device.ts";
import { moons } from "../../src/datasets/generators.ts";
import { functionDenoiser } from "../../src/denoisers/function_denoiser.ts";
import type { DenoiserFunction } from "../../src/denoisers/function_denoiser.ts";

import { smoothed } from "../../src/denoisers/smoothed.ts";
import { arraySpace, tensorSpace } from "../../src/states/linear_space.ts";
import { karrasGrid } from "../../src/base/noise.ts";
import { startNoise } from "../../src/base/random.ts";
import { collocation } from "../../src/samplers/collocation.ts";
import { heun } from "../../src/samplers/heun.ts";
import { sample } from "../../src/samplers/sample.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const set = moons(50);

/** The exact denoiser of the moons, by hand and row by row. */
function byHand(x: ArrayLike<number>, sigma: number): number[][] {
  return Array.from({ length: x.length / 2 }, (_, row) => {
    const logits = Array.from({ length: set.count }, (_, i) => {
      const [a, b] = set.values(i);
      return -((x[2 * row] - a) ** 2 + (x[2 * row + 1] - b) ** 2) / (2 * sigma * sigma);
    });
    const top = Math.max(...logits), weights = logits.map((l) => Math.exp(l - top));
    const z = weights.reduce((a, b) => a + b);
    return [0, 1].map((c) => weights.reduce((sum, w, i) => sum + w / z * set.values(i)[c], 0));
  });
}

Deno.test("functionDenoiser() gives the samples of the denoiser that the function computes", async () => {
  const own = functionDenoiser(byHand, { shape: [2], space: arraySpace });
  // Collocation evaluates rows at levels of their own.
  for (const sampler of [heun(), collocation()]) {
    const options = { count: 7, sampler, grid: karrasGrid(9), seed: 3 };
    const [a, b] = [
      await sample(own, { ...options, output: "tensor" }),
      await sample(optimalFloat64(set), { ...options, output: "tensor" }),
    ];
    // Two orders of summing 50 weights; the last step contracts what they differ by.
    for (let i = 0; i < 14; i++) assert.ok(Math.abs(a.x[i] - b.x[i]) < 1e-9, sampler.name);
  }
});

Deno.test("functionDenoiser() takes images as nested as they are", async () => {
  const image = [[[1], [2]], [[3], [4]]];
  const own = functionDenoiser(() => [image, image] as unknown as number[][], {
    shape: [2, 2, 1],
    space: arraySpace,
  });
  const { mean } = await own.denoise(new Float64Array(8), 1);
  assert.deepEqual([...mean], [1, 2, 3, 4, 1, 2, 3, 4]);
});

Deno.test("functionDenoiser() calls the function once for each level, with its rows", async () => {
  const calls: [number[], number][] = [];
  const own = functionDenoiser((x, sigma) => {
    calls.push([[...x], sigma]);
    return Promise.resolve(x.map((v) => v * sigma));
  }, { shape: [1], space: arraySpace });
  const { mean } = await own.denoise(Float64Array.of(1, 2, 3, 4), [5, 7, 5, 9]);
  assert.deepEqual(calls, [[[1, 3], 5], [[2], 7], [[4], 9]]);
  assert.deepEqual([...mean], [5, 14, 15, 36]);
});

Deno.test("sample() takes a plain function, which sees Float32Array, with or without a device", async () => {
  const kinds = new Set<string>();
  const own: DenoiserFunction = (x, sigma) => {
    kinds.add(x.constructor.name);
    return byHand(x, sigma);
  };
  const options = { shape: [2], count: 5, seed: 3, grid: karrasGrid(9) };
  const first = await sample(own, { ...options, output: "tensor" });
  const values = await tensorSpace.values(first.x);
  tensorSpace.dispose(first.x, first.denoised);
  assert.deepEqual([...kinds], ["Float32Array"]);
  const { x: wanted } = await sample(optimalFloat64(set), {
    ...options,
    shape: undefined,
    output: "tensor",
  });
  for (let i = 0; i < 10; i++) assert.ok(Math.abs(values[i] - wanted[i]) < 1e-4);
  using _device = await openDevice("wasm");
  await withoutLeaks(async () => {
    const { x, denoised } = await sample(own, { ...options, output: "tensor" });
    assert.deepEqual([...await tensorSpace.values(x)], [...values]);
    tensorSpace.dispose(x, denoised);
  });
});

Deno.test("functionDenoiser() can be wrapped", async () => {
  const own = functionDenoiser(byHand, { shape: [2], space: arraySpace });
  const x = Float64Array.from(startNoise(1, 0, 4, 2));
  const options = { bandwidth: 0.1, draws: 4, seed: 2 };
  const { mean } = await (await smoothed(own, options)).denoise(x, 0.5);
  const { mean: wanted } = await (await smoothed(optimalFloat64(set), options)).denoise(x, 0.5);
  mean.forEach((v, i) => assert.ok(Math.abs(v - wanted[i]) < 1e-12));
});

Deno.test("functionDenoiser() and sample() refuse what a function cannot be", async () => {
  const make = (f: unknown, shape: unknown = [2]) =>
    functionDenoiser(f as DenoiserFunction, { shape: shape as number[], space: arraySpace });
  const x = new Float64Array(4);
  const wrong: [unknown, RegExp][] = [
    [() => [1, 2, 3], /returned 3 numbers, wanted 4, rows of \[2\]/],
    [() => undefined, /returned undefined, wanted rows/],
    [() => 5, /returned 5, wanted rows/],
    [() => "four", /returned "four", wanted rows/],
    [() => [[1, 2], [3]], /returned 2 rows, one of 1 numbers, wanted 2 rows of \[2\]/],
    [() => [[1, 2, 3, 4]], /returned 1 rows, one of 4 numbers, wanted 2 rows/],
    [() => [[1], [2, 3, 4]], /returned 2 rows, one of 1 numbers/],
    [() => [[1, 2], [3, 4], [5, 6]], /returned 3 rows, wanted 2 rows/],
  ];
  for (const [f, message] of wrong) {
    await assert.rejects(make(f).denoise(x, 1), { name: "TypeError", message });
  }
  await assert.rejects(make(() => [1, 2, 3, NaN]).denoise(x, 1), {
    name: "RangeError",
    message: /returned NaN, wanted finite numbers/,
  });
  await assert.rejects(make(() => [1, 2, 3, 4]).denoise(x, -1), RangeError);
  await assert.rejects(make(() => [1, 2, 3, 4]).denoise(x, 1, { signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
  for (const shape of [[], [0], [1.5], "2", 2, undefined]) {
    assert.throws(() => make(byHand, shape ?? null), TypeError);
  }
  assert.throws(() => make({}), /received an object of nothing, wanted a function/);
  const bare = sample as unknown as (...args: unknown[]) => Promise<unknown>;
  await assert.rejects(bare(byHand), /wanted the shape of one sample with it/);
  await assert.rejects(
    sample(optimalFloat64(set), { shape: [3], output: "tensor" }),
    /shape is \[3\] and the denoiser is of \[2\]/,
  );
});
