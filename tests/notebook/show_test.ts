import {
  collocation,
  compareScores,
  Dataset,
  functionDenoiser,
  karrasGrid,
  lineSpec,
  moons,
  nearestItems,
  notebookProgress,
  openDevice,
  sample,
  show,
  tinyShapes,
} from "@closedform/diffusion";
import { arraySpace, tensorSpace } from "@closedform/diffusion/compute";
import { blankBitmap } from "../../src/plots/bitmap.ts";
import { report } from "@closedform/diffusion/theory";
import type { Display, MediaBundle, Progress, Showable, ShowOptions } from "@closedform/diffusion";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { Jimp } from "jimp";
import { pythonOfJupyter, runCells } from "../_helpers/kernel.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { optimalFloat64, wienerFloat64 } from "../_helpers/float64.ts";

type Shown = { bundle: MediaBundle; options: Parameters<Display>[1] };

/** Shows a thing into a list. */
async function shown(
  thing: Showable,
  options: ShowOptions = {},
): Promise<Shown[]> {
  const outputs: Shown[] = [];
  const display: Display = (bundle, options) => {
    outputs.push({ bundle, options });
    return Promise.resolve();
  };
  await show(thing, { ...options, display });
  return outputs;
}

async function sizeOf(bundle: MediaBundle): Promise<[number, number]> {
  const png = Buffer.from(bundle["image/png"] as string, "base64");
  const { width, height } = await Jimp.fromBuffer(png);
  return [width, height];
}

Deno.test("show sends text as Markdown and drawings as SVG, raw", async () => {
  assert.deepEqual(await shown("a *b*"), [{
    bundle: { "text/markdown": "a *b*", "text/plain": "a *b*" },
    options: { raw: true },
  }]);
  const [{ bundle }] = await shown("<svg></svg>");
  assert.deepEqual(Object.keys(bundle), ["image/svg+xml", "text/plain"]);
});

Deno.test("show sends a chart as Vega-Lite 5 with an SVG and a text to fall back on", async () => {
  const chart = lineSpec([{ label: "a", x: [0, 1], y: [1, 2] }], {
    title: "A line",
  });
  const [{ bundle }] = await shown(chart);
  assert.equal(bundle["application/vnd.vegalite.v5+json"], chart);
  assert.match(String(bundle["image/svg+xml"]), /^<svg/);
  assert.equal(bundle["text/plain"], "[chart: A line]");
});

Deno.test("show sends a picture as a PNG in base64", async () => {
  const [{ bundle }] = await shown(blankBitmap(3, 2));
  assert.deepEqual(await sizeOf(bundle), [3, 2]);
  assert.equal(bundle["text/plain"], "[picture of 3×2 pixels]");
});

Deno.test("show sends a table as HTML and as text, and escapes it", async () => {
  const [{ bundle }] = await shown([
    { what: "a<b & c", value: 1 / 3, n: 12 },
    { what: "other", more: null },
  ]);
  assert.equal(
    bundle["text/html"],
    "<table><thead><tr><th>what</th><th>value</th><th>n</th><th>more</th></tr></thead><tbody>" +
      '<tr><td style="text-align:left">a&#60;b &#38; c</td><td style="text-align:right">0.3333</td>' +
      '<td style="text-align:right">12</td><td style="text-align:left"></td></tr>' +
      '<tr><td style="text-align:left">other</td><td style="text-align:left"></td>' +
      '<td style="text-align:left"></td><td style="text-align:left"></td></tr></tbody></table>',
  );
  assert.equal(
    bundle["text/plain"],
    "what     value   n   more\n" +
      "-------  ------  --  ----\n" +
      "a<b & c  0.3333  12\n" +
      "other",
  );
});

Deno.test("show sends a data set as its summary and its first items", async () => {
  const set = new Dataset({
    data: new Uint8Array(50 * 32 * 32),
    shape: [32, 32, 1],
    name: "black",
  });
  const [summary, picture] = await shown(set, { id: "data" });
  assert.equal(summary.bundle["text/plain"], set.summary());
  // 8 columns and 4 rows of 64 pixels, with 2 between and around.
  assert.deepEqual(await sizeOf(picture.bundle), [8 * 66 + 2, 4 * 66 + 2]);
  assert.deepEqual(
    [summary, picture].map(({ options }) => options.display_id),
    ["data-summary", "data"],
  );
  const few = await shown(set, { items: 3, columns: 3, scale: 1 });
  assert.deepEqual(await sizeOf(few[1].bundle), [3 * 34 + 2, 36]);
});

