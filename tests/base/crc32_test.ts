import fc from "fast-check";
import assert from "node:assert/strict";
import { crc32 as expected } from "node:zlib";
import { crc32 } from "../../src/base/_crc32.ts";

Deno.test("crc32() is that of node:zlib, in one piece or two", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xCBF43926);
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      assert.equal(crc32(a), expected(a));
      assert.equal(crc32(b, crc32(a)), expected(Uint8Array.of(...a, ...b)));
    }),
    { seed: 1, numRuns: 200 },
  );
});
