import { dataSpectrum, loadDataset, tinyShapes } from "@closedform/diffusion";
import { cumulantNorms } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";

Deno.test("tinyShapes() has the statistics of its recipe", async () => {
  const set = tinyShapes();
  const spectrum = await dataSpectrum(set);
  const norms = await cumulantNorms(set, spectrum);
  const total = spectrum.variances.reduce((a, b) => a + b);
  // Published of another draw of 4,096: 2.40, 5.11, 9.06, 18.8. Draws differ by a few percent in the cumulants.
  for (
    const [name, ours, known, tolerance] of [
      ["largest spread", Math.sqrt(spectrum.variances[0]), 2.40, 0.02],
      ["radius", Math.sqrt(total), 5.11, 0.02],
      ["covariance", norms.covariance, 9.06, 0.03],
      ["third cumulants", norms.third, 18.8, 0.08],
    ] as const
  ) assert.ok(Math.abs(ours / known - 1) < tolerance, `${name}: ${ours}, published ${known}`);
});

Deno.test("tinyShapes() are items of their own, in all classes", async () => {
  const [few, many] = [tinyShapes(8), tinyShapes(200)];
  assert.deepEqual([...few.values(7)], [...many.values(7)]);
  assert.notDeepEqual([...few.values(7)], [...tinyShapes(8, { seed: 1 }).values(7)]);
  assert.equal(new Set(many.labels).size, 4);
  assert.equal((await loadDataset("tiny-shapes:30")).count, 30);
  for (const n of [0, 1.5]) assert.throws(() => tinyShapes(n), RangeError);
});
