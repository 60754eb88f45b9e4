/** Folders that are full, read-only, or gone. */
import { Dataset, dataSpectrum, encodePng, readImages, startNoise } from "@closedform/diffusion";
import { fromFileUrl, join } from "@std/path";
import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { startSample } from "../_helpers/command.ts";
import { withDisk } from "../_helpers/disks.ts";
import { trial } from "../_helpers/fault_table.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const RUN = ["--limit", "60", "--count", "36", "--steps", "3", "--device", "wasm", "--quiet"];
const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Fails unless a run failed with one line that is no stack, which matches, and with this exit code. */
async function assertOneLine(
  fault: string,
  run: Deno.ChildProcess | Promise<Deno.CommandOutput>,
  code: number,
  message: RegExp,
): Promise<void> {
  await trial(fault, async () => {
    const found = await ("output" in run ? run.output() : run);
    const error = text(found.stderr);
    assert.deepEqual([found.code, text(found.stdout)], [code, ""], error);
    assert.match(error, /^[^\n]+\n$/);
    assert.match(error, message);
    assert.doesNotMatch(error, /\bat (async )?file:|Uncaught/);
    return error;
  });
}

/** Deno where no file may grow beyond so many blocks of 1,024 bytes. */
function runWithin(blocks: number, ...args: string[]): Promise<Deno.CommandOutput> {
  const options = ["run", "-A", "--no-code-cache", "--config", "deno.json"];
  const command = [Deno.execPath(), ...options, ...args];
  return new Deno.Command("bash", {
    // Without the trap the signal would end the process before a write could fail.
    args: ["-c", `trap "" XFSZ; ulimit -f ${blocks}; exec "$@"`, "bash", ...command],
    cwd: ROOT,
  }).output();
}

Deno.test("sample that may write no large file says so in one line, and leaves the old files", () =>
  withFolder(async (folder) => {
    assert.ok((await startSample([...RUN, "--out", folder]).output()).success);
    const before = new Map(
      names(folder).map((name) => [name, Deno.readFileSync(join(folder, name))]),
    );
    const args = [...RUN, "--seed", "1", "--out", folder];
    await assertOneLine(
      "disk full while sample writes",
      runWithin(64, "src/cli.ts", ...args),
      1,
      /^Cannot write .*samples\.npy: File too large \(os error 27\)\n$/,
    );
    assert.deepEqual(names(folder), [...before.keys()]);
    for (const [name, bytes] of before) {
      assert.equal(Buffer.compare(Deno.readFileSync(join(folder, name)), bytes), 0, name);
    }
  }));

Deno.test("dataSpectrum() that may write no large file goes without a cache", () =>
  withFolder(async (folder) => {
    const program = `
      import { Dataset, dataSpectrum, startNoise } from "${new URL(
      "../../mod.ts",
      import.meta.url,
    )}";
      const data = Float32Array.from(startNoise(1, 0, 300, 300));
      const noise = new Dataset({ data, shape: [300], name: "noise" });
      await dataSpectrum(noise, { cache: ${JSON.stringify(join(folder, "spectra"))} });`;
    const path = await write(folder, "program.ts", program);
    await trial("disk full while a cache is written", async () => {
      const { success, stderr } = await runWithin(64, path);
      assert.ok(success, text(stderr));
      assert.deepEqual(names(join(folder, "spectra")), []);
    });
  }));

