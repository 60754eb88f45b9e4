/** How the sources depend on each other. */
import { fromFileUrl, join, relative } from "@std/path";
import assert from "node:assert/strict";

const ROOT = fromFileUrl(new URL("../src", import.meta.url));

function* filesOf(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* filesOf(path);
    else if (name.endsWith(".ts")) yield path;
  }
}

/** The files that each file imports, also for their types and on first use. */
const IMPORTS = new Map<string, string[]>();
for (const file of filesOf(ROOT)) {
  const text = Deno.readTextFileSync(file).replaceAll(/\/\*\*[^]*?\*\//g, "");
  const found = text.matchAll(
    /^(?:import|export)\b(?:[^;"]*?\bfrom)?\s*"(\.[^"]+)"|import\(\s*"(\.[^"]+)"\s*\)/gm,
  );
  const targets = [...found].map(([, named, late]) => join(file, "..", named ?? late));
  IMPORTS.set(relative(ROOT, file), targets.map((target) => relative(ROOT, target)));
}

/** A way from a file back to itself, if there is one. */
function circleFrom(start: string): string[] | undefined {
  const seen = new Set<string>(), path: string[] = [];
  const visit = (file: string): boolean => {
    path.push(file);
    for (const next of IMPORTS.get(file) ?? []) {
      if (next === start) return true;
      if (!seen.has(next)) {
        seen.add(next);
        if (visit(next)) return true;
      }
    }
    path.pop();
    return false;
  };
  return visit(start) ? path : undefined;
}

Deno.test("no file imports itself by way of others", () => {
  assert.ok(IMPORTS.size > 300, `${IMPORTS.size} files`);
  const circles = [...IMPORTS.keys()].map(circleFrom).filter((circle) => circle !== undefined);
  assert.deepEqual(circles.map((circle) => circle.join(" → ")), []);
});

Deno.test("nothing outside of compute asks which device it is", () => {
  const asking = [...filesOf(ROOT)].filter((file) => !relative(ROOT, file).startsWith("compute"))
    .filter((file) => /\bdevice\.kind\s*[!=]==/.test(Deno.readTextFileSync(file)));
  assert.deepEqual(asking.map((file) => relative(ROOT, file)), []);
});
