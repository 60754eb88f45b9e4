import { Dataset, type DatasetInit } from "@closedform/diffusion";
import assert from "node:assert/strict";
import fc from "fast-check";

const bytes = new Dataset({
  data: Uint8Array.of(0, 255, 51, 102, 255, 0),
  shape: [2],
  labels: Uint32Array.of(1, 0, 1),
  classNames: ["a", "b", "never"],
  name: "three",
});
const floats = new Dataset({
  data: Float32Array.of(0.5, -3, 1e-3, 7),
  shape: [2, 1],
  name: "two",
});

Deno.test("Dataset knows its count, dimension and defaults", () => {
  assert.deepEqual([bytes.count, bytes.dimension, bytes.range], [3, 2, [-1, 1]]);
  assert.deepEqual([floats.count, floats.dimension, floats.labels], [2, 2, undefined]);
  const numbered = new Dataset({
    data: new Uint8Array(3),
    shape: [1],
    labels: Uint32Array.of(0, 2, 2),
    name: "numbered",
  });
  assert.deepEqual(numbered.classNames, ["0", "1", "2"]);
});

Deno.test("values() maps bytes affinely onto the range, and copies floats as they are", () => {
  assert.deepEqual([...bytes.values(0)], [-1, 1]);
  // 51/255 = 1/5 and 102/255 = 2/5, rounded to float32.
  assert.deepEqual([...bytes.values(1)], [Math.fround(-0.6), Math.fround(-0.2)]);
  const ranged = new Dataset({ data: Uint8Array.of(0, 255), shape: [1], range: [2, 6], name: "r" });
  assert.deepEqual([ranged.values(0)[0], ranged.values(1)[0]], [2, 6]);
  const row = floats.values(0);
  row[0] = 9;
  assert.equal(floats.data[0], 0.5);
});

Deno.test("mean() is the mean of values()", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 3, maxLength: 60 }),
      fc.tuple(fc.integer({ min: -4, max: 0 }), fc.integer({ min: 1, max: 4 })),
      (data, range) => {
        const set = new Dataset({
          data: data.subarray(0, data.length - data.length % 3),
          shape: [3],
          range,
          name: "random",
        });
        const mean = set.mean();
        for (const c of [0, 1, 2]) {
          let sum = 0;
          for (let i = 0; i < set.count; i++) sum += set.values(i)[c];
          // values() rounds each to float32: half a unit in the last place of at most 4.
          assert.ok(Math.abs(mean[c] - sum / set.count) <= 4 * 2 ** -23);
        }
      },
    ),
    { seed: 1, numRuns: 100 },
  );
  assert.deepEqual([...floats.mean()], [(0.5 + Math.fround(1e-3)) / 2, 2]);
});

Deno.test("mean() hands out a copy each time", () => {
  bytes.mean()[0] = 99;
  assert.notEqual(bytes.mean()[0], 99);
});

Deno.test("subset() takes items in the given order, repeated if asked", () => {
  const set = bytes.subset([2, 0, 2], "again");
  assert.deepEqual([...set.data], [255, 0, 0, 255, 255, 0]);
  assert.deepEqual([...set.labels!], [1, 1, 1]);
  assert.deepEqual([set.name, set.classNames], ["again", bytes.classNames]);
  assert.equal(bytes.subset([1]).name, "three");
  assert.ok(floats.subset([1]).data instanceof Float32Array);
});

Deno.test("take() shares memory with the whole", () => {
  const set = bytes.take(2);
  assert.deepEqual([set.count, set.labels!.length], [2, 2]);
  assert.equal(set.data.buffer, bytes.data.buffer);
  assert.equal(bytes.take(99), bytes);
});

Deno.test("classSubset() finds classes by number, name and number as text", () => {
  for (const which of [1, "b", "1"]) {
    assert.deepEqual([...bytes.classSubset(which).data], [0, 255, 255, 0]);
  }
  assert.equal(bytes.classSubset("b").name, "three, class b");
  assert.deepEqual(bytes.subset(bytes.classItems("b")).data, bytes.classSubset("b").data);
});