Deno.test("sample and caches on a full disk: one line, or no cache, and nothing half-written", async (t) => {
  for (const kilobytes of [8, 64, 256]) {
    const done = await withDisk({ kilobytes }, async (folder) => {
      const out = join(folder, "out");
      await assertOneLine(
        "disk full while sample writes",
        startSample([...RUN, "--out", out]),
        1,
        /^Cannot write .*: No space left on device \(os error 28\)\n$/,
      );
      assert.deepEqual(names(folder), [], "the run left something");
      const png = await encodePng({ width: 64, height: 64, data: new Uint8Array(4 * 64 ** 2) });
      for (let i = 0; i < kilobytes / 4; i++) await Deno.writeFile(join(folder, `${i}.png`), png);
      const images = names(folder);
      const left = () => names(folder).filter((name) => name !== "spectra");
      await trial("disk full while a cache is written", async () => {
        const set = await readImages(folder);
        assert.equal(set.count, images.length);
        assert.deepEqual(left(), images, "a cache was half written");
      });
      await trial("disk full while a cache is written", async () => {
        const data = Float32Array.from(startNoise(1, 0, 60, 300));
        const noise = new Dataset({ data, shape: [300], name: "noise" });
        await dataSpectrum(noise, { cache: join(folder, "spectra") });
        assert.deepEqual(left(), images, "a cache was half written");
      });
    });
    // Where nothing can be mounted, the limit on the size of files above stands for all of this.
    await t.step(`${kilobytes} KB: ${done ?? "no right to mount a small disk"}`, () => {});
  }
});

Deno.test("sample and caches in a folder that cannot be written: one line, or no cache", async (t) => {
  const done = await withDisk({ kilobytes: 64, readOnly: true }, async (folder) => {
    const refused = /^Cannot write .*: Read-only file system \(os error 30\), wanted a folder/;
    await assertOneLine(
      "read-only output folder",
      startSample([...RUN, "--out", folder]),
      2,
      refused,
    );
    await assertOneLine(
      "read-only output folder",
      startSample([...RUN, "--out", join(folder, "below")]),
      2,
      refused,
    );
    await trial("read-only folder of caches", async () => {
      const data = Float32Array.from(startNoise(1, 0, 300, 300));
      const noise = new Dataset({ data, shape: [300], name: "noise" });
      const cached = await dataSpectrum(noise, { cache: join(folder, "spectra") });
      assert.deepEqual(cached.variances, (await dataSpectrum(noise, { cache: false })).variances);
      assert.deepEqual(names(folder), []);
    });
  });
  await t.step(done ?? "no right to mount a read-only disk", () => {});
  // The kernel's own folders take no files, whoever asks.
  await assertOneLine(
    "read-only output folder",
    startSample([...RUN, "--out", "/proc/none"]),
    2,
    /^Cannot write \/proc/,
  );
});

for (
  const [what, put] of [
    ["gone", () => Promise.resolve()],
    ["replaced by a file", (out: string) => Deno.writeTextFile(out, "a file")],
  ] as const
) {
  Deno.test(`sample whose folder is ${what} when it wants to write: one line`, () =>
    withFolder((folder) =>
      trial("output folder gone while sample runs", async () => {
        const out = join(folder, "out");
        const longer = ["--count", "64", "--steps", "60", "--out", out];
        const run = startSample([...RUN.slice(0, -1), ...longer]);
        const reader = run.stderr.getReader();
        // The first line names the device, and the folder is there by then.
        let error = text((await reader.read()).value!);
        await Deno.rename(out, join(folder, "elsewhere"));
        await put(out);
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          error += text(part.value);
        }
        await run.stdout.cancel();
        assert.equal((await run.status).code, 1, error);
        const lines = error.trim().split("\n").filter((line) =>
          !/^wasm: |% *: |steps, sigma/.test(line)
        );
        assert.equal(lines.length, 1, error);
        assert.match(
          lines[0],
          /^Cannot write .*samples\.png: (No such file or directory|Not a directory) \(os error \d+\)$/,
        );
        assert.deepEqual(names(join(folder, "elsewhere")), []);
        return lines[0];
      })
    ));
}

Deno.test("readImages() of a folder that goes while it is read is a DatasetError", () =>
  withFolder(async (folder) => {
    const images = join(folder, "images");
    await Deno.mkdir(images);
    const png = await encodePng({ width: 8, height: 8, data: new Uint8Array(4 * 8 ** 2) });
    for (let i = 0; i < 5; i++) await Deno.writeFile(join(images, `${i}.png`), png);
    const onProgress = () => {
      if (names(folder).includes("images")) Deno.removeSync(images, { recursive: true });
    };
    await trial("folder of images gone while it is read", async () => {
      const reading = readImages(images, { onProgress });
      const error = await rejectsAbout(reading, images, /nothing there/);
      assert.deepEqual(names(folder), []);
      return error;
    });
  }));
