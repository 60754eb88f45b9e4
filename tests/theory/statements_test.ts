import { report, STATEMENTS, theoryTable } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";

for (const [name, statement] of Object.entries(STATEMENTS)) {
  Deno.test(`${name}() holds`, async () => {
    const { holds, measured, bound } = await statement();
    assert.ok(holds, `measured ${measured}, bound ${bound}`);
  });
}

Deno.test("report() fails on NaN and on an exceeded bound", () => {
  assert.equal(report("", NaN, 1).holds, false);
  assert.equal(report("", 1, NaN).holds, false);
  assert.equal(report("", 1.1, 1).holds, false);
  assert.equal(report("", 1, 1).holds, true);
});

Deno.test("theoryTable() shouts where a statement fails", () => {
  assert.match(theoryTable([report("a", 1, 2), report("b", 3, 2)]), /b .*-1\.00e\+0\s+NO$/);
});
