import { storedData } from "../../src/compute/posterior.ts";
import type { StateNumbers } from "../../src/compute/batch.ts";
import type { DataStore, PointSet, Subset } from "@closedform/diffusion";
import type { Mask } from "@closedform/diffusion/compute";
import { DeviceError, openDevice, RandomStream } from "@closedform/diffusion";
import { maskOf, referenceMasked } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { emptyMask, maskColumns } from "../../src/compute/mask.ts";
import { openWasm } from "../../src/compute/wasm/device.ts";
import { findAdapter, openWebGpu } from "../../src/compute/webgpu/device.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { maskedTolerance } from "../_helpers/masked_tolerance.ts";
import { assertClose } from "../_helpers/tolerance.ts";

const devices = await testDevices();
const stream = (index: number) =>
  new RandomStream({ seed: 11, sample: index, purpose: "data", step: 0 });

/** Rows of correlated bytes or floats, so that few or many of them compete. */
function makePoints(kind: "bytes" | "floats", count: number, dimension: number): PointSet {
  const random = stream(count + dimension);
  const floats = new Float32Array(count * dimension);
  for (let i = 0; i < count; i++) {
    let level = 0;
    for (let n = 0; n < dimension; n++) {
      level = 0.8 * level + 0.4 * random.normal();
      floats[i * dimension + n] = Math.max(-1, Math.min(1, level));
    }
  }
  return {
    data: kind === "floats" ? floats : Uint8Array.from(floats, (v) => Math.round(127.5 * (v + 1))),
    dimension,
  };
}

/** Bands, with a full column, an empty one, and some at random. */
function makeMask(dimension: number): Mask {
  const random = stream(dimension);
  return maskOf(
    dimension,
    (n, m) => m === 1 || (m !== 2 && (Math.abs(n - m) < 4 || random.uniform() < 0.1)),
  );
}

/** Noisy rows of the data. */
function makeQueries(points: PointSet, sigma: number, count: number): Float32Array {
  const random = stream(Math.round(1e4 * sigma));
  const scale = points.data instanceof Uint8Array ? 2 / 255 : 1;
  const offset = points.data instanceof Uint8Array ? -1 : 0;
  return Float32Array.from(
    { length: count * points.dimension },
    (_, i) => points.data[i] * scale + offset + sigma * random.normal(),
  );
}

function makeSubsets(count: number): Subset[] {
  const random = stream(count);
  return [40, 17, 100].map((size, q) => {
    const rows = Uint32Array.from({ length: size }, (_, i) => (7 * i + q) % count);
    return q === 1
      ? { rows }
      : { rows, logWeights: Float64Array.from(rows, () => 3 * random.normal()) };
  });
}

testOnDevices(
  devices,
  "masked() is the float64 posterior per coordinate, over all rows and over listed ones",
  (device) =>
    withoutLeaks(async () => {
      for (const [kind, count, dimension] of [["bytes", 300, 50], ["floats", 131, 33]] as const) {
        const points = makePoints(kind, count, dimension), mask = makeMask(dimension);
        const store = await device.store(points);
        for (const sigma of [1000, 60, 3, 0.4, 0.1, 0.02]) {
          const queries = makeQueries(points, sigma, 3), subsets = makeSubsets(count);
          for (const options of [{}, { subsets }, { temperature: 2.5 }]) {
            const actual = await store.masked!(queries, sigma, mask, options);
            const expected = referenceMasked(points, queries, sigma, mask, options);
            for (let q = 0; q < 3; q++) {
              const tolerance = maskedTolerance(
                points,
                queries.subarray(q * dimension, (q + 1) * dimension),
                sigma,
                mask,
                { ...options, ...("subsets" in options && subsets[q]) },
              );
              for (let m = 0; m < dimension; m++) {
                assertClose(
                  [actual[q * dimension + m]],
                  [expected[q * dimension + m]],
                  tolerance[m],
                  `${kind}, sigma ${sigma}, ${Object.keys(options)}, query ${q}, coordinate ${m}`,
                );
              }
            }
          }
        }
        store.dispose();
      }
    }),
);

