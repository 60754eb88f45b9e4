import { RandomStream, shapes, startNoise } from "@closedform/diffusion";
import { referencePosterior } from "@closedform/diffusion/compute";
import {
  logSumExp,
  posteriorLogits,
  restrictedMean,
  rowsByLogit,
} from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { assertClose } from "../_helpers/tolerance.ts";

const EPS64 = 2 ** -53;

Deno.test("posteriorLogits(), logSumExp() and restrictedMean() are what the reference kernel computes", () => {
  const bytes = shapes(40, { size: 8 });
  const floats = { data: Float32Array.from(startNoise(1, 0, 50, 3)), dimension: 3 };
  for (const points of [bytes, floats]) {
    for (const sigma of [0.01, 0.5, 30]) {
      const query = startNoise(2, 0, 1, points.dimension);
      const { mean, facts } = referencePosterior(points, query, sigma);
      const logits = posteriorLogits(points, query, sigma);
      // A few roundings of sums over at most 192 coordinates and 50 rows.
      const slack = 256 * EPS64;
      assertClose([logSumExp(logits)], [facts.logNormaliser[0]], slack, "log normaliser");
      assertClose([logits[rowsByLogit(logits)[0]]], [facts.topLogit[0]], 0, "top logit");
      assert.equal(rowsByLogit(logits)[0], facts.topIndex[0]);
      assertClose(restrictedMean(points, logits), mean, slack, "mean");
    }
  }
});

Deno.test("restrictedMean() over some rows is the mean of a set of those rows", () => {
  const points = { data: Float32Array.from(startNoise(3, 0, 30, 2)), dimension: 2 };
  const stream = new RandomStream({ seed: 3 });
  const rows = Array.from({ length: 30 }, (_, i) => i).filter(() => stream.uniform() < 0.4);
  const part = {
    data: Float32Array.from(rows.flatMap((i) => [points.data[2 * i], points.data[2 * i + 1]])),
    dimension: 2,
  };
  const query = [0.3, -0.2];
  assertClose(
    restrictedMean(points, posteriorLogits(points, query, 0.4), rows),
    referencePosterior(part, query, 0.4).mean,
    64 * EPS64,
    "mean",
  );
});

Deno.test("logSumExp() neither overflows nor underflows", () => {
  assert.equal(logSumExp([-1e6, -1e6, -1e6, -1e6]), -1e6 + Math.log(4));
  assert.equal(logSumExp([1e300]), 1e300);
  assert.equal(logSumExp([-Infinity, 3]), 3);
  assert.equal(logSumExp([-Infinity]), -Infinity);
});

Deno.test("posteriorLogits() and restrictedMean() refuse what does not fit", () => {
  const points = { data: Float32Array.of(0, 0, 3, 4), dimension: 2 };
  assert.throws(() => posteriorLogits(points, [1], 1), TypeError);
  assert.throws(() => posteriorLogits(points, [1, NaN], 1), RangeError);
  assert.throws(() => posteriorLogits(points, [1, 2], 0), {
    name: "RangeError",
    message: "Cannot compute logits: sigma is 0, wanted a finite number > 0",
  });
  assert.throws(() => restrictedMean(points, [1, 2, 3]), TypeError);
  assert.throws(() => restrictedMean(points, [1, 2], []), RangeError);
  assert.throws(() => restrictedMean(points, [1, 2], [2]), RangeError);
});
