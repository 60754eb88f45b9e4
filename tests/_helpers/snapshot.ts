/** Values kept in files under `tests/`, to see when they change. */
import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";

/**
 * Compares a JSON value with the one kept in `file`, a URL. With `UPDATE_SNAPSHOTS=1` the value is
 * written instead: look at the difference before it is committed.
 */
export function assertSnapshot(value: unknown, file: URL): void {
  const text = JSON.stringify(value, null, 2) + "\n";
  const path = fromFileUrl(file);
  if (Deno.env.get("UPDATE_SNAPSHOTS")) Deno.writeTextFileSync(path, text);
  assert.deepEqual(JSON.parse(text), JSON.parse(Deno.readTextFileSync(path)));
}