Deno.test("show draws points of the plane as a chart and others as a picture", async () => {
  const points = (d: number) =>
    new Dataset({
      data: Float32Array.from({ length: 12 }, (_, i) => i % 5),
      shape: [d],
      name: "points",
    });
  assert.ok(
    "application/vnd.vegalite.v5+json" in (await shown(points(2)))[1].bundle,
  );
  for (const d of [1, 3, 4]) {
    assert.deepEqual(await sizeOf((await shown(points(d)))[1].bundle), [
      512,
      512,
    ]);
  }
});

Deno.test("show draws tensors and numbers, whose shape it must know", async () => {
  await tf.setBackend("cpu");
  await withoutLeaks(async () => {
    const images = tensorSpace.from(new Float32Array(2 * 8 * 8 * 3), [
      2,
      8,
      8,
      3,
    ]);
    const [tensor] = await shown(images, { columns: 1, scale: 1 });
    assert.deepEqual(await sizeOf(tensor.bundle), [12, 22]);
    const flat = tensorSpace.from(new Float32Array(2 * 192), [2, 192]);
    const [again] = await shown(flat, {
      shape: [8, 8, 3],
      columns: 1,
      scale: 1,
    });
    assert.deepEqual(again.bundle, tensor.bundle);
    tensorSpace.dispose(images, flat);
  });
  const numbers = new Float64Array(64);
  const [{ bundle }] = await shown(numbers, { shape: [8, 8], scale: 2 });
  assert.deepEqual(await sizeOf(bundle), [20, 20]);
  await assert.rejects(shown(numbers), {
    name: "TypeError",
    message: /wanted the option shape/,
  });
});

Deno.test("show sends a run as its summary, its samples and, if it was kept, its way", async () => {
  const images = tinyShapes(40);
  const options = { count: 3, grid: karrasGrid(5), trajectory: true };
  const run = await sample(optimalFloat64(images), { ...options, output: "tensor" });
  const [summary, samples, way] = await shown(run, { id: "run", scale: 1 });
  assert.match(
    String(summary.bundle["text/plain"]),
    /^3 samples of 12×12×1, 5 steps, 5 evaluations each, [\d.]+ s$/,
  );
  // Two columns and rows of 12 pixels, with 2 between and around; six levels, each image six times as large.
  assert.deepEqual(await sizeOf(samples.bundle), [2 * 14 + 2, 2 * 14 + 2]);
  assert.deepEqual(await sizeOf(way.bundle), [6 * 74 + 2, 6 * 74 + 2]);
  assert.deepEqual(
    [summary, samples, way].map(({ options }) => options.display_id),
    ["run-summary", "run", "run-trajectory"],
  );
  // The trajectory of a run knows its shape, other ones do not.
  const [alone] = await shown(run.trajectory!);
  assert.deepEqual(alone.bundle, way.bundle);
  const part = run.trajectory!.slice();
  const [again] = await shown(part, { shape: images.shape });
  assert.deepEqual(again.bundle, way.bundle);
  await assert.rejects(shown(part), /wanted the option shape/);
  const { trajectory } = await sample(optimalFloat64(images), options);
  assert.deepEqual((await shown(trajectory!))[0].bundle, way.bundle);
  const points = await sample(optimalFloat64(moons(40)), {
    count: 16,
    sampler: collocation(),
    grid: karrasGrid(5),
    output: "tensor",
  });
  const [line, chart] = await shown(points);
  assert.match(String(line.bundle["text/plain"]), /^16 samples of 2, .* 16 converged$/);
  assert.ok("image/svg+xml" in chart.bundle);
});

