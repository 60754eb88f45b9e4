import type { Denoiser } from "@closedform/diffusion";
import { ddim, ddpmGrid, karrasGrid, logSnrGrid, picard } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { distance, endOf, MIXTURE, POINT, stepsOf } from "../_helpers/toys.ts";

const { flow } = MIXTURE;

Deno.test("picard() that iterates until nothing changes ends where ddim() does, for every window", async () => {
  for (const { sigmas } of [ddpmGrid(20), karrasGrid(7), logSnrGrid(12)]) {
    const start = flow.draw(5, sigmas[0], 3);
    const expected = await endOf(ddim(), flow.denoiser, start, sigmas);
    for (const parallel of [1, 3, 10, 64]) {
      const sampler = picard({ parallel, tolerance: 0 });
      const last = (await stepsOf(sampler, flow.denoiser, start, sigmas)).at(-1)!;
      assert.ok(
        distance(last.x, expected) < 1e-12,
        `window ${parallel}: ${distance(last.x, expected)}`,
      );
      // The first point of a window is exact, so that every sweep advances.
      assert.ok(last.calls <= sigmas.length);
      assert.deepEqual([...last.convergence!.windows], new Array(5).fill(sigmas.length - 1));
    }
  }
});

Deno.test("picard() with a tolerance saves calls and stays near ddim()", async () => {
  const { sigmas } = ddpmGrid(100);
  const start = flow.draw(8, sigmas[0], 3);
  const expected = await endOf(ddim(), flow.denoiser, start, sigmas);
  const errors = await Promise.all([0.1, 1e-3].map(async (tolerance) => {
    const last = (await stepsOf(picard({ tolerance }), flow.denoiser, start, sigmas)).at(-1)!;
    assert.ok(last.calls < 50 && last.evaluations > 100, `${last.calls} calls`);
    assert.ok(last.convergence!.estimatedError.every((e) => e >= 0 && e < 0.1));
    return distance(last.x, expected);
  }));
  // A point left behind may be off by tol times the noise of a step there, which is at most the size of the data
  // where it matters, and the flow amplifies it little.
  assert.ok(errors[0] < 0.3 && errors[1] < 3e-3, `${errors}`);
});

Deno.test("picard() needs one sweep per window where the denoiser is constant", async () => {
  const { sigmas } = karrasGrid(19);
  const start = Float64Array.of(40, -9);
  const steps = await stepsOf(picard({ tolerance: 1e-12 }), POINT.flow.denoiser, start, sigmas);
  assert.deepEqual(steps.map(({ calls }) => calls), [2, 3]);
  assert.deepEqual([...steps[1].x], [0.5, -2]);
  assert.equal(steps[1].evaluations, 20);
  assert.ok(distance(steps[0].x, await POINT.flow.transport(start, 80, sigmas[10])) < 1e-12);
});

Deno.test("picard() evaluates windows in one call, with levels and samples of their own, never at 0", async () => {
  let calls = 0, rows = 0;
  const denoiser: Denoiser<Float64Array> = {
    ...flow.denoiser,
    denoise(x, sigma, options) {
      const levels = typeof sigma === "number" ? new Array(3).fill(sigma) : Array.from(sigma);
      const { samples = [4, 5, 6] } = options!;
      assert.equal(levels.length, x.length / 2);
      assert.equal(samples.length, x.length / 2);
      assert.ok(levels.every((level) => level > 0));
      calls++;
      rows += levels.length;
      return flow.denoiser.denoise(x, sigma);
    },
  };
  const { sigmas } = ddpmGrid(25);
  const start = flow.draw(3, sigmas[0], 2);
  const run = stepsOf(picard({ parallel: 6 }), denoiser, start, sigmas, { samples: [4, 5, 6] });
  const last = (await run).at(-1)!;
  assert.deepEqual([last.calls, last.evaluations], [calls, rows / 3]);
  assert.deepEqual(last.x, last.denoised);
  assert.equal(last.sigma, 0);
});

Deno.test("picard() tells the largest change, relative to its point, of those that it left behind unsettled", async () => {
  const { sigmas } = logSnrGrid(4, { sigmaMax: 3, sigmaMin: 0.5 });
  const start = flow.draw(1, sigmas[0], 7);
  const D = async (x: Float64Array, sigma: number) => (await flow.denoiser.denoise(x, sigma)).mean;
  const step = (x: Float64Array, d: Float64Array, from: number, to: number) =>
    x.map((v, c) => to / from * v + (1 - to / from) * d[c]);
  // Windows of two: both points start from the first output, and the sweep moves the second one only.
  const [a, b, c, d, e] = sigmas;
  const changes: number[] = [];
  let x = start, output = await D(start, a);
  for (const [from, over, to] of [[a, b, c], [c, d, e]]) {
    const guess = step(x, output, from, over);
    const known = await D(x, from), next = await D(guess, over);
    const reached = step(x, known, from, over);
    changes.push(distanceOf(reached, guess) / Math.hypot(...reached));
    x = step(reached, next, over, to);
    output = next;
  }
  // So high a tolerance that every sweep moves on by the whole window.
  const sampler = picard({ parallel: 2, tolerance: 1 });
  const steps = await stepsOf(sampler, flow.denoiser, start, sigmas);
  assert.deepEqual(steps.map(({ convergence }) => convergence!.windows[0]), [2, 4]);
  for (const [i, { convergence }] of steps.entries()) {
    const expected = Math.max(...changes.slice(0, i + 1));
    assert.ok(Math.abs(convergence!.estimatedError[0] - expected) < 1e-12, `step ${i}`);
  }
  assert.ok(distance(steps[1].x, x) < 1e-12);
});

function distanceOf(a: Float64Array, b: Float64Array): number {
  return Math.hypot(...a.map((v, c) => v - b[c]));
}

Deno.test("picard() refuses windows and tolerances out of range", () => {
  for (const parallel of [0, 1.5, -1]) assert.throws(() => picard({ parallel }), RangeError);
  for (const tolerance of [-1, NaN, Infinity]) {
    assert.throws(() => picard({ tolerance }), RangeError);
  }
});
