import {
  encodeDataset,
  encodeNpy,
  loadAutoencoder,
  loadDataset,
  openDevice,
  optimal,
  pcaCodec,
  readNpz,
  sample,
  startNoise,
  wasserstein2,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { encodeAutoencoder, trainAutoencoder, writeWhole } from "@closedform/diffusion/training";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { parseOptions, UsageError } from "../../src/cli/options.ts";
import { cliRun, failedRun } from "../_helpers/cli_runs.ts";
import { withFolder } from "../_helpers/files.ts";

const IMAGES = ["--data", "tiny-shapes:200", "--count", "3"];

Deno.test("sample --codec pca:R samples latents and decodes them, as the library does", () =>
  withFolder(async (out) => {
    const { record, samples, shape, names } = await cliRun(
      out,
      ...IMAGES,
      ...["--codec", "pca:6", "--npz", "--trajectory"],
    );
    const dataset = await loadDataset("tiny-shapes:200");
    using codec = await pcaCodec(dataset, { rank: 6 });
    using device = await openDevice("wasm");
    using denoiser = await optimal(await encodeDataset(dataset, codec), { device });
    const { x, denoised } = await sample(denoiser, { count: 3, output: "tensor" });
    const latents = Float32Array.from(await tensorSpace.values(x));
    tensorSpace.dispose(x, denoised);
    const expected = await codec.decode(latents);
    assert.deepEqual(shape, [3, ...dataset.shape]);
    assert.ok(samples.every((v, i) => v === expected[i]));
    assert.deepEqual(record.codec, { label: codec.label, latentDimension: 6 });
    assert.deepEqual(record.options.codec, { kind: "pca", rank: 6 });
    assert.deepEqual(record.data.shape, dataset.shape);
    assert.ok(record.references.includes(codec.references[0]));
    assert.deepEqual(names, [
      "run.json",
      "samples.npy",
      "samples.npz",
      "samples.png",
      "trajectory.png",
    ]);
    const archive = join(out, "samples.npz");
    const kept = await readNpz(archive, { key: "latents" });
    assert.deepEqual(kept.shape, [6]);
    assert.ok(kept.data.every((v, i) => v === latents[i]));
    assert.deepEqual((await readNpz(archive, { key: "states" })).shape, [3, 6]);
  }));

Deno.test("sample takes other denoisers and samplers, start noise and teleports into latents", () =>
  withFolder(async (out) => {
    const all = ["--codec", "pca", "--grid", "karras", "--steps", "6"];
    const runs = [
      "--denoiser smoothed --bandwidth 0.5",
      "--denoiser wiener --sampler heun",
      "--denoiser mixture --components 2",
      "--denoiser golden --k 20",
      "--sampler dpmpp-2m --teleport auto",
    ];
    for (const args of runs) {
      const { record, samples, shape } = await cliRun(
        out,
        ...IMAGES,
        ...all,
        ...args.split(" "),
      );
      assert.ok(samples.every(Number.isFinite), args);
      assert.equal(shape[0], 3);
      assert.ok(record.codec.latentDimension > 1);
    }
    const init = join(out, "init.npy");
    await Deno.writeFile(init, encodeNpy(Float32Array.from(startNoise(0, 0, 3, 4)), [3, 4]));
    const args = [...IMAGES, "--codec", "pca:4"];
    const [seeded, given] = [
      await cliRun(out, ...args),
      await cliRun(out, ...args, "--init", init),
    ];
    // Noise as a file is rounded to float32; the optimal denoiser ends at the same items.
    assert.deepEqual(given.record.topItem, seeded.record.topItem);
  }));

Deno.test("sample --codec pca of all components draws what the data's own space draws", () =>
  withFolder(async (out) => {
    const args = ["--data", "moons:200", "--count", "200", "--grid", "uniform-t", "--steps", "200"];
    const latent = await cliRun(out, ...args, "--codec", "pca:2");
    const data = await loadDataset("moons:200");
    // The optimal denoiser ends at items, in either space; three steps of it are at most 1/200 wide.
    const found = latent.record.topItem as number[];
    const items = Float32Array.from(found.flatMap((i) => [...data.values(i)]));
    const { distance } = await wasserstein2(latent.samples, items, { dimension: 2 });
    assert.ok(distance < 0.02, `${distance}`);
  }));

Deno.test("sample says in one line which codecs there are, and what latents cannot do", () =>
  withFolder(async (folder) => {
    const cases: [string, RegExp][] = [
      ["--codec zip", /--codec zip: wanted one of pca, pca:R/],
      ["--codec pca:0", /--codec pca:0/],
      ["--codec pca:x", /--codec pca:x/],
      ["--codec pca --stream --data npy:x.npy", /--codec with --stream/],
      ["--codec pca --denoiser local", /latents are no images, wanted one of optimal, wiener/],
    ];
    for (const [args, message] of cases) {
      assert.throws(() => parseOptions(args.split(" ")), (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        return true;
      });
    }
    const out = join(folder, "o");
    const { code, lines } = await failedRun("--out", out, ...IMAGES, "--codec", "pca:99999");
    assert.deepEqual([code, lines.length], [2, 1], lines.join());
    assert.match(lines[0], /^Cannot use --codec: /);
    const init = join(folder, "init.npy");
    await Deno.writeFile(init, encodeNpy(new Float32Array(6), [3, 2]));
    const shapes = await failedRun("--out", out, ...IMAGES, "--codec", "pca:4", "--init", init);
    assert.match(shapes.lines.at(-1)!, /\[3, 2\], wanted float32 numbers of shape \[3, 4\]/);
    assert.equal(shapes.code, 2);
  }));

Deno.test("sample --codec autoencoder:PATH samples latents of a trained autoencoder and decodes them", () =>
  withFolder(async (folder) => {
    const dataset = await loadDataset("tiny-shapes:200"), file = join(folder, "codec.safetensors");
    const trained = await trainAutoencoder(dataset, {
      latentDimension: 6,
      components: 30,
      width: 16,
      steps: 10,
      cache: false,
      backend: "wasm",
    });
    await writeWhole(file, encodeAutoencoder(trained));
    const out = join(folder, "o"), option = ["--codec", `autoencoder:${file}`];
    const { record, samples, shape } = await cliRun(out, ...IMAGES, ...option);
    using codec = await loadAutoencoder(file);
    using device = await openDevice("wasm");
    using denoiser = await optimal(await encodeDataset(dataset, codec), { device });
    const { x, denoised } = await sample(denoiser, { count: 3, output: "tensor" });
    const expected = await codec.decode(Float32Array.from(await tensorSpace.values(x)));
    tensorSpace.dispose(x, denoised);
    assert.deepEqual(shape, [3, ...dataset.shape]);
    assert.ok(samples.every((v, i) => v === expected[i]));
    assert.deepEqual(record.options.codec, { kind: "autoencoder", path: file });
    assert.ok(record.references.includes(codec.references[0]));
    const points = await failedRun("--out", out, "--data", "moons:50", ...option);
    assert.deepEqual([points.code, points.lines.length], [2, 1], points.lines.join());
    assert.match(points.lines[0], /shape \[2\], wanted \[12,12,1\]/);
    await Deno.writeFile(file, (await Deno.readFile(file)).subarray(0, 1000));
    const half = await failedRun("--out", out, ...IMAGES, ...option);
    assert.deepEqual([half.code, half.lines.length], [2, 1], half.lines.join());
    assert.match(half.lines[0], /Cannot read .*: found 1000 bytes/);
    assert.throws(() => parseOptions(["--codec", "autoencoder:"]), UsageError);
  }));
