import * as toolkit from "../_helpers/all_entries.ts";
import { cite, collocation, moons, SAMPLER_NAMES, show, smoothed } from "@closedform/diffusion";
import { samplerByName } from "../../src/samplers/registry.ts";
import type { MediaBundle } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { optimalFloat64 } from "../_helpers/float64.ts";

const of = (...references: string[]) => ({ references });

Deno.test("cite() names each paper once, in the order of the methods", async () => {
  const denoiser = await smoothed(optimalFloat64(moons(10)), { bandwidth: 0.1 });
  const { references } = cite(denoiser, collocation(), denoiser);
  assert.deepEqual(references, [...denoiser.references, ...collocation().references]);
  const [first] = references;
  // The number of a paper is what counts, not how the entry is written.
  const arxiv = /arXiv:\S+/.exec(first)![0];
  assert.deepEqual(cite(denoiser, of(`Someone (2022), ${arxiv}, section 3`)).references, [
    ...denoiser.references,
  ]);
  assert.equal(cite().references.length, 0);
  assert.equal(cite().text + cite().bibtex + cite().markdown, "");
});

Deno.test("cite() links numbers of arXiv and of DOI in Markdown", () => {
  const { markdown, text } = cite(
    of(
      "A. Author (2020), On things, arXiv:2001.00001",
      "B. Writer (1999), A, b and c, doi:10.1/x-y",
    ),
  );
  assert.equal(
    markdown,
    "1. A. Author (2020), On things, [arXiv:2001.00001](https://arxiv.org/abs/2001.00001)\n" +
      "2. B. Writer (1999), A, b and c, [doi:10.1/x-y](https://doi.org/10.1/x-y)",
  );
  assert.equal(
    text,
    "1. A. Author (2020), On things, arXiv:2001.00001\n" +
      "2. B. Writer (1999), A, b and c, doi:10.1/x-y",
  );
});

Deno.test("cite() writes BibTeX: keys, authors, escapes, places, letters for a second paper", () => {
  const { bibtex } = cite(of(
    "S. Nørsett, Á. Böck (1993), Solving 100 % of ODEs, with care, arXiv:1.1",
    "S. Nørsett (1993), Solving more, Journal of Things_and_such 6, 1-2",
    "a note without a year",
  ));
  assert.equal(
    bibtex,
    `@misc{nrsett1993solving,
  author = {S. Nørsett and Á. Böck},
  title = {{Solving 100 \\% of ODEs, with care}},
  year = {1993},
  eprint = {1.1},
  archivePrefix = {arXiv}
}

@misc{nrsett1993solvingb,
  author = {S. Nørsett},
  title = {{Solving more}},
  year = {1993},
  howpublished = {Journal of Things\\_and\\_such 6, 1-2}
}

@misc{paper,
  note = {a note without a year}
}`,
  );
});

Deno.test("cite() reads author, year and title of every paper that a sampler or denoiser names", () => {
  const samplers = SAMPLER_NAMES.filter((name) => name !== "dpm-v3").map((name) =>
    samplerByName(name)
  );
  const { references, bibtex } = cite(optimalFloat64(moons(10)), ...samplers);
  const entries = bibtex.split("\n\n");
  assert.equal(entries.length, references.length);
  for (const [i, entry] of entries.entries()) {
    assert.match(entry, /author = \{[^}]+\}/);
    assert.match(entry, /title = \{\{[^}]+\}\}/);
    const [, year] = /year = \{(\d{4})\}/.exec(entry)!;
    assert.ok(references[i].includes(`(${year})`));
    const [, title] = /title = \{\{([^}]+)\}\}/.exec(entry)!;
    assert.ok(references[i].includes(`), ${title}`), entry);
  }
  const keys = entries.map((entry) => /\{([^,]+),/.exec(entry)![1]);
  assert.equal(new Set(keys).size, keys.length);
});

Deno.test("cite() shows itself, in a cell's last line and through show()", async () => {
  const citations = cite(of("A. Author (2020), On things, arXiv:2001.00001"));
  const symbol = Symbol.for("Jupyter.display") as never;
  const bundle = (citations[symbol] as () => MediaBundle)();
  assert.deepEqual(bundle, { "text/markdown": citations.markdown, "text/plain": citations.text });
  const sent: MediaBundle[] = [];
  await show(citations, { display: (shown) => Promise.resolve(void sent.push(shown)) });
  assert.deepEqual(sent, [bundle]);
  // As data it is only what it says.
  assert.deepEqual(Object.keys(citations), ["references", "text", "markdown", "bibtex"]);
});

Deno.test("cite() takes metrics, with the papers that their documentation names", () => {
  const folder = new URL("../../src/metrics/", import.meta.url);
  const cited: string[] = [];
  for (const { name } of Deno.readDirSync(folder)) {
    const source = Deno.readTextFileSync(new URL(name, folder));
    // Each documentation that names a paper, with the function that follows it.
    const documented =
      /\/\*\*((?:(?!\*\/)[^])*Reference:(?:(?!\*\/)[^])*)\*\/\s*export (?:async )?function (\w+)/g;
    for (const [, doc, metric] of source.matchAll(documented)) {
      const { references } = cite(toolkit[metric as keyof typeof toolkit] as never);
      const [reference] = references;
      const text = doc.slice(doc.indexOf("Reference:")).replaceAll(/\s*\n \* ?/g, " ");
      const year = /\((\d{4})\)/.exec(reference)?.[1];
      const key = /arXiv:\d{4}\.\d+/.exec(text)?.[0] ?? `(${year})`;
      assert.ok(reference.includes(key), `${metric}: ${reference}`);
      assert.ok(text.includes(reference.split(",")[0]), `${metric}: ${reference}`);
      cited.push(metric);
    }
  }
  assert.ok(cited.length >= 16 && cited.includes("mmd"), cited.join());
  assert.throws(() => cite(toolkit.mse), TypeError);
  assert.match(cite(toolkit.compareScores).text, /2412\.09726/);
  assert.equal(cite(toolkit.compareAgreement).references.length, 2);
});

Deno.test("cite() refuses what names no papers", () => {
  for (const thing of [undefined, null, {}, "paper", { references: "one" }, { references: [1] }]) {
    assert.throws(() => cite(thing as never), TypeError);
  }
});
