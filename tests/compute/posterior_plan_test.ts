import fc from "fast-check";
import assert from "node:assert/strict";
import { chunkUniform, planPosterior, rowsPerGroup } from "../../src/compute/posterior_plan.ts";

const dimensions = fc.oneof(
  fc.integer({ min: 1, max: 70 }),
  fc.integer({ min: 1, max: 200_000 }),
);

Deno.test("planPosterior() keeps every binding within the limits and aligned", () => {
  fc.assert(
    fc.property(
      dimensions,
      fc.boolean(),
      // No WebGPU device has less.
      fc.integer({ min: 2 ** 28, max: 2 ** 31 }),
      fc.integer({ min: 2 ** 27, max: 2 ** 31 }),
      fc.option(fc.integer({ min: 1, max: 2 ** 24 }), { nil: undefined }),
      fc.option(fc.integer({ min: 1, max: 2 ** 24 }), { nil: undefined }),
      (dimension, bytes, buffer, binding, chunkBytes, shardBytes) => {
        const plan = planPosterior(dimension, bytes, {
          maxBufferSize: buffer,
          maxStorageBufferBindingSize: binding,
          maxComputeWorkgroupsPerDimension: 65535,
          chunkBytes,
          shardBytes,
        });
        assert.ok(plan);
        const { rowBytes, chunkRows, shardRows, vectors, block } = plan;
        const largest = Math.min(buffer, binding);
        assert.ok(4 * vectors >= dimension && 4 * vectors < dimension + 4);
        assert.equal(rowBytes, vectors * (bytes ? 4 : 16));
        assert.equal(chunkRows * rowBytes % 256, 0, "chunks are aligned");
        assert.equal(shardRows % chunkRows, 0, "no chunk straddles shards");
        assert.ok(chunkRows * rowBytes <= largest, "a chunk fits a binding");
        assert.ok(shardRows * rowBytes <= buffer, "a shard fits a buffer");
        assert.ok(plan.splits * block * vectors * 16 <= largest, "sums fit");
        assert.ok(block * chunkRows * 4 <= largest, "distances fit");
        assert.ok(block >= 4 && block % 4 === 0 && block <= 64);
        assert.ok(plan.lanes <= Math.max(1, vectors));
        assert.equal(64 % plan.lanes + 64 % plan.columns, 0);
        assert.equal(rowsPerGroup(plan) * plan.lanes % 64, 0);
      },
    ),
    { seed: 1, numRuns: 2000 },
  );
});

Deno.test("planPosterior() refuses a row that no binding holds", () => {
  const limits = {
    maxBufferSize: 2 ** 28,
    maxStorageBufferBindingSize: 2 ** 20,
    maxComputeWorkgroupsPerDimension: 65535,
  };
  assert.equal(planPosterior(2 ** 20 + 4, true, limits), undefined);
  assert.equal(planPosterior(2 ** 18 + 4, false, limits), undefined);
  assert.ok(planPosterior(2 ** 10, true, limits));
});

Deno.test("chunkUniform() covers every row once", () => {
  const plan = planPosterior(3, true, {
    maxBufferSize: 2 ** 20,
    maxStorageBufferBindingSize: 2 ** 20,
    maxComputeWorkgroupsPerDimension: 65535,
    chunkBytes: 256,
  });
  assert.ok(plan);
  const count = 1000;
  let next = 0;
  for (let i = 0; next < count; i++) {
    const [rows, first, index, , , splitRows] = chunkUniform(plan, count, i);
    assert.deepEqual([first, index], [next, i]);
    assert.ok(splitRows * plan.splits >= rows);
    next += rows;
  }
  assert.equal(next, count);
});
