import { blankBitmap } from "../../src/plots/bitmap.ts";
import assert from "node:assert/strict";

Deno.test("blankBitmap refuses impossible sizes", () => {
  assert.throws(() => blankBitmap(0, 4), RangeError);
  assert.throws(() => blankBitmap(4, 1.5), RangeError);
  assert.throws(() => blankBitmap(1e6, 1e6), RangeError);
});
