import { ddpmGrid, karrasGrid, respacedGrid, uniformTGrid } from "@closedform/diffusion";
import { flowTimeOfSigma } from "@closedform/diffusion/theory";
import { gridByName } from "../../src/base/noise.ts";
import type { GridName } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { checkSigmas } from "../../src/base/noise.ts";

const NAMES: GridName[] = ["ddpm", "karras", "log-snr", "uniform-t"];

for (const name of NAMES) {
  Deno.test(`respacedGrid() keeps ends, start and evaluations: ${name}`, () => {
    for (const steps of [4, 10, 40]) {
      const grid = gridByName(name, steps);
      for (const sigma of [0.5, 1.7]) {
        const respaced = respacedGrid(grid, sigma);
        const { sigmas } = respaced;
        checkSigmas(sigmas);
        assert.equal(sigmas.length, grid.sigmas.length + 1);
        assert.deepEqual([sigmas[0], sigmas[1]], [grid.sigmas[0], sigma]);
        assert.equal(sigmas.at(-1), grid.sigmas.at(-1));
        assert.deepEqual({ ...respaced, sigmas: 0 }, { ...grid, sigmas: 0 });
      }
    }
  });
}

Deno.test("respacedGrid() spaces levels by the rule of their kind", () => {
  const times = respacedGrid(uniformTGrid(8), 1).sigmas.slice(1).map(flowTimeOfSigma);
  // t from ½ to 1 in 7 steps; four roundings of numbers up to 1.
  times.forEach((t, n) => assert.ok(Math.abs(t - (0.5 + n / 14)) < 8 * Number.EPSILON));

  // A level of DDPM itself: the steps from there on are those of a whole grid of half its strides.
  const all = ddpmGrid(1000).sigmas;
  const grid = respacedGrid(ddpmGrid(10), all[500]);
  assert.deepEqual(grid.sigmas.slice(1, -1).map((s) => all.indexOf(s)), [
    500,
    555,
    611,
    666,
    722,
    777,
    833,
    888,
    944,
    999,
  ]);

  assert.deepEqual(
    respacedGrid(karrasGrid(18), 5).sigmas.slice(1),
    karrasGrid(18, { sigmaMax: 5 }).sigmas,
  );
});

Deno.test("respacedGrid() refuses levels outside the grid, and more levels than there are", () => {
  for (const sigma of [80, 100, 0.002, 0, NaN]) {
    assert.throws(() => respacedGrid(karrasGrid(18), sigma), RangeError);
  }
  assert.throws(() => respacedGrid(ddpmGrid(500), 0.1), RangeError);
});
