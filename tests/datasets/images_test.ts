import { type Dataset, type ImagesOptions, readImages } from "@closedform/diffusion";
import { fromFileUrl } from "@std/path";
import { zipSync } from "fflate";
import { Jimp } from "jimp";
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { decodeInThread, decodeWith, JIMP } from "../../src/datasets/_image_thread.ts";
import { someBytes } from "../_helpers/encode.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";
import { ihdr, type JpegColours, png, withColours, withOrientation } from "../_helpers/images.ts";

type Pixel = (x: number, y: number) => [number, number, number, number];

async function encode(
  width: number,
  height: number,
  pixel: Pixel,
  type: "image/png" | "image/jpeg" = "image/png",
): Promise<Uint8Array> {
  const data = Uint8Array.from(
    Array.from({ length: width * height }, (_, i) => pixel(i % width, Math.floor(i / width)))
      .flat(),
  );
  return new Uint8Array(await Jimp.fromBitmap({ width, height, data }).getBuffer(type));
}

const RED: Pixel = () => [255, 0, 0, 255];
const GREY: Pixel = (x, y) => [40 * x + y, 40 * x + y, 40 * x + y, 255];

const NONE = new Uint8Array(0);

Deno.test("readImages() takes sub-folders as classes, in the order of the sorted names", async () => {
  await withFolder(async (folder) => {
    const value = (v: number): Pixel => () => [v, 0, 255 - v, 255];
    await write(folder, "b/2.png", await encode(3, 2, value(2)));
    await write(folder, "b/10.PNG", await encode(3, 2, value(1)));
    await write(folder, "a-b/x.png", await encode(3, 2, value(0)));
    await write(folder, "read.me", "text");
    await write(folder, "b/notes", "text");
    await write(folder, "b/.hidden.png", "text");
    await write(folder, ".git/x.png", "text");
    await write(folder, "b/deeper/and deeper/ü.png", await encode(3, 2, value(3)));
    await write(folder, "b/deeper/.git/x.png", "text");
    await Deno.mkdir(`${folder}/empty`);
    const set = await readImages(folder);
    assert.deepEqual(set.shape, [2, 3, 3]);
    assert.deepEqual(set.classNames, ["a-b", "b"]);
    assert.deepEqual([...set.labels!], [0, 1, 1, 1]);
    assert.deepEqual([0, 1, 2, 3].map((i) => set.data[18 * i]), [0, 1, 2, 3]);
    // One image outside of all folders has no class, and then there are none.
    await write(folder, "z.png", await encode(3, 2, value(4)));
    const mixed = await readImages(folder);
    assert.deepEqual([mixed.count, mixed.classNames, mixed.labels], [5, undefined, undefined]);
  });
});

/** The classes of images in a folder and in a zip archive of it, which are the same, and what is noted. */
async function classesIn(
  folder: string,
  files: Record<string, Uint8Array | string>,
): Promise<{ labels?: number[]; classNames?: readonly string[]; notes: string[] }> {
  const zipped: Record<string, Uint8Array> = {};
  for (const [name, content] of Object.entries(files)) {
    await write(`${folder}/set`, name, content);
    zipped[name] = typeof content === "string" ? new TextEncoder().encode(content) : content;
  }
  const path = await write(folder, "set.zip", zipSync(zipped));
  const [a, b] = await Promise.all([`${folder}/set`, path].map(async (source) => {
    const notes: string[] = [];
    const set = await readImages(source, {
      onNote: (line) => notes.push(line.slice(source.length + 2)),
      cache: false,
    });
    return { labels: set.labels && [...set.labels], classNames: set.classNames, notes };
  }));
  assert.deepEqual(b, a);
  await Deno.remove(`${folder}/set`, { recursive: true });
  return a;
}

