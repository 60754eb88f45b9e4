import { WriteError } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { digestOf } from "../../src/base/_transaction.ts";
import { Inputs } from "../../src/cli/inputs.ts";
import { OutputFolder } from "../../src/cli/output.ts";
import type { OutputOptions, RunFile } from "../../src/cli/output.ts";
import { tell } from "../_helpers/fault_table.ts";
import { withFolder } from "../_helpers/files.ts";
import { sourceUrl, startProgram } from "../_helpers/killing.ts";

const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

/** Writes the files of a run, each with the same text, and commits them under a record. */
async function run(
  folder: string,
  text: string,
  files: readonly RunFile[],
  options: OutputOptions = {},
): Promise<string[]> {
  const output = await OutputFolder.open(folder, { files, ...options });
  try {
    for (const name of files) {
      await output.write(name, name === "run.json" ? recordOf(text, output.digests) : text);
    }
    return await output.commit();
  } finally {
    await output.discard();
  }
}

function recordOf(text: string, files: object): string {
  return JSON.stringify({ package: `${config.name}@0.0.9`, text, files });
}

/** The texts of a folder's files, that of a record for the record; temporary ones by their endings. */
function texts(folder: string): Record<string, string> {
  const entries = names(folder).map((name) => {
    const text = Deno.readTextFileSync(join(folder, name));
    return [name, name === "run.json" ? JSON.parse(text).text : text];
  });
  return Object.fromEntries(entries);
}

const all = (files: readonly string[], text: string) =>
  Object.fromEntries(files.map((name) => [name, text]));

const OLD: RunFile[] = ["samples.png", "samples.npy", "trajectory.png", "run.json"];
const NEW: RunFile[] = ["samples.png", "samples.npy", "samples.npz", "run.json"];

Deno.test("commit() puts the files of a run in place of all those of an earlier one", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "mine.txt"), "kept");
    await run(folder, "old", OLD);
    const paths = await run(folder, "new", NEW);
    assert.deepEqual(paths, NEW.map((name) => join(folder, name)));
    assert.deepEqual(texts(folder), { "mine.txt": "kept", ...all(NEW, "new") });
  }));

Deno.test("open() names a file that is in the way and of no earlier run, and commit() leaves any other", () =>
  withFolder(async (folder) => {
    // Of a user: files with these names, where there is no record or one that does not name them.
    for (const record of [undefined, "old"]) {
      if (record) await run(folder, record, ["samples.npy", "run.json"]);
      for (const mine of ["samples.png", "trajectory.png"] as const) {
        await Deno.writeTextFile(join(folder, mine), "mine");
      }
      const before = texts(folder);
      await assert.rejects(run(folder, "new", NEW), {
        name: "UsageError",
        message: `Cannot write ${join(folder, "samples.png")}: a file is there that is not of an ` +
          "earlier run, wanted another --out, or --overwrite",
      });
      assert.deepEqual(texts(folder), before);
      await run(folder, "new", NEW.slice(1));
      assert.deepEqual(texts(folder), {
        ...all(["samples.png", "trajectory.png"], "mine"),
        ...all(NEW.slice(1), "new"),
      });
      await run(folder, "insists", NEW, { overwrite: true });
      assert.deepEqual(texts(folder), { "trajectory.png": "mine", ...all(NEW, "insists") });
      for (const name of names(folder)) await Deno.remove(join(folder, name));
    }
  }));

Deno.test("a file that changed since the record was written is not of that run any more", () =>
  withFolder(async (folder) => {
    await run(folder, "old", OLD);
    for (const name of ["samples.png", "trajectory.png"]) {
      await Deno.writeTextFile(join(folder, name), "mine");
    }
    await assert.rejects(run(folder, "new", NEW), /samples\.png: a file is there/);
    await run(folder, "new", NEW.slice(1));
    assert.deepEqual(texts(folder), {
      ...all(["samples.png", "trajectory.png"], "mine"),
      ...all(NEW.slice(1), "new"),
    });
  }));

