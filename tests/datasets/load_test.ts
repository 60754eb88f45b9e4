import {
  builtinShapes,
  checkerboard,
  circle,
  DATASET_SPECS,
  DatasetError,
  encodeNpy,
  gaussianMixture,
  loadDataset,
  moons,
  readImages,
  readMesh,
  shapes,
  spirals,
} from "@closedform/diffusion";
import { zipSync } from "fflate";
import { Jimp } from "jimp";
import assert from "node:assert/strict";
import { encodeCifar, encodeIdx, someBytes } from "../_helpers/encode.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";
import { BOX_FACES, boxCorners, encodeObj } from "../_helpers/meshes.ts";

const GENERATED = {
  "builtin:shapes": builtinShapes,
  "moons:50": () => moons(50),
  "circle:50": () => circle(50),
  "checkerboard:50": () => checkerboard(50),
  "spirals:50": () => spirals(50),
  "gaussians:50": () => gaussianMixture(50),
  "shapes:50": () => shapes(50),
};

for (const [spec, expected] of Object.entries(GENERATED)) {
  Deno.test(`loadDataset("${spec}") generates, with a limit`, async () => {
    assert.deepEqual(await loadDataset(spec), await expected());
    assert.deepEqual((await loadDataset(spec, { limit: 7 })).data, (await expected()).take(7).data);
  });
}

Deno.test("loadDataset() reads each kind of path, with a limit", async () => {
  await withFolder(async (folder) => {
    const points = encodeNpy(Float32Array.of(1, 2, 3, 4), [2, 2]);
    await write(folder, "train-images-idx3-ubyte", encodeIdx([2, 1, 1], [3, 4]));
    await write(folder, "train-labels-idx1-ubyte", encodeIdx([2], [9, 0]));
    await write(folder, "x.npy", points);
    // A colon in a path is part of the path.
    await write(folder, "a:b.npz", zipSync({ "x.npy": points }));
    await write(folder, "x.csv", "1,2\n3,4\n");
    await write(folder, "x.obj", encodeObj(boxCorners(1, 1, 1), BOX_FACES));
    for (const name of ["0.png", "1.png"]) {
      const image = await new Jimp({ width: 2, height: 2, color: 0x804020ff }).getBuffer(
        "image/png",
      );
      await write(folder, `images/${name}`, new Uint8Array(image));
    }
    const shape: Record<string, number[]> = {
      [`mnist:${folder}`]: [1, 1, 1],
      [`npy:${folder}/x.npy`]: [2],
      [`npz:${folder}/a:b.npz`]: [2],
      [`csv:${folder}/x.csv`]: [2],
      [`mesh:${folder}/x.obj`]: [3],
      [`images:${folder}/images`]: [2, 2, 3],
    };
    for (const [spec, expected] of Object.entries(shape)) {
      const set = await loadDataset(spec, { limit: 1 });
      assert.deepEqual([set.count, set.shape], [1, expected], spec);
      assert.deepEqual((await loadDataset(spec)).take(1).data, set.data, spec);
    }
    const record = encodeCifar(someBytes(3072), [[3]]);
    await write(folder, "data_batch_1.bin", record);
    assert.equal((await loadDataset(`cifar10:${folder}`, { limit: 1 })).count, 1);
    await write(folder, "train.bin", encodeCifar(someBytes(3072), [[3, 4]]));
    assert.equal((await loadDataset(`cifar100:${folder}`, { limit: 1 })).count, 1);
    assert.equal((await readImages(`${folder}/images`)).count, 2);
  });
});