Deno.test("readImages() takes the classes of dataset.json, by name whatever the order", () =>
  withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    const names = ["00000/img00000000.png", "00000/img00000001.png", "00001/img00001000.png"];
    const images = Object.fromEntries(names.map((name) => [name, image]));
    const table = (labels: unknown) => ({ ...images, "dataset.json": JSON.stringify({ labels }) });
    const pairs = (...labels: unknown[]) => names.map((name, k) => [name, labels[k]]).reverse();
    const listed = await classesIn(folder, table([...pairs(7, 0, 2), ["gone.png", 9]]));
    assert.deepEqual(listed.labels, [7, 0, 2]);
    assert.deepEqual(listed.classNames, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert.match(listed.notes.join(), /^its classes are those of dataset\.json$/);
    const hot = await classesIn(folder, table(pairs([0, 1, 0], [1, 0, 0], [0, 0, 1])));
    assert.deepEqual(hot.labels, [1, 0, 2]);
    const vectors = await classesIn(folder, table(pairs([0.5, 1], [1, 0], [0, 1])));
    assert.deepEqual([vectors.labels, vectors.notes.length], [undefined, 1]);
    const none = await classesIn(folder, table(null));
    assert.deepEqual([none.labels, none.notes.length], [undefined, 1]);
    const shards = await classesIn(folder, images);
    assert.deepEqual([shards.labels, shards.notes.length], [undefined, 1]);
    for (
      const [labels, message] of [
        [pairs(1, 2, 3).slice(1), /dataset\.json: found no label of 00001\/img00001000\.png/],
        [pairs(1, -2, 3), /the label -2 of 00000\/img00000001\.png/],
        [pairs(1, 2.5, 3), /the label 2\.5/],
        [pairs(1, "two", 3), /the label \\?"two/],
        [[3], /no pairs/],
      ] as const
    ) {
      await assert.rejects(classesIn(folder, table(labels)), message);
    }
    await assert.rejects(classesIn(folder, { ...images, "dataset.json": "{" }), /no JSON text/);
    // Another file of this name says nothing of classes.
    const other = { "a/x.png": image, "b/x.png": image, "dataset.json": "[]" };
    await Deno.remove(`${folder}/set`, { recursive: true });
    assert.deepEqual((await classesIn(folder, other)).classNames, ["a", "b"]);
    // A folder around everything, as archivers add it.
    const around = Object.entries(table(pairs(1, 0, 2))).map(([name, content]) => [
      `some set/${name}`,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    ]);
    const zip = await write(folder, "around.zip", zipSync(Object.fromEntries(around)));
    assert.deepEqual([...(await readImages(zip, { onNote: () => {} })).labels!], [1, 0, 2]);
  }));

Deno.test("readImages() takes folders of splits for no classes, but those in them", () =>
  withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    const read = (...names: string[]) =>
      classesIn(folder, Object.fromEntries(names.map((name) => [name, image])));
    const both = await read("test/b/1.png", "train/a/1.png", "train/b/2.png", "train/c/deep/3.png");
    assert.deepEqual([both.labels, both.classNames], [[1, 0, 1, 2], ["a", "b", "c"]]);
    assert.match(both.notes.join(), /test, train are taken as parts of one set, not as classes/);
    const flat = await read("Train/1.png", "val/2.png");
    assert.deepEqual([flat.labels, flat.notes.length], [undefined, 1]);
    // Not all are splits: then all are classes.
    const classes = await read("train/1.png", "plane/2.png");
    assert.deepEqual([classes.labels, classes.classNames], [[0, 1], ["plane", "train"]]);
  }));

Deno.test("readImages() looks through folders around all others, in a folder as in an archive", () =>
  withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    const read = (...names: string[]) =>
      classesIn(folder, Object.fromEntries(names.map((name) => [name, image])));
    for (const around of ["data", "a/b"]) {
      const classes = await read(`${around}/cat/a.png`, `${around}/dog/deep/a.png`);
      assert.deepEqual([classes.labels, classes.classNames], [[0, 1], ["cat", "dog"]]);
      assert.deepEqual(classes.notes, [`its classes are folders within ${around}`]);
      const splits = await read(`${around}/test/cat/a.png`, `${around}/train/dog/a.png`);
      assert.deepEqual([splits.labels, splits.classNames], [[0, 1], ["cat", "dog"]]);
      assert.match(splits.notes.join(), /^its folders test, train are taken as parts/);
      const shards = ["00000/img00000000.png", "00001/img00001000.png"];
      const none = await read(...shards.map((name) => `${around}/${name}`));
      assert.deepEqual(none.labels, undefined);
      assert.deepEqual(none.notes, ["its folders are shards, which are no classes"]);
      for (const [at, inner] of [[`${around}/`, ""], ["", `${around}/`]]) {
        const labels = shards.map((name, k) => [inner + name, 1 - k]);
        const listed = await classesIn(folder, {
          ...Object.fromEntries(shards.map((name) => [`${around}/${name}`, image])),
          [`${at}dataset.json`]: JSON.stringify({ labels }),
        });
        assert.deepEqual(listed.labels, [1, 0]);
      }
    }
    assert.deepEqual((await read("cat/a.png", "cat/b.png")).classNames, ["cat"]);
  }));

Deno.test("readImages() says that images in no folder leave the others without classes", () =>
  withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    const read = (...names: string[]) =>
      classesIn(folder, Object.fromEntries(names.map((name) => [name, image])));
    const stray = await read("cat/a.png", "dog/a.png", "x.png");
    assert.deepEqual([stray.labels, stray.classNames], [undefined, undefined]);
    assert.deepEqual(stray.notes, [
      "there are no classes, as x.png of its images lies in no folder",
    ]);
    const two = await read("cat/a.png", "x.png", "y.png");
    assert.deepEqual(two.notes, [
      "there are no classes, as x.png and 1 more of its images lie in no folder",
    ]);
    const inner = await read("data/cat/a.png", "data/dog/a.png", "data/x.png");
    assert.deepEqual([inner.labels, inner.notes], [undefined, stray.notes]);
    const inSplits = await read("train/cat/a.png", "test/x.png");
    assert.match(
      inSplits.notes.join(),
      /parts of one set.*; there are no classes, as test\/x\.png/,
    );
    assert.deepEqual((await read("x.png", "y.png")).notes, []);
  }));

