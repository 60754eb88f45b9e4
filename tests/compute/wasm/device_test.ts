import { startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { referenceNeighbours } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { buildModules, kernelNames, moduleFile } from "../../../src/compute/wasm/build.ts";
import { hasRelaxedSimd, openWasm } from "../../../src/compute/wasm/device.ts";
import type { WasmOptions } from "../../../src/compute/wasm/device.ts";
import type { ModuleText } from "../../../src/compute/wasm/pool.ts";
import { referencePosterior } from "../../../src/compute/float64/posterior.ts";
import { assertClose, posteriorTolerance } from "../../_helpers/tolerance.ts";

const dimension = 100;
const points = {
  data: Uint8Array.from(
    startNoise(1, 0, 700, dimension),
    (e) => Math.max(0, Math.min(255, 128 + 60 * e)),
  ),
  dimension,
};

async function run(options: WasmOptions, sigma: number, batch = 5) {
  using device = await openWasm("a test", options);
  const store = await device.store(points);
  const x = tensorSpace.from(
    startNoise(2, 0, batch, dimension).map((e) => sigma * e),
    [batch, dimension],
  );
  const { mean } = await store.posterior(x, sigma);
  const result = {
    queries: await tensorSpace.values(x),
    mean: await tensorSpace.values(mean),
  };
  tensorSpace.dispose(x, mean);
  return result;
}

for (const name of kernelNames()) {
  Deno.test(`the committed modules of ${name}.as are what the source compiles to`, async () => {
    assert.equal(await buildModules(name), await Deno.readTextFile(moduleFile(name)));
  });

  Deno.test(`both modules of ${name}.as keep their constants below the data`, async () => {
    const text: ModuleText = await import(moduleFile(name).href);
    for (const base64 of [text.RELAXED, text.STRICT]) {
      if (base64 === text.RELAXED && !hasRelaxedSimd()) continue;
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
      const { instance } = await WebAssembly.instantiate(Uint8Array.fromBase64(base64), {
        env: { memory, abort: () => {} },
      });
      assert.ok((instance.exports.heapBase as () => number)() <= 65536);
    }
  });
}

for (const relaxed of hasRelaxedSimd() ? [true, false] : [false]) {
  Deno.test(`openWasm() agrees with the reference for any shards and blocks, relaxed SIMD ${relaxed}`, async () => {
    for (const sigma of [50, 2, 0.1]) {
      const queries = Float32Array.from(
        startNoise(2, 0, 5, dimension),
        (e) => sigma * e,
      );
      const expected = referencePosterior(points, queries, sigma).mean;
      const tolerances = Array.from(
        { length: 5 },
        (_, q) =>
          posteriorTolerance(
            points,
            queries.slice(q * dimension, (q + 1) * dimension),
            sigma,
          ).mean,
      );
      for (const shards of [1, 3, 700]) {
        for (const blockRows of [1, 7, 64]) {
          const { mean } = await run(
            { relaxed, shards, blockRows, threads: 2 },
            sigma,
          );
          for (let q = 0; q < 5; q++) {
            const [from, to] = [q * dimension, (q + 1) * dimension];
            assertClose(
              mean.slice(from, to),
              expected.slice(from, to),
              tolerances[q],
              "mean",
            );
          }
        }
      }
    }
  });
}

Deno.test("openWasm() gives the same bits for any number of threads", async () => {
  const one = await run({ threads: 1 }, 3, 9);
  for (const threads of [2, 5]) {
    assert.deepEqual(await run({ threads }, 3, 9), one);
  }
});

Deno.test("openWasm() sums even weights of many bytes as exactly as float32 does", async () => {
  const count = 20_000, d = 64;
  const data = Uint8Array.from(
    startNoise(3, 0, count, d),
    (e) => Math.max(0, Math.min(255, 128 + 60 * e)),
  );
  using device = await openWasm("a test");
  const store = await device.store({ data, dimension: d });
  for (const sigma of [100, 30, 10]) {
    const queries = Float32Array.from(startNoise(4, 0, 5, d), (e) => sigma * e);
    const expected = referencePosterior({ data, dimension: d }, queries, sigma);
    const x = tensorSpace.from(queries, [5, d]);
    const { mean } = await store.posterior(x, sigma);
    const values = await tensorSpace.values(mean);
    tensorSpace.dispose(x, mean);
    // 2^-19 of a spread of at most one half, four standard deviations, over float32 rounding of numbers up to 1.
    const tolerance = 4 * 2 ** -20 + 32 * 2 ** -24;
    assertClose(values, expected.mean, tolerance, `mean at sigma ${sigma}`);
  }
  store.dispose();
});

Deno.test("openWasm() drops no row on the word of the first digit of a query alone", async () => {
  // One huge coordinate, in which all rows agree, leaves the others no bits of the first digit at all:
  // by that digit alone, rows of random signs are equally far.
  const count = 500, d = 64, batch = 5, k = 20, sigma = 0.05;
  const data = Uint8Array.from(
    startNoise(5, 0, count, d),
    (e, at) => at % d === 0 ? 128 : e < 0 ? 68 : 188,
  );
  const queries = Float32Array.from(
    startNoise(6, 0, batch, d),
    (e, at) => at % d === 0 ? 1e4 : 0.08 * e,
  );
  const set = { data, dimension: d };
  using device = await openWasm("a test");
  const store = await device.store(set);
  const x = tensorSpace.from(queries, [batch, d]);
  assert.deepEqual(
    (await store.nearest(x, k)).indices,
    referenceNeighbours(set, queries, k).indices,
  );
  const { mean, facts } = await store.posterior(x, sigma);
  const expected = referencePosterior(set, queries, sigma);
  assert.deepEqual(facts.topIndex, expected.facts.topIndex);
  // The second digit is off by half of 1e4 · 127.5 / 32767 / 65534 stored units, times |v| √d twice: 0.01 nats at most.
  assertClose(facts.logitGap, expected.facts.logitGap, 0.02, "logitGap");
  tensorSpace.dispose(x, mean);
  store.dispose();
});
