import {
  memorisedDistance,
  nearestItems,
  readMnist,
  shareWithin,
  startNoise,
} from "@closedform/diffusion";
import type { Dataset } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";

Deno.test("memorisedDistance() is the percentile of sorted gaps, copies left out", async () => {
  // Gaps to the nearest other number: 1, 1, 2, 3, 4, and the copies of 0 have those of 0.
  const data = Float32Array.of(0, 0, 0, 1, 3, 6, 10), points = { data, dimension: 1 };
  const sorted = [1, 1, 1, 1, 2, 3, 4];
  for (const percentile of [0, 50, 75, 100]) {
    const at = percentile / 100 * 6, below = Math.floor(at);
    const wanted = sorted[below] + (at - below) * ((sorted[below + 1] ?? 4) - sorted[below]);
    assert.equal(await memorisedDistance(points, { percentile }), wanted);
  }
});

Deno.test("memorisedDistance() of some items is near that of all, and scales with the data", async () => {
  const data = Float32Array.from(startNoise(1, 0, 3000, 2));
  const all = await memorisedDistance({ data, dimension: 2 }, { items: 3000 });
  const some = await memorisedDistance({ data, dimension: 2 });
  // The fifth percentile of 512 gaps, themselves about Rayleigh: 1/√(512 · 0.05) relative, over two as squares are uniform there.
  assert.ok(Math.abs(some / all - 1) < .4, `${some} ${all}`);
  const scaled = { data: data.map((v) => 4 * v), dimension: 2 };
  assert.equal(await memorisedDistance(scaled), 4 * some);
});

Deno.test("shareWithin() the 5th percentile is one for training points and about a twentieth for new ones", async () => {
  const points = { data: Float32Array.from(startNoise(2, 0, 2000, 3)), dimension: 3 };
  const distance = await memorisedDistance(points, { items: 2000 });
  assert.equal(shareWithin(await nearestItems(points.data.subarray(0, 300), points), distance), 1);
  const share = shareWithin(await nearestItems(startNoise(3, 0, 1000, 3), points), distance);
  // Binomial with p = .05: four standard errors.
  assert.ok(Math.abs(share - .05) < 4 * Math.sqrt(.05 * .95 / 1000), `${share}`);
});

Deno.test("memorisedDistance() and shareWithin() refuse what makes no sense", async () => {
  const points = { data: Float32Array.of(0, 1), dimension: 1 };
  for (const options of [{ percentile: -1 }, { percentile: 101 }, { items: 0 }, { items: 1.5 }]) {
    await assert.rejects(() => memorisedDistance(points, options), RangeError);
  }
  const copies = { data: Float32Array.of(2, 2), dimension: 1 };
  await assert.rejects(() => memorisedDistance(copies), /one distinct item/);
  const found = await nearestItems([0], points);
  for (const distance of [0, -1, NaN]) {
    assert.throws(() => shareWithin(found, distance), RangeError);
  }
});

const mnist = hasData("mnist");
Deno.test({
  name: `memorisedDistance() tells training digits from test digits${
    mnist ? "" : " (skipped: ../shared/data/mnist is not there)"
  }`,
  ignore: !mnist,
  fn: async () => {
    const train = await readMnist(dataPath("mnist"), { limit: 5000 });
    const test = await readMnist(dataPath("mnist"), { split: "test", limit: 100 });
    const distance = await memorisedDistance(train, { items: 200 });
    const first = (set: Dataset) =>
      Array.from({ length: 100 }, (_, i) => [...set.values(i)]).flat();
    assert.equal(shareWithin(await nearestItems(first(train), train), distance), 1);
    // Held-out digits are as near to the data as the data are to each other: about a twentieth.
    assert.ok(shareWithin(await nearestItems(first(test), train), distance) < .15);
  },
});
