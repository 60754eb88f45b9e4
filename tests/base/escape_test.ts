/** Names are data, wherever they are written out. */
import {
  chartSvg,
  cite,
  Dataset,
  DatasetError,
  functionDenoiser,
  sample,
  scatterSpec,
  WriteError,
} from "@closedform/diffusion";
import { arraySpace } from "@closedform/diffusion/compute";
import { CHART_SCHEMA } from "../../src/plots/chart.ts";
import { show } from "@closedform/diffusion";
import type { MediaBundle, Showable } from "@closedform/diffusion";
import fc from "fast-check";
import assert from "node:assert/strict";
import { escapeHtml, escapeMarkdown, visible, visibleLines } from "../../src/base/_escape.ts";
import { chromiumMissing, withPage } from "../_helpers/chromium.ts";
import type { Page } from "../_helpers/chromium.ts";
import { withFolder } from "../_helpers/files.ts";
import { pythonOfJupyter } from "../_helpers/kernel.ts";

const HACK = "globalThis.hacked = (globalThis.hacked ?? 0) + 1";
const NAMES = [
  `<script>${HACK}</script>`,
  `<img src=x onerror="${HACK}">`,
  `<svg onload='${HACK}'><script>${HACK}</script></svg>`,
  `</title></td></text><script>${HACK}</script>`,
  `[click](javascript:${encodeURIComponent(HACK)})`,
  '![picture](x" onerror="' + HACK + ")",
  "$\\href{javascript:alert(1)}{x}$ \\(x\\)",
  `"><iframe srcdoc="<script>parent.hacked = 1</script>">`,
  "# heading\n\n- list\n\n    code",
  "`code` **bold** _it_ ~~s~~ | a | b |",
  "\u001b[2J\u001b]0;title\u0007\u009b31mred",
  "right \u202e tfel \u2066x",
];
// deno-lint-ignore no-control-regex
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

async function bundlesOf(thing: Showable): Promise<MediaBundle[]> {
  const shown: MediaBundle[] = [];
  await show(thing, { display: (bundle) => Promise.resolve(void shown.push(bundle)) });
  return shown;
}

/** Everything of the package that carries a name into a notebook. */
async function outputsWith(name: string): Promise<MediaBundle[]> {
  const set = new Dataset({
    data: Float32Array.of(0, 1, 2, 3),
    shape: [2],
    labels: Uint32Array.of(0, 1),
    classNames: [name, "b"],
    name,
  });
  const named = {
    label: name,
    references: [name, `${name} (2020), Title, arXiv:1234.5678${name}`],
  };
  const denoiser = { ...functionDenoiser((x) => x, { shape: [2], space: arraySpace }), ...named };
  const run = await sample(denoiser, { count: 2, output: "tensor" });
  const things: Showable[] = [
    set,
    set.classSubset(0),
    run,
    cite(denoiser),
    [{ [name]: name, value: 1 }],
    { [name]: { [name]: name } } as unknown as Showable,
    scatterSpec([{ label: name, points: set.data }], { title: name }),
  ];
  return (await Promise.all(things.map(bundlesOf))).flat();
}

Deno.test("escapes leave ordinary words as they are", () => {
  for (const text of ["cat", "Größe 3", "猫", "a b  c", "😀 5"]) {
    for (const escape of [escapeHtml, escapeMarkdown, visible]) assert.equal(escape(text), text);
  }
  assert.equal(visibleLines("a\nb\u001b"), "a\nb\\u001b");
  assert.equal(escapeMarkdown("a_b: 2-3, (x)."), "a&#95;b: 2-3, (x).");
  for (const [text, out] of [["1. a", "1&#46; a"], ["- a", "&#45; a"], ["    a", "&#32;   a"]]) {
    assert.equal(escapeMarkdown(text), out);
  }
});

Deno.test("escapes leave no control character, mark of direction or lone surrogate", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const escape of [escapeHtml, escapeMarkdown, visible]) {
        const out = escape(text);
        assert.ok(!UNSEEN.test(out) && out.isWellFormed());
      }
      assert.ok(!/[<>"'`]|&(?!#\d+;)/.test(escapeHtml(text)));
      assert.ok(
        !/[!-"$%'*<-@[-`{-~]|^[ +-]|^\d+[.)]/.test(escapeMarkdown(text).replaceAll(/&#\d+;/g, "")),
      );
    }),
    { numRuns: 2000, seed: 1 },
  );
  assert.equal(visible("\ud800x"), "\\ud800x");
});

