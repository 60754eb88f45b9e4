/** What stands for large data where options are compared with their size. */
import { Dataset } from "@closedform/diffusion";
import { extentOf } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { someOf, warningsAfter } from "../../src/cli/warnings.ts";

Deno.test("someOf() takes items from all over a large set, and all of a small one", () => {
  const line = (count: number) =>
    new Dataset({
      data: Float32Array.from({ length: count }, (_, i) => i / count),
      shape: [1],
      name: "line",
    });
  const small = line(4096);
  assert.equal(someOf(small), small);
  for (const count of [4097, 10_000, 1_000_001]) {
    const some = someOf(line(count));
    assert.equal(some.count, 4096);
    // Items in order, as those of sorted data: 1/4096 apart or two items, where that is more.
    const step = Math.max(1 / 4096, 2 / count);
    assert.ok(Math.abs(some.mean()[0] - 0.5) < step, `${count}`);
    assert.ok(Math.abs(extentOf(some).spread - 1 / 12) < step, `${count}`);
  }
});

Deno.test("warningsAfter() compares the spread of several samples with that of the data, not that of one", () => {
  const data = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two" });
  // The mean squared distance to the mean: 1, so √½ per number.
  const after = (samples: number[]) => warningsAfter(samples, data, 1, undefined);
  assert.deepEqual(after([5, 3]), []);
  assert.deepEqual(after([-1, 0, 1, 0]), []);
  assert.deepEqual(after([-15, 0, 15, 0]), []);
  assert.match(
    after([-40, 0, 40, 0]).join(),
    /^the samples vary by 28.3 per number, the data by 0.707$/,
  );
  assert.match(after([5, 3, 5, 3]).join(), /^the samples vary by 0 per number, the data by 0.707$/);
  const convergence = {
    ...{ evaluations: Int32Array.of(1, 1), windows: Int32Array.of(1, 1) },
    ...{ rejected: Int32Array.of(0, 0), sweeps: Int32Array.of(1, 1) },
    ...{ estimatedError: Float64Array.of(0, 1), converged: [true, false] },
  };
  const missed = warningsAfter([-1, 0, 1, 0], data, 1, convergence);
  assert.match(missed.join(), /^1 of 2 samples missed the tolerance/);
});
