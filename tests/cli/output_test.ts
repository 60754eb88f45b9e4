import { WriteError } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { OutputFolder } from "../../src/cli/output.ts";
import type { RunFile } from "../../src/cli/output.ts";
import { tell } from "../_helpers/fault_table.ts";
import { withFolder } from "../_helpers/files.ts";
import { sourceUrl, startProgram } from "../_helpers/killing.ts";

const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

/** Writes the files of a run, each with the same text, and commits them. */
async function run(folder: string, text: string, files: readonly RunFile[]): Promise<string[]> {
  const output = await OutputFolder.open(folder);
  for (const name of files) await output.write(name, text);
  return await output.commit();
}

const OLD: RunFile[] = ["samples.png", "samples.npy", "trajectory.png", "run.json"];
const NEW: RunFile[] = ["samples.png", "samples.npy", "samples.npz", "run.json"];

Deno.test("commit() puts the files of a run in place of all those of an earlier one", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "mine.txt"), "kept");
    await run(folder, "old", OLD);
    const paths = await run(folder, "new", NEW);
    assert.deepEqual(paths, NEW.map((name) => join(folder, name)));
    assert.deepEqual(names(folder), ["mine.txt", ...NEW].sort());
    for (const path of paths) assert.equal(await Deno.readTextFile(path), "new");
  }));

/** Commits a run over another one and is killed before the change of the folder with this number. */
function killedBefore(change: number, folder: string): Deno.ChildProcess {
  return startProgram(`
    import { OutputFolder } from "${sourceUrl("src/cli/output.ts")}";
    const output = await OutputFolder.open(${JSON.stringify(folder)});
    for (const name of ${JSON.stringify(NEW)}) await output.write(name, "new");
    let changes = 0;
    for (const name of ["rename", "remove"]) {
      const change = Deno[name];
      Deno[name] = (...args) => {
        if (changes++ === ${change}) Deno.kill(Deno.pid, "SIGKILL");
        return change(...args);
      };
    }
    await output.commit();`);
}

Deno.test("commit() killed between any two changes leaves no run.json over files of two runs", () =>
  withFolder(async (folder) => {
    let killed = 0, sealed = 0;
    for (;; killed++) {
      await run(folder, "old", OLD);
      const { signal, success, stderr } = await killedBefore(killed, folder).output();
      if (success) break;
      assert.equal(signal, "SIGKILL", new TextDecoder().decode(stderr));
      const found = names(folder).filter((name) => !name.endsWith(".part"));
      if (!found.includes("run.json")) continue;
      sealed++;
      const texts = found.map((name) => Deno.readTextFileSync(join(folder, name)));
      assert.equal(new Set(texts).size, 1, `${found}: ${texts}`);
    }
    // Two files that are replaced, one that comes, two that go or are not there, and the record, twice.
    assert.deepEqual([killed, sealed], [7, 1]);
    const fault = "SIGKILL between any two changes of an output folder";
    tell({ fault, tried: killed, survived: killed, seen: {} });
    const left = names(folder).filter((name) => !name.endsWith(".part"));
    assert.deepEqual(left, NEW.toSorted());
    for (const name of left) assert.equal(await Deno.readTextFile(join(folder, name)), "new");
  }));

Deno.test("commit() that fails in the middle says which file, and leaves no run.json and no remains", () =>
  withFolder(async (folder) => {
    await run(folder, "old", OLD);
    await Deno.remove(join(folder, "samples.npy"));
    await Deno.mkdir(join(folder, "samples.npy"));
    const output = await OutputFolder.open(folder);
    for (const name of NEW) await output.write(name, "new");
    await assert.rejects(output.commit(), {
      name: "WriteError",
      file: join(folder, "samples.npy"),
      message: `Cannot write ${join(folder, "samples.npy")}: Is a directory (os error 21)`,
    });
    await output.discard();
    assert.deepEqual(names(folder), ["samples.npy", "samples.png", "trajectory.png"]);
  }));

Deno.test("discard() of files that are gone, or whose folder is another thing by now, is silent", () =>
  withFolder(async (folder) => {
    const out = join(folder, "out");
    for (const put of [() => {}, () => Deno.writeTextFileSync(out, "a file")]) {
      const output = await OutputFolder.open(out);
      await output.write("samples.png", "new");
      await Deno.remove(out, { recursive: true });
      put();
      await assert.rejects(output.write("run.json", "new"), WriteError);
      await output.discard();
    }
    assert.equal(await Deno.readTextFile(out), "a file");
  }));

Deno.test("open() removes what runs left that were killed a day ago, and nothing else", () =>
  withFolder(async (folder) => {
    const living = await OutputFolder.open(folder);
    await living.write("run.json", "living");
    const [young] = names(folder);
    const old = `samples.png.${crypto.randomUUID()}.part`;
    const foreign = ["samples.png.part", "samples.png.1234.part", `${crypto.randomUUID()}`];
    const day = 24 * 60 * 60 * 1000;
    for (
      const [name, age] of [...foreign.map((name) => [name, 2 * day] as const), [old, day]] as const
    ) {
      await Deno.writeTextFile(join(folder, name), "");
      await Deno.utime(join(folder, name), 0, new Date(Date.now() - age - 1000));
    }
    const other = await OutputFolder.open(folder);
    assert.deepEqual(names(folder), [...foreign, young].sort());
    await other.discard();
    await living.commit();
    assert.deepEqual(names(folder), [...foreign, "run.json"].sort());
  }));
