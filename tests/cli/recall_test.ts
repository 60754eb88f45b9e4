import { encodeNpy, moons } from "@closedform/diffusion";
import config from "../../deno.json" with { type: "json" };
import { join } from "@std/path";
import assert from "node:assert/strict";
import { cliRun, failedRun, readRun } from "../_helpers/cli_runs.ts";
import { runSample, startSample } from "../_helpers/command.ts";
import { withFolder, write } from "../_helpers/files.ts";

const PACKAGE = `${config.name}@${config.version}`;

Deno.test("sample --from repeats a run byte by byte, whatever its options", () =>
  withFolder(async (folder) => {
    const runs = [
      "--data tiny-shapes:60 --count 3 --seed 5 --steps 4 --trajectory",
      "--data circle:40 --denoiser smoothed --draw-kind antithetic --start auto --count 5",
      "--data tiny-shapes:60 --class 0 --limit 50 --codec pca:5 --sampler heun --grid karras --count 2",
      "--data moons:90 --denoiser golden --k 5..20 --no-tail --schedule random --count 4 --npz",
    ];
    for (const [i, args] of runs.entries()) {
      const [first, again] = [join(folder, `${i}`), join(folder, `${i}-again`)];
      const one = await cliRun(first, ...args.split(" "));
      const two = await cliRun(again, "--from", join(first, "run.json"));
      const [a, b] = await Promise.all(
        [first, again].map((out) => Deno.readFile(join(out, "samples.npy"))),
      );
      assert.ok(a.length === b.length && a.every((byte, k) => byte === b[k]), args);
      assert.deepEqual(two.names, one.names);
      assert.deepEqual(two.record.arguments, one.record.arguments);
      assert.deepEqual(two.record.sigmas, one.record.sigmas);
    }
  }));

Deno.test("sample --from as a user runs it: the device is that of the record, the folder the usual one", () =>
  withFolder(async (folder) => {
    const first = join(folder, "first");
    const start = ["--data", "moons:50", "--count", "3", "--device", "float64", "--quiet"];
    assert.equal((await runSample(...start, "--out", first)).code, 0);
    const again = join(folder, "again");
    const { code, stdout } = await runSample("--from", join(first, "run.json"), "--out", again);
    assert.equal(code, 0);
    assert.match(stdout, /3 samples of moons: 50 items/);
    const [one, two] = [await readRun(first), await readRun(again)];
    assert.equal(two.record.device.kind, "float64");
    assert.deepEqual(two.samples, one.samples);
  }));

Deno.test("sample --from lets options on the command line go first, and drops what they leave without sense", () =>
  withFolder(async (folder) => {
    const first = join(folder, "first"), out = join(folder, "o");
    const given = "--data tiny-shapes:60 --class 0 --denoiser golden --k 5 --count 3 --steps 4";
    await cliRun(first, ...given.split(" "));
    const again = async (...args: string[]) =>
      (await cliRun(out, "--from", join(first, "run.json"), ...args)).record;
    const seeded = await again("--seed", "9", "--count", "2");
    assert.deepEqual([seeded.options.seed, seeded.options.count, seeded.options.steps], [9, 2, 4]);
    assert.deepEqual(seeded.options.subset, { k: 5 });
    const plain = await again("--denoiser", "wiener");
    assert.deepEqual([plain.options.denoiser, plain.options.subset], ["wiener", {}]);
    const other = await again("--data", "moons:70");
    assert.deepEqual([other.data.count, other.options.class], [70, undefined]);
  }));

Deno.test("sample --from refuses other data than those of the record, unless they are asked for", () =>
  withFolder(async (folder) => {
    const file = join(folder, "x.npy"), first = join(folder, "first"), out = join(folder, "o");
    const { data } = moons(20);
    await Deno.writeFile(file, encodeNpy(data as Float32Array, [20, 2]));
    await cliRun(first, "--data", `npy:${file}`, "--count", "2");
    await Deno.writeFile(file, encodeNpy(data.map((v) => v + 1) as Float32Array, [20, 2]));
    const from = ["--from", join(first, "run.json"), "--out", out];
    const { code, lines } = await failedRun(...from);
    assert.deepEqual([code, lines.length], [2, 1]);
    assert.match(lines[0], /^Cannot repeat .*run\.json: .*other data/);
    await cliRun(out, ...from, "--data", `npy:${file}`);
  }));

Deno.test("sample --from refuses other data of a streamed run, wherever the change is", () =>
  withFolder(async (folder) => {
    const file = join(folder, "x.npy"), first = join(folder, "first"), out = join(folder, "o");
    const data = moons(300).data as Float32Array;
    await Deno.writeFile(file, encodeNpy(data, [300, 2]));
    await cliRun(first, "--data", `npy:${file}`, "--stream", "--count", "2", "--steps", "2");
    const from = ["--from", join(first, "run.json"), "--out", out];
    await cliRun(out, ...from);
    for (const at of [0, 301, 599]) {
      await Deno.writeFile(file, encodeNpy(data.with(at, data[at] + 1), [300, 2]));
      const { code, lines } = await failedRun(...from);
      assert.deepEqual([code, lines.length], [2, 1]);
      assert.match(lines[0], /^Cannot repeat .*run\.json: .*300 items of 2 floats, are other data/);
    }
    await cliRun(out, ...from, "--data", `npy:${file}`);
    // Other data are not streamed because the first ones were.
    const { record } = await cliRun(out, ...from, "--data", "moons:70");
    assert.deepEqual([record.data.count, record.arguments.stream], [70, undefined]);
  }));