Deno.test("readImages() reads a dataset.json that is a list, and refuses two labels of one image", () =>
  withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    const read = (table: unknown) =>
      classesIn(folder, { "a.png": image, "b.png": image, "dataset.json": JSON.stringify(table) });
    const bare = await read([["b.png", 0], ["a.png", 1]]);
    assert.deepEqual(bare.labels, [1, 0]);
    assert.match(bare.notes.join(), /its classes are those of dataset\.json/);
    assert.deepEqual((await read({ labels: [["a.png", 1], ["b.png", 0], ["a.png", 1]] })).labels, [
      1,
      0,
    ]);
    for (const pairs of [[["a.png", 1], ["b.png", 0], ["a.png", 2]]]) {
      for (const table of [pairs, { labels: pairs }]) {
        await assert.rejects(
          read(table),
          /DatasetError.*dataset\.json: found the labels 1 and 2 of a\.png/,
        );
      }
    }
    await assert.rejects(read([["a.png", 1], "b.png"]), /labels that are no pairs/);
  }));

Deno.test("readImages() reads an archive with a colon in the name of a folder", () =>
  withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    const zip = (name: string) =>
      write(folder, "x.zip", zipSync({ [name]: image, "d/a.png": image }));
    const set = await readImages(await zip("c:64/a.png"), { onNote: () => {} });
    assert.deepEqual(set.classNames, ["c:64", "d"]);
  }));

Deno.test("readImages() decodes PNG exactly: grey stays grey, with one channel", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "x.png", await encode(4, 3, GREY));
    const expected = Array.from({ length: 12 }, (_, i) => GREY(i % 4, Math.floor(i / 4))[0]);
    const set = await readImages(folder);
    assert.deepEqual([set.shape, [...set.data], set.labels], [[3, 4, 1], expected, undefined]);
    const colour = await readImages(folder, { channels: 3 });
    assert.deepEqual([...colour.data], expected.flatMap((v) => [v, v, v]));
    await write(folder, "y.png", await encode(4, 3, RED));
    assert.deepEqual((await readImages(folder)).shape, [3, 4, 3]);
    const luma = await readImages(folder, { channels: 1 });
    // 0.299 × 255 = 76.2.
    assert.deepEqual([...luma.data.subarray(12)], new Array(12).fill(76));
    await Deno.remove(path);
  });
});

Deno.test("readImages() decodes JPEG to within its loss, grey exactly grey", async () => {
  await withFolder(async (folder) => {
    const smooth: Pixel = (x, y) => [8 * x, 8 * y, 128, 255];
    await write(folder, "x.jpeg", await encode(16, 16, smooth, "image/jpeg"));
    const { data } = await readImages(folder);
    let worst = 0;
    data.forEach((v, at) => {
      const p = Math.floor(at / 3);
      worst = Math.max(worst, Math.abs(v - smooth(p % 16, p >> 4)[at % 3]));
    });
    // At quality 100 steps are 1 in each of 64 coefficients; a smooth ramp comes back within a few levels.
    assert.ok(worst <= 8, `${worst}`);
  });
});

Deno.test("readImages() takes the components of a JPEG for red, green and blue where libjpeg does", async () => {
  await withFolder(async (folder) => {
    const [r, g, b] = [200, 90, 30];
    const jpeg = await encode(16, 16, () => [r, g, b, 255], "image/jpeg");
    // What the file stores of the colour, by JFIF 1.02.
    const stored = [
      0.299 * r + 0.587 * g + 0.114 * b,
      128 - 0.168736 * r - 0.331264 * g + 0.5 * b,
      128 + 0.5 * r - 0.418688 * g - 0.081312 * b,
    ];
    const RGB = [82, 71, 66], NUMBERS = [1, 2, 3];
    const cases: [JpegColours, number[]][] = [
      [{ jfif: true, ids: NUMBERS }, [r, g, b]],
      [{ jfif: false, ids: NUMBERS }, [r, g, b]],
      [{ jfif: false, ids: [0, 1, 2] }, [r, g, b]],
      [{ jfif: false, ids: RGB }, stored],
      [{ jfif: false, adobe: 0, ids: NUMBERS }, stored],
      [{ jfif: false, adobe: 0, ids: RGB }, stored],
      [{ jfif: false, adobe: 1, ids: RGB }, [r, g, b]],
      [{ jfif: false, adobe: 2, ids: NUMBERS }, [r, g, b]],
      // JFIF knows no RGB, whatever else is in the file.
      [{ jfif: true, ids: RGB }, [r, g, b]],
      [{ jfif: true, adobe: 0, ids: NUMBERS }, [r, g, b]],
    ];
    for (const [colours, expected] of cases) {
      const path = await write(folder, "x.jpg", withColours(jpeg, colours));
      const { data } = await readImages(folder, { cache: false });
      // One colour comes back within the rounding of what is stored, times at most 1.8, and of the result.
      const worst = Math.max(...data.map((v, i) => Math.ceil(Math.abs(v - expected[i % 3]))));
      assert.ok(worst <= 3, `${JSON.stringify(colours)} of ${path}: ${worst}`);
    }
  });
});

