import { zipSync } from "fflate";
import assert from "node:assert/strict";
import { ZipArchive } from "../../src/datasets/_zip.ts";
import { someBytes } from "../_helpers/encode.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";

Deno.test("ZipArchive.open() takes files up to both limits, and not one byte more", () =>
  withFolder(async (folder) => {
    const files = { "a": someBytes(300), "b": new Uint8Array(5000), "c/": new Uint8Array(0) };
    const path = await write(folder, "x.zip", zipSync(files));
    using archive = await ZipArchive.open(path, 5000, 5300);
    assert.deepEqual(archive.entries.map(({ name }) => name), ["a", "b"]);
    for (const [i, bytes] of [files.a, files.b].entries()) {
      assert.deepEqual(await archive.read(archive.entries[i]), bytes);
    }
    await rejectsAbout(
      ZipArchive.open(path, 5000, 5299),
      path,
      /found 5,300 bytes when decompressed, wanted at most 5,299/,
    );
    await rejectsAbout(
      ZipArchive.open(path, 4999, 5300),
      path,
      /found 5,000 bytes from [\d,]+, wanted at most 4,999 and a possible ratio/,
    );
  }));
