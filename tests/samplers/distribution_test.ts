import {
  ddim,
  gaussianLaw,
  logSnrGrid,
  mmd,
  SAMPLER_NAMES,
  slicedWasserstein2,
} from "@closedform/diffusion";
import { gaussianStatistics } from "@closedform/diffusion/theory";
import { samplerByName } from "../../src/samplers/registry.ts";
import type { Sampler } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { endOf, MIXTURE } from "../_helpers/toys.ts";

const { flow } = MIXTURE;
const COUNT = 200, SIGMA_MAX = 20, SIGMA_MIN = 0.05;
const { sigmas } = logSnrGrid(30, { sigmaMax: SIGMA_MAX, sigmaMin: SIGMA_MIN });
const EXACT = flow.draw(COUNT, SIGMA_MIN, 1);

/** Sliced Wasserstein distance and squared discrepancy from exact draws. */
function fromExact(x: Float64Array): [number, number] {
  return [
    slicedWasserstein2(x, EXACT, { dimension: 2, directions: 32 }).distance,
    mmd(x, EXACT, { dimension: 2, bandwidth: 0.5 }).squared,
  ];
}

const reached = (sampler: Sampler, levels: readonly number[]) =>
  endOf(sampler, flow.denoiser, flow.draw(COUNT, SIGMA_MAX, 7), levels);

Deno.test("every sampler's samples are distributed as exact draws are", async () => {
  // How far other sets of exact draws are: what sampling alone does.
  const chance = [2, 3, 4, 5, 6].map((seed) => fromExact(flow.draw(COUNT, SIGMA_MIN, seed)));
  const largest = [0, 1].map((k) => Math.max(...chance.map((distances) => distances[k])));
  const range = { sigmaMax: SIGMA_MAX, sigmaMin: SIGMA_MIN };
  const statistics = gaussianStatistics(gaussianLaw([0, 0], 1), range);
  const table = [["exact", ...largest]];
  for (const name of SAMPLER_NAMES) {
    table.push([name, ...fromExact(await reached(samplerByName(name, { statistics }), sigmas))]);
  }
  const text = table.map(([name, w, m]) =>
    `${name}: SW2 ${Number(w).toFixed(4)}, MMD2 ${Number(m).toFixed(5)}`
  );
  for (const [name, w, m] of table) {
    assert.ok(
      Number(w) < 1.5 * largest[0] && Number(m) < 2 * largest[1],
      `${name}\n${text.join("\n")}`,
    );
  }
  // Two steps are too few, and seen to be.
  const [w, m] = fromExact(await reached(ddim(), [SIGMA_MAX, 1, SIGMA_MIN]));
  assert.ok(w > 1.5 * largest[0] && m > 2 * largest[1], `two steps: ${w}, ${m}`);
});
