/** The nine cells of the README run as they stand. */
import * as library from "@closedform/diffusion";
import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";
import { dataPath, hasData } from "./_helpers/data.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const README = await Deno.readTextFile(`${ROOT}/README.md`);
const SECTION = README.slice(README.indexOf("\n## Nine cells"), README.indexOf("\n## Which one"));
const CELLS = [...SECTION.matchAll(/^```ts ignore\n([^]*?)^```/gm)].map(([, cell]) => cell);

/** What a reader brings. */
const OWN = `
const myMean = (x, sigma) => x.map((v) => v / (1 + sigma ** 2));
const array = new Float32Array(2 * 64 * 64 * 3), labels = [0, 1];
`;

/** The names of the package that a text uses. */
const namesIn = (text: string) =>
  Object.keys(library).filter((name) => new RegExp(`\\b${name}\\(`).test(text));

Deno.test("the README has nine cells, of three lines or little more each", () => {
  assert.equal(CELLS.length, 9);
  for (const cell of CELLS) {
    const statements = cell.split("\n").filter((line) => /^(const|await|for|near)/.test(line));
    assert.ok(statements.length >= 1 && statements.length <= 4, cell);
    for (const word of ["dispose", "tensorSpace", "Array.from", "openDevice"]) {
      assert.ok(!cell.includes(word), `${word} in ${cell}`);
    }
    assert.ok(!/\w!/.test(cell), cell);
  }
});

Deno.test({
  name: "the nine cells run as they stand, on the first 2,000 digits",
  ignore: !hasData("mnist") || !hasData("meshes"),
  fn: async () => {
    const code = CELLS.join("\n")
      .replace('"mnist:PATH"', `"mnist:${dataPath("mnist")}", { limit: 2000 }`)
      .replace('"spot.obj"', `"${dataPath("meshes/spot.obj")}"`);
    const program = `import { ${namesIn(code).join(", ")} } from "@closedform/diffusion";
      ${OWN} ${code}
      console.log("copied:", near.memorisedShare, "mine:", mine.count, "faces:", faces.shape.join());`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "-"],
      cwd: ROOT,
      env: { CLOSEDFORM_DEVICE: "wasm", NO_COLOR: "1", XDG_RUNTIME_DIR: "/tmp" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(program));
    await writer.close();
    const { code: status, stdout, stderr } = await child.output();
    const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.equal(status, 0, errors);
    assert.match(errors, /^wasm: CPU, .* \(CLOSEDFORM_DEVICE=wasm\)$/m);
    assert.match(out, /^36 samples of 28×28×1, 18 steps, 35 evaluations each/m);
    assert.match(out, /^step +sigma +evaluations +k +gap +effective items +captured mass +bound/m);
    assert.match(out, /^2000 samples of 3, \d+ steps/m);
    assert.match(out, /copied: 1 mine: 3 faces: 64,64,3/);
  },
});
