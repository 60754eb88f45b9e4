import { RandomStream, startNoise } from "@closedform/diffusion";
import {
  logSumExp,
  posteriorLogits,
  restrictedMean,
  rowsByLogit,
  sampledTail,
  tailMassBound,
} from "@closedform/diffusion/theory";
import type { PointSet } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { assertMean } from "../_helpers/statistics.ts";
import { assertClose } from "../_helpers/tolerance.ts";

const EPS64 = 2 ** -53;
const points = { data: Float32Array.from(startNoise(90, 0, 300, 3)), dimension: 3 };
const logits = posteriorLogits(points, [0.8, -0.3, 0.4], 0.6);

Deno.test("sampledTail() with everything drawn is exact, and with no tail is the whole head", () => {
  const stream = new RandomStream({ seed: 90, purpose: "theory" });
  const exact = restrictedMean(points, logits), total = logSumExp(logits);
  for (const [head, tail] of [[1, 299], [50, 250], [299, 1], [300, 0]]) {
    const { mean, logHead, logTail } = sampledTail(points, logits, head, tail, stream);
    assertClose(mean, exact, 512 * EPS64, `mean of ${head} + ${tail}`);
    assertClose([logSumExp([logHead, logTail])], [total], 512 * EPS64, "mass");
  }
});

Deno.test("sampledTail() estimates numerator and denominator without bias over 4,000 draws", () => {
  const stream = new RandomStream({ seed: 91, purpose: "theory" });
  const total = logSumExp(logits), exact = restrictedMean(points, logits);
  const found = Array.from({ length: 4000 }, () => sampledTail(points, logits, 10, 12, stream));
  const denominators = found.map((t) => Math.exp(logSumExp([t.logHead, t.logTail]) - total));
  assertMean("denominator", denominators, 1, 4);
  exact.forEach((wanted, c) => {
    assertMean(`numerator ${c}`, found.map(({ mean }, j) => mean[c] * denominators[j]), wanted, 4);
  });
  // Half of the mass is estimated: the test would see a missing weight.
  const head = Math.exp(found[0].logHead - total);
  assert.ok(head < 0.7, `${head}`);
});

Deno.test("sampledTail() draws each row of the tail equally often, none of the head, none twice", () => {
  const stream = new RandomStream({ seed: 92, purpose: "theory" });
  const head = new Set(rowsByLogit(logits).subarray(0, 20)), counts = new Map<number, number>();
  for (let n = 0; n < 2000; n++) {
    const { drawn } = sampledTail(points, logits, 20, 28, stream);
    assert.equal(new Set(drawn).size, 28);
    for (const i of drawn) counts.set(i, (counts.get(i) ?? 0) + 1);
  }
  assert.equal(counts.size, 280);
  // 200 times each, with a standard deviation of √(2000 · 0.1 · 0.9) = 13.4.
  for (const [row, times] of counts) {
    assert.ok(!head.has(row) && Math.abs(times - 200) < 5 * 13.5, `row ${row}: ${times}`);
  }
});

Deno.test("tailMassBound() covers the mass in at least 99 of 100 draws at α = 0.01", () => {
  const stream = new RandomStream({ seed: 93, purpose: "theory" });
  let missed = 0, tight = 0, cases = 0;
  for (let problem = 0; problem < 20; problem++) {
    const spread = 0.2 + problem / 5;
    const some = Float64Array.from({ length: 200 }, () => spread * stream.normal());
    const rows = rowsByLogit(some), head = 10;
    const truth = logSumExp(Float64Array.from(rows.subarray(head), (i) => some[i]));
    const small = { data: new Float32Array(200), dimension: 1 };
    for (let n = 0; n < 200; n++, cases++) {
      const { logTail } = sampledTail(small, some, head, 20, stream);
      const sample = { logTail, count: 190, drawn: 20, largest: some[rows[head - 1]] };
      if (tailMassBound(sample, 0.01) < truth) missed++;
      if (tailMassBound(sample, 0.9) < truth) tight++;
    }
  }
  assert.ok(missed <= 0.01 * cases, `${missed} of ${cases}`);
  // At a probability of 0.9 of being wrong it is wrong now and then.
  assert.ok(tight > 0.02 * cases, `${tight} of ${cases}`);
});

