/** What `mod.ts` exports: every public file and nothing that is not documented as public. */
import * as everything from "@closedform/diffusion";
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** What is run on its own, by a task, or stands in for a package. */
const OWN_ENTRIES = [
  ...Deno.readTextFileSync(join(ROOT, "deno.json")).matchAll(/\bsrc\/[\w/]+\.ts\b/g),
].map(([path]) => path).concat("src/offline/std_path/mod.ts");

function sources(folder: string): string[] {
  return Array.from(Deno.readDirSync(join(ROOT, folder)), ({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? sources(path) : path.endsWith(".ts") ? [path] : [];
  }).flat().sort();
}

const FILES = sources("src");

/** The exports of a file whose documentation has an example that imports them from the package. */
function publicSymbols(source: string): string[] {
  const documented =
    /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*export (?:async )?(?:function\*?|class|const|interface|type) (\w+)/g;
  return [...source.matchAll(documented)].flatMap(([, comment, name]) =>
    [...comment.matchAll(/import (?:type )?\{([^}]*)\} from "@closedform\/diffusion"/g)].some((
        [, names],
      ) => names.replaceAll("*", " ").split(",").map((word) => word.trim()).includes(name)
      )
      ? [name]
      : []
  );
}

Deno.test("mod.ts exports whatever is documented with an import from the package", () => {
  const missing: string[] = [];
  let found = 0;
  for (const file of FILES) {
    for (const name of publicSymbols(Deno.readTextFileSync(join(ROOT, file)))) {
      found++;
      if (!(name in everything)) missing.push(`${name} of ${file}`);
    }
  }
  assert.deepEqual(missing, []);
  assert.ok(found > 150, `${found} documented exports`);
});

for (const entry of ["mod.ts", "src/browser.ts"]) {
  Deno.test(`${entry} only re-exports, and nothing from files that are private`, () => {
    const code = Deno.readTextFileSync(join(ROOT, entry)).replaceAll(/\/\*\*[^]*?\*\//g, "");
    const statements = code.split(";").map((line) => line.trim()).filter((line) => line !== "");
    for (const statement of statements) {
      const [, path] =
        /^export (?:type )?(?:\*|\{[^}]*\}) from "(\.\/[^"]+\.ts)"$/.exec(statement) ??
          assert.fail(statement);
      assert.ok(FILES.includes(join(entry, "..", path)), path);
      assert.doesNotMatch(path, /\/_/);
    }
  });
}

Deno.test("every source file is reached from an entry of the package", () => {
  const reached = new Set<string>();
  for (const entry of ["mod.ts", ...OWN_ENTRIES]) reach(join(ROOT, entry), reached);
  const apart = FILES.filter((file) =>
    !reached.has(join(ROOT, file)) && !OWN_ENTRIES.includes(file)
  );
  assert.deepEqual(apart, []);
});

/** Follows imports, static and dynamic, of types too. */
function reach(file: string, seen: Set<string>): void {
  if (seen.has(file)) return;
  seen.add(file);
  const source = Deno.readTextFileSync(file).replaceAll(/\/\*\*[^]*?\*\//g, "");
  for (const [, path] of source.matchAll(/(?:from |import\(|^import )"(\.[^"]+\.ts)"/gm)) {
    reach(join(file, "..", path), seen);
  }
}
