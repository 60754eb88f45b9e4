import {
  compareSamplers,
  gaussianLaw,
  heun,
  karrasGrid,
  nearestItems,
  show,
  startNoise,
  tinyShapes,
} from "@closedform/diffusion";
import { gaussianFlow } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { optimalFloat64 } from "../_helpers/float64.ts";
import { plain } from "../_helpers/plain.ts";

const VARIANCE = 0.5, COUNT = 5, D = 3;
const { denoiser } = gaussianFlow(gaussianLaw([1, -1, 0], VARIANCE));

Deno.test("compareSamplers() measures errors as the closed form of a Gaussian flow does", async () => {
  const rows = await compareSamplers(denoiser, {
    samplers: ["ddim", heun()],
    steps: [8, 16],
    count: COUNT,
    seed: 3,
  });
  assert.deepEqual(
    rows.map(({ sampler, steps, evaluations }) => [sampler, steps, evaluations]),
    [["ddim", 8, 8], ["ddim", 16, 16], ["heun", 8, 15], ["heun", 16, 31]],
  );
  // Each step of DDIM multiplies the distance from the mean by a number; so does the flow, from 80 to 0.
  for (const row of rows.slice(0, 2)) {
    const { sigmas } = karrasGrid(row.steps);
    let factor = 1;
    for (let i = 0; i + 1 < sigmas.length; i++) {
      const share = sigmas[i + 1] / sigmas[i];
      factor *= share + (1 - share) * VARIANCE / (VARIANCE + sigmas[i] ** 2);
    }
    // Collocation goes to 0.002 and there takes the denoised state.
    const low = 0.002 ** 2;
    const truth = Math.sqrt((VARIANCE + low) / (VARIANCE + 80 ** 2)) * VARIANCE / (VARIANCE + low);
    const noise = startNoise(3, 0, COUNT, D);
    const each = Array.from({ length: COUNT }, (_, i) => {
      let sum = 0;
      for (let c = 0; c < D; c++) sum += (80 * noise[i * D + c] - [1, -1, 0][c]) ** 2;
      return Math.abs(factor - truth) * Math.sqrt(sum / D);
    }).sort((a, b) => a - b);
    const rms = Math.sqrt(each.reduce((sum, v) => sum + v * v, 0) / COUNT);
    // The reference is right to 1e-6 of the data per window, of which there are some tens.
    const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-4, `${a} and ${b}`);
    near(row.rms, rms);
    near(row.median, each[2]);
    near(row.lower, each[1]);
    near(row.upper, each[3]);
    assert.equal(row.otherItem, undefined);
  }
  assert.ok(rows[3].rms < rows[2].rms / 3 && rows[1].rms < rows[0].rms);
});

Deno.test("compareSamplers() of a denoiser of data tells which samples ended at another item", async () => {
  const data = tinyShapes(60);
  const exact = optimalFloat64(data);
  const rows = await compareSamplers(exact, {
    samplers: ["ddim"],
    steps: [4, 60],
    count: 8,
    reference: "unipc",
    referenceSteps: 60,
  });
  const ends = async (sampler: "ddim" | "unipc", steps: number) =>
    (await nearestItems(
      await plain(exact, { sampler, grid: karrasGrid(steps), count: 8 }),
      data,
    )).nearest;
  const truth = await ends("unipc", 60);
  for (const [i, steps] of [4, 60].entries()) {
    const own = await ends("ddim", steps);
    assert.equal(rows[i].otherItem, own.filter((item, k) => item !== truth[k]).length / 8);
  }
  assert.ok(rows[0].rms > rows[1].rms);
});

Deno.test("compareSamplers() shows itself as a table and as a work-precision chart", async () => {
  const rows = await compareSamplers(denoiser, { samplers: ["ddim", "unipc"], steps: [6, 3] });
  const spec = rows.chart();
  const [{ data, encoding }] = spec.layer as unknown as [{
    data: { values: { x: number; y: number; line: string }[] };
    encoding: Record<"x" | "y", { scale: { type: string } }>;
  }];
  assert.deepEqual([encoding.x.scale.type, encoding.y.scale.type], ["log", "log"]);
  assert.deepEqual(data.values.map(({ x, line }) => [line, x]), [
    ["ddim", 3],
    ["ddim", 6],
    ["unipc", 3],
    ["unipc", 6],
  ]);
  assert.equal(data.values[0].y, Number(rows[1].rms.toPrecision(5)));
  const shown: string[] = [];
  const display = (bundle: Readonly<Record<string, unknown>>) =>
    Promise.resolve(void shown.push(String(bundle["text/plain"])));
  await show(rows, { display });
  assert.match(shown[0], /^sampler +steps +evaluations +rms +median +lower +upper +seconds\n/);
  assert.equal(shown[1], "[chart: Distance from the end of collocation]");
  // Other rows of it are an ordinary table.
  await show(rows.slice(0, 1).map((row) => ({ ...row })), { display });
  assert.equal(shown.length, 3);
});

Deno.test("compareSamplers() refuses what it cannot compare, and can be stopped", async () => {
  const refused: [object, RegExp][] = [
    [{ samplers: [] }, /received 0 samplers and 4 numbers of steps/],
    [{ steps: [] }, /received 4 samplers and 0 numbers of steps/],
    [{ samplers: ["hoin"] }, /Cannot make the sampler hoin/],
    [{ grid: "carras" }, /Cannot make the grid carras/],
    [{ count: 0 }, /count is 0, wanted a whole number >= 1/],
    [{ measure: "mean" }, /measure is "mean", wanted "rms" or "median"/],
    [{ step: [3] }, /there is no option step, wanted steps/],
  ];
  for (const [options, message] of refused) {
    await assert.rejects(compareSamplers(denoiser, options), message);
  }
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  await assert.rejects(compareSamplers(denoiser, { signal }), reason);
  await assert.rejects(compareSamplers(5 as never), /denoiser is 5, wanted a denoiser/);
});

Deno.test("compareSamplers() makes the tables of dpm-v3, of data that the denoiser holds", async () => {
  const exact = optimalFloat64(tinyShapes(20));
  const [row] = await compareSamplers(exact, { samplers: ["dpm-v3"], steps: [6], count: 2 });
  assert.deepEqual([row.sampler, row.evaluations], ["dpm-v3", 6]);
});
