import fc from "fast-check";
import assert from "node:assert/strict";
import {
  cacheKey,
  makeCacheFolder,
  readCacheFile,
  writeCacheFile,
} from "../../src/base/_cache_file.ts";
import { withFolder } from "../_helpers/files.ts";

const MAGIC = "CFTESTS1";
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (found: Uint8Array | undefined) => found && new TextDecoder().decode(found);
const names = (folder: string) => Array.from(Deno.readDirSync(folder), ({ name }) => name);

Deno.test("readCacheFile() gives what writeCacheFile() was given, under the same magic and key only", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/x`, key = await cacheKey("a");
    assert.equal(await readCacheFile(file, MAGIC, key), undefined);
    await writeCacheFile(file, MAGIC, key, [bytes("one, "), bytes(""), bytes("two")]);
    assert.equal(text(await readCacheFile(file, MAGIC, key)), "one, two");
    assert.equal(await readCacheFile(file, MAGIC, await cacheKey("b")), undefined);
    assert.equal(await readCacheFile(file, "CFTESTS2", key), undefined);
    await writeCacheFile(file, MAGIC, key, []);
    assert.equal(text(await readCacheFile(file, MAGIC, key)), "");
    assert.deepEqual(names(folder), ["x"]);
  });
});

Deno.test("readCacheFile() takes no file that is cut off, longer or changed in one bit", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/x`, key = await cacheKey("a");
    await writeCacheFile(file, MAGIC, key, [bytes("content")]);
    const whole = await Deno.readFile(file);
    const damaged = fc.oneof(
      fc.nat(whole.length - 1).map((n) => whole.slice(0, n)),
      fc.uint8Array({ minLength: 1, maxLength: 9 }).map((more) => Uint8Array.of(...whole, ...more)),
      fc.tuple(fc.nat(whole.length - 1), fc.nat(7)).map(([at, bit]) =>
        whole.map((byte, i) => i === at ? byte ^ (1 << bit) : byte)
      ),
      fc.uint8Array({ maxLength: 2 * whole.length }),
    );
    await fc.assert(
      fc.asyncProperty(damaged, async (damage) => {
        await Deno.writeFile(file, damage);
        assert.equal(await readCacheFile(file, MAGIC, key), undefined);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

Deno.test("writeCacheFile() leaves nothing behind where it cannot write, and keeps other errors", async () => {
  await withFolder(async (folder) => {
    const key = await cacheKey("a");
    // A folder that is not there, and one in the place of the file.
    await writeCacheFile(`${folder}/no/x`, MAGIC, key, [bytes("content")]);
    await Deno.mkdir(`${folder}/taken/full`, { recursive: true });
    await writeCacheFile(`${folder}/taken`, MAGIC, key, [bytes("content")]);
    assert.equal(await readCacheFile(`${folder}/taken`, MAGIC, key), undefined);
    await Deno.writeTextFile(`${folder}/file`, "");
    await makeCacheFolder(`${folder}/file/below`);
    await makeCacheFolder(`${folder}/new/below`);
    assert.deepEqual(names(folder).sort(), ["file", "new", "taken"]);
    // A mistake of ours is not an error of the file system.
    const wrong = ["not bytes"] as unknown as Uint8Array[];
    await assert.rejects(writeCacheFile(`${folder}/x`, MAGIC, key, wrong), TypeError);
    assert.deepEqual(names(folder).sort(), ["file", "new", "taken"]);
  });
});

Deno.test("writeCacheFile() removes what caches in the making were left a day ago, and nothing else", async () => {
  await withFolder(async (folder) => {
    const key = await cacheKey("a"), day = 24 * 60 * 60 * 1000;
    const part = (name: string) => `${name}.${crypto.randomUUID()}.part`;
    const cache = `${"0123456789abcdef".repeat(2)}.spectrum`;
    const [old, young, other, empty] = Array.from({ length: 4 }, () => part(cache));
    const kept: [string, string, number][] = [
      [young, MAGIC, 0.9],
      // Of a user, and such as look like one of ours.
      ...["samples.npy", "x", "a.spectrum"].map((name) =>
        [part(name), MAGIC, 9] as [string, string, number]
      ),
      [other, "a user's", 9],
      [empty, "", 9],
      ["x.part", MAGIC, 9],
      [cache, MAGIC, 9],
    ];
    for (const [name, content, days] of [[old, `${MAGIC}, cut o`, 1] as const, ...kept]) {
      await Deno.writeTextFile(`${folder}/${name}`, content);
      await Deno.utime(`${folder}/${name}`, 0, new Date(Date.now() - days * day - 1000));
    }
    await writeCacheFile(`${folder}/cache`, MAGIC, key, []);
    assert.deepEqual(names(folder).sort(), ["cache", ...kept.map(([name]) => name)].sort());
  });
});

Deno.test("cacheKey() tells parts from their concatenation", async () => {
  const keys = await Promise.all([
    cacheKey("ab", "c"),
    cacheKey("a", "bc"),
    cacheKey("abc"),
    cacheKey("abc", ""),
    cacheKey("ab", bytes("d")),
  ]);
  assert.equal(new Set(keys.map((key) => key.toHex())).size, keys.length);
  assert.equal((await cacheKey("ab", bytes("c"))).toHex(), keys[0].toHex());
});