Deno.test("loadDataset() lists what exists when asked for what does not", async () => {
  for (
    const spec of ["", "moons", "moons:", "moons:0", "moons:-1", "moons:1.5", "moons:1e3", "suns:5"]
      .concat(["builtin:cats", "npy:", "toString:5", "constructor:x", ":5", "MNIST:x"])
  ) {
    await assert.rejects(loadDataset(spec), (error) => {
      assert.ok(error instanceof RangeError);
      assert.ok(
        error.message.startsWith(
          `Cannot load the data set ${spec}: wanted one of builtin:shapes, mnist:PATH`,
        ),
      );
      return true;
    });
  }
  await assert.rejects(loadDataset("moons:5", { limit: 0 }), RangeError);
  await assert.rejects(loadDataset("moons:5", { signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
});

Deno.test("loadDataset() hears its signal while any generator draws", async () => {
  const generators = DATASET_SPECS.filter((spec) => spec.endsWith(":N"));
  assert.ok(generators.includes("moons:N") && generators.includes("shapes:N"));
  for (const spec of generators) {
    const controller = new AbortController(), reason = new Error("enough");
    // A timer has its turn only if the generator gives one.
    setTimeout(() => controller.abort(reason));
    const drawn = loadDataset(spec.replace("N", "200000"), { signal: controller.signal });
    await assert.rejects(drawn, reason, spec);
  }
});

Deno.test("loadDataset() gives a DatasetError for each kind of path that is not there", async () => {
  const paths = DATASET_SPECS.filter((spec) => spec.endsWith(":PATH"));
  assert.equal(paths.length, 8);
  for (const spec of paths) {
    const promise = loadDataset(spec.replace("PATH", "/no/such/place"));
    await rejectsAbout(promise, "/no/such/place", /found nothing there/);
    await assert.rejects(promise, DatasetError);
  }
});

Deno.test("loadDataset() takes the size of images from its text, and cuts them to fit", () =>
  withFolder(async (folder) => {
    for (const [name, height, width] of [["a", 4, 9], ["b", 12, 3]] as const) {
      const image = new Jimp({ width, height, color: 0x804020ff });
      await write(folder, `${name}.png`, new Uint8Array(await image.getBuffer("image/png")));
    }
    await rejectsAbout(loadDataset(`images:${folder}`), `${folder}/b.png`, /images:PATH:64/);
    for (const [text, size] of [["8", 8], ["4x6", [4, 6]]] as const) {
      const set = await loadDataset(`images:${folder}:${text}`);
      assert.deepEqual(set, await readImages(folder, { size }), text);
      assert.equal(set.name, folder);
    }
  }));

Deno.test("loadDataset() tells the form of a path that comes without one", () =>
  withFolder(async (folder) => {
    await write(folder, "x.ply", "");
    await write(folder, "x.npy", "");
    const forms = { [folder]: "images", [`${folder}/x.ply`]: "mesh", [`${folder}/x.npy`]: "npy" };
    for (const [path, scheme] of Object.entries(forms)) {
      await assert.rejects(loadDataset(path), {
        name: "RangeError",
        message: `Cannot load the data set ${path}: wanted ${scheme}:${path}, or one of ${
          DATASET_SPECS.join(", ")
        }`,
      });
    }
  }));

Deno.test("loadDataset() takes the number of points of a mesh, their method and seed from its text", () =>
  withFolder(async (folder) => {
    const path = await write(folder, "a:b.obj", encodeObj(boxCorners(1, 1, 1), BOX_FACES));
    const options = {
      "": {},
      ":30": { count: 30 },
      ":30:farthest": { count: 30, method: "farthest" },
      ":30:area:7": { count: 30, method: "area", seed: 7 },
    } as const;
    for (const [text, wanted] of Object.entries(options)) {
      const [set, expected] = [
        await loadDataset(`mesh:${path}${text}`),
        await readMesh(path, wanted),
      ];
      assert.equal(set.count, expected.count);
      assert.ok(set.data.every((v, i) => v === expected.data[i]), text);
    }
    assert.equal((await loadDataset(`mesh:${path}:30`, { limit: 7 })).count, 7);
    await assert.rejects(loadDataset(`mesh:${path}:30:best`), DatasetError);
    await assert.rejects(loadDataset(`mesh:${path}:0`), DatasetError);
  }));
