import {
  compareAgreement,
  ddpmGrid,
  pearson,
  rSquared,
  show,
  tinyShapes,
} from "@closedform/diffusion";
import assert from "node:assert/strict";
import { optimalFloat64, wienerFloat64 } from "../_helpers/float64.ts";
import { plain } from "../_helpers/plain.ts";

const set = tinyShapes(50);
const exact = optimalFloat64(set), few = optimalFloat64(set.take(20));
const gaussian = await wienerFloat64(set);
const OPTIONS = { count: 6, seed: 7, steps: 5 };

Deno.test("compareAgreement() judges the ends of runs from the same noise by the published measures", async () => {
  const rows = await compareAgreement(exact, { gaussian, few }, OPTIONS);
  const run = { sampler: "ddim", grid: ddpmGrid(5), count: 6, seed: 7 } as const;
  const truth = await plain(exact, run), d = set.dimension;
  const scores: number[][] = [];
  for (const [i, denoiser] of [gaussian, few].entries()) {
    const ends = await plain(denoiser, run);
    const each = Array.from({ length: 6 }, (_, row) => {
      const unit = (v: number) => Math.min(1, Math.max(0, (v + 1) / 2));
      const [p, q] = [ends, truth].map((rows) =>
        Array.from(rows.subarray(row * d, (row + 1) * d), unit)
      );
      const mean = q.reduce((sum, v) => sum + v, 0) / d;
      const off = q.reduce((sum, v, c) => sum + (v - p[c]) ** 2, 0);
      return {
        mse: off / d,
        rSquared: 1 - off / d / (q.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (d - 1)),
      };
    });
    const average = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
    const near = (a: number, b: number) =>
      assert.ok(Math.abs(a - b) < 1e-12 * Math.max(1, Math.abs(b)));
    near(rows[i].mse, average(each.map(({ mse }) => mse)));
    near(rows[i].rSquared, average(each.map(({ rSquared }) => rSquared)));
    near(rows[i].rawRSquared, rSquared(ends, truth, { dimension: d }).mean);
    near(rows[i].pearson, pearson(ends, truth, { dimension: d }).median);
    scores.push(each.map(({ rSquared }) => rSquared));
  }
  // Of the paired differences: their mean, and its standard error.
  const differences = scores[1].map((v, i) => v - scores[0][i]);
  const mean = differences.reduce((sum, v) => sum + v, 0) / 6;
  const variance = differences.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 5;
  assert.ok(Math.abs(rows[1].gain! - mean) < 1e-12);
  assert.ok(Math.abs(rows[1].gainError! - Math.sqrt(variance / 6)) < 1e-12);
  assert.deepEqual([rows[0].gain, rows[0].gainError], [undefined, undefined]);
  assert.deepEqual(Object.keys(rows.samples), ["gaussian", "few", "reference"]);
});

Deno.test("compareAgreement() shows the reference in the last row", async () => {
  const shown: unknown[] = [];
  const display = (bundle: Readonly<Record<string, unknown>>) =>
    Promise.resolve(void shown.push(bundle["text/plain"]));
  await show(await compareAgreement(exact, { gaussian, few }, OPTIONS), { display });
  assert.equal(shown[0], "[images in rows of 6: gaussian, few, reference]");
  assert.match(
    String(shown[1]),
    /^denoiser +mse +rSquared +rawRSquared +pearson +gain +gainError +seconds/,
  );
  assert.equal(shown[2], "[chart: Agreement with the reference, sample by sample]");
});

Deno.test("compareAgreement() refuses what it cannot compare", async () => {
  await assert.rejects(compareAgreement(exact, {}), /received 0 denoisers/);
  await assert.rejects(compareAgreement(exact, gaussian as never), /wanted an object of denoisers/);
  await assert.rejects(compareAgreement(exact, { gaussian }, { count: -1 }), /count is -1/);
  const other = optimalFloat64(tinyShapes(3).take(2));
  const flat = { ...other, shape: [144] };
  await assert.rejects(compareAgreement(exact, { flat }), /flat works on shape \[144\]/);
});