Deno.test("the tolerance of masked() is small where it is tested on images", () => {
  const points = makePoints("bytes", 700, 50), mask = makeMask(50);
  const bound = { 60: 1e-5, 3: 1e-5, 0.4: 1e-4 };
  for (const [sigma, most] of Object.entries(bound)) {
    const query = makeQueries(points, Number(sigma), 1);
    const worst = Math.max(...maskedTolerance(points, query, Number(sigma), mask));
    assert.ok(worst < most, `sigma ${sigma}: ${worst}`);
  }
});

testOnDevices(
  devices,
  "masked() weighs near-duplicates at low noise as float64 does",
  async (device) => {
    // Forty coordinates by which all rows but two compete, and others that tell them apart.
    const random = stream(5), dimension = 48;
    const data = Float32Array.from({ length: 200 * dimension }, (_, at) => {
      const [row, n] = [Math.floor(at / dimension), at % dimension];
      if (row < 2) return 2 * row - 1;
      return n < 40 ? Math.sin(n) / 2 + 6e-4 * random.normal() : 2 * random.uniform() - 1;
    });
    const points = { data, dimension };
    const mask = maskOf(dimension, (n) => n < 40);
    using store = disposable(await device.store(points));
    const queries = makeQueries({ data: data.slice(5 * dimension), dimension }, 0.003, 2);
    const actual = await store.masked!(queries, 0.003, mask);
    const expected = referenceMasked(points, queries, 0.003, mask);
    for (let q = 0; q < 2; q++) {
      const at = q * dimension;
      const tolerance = maskedTolerance(points, queries.subarray(at, at + dimension), 0.003, mask);
      // Integers alone are off by 0.01 nats.
      assert.ok(Math.max(...tolerance) < 3e-4, `tolerance ${Math.max(...tolerance)}`);
      for (let m = 0; m < dimension; m++) {
        assertClose([actual[at + m]], [expected[at + m]], tolerance[m], `query ${q}, ${m}`);
      }
    }
  },
);

testOnDevices(
  devices,
  "masked() keeps the differences of rows that are all far from the query",
  async (device) => {
    const random = stream(6), dimension = 3000;
    const data = Uint8Array.from({ length: 6 * dimension }, () => 256 * random.uniform());
    const points = { data, dimension };
    const mask = emptyMask(dimension, Uint32Array.of(0, 1, 2999));
    for (let n = 0; n < dimension; n++) {
      for (let m = 0; m < 3; m++) mask.bits[m * mask.words + (n >> 5)] |= 1 << (n & 31);
    }
    using store = disposable(await device.store(points));
    const queries = makeQueries(points, 60, 1);
    const tolerance = Math.max(...maskedTolerance(points, queries, 60, mask));
    // (x − q)² in float32 is off by 1e-4 nats.
    assert.ok(tolerance < 1e-5, `tolerance ${tolerance}`);
    const expected = referenceMasked(points, queries, 60, mask);
    assertClose(await store.masked!(queries, 60, mask), expected, tolerance, "mean");
  },
);

function disposable(store: DataStore): DataStore & Disposable {
  return Object.assign(store, { [Symbol.dispose]: () => store.dispose() });
}

testOnDevices(
  devices,
  "masked() gives a query the same bits alone and in a batch",
  async (device) => {
    const points = makePoints("bytes", 600, 40), mask = makeMask(40);
    using store = disposable(await device.store(points));
    for (const sigma of [3, 0.02]) {
      const queries = makeQueries(points, sigma, 5);
      const all = await store.masked!(queries, sigma, mask);
      for (let q = 0; q < 5; q++) {
        const one = await store.masked!(queries.subarray(40 * q, 40 * q + 40), sigma, mask);
        assert.deepEqual(one, all.subarray(40 * q, 40 * q + 40));
      }
    }
  },
);

