import assert from "node:assert/strict";
import { checkRoom, roomFor } from "../../src/base/_memory.ts";

Deno.test("checkRoom() refuses more than the memory there is", () => {
  const { total } = Deno.systemMemoryInfo();
  checkRoom("draw", "few", 0.5 * total);
  assert.throws(() => checkRoom("draw", "9 samples", 1.1 * total + 2 ** 27), {
    name: "RangeError",
    message: /^Cannot draw: 9 samples would take [\d.]+ GB, wanted at most [\d.]+ GB, .* for it$/,
  });
});

Deno.test({
  name: "checkRoom() takes 8 GB for free where it may not look, and says so once",
  permissions: { sys: false },
  fn() {
    const { error } = console;
    const lines: string[] = [];
    console.error = (line: string) => void lines.push(line);
    try {
      // Little needs no look.
      checkRoom("draw", "few", 2 ** 26);
      assert.deepEqual(lines, []);
      checkRoom("draw", "many", 2 ** 33);
      checkRoom("draw", "many", 2 ** 33);
      assert.deepEqual(lines, ["without --allow-sys=systemMemoryInfo 8 GB of memory are assumed"]);
    } finally {
      console.error = error;
    }
    assert.throws(
      () => checkRoom("draw", "many", 2 ** 33 + 1),
      /wanted at most 8 GB, which is assumed, since --allow-sys=systemMemoryInfo is not given$/,
    );
  },
});

Deno.test("checkRoom() counts what a container allows, less what is taken", () => {
  const { process } = globalThis as unknown as { process: { constrainedMemory(): number } };
  const { constrainedMemory } = process;
  const { rss } = Deno.memoryUsage();
  process.constrainedMemory = () => rss + 2 ** 29;
  try {
    checkRoom("draw", "some", 2 ** 28);
    assert.throws(
      () => checkRoom("draw", "more", 2 ** 30),
      /wanted at most 0\.\d+ GB, the memory there is/,
    );
    // No limit is a number beyond all memory.
    process.constrainedMemory = () => 2 ** 63;
    checkRoom("draw", "more", 2 ** 30);
  } finally {
    process.constrainedMemory = constrainedMemory;
  }
});

Deno.test("roomFor() says what there was no room for, and keeps other errors", () => {
  assert.equal(roomFor("draw", "one", 4, () => new Float32Array(1)).length, 1);
  // More than any engine takes, said to be little.
  assert.throws(() => roomFor("draw", "one", 4, () => new Float32Array(2 ** 50)), {
    name: "RangeError",
    message: /^Cannot draw: one would take .* GB, wanted what fits in memory$/,
  });
  const wrong = () => {
    throw new TypeError("a mistake");
  };
  assert.throws(() => roomFor("draw", "one", 4, wrong), TypeError);
});
