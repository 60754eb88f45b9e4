/** Work in memory without any permission, in a terminal, where Deno would ask. */
import { builtinShapes, loadDataset } from "@closedform/diffusion";
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { withFolder, write } from "./_helpers/files.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** `script` of util-linux gives a program a terminal. */
const hasTerminal = await new Deno.Command("script", { args: ["--version"], stderr: "null" })
  .output().then(({ stdout }) => /util-linux/.test(new TextDecoder().decode(stdout)), () => false);

const PROGRAM = `
import * as m from "${new URL("_helpers/all_entries.ts", import.meta.url)}";
const set = m.shapes(20), points = m.moons(50);
await m.dataSpectrum(set);
for (const device of ["wasm", "float64", "auto"] as const) {
  const exact = await m.optimal(points, { device });
  await m.sample(exact, { count: 2 });
  await m.wiener(set, { device });
  await m.pcaLocality(set, { device });
}
const exact = await m.optimal(points);
await m.dpmV3Statistics(exact, points, { intervals: 2, samples: 2 });
await m.trainDenoiser(points, { steps: 2 });
await m.trainAutoencoder(set, { latentDimension: 2, components: 4, width: 4, steps: 1 });
await m.encodePng({ width: 2, height: 2, data: new Uint8Array(16) });
console.log("all", "done");`;

Deno.test({
  name: "shipped data that may not be read are an error of data",
  permissions: { read: false },
  fn: async () => {
    const wanted = {
      name: "DatasetError",
      message: /^Cannot read .*shapes.*: found no permission to read it/,
    };
    await assert.rejects(builtinShapes(), wanted);
    await assert.rejects(loadDataset("builtin:shapes"), wanted);
  },
});

Deno.test({
  name: hasTerminal
    ? "work in memory needs no permission and asks for none, in a terminal"
    : "work in memory without permissions: skipped, no script of util-linux to make a terminal",
  ignore: !hasTerminal,
  fn: () =>
    withFolder(async (folder) => {
      const path = await write(folder, "program.ts", PROGRAM);
      const command = [Deno.execPath(), "run", "--no-check", "--config", join(ROOT, "deno.json")];
      const child = new Deno.Command("script", {
        args: ["-qec", [...command, path].join(" "), "/dev/null"],
        cwd: folder,
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      let text = "";
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += part;
        // A question would wait for ever.
        if (/Allow\?/.test(text)) child.kill("SIGKILL");
      }
      await child.stdin.close();
      await child.status;
      assert.doesNotMatch(text, /requests|Allow\?/);
      assert.match(text, /all done/);
      assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["program.ts"]);
    }),
});
