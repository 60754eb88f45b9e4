import {
  dataset,
  memorisedShare,
  moons,
  nearestItems,
  readMnist,
  tinyShapes,
} from "@closedform/diffusion";
import type { Dataset, PointSet } from "@closedform/diffusion";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import assert from "node:assert/strict";
import fc from "fast-check";
import { dataPath, hasData } from "../_helpers/data.ts";

/** What {@linkcode nearestItems} should find, by sorting all distances. */
function bruteForce(samples: readonly number[], points: PointSet) {
  const { data, dimension, range = [-1, 1] } = points;
  const value = (v: number) =>
    data instanceof Uint8Array ? v * ((range[1] - range[0]) / 255) + range[0] : v;
  const items = Array.from(
    { length: data.length / dimension },
    (_, i) =>
      [...data.slice(i * dimension, (i + 1) * dimension)].map(Number).map(
        value,
      ),
  );
  return Array.from({ length: samples.length / dimension }, (_, q) => {
    const query = samples.slice(q * dimension, (q + 1) * dimension);
    const byDistance = items.map((item, index) => ({
      index,
      item: item.join(),
      distance: Math.sqrt(
        item.reduce((sum, v, c) => sum + (query[c] - v) ** 2, 0),
      ),
    })).sort((a, b) => a.distance - b.distance || a.index - b.index);
    const [nearest] = byDistance;
    const second = byDistance.find(({ item }) => item !== nearest.item);
    return {
      nearest: nearest.index,
      nearestDistance: nearest.distance,
      second: second?.index ?? -1,
      secondDistance: second?.distance ?? Infinity,
    };
  });
}

const cases = fc.record({
  // Above 64 the early stop of a row comes into play.
  dimension: fc.constantFrom(1, 2, 63, 64, 65, 130, 200),
  count: fc.integer({ min: 1, max: 30 }),
  rows: fc.integer({ min: 1, max: 6 }),
  // Few levels make ties and duplicates frequent.
  levels: fc.constantFrom(2, 3, 200),
  bytes: fc.boolean(),
  seed: fc.integer({ min: 1, max: 1 << 30 }),
});

function makeCase(
  { dimension, count, rows, levels, bytes, seed }: {
    dimension: number;
    count: number;
    rows: number;
    levels: number;
    bytes: boolean;
    seed: number;
  },
): { samples: number[]; points: PointSet } {
  let state = seed;
  const draw = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7FFFFFFF;
    return (state >>> 8) % levels;
  };
  const distinct = Array.from(
    { length: Math.ceil(count / 2) },
    () => Array.from({ length: dimension }, draw),
  );
  const numbers = Array.from(
    { length: count },
    () => distinct[(draw() * 7 + draw()) % distinct.length],
  ).flat();
  return {
    samples: Array.from({ length: rows * dimension }, () => draw() / 4 - 1),
    points: {
      data: bytes ? Uint8Array.from(numbers) : Float32Array.from(numbers),
      dimension,
      // A byte is then a multiple of 1/64, and all squares are exact.
      range: [-2, -2 + 255 / 64],
    },
  };
}

Deno.test("nearestItems equals sorting all distances", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (parameters) => {
      const { samples, points } = makeCase(parameters);
      const found = await nearestItems(samples, points);
      bruteForce(samples, points).forEach((expected, q) => {
        // Sums of exact squares have no rounding, whatever their order: equal to the last bit.
        assert.deepEqual({
          nearest: found.nearest[q],
          nearestDistance: found.nearestDistance[q],
          second: found.second[q],
          secondDistance: found.secondDistance[q],
        }, expected);
      });
    }),
    { seed: 21, numRuns: 300 },
  );
});

Deno.test("nearestItems passes over copies of the nearest item, but not over ties", async () => {
  const data = Float32Array.of(0, 0, 2, 0, 2, 0, 0, 2, 5, 0);
  const found = await nearestItems([2, 0, 1, 1], { data, dimension: 2 });
  // (2, 0) lies on a doubled item, whose next other item is (0, 0).
  assert.deepEqual([found.nearest[0], found.second[0]], [1, 0]);
  assert.deepEqual([found.nearestDistance[0], found.secondDistance[0]], [0, 2]);
  // (1, 1) is equally far from (0, 0), (2, 0) and (0, 2): the lower indices win.
  assert.deepEqual([found.nearest[1], found.second[1]], [0, 1]);
  assert.equal(found.secondDistance[1], Math.SQRT2);
});

Deno.test("nearestItems of one item, or of copies of one, has no second", async () => {
  for (const data of [Float32Array.of(3), Float32Array.of(3, 3, 3)]) {
    const found = await nearestItems([1], { data, dimension: 1 });
    assert.equal(found.nearestDistance[0], 2);
    assert.equal(found.nearest[0], 0);
    assert.equal(found.second[0], -1);
    assert.equal(found.secondDistance[0], Infinity);
    assert.throws(() => memorisedShare(found), {
      name: "RangeError",
      message: /one distinct item, wanted at least two/,
    });
  }
});