Deno.test("show sends reports, scores and records of numbers as tables", async () => {
  const [{ bundle }] = await shown([report("one is at most two", 1, 2), report("a", 2, 1)]);
  assert.equal(
    bundle["text/plain"],
    "statement           measured  bound  holds\n" +
      "------------------  --------  -----  -----\n" +
      "one is at most two         1      2  true\n" +
      "a                          2      1  false",
  );
  const set = moons(30);
  const scores = await compareScores(
    optimalFloat64(set),
    { wiener: await wienerFloat64(set) },
    { train: set, sigmas: [1], count: 8 },
  );
  const [{ bundle: table }, { bundle: chart }] = await shown(scores);
  assert.match(
    String(table["text/plain"]),
    /^sigma +approximation +score, residual +centred, residual/,
  );
  assert.match(String(chart["text/plain"]), /^\[chart: What is left unexplained/);
  const [{ bundle: record }] = await shown(
    { distance: 0.25, of: { few: [1, 2], many: Float64Array.of(3, 1, 2, 9, 4, 5, 7) } } as never,
  );
  assert.equal(
    record["text/plain"],
    "name      value\n--------  -----------------\ndistance               0.25\n" +
      "of.few    1, 2\nof.many   7 numbers, 1 to 9",
  );
});

Deno.test("show puts words above and beside images", async () => {
  const images = tinyShapes(6), values = Float32Array.from(images.data);
  const layout = { rowLabels: ["one", "a<b"], columnLabels: ["1", "2", "3"], scale: 2 };
  const [caption, { bundle }] = await shown(values, {
    ...layout,
    shape: images.shape,
    caption: "six *images*",
    id: "p",
  }) as unknown as [Shown, Shown];
  assert.deepEqual(
    [caption.bundle["text/plain"], caption.options.display_id],
    ["six *images*", "p-caption"],
  );
  const svg = String(bundle["image/svg+xml"]);
  // Three columns and two rows of 24 pixels, 2 between and around; three letters beside, a line above.
  assert.match(svg, /<image x="30" y="18" width="80" height="54" href="data:image\/png;base64,/);
  assert.deepEqual(
    [...svg.matchAll(/<text [^>]*>([^<]*)</g)].map(([, label]) => label),
    ["one", "a&#60;b", "1", "2", "3"],
  );
  assert.equal(bundle["text/plain"], "[images in rows of 3: one, a<b; 1, 2, 3]");
  // Of a data set, too; rows alone say how many columns there are.
  const [, rows] = await shown(images, { rowLabels: ["a", "b", "c"], scale: 2 });
  assert.equal(rows.bundle["text/plain"], "[images in rows of 2: a, b, c]");
  await assert.rejects(
    shown(values, { ...layout, shape: images.shape, rowLabels: ["one"] }),
    /received 1 labels of rows, wanted 2/,
  );
});

Deno.test("show shows samples above the items nearest to them", async () => {
  const images = tinyShapes(30);
  const near = await nearestItems(images.take(3), images);
  const [pairs, words] = await shown(near);
  assert.equal(
    pairs.bundle["text/plain"],
    "[images in rows of 3: sample, nearest item; 0, 0, 0]",
  );
  assert.match(String(words.bundle["text/plain"]), /distance/);
  const [{ bundle }] = await shown(await nearestItems([0, 0], moons(10)));
  assert.match(String(bundle["text/plain"]), /^sample +nearest +distance +to the second\n/);
});

Deno.test("show tells what a device and a denoiser are", async () => {
  const device = await openDevice("float64");
  const [{ bundle }] = await shown(device);
  assert.match(String(bundle["text/plain"]), /^name +value\n[-\s]+device +float64\ndescription /);
  const [{ bundle: facts }] = await shown(functionDenoiser((x) => x, {
    shape: [2, 2],
    space: arraySpace,
  }));
  assert.equal(
    facts["text/plain"],
    "name               value\n-----------------  ----------\n" +
      "denoiser           a function\nshape of a sample  2×2",
  );
});

const python = await pythonOfJupyter();

Deno.test({
  name:
    `tensors, data sets, runs, denoisers, comparisons and the like show themselves at the end of a cell${
      python ? "" : ", skipped: no Python with jupyter_client"
    }`,
  ignore: python === undefined,
  fn: async () => {
    const cells = [
      `import { compareSamplers, moons, nearestItems, openDevice, optimal, sample, tinyShapes } from "@closedform/diffusion";
       import { tensorSpace } from "@closedform/diffusion/compute";
       import { report } from "@closedform/diffusion/theory";
       const device = await openDevice("wasm");`,
      `tensorSpace.from(new Float32Array(2 * 64), [2, 8, 8, 1])`,
      `tensorSpace.from([1, 2, NaN, 4], [2, 2])`,
      `tinyShapes(20)`,
      `const run = await sample(await optimal(moons(50), { device }), { count: 4 }); run`,
      `const one = await sample(await optimal(moons(50), { device }), { count: 4, output: "tensor" });
       tensorSpace.dispose(one.x); one`,
      `report("one is at most two", 1, 2)`,
      `device`,
      `const exact = await optimal(moons(50), { device }); exact`,
      `await compareSamplers(exact, { samplers: ["ddim"], steps: [5, 10], count: 2 })`,
      `await nearestItems(tinyShapes(3), tinyShapes(20))`,
      `(await sample(exact, { count: 2, steps: 3, trajectory: true })).trajectory`,
    ].map((code) => ({ code }));
    const results = await runCells(python!, cells);
    assert.deepEqual(
      results.map(({ status, error }) => [status, error]),
      cells.map(() => ["ok", ""]),
    );
    const shapes = results.map(({ shown }) => shown.map((bundle) => Object.keys(bundle).sort()));
    const html = ["text/html", "text/plain"];
    const picture = ["image/png", "text/plain"], text = ["text/markdown", "text/plain"];
    assert.deepEqual(shapes, [
      [],
      [picture],
      [text],
      [html],
      [html],
      [text],
      ...Array(5).fill([html]),
      [picture],
    ]);
    const plain = results.map(({ shown }) => shown[0]?.["text/plain"]);
    assert.equal(plain[2], "float32 tensor of shape [2,2]: 1, 2, NaN, 4");
    assert.match(String(plain[4]), /^4 samples of 2, 10 steps, 10 evaluations each, .*\n\[chart/);
    assert.match(String(results[3].shown[0]["text/html"]), /<p>.*20 items.*\n<img src="data:image/);
    assert.match(String(results[4].shown[0]["text/html"]), /<p>4 samples.*\n<svg/);
    assert.match(String(plain[5]), /released$/);
    assert.match(String(plain[7]), /^name +value\n.*\ndevice +wasm\n/);
    assert.match(String(plain[8]), /\ndenoiser +optimal denoiser of moons\n.*\nitems +50\n/);
    assert.match(
      String(plain[9]),
      /^sampler [^]*\n\[chart: Distance from the end of collocation\]$/,
    );
    assert.match(String(results[10].shown[0]["text/html"]), /<svg[^]*sample<[^]*nearest item</);
  },
});

Deno.test("show updates in place under an id", async () => {
  const [{ options }] = await shown("a", { id: "p", update: true });
  assert.deepEqual(options, { raw: true, display_id: "p", update: true });
});

Deno.test("show waits for the front end before it returns", async () => {
  const start = performance.now();
  await shown("a");
  // Timers count whole milliseconds, so one may be missing.
  assert.ok(performance.now() - start >= 24);
});

Deno.test("show prints text outside a notebook", async () => {
  const lines: unknown[] = [];
  const { log } = console;
  console.log = (line) => lines.push(line);
  try {
    await show([{ a: 1 }]);
    await show(blankBitmap(2, 2));
  } finally {
    console.log = log;
  }
  assert.deepEqual(lines, ["a\n-\n1", "[picture of 2×2 pixels]"]);
});

Deno.test("show refuses what it does not know", async () => {
  for (const thing of [5, undefined, {}, [], [1], new Uint8Array(4)]) {
    await assert.rejects(shown(thing as unknown as Showable), {
      name: "TypeError",
      message: /^Cannot show .*wanted text, a chart/,
    });
  }
});

const at = (done: number): Progress => ({
  fraction: done / 8,
  done,
  total: 8,
  sigma: 100 / 2 ** done,
  elapsed: 10 * done,
  remaining: done === 0 ? undefined : 80 - 10 * done,
});

Deno.test("notebookProgress updates one line, not too often, and always shows the end", async () => {
  const outputs: Shown[] = [];
  const onProgress = notebookProgress("sampling", {
    display: (bundle, options) => {
      outputs.push({ bundle, options });
      return Promise.resolve();
    },
  });
  for (let done = 0; done <= 8; done++) await onProgress(at(done));
  assert.deepEqual(outputs.map(({ bundle }) => bundle["text/plain"]), [
    "sampling ░░░░░░░░░░░░░░░░░░░░ 0 % · step 0 of 8 · σ 100 · 0.0 s",
    "sampling ████████████████████ 100 % · step 8 of 8 · σ 0.391 · 1 min 20 s",
  ]);
  assert.deepEqual(outputs.map(({ options }) => options.update), [false, true]);
  assert.equal(
    new Set(outputs.map(({ options }) => options.display_id)).size,
    1,
  );
});

Deno.test("notebookProgress prints a line per quarter outside a notebook", async () => {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line) => lines.push(line);
  try {
    const onProgress = notebookProgress("sampling");
    for (let done = 0; done <= 8; done++) await onProgress(at(done));
  } finally {
    console.log = log;
  }
  assert.deepEqual(
    lines.map((line) => line.match(/ (\d+ %) /)?.[1]),
    ["25 %", "50 %", "75 %", "100 %"],
  );
  assert.match(lines[0], /· 20\.0 s, 1 min 0 s left$/);
});

Deno.test("notebookProgress redraws one line on a terminal", async () => {
  let written = "";
  const { isTerminal, writeSync } = Deno.stderr;
  Deno.stderr.isTerminal = () => true;
  Deno.stderr.writeSync = (bytes) => {
    written += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  try {
    const onProgress = notebookProgress("sampling");
    for (const done of [2, 8]) await onProgress(at(done));
  } finally {
    Deno.stderr.isTerminal = isTerminal;
    Deno.stderr.writeSync = writeSync;
  }
  const lines = written.split("\r\x1b[K");
  assert.deepEqual(lines.map((line) => line.match(/ (\d+ %) /)?.[1]), [undefined, "25 %", "100 %"]);
  assert.match(lines[1], /1 min 0 s left$/);
  assert.match(lines[2], /· 1 min 20 s\n$/);
});
