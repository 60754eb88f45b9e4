/** What the README promises: names that exist, links that lead somewhere, a picture that the command makes. */
import { samplerByName } from "../src/samplers/registry.ts";
import { Jimp } from "jimp";
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { main } from "../src/cli.ts";
import * as everything from "./_helpers/all_entries.ts";
import { withFolder } from "./_helpers/files.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/bench/README.md"];
const read = (page: string) => Deno.readTextFileSync(join(ROOT, page));

Deno.test("the pages link to files that are there", () => {
  let links = 0;
  for (const page of PAGES) {
    for (const [, target] of read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^https?:/.test(target)) continue;
      links++;
      assert.ok(Deno.statSync(join(ROOT, page, "..", target)).isFile, `${page}: ${target}`);
    }
  }
  assert.ok(links > 15, `${links} links`);
});

Deno.test("the tables of the README name what there is", () => {
  const [, choice] = read("README.md").split("## Which one for what");
  const rows = choice.split("\n").filter((line) => line.startsWith("|"));
  let names = 0;
  for (const row of rows) {
    for (const [, code] of row.matchAll(/`([^`]+)`/g)) {
      const [name] = /^[A-Za-z]\w*$|^[A-Za-z]\w*(?=\()/.exec(code) ?? [];
      if (name === undefined || isSampler(name) || OTHERS.has(name)) continue;
      names++;
      assert.ok(name in everything, `${name} in: ${row}`);
    }
  }
  assert.ok(names > 40, `${names} names`);
});

/** Options, devices and grids, which are words and not exports. */
const OTHERS = new Set(["tolerance", "webgpu", "wasm", "float64", "ddpm", "karras"]);

function isSampler(name: string): boolean {
  try {
    samplerByName(name);
    return true;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return false;
  }
}

Deno.test("the tasks that the pages name exist", () => {
  const { tasks } = JSON.parse(read("deno.json"));
  for (const page of PAGES) {
    for (const [, task] of read(page).matchAll(/deno task ([a-z:]+)/g)) {
      assert.ok(task in tasks, `${page}: deno task ${task}`);
    }
  }
});

Deno.test("the README's picture is what its command makes", () =>
  withFolder(async (folder) => {
    const text = read("README.md");
    const [, picture] = /!\[[^\]]+\]\((\S+\.png)\)/.exec(text)!;
    const [, command] = /^_`deno task sample ([^`]+)`/m.exec(text)!;
    assert.equal(await main([...command.split(" "), "--quiet", "--out", folder]), 0);
    const [made, shown] = await Promise.all(
      [join(folder, "trajectory.png"), join(ROOT, picture)].map((path) => Jimp.read(path)),
    );
    assert.deepEqual([shown.width, shown.height], [made.width, made.height]);
    // Images are square, three times two of them below each other: what the words count as columns is what is there.
    const [, words] = /!\[[^\]]*?(\w+) columns[^\]]*\]/.exec(text)!;
    const numbers = ["nine", "ten", "eleven", "twelve"];
    assert.equal(numbers.indexOf(words) + 9, Math.round(6 * made.width / made.height));
    // Devices agree to float32 rounding, which can move an 8-bit level by one.
    const far = made.bitmap.data.reduce(
      (most, v, i) => Math.max(most, Math.abs(v - shown.bitmap.data[i])),
      0,
    );
    assert.ok(far <= 1, `levels differ by ${far}`);
  }));
