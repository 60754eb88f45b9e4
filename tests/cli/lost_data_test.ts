/** What a run reads, and what is somebody else's, stays as it is, by whatever name it is called. */
import { encodeNpy, encodeNpz, encodePng, moons } from "@closedform/diffusion";
import { join } from "@std/path";
import { zipSync } from "fflate";
import assert from "node:assert/strict";
import { main as trainCodec } from "../../src/cli/train_codec.ts";
import { cliRun, failedRun } from "../_helpers/cli_runs.ts";
import { withFolder, write } from "../_helpers/files.ts";

const QUICK = ["--count", "2", "--steps", "2"];
const POINTS = encodeNpy(moons(20).data as Float32Array, [20, 2]);
const FLOATS = moons(20).data as Float32Array;
const PNG = await encodePng({ width: 8, height: 8, data: new Uint8Array(256).fill(255) });
/** A tetrahedron. */
const MESH = new TextEncoder().encode(
  "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n" +
    "element face 4\nproperty list uchar int vertex_indices\nend_header\n" +
    "0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n",
);

/** All files below a folder, by their names. */
function contents(folder: string, inner = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(join(folder, inner))) {
    const path = inner === "" ? name : `${inner}/${name}`;
    if (isSymlink) found[path] = Deno.readLinkSync(join(folder, path));
    else if (isDirectory) Object.assign(found, contents(folder, path));
    else found[path] = Deno.readFileSync(join(folder, path)).toHex();
  }
  return found;
}

/** Fails unless the run ends with code 2 and one line, and leaves all files of a folder as they were. */
async function refused(folder: string, message: RegExp, ...args: string[]): Promise<void> {
  for (const insist of [[], ["--overwrite"]]) {
    const before = contents(folder);
    const { code, lines } = await failedRun(...QUICK, ...args, ...insist);
    assert.deepEqual([code, lines.length], [2, 1], lines.join("\n"));
    assert.match(lines[0], message);
    assert.deepEqual(contents(folder), before);
  }
}

Deno.test("sample never writes over its input, whatever its kind, not even with --overwrite", () =>
  withFolder(async (folder) => {
    const inputs: [string, Uint8Array, string, string[]][] = [
      ["samples.npy", POINTS, "npy", []],
      ["samples.npy", POINTS, "npy", ["--stream"]],
      ["samples.npz", encodeNpz({ x: { data: FLOATS, shape: [20, 2] } }), "npz", ["--npz"]],
      ["samples.ply", MESH, "mesh", []],
      ["samples.png", new TextEncoder().encode("1,2\n3,4\n"), "csv", []],
      ["samples.npz", zipSync({ "a/x.png": PNG, "b/y.png": PNG }), "images", ["--npz"]],
      ["trajectory.png", POINTS, "npy", ["--trajectory"]],
      ["run.json", POINTS, "npy", []],
    ];
    for (const [k, [name, bytes, scheme, args]] of inputs.entries()) {
      const d = join(folder, `${k}`);
      const path = await write(d, name, bytes);
      const more = scheme === "mesh" ? ":20" : scheme === "images" ? ":8" : "";
      const data = ["--data", `${scheme}:${path}${more}`, ...args];
      await refused(folder, /what --data reads, wanted another --out$/, ...data, "--out", d);
    }
  }));

Deno.test("sample knows its input by every path and link to it", () =>
  withFolder(async (folder) => {
    const d = join(folder, "d"), path = await write(d, "samples.npy", POINTS);
    await Deno.symlink(d, join(folder, "linked"));
    await Deno.symlink(path, join(folder, "link.npy"));
    await Deno.link(path, join(folder, "hard.npy"));
    const ways = [
      ...["d/samples.npy", "d/../d/./samples.npy", "linked/samples.npy", "link.npy", "hard.npy"],
    ];
    for (const way of ways) {
      for (const out of ["d", "linked", "./d/../d/", "d/"]) {
        const args = ["--data", `npy:${folder}/${way}`, "--out", `${folder}/${out}`];
        await refused(folder, /what --data reads/, ...args);
      }
    }
    // The other way round: the link lies where the run would write.
    const e = join(folder, "e");
    await Deno.mkdir(e);
    for (const link of [Deno.symlink, Deno.link]) {
      await link(path, join(e, "samples.npy"));
      await refused(folder, /what --data reads/, "--data", `npy:${path}`, "--out", e);
      await Deno.remove(join(e, "samples.npy"));
    }
  }));

Deno.test("sample writes no picture among the images that it reads, and over none of them", () =>
  withFolder(async (folder) => {
    const imgs = join(folder, "imgs");
    await write(imgs, "a/x.png", PNG);
    await write(imgs, "b/samples.png", PNG);
    await Deno.symlink(imgs, join(folder, "linked"));
    const data = ["--data", `images:${imgs}:8`];
    for (const out of ["imgs", "imgs/a", "imgs/new", "imgs/new/deep", "linked", "linked/new"]) {
      await refused(folder, /among the images of --data/, ...data, "--out", join(folder, out));
    }
    await refused(folder, /among the images of --data/, ...data, "--out", join(imgs, "b"));
    await Deno.mkdir(join(folder, "e"));
    await Deno.link(join(imgs, "a/x.png"), join(folder, "e/samples.png"));
    await refused(folder, /what --data reads/, ...data, "--out", join(folder, "e"));
    // Beside them is no matter, nor a folder whose name begins like theirs.
    await cliRun(join(folder, "imgs-out"), ...QUICK, ...data);
  }));

