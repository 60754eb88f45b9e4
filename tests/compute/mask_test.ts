import { maskColumn, maskOf } from "@closedform/diffusion/compute";
import fc from "fast-check";
import assert from "node:assert/strict";
import { columnSizes, maskColumns, ones } from "../../src/compute/mask.ts";

Deno.test("maskOf() keeps each element, and maskColumn() lists them", () => {
  for (const d of [1, 31, 32, 33, 64, 65, 130]) {
    const counts = (n: number, m: number) => (n * n + 3 * m) % 7 < 2 || n === d - 1;
    const mask = maskOf(d, counts);
    for (let m = 0; m < d; m++) {
      const expected = Array.from({ length: d }, (_, n) => n).filter((n) => counts(n, m));
      assert.deepEqual(maskColumn(mask, m), expected);
      assert.equal(columnSizes(mask)[m], expected.length);
    }
  }
});

Deno.test("maskColumns() takes columns in the given order", () => {
  const part = maskColumns(maskOf(70, (n, m) => n >= m), Uint32Array.of(69, 3));
  assert.deepEqual([...part.outputs], [69, 3]);
  assert.deepEqual([maskColumn(part, 0), maskColumn(part, 1).length], [[69], 67]);
});

Deno.test("ones() counts bits", () => {
  fc.assert(
    fc.property(fc.integer(), (word) => {
      assert.equal(ones(word), (word >>> 0).toString(2).replaceAll("0", "").length);
    }),
    { seed: 1 },
  );
});
