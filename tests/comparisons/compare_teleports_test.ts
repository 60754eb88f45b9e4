import { compareTeleports, gaussianLaw, moons, show, tinyShapes } from "@closedform/diffusion";
import { gaussianFlow } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { optimalFloat64 } from "../_helpers/float64.ts";

Deno.test("compareTeleports() of data that are a Gaussian: nothing is lost, and evaluations are saved", async () => {
  const data = moons(200);
  // The flow of the Gaussian that the first leg follows.
  const mean = data.mean();
  const second = [0, 0, 0, 0];
  for (let i = 0; i < data.count; i++) {
    const [x, y] = data.values(i);
    const [a, b] = [x - mean[0], y - mean[1]];
    [a * a, a * b, b * a, b * b].forEach((v, k) => second[k] += v / data.count);
  }
  const { denoiser } = gaussianFlow(gaussianLaw(mean, second));
  const rows = await compareTeleports(denoiser, {
    data,
    samplers: ["ddim"],
    skips: [20, 5],
    steps: [5, 10, 20, 40],
    count: 8,
  });
  assert.deepEqual(rows.map(({ skip, steps }) => [skip, steps]), [
    ...[5, 10, 20, 40].map((steps) => [undefined, steps]),
    ...[5, 10, 20, 40].map((steps) => [20, steps]),
    ...[5, 10, 20, 40].map((steps) => [5, steps]),
  ]);
  for (const [i, { rms, evaluations, without }] of rows.slice(4, 8).entries()) {
    assert.equal(evaluations, rows[i].evaluations);
    assert.ok(rms < rows[i].rms, `${rms} and ${rows[i].rms}`);
    if (without !== undefined) assert.ok(without > evaluations);
  }
  assert.ok(rows[5].without! > 10);
  // Read at the same height, by straight lines in the logarithm of the error.
  const [a, b] = rows.slice(0, 4).flatMap((row, k) =>
    k > 0 && row.rms <= rows[5].rms && rows[k - 1].rms > rows[5].rms ? [rows[k - 1], row] : []
  );
  const share = (Math.log(a.rms) - Math.log(rows[5].rms)) / (Math.log(a.rms) - Math.log(b.rms));
  const wanted = a.evaluations + share * (b.evaluations - a.evaluations);
  assert.ok(Math.abs(rows[5].without! - wanted) < 1e-9);
});

Deno.test("compareTeleports() takes the data from the denoiser, and shows itself", async () => {
  const exact = optimalFloat64(tinyShapes(30));
  const rows = await compareTeleports(exact, { skips: [10], steps: [5], count: 3 });
  assert.equal(rows.length, 2);
  const shown: unknown[] = [];
  const display = (bundle: Readonly<Record<string, unknown>>) =>
    Promise.resolve(void shown.push(bundle["text/plain"]));
  await show(rows, { display });
  assert.match(String(shown[0]), /^sampler +skip +steps +evaluations +rms .*without +seconds\n/);
  assert.equal(shown[1], "[chart: Distance from the end of collocation]");
});

Deno.test("compareTeleports() refuses what it cannot compare", async () => {
  const { denoiser } = gaussianFlow(gaussianLaw([0, 0], 1));
  await assert.rejects(compareTeleports(denoiser), /holds no data, wanted the option data/);
  const data = moons(9);
  await assert.rejects(
    compareTeleports(denoiser, { data, skips: [] }),
    /received 1 samplers, 0 skips/,
  );
  await assert.rejects(compareTeleports(denoiser, { data, skips: [90] }), /the level is 90/);
});
