import { RandomStream } from "@closedform/diffusion";
import { referenceWindowed } from "@closedform/diffusion/compute";
import type { Translations } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { hasRelaxedSimd, openWasm } from "../../../src/compute/wasm/device.ts";
import type { WasmOptions } from "../../../src/compute/wasm/device.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

const shape = [9, 8, 3], dimension = 216;
const random = new RandomStream({ seed: 1, purpose: "data" });

/** Images near each other, so that many weigh. */
function images(count: number) {
  const data = Uint8Array.from({ length: count * dimension }, () => 100 + random.below(40));
  return { data, dimension };
}

const many = images(700), few = images(5);
const query = Float32Array.from({ length: dimension }, () => random.normal());

async function run(options: WasmOptions, translations: Translations) {
  using device = await openWasm("a test", options);
  const store = await device.store(translations === "none" ? many : few);
  const found = await store.windowed!(query, 0.6, { shape, patch: 5, translations });
  store.dispose();
  return found;
}

Deno.test("windowed() of openWasm() gives the same bits for any number of threads", async () => {
  for (const translations of ["none", "circular", "border"] as const) {
    const one = await run({ threads: 1 }, translations);
    for (const threads of [2, 5]) {
      const found = await run({ threads }, translations);
      assert.deepEqual(found.mean, one.mean);
      assert.deepEqual(found.logNormaliser, one.logNormaliser);
    }
  }
});

for (const relaxed of hasRelaxedSimd() ? [true, false] : [false]) {
  Deno.test(`windowed() of openWasm() agrees with the reference, relaxed SIMD ${relaxed}`, async () => {
    for (const translations of ["none", "circular", "interior", "border"] as const) {
      const points = translations === "none" ? many : few;
      const expected = referenceWindowed(points, query, 0.6, { shape, patch: 5, translations });
      const { mean, logNormaliser } = await run({ relaxed, threads: 2 }, translations);
      // Some 150 nats, each to 2^-22 of itself, move means of values within 0.4 of each other.
      assertClose(mean, expected.mean, 150 * 2 ** -22 * 0.4, translations);
      assertClose(logNormaliser, expected.logNormaliser, 150 * 2 ** -22, translations);
    }
  });
}

Deno.test("windowed() of openWasm() sums over any number of images in a block and a shard", async () => {
  using device = await openWasm("a test");
  // A kilobyte per image: blocks of some 300, shards of 64 and more.
  for (const count of [1, 2, 3, 63, 64, 65, 129, 301, 699]) {
    const points = { data: many.data.subarray(0, count * dimension), dimension };
    const store = await device.store(points);
    const options = { shape, patch: 3 };
    const { mean } = await store.windowed!(query, 2, options);
    assertClose(mean, referenceWindowed(points, query, 2, options).mean, 1e-6, `${count} images`);
    store.dispose();
  }
});
