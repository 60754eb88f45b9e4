import { RandomStream } from "@closedform/diffusion";
import { maskColumn, maskOf } from "@closedform/diffusion/compute";
import type { Mask } from "@closedform/diffusion/compute";
import fc from "fast-check";
import assert from "node:assert/strict";
import { columnSizes, maskColumns } from "../../src/compute/mask.ts";
import { columnSums, referenceParents, treeProgram } from "../../src/compute/mask_tree.ts";
import { spanningTree } from "../../src/compute/wasm/mask_program.ts";
import { ThreadPool } from "../../src/compute/wasm/pool.ts";
import { assertClose } from "../_helpers/tolerance.ts";

/** Bands around the diagonal with some elements flipped. */
function bands(dimension: number, width: number, flipped: number, seed: number): Mask {
  const random = new RandomStream({ seed, purpose: "data" });
  return maskOf(dimension, (n, m) => Math.abs(n - m) < width !== random.uniform() < flipped);
}

Deno.test("columnSums() along the tree are the sums over the columns", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 80 }),
      fc.integer({ min: 0, max: 90 }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      fc.nat(),
      (dimension, width, flipped, seed) => {
        const mask = bands(dimension, width, flipped, seed);
        const program = treeProgram(mask, referenceParents(mask));
        // Whole numbers, so that the order does not matter.
        const entries = Float64Array.from({ length: dimension }, (_, n) => (n * 7919) % 1009);
        const sums = columnSums(program, entries);
        assert.deepEqual([...program.order].sort((a, b) => a - b), [...mask.outputs.keys()]);
        program.order.forEach((m, i) => {
          const expected = maskColumn(mask, m).reduce((sum, n) => sum + entries[n], 0);
          assert.equal(sums[i], expected, `column ${m}`);
        });
        assert.ok(program.slots <= 2 + Math.log2(dimension));
        assert.equal(program.largest, Math.max(...columnSizes(mask)));
      },
    ),
    { seed: 2, numRuns: 60 },
  );
});

Deno.test("treeProgram() adds as many entries as the tree weighs, fewer than the mask has ones", () => {
  const mask = bands(200, 20, 0.01, 3);
  const parents = referenceParents(mask);
  const { weight, words } = treeProgram(mask, parents);
  const columns = mask.outputs.length;
  const bits = Array.from({ length: columns }, (_, m) => new Set(maskColumn(mask, m)));
  let expected = 0;
  parents.forEach((parent, m) => {
    const other = parent < 0 ? new Set<number>() : bits[parent];
    expected += bits[m].symmetricDifference(other).size;
  });
  assert.equal(weight, expected);
  assert.equal(words.length, 5 * columns + weight);
  assert.ok(4 * weight < columnSizes(mask).reduce((a, b) => a + b));
});

Deno.test("treeProgram() of equal columns costs one of them", () => {
  const mask = maskOf(50, (n) => n % 3 === 0);
  assert.equal(treeProgram(mask, referenceParents(mask)).weight, 17);
  const none = maskOf(50, () => false);
  assert.equal(treeProgram(none, referenceParents(none)).weight, 0);
});

Deno.test("spanningTree() in a thread is as light as the one by plain loops", async () => {
  const pool = new ThreadPool(1, false);
  try {
    for (const [dimension, width, flipped] of [[1, 1, 0], [90, 5, 0.02], [300, 40, 0.1]]) {
      const whole = bands(dimension, width, flipped, dimension);
      const odd = maskColumns(whole, whole.outputs.filter((m) => m % 3 !== 1));
      for (const mask of [whole, odd]) {
        const found = treeProgram(mask, await spanningTree(mask, pool));
        assert.equal(found.weight, treeProgram(mask, referenceParents(mask)).weight);
      }
    }
  } finally {
    pool.dispose();
  }
});

Deno.test("a minimum spanning tree is no heavier than a chain of neighbours", () => {
  const mask = bands(150, 10, 0.05, 9);
  const chain = Int32Array.from({ length: 150 }, (_, m) => m - 1);
  const [tree, other] = [referenceParents(mask), chain].map((p) => treeProgram(mask, p));
  assert.ok(tree.weight <= other.weight);
  const entries = Float64Array.from({ length: 150 }, (_, n) => n);
  const sorted = (p: typeof tree) => {
    const sums = columnSums(p, entries), out = new Float64Array(150);
    p.order.forEach((m, i) => out[m] = sums[i]);
    return out;
  };
  assertClose(sorted(tree), sorted(other), 0, "sums");
});
