import { ddpmGrid, moons, startNoise } from "@closedform/diffusion";
import { referencePosterior } from "@closedform/diffusion/compute";
import { concentration, posteriorLogits, subsetSizes } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";

Deno.test("concentration() of one query is what the kernel and subsetSizes() say", () => {
  const points = moons(200), clean = [0.5, 0.2], seed = 5;
  const noise = startNoise(seed, 0, 1, 2);
  for (const sigma of [0.05, 0.5, 5]) {
    const query = clean.map((v, c) => v + sigma * noise[c]);
    const { facts } = referencePosterior(points, query, sigma);
    const [level] = concentration(points, clean, [sigma], { seed, mass: 1e-2 });
    const { exact, largest, gap } = subsetSizes(posteriorLogits(points, query, sigma), 1e-2);
    assert.deepEqual([level.exact, level.largest, level.gap], [exact, largest, gap]);
    assert.equal(level.snr, 1 / (sigma * sigma));
    // Sums over 200 weights.
    const close = (a: number, b: number) => assert.ok(Math.abs(a / b - 1) < 1e-13, `${a} ${b}`);
    close(level.effectiveSampleSize, facts.effectiveSampleSize[0]);
    close(level.entropySize, Math.exp(facts.entropy[0]));
  }
});

Deno.test("concentration() takes medians, of an even number the mean of the middle two", () => {
  const points = moons(50), clean = Array.from(points.data.subarray(0, 8));
  const each = [0, 1, 2, 3].map((q) => {
    const noise = startNoise(0, q, 1, 2);
    const query = [0, 1].map((c) => clean[2 * q + c] + 0.3 * noise[c]);
    return referencePosterior(points, query, 0.3).facts.effectiveSampleSize[0];
  }).sort((a, b) => a - b);
  const [{ effectiveSampleSize }] = concentration(points, clean, [0.3]);
  assert.ok(Math.abs(effectiveSampleSize / ((each[1] + each[2]) / 2) - 1) < 1e-13);
});

Deno.test("concentration() falls from all items to one along the grid", () => {
  const points = moons(300);
  const clean = Array.from(moons(32, { seed: 9 }).data);
  const levels = concentration(points, clean, ddpmGrid(20).sigmas.slice(0, -1));
  assert.ok(levels[0].effectiveSampleSize > 299 && levels[0].gap === 300);
  assert.ok(levels.at(-1)!.effectiveSampleSize < 2 && levels.at(-1)!.exact <= 2);
  for (const { exact, largest, gap } of levels) assert.ok(exact <= largest && largest <= gap);
});

Deno.test("concentration() refuses rows that do not fit", () => {
  assert.throws(() => concentration(moons(10), [1], [1]), TypeError);
  assert.throws(() => concentration(moons(10), [1, 2], [0]), RangeError);
  assert.throws(() => concentration(moons(10), [1, 2], [1], { mass: 0 }), RangeError);
});
