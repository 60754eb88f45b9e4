/** Where the real data sets lie, and whether they are there. */
import { fromFileUrl, join } from "@std/path";

/** The folder of real data beside the project. */
export const DATA = fromFileUrl(
  new URL("../../../shared/data", import.meta.url),
);

/** The path of a real data set. */
export function dataPath(name: string): string {
  return join(DATA, name);
}

/** Whether a real data set is there. Where `REQUIRE_DATA` is set, its absence is an error. */
export function hasData(name: string): boolean {
  try {
    Deno.statSync(dataPath(name));
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (Deno.env.get("REQUIRE_DATA")) {
      throw new TypeError(`the tests require ${dataPath(name)}`);
    }
    return false;
  }
}
