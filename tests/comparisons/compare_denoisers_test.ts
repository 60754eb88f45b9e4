import {
  compareDenoisers,
  ddpmGrid,
  functionDenoiser,
  moons,
  optimal,
  show,
  tinyShapes,
  wiener,
} from "@closedform/diffusion";
import { arraySpace } from "@closedform/diffusion/compute";
import type { Dataset } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { optimalFloat64, wienerFloat64 } from "../_helpers/float64.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { plain } from "../_helpers/plain.ts";

/** A denoiser of the plane that multiplies by a number. */
const times = (factor: number) =>
  functionDenoiser((x) => x.map((v) => factor * v), { shape: [2], space: arraySpace });

Deno.test("compareDenoisers() measures the distance from the first one and what is explained of it", async () => {
  // One item at the origin: all noise, so that numbers of the states have variance σ².
  const data = moons(1) as Dataset;
  data.data.fill(0);
  const sigmas = [4, 1], count = 4000;
  const table = await compareDenoisers({ one: times(1), half: times(0.5), again: times(1) }, {
    ...{ data, sigmas, count, sampler: "ddim", steps: 2 },
  });
  assert.deepEqual(table.map(({ sigma, denoiser }) => `${denoiser} ${sigma}`), [
    "half 4",
    "again 4",
    "half 1",
    "again 1",
  ]);
  for (const { sigma, denoiser, distance, explained } of table) {
    const [off, share] = denoiser === "half" ? [sigma / 2, 0.75] : [0, 1];
    // 8,000 numbers: one standard deviation of the distance is σ/2 · 0.8 %; the mean of the outputs is the centre.
    assert.ok(Math.abs(distance - off) <= 0.03 * off, `${distance} and ${off}`);
    assert.ok(Math.abs(explained - share) < 1e-3, `${explained} and ${share}`);
  }
});

Deno.test("compareDenoisers() samples all from the same noise, of states of any kind, and leaks nothing", async () => {
  const set = tinyShapes(40);
  const truth = optimalFloat64(set), gaussian = await wienerFloat64(set);
  await withoutLeaks(async () => {
    using exact = await optimal(set, { device: "wasm" });
    using filter = await wiener(set, { device: "wasm" });
    const options = { count: 3, seed: 5, steps: 6 };
    const ours = await compareDenoisers({ exact, filter }, options);
    const theirs = await compareDenoisers({ exact: truth, filter: gaussian }, options);
    ours.forEach(({ distance, explained }, i) => {
      // Float32 states against float64 ones.
      assert.ok(Math.abs(distance - theirs[i].distance) < 1e-4);
      assert.ok(Math.abs(explained - theirs[i].explained) < 1e-3);
    });
    assert.deepEqual(ours.map(({ sigma }) => sigma), ddpmGrid(6).sigmas.slice(0, -1));
  });
  const table = await compareDenoisers({ truth, gaussian }, { count: 3, seed: 5, steps: 6 });
  const run = { sampler: "ddim", grid: ddpmGrid(6), count: 3, seed: 5 } as const;
  assert.deepEqual(
    [...table.samples.gaussian.data],
    [...Float32Array.from(await plain(gaussian, run))],
  );
  assert.deepEqual(table.runs.map(({ denoiser, evaluations }) => [denoiser, evaluations]), [
    ["truth", 6],
    ["gaussian", 6],
  ]);
  assert.equal(table.runs[0].distance, 0);
});

Deno.test("compareDenoisers() shows itself as labelled pictures, tables and a chart", async () => {
  const shown: Readonly<Record<string, unknown>>[] = [];
  const display = (bundle: Readonly<Record<string, unknown>>) =>
    Promise.resolve(void shown.push(bundle));
  const set = tinyShapes(20);
  const images = { exact: optimalFloat64(set), wiener: await wienerFloat64(set) };
  const table = await compareDenoisers(images, { count: 2, steps: 3 });
  await show(table, { display });
  assert.equal(shown[0]["text/plain"], "[images in rows of 2: exact, wiener]");
  assert.match(String(shown[1]["text/plain"]), /^denoiser +distance +evaluations +seconds\n/);
  assert.match(String(shown[2]["text/plain"]), /^sigma +wiener, distance +wiener, explained\n/);
  assert.equal(shown[3]["text/plain"], "[chart: Distance from exact on the same noisy items]");
  shown.length = 0;
  const points = { exact: optimalFloat64(moons(9)), wiener: await wienerFloat64(moons(9)) };
  await show(await compareDenoisers(points, { steps: 3 }), { display });
  assert.ok("application/vnd.vegalite.v5+json" in shown[0]);
});

Deno.test("compareDenoisers() refuses what it cannot compare", async () => {
  const exact = optimalFloat64(moons(5));
  const refused: [unknown, object, RegExp][] = [
    [exact, {}, /denoisers is an object of .*, wanted an object of denoisers by their names/],
    [{ exact }, {}, /received 1 denoisers, wanted .* at least 2/],
    [{ exact, other: 3 }, {}, /other is 3, wanted a denoiser/],
    [{ exact, other: optimal(moons(5)) }, {}, /other is a Promise, which was not awaited/],
    [{ exact, images: optimalFloat64(tinyShapes(2)) }, {}, /images works on shape \[12,12,1\]/],
    [{ a: times(1), b: times(2) }, {}, /none of a, b can draw items, wanted the option data/],
    [{ exact, exact2: exact }, { sigmas: [0] }, /sigmas is \[0\], wanted at least one finite/],
    [{ exact, exact2: exact }, { count: 0.5 }, /count is 0.5/],
  ];
  for (const [denoisers, options, message] of refused) {
    await assert.rejects(compareDenoisers(denoisers as never, options), message);
  }
});
