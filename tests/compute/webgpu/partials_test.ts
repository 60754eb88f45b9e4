import assert from "node:assert/strict";
import { NO_DISTANCE } from "../../../src/compute/webgpu/posterior_wgsl.ts";
import { concatenateFacts, mergePartials } from "../../../src/compute/webgpu/partials.ts";

/** The partial states of squared distances in chunks, as the kernel writes them. */
function partialsOf(chunks: number[][], rate: number): ArrayBuffer {
  const words = new ArrayBuffer(chunks.length * 32);
  const floats = new Float32Array(words), integers = new Uint32Array(words);
  let reference = Infinity, first = 0;
  chunks.forEach((chunk, c) => {
    const [least, second = NO_DISTANCE] = chunk.toSorted((a, b) => a - b);
    reference = Math.min(reference, least);
    const weights = chunk.map((d) => Math.exp((reference - d) * rate));
    const sum = (of: (w: number) => number) => weights.reduce((total, w) => total + of(w), 0);
    floats.set([least, second, 0, reference, sum((w) => w), sum((w) => w * w)], 8 * c);
    floats[8 * c + 6] = sum((w) => w * Math.log(w));
    integers[8 * c + 2] = first + chunk.indexOf(least);
    first += chunk.length;
  });
  return words;
}

Deno.test("mergePartials() equals the facts of all rows at once", () => {
  const chunks = [[9, 4, 7], [3, 5], [3, 8], [6]];
  const all = chunks.flat(), rate = 0.5, base = 2;
  const { facts, overflow } = mergePartials(
    partialsOf(chunks, rate),
    chunks.length,
    1,
    Float64Array.of(rate),
    [base],
    all.length,
  );
  const z = all.reduce((sum, d) => sum + Math.exp(-d * rate), 0);
  const w = all.map((d) => Math.exp(-d * rate) / z);
  const near = (actual: number, expected: number) =>
    // The partial states are float32, one rounding each.
    assert.ok(Math.abs(actual - expected) < 8 * 2 ** -24 * (1 + Math.abs(expected)));
  assert.equal(overflow, -1);
  assert.equal(facts.topIndex[0], 3);
  assert.equal(facts.logitGap[0], 0);
  assert.equal(facts.topLogit[0], -(3 + base) * rate);
  near(facts.logNormaliser[0], Math.log(z) - base * rate);
  near(facts.effectiveSampleSize[0], 1 / w.reduce((sum, v) => sum + v * v, 0));
  near(facts.entropy[0], -w.reduce((sum, v) => sum + v * Math.log(v), 0));
});

Deno.test("mergePartials() of a single row has an infinite gap and no entropy", () => {
  const { facts } = mergePartials(partialsOf([[5]], 1), 1, 1, Float64Array.of(1), [0], 1);
  assert.equal(facts.logitGap[0], Infinity);
  assert.equal(facts.entropy[0], 0);
  assert.equal(facts.effectiveSampleSize[0], 1);
});

Deno.test("mergePartials() names a query whose distances are not finite", () => {
  for (const least of [Infinity, NaN, NO_DISTANCE]) {
    const words = partialsOf([[least]], 1);
    const { overflow } = mergePartials(words, 1, 1, Float64Array.of(1), [0], 1);
    assert.equal(overflow, 0);
  }
});

Deno.test("concatenateFacts() keeps the order of the queries", () => {
  const part = (d: number) =>
    mergePartials(partialsOf([[d]], 1), 1, 1, Float64Array.of(1), [0], 1).facts;
  assert.deepEqual([...concatenateFacts([part(2), part(1)]).topLogit], [-2, -1]);
});
