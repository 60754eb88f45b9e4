import assert from "node:assert/strict";
import { note } from "../../src/base/_note.ts";

Deno.test("note() tells a listener each time, and the console of each line once", () => {
  const heard: string[] = [], shown: unknown[][] = [];
  const { error } = console;
  console.error = (...line) => shown.push(line);
  try {
    for (let k = 0; k < 2; k++) {
      note("a line", (line) => heard.push(line));
      note("a line");
      note("another\u001bline");
    }
  } finally {
    console.error = error;
  }
  assert.deepEqual(heard, ["a line", "a line"]);
  assert.deepEqual(shown, [["a line"], ["another\\u001bline"]]);
});
