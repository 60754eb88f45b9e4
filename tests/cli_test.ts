import {
  ddpmGrid,
  decodeNpy,
  encodeNpy,
  encodePng,
  karrasGrid,
  loadDataset,
  memorisedShare,
  nearestItems,
  sample,
  startNoise,
} from "@closedform/diffusion";
import { blankBitmap } from "../src/plots/bitmap.ts";
import { main } from "@closedform/diffusion/cli";
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { runSample, startSample } from "./_helpers/command.ts";
import { dataPath, hasData } from "./_helpers/data.ts";
import { testDevices } from "./_helpers/devices.ts";
import { npyHeader } from "./_helpers/encode.ts";
import { optimalFloat64 } from "./_helpers/float64.ts";

const webgpu = (await testDevices()).find(({ kind }) => kind === "webgpu")!;

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function samplesOf(folder: string): Promise<Float32Array> {
  const file = join(folder, "samples.npy");
  return decodeNpy(await Deno.readFile(file), file).data as Float32Array;
}

Deno.test("sample writes a picture, an array and a record, and says where they are", () =>
  inFolder(async (folder) => {
    const out = join(folder, "out");
    const { code, stdout } = await runSample(
      "--count",
      "5",
      "--limit",
      "100",
      "--out",
      out,
      "--trajectory",
    );
    assert.equal(code, 0);
    const names = ["run.json", "samples.npy", "samples.png", "trajectory.png"];
    assert.deepEqual([...Deno.readDirSync(out)].map(({ name }) => name).sort(), names);
    for (const name of names) assert.ok(stdout.includes(join(out, name)), name);
    for (const name of ["samples.png", "trajectory.png"]) {
      const png = await Deno.readFile(join(out, name));
      assert.deepEqual([...png.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
    }
    const { shape } = decodeNpy(await Deno.readFile(join(out, "samples.npy")), "samples.npy");
    assert.deepEqual(shape, [5, 32, 32, 3]);
    const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    assert.equal(record.options.count, 5);
    assert.equal(record.evaluations, 10);
    assert.deepEqual(record.sigmas, ddpmGrid(10).sigmas);
    assert.equal(record.steps.length, 10);
    assert.ok(record.steps[0].posterior.effectiveSampleSize.median > 50);
    assert.ok(record.references.length >= 2);
  }));

Deno.test("sample with start noise from a file agrees with the float64 sampler", () =>
  inFolder(async (folder) => {
    const init = Float32Array.from(startNoise(3, 0, 4, 3072));
    const file = join(folder, "init.npy");
    await Deno.writeFile(file, encodeNpy(init, [4, 32, 32, 3]));
    const { code, stderr } = await runSample(
      "--init",
      file,
      "--limit",
      "300",
      "--out",
      folder,
      "--quiet",
    );
    assert.equal(code, 0, stderr);
    const set = await loadDataset("builtin:shapes", { limit: 300 });
    const exact = await sample(optimalFloat64(set), { count: 4, init, output: "tensor" });
    const samples = await samplesOf(folder);
    // Samples end on training images; float32 rounding on the way must not change which.
    samples.forEach((v, i) =>
      assert.ok(Math.abs(v - exact.x[i]) < 1e-5, `number ${i}: ${v}, ${exact.x[i]}`)
    );
  }));

Deno.test("sample takes the axes of arrays as they are, and says what it recognised but for --quiet", () =>
  inFolder(async (folder) => {
    // Two images of 5 × 6 pixels and 3 channels, as floats in [0, 1], in both orders of axes.
    const last = Float32Array.from({ length: 180 }, (_, i) => (i * 37 % 101) / 100);
    const first = new Float32Array(180);
    last.forEach((v, at) => {
      const [i, p, c] = [Math.floor(at / 90), Math.floor(at % 90 / 3), at % 3];
      first[i * 90 + c * 30 + p] = v;
    });
    const init = Float32Array.from(startNoise(3, 0, 2, 90));
    const write = async (name: string, data: Float32Array, shape: number[]) => {
      await Deno.writeFile(join(folder, name), encodeNpy(data, shape));
      return join(folder, name);
    };
    const data = `npy:${await write("first.npy", first, [2, 3, 5, 6])}`;
    const draw = async (...args: string[]) => {
      const { code, stderr } = await runSample("--device", "wasm", "--out", folder, ...args);
      assert.equal(code, 0, stderr);
      const file = await Deno.readFile(join(folder, "samples.npy"));
      const png = await Deno.readFile(join(folder, "samples.png"));
      return { ...decodeNpy(file, "samples.npy"), png, stderr };
    };
    const given = ["--init", await write("init.npy", init, [2, 5, 6, 3])];
    const found = await draw("--data", data, ...given);
    assert.match(found.stderr, /first\.npy: \[2,3,5,6\] is taken as images of 3 channels first\n/);
    assert.match(found.stderr, /first\.npy: numbers are drawn black to white from 0 to 1\n/);
    assert.deepEqual(found.shape, [2, 5, 6, 3]);
    const plain = await draw(
      ...["--data", `npy:${await write("last.npy", last, [2, 5, 6, 3])}`, "--quiet"],
      ...["--init", await write("flat.npy", init, [2, 90])],
    );
    assert.equal(plain.stderr, "");
    const streamed = await draw("--data", data, "--stream", ...given);
    const named = await draw("--data", data, "--layout", "channels-first", ...given);
    assert.doesNotMatch(named.stderr, /taken as/);
    for (const other of [plain, streamed, named]) {
      assert.deepEqual([other.data, other.png], [found.data, found.png]);
    }
  }));

Deno.test("sample gives the same bytes twice, and more samples begin with the same ones", () =>
  inFolder(async (folder) => {
    const draw = async (name: string, ...args: string[]) => {
      const out = join(folder, name);
      const { code, stderr } = await runSample("--limit", "500", "--quiet", "--out", out, ...args);
      assert.deepEqual([code, stderr], [0, ""]);
      return await Deno.readFile(join(out, "samples.npy"));
    };
    const [a, b, c] = [
      await draw("a", "--count", "3", "--seed", "4"),
      await draw("b", "--count", "3", "--seed", "4"),
      await draw("c", "--count", "70", "--seed", "4"),
    ];
    assert.deepEqual(a, b);
    const [few, many] = [a, c].map((bytes) => decodeNpy(bytes, "samples.npy").data);
    assert.deepEqual(few, many.slice(0, few.length));
  }));

Deno.test({
  name: `sample agrees between webgpu and wasm${webgpu.skip ? `, skipped: ${webgpu.skip}` : ""}`,
  ignore: webgpu.skip !== undefined,
  fn: () =>
    inFolder(async (folder) => {
      const draw = async (device: string) => {
        const { code, stderr } = await runSample(
          ...["--device", device, "--limit", "500", "--count", "8", "--quiet", "--out", folder],
        );
        assert.deepEqual([code, stderr], [0, ""]);
        return await samplesOf(folder);
      };
      const [a, b] = [await draw("wasm"), await draw("webgpu")];
      // The last step returns images, up to the rounding of a mean of values up to 1.
      a.forEach((v, i) => assert.ok(Math.abs(v - b[i]) < 1e-5, `number ${i}: ${v}, ${b[i]}`));
    }),
});

Deno.test("sample draws the same from data that stay on disk, and says so", () =>
  inFolder(async (folder) => {
    const images = await loadDataset("builtin:shapes", { limit: 90 });
    const points = await loadDataset("moons:80");
    for (const { name, data, count, shape } of [images, points]) {
      const file = join(folder, "data.npy");
      await Deno.writeFile(file, encodeNpy(data, [count, ...shape]));
      const draw = async (...args: string[]) => {
        const { code, stdout, stderr } = await runSample(
          ...["--data", `npy:${file}`, "--count", "4", "--limit", "70", "--trajectory"],
          ...["--grid", "uniform-t", "--out", folder, ...args],
        );
        assert.equal(code, 0, stderr);
        const record = JSON.parse(await Deno.readTextFile(join(folder, "run.json")));
        const png = await Deno.readFile(join(folder, "samples.png"));
        return { samples: await samplesOf(folder), png, record, stdout, stderr };
      };
      const [whole, streamed] = [await draw(), await draw("--stream")];
      // The last step takes a mean of values up to 2; what earlier steps round does not change of which.
      whole.samples.forEach((v, i) =>
        assert.ok(Math.abs(v - streamed.samples[i]) < 1e-5, `${name}: number ${i}`)
      );
      assert.deepEqual(streamed.png, whole.png);
      assert.deepEqual(streamed.record.topItem, whole.record.topItem);
      assert.match(whole.record.data.sha256, /^[0-9a-f]{64}$/);
      assert.deepEqual(streamed.record.data, { ...whole.record.data, streamed: true });
      assert.equal(whole.record.data.streamed, false);
      const summary = `data.npy: 70 items of ${shape.join("×")}`;
      assert.ok(streamed.stdout.includes(summary), streamed.stdout);
      assert.match(streamed.stderr, /^the data stay on disk.*data\.npy: 70 items/m);
      assert.doesNotMatch(whole.stderr, /stay on disk/);
    }
  }));

Deno.test("sample leaves an array above 1 GiB on disk, unless few items of it are wanted", () =>
  inFolder(async (folder) => {
    const file = join(folder, "large.npy");
    const [count, dimension] = [2 ** 18 + 1, 2 ** 12];
    const header = npyHeader([count, dimension]);
    await Deno.writeFile(file, header);
    // A sparse file: it takes no room.
    await Deno.truncate(file, header.length + count * dimension);
    for (const [args, streamed] of [[[], true], [["--limit", "5"], false]] as const) {
      const { code, stderr } = await runSample(
        ...["--data", `npy:${file}`, "--count", "1", "--steps", "1", "--out", folder, ...args],
      );
      assert.equal(code, 0, stderr);
      const { data } = JSON.parse(await Deno.readTextFile(join(folder, "run.json")));
      assert.deepEqual([data.count, data.streamed], [streamed ? count : 5, streamed]);
      assert.ok((await samplesOf(folder)).every((v) => v === -1));
    }
  }));

Deno.test("sample prints the record with --json, nothing with --quiet, and help with --help", () =>
  inFolder(async (folder) => {
    const args = ["--data", "moons:50", "--count", "3", "--out", folder];
    const json = await runSample(...args, "--json", "--quiet");
    assert.equal(JSON.parse(json.stdout).data.count, 50);
    assert.equal(json.stderr, "");
    assert.deepEqual(await runSample(...args, "--quiet"), { code: 0, stdout: "", stderr: "" });
    const help = await runSample("--help");
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--data SPEC/);
  }));

Deno.test("sample answers what it cannot do in one line, with exit code 2 and no file", () =>
  inFolder(async (folder) => {
    const truncated = join(folder, "truncated");
    await Deno.mkdir(truncated);
    const header = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4, 1, 2, 3);
    await Deno.writeFile(join(truncated, "train-images-idx3-ubyte"), header);
    await Deno.writeFile(
      join(truncated, "train-labels-idx1-ubyte"),
      Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 0, 1),
    );
    const mixed = join(folder, "mixed");
    await Deno.mkdir(mixed);
    await Deno.writeFile(join(mixed, "a.png"), await encodePng(blankBitmap(8, 8)));
    await Deno.writeFile(join(mixed, "b.png"), await encodePng(blankBitmap(9, 8)));
    const noise = join(folder, "noise.npy");
    await Deno.writeFile(noise, encodeNpy(new Float32Array(6), [2, 3]));
    const turned = join(folder, "turned.npy");
    await Deno.writeFile(turned, encodeNpy(new Float32Array(3072), [1, 3, 32, 32]));
    const latents = join(folder, "latents.npy");
    await Deno.writeFile(latents, encodeNpy(new Float32Array(200), [2, 4, 5, 5]));
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "not a folder");

    const cases: [string[], RegExp][] = [
      [["--bogus"], /--bogus: .*wanted one of --data/],
      [["--steps", "ten"], /--steps ten: wanted a whole number/],
      [["--steps", "0"], /--steps 0/],
      [["--steps", "2000"], /--steps 2000/],
      [["--steps"], /--steps/],
      [["--count", "-3"], /--count/],
      [["--grid", "linear"], /wanted one of ddpm, karras/],
      [["--sampler", "magic"], /wanted one of ddim/],
      [["--denoiser", "magic"], /wanted one of optimal/],
      [["--device", "abacus"], /wanted one of auto, webgpu/],
      [["extra"], /extra/],
      [["--data", "suns:5"], /suns:5.*wanted one of builtin:shapes/],
      [["--data", "moons:0"], /moons:0/],
      [["--data", `mnist:${join(folder, "nowhere")}`], /nowhere/],
      [["--data", `mnist:${truncated}`], /train-images-idx3-ubyte.*wanted/],
      [["--data", `images:${mixed}`], /b\.png.*9.*8/],
      [["--class", "hexagon"], /hexagon.*wanted one of/],
      [["--data", "circle:10", "--class", "1"], /class 1/],
      [["--stream"], /--stream with --data builtin:shapes: wanted npy:FILE/],
      [["--stream", "--data", `npy:${noise}`, "--class", "1"], /class 1.*no labels/],
      [["--stream", "--data", `npy:${file}`], /file.*magic/],
      [["--data", `npy:${join(folder, "no.npy")}`], /no\.npy.*nothing there/],
      [["--init", join(folder, "nowhere.npy")], /nowhere\.npy/],
      [["--init", noise], /noise\.npy.*\[2, 3\].*wanted float32 numbers/],
      // As many numbers as the data have, in another order.
      [["--init", turned], /\[1, 3, 32, 32\], wanted .*\[count, 32, 32, 3\] or \[count, 3072\]/],
      [["--layout", "flat"], /--layout with --data builtin:shapes: wanted npy:FILE or npz:FILE/],
      [
        ["--layout", "nchw", "--data", `npy:${noise}`],
        /--layout nchw: wanted one of channels-last/,
      ],
      [
        ["--layout", "channels-first", "--data", `npy:${noise}`],
        /noise\.npy.*\[2,3\].*channels-first/,
      ],
      [["--data", `npy:${latents}`], /\[2,4,5,5\].*--layout/],
      [["--out", join(file, "below")], /Cannot write .*, wanted a folder that takes files/],
    ];
    for (const [args, message] of cases) {
      const out = join(folder, "out");
      const { code, stdout, stderr } = await runSample("--out", out, ...args);
      const lines = stderr.trim().split("\n");
      assert.deepEqual([code, stdout, lines.length], [2, "", 1], `${args}: ${stderr}`);
      assert.match(lines[0], message);
      assert.throws(() => Deno.statSync(out), Deno.errors.NotFound, `${args} left a folder`);
    }
  }));