Deno.test("memorisedShare is 1 for items of a set full of duplicates, in bytes and after float32 rounding", async () => {
  const items = Array.from({ length: 40 }, (_, i) => [i % 7, 3 * (i % 7), 9]);
  const data = Uint8Array.from(items.flat());
  const samples = Float32Array.from(items.flat(), (v) => v / 127.5 - 1);
  const found = await nearestItems(samples, { data, dimension: 3 });
  assert.equal(memorisedShare(found), 1);
  assert.deepEqual([...found.nearest], items.map((_, i) => i % 7));
  // One float32 rounding of numbers up to 1, over three coordinates.
  assert.ok(found.nearestDistance.every((d) => d <= Math.sqrt(3) * 2 ** -25));
});

Deno.test("memorisedShare counts d1 < d2/3 and nothing else", async () => {
  const points = { data: Float32Array.of(0, 8, 8), dimension: 1 };
  // Distances: 1 and 7; exactly 2 and 6, which is a third; 3 and 5; 4 and 4.
  const found = await nearestItems([1, 2, 3, 4], points);
  assert.equal(memorisedShare(found), 0.25);
  assert.equal(memorisedShare(found, 0.35), 0.5);
  assert.equal(memorisedShare(found, 1), 0.75);
});

Deno.test("memorisedShare of new samples is 0 though the data hold duplicates", async () => {
  // Midpoints of the edges of a grid of doubled points.
  const grid = [0, 1, 2, 3].flatMap((x) => [0, 1, 2, 3].map((y) => [x, y]));
  const data = Float32Array.from([...grid, ...grid].flat());
  const midpoints = grid.filter(([x]) => x < 3).flatMap((
    [x, y],
  ) => [x + 0.5, y]);
  const found = await nearestItems(midpoints, { data, dimension: 2 });
  assert.equal(memorisedShare(found), 0);
});

Deno.test("nearestItems can be cancelled, before and during the search", async () => {
  const points = { data: new Uint8Array(20_000 * 256), dimension: 256 };
  points.data.forEach((_, i) => points.data[i] = (i * i) >>> 3);
  const samples = Float32Array.from(
    { length: 40 * 256 },
    (_, i) => Math.sin(i),
  );
  await assert.rejects(
    nearestItems(samples, points, { signal: AbortSignal.abort() }),
    { name: "AbortError" },
  );
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 1);
  await assert.rejects(
    nearestItems(samples, points, { signal: controller.signal }),
    { name: "AbortError" },
  );
});

Deno.test("nearestItems and memorisedShare refuse bad arguments", async () => {
  const points = { data: Float32Array.of(0, 1), dimension: 2 };
  await assert.rejects(nearestItems([], points), TypeError);
  await assert.rejects(nearestItems([1, 2, 3], points), TypeError);
  await assert.rejects(nearestItems([1, NaN], points), RangeError);
  await assert.rejects(
    nearestItems([1, 2], { data: Float32Array.of(0, NaN), dimension: 2 }),
    RangeError,
  );
  const found = await nearestItems([4], {
    data: Float32Array.of(0, 1),
    dimension: 1,
  });
  assert.throws(() => memorisedShare(found, 0), RangeError);
  assert.throws(() => memorisedShare(found, 1.5), RangeError);
});

const mnist = hasData("mnist");
Deno.test({
  name: `memorisedShare is 1 for training digits and 0 for test digits${
    mnist ? "" : " (skipped: ../shared/data/mnist is not there)"
  }`,
  ignore: !mnist,
  fn: async () => {
    const train = await readMnist(dataPath("mnist"));
    const test = await readMnist(dataPath("mnist"), { split: "test", limit: 40 });
    const first = (set: Dataset) => Array.from({ length: 40 }, (_, i) => [...set.values(i)]).flat();
    assert.equal(memorisedShare(await nearestItems(first(train), train)), 1);
    assert.equal(memorisedShare(await nearestItems(first(test), train)), 0);
  },
});

Deno.test("nearestItems takes what users have, and finds the same in all of it", async () => {
  await tf.setBackend("cpu");
  const data = moons(40), samples = moons(6, { seed: 5 });
  const flat = await nearestItems(samples.data, data);
  const tensor = tf.tensor2d(Float32Array.from(samples.data), [6, 2]);
  const { data: numbers } = samples;
  const forms = [samples, { samples }, tensor, { data: numbers, shape: [2] }, [...numbers]];
  for (const form of forms) assert.deepEqual(await nearestItems(form, data), flat);
  tensor.dispose();
  assert.equal(flat.memorisedShare, memorisedShare(flat));
  // Bytes are the numbers that they stand for: copies are at distance 0.
  const bytes = dataset(Uint8Array.of(0, 7, 130, 255), { shape: [2] });
  const own = await nearestItems(bytes, bytes);
  assert.deepEqual([...own.nearestDistance, own.memorisedShare], [0, 0, 1]);
});

Deno.test("nearestItems says what it was given where that is no samples", async () => {
  const data = moons(4);
  const refused: [unknown, RegExp][] = [
    [Promise.resolve(), /samples are a Promise, which was not awaited, wanted a run/],
    ["run", /samples are "run", wanted a run/],
    [tinyShapes(2), /samples hold 144 numbers each, wanted 2 as the data/],
    [{ samples: tinyShapes(2) }, /samples hold 144 numbers each, wanted 2/],
    [{}, /samples are an object of nothing, wanted a run/],
  ];
  for (const [samples, message] of refused) {
    await assert.rejects(nearestItems(samples as number[], data), { name: "TypeError", message });
  }
  const one = await nearestItems([1, 2], dataset([[0, 0]]));
  assert.throws(() => one.memorisedShare, /the data hold one distinct item/);
});