Deno.test("names reach a notebook as text in every format", async () => {
  for (const name of NAMES) {
    for (const bundle of await outputsWith(name)) {
      for (const [type, value] of Object.entries(bundle)) {
        if (typeof value !== "string" || type === "image/png") continue;
        const lines = type === "text/plain" ? value.replaceAll("\n", "") : value;
        if (type !== "image/svg+xml") {
          assert.ok(!UNSEEN.test(lines.replaceAll("\n", "")), `${type}: ${value}`);
        }
        assert.ok(!(type === "text/markdown" && /[<>`]/.test(value)), value);
      }
      const drawing = bundle["image/svg+xml"] as string | undefined;
      assert.ok(drawing === undefined || "application/vnd.vegalite.v5+json" in bundle, name);
    }
  }
});

Deno.test("names reach a terminal without what would steer it", () => {
  const evil = "\u001b[2Jx\u009b31m\r\n";
  for (const error of [new DatasetError(evil, evil, evil), new WriteError(evil, new Error(evil))]) {
    assert.ok(!UNSEEN.test(error.message), error.message);
    assert.match(error.message, /\\u001b\[2Jx\\u009b31m\\u000d\\u000a/);
  }
});

Deno.test("chartSvg() refuses addresses that are programs, and lives on", async () => {
  const address = "javascript:alert(1)";
  const channel = { field: "u" };
  for (
    const [mark, encoding] of [["image", { url: channel }], ["point", { href: channel }]] as const
  ) {
    const spec = {
      $schema: CHART_SCHEMA,
      data: { values: [{ u: address }] },
      mark: { type: mark, width: 9, height: 9 },
      encoding: { x: { value: 1 }, ...encoding },
    };
    await assert.rejects(chartSvg(spec), {
      name: "RangeError",
      message: /links to "javascript:alert/,
    });
    const plain = JSON.parse(JSON.stringify(spec).replace(address, "https://example.org/a.png"));
    assert.match(await chartSvg(plain), /https:\/\/example\.org/);
  }
});

const python = await pythonOfJupyter();
const missing = python === undefined ? "there is no Jupyter" : await chromiumMissing();
if (missing && Deno.env.get("REQUIRE_BROWSER")) {
  throw new TypeError(`tests require a browser: ${missing}`);
}

Deno.test({
  name: `an exported notebook runs none of the names in a browser${
    missing ? `, skipped: ${missing}` : ""
  }`,
  ignore: missing !== undefined,
  fn: () =>
    withFolder(async (folder) => {
      const outputs = (await Promise.all(NAMES.map(outputsWith))).flat();
      const control = {
        "text/markdown": `<img src=x onerror="globalThis.control = 1">`,
        "text/plain": "",
      };
      await Deno.writeTextFile(`${folder}/names.ipynb`, notebookOf([control, ...outputs]));
      const { success, stderr } = await new Deno.Command(python!, {
        args: ["-m", "nbconvert", "--to", "html", `${folder}/names.ipynb`],
        env: { HOME: folder },
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      await withPage(`file://${folder}/names.html`, [], async (page) => {
        await settled(page);
        assert.equal(await page.evaluate("globalThis.hacked ?? 0"), 0);
        assert.equal(
          await page.evaluate(
            "[...document.links].filter((a) => /^\\s*javascript:/i.test(a.href)).length",
          ),
          0,
        );
      });
    }),
});

/** Waits until the control has run, and what could run beside it has had its time. */
async function settled(page: Page): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    // While the page is loaded, what it is asked in is replaced once.
    const ran = await page.evaluate("globalThis.control").catch(() => undefined);
    if (ran) return await new Promise((resolve) => setTimeout(resolve, 1000));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("the control did not run within a minute");
}

function notebookOf(outputs: readonly MediaBundle[]): string {
  const cell = {
    cell_type: "code",
    execution_count: 1,
    metadata: {},
    source: "",
    outputs: outputs.map((data) => ({ output_type: "display_data", metadata: {}, data })),
  };
  const metadata = { kernelspec: { name: "deno", display_name: "Deno", language: "typescript" } };
  return JSON.stringify({ cells: [cell], metadata, nbformat: 4, nbformat_minor: 4 });
}