Deno.test("classSubset() takes a text for the class of this name, and for its number if there is none", () => {
  const digits = new Dataset({
    data: Uint8Array.of(10, 11, 12, 13),
    shape: [1],
    labels: Uint32Array.of(0, 1, 2, 0),
    classNames: ["7", "0", "x"],
    name: "digits",
  });
  const items = (which: number | string) => [...digits.classItems(which)];
  assert.deepEqual([items("7"), items("0"), items("x")], [[0, 3], [1], [2]]);
  assert.deepEqual([items(0), items(1), items("1"), items("2")], [[0, 3], [1], [1], [2]]);
  assert.throws(() => digits.classItems(7), RangeError);
  assert.equal(digits.classSubset("0").name, "digits, class 0");
});

Deno.test("summary() says what there is", () => {
  assert.equal(bytes.summary(), "three: 3 items of 2 bytes in 3 classes");
  assert.equal(floats.take(1).summary(), "two: 1 item of 2×1 floats");
});

Deno.test("Dataset refuses what does not exist", () => {
  for (const i of [-1, 3, 0.5, NaN]) {
    assert.throws(() => bytes.values(i), RangeError);
    assert.throws(() => bytes.subset([0, i]), RangeError);
  }
  assert.throws(() => bytes.subset([]), RangeError);
  for (const n of [0, -1, 1.5]) assert.throws(() => bytes.take(n), RangeError);
  for (const which of [3, -1, "c", "never", "3"]) {
    assert.throws(() => bytes.classSubset(which), RangeError);
    assert.throws(() => bytes.classItems(which), RangeError);
  }
  assert.throws(() => floats.classSubset(0), /it has no labels/);
});

Deno.test("Dataset refuses parts that do not fit together", () => {
  const good = { data: new Uint8Array(4), shape: [2], name: "x" };
  const refuse = (change: Partial<Record<keyof DatasetInit, unknown>>, type: typeof TypeError) =>
    assert.throws(() => new Dataset({ ...good, ...change } as DatasetInit), type);
  assert.throws(() => new Dataset({ ...good, lables: new Uint32Array(2) } as DatasetInit), {
    name: "TypeError",
    message: "Cannot make the data set x: there is no option lables, wanted labels",
  });
  refuse({ data: [1, 2] }, TypeError);
  refuse({ data: new Int16Array(4) }, TypeError);
  refuse({ data: new Uint8Array(5) }, TypeError);
  refuse({ data: new Uint8Array(0) }, RangeError);
  for (const shape of [[], [0], [1.5], [-2], "2"]) refuse({ shape }, TypeError);
  refuse({ labels: new Uint32Array(3) }, TypeError);
  refuse({ classNames: ["a"] }, TypeError);
  refuse({ labels: Uint32Array.of(0, 2), classNames: ["a", "b"] }, TypeError);
  for (const range of [[1, 1], [1, 0], [NaN, 1], [0, Infinity]]) refuse({ range }, RangeError);
});

Deno.test("a part of a Dataset knows the places of its items in the whole one, through parts of parts", () => {
  const data = Float32Array.from({ length: 10 }, (_, i) => 10 * i);
  const labels = Uint32Array.from({ length: 10 }, (_, i) => i % 2);
  const whole = new Dataset({ data, shape: [1], labels, name: "tens" });
  assert.equal(whole.items, undefined);
  assert.equal(whole.take(5).items, undefined);
  const odd = whole.take(8).classSubset(1);
  assert.deepEqual([...odd.items!], [1, 3, 5, 7]);
  const some = odd.take(3).subset([2, 2, 0]);
  assert.deepEqual([...some.items!], [5, 5, 1]);
  for (const part of [odd, some]) {
    part.items!.forEach((place, i) => assert.deepEqual(part.values(i), whole.values(place)));
  }
  assert.throws(
    () => new Dataset({ data, shape: [1], items: Uint32Array.of(1), name: "tens" }),
    /places of 1 items, wanted 10/,
  );
});