Deno.test("readImages() turns photographs as their orientation says", async () => {
  await withFolder(async (folder) => {
    const left: Pixel = (x) => x < 8 ? [0, 0, 0, 255] : [255, 255, 255, 255];
    const jpeg = await encode(16, 8, left, "image/jpeg");
    await write(folder, "x.jpg", jpeg);
    assert.deepEqual((await readImages(folder)).shape, [8, 16, 1]);
    // Orientation 6: the stored left is the top of what was seen.
    await write(folder, "x.jpg", withOrientation(jpeg, 6));
    const set = await readImages(folder);
    assert.deepEqual(set.shape, [16, 8, 1]);
    // Blocks of one colour come back within a level or two.
    assert.ok(set.data.every((v, i) => Math.abs(v - (i < 64 ? 0 : 255)) <= 2));
  });
});

Deno.test("readImages() lays transparent images on white", async () => {
  await withFolder(async (folder) => {
    await write(folder, "x.png", await encode(1, 3, (_, y) => [100, 50, 0, [0, 51, 255][y]]));
    // 51/255 = 1/5: 100/5 + 255·4/5 = 224, 50/5 + 204 = 214, 204.
    assert.deepEqual([...(await readImages(folder)).data], [
      255,
      255,
      255,
      224,
      214,
      204,
      100,
      50,
      0,
    ]);
  });
});

Deno.test("readImages() resizes if asked, else names the first image of another size", async () => {
  await withFolder(async (folder) => {
    await write(folder, "a/x.png", await encode(4, 2, RED));
    const path = await write(folder, "b/y.png", await encode(3, 2, RED));
    await rejectsAbout(
      readImages(folder),
      path,
      /found an image of 3 × 2 pixels, wanted 4 × 2, the size of .*a\/x.png, or one for all/,
    );
    for (const [size, shape] of [[8, [8, 8, 3]], [[1, 5], [1, 5, 3]]] as const) {
      const set = await readImages(folder, { size });
      assert.deepEqual(set.shape, shape);
      assert.ok(set.data.every((v, at) => v === (at % 3 === 0 ? 255 : 0)));
    }
    assert.equal((await readImages(folder, { limit: 1 })).count, 1);
  });
});

Deno.test("readImages() cuts off what sticks out of the wanted size at two sides", async () => {
  await withFolder(async (folder) => {
    // Of 12 columns the middle 4 are of the aspect ratio that is wanted.
    const bands: Pixel = (x) => x < 4 || x >= 8 ? [255, 255, 255, 255] : [0, 0, 0, 255];
    await write(folder, "x.png", await encode(12, 4, bands));
    const { data, shape } = await readImages(folder, { size: 4 });
    assert.deepEqual([shape, [...data]], [[4, 4, 1], new Array(16).fill(0)]);
  });
});

Deno.test("readImages() tells which images it passes over because of their format", async () => {
  await withFolder(async (folder) => {
    for (const name of ["b/IMG 1.HEIC", "a.gif", "a.txt", ".hidden.gif"]) {
      await write(folder, name, "text");
    }
    const told: unknown[] = [];
    const onPassedOver = (names: readonly string[]) => void told.push(names);
    await rejectsAbout(
      readImages(folder, { onPassedOver }),
      folder,
      /found no PNG or JPEG image, but a\.gif and 1 other file/,
    );
    await write(folder, "x.png", await encode(2, 2, RED));
    await readImages(folder, { onPassedOver });
    assert.deepEqual(told, [["a.gif", "b/IMG 1.HEIC"]]);
    const notes: string[] = [];
    await readImages(folder, { onNote: (line) => notes.push(line) });
    assert.match(
      notes.join(),
      /passed over, as not named as PNG or JPEG: a\.gif and 1 other file$/,
    );
  });
});

Deno.test("readImages() tells of images that it passes over by their content, whatever their names", () =>
  withFolder(async (folder) => {
    const text = (head: string) => Uint8Array.from(head + "rest of it", (c) => c.charCodeAt(0));
    const over = {
      "a": text("GIF89a"),
      "b.img": text("RIFF....WEBPVP8 "),
      "c.data": text("\0\0\0\x1cftypavif"),
      "d.x": text("BM1234\0\0\0\0"),
      "e.x": text("P6\n2 2\n255\n"),
      "f.x": text("II*\0"),
      "g.pgm": text("whatever"),
      "h": await encode(2, 2, RED),
      "h.bak": await encode(2, 2, RED, "image/jpeg"),
    };
    const files = {
      ...over,
      ...{ "i.txt": text("BMW is no bitmap"), "j": text("P7 is a map"), "k": NONE },
      "l.jfif": await encode(2, 2, RED, "image/jpeg"),
      "m.JPE": await encode(2, 2, RED, "image/jpeg"),
    };
    for (const [name, content] of Object.entries(files)) {
      await write(`${folder}/set`, name, content);
    }
    const zip = await write(folder, "set.zip", zipSync(files));
    for (const path of [`${folder}/set`, zip]) {
      let names: readonly string[] = [];
      const set = await readImages(path, { onPassedOver: (all) => void (names = all) });
      assert.equal(set.count, 2);
      assert.deepEqual(names, Object.keys(over));
    }
  }));

