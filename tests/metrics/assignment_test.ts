import assert from "node:assert/strict";
import fc from "fast-check";
import { assignment } from "../../src/metrics/assignment.ts";
import { startNoise } from "../../src/random.ts";

function permutations(n: number): number[][] {
  if (n === 0) return [[]];
  return permutations(n - 1).flatMap((p) =>
    Array.from({ length: n }, (_, i) => [...p.slice(0, i), n - 1, ...p.slice(i)])
  );
}

const ALL = Array.from({ length: 7 }, (_, n) => permutations(n));

Deno.test("assignment() finds the least cost of all permutations, ties and equal rows included", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }).chain((n) =>
        fc.array(
          fc.oneof(
            fc.integer({ min: -3, max: 3 }),
            fc.double({ min: -1e3, max: 1e3, noNaN: true }),
          ),
          {
            minLength: n * n,
            maxLength: n * n,
          },
        )
      ),
      async (costs) => {
        const n = Math.sqrt(costs.length);
        const costOf = (p: ArrayLike<number>) =>
          Array.from(p).reduce((sum, j, i) => sum + costs[i * n + j], 0);
        const best = Math.min(...ALL[n].map(costOf));
        const { columns, cost, suboptimality } = await assignment(costs);
        assert.equal(new Set(columns).size, n);
        // Six numbers of at most a thousand.
        assert.ok(Math.abs(cost - best) < 1e-11 && Math.abs(costOf(columns) - cost) < 1e-11);
        assert.ok(suboptimality < 1e-11);
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});

Deno.test("assignment() proves its optimality by dual variables, n = 500", async () => {
  const n = 500;
  const { columns, suboptimality, cost } = await assignment(startNoise(1, 0, n, n));
  assert.equal(new Set(columns).size, n);
  assert.ok(suboptimality < 1e-9 * Math.abs(cost));
});

Deno.test("assignment() refuses costs that are not square or not finite", async () => {
  await assert.rejects(() => assignment([1, 2, 3]), TypeError);
  await assert.rejects(() => assignment([]), TypeError);
  await assert.rejects(() => assignment([1, 2, Infinity, 3]), RangeError);
});

Deno.test("assignment() can be cancelled", async () => {
  const signal = AbortSignal.abort(new DOMException("enough", "AbortError"));
  await assert.rejects(() => assignment([1, 2, 3, 4], { signal }), { name: "AbortError" });
});
