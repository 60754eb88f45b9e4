/** The smoothed denoiser against the published form, and mistakes that these tests must see. */
import { Dataset, sample, smoothed, startNoise, uniformTGrid } from "@closedform/diffusion";
import { sigmaOfFlowTime } from "@closedform/diffusion/theory";
import type { Denoiser, SmoothedOptions } from "@closedform/diffusion";
import assert from "node:assert/strict";
import {
  ddimEnd,
  drawsOf,
  flowDenoised,
  flowEnd,
  flowMean,
  meanOf,
  pointsOf,
  tiltedMean,
} from "../_helpers/flow_model.ts";
import type { Slip } from "../_helpers/flow_model.ts";
import { inHull, isNear, rowsOf, scattered, shareOf, tripleMeans } from "../_helpers/plane.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const dataset = scattered(12), points = pointsOf(dataset);
const STEPS = 20, M = 3, bandwidth = .3, COUNT = 8;
const noise = startNoise(3, 0, COUNT, 2);

/** The published model with the draws of each sample. */
const models = Array.from({ length: COUNT }, (_, i) => ({
  points,
  bandwidth,
  draws: drawsOf(i, M, 2),
}));

/** Ends of the sampler, of a denoiser that may be wrong on purpose. */
async function ends(denoiser: Denoiser<Float64Array>): Promise<Float64Array> {
  return (await sample(denoiser, {
    count: COUNT,
    grid: uniformTGrid(STEPS),
    init: noise,
    output: "tensor",
  })).x;
}

function apart(x: ArrayLike<number>, y: ArrayLike<number>): number {
  return Math.max(...Array.from(x, (v, i) => Math.abs(v - y[i])));
}

const published = (slip?: Slip) =>
  models.flatMap((model, i) => flowEnd(model, [...noise.subarray(2 * i, 2 * i + 2)], STEPS, slip));

Deno.test("smoothed() sampled on the uniform grid is Euler on the published flow and DDIM", async () => {
  const x = await ends(await smoothed(optimalFloat64(dataset), { bandwidth, draws: M }));
  const ddim = models.flatMap((m, i) => ddimEnd(m, [...noise.subarray(2 * i, 2 * i + 2)], STEPS));
  assert.ok(apart(x, published()) < 1e-12 && apart(x, ddim) < 1e-12);
});

Deno.test("smoothed() is told from the published flow with its first step left out", async () => {
  const x = await ends(await smoothed(optimalFloat64(dataset), { bandwidth, draws: M }));
  assert.ok(apart(x, published("skipped first step")) > 1e-3);
});

Deno.test("smoothed() is told from one that moves queries by β instead of β(1+σ)", async () => {
  const base = optimalFloat64(dataset);
  const wrong: Denoiser<Float64Array> = {
    ...await smoothed(base, { bandwidth, draws: M }),
    denoise: async (x, sigma, options) =>
      (await smoothed(base, { bandwidth: bandwidth / (1 + Number(sigma)), draws: M })).denoise(
        x,
        sigma,
        options,
      ),
  };
  assert.ok(apart(await ends(wrong), published()) > 1e-2);
});

Deno.test("perturbing the state as well leaves the hull and every barycenter", () => {
  const wide = (i: number) => ({ points, bandwidth: .5, draws: drawsOf(i, M, 2) });
  const samples = startNoise(4, 0, 300, 2);
  const rows = (slip?: Slip) =>
    Array.from(
      { length: 300 },
      (_, i) => flowEnd(wide(i), [...samples.subarray(2 * i, 2 * i + 2)], 100, slip),
    );
  const [right, wrong] = [rows(), rows("perturbed state")];
  assert.equal(shareOf(right, inHull(dataset, 1e-9)), 1);
  assert.ok(shareOf(right, isNear(tripleMeans(dataset), 1e-6)) > .9);
  const inside = shareOf(wrong, inHull(dataset, 1e-9));
  assert.ok(inside < .6, `${inside}`);
  assert.equal(shareOf(wrong, isNear(tripleMeans(dataset), 1e-6)), 0);
});

Deno.test("the flow's score is the gradient of the log density: central differences of fourth order", () => {
  const logDensity = (z: number[], t: number) => {
    const logits = points.map((x) =>
      -x.reduce((sum, v, c) => sum + (z[c] - t * v) ** 2, 0) / (2 * (1 - t) ** 2)
    );
    const most = Math.max(...logits);
    return most + Math.log(logits.reduce((sum, l) => sum + Math.exp(l - most), 0));
  };
  const step = 1e-3;
  for (const t of [.2, .5, .7]) {
    const z = [.3, -.4];
    const score = flowMean(points, z, t).map((v, c) => (v - z[c]) / (1 - t) ** 2);
    score.forEach((value, c) => {
      const at = (k: number) => logDensity(z.map((v, j) => j === c ? v + k * step : v), t);
      const slope = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step);
      // h⁴/30 times a fifth derivative of up to (1−t)⁻⁵, and rounding ε/h.
      assert.ok(Math.abs(value - slope) < 1e-8, `${t}: ${value} ${slope}`);
    });
  }
});

Deno.test("the published velocity is (D − z)/(1−t), and mean − z at t = 0", async () => {
  const base = optimalFloat64(dataset);
  for (const t of [.05, .5, .95]) {
    const z = [.3, -.4];
    const k = flowMean(points, z, t);
    const score = k.map((v, c) => (v - z[c]) / (1 - t) ** 2);
    const denoised = (await base.denoise(
      Float64Array.from(z, (v) => v / t),
      sigmaOfFlowTime(t),
    )).mean;
    z.forEach((v, c) => {
      const velocity = (v + (1 - t) * score[c]) / t;
      // The published form loses 1/(1−t) and 1/t.
      assert.ok(Math.abs(velocity - (denoised[c] - v) / (1 - t)) < 1e-12 / (1 - t));
    });
  }
  const atZero = flowDenoised({ points, bandwidth: .5, draws: drawsOf(0, M, 2) }, [.3, -.4], 0);
  const mean = dataset.mean();
  assert.ok(apart(atZero, mean) < 1e-15 && apart(atZero, meanOf(points)) < 1e-15);
});