Deno.test("readImages() averages when it shrinks", async () => {
  await withFolder(async (folder) => {
    const stripes: Pixel = (x) => x % 2 ? [255, 255, 255, 255] : [0, 0, 0, 255];
    await write(folder, "x.png", await encode(16, 16, stripes));
    const set = await readImages(folder, { size: 4 });
    // Each new pixel covers two black and two white columns.
    assert.ok(set.data.every((v) => Math.abs(v - 127.5) <= 1), `${set.data}`);
  });
});

Deno.test("readImages() reads zip archives, with or without a folder around the classes", async () => {
  await withFolder(async (folder) => {
    const [red, grey] = [await encode(2, 2, RED), await encode(2, 2, GREY)];
    const layouts: [Record<string, Uint8Array>, string[] | undefined][] = [
      [{ "y.png": grey, "x.png": red }, undefined],
      [{ "b/x.png": grey, "a/x.png": red, "b/": NONE, "__MACOSX/b/._x.png": NONE }, ["a", "b"]],
      [{ "set/b/x.png": grey, "set/a/x.png": red, "set/info.txt": NONE }, ["a", "b"]],
    ];
    for (const [files, classNames] of layouts) {
      const path = await write(folder, "x.zip", zipSync(files));
      const set = await readImages(path);
      assert.deepEqual(set.classNames, classNames);
      assert.deepEqual([...set.data.subarray(0, 3)], [255, 0, 0]);
      assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["x.zip"]);
    }
  });
});

Deno.test("readImages() refuses archives that are damaged, unsafe or absurd", async () => {
  await withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const path = await write(folder, "bad.zip", bytes);
      await rejectsAbout(readImages(path), path, message);
    };
    const good = zipSync({ "x.png": image });
    for (
      const name of ["../x.png", "/x.png", "a/../../x.png", "C:/x.png", "C:\\x.png", "a\\x.png"]
    ) {
      await refuse(zipSync({ [name]: image }), /a path that leaves the archive/);
    }
    await refuse(good.subarray(0, -1), /no end of a zip directory/);
    await refuse(Uint8Array.of(...good, 0), /no end of a zip directory/);
    await refuse(Uint8Array.of(0, ...good), /a directory of/);
    await refuse(zipSync({ "x.txt": image }), /found no PNG or JPEG image/);
    const directory = new DataView(good.buffer, good.byteOffset).getUint32(good.length - 6, true);
    /** The archive with one number of its only directory entry replaced. */
    const patched = (at: number, value: number, size: 2 | 4) => {
      const view = new DataView(good.slice().buffer);
      if (size === 2) view.setUint16(directory + at, value, true);
      else view.setUint32(directory + at, value, true);
      return new Uint8Array(view.buffer);
    };
    await refuse(patched(24, 2 ** 32 - 1, 4), /4,294,967,295 bytes from/);
    await refuse(
      patched(24, image.length + 1, 4),
      /found \d+ bytes, wanted \d+ bytes|damaged compressed|bytes from/,
    );
    await refuse(patched(24, image.length - 1, 4), /damaged compressed|bytes from/);
    await refuse(patched(16, 1, 4), /the checksum/);
    await refuse(patched(10, 12, 2), /compression method 12/);
    await refuse(patched(8, 1, 2), /encryption/);
    await refuse(patched(42, 1, 4), /no header of this name/);
    await refuse(patched(20, 2 ** 31, 4), /no header of this name, or no data/);
    await refuse(patched(46, 0x7979, 2), /no header of this name/);
    const miscounted = good.slice();
    miscounted[good.length - 12] = 2;
    await refuse(miscounted, /found 1 entries in \d+ bytes of its directory, wanted 2/);
    const damaged = good.slice();
    damaged[40] ^= 1;
    await refuse(damaged, /checksum|damaged compressed/);
  });
});

