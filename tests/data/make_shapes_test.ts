import assert from "node:assert/strict";
import { encodeShapes } from "../../data/make_shapes.ts";

Deno.test("make_shapes.ts makes the shipped files again, byte for byte, within 4 MB", async () => {
  const folder = new URL("../../data/shapes/", import.meta.url);
  const made = encodeShapes();
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  assert.deepEqual(Object.keys(made).sort(), names);
  let total = 0;
  for (const [name, bytes] of Object.entries(made)) {
    const shipped = await Deno.readFile(new URL(name, folder));
    assert.ok(shipped.length === bytes.length && shipped.every((b, i) => b === bytes[i]), name);
    total += shipped.length;
  }
  assert.ok(total < 4e6, `${total} bytes`);
});
