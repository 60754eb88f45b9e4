import { ddpmGrid, readCifar10, readIdx, shapes, startNoise } from "@closedform/diffusion";
import { transportedSteps } from "@closedform/diffusion/theory";
import type { Dataset } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";

Deno.test("transportedSteps() never understates the unseen mass, and one scan certifies the steps below", () => {
  const points = shapes(400, { size: 8 });
  const { sigmas, startScale } = ddpmGrid(10);
  let violations = 0, certified = 0, needed = 0;
  for (let q = 0; q < 6; q++) {
    const start = startNoise(30, q, 1, points.dimension).map((e) => startScale * e);
    const steps = transportedSteps(points, start, sigmas, 40);
    assert.equal(steps.length, 45);
    for (const { from, to, logMass, logBound, share, shareBound } of steps) {
      // Logits are rounded relative to their own size.
      if (logMass > logBound + 1e-12 * Math.abs(logMass)) violations++;
      if (share > shareBound * (1 + 1e-9)) violations++;
      if (to !== from + 1) continue;
      if (share < 1e-6) needed++;
      if (shareBound < 1e-6) certified++;
    }
  }
  assert.equal(violations, 0);
  // Where the subset holds all but a millionth, the step before can tell so more often than not.
  assert.ok(needed > 10 && 2 * certified > needed, `${certified} of ${needed}`);
});

Deno.test("transportedSteps() refuses to keep nothing or everything", () => {
  const points = shapes(6, { size: 8 });
  for (const kept of [0, 6, 1.5]) {
    assert.throws(
      () => transportedSteps(points, startNoise(1, 0, 1, 192), [1, 0.5], kept),
      RangeError,
    );
  }
});

const REAL: readonly [string, string, () => Promise<Dataset>][] = [
  ["CIFAR-10", "cifar-10-batches-bin", () => readCifar10(dataPath("cifar-10-batches-bin"))],
  ["MNIST", "mnist", () => readIdx(dataPath("mnist/train-images-idx3-ubyte.gz"))],
];

for (const [name, file, read] of REAL) {
  const present = hasData(file);
  Deno.test({
    name: `transportedSteps() holds on ${name}, and one scan certifies all low-noise steps` +
      (present ? "" : `, skipped: no ${name}`),
    ignore: !present,
    fn: async () => {
      const data = (await read()).take(4000);
      const { sigmas, startScale } = ddpmGrid(10);
      for (let q = 0; q < 2; q++) {
        const start = startNoise(31, q, 1, data.dimension).map((e) => startScale * e);
        const steps = transportedSteps(data, start, sigmas, 200);
        for (const { logMass, logBound, share, shareBound } of steps) {
          // Logits are rounded relative to their own size.
          assert.ok(logMass <= logBound + 1e-12 * Math.abs(logMass), `${logMass} ${logBound}`);
          assert.ok(share <= shareBound * (1 + 1e-9));
        }
        // From the step at σ = 2.04 on: at 1.24, 0.72, 0.34 and 0.01 nothing but 200 items is read.
        const fromOne = steps.filter(({ from }) => from === 5);
        assert.equal(fromOne.length, 4);
        for (const { shareBound, sigma } of fromOne) {
          assert.ok(shareBound < 1e-3, `${shareBound} at ${sigma}`);
        }
      }
    },
  });
}