Deno.test("readImages() refuses PNG files that are damaged or absurd, before decoding", async () => {
  await withFolder(async (folder) => {
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const path = await write(folder, "x.png", bytes);
      await rejectsAbout(readImages(folder, { cache: false }), path, message);
    };
    const good = await encode(5, 4, GREY);
    const raw = (n: number): [string, Uint8Array] => ["IDAT", deflateSync(new Uint8Array(n))];
    const end: [string, Uint8Array] = ["IEND", NONE];
    await refuse(good.subarray(0, -1), /which end in the chunk/);
    await refuse(good.subarray(0, -12), /which end in the chunk/);
    await refuse(NONE, /first bytes \[\]/);
    const flipped = good.slice();
    flipped[20] ^= 1;
    await refuse(flipped, /a wrong checksum in the chunk "IHDR"/);
    await refuse(
      png(["IHDR", ihdr(100_000, 100_000)], raw(1), end),
      /an image of 100000 × 100000 pixels/,
    );
    await refuse(png(["IHDR", ihdr(9_999, 9_999)], raw(1), end), /in a file of this length/);
    await refuse(png(["IHDR", ihdr(0, 1)], raw(0), end), /an image of 0 × 1 pixels/);
    await refuse(png(["IHDR", ihdr(2, 2, 3)], raw(6), end), /the PNG header/);
    await refuse(png(["IHDR", ihdr(2, 2, 8, 3)], raw(6), end), /does not decode/);
    await refuse(png(["IHDR", ihdr(2, 2)], raw(5), end), /found 5 bytes of pixels, wanted 6 bytes/);
    await refuse(
      png(["IHDR", ihdr(2, 2)], raw(2 ** 24), end),
      /pixels that do not decompress, wanted 6 bytes/,
    );
    await refuse(png(["IHDR", ihdr(2, 2, 8, 0, 1)], raw(2 ** 24), end), /do not decompress/);
    await refuse(png(["IHDR", ihdr(2, 2)], end), /do not decompress/);
    await refuse(png(raw(6), end), /the chunk IDAT at byte 8, wanted IHDR first/);
    await refuse(
      png(["IHDR", ihdr(2, 2)], ["IHDR", ihdr(2, 2)], raw(6), end),
      /wanted IHDR first and once/,
    );
    await refuse(await encode(5, 4, GREY, "image/jpeg").then((b) => b.subarray(0, -2)), /JPEG/);
  });
});

Deno.test("readImages() reads interlaced, palette and 16-bit PNG files", async () => {
  await withFolder(async (folder) => {
    const read = async (bytes: Uint8Array) => {
      await write(folder, "x.png", bytes);
      return [...(await readImages(folder, { cache: false })).data];
    };
    const end: [string, Uint8Array] = ["IEND", NONE];
    const idat = (
      ...rows: number[]
    ): [string, Uint8Array] => ["IDAT", deflateSync(Uint8Array.from(rows))];
    // Adam7 of 2 × 2: the passes hold (0,0), then (1,0), then (0,1) and (1,1).
    const interlaced = png(["IHDR", ihdr(2, 2, 8, 0, 1)], idat(0, 10, 0, 20, 0, 30, 40), end);
    assert.deepEqual(await read(interlaced), [10, 20, 30, 40]);
    const palette: [string, Uint8Array] = ["PLTE", Uint8Array.of(1, 2, 3, 4, 5, 6)];
    const indexed = png(["IHDR", ihdr(2, 1, 1, 3)], palette, idat(0, 0b01000000), end);
    assert.deepEqual(await read(indexed), [1, 2, 3, 4, 5, 6]);
    const deep = png(["IHDR", ihdr(1, 1, 16, 0)], idat(0, 0x80, 0x80), end);
    assert.deepEqual(await read(deep), [128]);
  });
});

Deno.test("readImages() refuses JPEG files that are damaged or absurd, before decoding", async () => {
  await withFolder(async (folder) => {
    const good = await encode(16, 16, GREY, "image/jpeg");
    const frame = good.findIndex((byte, i) => byte === 0xFF && good[i + 1] === 0xC0);
    const scan = good.findIndex((byte, i) => byte === 0xFF && good[i + 1] === 0xDA);
    const patched = (changes: Record<number, number>) => good.map((byte, i) => changes[i] ?? byte);
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      const path = await write(folder, "x.jpg", bytes);
      await rejectsAbout(readImages(folder, { cache: false }), path, message);
    };
    await refuse(good.subarray(0, -1), /no whole JPEG segment/);
    await refuse(good.subarray(0, scan), /no whole JPEG segment/);
    await refuse(good.subarray(0, scan + 40), /no whole JPEG segment/);
    const tall = { [frame + 5]: 255, [frame + 6]: 255, [frame + 7]: 255, [frame + 8]: 255 };
    await refuse(patched(tall), /an image of 65535 × 65535 pixels/);
    const large = { [frame + 5]: 20, [frame + 7]: 20 };
    await refuse(
      patched(large),
      /an image of 5136 × 5136 pixels, wanted 1 to [\d,]+ pixels in a file of this length/,
    );
    await refuse(patched({ [frame + 5]: 0, [frame + 6]: 0 }), /an image of 16 × 0 pixels/);
    await refuse(patched({ [frame + 4]: 12 }), /12 bits/);
    await refuse(patched({ [frame + 1]: 0xC3 }), /the JPEG frame c3/);
    await refuse(patched({ [frame + 6]: 64 }), /does not decode/);
    await refuse(Uint8Array.of(0xFF, 0xD8, 0xFF, 0xD9), /without an image/);
    // All of it but the scan, and all of it but the frame.
    await refuse(Uint8Array.of(...good.subarray(0, scan), 0xFF, 0xD9), /without an image/);
    const length = good[frame + 2] * 256 + good[frame + 3] + 2;
    await refuse(
      Uint8Array.of(...good.subarray(0, frame), ...good.subarray(frame + length)),
      /without an image/,
    );
  });
});