Deno.test("sample interrupted in mid-run exits 130 and leaves no file", () =>
  inFolder(async (folder) => {
    const out = join(folder, "out");
    const child = startSample(["--count", "500", "--steps", "500", "--out", out]);
    // Interrupt once the first quarter or the device line shows that it runs.
    const reader = child.stderr.getReader();
    await reader.read();
    child.kill("SIGINT");
    const status = await child.status;
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      rest += new TextDecoder().decode(part.value);
    }
    await child.stdout.cancel();
    assert.equal(status.code, 130, rest);
    assert.match(rest, /Interrupted: nothing was written/);
    assert.throws(() => Deno.statSync(out), Deno.errors.NotFound);
  }));

Deno.test("main() returns the exit code", async () => {
  assert.equal(await main(["--grid", "none"]), 2);
});

for (
  const [name, spec, folder] of [
    ["MNIST", "mnist", "mnist"],
    ["CIFAR-10", "cifar10", "cifar-10-batches-bin"],
  ]
) {
  const present = hasData(folder);
  Deno.test({
    name: `the exact sampler memorises ${name}${present ? "" : ", skipped: no data"}`,
    ignore: !present,
    fn: () =>
      inFolder(async (out) => {
        const data = `${spec}:${dataPath(folder)}`;
        const { code, stderr } = await runSample(
          ...[
            "--data",
            data,
            "--grid",
            "karras",
            "--steps",
            "50",
            "--count",
            "8",
            "--quiet",
            "--out",
            out,
          ],
        );
        assert.deepEqual([code, stderr], [0, ""]);
        assert.equal(karrasGrid(50).sigmas.at(-2), 0.002);
        const set = await loadDataset(data);
        const found = await nearestItems(await samplesOf(out), set);
        assert.equal(memorisedShare(found), 1);
        const { topItem } = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
        assert.deepEqual([...found.nearest], topItem);
      }),
  });
}

Deno.test("a full standard output does not hide where the files are, and a closed one is no fault", () =>
  inFolder(async (folder) => {
    const out = join(folder, "out");
    const shell = async (line: string) => {
      const { code, stderr } = await new Deno.Command("sh", {
        args: [
          "-c",
          line,
          "sh",
          Deno.execPath(),
          "run",
          "-A",
          "src/cli.ts",
          "--out",
          out,
          "--count",
          "1",
        ],
        cwd: fromFileUrl(new URL("..", import.meta.url)),
      }).output();
      return { code, stderr: new TextDecoder().decode(stderr) };
    };
    const full = await shell('"$@" > /dev/full');
    assert.equal(full.code, 1);
    assert.match(
      full.stderr,
      /standard output: No space left on device .* files are whole: .*samples\.npy/,
    );
    assert.ok((await samplesOf(out)).length > 0);
    const closed = await shell('{ "$@"; echo "code $?" >&2; } | head -c 1');
    assert.match(closed.stderr, /code 0\n$/);
  }));
