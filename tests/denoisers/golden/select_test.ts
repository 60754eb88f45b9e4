import { RandomStream } from "@closedform/diffusion";
import fc from "fast-check";
import assert from "node:assert/strict";
import { drawOtherRows, drawRows, smallest } from "../../../src/denoisers/golden/select.ts";

Deno.test("smallest() takes what sorting would put first, of equal ones the first", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(Infinity, -Infinity, 0.5)),
        {
          minLength: 1,
          maxLength: 60,
        },
      ),
      fc.nat(),
      (list, pick) => {
        const values = Float64Array.from(list), m = 1 + pick % list.length;
        const sorted = list.map((v, i) => ({ v, i }))
          .sort((a, b) => a.v < b.v ? -1 : a.v > b.v ? 1 : a.i - b.i).slice(0, m).map(({ i }) => i);
        assert.deepEqual([...smallest(values, m)], sorted.sort((a, b) => a - b));
        assert.deepEqual([...values], list);
      },
    ),
    { seed: 2, numRuns: 500 },
  );
});

Deno.test("drawRows() and drawOtherRows() draw every set of rows equally often", () => {
  // 2 of 4 rows, 6 pairs: chi-squared with 5 degrees of freedom is above 25.7 once in 10,000 times.
  const pairs = new Map<string, number>(), others = new Map<string, number>();
  const runs = 6000;
  for (let seed = 0; seed < runs; seed++) {
    const stream = new RandomStream({ seed, purpose: "retrieval" });
    const pair = drawRows(stream, 2, 4).join();
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    const other = drawOtherRows(stream, 2, 7, Uint32Array.of(0, 3, 4)).join();
    others.set(other, (others.get(other) ?? 0) + 1);
  }
  for (const counts of [pairs, others]) {
    assert.equal(counts.size, 6);
    const chi = [...counts.values()].reduce((sum, n) => sum + (n - runs / 6) ** 2 / (runs / 6), 0);
    assert.ok(chi < 25.7, `chi-squared ${chi}`);
  }
  assert.deepEqual([...others.keys()].sort(), ["1,2", "1,5", "1,6", "2,5", "2,6", "5,6"]);
});

Deno.test("drawOtherRows() leaves out what it is told, also all but the wanted ones, and none", () => {
  const stream = new RandomStream({ seed: 1 });
  assert.deepEqual([...drawOtherRows(stream, 2, 5, Uint32Array.of(0, 1, 4))], [2, 3]);
  assert.deepEqual([...drawOtherRows(stream, 3, 3, new Uint32Array())], [0, 1, 2]);
  assert.deepEqual([...drawOtherRows(stream, 0, 3, Uint32Array.of(0, 1, 2))], []);
});