testOnDevices(
  devices,
  "masked() does not depend on the order of rows, and a subset of all is the whole",
  async (device) => {
    const points = makePoints("bytes", 560, 40), mask = makeMask(40);
    using store = disposable(await device.store(points));
    for (const sigma of [60, 1, 0.05]) {
      const queries = makeQueries(points, sigma, 1);
      const tolerance = Math.max(...maskedTolerance(points, queries, sigma, mask));
      const whole = await store.masked!(queries, sigma, mask);
      const rows = Uint32Array.from({ length: 560 }, (_, i) => i);
      const listed = await store.masked!(queries, sigma, mask, { subsets: [{ rows }] });
      assert.deepEqual(listed, whole);
      const mixed = rows.toSorted((a, b) => (a * 397) % 560 - (b * 397) % 560);
      const other = await store.masked!(queries, sigma, mask, { subsets: [{ rows: mixed }] });
      assertClose(other, whole, 2 * tolerance, `sigma ${sigma}`);
    }
  },
);

testOnDevices(
  devices,
  "masked() averages batches: one is the posterior, several are the mean of theirs",
  async (device) => {
    const points = makePoints("bytes", 250, 24), mask = makeMask(24);
    using store = disposable(await device.store(points));
    for (const sigma of [60, 1, 0.2]) {
      const queries = makeQueries(points, sigma, 1);
      const exact = await store.masked!(queries, sigma, mask);
      const tolerance = Math.max(...maskedTolerance(points, queries, sigma, mask));
      assertClose(
        await store.masked!(queries, sigma, mask, { batch: 250 }),
        exact,
        2 * tolerance,
        "one",
      );
      const averaged = await store.masked!(queries, sigma, mask, { batch: 100 });
      const means = new Float64Array(24);
      let most = 0;
      for (const [from, to] of [[0, 100], [100, 200], [200, 250]]) {
        const rows = Uint32Array.from({ length: to - from }, (_, i) => from + i);
        referenceMasked(points, queries, sigma, mask, { subsets: [{ rows }] })
          .forEach((v, m) => means[m] += v / 3);
        most = Math.max(most, ...maskedTolerance(points, queries, sigma, mask, { rows }));
      }
      assertClose(averaged, means, most, `three, sigma ${sigma}`);
    }
  },
);

testOnDevices(devices, "masked() computes some columns only", async (device) => {
  const points = makePoints("floats", 120, 30), mask = makeMask(30);
  using store = disposable(await device.store(points));
  const queries = makeQueries(points, 0.5, 2);
  const whole = await store.masked!(queries, 0.5, mask);
  const part = await store.masked!(queries, 0.5, maskColumns(mask, Uint32Array.of(7, 2, 19)));
  const tolerance = 2 * Math.max(
    ...[0, 1].flatMap((
      q,
    ) => [...maskedTolerance(points, queries.subarray(30 * q, 30 * q + 30), 0.5, mask)]),
  );
  assertClose(part, [7, 2, 19, 37, 32, 49].map((at) => whole[at]), tolerance, "columns");
});

testOnDevices(
  devices,
  "masked() of an empty column is the weighted mean of its rows",
  async (device) => {
    const points: PointSet = { data: Float32Array.of(1, 10, 2, 20, 6, 60), dimension: 2 };
    using store = disposable(await device.store(points));
    const none = maskOf(2, () => false);
    assertClose(await store.masked!(Float32Array.of(9, 9), 0.1, none), [3, 30], 2e-6 * 30, "all");
    const logWeights = Float64Array.from([1, 2, 1], Math.log);
    const subsets = [{ rows: Uint32Array.of(0, 1, 2), logWeights }];
    assertClose(
      await store.masked!(Float32Array.of(9, 9), 0.1, none, { subsets }),
      [11 / 4, 110 / 4],
      2e-6 * 30,
      "weighted",
    );
  },
);

