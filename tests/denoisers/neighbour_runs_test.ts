/** The neighbour estimator with an index that errs, and against the full denoiser on whole trajectories. */
import {
  neighbourEstimator,
  openDevice,
  optimal,
  RandomStream,
  sample,
  smoothed,
  startNoise,
  uniformTGrid,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { posteriorLogits, sampledTail } from "@closedform/diffusion/theory";
import type { OptimalDenoiser, Subset } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { overStore } from "../_helpers/stores.ts";
import { sphere } from "../_helpers/sphere.ts";

Deno.test("the logarithmic form of head and tail is the ratio of the two sums", () => {
  const points = sphere(300), stream = new RandomStream({ seed: 1, purpose: "theory" });
  const logits = posteriorLogits(points, [.4, .2, .7], .5);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a]);
  for (const [head, tail] of [[15, 15], [1, 40], [100, 5]]) {
    const { mean, drawn } = sampledTail(points, logits, head, tail, stream);
    let denominator = 0;
    const numerator = [0, 0, 0];
    const add = (i: number, weight: number) => {
      denominator += weight * Math.exp(logits[i]);
      numerator.forEach((_, c) =>
        numerator[c] += weight * Math.exp(logits[i]) * points.data[3 * i + c]
      );
    };
    for (const i of order.slice(0, head)) add(i, 1);
    for (const i of drawn) add(i, (300 - head) / tail);
    numerator.forEach((v, c) => assert.ok(Math.abs(v / denominator - mean[c]) < 1e-12));
  }
});

Deno.test("with an index that errs the tail excludes exactly the rows that it returned", async () => {
  using device = await openDevice("float64");
  const points = sphere(80);
  using base = await optimal(points, { device });
  const K = 10, queries = 6;
  const seen: (readonly Subset[])[] = [], returned: Uint32Array[] = [];
  const stream = new RandomStream({ seed: 2, purpose: "theory" });
  // Returns every third row or so instead of the nearest ones.
  const erring = overStore(base, {
    ...base.store,
    distancesTo: (x, lists, options) => base.store.distancesTo(x, lists, options),
    nearest: async (x, k, options) => {
      const found = await base.store.nearest(x, 3 * k, options);
      const keep = Array.from(
        { length: found.indices.length / 3 },
        (_, at) => Math.floor(at / k) * 3 * k + 3 * (at % k) + stream.below(3),
      );
      const indices = Uint32Array.from(keep, (at) => found.indices[at]);
      returned.push(indices);
      return {
        ...found,
        k,
        indices,
        distances: Float64Array.from(keep, (at) => found.distances[at]),
      };
    },
    posteriorOn: (x, sigma, subsets, options) => {
      seen.push(subsets);
      return base.store.posteriorOn(x, sigma, subsets, options);
    },
  });
  const x = tensorSpace.from(startNoise(3, 0, queries, 3), [queries, 3]);
  for (const L of [7, 70]) {
    const estimate =
      (await (await neighbourEstimator(erring, { neighbours: K, others: L, switchAt: 1 })).denoise(
        x,
        .8,
      )).mean;
    const exact = (await base.denoise(x, .8)).mean;
    const subsets = seen.at(-1)!, indices = returned.at(-1)!;
    for (let q = 0; q < queries; q++) {
      const head = new Set(indices.subarray(q * K, (q + 1) * K));
      const { rows, logWeights } = subsets[q];
      const tail = rows.filter((_, i) => logWeights![i] !== 0 || !head.has(rows[i]));
      assert.equal(rows.length, K + L);
      assert.equal(new Set(rows).size, K + L);
      assert.equal(rows.filter((row) => head.has(row)).length, K);
      if (L === 7) assert.ok(tail.length === L && tail.every((row) => !head.has(row)));
    }
    // Returned rows and all others: exact whatever was returned.
    if (L === 70) {
      const [a, b] = [await tensorSpace.values(estimate), await tensorSpace.values(exact)];
      assert.ok(a.every((v, i) => Math.abs(v - b[i]) < 8 * 2 ** -24));
    }
    tensorSpace.dispose(estimate, exact);
  }
  tensorSpace.dispose(x);
});

Deno.test("neighbours alone err more than twice as much as with random items at t = 0.3", async () => {
  using device = await openDevice("wasm");
  const points = sphere(500), count = 300, sigma = .7 / .3;
  using base = await optimal(points, { device });
  const noise = startNoise(4, 0, count, 3);
  const x = tensorSpace.from(
    noise.map((e, at) => points.data[Math.floor(at / 3) * 7 % 500 * 3 + at % 3] + sigma * e),
    [count, 3],
  );
  const exact = (await base.denoise(x, sigma)).mean, wanted = await tensorSpace.values(exact);
  const error = async (L: number) => {
    const estimate =
      (await (await neighbourEstimator(base, { neighbours: 15, others: L, switchAt: 1 })).denoise(
        x,
        sigma,
      )).mean;
    const values = await tensorSpace.values(estimate);
    tensorSpace.dispose(estimate);
    let sum = 0;
    for (let at = 0; at < values.length; at += 3) {
      sum += Math.hypot(...[0, 1, 2].map((c) => values[at + c] - wanted[at + c])) / count;
    }
    return sum;
  };
  const [alone, both] = [await error(0), await error(15)];
  tensorSpace.dispose(x, exact);
  assert.ok(alone > 2 * both, `${alone} ${both}`);
});

Deno.test("coupled runs come nearer to the full denoiser with more items, and with the switch", async () => {
  using device = await openDevice("wasm");
  using base = await optimal(sphere(500), { device });
  const count = 50, options = { bandwidth: .06, draws: 4 };
  const run = async (denoiser: Parameters<typeof smoothed>[0]) => {
    const { x, denoised } = await sample(await smoothed(denoiser as OptimalDenoiser, options), {
      count,
      grid: uniformTGrid(100),
      seed: 6,
      batchSize: count,
      output: "tensor",
    });
    const values = await tensorSpace.values(x);
    tensorSpace.dispose(x, denoised);
    return values;
  };
  const full = await run(base as Parameters<typeof smoothed>[0]);
  const distance = async (K: number, L: number, switchAt: number) => {
    const values = await run(
      await neighbourEstimator(base, { neighbours: K, others: L, switchAt }) as Parameters<
        typeof smoothed
      >[0],
    );
    let sum = 0;
    for (let at = 0; at < values.length; at += 3) {
      sum += Math.hypot(...[0, 1, 2].map((c) => values[at + c] - full[at + c])) / count;
    }
    return sum;
  };
  const found = [
    await distance(5, 5, 1),
    await distance(15, 15, 1),
    await distance(50, 50, 1),
    await distance(15, 15, .3),
  ];
  const what = found.map((v) => v.toFixed(4)).join(" ");
  // Means over 1,000 samples by an independent computation; distances spread by more than their mean, so half of it for 50.
  [.052, .029, .009, .023].forEach((mean, k) =>
    assert.ok(Math.abs(found[k] - mean) < .5 * mean + .003, `${what} at ${k}`)
  );
  assert.ok(found[0] > found[2] && found[1] > found[2] && found[3] < found[0], what);
});