Deno.test("smoothed() with bandwidth zero follows the unsmoothed path and ends on training points", async () => {
  // Smallest gap .486 and 50 steps: 24 steps per gap.
  const run = { count: 200, grid: uniformTGrid(50), seed: 2, trajectory: true };
  const base = optimalFloat64(dataset);
  const plain = await sample(base, { ...run, output: "tensor" });
  const zero = await sample(await smoothed(base, { bandwidth: 0, draws: M }), {
    ...run,
    output: "tensor",
  });
  zero.trajectory!.forEach(({ x }, n) => assert.ok(apart(x, plain.trajectory![n].x) < 1e-9));
  assert.equal(shareOf(rowsOf(zero.x), isNear(points, 1e-9)), 1);
});

Deno.test("a perturbed query and tilted logits are the same in flow coordinates", () => {
  for (const t of [.1, .5, .9, .99]) {
    for (const draw of drawsOf(7, 4, 2)) {
      const z = [.2, .6];
      const moved = flowMean(points, z.map((v, c) => v + .4 * draw[c]), t);
      assert.ok(apart(moved, tiltedMean(points, z, t, draw.map((v) => .4 * v))) < 1e-12);
    }
  }
});

Deno.test("a smoothed sample is the last output of the denoiser, at the width of the last step", async () => {
  for (const drawKind of ["fixed", "fresh", "antithetic"] as const) {
    const denoiser = await smoothed(optimalFloat64(dataset), { bandwidth: .5, draws: 4, drawKind });
    const run = { count: 20, grid: uniformTGrid(STEPS), seed: 5, trajectory: true };
    const { x, denoised, trajectory } = await sample(denoiser, { ...run, output: "tensor" });
    const { x: before, sigma } = trajectory!.at(-2)!;
    assert.ok(Math.abs(sigma - 1 / (STEPS - 1)) < 1e-15);
    const samples = Uint32Array.from({ length: 20 }, (_, i) => i);
    const again = (await denoiser.denoise(Float64Array.from(before), sigma, { samples })).mean;
    assert.ok(apart(x, denoised) < 1e-12 && apart(x, again) < 1e-12);
  }
});

Deno.test("half of the smoothed samples are within 1e-8 of a mean of three points after 100 steps", async () => {
  const denoiser = await smoothed(optimalFloat64(dataset), { bandwidth: .5, draws: M });
  const { x } = await sample(denoiser, {
    count: 200,
    grid: uniformTGrid(100),
    batchSize: 200,
    output: "tensor",
  });
  const targets = tripleMeans(dataset);
  assert.equal(targets.length, 364);
  const distances = rowsOf(x).map((row) =>
    Math.min(...targets.map((t) => Math.hypot(t[0] - row[0], t[1] - row[1])))
  );
  assert.ok(distances.sort((a, b) => a - b)[100] < 1e-8, `${distances[100]}`);
});

Deno.test("turning data, noise and draws turns the sample", async () => {
  const angle = .7, [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const turn = (v: readonly number[]) => [cos * v[0] - sin * v[1], sin * v[0] + cos * v[1]];
  models.forEach((model, i) => {
    const e = [...noise.subarray(2 * i, 2 * i + 2)];
    const turned = { points: points.map(turn), bandwidth, draws: model.draws.map(turn) };
    assert.ok(apart(flowEnd(turned, turn(e), STEPS), turn(flowEnd(model, e, STEPS))) < 1e-12);
  });
  // A quarter of a turn keeps float32 data exact: the denoiser itself, with its own draws.
  const quarter = new Dataset({
    data: Float32Array.from(points.flatMap(([a, b]) => [-b, a])),
    shape: [2],
    name: "turned",
  });
  const base = optimalFloat64(dataset);
  const conjugate: Denoiser<Float64Array> = {
    label: "turned",
    references: [],
    shape: base.shape,
    space: base.space,
    mean: () => optimalFloat64(quarter).mean!(),
    denoise: async (x, sigma, options) => {
      const back = x.map((_, at) => at % 2 ? -x[at - 1] : x[at + 1]);
      const { mean } = await base.denoise(back, sigma, options);
      return { mean: mean.map((_, at) => at % 2 ? mean[at - 1] : -mean[at + 1]) };
    },
  };
  const options: SmoothedOptions = { bandwidth, draws: M };
  const [a, b] = [
    await ends(await smoothed(optimalFloat64(quarter), options)),
    await ends(await smoothed(conjugate, options)),
  ];
  assert.ok(apart(a, b) < 1e-12);
});

Deno.test("a smoothed run moves with its data and ignores their order", async () => {
  const shift = .5;
  const set = (rows: number[][]) =>
    new Dataset({ data: Float32Array.from(rows.flat()), shape: [2], name: "points" });
  // Multiples of 1/64 stay exact in float32 when moved by a half.
  const coarse = points.map((row) => row.map((v) => Math.round(64 * v) / 64));
  const run = async (rows: number[][]) =>
    ends(await smoothed(optimalFloat64(set(rows)), { bandwidth, draws: M }));
  const x = await run(coarse);
  const moved = await run(coarse.map((row) => row.map((v) => v + shift)));
  assert.ok(apart(x.map((v) => v + shift), moved) < 1e-12);
  assert.ok(apart(x, await run(coarse.toReversed())) < 1e-12);
});