Deno.test("readImages() refuses folders without images", async () => {
  await withFolder(async (folder) => {
    await rejectsAbout(readImages(folder), folder, /found no PNG or JPEG image, wanted/);
    await rejectsAbout(readImages(`${folder}/no`), `${folder}/no`, /nothing there/);
  });
});

Deno.test("readImages() refuses options out of range", async () => {
  for (
    const options of [{ size: 0 }, { size: [4, 1.5] }, { channels: 2 }, {
      limit: 0,
    }] as ImagesOptions[]
  ) {
    await withFolder(async (folder) => {
      await write(folder, "x.png", await encode(2, 2, RED));
      await assert.rejects(readImages(folder, options), RangeError);
    });
  }
});

Deno.test("readImages() reports progress and stops when aborted", async () => {
  await withFolder(async (folder) => {
    for (const k of [0, 1, 2]) await write(folder, `${k}.png`, await encode(2, 2, RED));
    const controller = new AbortController();
    const seen: number[][] = [];
    const reading = readImages(folder, {
      signal: controller.signal,
      onProgress: (done, total) => {
        seen.push([done, total]);
        if (done === 2) controller.abort(new RangeError("enough"));
      },
    });
    await assert.rejects(reading, /enough/);
    assert.deepEqual(seen, [[1, 3], [2, 3]]);
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name).sort(), [
      "0.png",
      "1.png",
      "2.png",
    ]);
  });
});

/** Reads and tells how many images were decoded. */
/** What `readImages()` gives, and how many images it decoded. Hidden, the cache may lie among the images. */
async function decoded(folder: string, options: ImagesOptions = {}): Promise<[Dataset, number]> {
  let count = 0;
  const onProgress = () => count++;
  const set = await readImages(folder, { cache: `${folder}/.cache`, ...options, onProgress });
  return [set, count];
}

Deno.test("readImages() caches a folder until what the files hold, their names or an option change", async () => {
  await withFolder(async (folder) => {
    const red = await encode(2, 2, RED);
    await write(folder, "a/x.png", red);
    await write(folder, "b/y.png", await encode(2, 2, GREY));
    const [first, slow] = await decoded(folder);
    const [second, fast] = await decoded(folder);
    assert.deepEqual([slow, fast], [2, 0]);
    assert.deepEqual(second, first);
    assert.equal((await decoded(folder, { size: 3 }))[1], 2);
    assert.equal((await decoded(folder, { size: 3 }))[1], 0);
    assert.equal((await decoded(folder, { size: 3, channels: 1 }))[1], 2);
    assert.equal((await decoded(folder, { size: 3, channels: 1, cache: false }))[1], 2);
    // A part is decoded without the cache, which stays that of the whole.
    assert.equal((await decoded(folder, { size: 3, channels: 1, limit: 1 }))[1], 1);
    assert.equal((await decoded(folder, { size: 3, channels: 1 }))[1], 0);
    // The same bytes at another time are the same images.
    await Deno.utime(`${folder}/a/x.png`, 1, 1);
    assert.equal((await decoded(folder, { size: 3, channels: 1 }))[1], 0);
    await Deno.rename(`${folder}/a/x.png`, `${folder}/a/z.png`);
    assert.equal((await decoded(folder, { size: 3, channels: 1 }))[1], 2);
    await write(folder, "a/w.png", red);
    const [third, all] = await decoded(folder, { size: 3, channels: 1 });
    assert.deepEqual([third.count, all], [3, 3]);
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
    assert.deepEqual(names, [".cache", "a", "b"]);
  });
});

Deno.test("readImages() sees an image that is replaced by one of equal size and time, also in an archive", async () => {
  await withFolder(async (folder) => {
    const [one, two] = await Promise.all(
      [200, 100].map((red) => encode(2, 2, () => [red, 10, 10, 255])),
    );
    assert.equal(one.length, two.length);
    for (const [image, shade] of [[one, 200], [two, 100], [one, 200]] as const) {
      await write(folder, "images/x.png", image);
      await Deno.utime(`${folder}/images/x.png`, 1, 1);
      assert.equal((await decoded(`${folder}/images`))[0].data[0], shade);
      const archive = await write(folder, "x.zip", zipSync({ "x.png": image, "y.png": one }));
      for (let k = 0; k < 2; k++) {
        const [set] = await decoded(archive, { cache: `${folder}/zips` });
        assert.equal(set.data[0], shade);
      }
    }
  });
});

