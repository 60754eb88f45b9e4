/** Starting late from the law at T, and the law of the flow there. */
import { sample, smoothed, uniformTGrid, wasserstein2 } from "@closedform/diffusion";
import { RandomStream } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { pointsOf } from "../_helpers/flow_model.ts";
import { scattered } from "../_helpers/plane.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const dataset = scattered(12), points = pointsOf(dataset);
const COUNT = 250;

/** Draws of the law of `z_T = T x_i + (1−T) e`. */
function law(T: number, seed: number): Float64Array {
  const stream = new RandomStream({ seed, purpose: "theory" });
  const z = new Float64Array(2 * COUNT);
  for (let i = 0; i < COUNT; i++) {
    const point = points[stream.below(12)];
    for (let c = 0; c < 2; c++) z[2 * i + c] = T * point[c] + (1 - T) * stream.normal();
  }
  return z;
}

/** States of a run from noise at flow time `T`. */
async function states(bandwidth: number, T: number, seed: number): Promise<Float64Array> {
  const steps = 100;
  const denoiser = await smoothed(optimalFloat64(dataset), {
    bandwidth,
    draws: bandwidth ? 4 : 1,
    seed,
  });
  const run = { count: COUNT, grid: uniformTGrid(steps), seed, trajectory: true, batchSize: COUNT };
  const { trajectory } = await sample(denoiser, { ...run, output: "tensor" });
  return Float64Array.from(trajectory![Math.round(T * steps) - 1].x, (v) => T * v);
}

Deno.test("without smoothing the flow has the law that a late start draws from; with much of it another one", async () => {
  for (const T of [.5, .9]) {
    let floor = 0, found = 0;
    const seeds = [1, 2, 3, 4, 5, 6];
    for (const seed of seeds) {
      floor +=
        (await wasserstein2(law(T, 10 * seed), law(T, 10 * seed + 1), { dimension: 2 })).distance;
      found += (await wasserstein2(await states(0, T, seed), law(T, 10 * seed), { dimension: 2 }))
        .distance;
    }
    [floor, found] = [floor / seeds.length, found / seeds.length];
    // The distance of two samples spreads by a sixth from seed to seed: means of six differ by a fifth at two deviations.
    assert.ok(found < 1.2 * floor, `${T}: ${found}, floor ${floor}`);
    const other =
      (await wasserstein2(await states(2, T, 1), law(T, 10), { dimension: 2 })).distance;
    if (T === .9) assert.ok(other > 1.5 * floor, `${other}, floor ${floor}`);
  }
});

Deno.test("without smoothing every training point is as frequent, from noise and from late starts", async () => {
  const eight = scattered(8), rows = pointsOf(eight), count = 4000;
  for (const [start, steps] of [[0, 100], [.5, 50], [.9, 20]]) {
    const { x } = await sample(optimalFloat64(eight), {
      count,
      grid: uniformTGrid(steps, { start }),
      seed: 8,
      batchSize: count,
      output: "tensor",
    });
    const counts = rows.map((p) => {
      let n = 0;
      for (let i = 0; i < count; i++) {
        if (Math.hypot(x[2 * i] - p[0], x[2 * i + 1] - p[1]) < 1e-3) n++;
      }
      return n;
    });
    // A few trajectories may end between two points.
    assert.ok(counts.reduce((sum, n) => sum + n) > .995 * count);
    const expected = count / 8;
    const chi = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    // Seven degrees of freedom: above 24 with a probability of 0.001.
    assert.ok(chi < 24, `${start}: ${counts}, ${chi}`);
  }
});
