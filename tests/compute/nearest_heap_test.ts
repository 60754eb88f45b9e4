import fc from "fast-check";
import assert from "node:assert/strict";
import { NearestHeap } from "../../src/compute/nearest_heap.ts";

Deno.test("NearestHeap keeps the smallest pairs, ties by index, in any order of offers", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 50 }),
      fc.nat(),
      (values, size, turn) => {
        const heap = new NearestHeap(size);
        const pairs = values.map((value, index) => ({ value, index }));
        pairs.forEach((_, i) => {
          const { value, index } = pairs[(i + turn) % pairs.length];
          heap.offer(value, index);
        });
        const sorted = pairs.sort((a, b) => a.value - b.value || a.index - b.index).slice(0, size);
        assert.deepEqual(heap.sorted(), {
          values: sorted.map(({ value }) => value),
          indices: sorted.map(({ index }) => index),
        });
        assert.equal(heap.worst, values.length < size ? Infinity : sorted.at(-1)!.value);
      },
    ),
    { seed: 1, numRuns: 1000 },
  );
});