Deno.test("sample --stream whose data are rewritten in place in mid-run fails in one line, and writes nothing", () =>
  withFolder(async (folder) => {
    const file = join(folder, "x.npy"), out = join(folder, "o");
    const data = moons(5000).data as Float32Array;
    const shifted = encodeNpy(data.map((v) => v + 6) as Float32Array, [5000, 2]);
    for (const sampler of ["ddim", "heun"]) {
      await Deno.writeFile(file, encodeNpy(data, [5000, 2]));
      const args = ["--data", `npy:${file}`, "--stream", "--sampler", sampler];
      const running = failedRun(...args, "--steps", "900", "--out", out);
      // The folder is there before the first step.
      while (!await Deno.stat(out).then(() => true, () => false)) await new Promise(setImmediate);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const written = await Deno.open(file, { write: true });
      await written.write(shifted);
      written.close();
      const { code, lines } = await running;
      assert.deepEqual([code, lines.length], [2, 1], lines.join());
      assert.match(lines[0], /x\.npy: found other contents than a moment before/);
      assert.ok(!await Deno.stat(out).then(() => true, () => false));
    }
  }));

Deno.test("sample --from refuses other start noise than that of the record, unless it is asked for", () =>
  withFolder(async (folder) => {
    const init = join(folder, "init.npy"), first = join(folder, "first"), out = join(folder, "o");
    await Deno.writeFile(init, encodeNpy(Float32Array.of(1, 2, 3, 4), [2, 2]));
    const { record } = await cliRun(first, "--data", "moons:20", "--init", init);
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(init));
    assert.deepEqual(record.inputs, { init: new Uint8Array(digest).toHex() });
    const from = ["--from", join(first, "run.json")];
    await cliRun(out, ...from);
    await Deno.writeFile(init, encodeNpy(Float32Array.of(1, 2, 3, 5), [2, 2]));
    const { code, lines } = await failedRun(...from, "--out", out);
    assert.deepEqual([code, lines.length], [2, 1]);
    assert.match(lines[0], /^Cannot repeat .*run\.json: .*init\.npy is another file/);
    await cliRun(out, ...from, "--init", init);
    await Deno.remove(init);
    assert.match((await failedRun(...from)).lines[0], /init\.npy: found nothing there/);
  }));

Deno.test("sample --from finds the files of a run from another folder, whatever lies there under their names", () =>
  withFolder(async (folder) => {
    const [home, away] = ["home", "away"].map((name) => join(folder, name));
    for (const [place, shift] of [[home, 0], [away, 1]] as const) {
      await Deno.mkdir(join(place, "sub"), { recursive: true });
      const data = moons(20).data.map((v) => v + shift) as Float32Array;
      await Deno.writeFile(join(place, "sub/x.npy"), encodeNpy(data, [20, 2]));
      const init = Float32Array.of(1, 2, 3, 4).map((v) => v + shift);
      await Deno.writeFile(join(place, "init.npy"), encodeNpy(init, [2, 2]));
    }
    const start = async (where: string, ...args: string[]) => {
      const { code, stderr } = await startSample(["--quiet", ...args], where).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
    };
    const files = ["--data", "npy:sub/x.npy", "--init", "./init.npy"];
    await start(home, ...files, "--stream", "--device", "float64", "--out", "first");
    // The record may lie elsewhere too.
    await Deno.copyFile(join(home, "first/run.json"), join(away, "moved.json"));
    await start(away, "--from", "moved.json", "--out", "again");
    await start(join(away, "sub"), "--from", "../again/run.json", "--out", "third");
    const first = await readRun(join(home, "first"));
    assert.equal(first.record.options.data, "npy:sub/x.npy");
    assert.equal(first.record.arguments.data, `npy:${join(home, "sub/x.npy")}`);
    for (const place of ["again", "sub/third"]) {
      const again = await readRun(join(away, place));
      assert.deepEqual(again.samples, first.samples);
      assert.deepEqual(again.record.arguments, first.record.arguments);
    }
  }));

Deno.test("sample --from answers what is no record in one line, with exit code 2", () =>
  withFolder(async (folder) => {
    const record = (extra: object) => JSON.stringify({ package: PACKAGE, ...extra });
    const cases: [string, RegExp][] = [
      ["{", /no JSON/],
      ["[1]", /no record of a run/],
      ["null", /no record of a run/],
      ['{"package": 3}', /no record of a run/],
      [
        '{"package": "@closedform/diffusion@0.0.0", "arguments": {}}',
        /a record of @closedform\/diffusion@0\.0\.0, wanted the run\.json of a run by .*@\d/,
      ],
      [JSON.stringify({ package: "x\ny".repeat(200) }), /a record of x y/],
      [record({}), /without arguments/],
      [record({ arguments: [] }), /without arguments/],
      [record({ arguments: { bogus: "1" } }), /the option bogus/],
      [record({ arguments: { steps: 5 } }), /the option steps with 5/],
      [record({ arguments: { stream: false } }), /the option stream/],
      [record({ arguments: { out: "/etc" } }), /the option out/],
      [record({ arguments: { from: "x" } }), /the option from/],
      [record({ arguments: { toString: "x" } }), /the option toString/],
      [record({ arguments: { steps: "many" } }), /--steps many: wanted a whole number/],
    ];
    for (const [text, message] of cases) {
      const path = await write(folder, "run.json", text);
      const { code, lines } = await failedRun("--from", path, "--out", join(folder, "o"));
      assert.deepEqual([code, lines.length], [2, 1], text);
      assert.match(lines[0], message);
      assert.ok(!lines[0].includes("\n"));
    }
    const missing = await failedRun("--from", join(folder, "nowhere.json"));
    assert.equal(missing.code, 2);
    assert.match(missing.lines[0], /nowhere\.json: found nothing there/);
  }));
