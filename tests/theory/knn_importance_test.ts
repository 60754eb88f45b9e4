import { RandomStream, startNoise } from "@closedform/diffusion";
import {
  knnImportance,
  knnProposal,
  logSumExp,
  posteriorLogits,
  restrictedMean,
  rowsByLogit,
  sampledTail,
} from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { assertMean } from "../_helpers/statistics.ts";

const points = { data: Float32Array.from(startNoise(100, 0, 400, 3)), dimension: 3 };
const logits = posteriorLogits(points, [0.5, 0.6, -0.4], 0.4);
const exact = restrictedMean(points, logits);

function rms(runs: number, estimate: () => Float64Array): number {
  let square = 0;
  for (let run = 0; run < runs; run++) {
    estimate().forEach((v, c) => square += (v - exact[c]) ** 2 / runs);
  }
  return Math.sqrt(square);
}

Deno.test("knnImportance() with all rows as neighbours draws from the posterior itself", () => {
  const stream = new RandomStream({ seed: 101, purpose: "theory" });
  const found = Array.from({ length: 2000 }, () => knnImportance(points, logits, 400, 20, stream));
  exact.forEach((wanted, c) => assertMean(`coordinate ${c}`, found.map((v) => v[c]), wanted));
});

Deno.test("knnImportance() errs by 1/√n, and more than an exact head with a sampled tail", () => {
  const stream = new RandomStream({ seed: 102, purpose: "theory" });
  const sizes = [16, 64, 256];
  const errors = sizes.map((n) => rms(300, () => knnImportance(points, logits, 20, n, stream)));
  const slope = Math.log(errors[2] / errors[0]) / Math.log(16);
  assert.ok(Math.abs(slope + 0.5) < 0.1, `slope ${slope}`);
  sizes.forEach((n, j) => {
    const other = rms(300, () => sampledTail(points, logits, 20, n, stream).mean);
    assert.ok(other < errors[j], `n = ${n}: ${other} against ${errors[j]}`);
  });
});

Deno.test("knnImportance() copes with neighbours that are all equally near", () => {
  const stream = new RandomStream({ seed: 103, purpose: "theory" });
  const even = { data: Float32Array.of(0, 1, 2, 3), dimension: 1 };
  const found = Array.from(
    { length: 500 },
    () => knnImportance(even, [-5, -5, -5, -5], 2, 4, stream)[0],
  );
  assertMean("mean of four equal rows", found, 1.5);
});

Deno.test("knnImportance() refuses what is no number of rows", () => {
  const stream = new RandomStream({ seed: 0 });
  for (const [k, n] of [[0, 1], [401, 1], [1.5, 1], [1, 0], [1, NaN]]) {
    assert.throws(() => knnImportance(points, logits, k, n, stream), RangeError);
  }
  assert.throws(() => knnImportance(points, [1], 1, 1, stream), TypeError);
});

Deno.test("knnProposal() sums to one, weighs neighbours alike and others no more, and is the posterior of all rows", () => {
  const total = logSumExp(logits), posterior = logits.map((l) => Math.exp(l - total));
  for (const k of [1, 20, 399, 400]) {
    const q = knnProposal(logits, k);
    assert.ok(Math.abs(q.reduce((sum, v) => sum + v, 0) - 1) < 1e-12);
    const weights = posterior.map((p, i) => p / q[i]);
    const near = rowsByLogit(logits).subarray(0, k), alike = weights[near[0]];
    for (const i of near) assert.ok(Math.abs(weights[i] - alike) < 1e-12 * alike);
    assert.ok(weights.every((w) => w <= alike * (1 + 1e-12)));
    if (k === 400) assert.ok(q.every((v, i) => Math.abs(v - posterior[i]) < 1e-12));
  }
});

Deno.test("knnImportance() draws from its proposal: with one draw its mean is that of the proposal", () => {
  const stream = new RandomStream({ seed: 104, purpose: "theory" });
  const q = knnProposal(logits, 20);
  const wanted = [0, 1, 2].map((c) => q.reduce((sum, v, i) => sum + v * points.data[3 * i + c], 0));
  const found = Array.from({ length: 6000 }, () => knnImportance(points, logits, 20, 1, stream));
  wanted.forEach((mean, c) => assertMean(`coordinate ${c}`, found.map((v) => v[c]), mean));
  assert.throws(() => knnProposal(logits, 0), RangeError);
});
