/** The index of the notebooks: of the committed outputs, with a picture of each. */
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { indexFiles } from "../notebooks/make_index.ts";

const FOLDER = fromFileUrl(new URL("../notebooks", import.meta.url));

Deno.test("the index of the notebooks is that of their committed outputs", async () => {
  for (const [name, bytes] of await indexFiles()) {
    assert.ok(
      Deno.readFileSync(join(FOLDER, name)).every((byte, i) => byte === bytes[i]) &&
        Deno.statSync(join(FOLDER, name)).size === bytes.length,
      `${name} is not what deno task notebooks:index makes`,
    );
  }
});

Deno.test("the index of the notebooks links each of them, and shows one picture of each", async () => {
  const text = Deno.readTextFileSync(join(FOLDER, "README.md"));
  const notebooks = [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
    .filter((name) => name.endsWith(".ipynb")).sort();
  const links = [...text.matchAll(/\]\(([^)]+\.ipynb)\)/g)].map(([, link]) => link);
  assert.deepEqual(links, notebooks);
  const pictures = [...text.matchAll(/^!\[([^\]]+)\]\((pictures\/(\d\d)\.(?:svg|png))\)$/gm)];
  assert.deepEqual(
    pictures.map(([, , , number]) => number),
    notebooks.map((name) => name.slice(0, 2)),
  );
  for (const [, alt, picture] of pictures) {
    assert.ok(alt.length > 40, `${picture} is described`);
    const { size } = await Deno.stat(join(FOLDER, picture));
    assert.ok(size > 1000 && size < 100_000, `${picture} has ${size} bytes`);
  }
});
