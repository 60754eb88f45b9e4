import { DatasetError, DeviceError, openDevice } from "@closedform/diffusion";
import type { DeviceKind } from "@closedform/diffusion";
import assert from "node:assert/strict";

Deno.test("named errors carry their name, cause and parts", () => {
  const cause = new TypeError("inner");
  const error = new DatasetError("a.idx", "7", "8", { cause });
  assert.deepEqual([error.name, error.file, error.found, error.expected], [
    "DatasetError",
    "a.idx",
    "7",
    "8",
  ]);
  assert.equal(error.cause, cause);
  assert.ok(error instanceof Error);
  assert.equal(String(new DeviceError("gone")), "DeviceError: gone");
});

Deno.test("openDevice() refuses a kind that does not exist", async () => {
  await assert.rejects(openDevice("abacus" as DeviceKind), RangeError);
});
