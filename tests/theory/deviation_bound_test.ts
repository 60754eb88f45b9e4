import { tinyShapes } from "@closedform/diffusion";
import { gaussianDeviationBound } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { startNoise } from "../../src/base/random.ts";
import { optimalFloat64, wienerFloat64 } from "../_helpers/float64.ts";

Deno.test("gaussianDeviationBound() holds on images too, and asks for more noise than is needed", async () => {
  const set = tinyShapes(100), mean = set.mean();
  const [optimal, gaussian] = [optimalFloat64(set), await wienerFloat64(set)];
  const away = Array.from(
    { length: set.count },
    (_, i) => Math.hypot(...set.values(i).map((v, c) => v - mean[c])),
  );
  const cloud = { radius: Math.max(...away), variance: 7 };
  for (const sigma of [1, 10, 100]) {
    const x = startNoise(71, 0, 1, 144).map((e, c) => mean[c] + sigma * e);
    const [a, b] = [
      (await optimal.denoise(x, sigma)).mean,
      (await gaussian.denoise(x, sigma)).mean,
    ];
    const deviation = Math.hypot(...a.map((v, c) => v - b[c]));
    const bound = gaussianDeviationBound(cloud, Math.hypot(...x.map((v, c) => v - mean[c])), sigma);
    assert.ok(deviation < bound, `${deviation}, bound ${bound}`);
    if (sigma === 10) assert.ok(bound > 100 * deviation, "the condition σ ≫ R√d is far too strict");
  }
});
