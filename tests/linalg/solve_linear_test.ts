import { solveLinear } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import fc from "fast-check";

Deno.test("solveLinear() solves systems whose solution is known", () => {
  const size = fc.integer({ min: 1, max: 6 });
  const numbers = fc.double({ min: -1, max: 1, noNaN: true });
  const system = size.chain((n) =>
    fc.tuple(
      fc.array(numbers, { minLength: n * n, maxLength: n * n }),
      fc.array(numbers, { minLength: n, maxLength: n }),
    )
  );
  fc.assert(
    fc.property(system, ([entries, x]) => {
      const n = x.length;
      // A dominant diagonal keeps the condition number below 10.
      const matrix = entries.map((v, at) => v + (at % (n + 1) === 0 ? 2 * n : 0));
      const right = x.map((_, i) => x.reduce((sum, v, j) => sum + matrix[i * n + j] * v, 0));
      const error = solveLinear(matrix, right).map((v, i) => Math.abs(v - x[i]));
      return Math.max(...error) <= 100 * Number.EPSILON;
    }),
    { seed: 7 },
  );
});

Deno.test("solveLinear() exchanges rows where a pivot is 0", () => {
  assert.deepEqual(solveLinear([0, 1, 1, 0], [3, 5]), [5, 3]);
});

Deno.test("solveLinear() refuses what does not fit or has no solution", () => {
  assert.throws(() => solveLinear([1, 2, 3], [1, 2]), TypeError);
  assert.throws(() => solveLinear([], []), TypeError);
  assert.throws(() => solveLinear([1, 2, 2, 4], [1, 2]), RangeError);
  assert.throws(() => solveLinear([NaN], [1]), RangeError);
});
