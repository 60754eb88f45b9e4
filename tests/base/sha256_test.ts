import assert from "node:assert/strict";
import { sha256 } from "../../src/base/_sha256.ts";

Deno.test("sha256() of parts is the web's digest of the whole, wherever it is cut", async () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 89) % 251);
  const whole = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  for (const cut of [0, 1, 63, 64, 500, 1000]) {
    const parts = [bytes.subarray(0, cut), bytes.subarray(cut)];
    assert.deepEqual(await sha256(parts), whole);
    assert.deepEqual(await sha256(ReadableStream.from(parts)), whole);
  }
});
