import { readCsv } from "@closedform/diffusion";
import type { CsvOptions, Dataset } from "@closedform/diffusion";
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
    await refuse("1,2x\n", /found "2x" in line 1, wanted a finite number/);
    // No header: its words begin like numbers, or are words for them.
    await refuse("1.2.3,4\n5,6\n", /found "1\.2\.3" in line 1/);
    await refuse("nan,nan\n1,2\n", /found "nan" in line 1/);
    await refuse("NA,inf\n1,2\n", /found "NA" in line 1/);
    await refuse("x,y\n1,2020-01-01\n", /found "2020-01-01" in line 2, column y/);
    await refuse("a,b,1\na,b,2\n", /columns 1, 2 of text .* wanted one at most/);
    await refuse("1,a\n2,\n", /found "" in line 2, wanted a label/);
    await refuse("1,a\n2,nan\n", /found "nan" in line 2, wanted a label/);
    await refuse("1,a\nb,c\n", /found "b" in line 2, wanted a finite number/);
    await refuse("1.5;2,5\n", /found "2,5" in line 1/);
    await refuse("a\nb\n", /no column of numbers|no row/);
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

/** What a text is read as, and the line that says what was found. */
async function readText(text: string, options: CsvOptions = {}) {
  let note = "", read: Dataset | undefined;
  await withFolder(async (folder) => {
    const path = await write(folder, "x.csv", text);
    read = await readCsv(path, {
      onNote: (line) => note += line.slice(path.length + 2),
      ...options,
    });
  });
  const { data, shape, labels, classNames } = read!;
  return { rows: [...data], shape, labels: labels && [...labels], classNames, note };
}

Deno.test("readCsv() finds header, index, labels, count and decimals by its rule, and says so", async () => {
  const cases: [string, number[], number, RegExp, number[]?, string[]?][] = [
    ["1,2\n3,4\n", [1, 2, 3, 4], 2, /^2 rows separated by commas, without a header$/],
    ["x1,2y\n1,2\n", [1, 2], 2, /after a header$/],
    ["(x),#y\n1,2\n", [1, 2], 2, /after a header$/],
    ["0,1\n5,6\n", [0, 1, 5, 6], 2, /without a header, the first of which, 0 1 …, may be one$/],
    // pandas with and without names, and R.
    [",x,y\n0,1,2\n1,3,4\n", [1, 2, 3, 4], 2, /after a header, column 1 is an index and left out$/],
    [",0,1\n0,1,2\n1,3,4\n", [1, 2, 3, 4], 2, /after a header, column 1 is an index and left out$/],
    ['"","x","y"\n"a",1,2\n"b",3,4\n', [1, 2, 3, 4], 2, /column 1 is an index/],
    ["x,y,species\n1,2,b\n3,4,a\n", [1, 2, 3, 4], 2, /column species is the labels$/, [1, 0], [
      "a",
      "b",
    ]],
    ["1,2,b\n3,4,a\n", [1, 2, 3, 4], 2, /without a header, column 3 is the labels$/, [1, 0], [
      "a",
      "b",
    ]],
    ['1;"b, c"\n3;a\n', [1, 3], 1, /column 2 is the labels$/, [1, 0], ["a", "b, c"]],
    ["label,1x1\n2,7\n0,8\n", [7, 8], 1, /column label is the labels$/, [2, 0], ["0", "1", "2"]],
    ["x,Target\n2,1\n0,-1\n", [2, 0], 1, /column Target is the labels$/, [1, 0], ["-1", "1"]],
    ["x,target\n2,1.5\n0,-1\n", [2, 1.5, 0, -1], 2, /after a header$/],
    ["2\n0 1\n2 3\n", [0, 1, 2, 3], 2, /white space, after a line that counts 2, without/],
    ["2\n3\n", [2, 3], 1, /^2 rows/],
    ["1,5;2\n3;-,25\n", [1.5, 2, 3, -0.25], 2, /semicolons, commas in numbers are decimal/],
    ["1,5\t2\n3\t4,5e1\n", [1.5, 2, 3, 45], 2, /tabs, commas in numbers are decimal/],
    ["1.5;2\n", [1.5, 2], 2, /semicolons, without/],
    ["1,5\n2,7\n", [1, 5, 2, 7], 2, /commas, without/],
    ["1,\t2\n", [1, 2], 2, /commas, without/],
    ["1|2\r3|4\r", [1, 2, 3, 4], 2, /2 rows separated by bars/],
    ["1,2,\n3,4,\n", [1, 2, 3, 4], 2, /commas/],
    ["-1.5D+01 2.5d-1\n", [-15, 0.25], 2, /white space/],
  ];
  for (const [text, rows, width, note, labels, classNames] of cases) {
    const read = await readText(text);
    assert.deepEqual([read.rows, read.shape], [rows, [width]], text);
    assert.deepEqual([read.labels, read.classNames], [labels, classNames], text);
    assert.match(read.note, note);
  }
});

