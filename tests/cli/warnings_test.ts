/** What stands for large data where options are compared with their size. */
import { Dataset, extentOf } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { someOf } from "../../src/cli/warnings.ts";

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
