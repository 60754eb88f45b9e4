import { encodePng } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { Jimp } from "jimp";

Deno.test("encodePng keeps every byte", async () => {
  const data = Uint8Array.from({ length: 5 * 3 * 4 }, (_, i) => (i * 37) % 256);
  const png = await encodePng({ width: 5, height: 3, data });
  const decoded = await Jimp.fromBuffer(png.buffer as ArrayBuffer);
  assert.deepEqual([decoded.width, decoded.height], [5, 3]);
  assert.deepEqual(new Uint8Array(decoded.bitmap.data), data);
});

Deno.test("encodePng takes a view into a larger buffer", async () => {
  const whole = Uint8Array.from({ length: 64 }, (_, i) => i);
  const png = await encodePng({
    width: 2,
    height: 2,
    data: whole.subarray(8, 24),
  });
  const decoded = await Jimp.fromBuffer(png.buffer as ArrayBuffer);
  assert.deepEqual(
    new Uint8Array(decoded.bitmap.data),
    whole.slice(8, 24),
  );
});

Deno.test("encodePng refuses impossible sizes", async () => {
  await assert.rejects(
    encodePng({ width: 2, height: 2, data: new Uint8Array(15) }),
    { name: "TypeError", message: /2×2 pixels hold 15 bytes, wanted 16/ },
  );
});
