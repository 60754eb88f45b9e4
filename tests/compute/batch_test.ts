import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { batchOf } from "../../src/compute/batch.ts";
import type { State } from "../../src/compute/batch.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";

const devices = await testDevices();
const points = { data: Float32Array.of(-1, 0, 1, 0, 0.5, 2), dimension: 2 };
const numbers = [0.25, 0.5, -0.75, 1];

testOnDevices(devices, "a store answers in the kind of state that it is given", async (device) => {
  const store = await device.store(points);
  const x = tensorSpace.from(numbers, [2, 2]);
  const { mean, facts } = await store.posterior(x, [0.5, 1]);
  const wanted = await tensorSpace.values(mean);
  const single = await store.posterior(Float32Array.from(numbers), [0.5, 1]);
  const double = await store.posterior(Float64Array.from(numbers), [0.5, 1]);
  assert.ok(single.mean instanceof Float32Array && double.mean instanceof Float64Array);
  assert.deepEqual(single.mean, wanted);
  assert.deepEqual(Float32Array.from(double.mean), wanted);
  assert.deepEqual(single.facts, facts);

  const subsets = [{ rows: Uint32Array.of(0, 2) }, { rows: Uint32Array.of(1) }];
  const some = await store.posteriorOn(x, 1, subsets);
  const plain = await store.posteriorOn(Float32Array.from(numbers), 1, subsets);
  assert.deepEqual(plain.mean, await tensorSpace.values(some.mean));
  assert.deepEqual(await store.nearest(Float32Array.from(numbers), 2), await store.nearest(x, 2));
  const lists = [Uint32Array.of(2), Uint32Array.of(0, 1)];
  assert.deepEqual(
    await store.distancesTo(Float64Array.from(numbers), lists),
    await store.distancesTo(x, lists),
  );
  tensorSpace.dispose(x, mean, some.mean);
  store.dispose();
});

testOnDevices(
  devices,
  "a store refuses what is no state, and rows of another length",
  async (device) => {
    const store = await device.store(points);
    await assert.rejects(store.posterior([0, 0] as unknown as State, 1), TypeError);
    await assert.rejects(store.posterior(new Float32Array(3), 1), TypeError);
    await assert.rejects(store.nearest(new Float64Array(0), 1), RangeError);
    store.dispose();
  },
);

Deno.test("the device float64 keeps the precision of float64 queries", async () => {
  const { openDevice } = await import("@closedform/diffusion");
  const { referencePosterior } = await import("@closedform/diffusion/compute");
  using device = await openDevice("float64");
  const store = await device.store(points);
  const x = Float64Array.of(0.1, 1 / 3);
  assert.deepEqual((await store.posterior(x, 0.7)).mean, referencePosterior(points, x, 0.7).mean);
});

Deno.test("batchOf() does not copy an array, and makes states of its kind", async () => {
  const x = Float64Array.from(numbers);
  const batch = batchOf(x, 2, "test");
  assert.equal(await batch.values(), x);
  assert.deepEqual(batch.like(Float32Array.of(1, 2, 3, 4)), Float64Array.of(1, 2, 3, 4));
  assert.notEqual(batch.copy(), x);
});
