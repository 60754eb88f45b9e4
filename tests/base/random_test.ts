import { RandomStream, startNoise } from "@closedform/diffusion";
import { philox4x32 } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";

// The known answers for philox4x32 with 10 rounds in Random123 (file kat_vectors): counter, key, result.
const KNOWN: [[number, number, number, number], [number, number], number[]][] = [
  [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

Deno.test("philox4x32() gives the known answers of Random123", () => {
  for (const [counter, key, result] of KNOWN) {
    assert.deepEqual([...philox4x32(counter, key)], result);
  }
});

Deno.test("RandomStream walks the counter of its key", () => {
  const stream = new RandomStream({ seed: 2 ** 33 + 5, sample: 7, purpose: "smoothing", step: 9 });
  const words = [0, 1].flatMap((block) => [...philox4x32([block, 7, 3, 9], [5, 2])]);
  assert.deepEqual(words.map(() => stream.uint32()), words);
});

Deno.test("streams of different keys differ, of equal keys do not", () => {
  const first = (key: ConstructorParameters<typeof RandomStream>[0]) =>
    new RandomStream(key).uint32();
  const base = { seed: 0, sample: 0, step: 0 };
  assert.equal(first(base), first(base));
  const others = [
    { ...base, seed: 1 },
    { ...base, seed: 2 ** 32 },
    { ...base, sample: 1 },
    { ...base, step: 1 },
    { ...base, purpose: "data" as const },
  ].map(first);
  assert.equal(new Set([first(base), ...others]).size, 6);
});

Deno.test("below() draws each number equally often, also below bounds that are a large share of 2^32", () => {
  // Of 2^32 words a quarter would fall on the first third once more: a half of all, not a third.
  const stream = new RandomStream({ seed: 3 }), bound = 3 * 2 ** 30, n = 6000;
  let first = 0;
  for (let i = 0; i < n; i++) {
    const value = stream.below(bound);
    assert.ok(value < bound);
    if (value < bound / 3) first++;
  }
  assert.ok(Math.abs(first / n - 1 / 3) < 4 * Math.sqrt(2 / 9 / n), `${first} of ${n}`);
  const words = new RandomStream({ seed: 3 }), whole = new RandomStream({ seed: 3 });
  for (let i = 0; i < 20; i++) assert.equal(whole.below(2 ** 32), words.uint32());
});

Deno.test("normal() has the moments of N(0, 1)", () => {
  const n = 200_000;
  const stream = new RandomStream({ seed: 0 });
  const sums = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const e = stream.normal();
    for (let k = 0; k < 4; k++) sums[k] += e ** (k + 1);
  }
  // Standard deviations of the first four sample moments: sqrt of 1, 2, 15, 96 over n.
  [0, 1, 0, 3].forEach((moment, k) => {
    const z = (sums[k] / n - moment) / Math.sqrt([1, 2, 15, 96][k] / n);
    assert.ok(Math.abs(z) < 4, `moment ${k + 1}: z = ${z}`);
  });
});

Deno.test("below() is uniform", () => {
  const stream = new RandomStream({ seed: 0, purpose: "data" });
  const counts = new Array(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[stream.below(7)]++;
  const chi2 = counts.reduce((sum, c) => sum + (c - 10_000) ** 2 / 10_000, 0);
  // The 0.9999 quantile of chi-square with 6 degrees of freedom.
  assert.ok(chi2 < 27.9, `chi2 = ${chi2}`);
});

Deno.test("startNoise() has pinned numbers and does not depend on the batch", () => {
  const expected = philox4x32([0, 5, 0, 0], [3, 0]);
  const uniform = (a: number, b: number) => ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(expected[0], expected[1])));
  const angle = 2 * Math.PI * uniform(expected[2], expected[3]);
  const row = startNoise(3, 5, 1, 2);
  assert.deepEqual([...row], [radius * Math.cos(angle), radius * Math.sin(angle)]);
  assert.deepEqual(startNoise(3, 0, 64, 2).subarray(10, 12), row);
  assert.ok(startNoise(0, 0, 1, 3).every(Number.isFinite), "seed 0 works");
});

Deno.test("a stream refuses keys and bounds out of range", () => {
  for (const bad of [-1, 1.5, NaN, 2 ** 53]) {
    assert.throws(() => new RandomStream({ seed: bad }), RangeError);
  }
  assert.throws(() => new RandomStream({ seed: 0, sample: 2 ** 32 }), RangeError);
  assert.throws(() => new RandomStream({ seed: 0, step: -1 }), RangeError);
  for (const bad of [0, -1, 2 ** 32 + 1, 0.5]) {
    assert.throws(() => new RandomStream({ seed: 0 }).below(bad), RangeError);
  }
});