Deno.test("readCsv() lets options decide what it would find", async () => {
  assert.deepEqual((await readText("0,1\n5,6\n", { header: true })).rows, [5, 6]);
  assert.deepEqual((await readText("x,label\n5,6\n", { labels: false })).rows, [5, 6]);
  const byName = await readText("x,kind\n5,6\n7,0\n", { labels: "kind" });
  assert.deepEqual([byName.rows, byName.labels], [[5, 7], [6, 0]]);
  assert.deepEqual((await readText("5,6\n", { labels: 0 })).labels, [5]);
  assert.deepEqual((await readText("9,5,6\n", { index: true })).rows, [5, 6]);
  assert.deepEqual((await readText(",x\n5,6\n", { index: false })).rows, [5, 6]);
  assert.deepEqual((await readText("1,5 2\n", { decimal: "," })).rows, [1.5, 2]);
  for (const options of [{ labels: "z" }, { labels: 2 }, { decimal: ";" }, { header: "no" }]) {
    await assert.rejects(readText("x,y\n5,6\n", options as CsvOptions), RangeError);
  }
});

Deno.test("readCsv() keeps empty cells at the ends of lines of tabs, such as the name of an index", async () => {
  const pandas = await readText("\tx\ty\tlabel\n0\t1.5\t2\t1\n1\t3\t4\t0\n");
  assert.deepEqual([pandas.rows, pandas.labels], [[1.5, 2, 3, 4], [1, 0]]);
  assert.match(pandas.note, /column 1 is an index and left out, column label is the labels$/);
  const single = await readText("\tx\n0\t1.5\n1\t3\n");
  assert.deepEqual([single.rows, single.shape], [[1.5, 3], [1]]);
  assert.deepEqual((await readText(" 1\t2 \n 3\t4\n")).rows, [1, 2, 3, 4]);
  assert.deepEqual((await readText("1\t2\t\n3\t4\t\n")).rows, [1, 2, 3, 4]);
  await assert.rejects(readText("x\ty\n1\t2\n\t3\n"), /found "" in line 3, column x/);
  await assert.rejects(readText("x\ty\n1\t2\n3\t\n"), /found "" in line 3, column y/);
});

Deno.test("readCsv() takes the column that a header of one name less does not name for names of rows", async () => {
  const r = await readText('"x" "y" "label"\n"1" 0.5 2 1\n"2" 3 4 0\n');
  assert.deepEqual([r.rows, r.labels], [[0.5, 2, 3, 4], [1, 0]]);
  assert.match(r.note, /column 1 is an index and left out, column label is the labels$/);
  const pandas = await readText("     x    y  label\n0  1.5  2.0      1\n1  3.0  4.0      0\n");
  assert.deepEqual([pandas.rows, pandas.labels], [[1.5, 2, 3, 4], [1, 0]]);
  const twice = await readText('"x"\n"3" 1\n"3.1" 2\n');
  assert.deepEqual(twice.rows, [1, 2]);
  await assert.rejects(
    readText("title\n1 2\n3.5 4\n"),
    /2 fields in line 2 under 1 names in line 1/,
  );
  const text = await readText('"x" "y"\n"Mazda RX4" 1 2\n');
  assert.deepEqual([text.rows, text.labels], [[1, 2], undefined]);
  for (
    const [table, fields, names] of [["x,y\n1,2,3,4\n", 4, 2], ["x,y,z\n1,2\n", 2, 3], [
      "x,y\n1,2,\n",
      3,
      2,
    ]] as const
  ) {
    await assert.rejects(
      readText(table),
      RegExp(`found ${fields} fields in line 2 under ${names} names in line 1`),
    );
  }
});

Deno.test("readCsv() takes no row with an odd cell for a header", async () => {
  const odd = ["?", "-", "<0.1", "(1)", "\u22122", "\u22121e-5", "<1e5", "missing"];
  for (const cell of odd) {
    for (const text of [`${cell},2\n3,4\n`, `2,${cell}\n3,4\n`]) {
      await assert.rejects(readText(text), (error: Error) => {
        assert.equal(error.name, "DatasetError");
        assert.ok(error.message.includes(`${JSON.stringify(cell)} in line 1`), error.message);
        assert.match(error.message, /readCsv\(\) is told by its option header$/);
        return true;
      });
      assert.deepEqual((await readText(text, { header: true })).rows, [3, 4]);
      await assert.rejects(readText(text, { header: false, labels: false }), /wanted a finite/);
    }
    if (cell !== "missing") await assert.rejects(readText(`${cell}\n3\n`), /may be a header/);
  }
  for (const text of [",1.5,2\n3,4,5\n", ",?,2\n3,4,5\n", '"a","2"\n"3","4"\n']) {
    await assert.rejects(readText(text), /in line 1, which may be a header or a row/);
  }
});

Deno.test("readCsv() takes names beside numbers for a header where there is a sign of one", async () => {
  for (
    const [text, rows, labels] of [
      ['"x",2010\n3,4\n', [3, 4]],
      ["0,1,label\n3,4,1\n", [3, 4], [1]],
      ["label,10\n1,4\n", [4], [1]],
      [",0,1,label\n0,3,4,1\n", [3, 4], [1]],
      [",2010,2011\n0,3,4\n1,5,6\n", [3, 4, 5, 6]],
      ["RI,Na,Mg\n1,2,3\n", [1, 2, 3]],
      // No header: the classes are the names and a number.
      ["1,a\n2,3\n4,b\n", [1, 2, 4], [1, 0, 2]],
    ] as [string, number[], number[]?][]
  ) {
    const read = await readText(text);
    assert.deepEqual([read.rows, read.labels], [rows, labels], text);
  }
});
