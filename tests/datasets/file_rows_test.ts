import { encodeNpy, openRows, readNpy } from "@closedform/diffusion";
import { gzipSync } from "fflate";
import assert from "node:assert/strict";
import { dataDigest } from "../../src/cli/record.ts";
import { someBytes } from "../_helpers/encode.ts";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";

const floats = (...values: number[]) => Float32Array.from(values);

Deno.test("openRows() gives the rows, shape, name and range of readNpy()", () =>
  withFolder(async (folder) => {
    const cases: [Uint8Array | Float32Array, number[]][] = [
      [someBytes(24), [2, 3, 4]],
      [someBytes(24), [2, 2, 2, 3]],
      [someBytes(24), [6, 4]],
      [floats(1, 2, 3, -4, 0.5, 6), [3, 2]],
    ];
    for (const [data, shape] of cases) {
      const path = await write(folder, "x.npy", encodeNpy(data, shape));
      const set = await readNpy(path);
      using rows = await openRows(path);
      const { count, dimension, range, name } = set;
      assert.deepEqual(
        { ...rows, shape: rows.shape, range: rows.range, summary: rows.summary() },
        { ...rows, count, dimension, shape: set.shape, range, name, summary: set.summary() },
      );
      assert.equal(rows.bytes, data instanceof Uint8Array);
      assert.deepEqual(await rows.take(100), set);
      assert.deepEqual((await rows.take(1)).data, set.take(1).data);
    }
  }));

Deno.test("openRows() reads any rows, several at once, within a limit", () =>
  withFolder(async (folder) => {
    for (const data of [someBytes(60), Float32Array.from(someBytes(60))]) {
      const path = await write(folder, "x.npy", encodeNpy(data, [20, 3]));
      using rows = await openRows(path, { limit: 15, name: "few" });
      assert.equal(rows.summary(), `few: 15 items of 3 ${rows.bytes ? "bytes" : "floats"}`);
      const Numbers = rows.bytes ? Uint8Array : Float32Array;
      const starts = Array.from({ length: 12 }, (_, i) => i * 7 % 12);
      const parts = starts.map(() => new Numbers(9));
      await Promise.all(starts.map((first, i) => rows.read(first, 3, parts[i])));
      starts.forEach((first, i) =>
        assert.deepEqual(parts[i], data.slice(first * 3, first * 3 + 9), `from row ${first}`)
      );
      await assert.rejects(rows.read(13, 3, new Numbers(9)), RangeError);
      await assert.rejects(rows.read(-1, 1, new Numbers(3)), RangeError);
      await assert.rejects(rows.read(0, 1, new Numbers(4)), TypeError);
      const Other = rows.bytes ? Float32Array : Uint8Array;
      await assert.rejects(rows.read(0, 1, new Other(3)), TypeError);
      await assert.rejects(rows.read(0, 1, new Numbers(3), AbortSignal.abort("enough")), /enough/);
    }
  }));

Deno.test("openRows() refuses what cannot be streamed", () =>
  withFolder(async (folder) => {
    const good = encodeNpy(floats(1, 2, 3, 4), [2, 2]);
    const altered = (from: string, to: string) => {
      const bytes = good.slice();
      const text = new TextDecoder("latin1").decode(bytes).replace(from, to);
      for (let i = 0; i < 64; i++) bytes[i] = text.charCodeAt(i) & 255;
      // The magic is no text in this encoding.
      bytes.set(good.subarray(0, 10));
      return bytes;
    };
    const cases: [Uint8Array, RegExp][] = [
      [good.subarray(0, -1), /15 bytes after the header, wanted 16/],
      [new Uint8Array([...good, 0]), /17 bytes after the header, wanted 16/],
      [good.subarray(0, 20), /header/],
      [new Uint8Array(0), /magic/],
      [gzipSync(good), /magic of \.npy/],
      [altered("'<f4'", "'>f4'"), /f4 \(big-endian, C order\)/],
      [altered("False", "True "), /f4 \(little-endian, Fortran order\)/],
      [encodeNpy(Float64Array.of(1, 2), [1, 2]), /numbers of type f8/],
      [encodeNpy(Int32Array.of(1, 2), [1, 2]), /numbers of type i4/],
      [encodeNpy(floats(1), []), /an array of shape \[\]/],
      [encodeNpy(floats(), [0, 2]), /an array of shape \[0,2\]/],
    ];
    for (const [bytes, message] of cases) {
      const path = await write(folder, "bad.npy", bytes);
      await rejectsAbout(openRows(path), path, message);
    }
    await rejectsAbout(openRows(folder), folder, /a folder/);
    await rejectsAbout(openRows(`${folder}/no`), `${folder}/no`, /nothing there/);
    const path = await write(folder, "good.npy", good);
    await assert.rejects(openRows(path, { limit: 0 }), RangeError);
  }));