Deno.test("a run.json that is no record of a run stays, and vouches for nothing", () =>
  withFolder(async (folder) => {
    const digest = new Uint8Array(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode("mine")),
    ).toHex();
    const foreign = [
      "{",
      "null",
      "[]",
      JSON.stringify({ files: { "samples.png": digest } }),
      JSON.stringify({ package: "another@1", files: { "samples.png": digest } }),
      JSON.stringify({ package: `${config.name}-fork@1`, files: { "samples.png": digest } }),
    ];
    for (const text of foreign) {
      await Deno.writeTextFile(join(folder, "run.json"), text);
      await Deno.writeTextFile(join(folder, "samples.png"), "mine");
      await assert.rejects(run(folder, "new", ["run.json"]), /run\.json: a file is there/);
      await assert.rejects(run(folder, "new", NEW), /samples\.png: a file is there/);
      assert.equal(await Deno.readTextFile(join(folder, "run.json")), text);
      assert.equal(await Deno.readTextFile(join(folder, "samples.png")), "mine");
    }
  }));

Deno.test("folders and links in the way stay, and so does the record of the earlier run", () =>
  withFolder(async (folder) => {
    const out = join(folder, "out"), target = join(folder, "target");
    await Deno.writeTextFile(target, "target");
    await run(out, "old", OLD);
    for (const name of OLD) {
      const path = join(out, name), kept = await Deno.readFile(path);
      await Deno.remove(path);
      await Deno.mkdir(join(path, "full"), { recursive: true });
      for (const overwrite of [false, true]) {
        // Without a record, the files of the run are anybody's.
        if (name === "run.json" && !overwrite) continue;
        await assert.rejects(run(out, "new", OLD, { overwrite }), {
          name: "UsageError",
          message: `Cannot write ${path}: a folder is there that is not of an earlier run, ` +
            "wanted another --out",
        });
      }
      await Deno.remove(path, { recursive: true });
      await Deno.symlink(target, path);
      const what = name === "run.json" ? "file" : "link";
      await assert.rejects(run(out, "new", OLD), RegExp(`: a ${what} is there that is not of an`));
      await Deno.remove(path);
      await Deno.writeFile(path, kept);
      assert.deepEqual(texts(out), all(OLD, "old"));
    }
    await Deno.remove(join(out, "samples.png"));
    await Deno.symlink(target, join(out, "samples.png"));
    await run(out, "new", OLD, { overwrite: true });
    assert.deepEqual(texts(out), all(OLD, "new"));
    assert.equal(await Deno.readTextFile(target), "target");
  }));

Deno.test("commit() over a folder that came in the way meanwhile leaves the earlier run whole", () =>
  withFolder(async (folder) => {
    await run(folder, "old", OLD);
    const output = await OutputFolder.open(folder, { files: NEW });
    for (const name of NEW) await output.write(name, "new");
    await Deno.mkdir(join(folder, "samples.npz"));
    await assert.rejects(output.commit(), /samples\.npz: a folder is there/);
    await output.discard();
    await Deno.remove(join(folder, "samples.npz"));
    assert.deepEqual(texts(folder), all(OLD, "old"));
  }));

