import assert from "node:assert/strict";
import { lateProgress } from "../../src/base/progress.ts";

const at = (elapsed: number, fraction: number) => ({
  ...{ elapsed, fraction, done: 1, total: 2, sigma: 0.5, remaining: 1 },
});

/** What is written to a standard error that is a terminal, or is not. */
async function written(isTerminal: boolean, work: () => Promise<void>): Promise<string> {
  const { isTerminal: before, writeSync } = Deno.stderr;
  let text = "";
  Deno.stderr.isTerminal = () => isTerminal;
  Deno.stderr.writeSync = (bytes) => (text += new TextDecoder().decode(bytes), bytes.length);
  try {
    await work();
  } finally {
    Deno.stderr.isTerminal = before;
    Deno.stderr.writeSync = writeSync;
  }
  return text;
}

Deno.test("lateProgress() is silent for two seconds, then keeps one line, which it ends", async () => {
  const text = await written(true, async () => {
    using line = lateProgress("sampling")!;
    await line.tell(at(1.9, 0.2));
    await line.tell(at(2.1, 0.4));
    await line.tell(at(4, 1));
  });
  assert.deepEqual(text.split("\r").length, 3);
  assert.match(text, /sampling █+░+ 40 % .* 1.0 s left/);
  assert.ok(text.endsWith("\n") && !text.endsWith("\n\n"));
});

Deno.test("lateProgress() of work that fails ends its line", async () => {
  const text = await written(true, async () => {
    using line = lateProgress("sampling")!;
    await line.tell(at(3, 0.4));
  });
  assert.ok(text.endsWith("left\n"), text);
});

Deno.test("lateProgress() says nothing of short work, and nothing where nobody looks", async () => {
  const short = await written(true, async () => {
    using line = lateProgress("sampling")!;
    await line.tell(at(1, 0.5));
    await line.tell(at(1.9, 1));
  });
  assert.equal(short, "");
  assert.equal(
    await written(false, () => Promise.resolve(assert.equal(lateProgress("x"), undefined))),
    "",
  );
});