Deno.test("openRows() names the file when it breaks while it is read", () =>
  withFolder(async (folder) => {
    const path = await write(folder, "x.npy", encodeNpy(floats(1, 2, NaN, 4), [2, 2]));
    const rows = await openRows(path);
    const target = new Float32Array(2);
    await rows.read(0, 1, target);
    await rejectsAbout(rows.read(1, 1, target), path, /NaN at position 2, wanted finite/);
    await Deno.truncate(path, 132);
    await rejectsAbout(rows.read(0, 1, target), path, /an end after 132 bytes/);
    rows.close();
    rows.close();
    await rejectsAbout(rows.read(0, 1, target), path, /a file that was closed/);
  }));

/** Writes a file anew in place, with its old times: as if within one tick of the file system's clock. */
async function rewrite(path: string, bytes: Uint8Array): Promise<void> {
  const { mtime, atime } = await Deno.stat(path);
  const file = await Deno.open(path, { write: true });
  await file.write(bytes);
  file.close();
  await Deno.utime(path, atime!, mtime!);
}

Deno.test("openRows() refuses to read on in a file that was changed in place, at whatever number and time", () =>
  withFolder(async (folder) => {
    const [count, dimension] = [700, 300];
    const data = someBytes(count * dimension);
    for (const at of [0, 1, 65535, 65536, 100_000, 196_607, 196_608, data.length - 1]) {
      for (const chunk of [700, 64, 217]) {
        const path = await write(folder, "x.npy", encodeNpy(data, [count, dimension]));
        using rows = await openRows(path);
        const pass = async () => {
          for (let first = 0; first < count; first += chunk) {
            const n = Math.min(chunk, count - first);
            await rows.read(first, n, new Uint8Array(n * dimension));
          }
        };
        // A look at the first rows, as for a picture, does not disturb.
        await rows.take(50);
        await pass();
        await pass();
        await rewrite(
          path,
          encodeNpy(data.map((v, i) => i === at ? v ^ 1 : v), [count, dimension]),
        );
        await rejectsAbout(
          pass(),
          path,
          /found other contents than a moment before, wanted a file/,
        );
        await rewrite(path, encodeNpy(data, [count, dimension]));
      }
    }
  }));

Deno.test("openRows() refuses to read a file that was written to, cut off or lengthened since it was opened", () =>
  withFolder(async (folder) => {
    const bytes = encodeNpy(floats(1, 2, 3, 4), [2, 2]);
    const changes: ((path: string) => Promise<void>)[] = [
      (path) => Deno.utime(path, 1, 1),
      (path) => Deno.truncate(path, bytes.length - 8),
      (path) => Deno.writeFile(path, Uint8Array.of(0), { append: true }),
      (path) => Deno.writeFile(path, new Uint8Array(0)),
    ];
    for (const change of changes) {
      const path = await write(folder, "x.npy", bytes);
      using rows = await openRows(path);
      await change(path);
      await rejectsAbout(rows.read(0, 1, new Float32Array(2)), path, /other contents|an end after/);
    }
    // Another file under its name, with the old one still open, is no matter.
    const path = await write(folder, "x.npy", bytes);
    using rows = await openRows(path);
    await Deno.rename(await write(folder, "y.npy", encodeNpy(floats(9, 9), [1, 2])), path);
    assert.deepEqual((await rows.take(2)).data, floats(1, 2, 3, 4));
  }));

Deno.test("digest() is that of the same data in memory, and tells any others apart", () =>
  withFolder(async (folder) => {
    const digests = new Set<string>();
    const bytes = someBytes(24);
    const cases: [Uint8Array | Float32Array, number[], number?][] = [
      [bytes, [2, 3, 4]],
      [bytes, [6, 4]],
      [bytes, [6, 4], 5],
      [bytes.with(23, bytes[23] ^ 1), [6, 4]],
      [Float32Array.from(bytes), [6, 4]],
    ];
    for (const [data, shape, limit] of cases) {
      const path = await write(folder, "x.npy", encodeNpy(data, shape));
      using rows = await openRows(path, { limit });
      const digest = await rows.digest();
      assert.equal(digest, await dataDigest(await readNpy(path, { limit })));
      assert.equal(await rows.digest(), digest);
      digests.add(digest);
      using others = await openRows(path, { limit });
      await assert.rejects(others.digest(AbortSignal.abort("enough")), /enough/);
    }
    assert.equal(digests.size, cases.length);
  }));