/** Commits a run over another one and is killed before the change of the folder with this number. */
function killedBefore(change: number, folder: string): Deno.ChildProcess {
  return startProgram(`
    import { OutputFolder } from "${sourceUrl("src/cli/output.ts")}";
    const output = await OutputFolder.open(${JSON.stringify(folder)});
    for (const name of ${JSON.stringify(NEW)}) {
      const record = { package: ${JSON.stringify(`${config.name}@0.0.9`)}, text: "new" };
      const text = JSON.stringify({ ...record, files: output.digests });
      await output.write(name, name === "run.json" ? text : "new");
    }
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

Deno.test("commit() killed between any two changes leaves no run.json over files of two runs, and the next run one whole run", () =>
  withFolder(async (folder) => {
    let killed = 0, old = 0;
    for (;; killed++) {
      for (const name of names(folder)) await Deno.remove(join(folder, name));
      await Deno.writeTextFile(join(folder, "samples.ply"), "mine");
      await run(folder, "old", OLD);
      const { signal, success, stderr } = await killedBefore(killed, folder).output();
      if (success) break;
      assert.equal(signal, "SIGKILL", new TextDecoder().decode(stderr));
      const whole = (text: string) => ({
        "samples.ply": "mine",
        ...all(text === "old" ? OLD : NEW, text),
      });
      const shown = Object.entries(texts(folder)).filter(([name]) => !/\.(part|lock)$/.test(name));
      const record = Object.fromEntries(shown)["run.json"];
      if (record) assert.deepEqual(Object.fromEntries(shown), whole(record));
      // Whoever opens the folder next brings back the old run, or finishes the new one.
      await (await OutputFolder.open(folder)).discard();
      const settled = texts(folder), { "run.json": text } = settled;
      assert.deepEqual(settled, whole(text), `change ${killed}`);
      if (text === "old") old++;
    }
    // Four files set aside, four put in place; then four old ones go, or are not there, as the new ones.
    assert.ok(old === 8 && killed > old, `${old} of ${killed}`);
    const fault = "SIGKILL between any two changes of an output folder";
    tell({ fault, tried: killed, survived: killed, seen: {} });
    assert.deepEqual(texts(folder), { "samples.ply": "mine", ...all(NEW, "new") });
  }));

Deno.test("commit() that fails at any change says which file, and leaves the earlier run whole", () =>
  withFolder(async (folder) => {
    await run(folder, "old", OLD);
    const { rename } = Deno;
    let failed = 0;
    for (;; failed++) {
      const output = await OutputFolder.open(folder, { files: NEW });
      for (const name of NEW) {
        await output.write(name, name === "run.json" ? recordOf("new", output.digests) : "new");
      }
      let changes = 0;
      Deno.rename = (from, to) =>
        changes++ === failed
          ? Promise.reject(new Deno.errors.PermissionDenied("Permission denied (os error 13)"))
          : rename(from, to);
      try {
        const error = await output.commit().then(() => undefined, (error) => error);
        if (!error) break;
        assert.ok(error instanceof WriteError);
        assert.match(
          error.message,
          /^Cannot write [^:]*\/(samples|trajectory|run)\.\w+: Permission denied \(os error 13\)$/,
        );
      } finally {
        Deno.rename = rename;
      }
      await output.discard();
      assert.deepEqual(texts(folder), all(OLD, "old"));
    }
    assert.equal(failed, 8);
    assert.deepEqual(texts(folder), all(NEW, "new"));
  }));

Deno.test("commit() that cannot take back what it did leaves that to the next run", () =>
  withFolder(async (folder) => {
    await run(folder, "old", OLD);
    const { rename } = Deno;
    for (let failed = 0; failed < 8; failed++) {
      const output = await OutputFolder.open(folder, { files: NEW });
      for (const name of NEW) {
        await output.write(name, name === "run.json" ? recordOf("new", output.digests) : "new");
      }
      let changes = 0;
      Deno.rename = (from, to) =>
        changes++ >= failed
          ? Promise.reject(new Deno.errors.PermissionDenied("Permission denied (os error 13)"))
          : rename(from, to);
      try {
        await assert.rejects(output.commit(), WriteError);
        await output.discard();
      } finally {
        Deno.rename = rename;
      }
      await (await OutputFolder.open(folder)).discard();
      assert.deepEqual(texts(folder), all(OLD, "old"), `change ${failed}`);
    }
  }));

Deno.test("commit() that fails takes back what it put in place, but not what somebody put over it since", () =>
  withFolder(async (folder) => {
    await run(folder, "old", OLD);
    const output = await OutputFolder.open(folder, { files: NEW });
    for (const name of NEW) {
      await output.write(name, name === "run.json" ? recordOf("new", output.digests) : "new");
    }
    const { rename } = Deno, placed = join(folder, "samples.png");
    Deno.rename = async (from, to) => {
      // Once the first new file is in place, a user writes over it, and the next one fails.
      if (String(to) === join(folder, "samples.npy") && await Deno.readTextFile(placed) === "new") {
        await Deno.writeTextFile(placed, "mine");
        throw new Deno.errors.PermissionDenied("Permission denied (os error 13)");
      }
      await rename(from, to);
    };
    try {
      await assert.rejects(output.commit(), WriteError);
    } finally {
      Deno.rename = rename;
    }
    await output.discard();
    assert.deepEqual(texts(folder), { ...all(OLD, "old"), "samples.png": "mine" });
  }));

Deno.test("commit() looks again whether a file is an input by now, whatever may be overwritten", () =>
  withFolder(async (folder) => {
    const out = join(folder, "out"), data = join(folder, "x.npy");
    await Deno.writeTextFile(data, "data");
    const inputs = new Inputs({ data: `npy:${data}` });
    const output = await OutputFolder.open(out, { files: NEW, inputs, overwrite: true });
    for (const name of NEW) await output.write(name, "new");
    await Deno.link(data, join(out, "samples.npy"));
    await assert.rejects(output.commit(), {
      name: "UsageError",
      message: `Cannot write ${
        join(out, "samples.npy")
      }: it is what --data reads, wanted another --out`,
    });
    await output.discard();
    assert.deepEqual(names(out), ["samples.npy"]);
    assert.equal(await Deno.readTextFile(data), "data");
  }));

Deno.test("runs that end in one folder at once leave the files of one of them, under its record", () =>
  withFolder(async (folder) => {
    for (let round = 0; round < 20; round++) {
      const outputs = await Promise.all(
        ["a", "b", "c", "d"].map(async (text, i) => {
          const files = [OLD, NEW][i % 2];
          const output = await OutputFolder.open(folder, { files });
          for (const name of files) {
            await output.write(name, name === "run.json" ? recordOf(text, output.digests) : text);
          }
          return output;
        }),
      );
      await Promise.all(outputs.map((output) => output.commit()));
      const found = texts(folder), text = found["run.json"];
      assert.deepEqual(found, all("ac".includes(text) ? OLD : NEW, text));
    }
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

Deno.test("open() removes what killed runs left, and nothing that looks like it", () =>
  withFolder(async (folder) => {
    const living = await OutputFolder.open(folder);
    await living.write("samples.png", "living");
    const own = names(folder);
    assert.equal(own.length, 2);
    const id = () => crypto.randomUUID();
    const foreign = [
      ...[`samples.png.${id()}.part`, `samples.npy.${id()}.old.part`, "samples.png.part"],
      ...[`.closedform.${id()}.part`, `.closedform.${id()}`, `${id()}`],
    ];
    const week = new Date(Date.now() - 7 * 24 * 60 * 60 * 1000);
    for (const name of foreign) {
      await Deno.writeTextFile(join(folder, name), "mine");
      await Deno.utime(join(folder, name), week, week);
    }
    const killed = startProgram(`
      import { OutputFolder } from "${sourceUrl("src/cli/output.ts")}";
      const output = await OutputFolder.open(${JSON.stringify(folder)});
      await output.write("samples.npy", "killed");
      Deno.kill(Deno.pid, "SIGKILL");`);
    assert.equal((await killed.output()).signal, "SIGKILL");
    assert.equal(names(folder).length, own.length + foreign.length + 2);
    const other = await OutputFolder.open(folder);
    assert.deepEqual(names(folder), [...foreign, ...own].sort());
    await other.discard();
    await living.write("run.json", "living");
    await living.commit();
    assert.deepEqual(names(folder), [...foreign, "run.json", "samples.png"].sort());
  }));

Deno.test("open() takes no journal that names files elsewhere, or is none", () =>
  withFolder(async (folder) => {
    const out = join(folder, "out"), id = crypto.randomUUID();
    await Deno.mkdir(out);
    await Deno.writeTextFile(join(folder, "x"), "mine");
    await Deno.writeTextFile(join(folder, `x.${id}.part`), "mine");
    const digest = await digestOf(join(folder, "x"));
    const head = `files in the making of @closedform/diffusion, ${id}\n`;
    for (
      const line of [
        JSON.stringify({ making: "../x" }),
        JSON.stringify({ last: "../x", files: { "../x": digest }, stale: [] }),
        JSON.stringify({ last: "y", files: { "../x": digest }, stale: [] }),
        JSON.stringify({ last: "y", files: {}, stale: ["../x"] }),
        "{}",
        "null",
        "[",
      ]
    ) {
      await Deno.writeTextFile(join(out, `.closedform.${id}.part`), `${head}${line}\n`);
      await (await OutputFolder.open(out)).discard();
      assert.deepEqual(names(out), [`.closedform.${id}.part`], line);
      assert.deepEqual(names(folder), ["out", "x", `x.${id}.part`], line);
    }
  }));
