/**
 * The papers behind the methods of a run.
 *
 * @module
 */
import { escapeMarkdown, visible } from "../base/_escape.ts";
import { referencesOfMetric } from "../metrics/_references.ts";

/** A metric, by its function. */
export type CitedMetric = (...args: never[]) => unknown;

/** Anything that says where it comes from: denoisers, samplers, codecs, records of runs. */
export interface Citable {
  /** Papers, one per entry: `A. Author, B. Author (year), Title, arXiv:…` or where else it appeared. */
  readonly references: readonly string[];
}

/** A list of papers, in the forms that are needed. */
export interface Citations extends Citable {
  /** Papers without repetitions, in the order in which they were met. */
  readonly references: readonly string[];
  /** A numbered list, one paper per line. */
  readonly text: string;
  /** A numbered list in Markdown, with links. */
  readonly markdown: string;
  /** Entries for BibTeX. */
  readonly bibtex: string;
}

/**
 * The papers of the methods that are given, each once.
 *
 * At the end of a notebook cell the list shows itself, with links. A paper is the same if its arXiv or
 * DOI number is, or, where it has none, if the whole entry is.
 *
 * @param methods Denoisers, samplers, codecs, records of runs: anything with `references`; and metrics, by their functions.
 * @returns The list, as text, Markdown and BibTeX.
 * @throws {TypeError} If one of them has no list of references, or is a metric without a paper.
 *
 * @example
 * ```ts
 * import { cite, ddim, mmd, moons, optimal } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { references, bibtex } = cite(await optimal(moons(10), { device: "float64" }), ddim(), ddim(), mmd);
 * assert.equal(references.length, 3);
 * assert.match(bibtex, /@misc\{song2020denoising,/);
 * ```
 */
export function cite(...methods: readonly (Citable | CitedMetric)[]): Citations {
  const papers = new Map<string, string>();
  for (const method of methods) {
    for (const reference of referencesOf(method)) {
      const key = identifierOf(reference)?.text.toLowerCase() ?? reference.trim();
      if (!papers.has(key)) papers.set(key, reference);
    }
  }
  const references = [...papers.values()];
  const citations: Citations = {
    references,
    text: references.map((reference, i) => `${i + 1}. ${visible(reference)}`).join("\n"),
    markdown: references.map((reference, i) => `${i + 1}. ${linked(reference)}`).join("\n"),
    bibtex: bibtexOf(references),
  };
  // What Deno's kernel asks the last value of a cell for.
  Object.defineProperty(citations, Symbol.for("Jupyter.display"), {
    value: () => ({ "text/markdown": citations.markdown, "text/plain": citations.text }),
  });
  return citations;
}

function referencesOf(method: Citable | CitedMetric): readonly string[] {
  const references = referencesOfMetric(method) ??
    (method as Partial<Citable> | undefined)?.references;
  if (Array.isArray(references) && references.every((entry) => typeof entry === "string")) {
    return references;
  }
  throw new TypeError(
    `Cannot cite ${
      Object.prototype.toString.call(method)
    }: received no references, wanted a denoiser, a sampler, a codec, a metric with a paper or another thing with references`,
  );
}

/** The number of a paper, and where it is found. */
function identifierOf(reference: string): { text: string; kind: string; id: string } | undefined {
  const [text, kind, id] = /\b(arXiv|doi):([^\s,;]+)/i.exec(reference) ?? [];
  return text === undefined ? undefined : { text, kind: kind.toLowerCase(), id };
}

function linked(reference: string): string {
  const found = identifierOf(reference);
  if (!found) return escapeMarkdown(reference);
  const { text, kind, id } = found;
  const address = kind === "arxiv" ? "https://arxiv.org/abs/" : "https://doi.org/";
  const at = reference.indexOf(text);
  const [before, after] = [reference.slice(0, at), reference.slice(at + text.length)];
  const link = `[${escapeMarkdown(text)}](${address}${
    encodeURI(id).replace(/[()'"<>]/g, encoded)
  })`;
  return escapeMarkdown(before) + link + escapeMarkdown(after);
}

/** A character that would end a link. */
function encoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

function bibtexOf(references: readonly string[]): string {
  const used = new Map<string, number>();
  return references.map((reference) => {
    const entry = parse(reference);
    const key = entry.key;
    const before = used.get(key) ?? 0;
    used.set(key, before + 1);
    // A second paper of one key gets a letter: b, c, …
    const unique = before === 0 ? key : key + String.fromCharCode(97 + before);
    const fields = entry.fields.map(([name, value]) => `  ${name} = {${value}}`);
    return `@misc{${unique},\n${fields.join(",\n")}\n}`;
  }).join("\n\n");
}

/** An entry in parts: authors, year, title, and the number or what follows the first comma. */
function parse(reference: string): { key: string; fields: [string, string][] } {
  const [, authors, year, rest] = /^(.+?) \((\d{4})\), (.+)$/s.exec(reference) ?? [];
  if (authors === undefined) return { key: "paper", fields: [["note", escaped(reference)]] };
  const found = identifierOf(rest);
  const end = found ? rest.indexOf(found.text) : rest.search(/, (?=[A-Z])/);
  const title = (end < 0 ? rest : rest.slice(0, end)).replace(/[,\s]+$/, "");
  const after = end < 0 || found ? "" : rest.slice(end + 2);
  const names = authors.split(/,\s*/);
  const family = names[0].split(" ").at(-1)!;
  const word = title.split(/[^\p{L}\p{N}]+/u).find((part) => part.length > 3) ?? "";
  return {
    key: plain(family + year + word),
    fields: [
      ["author", escaped(names.join(" and "))],
      // Doubled braces keep the capitals.
      ["title", `{${escaped(title)}}`],
      ["year", year],
      ...(found?.kind === "arxiv"
        ? [["eprint", found.id], ["archivePrefix", "arXiv"]] as [string, string][]
        : []),
      ...(found?.kind === "doi" ? [["doi", found.id]] as [string, string][] : []),
      ...(after ? [["howpublished", escaped(after)]] as [string, string][] : []),
    ],
  };
}

/** Letters without their accents, in lower case: keys must be plain. */
function plain(text: string): string {
  return text.normalize("NFD").toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** Characters that mean something else to LaTeX. */
function escaped(text: string): string {
  return visible(text).replace(/[&%$#_{}\\~^]/g, (c) => LATEX[c] ?? `\\${c}`);
}

const LATEX: Readonly<Record<string, string>> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
};
