/** The committed notebooks: executed in order, with all their outputs, and well typed. */
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { withFolder, write } from "./_helpers/files.ts";

interface Output {
  readonly output_type: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

interface Cell {
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly execution_count?: number | null;
  readonly outputs?: readonly Output[];
}

const PROJECT = fromFileUrl(new URL("..", import.meta.url));
const FOLDER = join(PROJECT, "notebooks");
const VEGA_LITE = "application/vnd.vegalite.v5+json";

function codeCells(name: string): (Cell & { readonly code: string })[] {
  const { cells } = JSON.parse(Deno.readTextFileSync(join(FOLDER, name)));
  return (cells as Cell[]).filter(({ cell_type }) => cell_type === "code")
    .map((cell) => ({ ...cell, code: [cell.source].flat().join("") }));
}

/** Declarations of all cells share one scope, so the cells are one module. */
function moduleOf(name: string): string {
  return codeCells(name).map(({ code }) => code).join("\n");
}

const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
  .filter((name) => name.endsWith(".ipynb")).sort();

Deno.test("notebooks are numbered from 01 without a gap", () => {
  assert.ok(names.length > 0);
  names.forEach((name, i) => {
    assert.match(name, new RegExp(`^${String(i + 1).padStart(2, "0")}-[a-z0-9-]+\\.ipynb$`));
  });
});

for (const name of names) {
  Deno.test(`${name} was executed from the top, without an error`, () => {
    codeCells(name).forEach(({ execution_count, outputs }, i) => {
      assert.equal(execution_count, i + 1, `cell ${i + 1} of ${name}`);
      for (const { output_type } of outputs!) {
        assert.notEqual(output_type, "error", `cell ${i + 1} of ${name}`);
      }
    });
  });

  Deno.test(`${name} kept an output of every show()`, () => {
    codeCells(name).forEach(({ code, outputs }, i) => {
      const shows = [...code.matchAll(/\bshow\(/g)].length;
      assert.ok(
        outputs!.length >= shows,
        `cell ${i + 1} of ${name} shows ${shows} things and has ${outputs!.length} outputs`,
      );
    });
  });

  Deno.test(`${name} shows its charts and pictures anywhere`, () => {
    const bundles = codeCells(name).flatMap(({ outputs }) => outputs!)
      .flatMap(({ data }) => data ? [data] : []);
    for (const bundle of bundles) {
      assert.ok("text/plain" in bundle, Object.keys(bundle).join());
      if (VEGA_LITE in bundle) assert.ok("image/svg+xml" in bundle);
    }
  });

  Deno.test(`${name} imports by package name`, () => {
    const code = moduleOf(name);
    for (const [, from] of code.matchAll(/from "([^"]+)"/g)) {
      assert.match(from, /^@closedform\/diffusion(\/theory|\/training|\/compute)?$/);
    }
    assert.doesNotMatch(code, /^(?:let|var) /m);
  });
}

Deno.test("the notebooks are well typed", () =>
  withFolder(async (folder) => {
    // All at once: what they import is then checked once.
    const files = await Promise.all(
      names.map((name) => write(folder, name.replace(".ipynb", ".ts"), moduleOf(name))),
    );
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--config", join(PROJECT, "deno.json"), ...files],
      env: { NO_COLOR: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }));
