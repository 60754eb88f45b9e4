/** Archives and images made to do harm; damage by chance is in tests/datasets/fuzz_test.ts. */
import { blankBitmap, encodePng, readImages } from "@closedform/diffusion";
import { zipSync } from "fflate";
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { trial } from "../_helpers/fault_table.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";

/** Far less than it takes to unpack a bomb, far more than it takes to refuse one. */
const PATIENCE = 2000;

/** Overwrites a field of each header of an archive with one file: the local one, and that of the directory. */
function withSize(zip: Uint8Array, size: number): Uint8Array {
  const forged = zip.slice(), view = new DataView(forged.buffer);
  for (let at = 0; at + 4 <= forged.length; at++) {
    const signature = view.getUint32(at, true);
    if (signature === 0x04034B50) view.setUint32(at + 22, size, true);
    if (signature === 0x02014B50) view.setUint32(at + 24, size, true);
  }
  return forged;
}

Deno.test("readImages() refuses zip bombs and paths that leave the archive, at once and without a trace", () =>
  withFolder(async (folder) => {
    const bomb = zipSync({ "x.png": new Uint8Array(2 ** 26) }, { level: 9 });
    const image = await encodePng(blankBitmap(4, 4));
    const outside = /a path that leaves the archive/;
    const cases: [string, string, Uint8Array, RegExp][] = [
      ["bomb", "64 MB of zeros", bomb, /a possible ratio/],
      ["bomb", "more than it says", withSize(bomb, 100), /damaged compressed|possible ratio/],
      ["bomb", "3 GB in few bytes", withSize(bomb, 3 * 2 ** 30), /possible ratio/],
      ["with paths that leave it", "out of the folder", zipSync({ "../x.png": image }), outside],
      ["with paths that leave it", "in between", zipSync({ "a/../../x.png": image }), outside],
      ["with paths that leave it", "from the root", zipSync({ "/etc/x.png": image }), outside],
    ];
    for (const [kind, name, bytes, message] of cases) {
      await trial(`zip ${kind}`, async () => {
        const path = await write(folder, "x.zip", bytes);
        const begin = performance.now();
        const error = await rejectsAbout(readImages(path), path, message);
        assert.ok(performance.now() - begin < PATIENCE, name);
        const left = Array.from(Deno.readDirSync(folder), (entry) => entry.name);
        assert.deepEqual(left, ["x.zip"], name);
        return error;
      });
    }
  }));

Deno.test("readImages() refuses images that claim to be enormous before it makes room for them", () =>
  withFolder(async (folder) => {
    const honest = await encodePng(blankBitmap(4, 4));
    for (const side of [20_000, 2 ** 31 - 1]) {
      const forged = honest.slice(), view = new DataView(forged.buffer);
      view.setUint32(16, side);
      view.setUint32(20, side);
      view.setUint32(29, crc32(forged.subarray(12, 29)));
      await trial("image that claims to be enormous", async () => {
        const path = await write(folder, "x.png", forged);
        const begin = performance.now();
        const claim = new RegExp(`an image of ${side} × ${side} pixels`);
        const error = await rejectsAbout(readImages(folder), path, claim);
        assert.ok(performance.now() - begin < PATIENCE);
        return error;
      });
    }
  }));
