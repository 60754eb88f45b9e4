import { ddpmGrid, shapes, startNoise, transportedSteps } from "@closedform/diffusion";
import assert from "node:assert/strict";

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
