import { readCsv } from "@closedform/diffusion";
import { gzipSync } from "fflate";
import fc from "fast-check";
import assert from "node:assert/strict";
import { rejectsAbout, withFolder, write } from "../_helpers/files.ts";

Deno.test("readCsv() reads float32 back exactly, with each separator", async () => {
  await withFolder(async (folder) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(...[1, 2, 3].map(() => fc.float({ noNaN: true, noDefaultInfinity: true }))),
          { minLength: 1, maxLength: 8 },
        ),
        fc.constantFrom(",", ";", " ", "\t", " , ", "   "),
        fc.constantFrom("\n", "\r\n"),
        async (rows, separator, newline) => {
          // "-0" in text keeps its sign; String(-0) would not.
          const text = rows.map((row) =>
            row.map((v) => Object.is(v, -0) ? "-0" : String(v)).join(separator)
          ).join(newline);
          const set = await readCsv(await write(folder, "x.csv", text));
          assert.deepEqual(set.data, Float32Array.from(rows.flat()));
          assert.deepEqual(set.shape, [3]);
        },
      ),
      { seed: 4, numRuns: 100 },
    );
  });
});

Deno.test("readCsv() skips a header, comments and blank lines", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "x.csv", '# made by hand\n\n"x" , y\n1,2\n\n#3,4\n 5 , 6 \n');
    assert.deepEqual([...(await readCsv(path)).data], [1, 2, 5, 6]);
    const numbers = await write(folder, "n.csv", "1 2\n3 4\n");
    assert.deepEqual([...(await readCsv(numbers, { header: true })).data], [3, 4]);
    await rejectsAbout(readCsv(path, { header: false }), path, /in line 3/);
  });
});

Deno.test("readCsv() limits, names, and reads gzip and a single column", async () => {
  await withFolder(async (folder) => {
    const path = await write(folder, "x", gzipSync(new TextEncoder().encode("1\n2\nthree\n")));
    const set = await readCsv(path, { limit: 2, name: "n" });
    assert.equal(set.summary(), "n: 2 items of 1 floats");
  });
});

Deno.test("readCsv() refuses what is no table of numbers, and names the line", async () => {
  await withFolder(async (folder) => {
    const refuse = async (text: string | Uint8Array, message: RegExp) => {
      const path = await write(folder, "bad.csv", text);
      await rejectsAbout(readCsv(path), path, message);
    };
    await refuse("1,2\n3\n", /found 1 fields in line 2, wanted 2/);
    await refuse("1,2\n\n3,4,5\n", /found 3 fields in line 3/);
    await refuse("1,x\n", /found "x" in line 1, wanted a finite number/);
    await refuse("1,2\n3,\n", /found "" in line 2/);
    for (
      const word of ["NaN", "Infinity", "0x10", "1e999", "1e39", "1_0", "--1", "+", "."]
    ) {
      await refuse(`1 ${word}\n`, /in line 1/);
    }
    await refuse("", /no row of numbers/);
    await refuse("x,y\n", /no row of numbers/);
    await refuse(Uint8Array.of(0x31, 0xFF, 0x0A), /no UTF-8 text/);
    await rejectsAbout(readCsv(folder), folder, /a folder/);
  });
});
