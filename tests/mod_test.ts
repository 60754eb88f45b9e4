/** What the entries export: every public file and nothing that is not documented as public. */
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { ENTRIES } from "./_helpers/documentation.ts";

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

/** The name by which programs import an entry. */
const specifierOf = (entry: string) =>
  entry === "." ? "@closedform/diffusion" : `@closedform/diffusion/${entry.slice(2)}`;

const { exports } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json"))) as {
  exports: Record<string, string>;
};
const MODULES = new Map(
  await Promise.all(
    Object.keys(exports).map(async (entry) =>
      [specifierOf(entry), await import(specifierOf(entry))] as const
    ),
  ),
);

/** The exports of a file whose documentation has an example that imports them from an entry, and that entry. */
function publicSymbols(source: string): [name: string, specifier: string][] {
  const documented =
    /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*export (?:async )?(?:function\*?|class|const|interface|type) (\w+)/g;
  const imports = /import (?:type )?\{([^}]*)\} from "(@closedform\/diffusion(?:\/\w+)?)"/g;
  return [...source.matchAll(documented)].flatMap(([, comment, name]) => {
    const found = [...comment.matchAll(imports)].find(([, names]) =>
      names.replaceAll("*", " ").split(",").map((word) => word.trim()).includes(name)
    );
    return found ? [[name, found[2]] as [string, string]] : [];
  });
}

Deno.test("the entries export whatever is documented with an import from them", () => {
  const missing: string[] = [];
  let found = 0;
  for (const file of FILES) {
    for (const [name, specifier] of publicSymbols(Deno.readTextFileSync(join(ROOT, file)))) {
      found++;
      if (!(name in (MODULES.get(specifier) ?? {}))) {
        missing.push(`${name} of ${file} in ${specifier}`);
      }
    }
  }
  assert.deepEqual(missing, []);
  assert.ok(found > 150, `${found} documented exports`);
});

Deno.test("no two entries export the same, but the one for pages, which has a part of the main one", () => {
  const places = new Map<string, string[]>();
  for (const [specifier, module] of MODULES) {
    if (specifier.endsWith("/browser")) continue;
    for (const name of Object.keys(module)) {
      places.set(name, [...places.get(name) ?? [], specifier]);
    }
  }
  assert.deepEqual([...places].filter(([, specifiers]) => specifiers.length > 1), []);
  const main = MODULES.get(specifierOf("."))!;
  const pages = Object.keys(MODULES.get(specifierOf("./browser"))!);
  assert.deepEqual(pages.filter((name) => !(name in main)), []);
});

Deno.test("the tasks that look at the documentation look at every entry", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json")));
  for (const { command } of [tasks["check:static"], tasks.doc]) {
    const [given] = /\bmod\.ts(?: src\/[\w/]+\.ts)+/.exec(command) ?? assert.fail(command);
    assert.deepEqual(given.split(" ").sort(), [...ENTRIES].sort());
  }
});

// The command is a program.
for (const entry of ENTRIES.filter((entry) => entry !== "src/cli.ts")) {
  Deno.test(`${entry} only re-exports, and nothing from files that are private`, () => {
    const code = Deno.readTextFileSync(join(ROOT, entry)).replaceAll(/\/\*\*[^]*?\*\//g, "");
    const statements = code.split(";").map((line) => line.trim()).filter((line) => line !== "");
    for (const statement of statements) {
      const [, path] =
        /^export (?:type )?(?:\*|\{[^}]*\}) from "(\.\.?\/[^"]+\.ts)"$/.exec(statement) ??
          assert.fail(statement);
      assert.ok(FILES.includes(join(entry, "..", path)), path);
      assert.doesNotMatch(path, /\/_/);
    }
  });
}

Deno.test("every source file is reached from an entry of the package", () => {
  const reached = new Set<string>();
  for (const entry of [...ENTRIES, ...OWN_ENTRIES]) reach(join(ROOT, entry), reached);
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
