import type { AnyTensor, StateSpace } from "@closedform/diffusion";
import { openDevice } from "@closedform/diffusion";
import { arraySpace, tensorSpace } from "@closedform/diffusion/compute";
import * as tf from "@tensorflow/tfjs";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";

async function check<X>(space: StateSpace<X>) {
  const from = (...values: number[]) => space.from(values, [1, values.length]);
  const [a, b, bad] = [from(1, 2), from(4, -8), from(NaN, Infinity)];
  const sum = space.combine([0.5, 0.25, 0], [a, b, bad]);
  assert.deepEqual([...await space.values(sum)], [1.5, -1]);
  const zero = space.combine([0], [bad]);
  assert.deepEqual([...await space.values(zero)], [0, 0]);
  assert.throws(() => space.combine([NaN], [a]), RangeError);
  assert.throws(() => space.combine([Infinity], [a]), RangeError);
  assert.throws(() => space.combine([], []), TypeError);
  assert.throws(() => space.combine([1], [a, b]), TypeError);
  const long = from(1, 2, 3);
  assert.throws(() => space.combine([1, 1], [a, long]), TypeError);
  space.dispose(a, b, bad, sum, zero, long);
}

async function checkCoordinates<X>(space: StateSpace<X>) {
  const state = (...values: number[]) => space.from(values, [2, 2]);
  const [a, b] = [state(1, 2, 3, 4), state(10, 20, 30, 40)];
  const sum = space.combineCoordinates([Float64Array.of(2, -1), 0.5], [a, b]);
  assert.deepEqual([...await space.values(sum)], [7, 8, 21, 16]);
  assert.throws(() => space.combineCoordinates([Float64Array.of(1, NaN)], [a]), RangeError);
  assert.throws(() => space.combineCoordinates([Float64Array.of(1, 2, 3)], [a]), TypeError);
  assert.throws(() => space.combineCoordinates([], []), TypeError);
  space.dispose(a, b, sum);
}

Deno.test("arraySpace combines in float64", async () => {
  await check(arraySpace);
  await checkCoordinates(arraySpace);
  assert.deepEqual([...arraySpace.combine([1 / 3], [Float64Array.of(1)])], [1 / 3]);
});

Deno.test("tensorSpace combines tensors and leaks none", async () => {
  using _ = await openDevice("wasm");
  await withoutLeaks(() => check(tensorSpace));
  await withoutLeaks(() => checkCoordinates(tensorSpace));
});

Deno.test("tensorSpace takes tensors made by the whole of tfjs", async () => {
  using _ = await openDevice("wasm");
  const x: AnyTensor = tf.tensor2d([[1, 2]]);
  const y = tensorSpace.combine([3], [x]);
  assert.deepEqual([...await tensorSpace.values(y)], [3, 6]);
  tensorSpace.dispose(x, y);
});

Deno.test("from() copies what it is given", async () => {
  using _ = await openDevice("wasm");
  const values = Float32Array.of(1, 2);
  const x = tensorSpace.from(values, [2]);
  values[0] = 9;
  assert.deepEqual([...await tensorSpace.values(x)], [1, 2]);
  x.dispose();
});
