import assert from "node:assert/strict";
import { optionsFor, type OptionTable, readOptions } from "../../src/base/_options.ts";

interface GridOptions {
  readonly steps?: number;
  readonly kind?: "even" | "odd";
  readonly signal?: AbortSignal;
}

const TABLE = { steps: 10, kind: "even", signal: undefined } satisfies OptionTable<GridOptions>;
const read = (options: GridOptions) => readOptions("make a grid", options, TABLE);

Deno.test("readOptions() fills in defaults, and counts undefined as not given", () => {
  assert.deepEqual(read({}), { steps: 10, kind: "even" });
  assert.deepEqual(read({ steps: undefined, signal: undefined }), { steps: 10, kind: "even" });
  const { signal } = new AbortController();
  assert.deepEqual(read({ kind: "odd", signal }), { steps: 10, kind: "odd", signal });
  // What is falsy is given.
  assert.equal(read({ steps: 0 }).steps, 0);
});

Deno.test("readOptions() gives types of what has a default, and of what may be missing", () => {
  const settings = read({});
  const steps: number = settings.steps;
  const kind: "even" | "odd" = settings.kind;
  const signal: AbortSignal | undefined = settings.signal;
  assert.deepEqual([steps, kind, signal], [10, "even", undefined]);
  // @ts-expect-error -- it may be missing
  const given: AbortSignal = settings.signal;
  assert.equal(given, undefined);
});

Deno.test("a table that is not that of its options does not compile", () => {
  const { steps, kind, signal } = TABLE;
  // @ts-expect-error -- signal is missing
  readOptions("make a grid", {} as GridOptions, { steps, kind });
  // @ts-expect-error -- there is no option seed
  readOptions("make a grid", {} as GridOptions, { steps, kind, signal, seed: 1 });
  // @ts-expect-error -- the default is of another kind
  readOptions("make a grid", {} as GridOptions, { steps: "ten", kind, signal });
});

Deno.test("readOptions() refuses what is no plain object", () => {
  class Settings {
    steps = 3;
  }
  const cases: [unknown, string][] = [
    [null, "null"],
    [3, "3"],
    ["heun", '"heun"'],
    [[1, 2], "an array of 2"],
    [Promise.resolve({}), "a Promise, which was not awaited"],
    [read, "the function read, which was not called"],
    [new Map([["steps", 3]]), "of type Map"],
    [new Settings(), "of type Settings"],
    [Float32Array.of(1), "of type Float32Array"],
    [Object.create({ steps: 3 }), "an object of nothing"],
  ];
  for (const [options, is] of cases) {
    assert.throws(() => read(options as GridOptions), {
      name: "TypeError",
      message: `Cannot make a grid: options is ${is}, wanted an object of steps, kind, signal`,
    });
  }
});

Deno.test("readOptions() takes plain objects of any origin, and no more than their own names", () => {
  assert.equal(read(Object.assign(Object.create(null), { steps: 3 })).steps, 3);
  const hidden = Object.defineProperty({ [Symbol("seed")]: 1 }, "seed", { value: 1 });
  assert.deepEqual(read(hidden), { steps: 10, kind: "even" });
});

Deno.test("readOptions() names the nearest option, or all", () => {
  const refuses = (options: object, message: string) =>
    assert.throws(() => read(options), { name: "TypeError", message });
  refuses({ step: 3 }, "Cannot make a grid: there is no option step, wanted steps");
  refuses(
    { zoom: 3 },
    "Cannot make a grid: there is no option zoom, wanted one of steps, kind, signal",
  );
  // Not even undefined, which would hide a slip.
  refuses({ step: undefined }, "Cannot make a grid: there is no option step, wanted steps");
  // What every object has is no option.
  refuses(
    { toString: 1 },
    "Cannot make a grid: there is no option toString, wanted one of steps, kind, signal",
  );
  refuses(
    JSON.parse('{ "__proto__": 1 }'),
    "Cannot make a grid: there is no option __proto__, wanted one of steps, kind, signal",
  );
  refuses(
    { steps: null },
    "Cannot make a grid: the option steps is null, wanted a value, or undefined for the default",
  );
});

Deno.test("optionsFor() takes those of a narrower function, with its defaults", () => {
  const wide = { steps: 3, kind: undefined, seed: 5 };
  assert.deepEqual(optionsFor(TABLE, wide), { steps: 3, kind: "even" });
  assert.deepEqual(optionsFor({ seed: undefined }, wide), { seed: 5 });
});
