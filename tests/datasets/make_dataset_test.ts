import { Dataset, dataset } from "@closedform/diffusion";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import assert from "node:assert/strict";

Deno.test("dataset takes the shape of an item from the nesting", () => {
  const points = dataset([[0, 1], [2, 3], [1, 1]]);
  assert.ok(points instanceof Dataset);
  assert.deepEqual([points.shape, points.count], [[2], 3]);
  assert.deepEqual([...points.data], [0, 1, 2, 3, 1, 1]);
  assert.equal(points.summary(), "my data: 3 items of 2 floats");
  const images = dataset([[[[1], [2]]], [[[3], [4]]]]);
  assert.deepEqual([images.shape, [...images.data]], [[1, 2, 1], [1, 2, 3, 4]]);
  const typed = dataset([Float64Array.of(1, 2, 3), Float64Array.of(4, 5, 6)], { name: "rows" });
  assert.deepEqual([typed.shape, [...typed.data], typed.name], [[3], [1, 2, 3, 4, 5, 6], "rows"]);
});

Deno.test("dataset uses bytes and float32 as they are, and converts others", () => {
  const bytes = new Uint8Array(24), floats = new Float32Array(24);
  assert.equal(dataset(bytes, { shape: [2, 2, 3] }).data, bytes);
  assert.equal(dataset(floats, { shape: [3] }).data, floats);
  const clamped = Uint8ClampedArray.of(0, 255);
  assert.equal(dataset(clamped, { shape: [1] }).data.buffer, clamped.buffer);
  assert.deepEqual([...dataset(Int16Array.of(-3, 7), { shape: [1] }).data], [-3, 7]);
  assert.deepEqual([...dataset([1, 2, 3, 4], { shape: [2] }).data], [1, 2, 3, 4]);
  // Rows that are images laid out flat.
  assert.deepEqual(dataset([[1, 2, 3, 4]], { shape: [2, 2] }).shape, [2, 2]);
  assert.deepEqual(dataset(bytes, { shape: [3], range: [0, 1] }).range, [0, 1]);
});

Deno.test("dataset takes a tensor, which stays the caller's", async () => {
  await tf.setBackend("cpu");
  const tensor = tf.tensor([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
  const set = dataset(tensor);
  assert.deepEqual([set.shape, set.count, [...set.data]], [[2, 2], 2, [1, 2, 3, 4, 5, 6, 7, 8]]);
  assert.equal(tensor.isDisposed, false);
  tensor.dispose();
});

Deno.test("dataset numbers labels that are names by the alphabet", () => {
  const set = dataset([[0], [1], [2]], { labels: ["dog", "cat", "dog"] });
  assert.deepEqual([[...set.labels!], set.classNames], [[1, 0, 1], ["cat", "dog"]]);
  assert.deepEqual([...set.classSubset("dog").items!], [0, 2]);
  const numbered = dataset([[0], [1]], { labels: [1, 0], classNames: ["a", "b"] });
  assert.equal(numbered.classSubset("b").values(0)[0], 0);
  assert.deepEqual(dataset([[0], [1]], { labels: Uint8Array.of(1, 0) }).classNames, ["0", "1"]);
});

Deno.test("dataset says what it found where it cannot make one", () => {
  const refused: [unknown, object, RegExp][] = [
    [Promise.resolve(), {}, /received a Promise, which was not awaited, wanted rows/],
    ["moons", {}, /received "moons", wanted rows of numbers/],
    [[1, 2], {}, /received a flat array of 2 numbers, wanted the shape of one item/],
    [new Float32Array(4), {}, /received a Float32Array of 4 numbers, wanted the shape/],
    [[[1, 2], [3]], {}, /element \[1\] is an array of 1, wanted an array of 2/],
    [[[1, 2], [3, "4"]], {}, /element \[1\]\[1\] is "4", wanted a number/],
    [[[1, 2], 3], {}, /element \[1\] is 3, wanted an array of 2/],
    [[[1, NaN]], {}, /element \[0\]\[1\] is NaN, wanted finite/],
    [Float64Array.of(1, 1e300), { shape: [1] }, /number 1 is 1e\+300, wanted finite/],
    [[[1, 2]], { shape: [3] }, /items are of shape \[2\], wanted the option shape \[3\]/],
    [[[1], [2]], { labels: [0] }, /received 1 labels, wanted 2/],
    [[[1], [2]], { labels: [0, -1] }, /label 1 is -1, wanted whole numbers >= 0, or names/],
    [[[1], [2]], { labels: ["a", 1] }, /label 0 is "a", wanted whole numbers/],
    [[], {}, /received a flat array of 0 numbers/],
    [new Float32Array(5), { shape: [2] }, /received 5 numbers, wanted a multiple of 2/],
    [new BigInt64Array(2), { shape: [1] }, /of type BigInt64Array, wanted rows/],
    [[[1]], { name: 5 }, /name is 5, wanted text/],
    [[[1]], { shpae: [1] }, /there is no option shpae, wanted shape/],
  ];
  for (const [numbers, options, message] of refused) {
    assert.throws(() => dataset(numbers as number[], options), message, String(message));
  }
});
