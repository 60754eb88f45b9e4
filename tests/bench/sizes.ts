/** How large files and functions are, folder by folder, and which stand out: `deno task sizes`. */
import { fromFileUrl, join, relative } from "@std/path";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
/** Generated files. */
const GENERATED = /src\/compute\/wasm\/modules\//;
const MOST_FILE = 400, MOST_FUNCTION = 80;

interface Sized {
  readonly name: string;
  readonly lines: number;
}

function sources(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? sources(path) : path.endsWith(".ts") ? [path] : [];
  }).flat();
}

/** The functions and methods of formatted code, nested ones as part of those around them. */
function functionsOf(file: string, lines: readonly string[]): Sized[] {
  const found: Sized[] = [];
  const head =
    /^(?:export )?(?:async )?function\*? (\w+)|^ {2}(?:static |override |async |get |set |\*)*(#?\w+)(?:<.*>)?\(/;
  for (let i = 0; i < lines.length; i++) {
    const [, named, method] = head.exec(lines[i]) ?? [];
    const name = named ?? method;
    if (!name || /^(?:if|for|while|switch|return|await|throw|assert|super)$/.test(name)) continue;
    const indent = named ? "" : "  ";
    let end = i;
    // A body closes at the depth of its head; a signature without one ends in a semicolon.
    while (end < lines.length && !lines[end].startsWith(`${indent}}`)) {
      if (lines[end].endsWith(";") && !lines[i].endsWith("{") && !opens(lines, i, end)) break;
      end++;
    }
    if (!lines[end]?.startsWith(`${indent}}`)) continue;
    found.push({ name: `${file}: ${name}`, lines: end - i + 1 });
    i = end;
  }
  return found;
}

function opens(lines: readonly string[], from: number, to: number): boolean {
  return lines.slice(from, to).some((line) => line.endsWith("{"));
}

function quantile(sizes: readonly Sized[], q: number): number {
  const sorted = sizes.map(({ lines }) => lines).sort((a, b) => a - b);
  return sorted[Math.floor(q * (sorted.length - 1))] ?? 0;
}

function row(label: string, files: readonly Sized[], functions: readonly Sized[]): string {
  const numbers = [
    files.length,
    files.reduce((sum, { lines }) => sum + lines, 0),
    quantile(files, 0.5),
    quantile(files, 1),
    functions.length,
    quantile(functions, 0.5),
    quantile(functions, 0.9),
    quantile(functions, 1),
  ];
  return label.padEnd(22) + numbers.map((n) => n.toLocaleString("en").padStart(9)).join("");
}

const folders = new Map<string, { files: Sized[]; functions: Sized[] }>();
const all = { files: [] as Sized[], functions: [] as Sized[] };
for (const top of ["src", "tests"]) {
  for (const path of sources(join(ROOT, top)).sort()) {
    const name = relative(ROOT, path);
    if (GENERATED.test(name)) continue;
    const lines = (await Deno.readTextFile(path)).trimEnd().split("\n");
    const [, second] = name.split("/");
    const folder = second.endsWith(".ts") ? top : `${top}/${second}`;
    const sizes = folders.get(folder) ?? { files: [], functions: [] };
    folders.set(folder, sizes);
    const file = { name, lines: lines.length }, functions = functionsOf(name, lines);
    for (const { files, functions: list } of top === "src" ? [sizes, all] : [sizes]) {
      files.push(file);
      list.push(...functions);
    }
  }
}

console.log(
  "".padEnd(22) +
    ["files", "lines", "median", "largest", "functions", "median", "p90", "largest"]
      .map((word) => word.padStart(9)).join(""),
);
for (const [folder, { files, functions }] of folders) console.log(row(folder, files, functions));
console.log(row("all of src", all.files, all.functions));
for (
  const [what, list, most] of [
    ["files", all.files, MOST_FILE],
    ["functions", all.functions, MOST_FUNCTION],
  ] as const
) {
  const large = list.filter(({ lines }) => lines > most).sort((a, b) => b.lines - a.lines);
  console.log(`\n${large.length} ${what} of src above ${most} lines`);
  for (const { name, lines } of large) console.log(`${String(lines).padStart(6)}  ${name}`);
}