Deno.test("readImages() takes no cache that comes with the images, and puts none there", async () => {
  await withFolder(async (folder) => {
    const [mine, forged] = [`${folder}/mine`, `${folder}/forged`];
    await write(mine, "x.png", await encode(2, 2, RED));
    await write(forged, "x.png", await encode(2, 2, GREY));
    for (const cache of [".closedform.cache", "."]) {
      // What a user's own folder would hold for these images, were it the folder of images.
      await readImages(forged, { cache: `${forged}/${cache}` });
    }
    for (const { name, isFile } of Deno.readDirSync(forged)) {
      if (isFile && name !== "x.png") await Deno.copyFile(`${forged}/${name}`, `${mine}/${name}`);
    }
    const before = Array.from(Deno.readDirSync(mine), ({ name }) => name).sort();
    assert.equal(before.length, 2);
    const [set] = await decoded(mine, { cache: `${folder}/own` });
    assert.deepEqual(set.data, (await readImages(mine, { cache: false })).data);
    assert.deepEqual(Array.from(Deno.readDirSync(mine), ({ name }) => name).sort(), before);
  });
});

Deno.test("readImages() files pixels under the bytes that were decoded, whatever lay there before", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "images/x.png", await encode(2, 2, RED));
    await write(folder, "images/y.png", await encode(2, 2, RED));
    const grey = await encode(2, 2, GREY);
    // The second image changes after both were read for their digests.
    await readImages(`${folder}/images`, {
      cache: `${folder}/cache`,
      onProgress: (done) => done === 1 && Deno.writeFileSync(path.replace("x.png", "y.png"), grey),
    });
    await write(folder, "images/y.png", await encode(2, 2, RED));
    const again = await readImages(`${folder}/images`, { cache: `${folder}/cache` });
    assert.deepEqual(again.data, (await readImages(`${folder}/images`, { cache: false })).data);
  });
});

Deno.test("readImages() rebuilds a damaged cache", async () => {
  await withFolder(async (folder) => {
    await write(folder, "x.png", await encode(4, 3, GREY));
    const [expected] = await decoded(folder);
    const [name] = Array.from(Deno.readDirSync(`${folder}/.cache`), ({ name }) => name);
    const cache = `${folder}/.cache/${name}`;
    const bytes = await Deno.readFile(cache);
    const damages: Uint8Array[] = [
      NONE,
      bytes.subarray(0, -1),
      Uint8Array.of(...bytes, 0),
      someBytes(bytes.length),
    ];
    for (let at = 0; at < bytes.length; at++) {
      damages.push(bytes.map((byte, i) => i === at ? byte ^ 1 : byte));
    }
    for (const damage of damages) {
      await Deno.writeFile(cache, damage);
      const [set, count] = await decoded(folder);
      assert.deepEqual([set.data, count], [expected.data, 1]);
      assert.deepEqual(await Deno.readFile(cache), bytes);
    }
  });
});

Deno.test("readImages() does without a cache where none can be written, and keeps one of an archive if asked", async () => {
  await withFolder(async (folder) => {
    const image = await encode(2, 2, RED);
    await write(folder, "images/x.png", image);
    // A file in the place of the folder takes none.
    await write(folder, "taken", Uint8Array.of(1));
    for (let i = 0; i < 2; i++) {
      assert.equal((await decoded(`${folder}/images`, { cache: `${folder}/taken` }))[1], 1);
    }
    assert.deepEqual(await Deno.readFile(`${folder}/taken`), Uint8Array.of(1));
    const path = await write(folder, "x.zip", zipSync({ "x.png": image }));
    assert.equal((await decoded(path, { cache: `${folder}/zips` }))[1], 1);
    assert.equal((await decoded(path, { cache: `${folder}/zips` }))[1], 0);
    await assert.rejects(readImages(path, { cache: "" }), RangeError);
  });
});

Deno.test("readImages() does without a cache, and without asking, when it may not write", async () => {
  await withFolder(async (folder) => {
    await write(folder, "x.png", await encode(2, 2, RED));
    const root = new URL("../../", import.meta.url);
    const code = `import { readImages } from "${root}src/datasets/images.ts";
      console.log((await readImages(Deno.args[0])).count);`;
    const script = await write(folder, "read.ts", code);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "--allow-read",
        "--allow-env",
        "--config",
        `${fromFileUrl(root)}deno.json`,
        script,
        folder,
      ],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "1\n", new TextDecoder().decode(stderr));
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
    assert.deepEqual(names, ["read.ts", "x.png"]);
  });
});

Deno.test("readImages() gives large images the same decoder and pixels, in a thread", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile("deno.json"));
  assert.equal(JIMP, imports.jimp);
  const side = 64, data = someBytes(side * side * 4).map((v, i) => i % 4 === 3 && i % 3 ? 255 : v);
  const image = Jimp.fromBitmap({ width: side, height: side, data });
  for (const type of ["image/png", "image/jpeg"] as const) {
    const bytes = new Uint8Array(await image.getBuffer(type));
    for (const size of [undefined, [16, 32]] as const) {
      const task = { bytes, rgb: false, size };
      assert.deepEqual(await decodeInThread(task), await decodeWith(Jimp as never, task));
    }
  }
  const broken = { bytes: new Uint8Array(9), rgb: false };
  await assert.rejects(decodeInThread(broken), Error);
});