testOnDevices(devices, "masked() sees rows that were replaced", async (device) => {
  const [old, fresh] = [makePoints("bytes", 200, 16), makePoints("bytes", 200, 17)];
  const mask = makeMask(16), points = { data: fresh.data.slice(0, 3200), dimension: 16 };
  using store = disposable(await device.store({ ...old, data: old.data.map((v) => v >> 4) }));
  if (!store.refill) return;
  const queries = makeQueries(points, 0.4, 1);
  await store.masked!(queries, 0.4, mask);
  await store.refill(storedData(points));
  const tolerance = Math.max(...maskedTolerance(points, queries, 0.4, mask));
  const expected = referenceMasked(points, queries, 0.4, mask);
  assertClose(await store.masked!(queries, 0.4, mask), expected, tolerance, "replaced");
});

testOnDevices(
  devices,
  "masked() stops when told to, and works again after that",
  async (device) => {
    const count = device.kind === "wasm" ? 20_000 : 1000;
    const data = Uint8Array.from({ length: 64 * count }, (_, i) => Math.imul(i, 2654435761) >>> 24);
    const points = { data, dimension: 64 };
    const mask = makeMask(64);
    using store = disposable(await device.store(points));
    const queries = makeQueries(points, 1, device.kind === "wasm" ? 30 : 4);
    const reason = new RangeError("enough");
    await assert.rejects(
      store.masked!(queries, 1, mask, { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    );
    if (device.kind !== "float64") {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 5);
      await assert.rejects(
        store.masked!(queries, 1, mask, { signal: controller.signal }),
        (error) => error === reason,
      );
    }
    const one = queries.subarray(0, 64);
    const tolerance = Math.max(...maskedTolerance(points, one, 1, mask));
    assertClose(
      await store.masked!(one, 1, mask),
      referenceMasked(points, one, 1, mask),
      tolerance,
      "after",
    );
  },
);

testOnDevices(devices, "masked() refuses what does not fit", async (device) => {
  const points = makePoints("bytes", 20, 8), mask = makeMask(8);
  const store = await device.store(points);
  const queries = new Float32Array(16);
  const refused = async (
    error: typeof TypeError | typeof RangeError,
    ...call: Parameters<NonNullable<DataStore["masked"]>>
  ) => await assert.rejects(store.masked!(...call), error);
  await refused(TypeError, new Float32Array(9), 1, mask);
  await refused(RangeError, new Float32Array(0), 1, mask);
  await refused(TypeError, queries, 1, makeMask(9));
  for (const bad of [0, -1, NaN, Infinity]) {
    await refused(RangeError, queries, bad, mask);
    await refused(RangeError, queries, 1, mask, { temperature: bad });
  }
  for (const bad of [0, 1.5, NaN]) await refused(RangeError, queries, 1, mask, { batch: bad });
  await refused(RangeError, Float32Array.from(queries, () => NaN), 1, mask);
  await refused(TypeError, queries, 1, mask, { subsets: [{ rows: Uint32Array.of(1) }] });
  const bad = { rows: Uint32Array.of(20) };
  await refused(RangeError, queries, 1, mask, { subsets: [bad, bad] });
  store.dispose();
  await assert.rejects(store.masked!(queries, 1, mask), DeviceError);
});

testOnDevices(
  devices,
  "masked() is the float64 posterior of odd data: narrow, duplicated, far from 0, few, with extreme weights",
  async (device) => {
    for (let seed = 0; seed < 40; seed++) {
      const random = new RandomStream({ seed, purpose: "data" });
      const dimension = 1 + random.below(20), count = 1 + random.below(60);
      const bytes = random.below(2) === 0, duplicated = random.below(3) === 0;
      const levels = [2, 5, 256][random.below(3)], middle = [0, 10, 1000][random.below(3)];
      const base = Array.from({ length: dimension }, () => random.uniform());
      const value = (n: number) =>
        bytes
          ? duplicated ? Math.floor(base[n] * (levels - 1)) + random.below(2) : random.below(levels)
          : middle + (duplicated ? base[n] + 1e-3 * random.normal() : random.normal());
      const length = count * dimension;
      const numbers = Array.from({ length }, (_, at) => value(at % dimension));
      const data = bytes ? Uint8Array.from(numbers) : Float32Array.from(numbers);
      const points = { data, dimension };
      const mask = maskOf(dimension, (n, m) => n === m || random.uniform() < 0.3);
      const sigma = 10 ** (5 * random.uniform() - 3);
      const x = makeQueries(points, sigma, 1);
      const rows = Uint32Array.from({ length: count }, (_, i) => i).filter((i) => i % 4 !== 1);
      const range = [0, 5, 500][random.below(3)];
      const subset = { rows, logWeights: Float64Array.from(rows, () => -range * random.uniform()) };
      using store = disposable(await device.store(points));
      const tolerance = maskedTolerance(points, x, sigma, mask, subset);
      const actual = await store.masked!(x, sigma, mask, { subsets: [subset] });
      const expected = referenceMasked(points, x, sigma, mask, { subsets: [subset] });
      actual.forEach((v, m) => assertClose([v], [expected[m]], tolerance[m], `seed ${seed}, ${m}`));
    }
  },
);

Deno.test("masked() on the CPU has the same bits for any number of threads, and agrees without relaxed SIMD", async () => {
  const points = makePoints("bytes", 1500, 40), mask = makeMask(40);
  const x = makeQueries(points, 1, 1), results: StateNumbers[] = [];
  for (const options of [{ threads: 1 }, { threads: 3 }, { threads: 2, relaxed: false }]) {
    using device = await openWasm("a test", options);
    using store = disposable(await device.store(points));
    results.push(await store.masked!(x, 1, mask));
  }
  assert.deepEqual(results[0], results[1]);
  const tolerance = Math.max(...maskedTolerance(points, x, 1, mask));
  assertClose(results[2], results[0], 2 * tolerance, "strict");
});

Deno.test("masked() refuses queries too far away for float32", async () => {
  using device = await openDevice("wasm");
  using store = disposable(await device.store(makePoints("bytes", 20, 8)));
  const far = new Float32Array(8).fill(1e35);
  await assert.rejects(store.masked!(far, 1, makeMask(8)), RangeError);
});

Deno.test({
  name: "masked() works across the buffers and bindings of a GPU [webgpu]",
  ignore: devices.find(({ kind }) => kind === "webgpu")!.skip !== undefined,
  fn: async () => {
    const points = makePoints("floats", 300, 64), mask = makeMask(64);
    // Rows of 256 bytes: buffers of 64 rows, bindings of 20.
    using device = await openWebGpu((await findAdapter())!, "test", {
      chunkBytes: 4 * 256,
      shardBytes: 64 * 256,
      bindingBytes: 20 * 256,
    });
    using store = disposable(await device.store(points));
    const rows = Uint32Array.from({ length: 150 }, (_, i) => 299 - 2 * i);
    for (const options of [{}, { subsets: [{ rows }, { rows: rows.subarray(90) }] }]) {
      const queries = makeQueries(points, 3, 2);
      const actual = await store.masked!(queries, 3, mask, options);
      const expected = referenceMasked(points, queries, 3, mask, options);
      for (let q = 0; q < 2; q++) {
        const [from, to] = [64 * q, 64 * q + 64];
        const tolerance = maskedTolerance(points, queries.subarray(from, to), 3, mask, {
          ...options.subsets?.[q],
        });
        const [a, b] = [actual.subarray(from, to), expected.subarray(from, to)];
        assertClose(a, b, Math.max(...tolerance), `query ${q}`);
      }
    }
  },
});