/** Grey images with amplitudes that fall as 1/f and log-normal contrast, clipped to [-1, 1]. */
function naturalImages(count: number, side: number, seed: number): PointSet & { count: number } {
  const data = new Float32Array(count * side * side), half = side / 2;
  for (let i = 0; i < count; i++) {
    const stream = new RandomStream({ seed, sample: i, purpose: "data" });
    const contrast = 0.5 * Math.exp(0.4 * stream.normal());
    const image = new Float64Array(side * side);
    let power = 0;
    // Waves down the image, each with an amplitude and a phase that depend on the column.
    for (let u = 0; u <= half; u++) {
      const [re, im] = [new Float64Array(side), new Float64Array(side)];
      for (let v = u === 0 ? 1 : -half + 1; v <= half; v++) {
        const amplitude = 1 / Math.hypot(u, v);
        const [a, b] = [amplitude * stream.normal(), amplitude * stream.normal()];
        power += amplitude * amplitude;
        for (let x = 0; x < side; x++) {
          re[x] += a * cos(v * x) + b * sin(v * x);
          im[x] += b * cos(v * x) - a * sin(v * x);
        }
      }
      for (let at = 0; at < image.length; at++) {
        const y = Math.floor(at / side), x = at % side;
        image[at] += re[x] * cos(u * y) + im[x] * sin(u * y);
      }
    }
    const brightness = stream.normal();
    image.forEach((v, at) => {
      const value = contrast * (v / Math.sqrt(power) + 0.4 * brightness);
      data[i * side * side + at] = Math.max(-1, Math.min(1, value));
    });
  }
  return { data, dimension: side * side, count };
}

const SIDE = 16;
const COS = Float64Array.from({ length: SIDE }, (_, j) => Math.cos(2 * Math.PI * j / SIDE));
const cos = (j: number) => COS[(j % SIDE + SIDE) % SIDE];
const sin = (j: number) => cos(j - SIDE / 4);

Deno.test("head + sampled tail is near the better of top and random at every noise level", () => {
  const data = naturalImages(3000, SIDE, 94), heldOut = naturalImages(8, SIDE, 95);
  const stream = new RandomStream({ seed: 94, purpose: "theory" });
  const all = Uint32Array.from({ length: data.count }, (_, i) => i);
  const rows: string[] = [];
  for (const sigma of [60.8, 25.7, 12, 6.17, 3.44, 2.04, 1.24]) {
    let top = 0, random = 0, mixed = 0;
    for (let q = 0; q < heldOut.count; q++) {
      const noise = startNoise(96, q, 1, data.dimension);
      const query = noise.map((e, c) => heldOut.data[q * data.dimension + c] + sigma * e);
      const l = posteriorLogits(data, query, sigma);
      const exact = restrictedMean(data, l), sorted = rowsByLogit(l);
      const error = (mean: Float64Array) =>
        mean.reduce((sum, v, c) => sum + (v - exact[c]) ** 2, 0) / data.dimension /
        heldOut.count;
      top += error(restrictedMean(data, l, sorted.subarray(0, 300)));
      for (let i = 0; i < 300; i++) {
        const j = i + stream.below(data.count - i);
        [all[i], all[j]] = [all[j], all[i]];
      }
      random += error(restrictedMean(data, l, all.subarray(0, 300)));
      mixed += error(sampledTail(data, l, 150, 150, stream).mean);
    }
    rows.push([sigma, top, random, mixed].map((v) => v.toPrecision(3)).join("  "));
    const what = `sigma, top 10 %, random 10 %, head + tail: ${rows.at(-1)}`;
    if (sigma === 60.8) assert.ok(top > 5 * random, what);
    if (sigma <= 2.04) assert.ok(random > 100 * top, what);
    const better = Math.min(top, random);
    if (better > 1e-5) assert.ok(mixed <= 3 * better, what);
  }
});

Deno.test("sampledTail() and tailMassBound() refuse what they cannot do", () => {
  const stream = new RandomStream({ seed: 0 });
  for (const [head, tail] of [[0, 5], [10, 0], [200, 101], [1.5, 2], [-1, 3]]) {
    assert.throws(() => sampledTail(points, logits, head, tail, stream), RangeError);
  }
  assert.throws(() => sampledTail(points, [0], 1, 1, stream), TypeError);
  const sample = { logTail: 0, count: 10, drawn: 5, largest: 0 };
  for (const alpha of [0, 1, NaN]) assert.throws(() => tailMassBound(sample, alpha), RangeError);
  assert.throws(() => tailMassBound({ ...sample, drawn: 0 }, 0.1), RangeError);
});
