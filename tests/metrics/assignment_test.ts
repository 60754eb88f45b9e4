import assert from "node:assert/strict";
import fc from "fast-check";
import { assignment } from "../../src/metrics/assignment.ts";
import { RandomStream, startNoise } from "../../src/base/random.ts";

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

Deno.test("assignment() of plans that tie up to rounding is no further from the best one than it says", async () => {
  // Costs uᵢ + vⱼ, rounded, of which all plans cost the same, several times along the diagonal of a larger problem: what
  // rounding loses in each adds up. These seeds were chosen because it loses something.
  const size = 3, copies = 3, n = size * copies;
  let above = 0;
  for (const seed of [1078, 5325, 8728, 12917, 13545]) {
    const stream = new RandomStream({ seed });
    const draw = () => Array.from({ length: size }, () => stream.uniform() * 8 + 1);
    const u = draw(), v = draw();
    const block = (i: number, j: number) => u[i] + v[j];
    const costs = Float64Array.from({ length: n * n }, (_, at) => {
      const i = Math.floor(at / n), j = at % n;
      const same = Math.floor(i / size) === Math.floor(j / size);
      return same ? block(i % size, j % size) : 1e3;
    });
    // Sums of the rounded costs themselves, exactly: they are multiples of 2^-51.
    const exact = (cost: number) => BigInt(cost * 2 ** 51);
    const plans = ALL[size].map((plan) => plan.reduce((sum, j, i) => sum + exact(block(i, j)), 0n));
    const best = plans.reduce((a, b) => a < b ? a : b) * BigInt(copies);
    const { columns, suboptimality } = await assignment(costs);
    const found = [...columns].reduce((sum, j, i) => sum + exact(costs[i * n + j]), 0n);
    const gap = Number(found - best) / 2 ** 51;
    assert.ok(gap >= 0 && gap <= suboptimality, `${gap} of ${suboptimality}`);
    if (gap > 0) above++;
  }
  assert.equal(above, 5);
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