Deno.test("sample never writes over its start noise, or the record that it repeats", () =>
  withFolder(async (folder) => {
    const d = join(folder, "d");
    const init = await write(d, "samples.npy", encodeNpy(Float32Array.of(1, 2, 3, 4), [2, 2]));
    const from = ["--data", "moons:20", "--init", init, "--out", d];
    await refused(folder, /what --init reads/, ...from);
    const first = join(folder, "first");
    await cliRun(first, "--data", "moons:20", ...QUICK);
    await refused(folder, /what --from reads/, "--from", join(first, "run.json"), "--out", first);
    await refused(
      folder,
      /what --init reads/,
      ...["--data", "moons:20", "--init", join(first, "samples.npy"), "--out", first],
    );
  }));

Deno.test("sample leaves files of others with its names, and says which are in its way", () =>
  withFolder(async (folder) => {
    const others = [
      "trajectory.png",
      "samples.npz",
      "samples.ply",
      `x.${crypto.randomUUID()}.part`,
    ];
    for (const name of others) await write(folder, name, `my ${name}`);
    const week = new Date(Date.now() - 7 * 24 * 60 * 60 * 1000);
    for (const name of others) await Deno.utime(join(folder, name), week, week);
    const before = contents(folder);
    const args = ["--data", "moons:20", ...QUICK];
    const again = ["--trajectory", "--npz"];
    // Before any work is done: a million steps would take hours.
    const { code, lines } = await failedRun(
      ...["--data", "moons:20", "--steps", "100000", "--grid", "karras", "--count", "1000"],
      ...["--out", folder, ...again],
    );
    assert.equal(code, 2);
    assert.match(lines[0], /^Cannot write .*trajectory\.png: a file is there that is not of an/);
    assert.deepEqual(contents(folder), before);
    for (let k = 0; k < 2; k++) {
      const { names, record } = await cliRun(folder, ...args, "--seed", `${k}`);
      assert.deepEqual(names, [...others, "samples.png", "samples.npy", "run.json"].sort());
      for (const name of others) assert.equal(contents(folder)[name], before[name]);
      const samples = await crypto.subtle.digest(
        "SHA-256",
        await Deno.readFile(join(folder, "samples.npy")),
      );
      assert.equal(record.files["samples.npy"], new Uint8Array(samples).toHex());
      assert.deepEqual(Object.keys(record.files), ["samples.png", "samples.npy"]);
    }
    await cliRun(folder, ...args, ...again, "--overwrite");
    const { names } = await cliRun(folder, ...args);
    // Those that were overwritten are the run's by now, and go with it.
    assert.deepEqual(
      names,
      ["run.json", "samples.npy", "samples.ply", "samples.png", others[3]].sort(),
    );
  }));

/** The exit code and the lines of a training. */
async function training(...args: string[]) {
  const error = console.error, lines: string[] = [];
  console.error = (line: string) => void lines.push(line);
  const sizes = ["--latents", "1", "--components", "2", "--width", "2", "--steps", "1"];
  try {
    return { code: await trainCodec([...sizes, "--quiet", ...args]), lines };
  } finally {
    console.error = error;
  }
}

Deno.test("train:codec never writes over its data, nor without --overwrite over what is no autoencoder", () =>
  withFolder(async (folder) => {
    const path = await write(folder, "a.npy", POINTS);
    await write(folder, "imgs/x.png", PNG);
    await write(folder, "imgs/y.png", PNG);
    await Deno.link(path, join(folder, "hard.npy"));
    await Deno.symlink(path, join(folder, "link.npy"));
    const other = await write(folder, "notes.safetensors", "my notes");
    await Deno.mkdir(join(folder, "full"));
    const cases: [string, string, RegExp][] = [
      [`npy:${path}`, path, /what --data reads/],
      [`npy:${path}`, `${folder}/./imgs/../a.npy`, /what --data reads/],
      [`npy:${path}`, join(folder, "hard.npy"), /what --data reads/],
      [`npy:${path}`, join(folder, "link.npy"), /what --data reads/],
      [`npy:${join(folder, "link.npy")}`, path, /what --data reads/],
      [`images:${folder}/imgs`, `${folder}/imgs/x.png`, /among the images/],
      [`images:${folder}/imgs`, `${folder}/imgs/z.png`, /among the images/],
      [`npy:${path}`, join(folder, "full"), /a folder is there/],
    ];
    const before = contents(folder);
    for (const insist of [[], ["--overwrite"]]) {
      for (const [data, out, message] of cases) {
        const { code, lines } = await training("--data", data, "--out", out, ...insist);
        assert.deepEqual([code, lines.length], [2, 1], lines.join());
        assert.match(lines[0], message);
        assert.deepEqual(contents(folder), before);
      }
    }
    const to = ["--data", `npy:${path}`, "--out", other];
    const { code, lines } = await training(...to);
    assert.equal(code, 2);
    assert.match(
      lines[0],
      /notes\.safetensors: a file is there that is no autoencoder, .*--overwrite$/,
    );
    assert.deepEqual(contents(folder), before);
    assert.equal((await training(...to, "--overwrite")).code, 0);
    // An earlier autoencoder is its own.
    assert.equal((await training(...to, "--seed", "2")).code, 0);
    assert.deepEqual(Object.keys(contents(folder)).sort(), Object.keys(before).sort());
  }));
