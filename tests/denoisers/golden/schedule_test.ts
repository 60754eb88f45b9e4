import { ddpmGrid, subsetSchedule } from "@closedform/diffusion";
import { publishedSizes } from "../../../src/denoisers/golden/schedule.ts";
import assert from "node:assert/strict";

// The published sizes for CIFAR-10: k_t, m_t/N as described, pool/N as in the code, at t = 900 … 0.
const TABLE = [
  [5000, 0.100, 0.100],
  [4998, 0.100, 0.101],
  [4991, 0.101, 0.103],
  [4968, 0.102, 0.112],
  [4901, 0.106, 0.136],
  [4745, 0.115, 0.192],
  [4446, 0.133, 0.299],
  [3966, 0.162, 0.472],
  [3310, 0.201, 0.709],
  [2525, 0.249, 0.991],
];

Deno.test("subsetSchedule() gives the published sizes for CIFAR-10", () => {
  const { sigmas } = ddpmGrid(10);
  const described = subsetSchedule("described", { count: 50_000 });
  const code = subsetSchedule("random-pool", { count: 50_000 });
  TABLE.forEach(([k, m, pool], t) => {
    const a = described.sizes(sigmas[t]), b = code.sizes(sigmas[t]);
    assert.equal(a.k, k);
    assert.equal(b.k, k);
    // The table has three decimals.
    assert.ok(Math.abs(a.m / 50_000 - m) < 1e-3, `m ${a.m} at ${sigmas[t]}`);
    assert.ok(Math.abs(b.pool! / 50_000 - pool) < 1e-3, `pool ${b.pool} at ${sigmas[t]}`);
    assert.equal(a.pool, undefined);
    assert.equal(b.m, 5000);
  });
});

Deno.test("subsetSchedule() stays within its ranges at every noise level, and can be constant", () => {
  for (const name of ["described", "random-pool", "random"] as const) {
    const { sizes } = subsetSchedule(name, { count: 1000, k: [20, 80], m: [90, 500] });
    let before = sizes(1e9);
    for (let sigma = 1e3; sigma > 1e-9; sigma /= 3) {
      const { k, m, pool = m } = sizes(sigma);
      assert.ok(k >= 20 && k <= before.k && k <= m && pool >= m && pool <= 1000, name);
      before = sizes(sigma);
    }
    assert.equal(sizes(1e9).k, 80);
    assert.equal(sizes(1e-9).k, 20);
  }
  const fixed = subsetSchedule("described", { count: 1000, k: 7, m: 50 });
  for (const sigma of [100, 1, 0.01]) assert.deepEqual(fixed.sizes(sigma), { k: 7, m: 50 });
});

Deno.test("subsetSchedule() works for sets of any size", () => {
  for (const count of [1, 2, 3, 19, 20, 21]) {
    for (const name of ["described", "random-pool", "random"] as const) {
      const { k, m, pool = m } = subsetSchedule(name, { count }).sizes(0.5);
      assert.ok(k >= 1 && k <= m && m <= pool && pool <= count, `${name} of ${count}`);
    }
  }
});

Deno.test("subsetSchedule() refuses sizes that make no sense", () => {
  for (
    const options of [{ k: 0 }, { k: 1.5 }, { k: 101 }, { k: [9, 3] as const }, { k: 20, m: 10 }]
  ) {
    assert.throws(() => subsetSchedule("described", { count: 100, ...options }), RangeError);
  }
});

Deno.test("publishedSizes() is the published table", () => {
  const cases = [
    [60_000, "default", [3000, 6000]],
    [50_000, "default", [2500, 5000]],
    [15_000, "default", [750, 1500]],
    [15_000, "afhq", [1000, 2000]],
    [1200, "default", [60, 120]],
    [4, "default", [1, 1]],
  ] as const;
  for (const [count, name, k] of cases) assert.deepEqual(publishedSizes(count, name), k);
  assert.deepEqual(publishedSizes(4000), publishedSizes(4000, "default"));
  assert.throws(() => publishedSizes(0), RangeError);
  assert.throws(() => publishedSizes(9, "cifar" as "afhq"), /name is cifar, wanted one of default/);
});
