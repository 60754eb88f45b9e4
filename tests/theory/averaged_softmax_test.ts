import { RandomStream, startNoise } from "@closedform/diffusion";
import {
  averagedSoftmax,
  averagedSoftmaxErrors,
  logSumExp,
  restrictedMean,
} from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { assertClose } from "../_helpers/tolerance.ts";

const EPS64 = 2 ** -53;
const COUNT = 103, DIMENSION = 4;
const points = {
  data: Float32Array.from(startNoise(80, 0, COUNT, DIMENSION)),
  dimension: DIMENSION,
};
const stream = new RandomStream({ seed: 80 });
const logits = Float64Array.from({ length: COUNT }, () => 3 * stream.normal());
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

Deno.test("averagedSoftmax() in one batch is the exact softmax", () => {
  for (const batch of [COUNT, COUNT + 50]) {
    const { mean, bias } = averagedSoftmax(points, logits, batch);
    assert.deepEqual(mean, restrictedMean(points, logits));
    assertClose(bias, new Float64Array(DIMENSION), 64 * EPS64, "bias");
  }
});

Deno.test("averagedSoftmax() is the mean of the posterior means, a short last batch among them", () => {
  for (const batch of [1, 10, 50]) {
    const wanted = new Float64Array(DIMENSION);
    const batches = Math.ceil(COUNT / batch);
    for (let j = 0; j < batches; j++) {
      restrictedMean(points, logits, range(j * batch, Math.min(COUNT, (j + 1) * batch)))
        .forEach((v, c) => wanted[c] += v / batches);
    }
    const { mean, bias } = averagedSoftmax(points, logits, batch);
    assertClose(mean, wanted, 0, "mean");
    const exact = restrictedMean(points, logits);
    assertClose(bias, mean.map((v, c) => v - exact[c]), 256 * EPS64, "bias");
  }
});

Deno.test("averagedSoftmax() depends on the order of the data, the exact softmax does not", () => {
  const order = range(0, COUNT).sort((i, j) => logits[i] - logits[j]);
  const shuffled = {
    data: Float32Array.from(order.flatMap((i) => [...points.data.subarray(i * 4, i * 4 + 4)])),
    dimension: DIMENSION,
  };
  const moved = order.map((i) => logits[i]);
  const off = (a: Float64Array, b: Float64Array) =>
    Math.max(...a.map((v, c) => Math.abs(v - b[c])));
  const averaged = [averagedSoftmax(points, logits, 10), averagedSoftmax(shuffled, moved, 10)];
  assert.ok(off(averaged[0].mean, averaged[1].mean) > 0.01);
  assert.ok(
    off(restrictedMean(points, logits), restrictedMean(shuffled, moved)) < 256 * EPS64,
  );
  assert.ok(Math.abs(logSumExp(logits) - logSumExp(moved)) < 256 * EPS64);
});

Deno.test("averagedSoftmax() has no bias where all batches have the same evidence", () => {
  // Two copies of the same rows.
  const twice = {
    data: Float32Array.of(...points.data, ...points.data),
    dimension: DIMENSION,
  };
  const { bias } = averagedSoftmax(twice, [...logits, ...logits], COUNT);
  assertClose(bias, new Float64Array(DIMENSION), 256 * EPS64, "bias");
});

Deno.test("averagedSoftmaxErrors() grow to tens of percent as batches shrink", () => {
  const errors = averagedSoftmaxErrors().map(({ error }) => error);
  assert.ok(errors[0] < 1e-13);
  errors.slice(1).forEach((error, i) => assert.ok(error > errors[i], errors.join()));
  assert.ok(errors[1] > 0.01 && errors[3] > 0.1 && errors[4] > 0.25, errors.join());
});

Deno.test("averagedSoftmax() refuses what is no batch", () => {
  assert.throws(() => averagedSoftmax(points, [0], 1), TypeError);
  for (const batch of [0, 1.5, NaN]) {
    assert.throws(() => averagedSoftmax(points, logits, batch), RangeError);
  }
});
