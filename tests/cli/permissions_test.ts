import { encodePng } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { helpOf } from "../../src/cli/help.ts";
import { PERMISSIONS, VARIABLES } from "../../src/cli/permissions.ts";
import { startTask, taskOf } from "../_helpers/command.ts";
import { withFolder, write } from "../_helpers/files.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("the tasks give the permissions that are listed, and no others", () => {
  const flags = PERMISSIONS.map(({ flag }) => flag);
  for (const name of ["sample", "train:codec"]) assert.deepEqual(taskOf(name).flags, flags, name);
  const { flags: theory } = taskOf("theory");
  assert.deepEqual(theory, flags.filter((flag) => flag !== "--allow-write"));
});

Deno.test("--help permissions names each permission and variable", () => {
  const help = helpOf(["--help", "permissions"])!;
  for (const { flag, use } of PERMISSIONS) {
    assert.ok(help.includes(flag.split("=")[0]), flag);
    assert.ok(help.replaceAll(/\s+/g, " ").includes(use), use);
  }
  for (const name of Object.keys(VARIABLES)) assert.ok(help.includes(`      ${name}`), name);
});

Deno.test("runs need the permissions of their task and no others", () =>
  withFolder(async (folder) => {
    const pixels = (shade: number) => ({
      width: 8,
      height: 8,
      data: new Uint8Array(256).fill(shade),
    });
    for (const shade of [0, 100, 255]) {
      await write(folder, `photos/${shade}.png`, await encodePng(pixels(shade)));
    }
    const codec = join(folder, "codec.safetensors"), out = join(folder, "out");
    // What loads a package of its own, reads and writes caches, starts threads, asks for memory, or looks for a GPU.
    const runs = [
      ["train:codec", "--data", "tiny-shapes:300", "--steps", "2", "--width", "8", "--out", codec],
      ["--data", "tiny-shapes:300", "--codec", `autoencoder:${codec}`],
      ["--data", `images:${join(folder, "photos")}`, "--trajectory", "--npz"],
      ["--denoiser", "wiener", "--limit", "50", "--device", "float64"],
      ["--denoiser", "golden", "--proxy", "pca", "--limit", "50", "--device", "wasm"],
      ["--limit", "50"],
      ["--from", join(out, "run.json"), "--out", join(folder, "again")],
    ];
    for (const [i, run] of runs.entries()) {
      const [task, args] = run[0] === "train:codec"
        ? [run[0], run.slice(1)]
        : ["sample", ["--out", out, "--count", "2", "--steps", "2", ...run]];
      // Each needs what an earlier one wrote.
      const { code, stderr } = await startTask(task, args, {
        env: { CLOSEDFORM_CACHE: join(folder, "cache") },
      }).output();
      assert.equal(code, 0, `${i}: ${run.join(" ")}: ${text(stderr)}`);
    }
    assert.ok((await Deno.stat(join(folder, "cache"))).isDirectory);
  }));

Deno.test("--out without a name is an error of one line, before any work", () =>
  withFolder(async (folder) => {
    for (const task of ["sample", "train:codec"]) {
      const { code, stderr } = await startTask(task, ["--out", ""], { folder }).output();
      assert.deepEqual(
        [code, text(stderr).trim()],
        [2, 'Cannot use --out "": wanted a path'],
        task,
      );
    }
  }));
