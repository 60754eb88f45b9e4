import type { DataStore, Device, PointSet, Subset } from "@closedform/diffusion";
import { DeviceError, moons, shapes, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { referencePosterior, streamStore } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { affineOf } from "../../src/compute/posterior.ts";
import { findAdapter, openWebGpu } from "../../src/compute/webgpu/device.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose, posteriorTolerance } from "../_helpers/tolerance.ts";

const devices = await testDevices();
const BATCH = 5;

/** Noisy copies of rows as float32. */
function noisy(points: PointSet, sigma: number, batch = BATCH): Float32Array {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  return Float32Array.from(
    startNoise(5, 0, batch, dimension),
    (e, at) => data[at * 3 % data.length] * scale + offset + sigma * e,
  );
}

/** Rows that have no order, a different number for each query. */
function listsFor(count: number, batch = BATCH): Uint32Array[] {
  return Array.from({ length: batch }, (_, q) => {
    const step = [1, 7, 13, 3, 11][q % 5];
    const length = [count, 1, 300, 17, 4][q % 5];
    return Uint32Array.from({ length: Math.min(length, count) }, (_, i) => (q + i * step) % count);
  });
}

function rowsOf({ data, dimension, range }: PointSet, rows: ArrayLike<number>): PointSet {
  const Numbers = data instanceof Uint8Array ? Uint8Array : Float32Array;
  const copy = new Numbers(rows.length * dimension);
  Array.from(
    rows,
    (row, i) => copy.set(data.subarray(row * dimension, (row + 1) * dimension), i * dimension),
  );
  return { data: copy, dimension, ...(range && { range }) };
}

/** The same data as a store in memory and as one that is streamed. */
async function storesOf(device: Device, points: PointSet): Promise<DataStore[]> {
  const { data, dimension, range } = points;
  const streamed = streamStore(
    {
      count: data.length / dimension,
      dimension,
      bytes: data instanceof Uint8Array,
      ...(range && { range }),
      read: async (first, rows, target) => {
        await Promise.resolve();
        target.set(data.subarray(first * dimension, (first + rows) * dimension));
      },
    },
    device,
    { chunkBytes: dimension * 40 },
  );
  return [await device.store(points), streamed];
}

// 301 columns: rows that need padding.
const odd = {
  data: Uint8Array.from(startNoise(1, 0, 600, 301), (e) => 127 + 40 * e),
  dimension: 301,
  range: [0, 1] as const,
};
const SETS: PointSet[] = [shapes(700), moons(900), odd];

testOnDevices(
  devices,
  "posteriorOn() is the posterior over the listed rows alone",
  (device) =>
    withoutLeaks(async () => {
      for (const points of SETS) {
        const lists = listsFor(points.data.length / points.dimension);
        for (const store of await storesOf(device, points)) {
          for (const sigma of [60, 1, 0.1]) {
            const queries = noisy(points, sigma);
            const x = tensorSpace.from(queries, [BATCH, points.dimension]);
            const { mean, facts } = await store.posteriorOn(
              x,
              sigma,
              lists.map((rows) => ({ rows })),
            );
            const actual = await tensorSpace.values(mean);
            lists.forEach((rows, q) => {
              const from = q * points.dimension, to = from + points.dimension;
              const query = queries.slice(from, to), alone = rowsOf(points, rows);
              const expected = referencePosterior(alone, query, sigma);
              const tolerance = posteriorTolerance(alone, query, sigma);
              const what = `${points.dimension} numbers, sigma ${sigma}, query ${q}`;
              assertClose(actual.slice(from, to), expected.mean, tolerance.mean, `mean, ${what}`);
              for (const name of ["topLogit", "logNormaliser"] as const) {
                assertClose(
                  [facts[name][q]],
                  [expected.facts[name][0]],
                  tolerance.logit,
                  `${name}, ${what}`,
                );
              }
              for (const name of ["logitGap", "entropy"] as const) {
                const [e] = expected.facts[name];
                // The gap of a single row is infinite.
                if (e === Infinity) assert.equal(facts[name][q], e);
                else {assertClose(
                    [facts[name][q]],
                    [e],
                    2 * tolerance.logit * (1 + Math.log(rows.length)),
                    `${name}, ${what}`,
                  );}
              }
              assert.equal(facts.topIndex[q], rows[expected.facts.topIndex[0]], what);
            });
            tensorSpace.dispose(x, mean);
          }
          store.dispose();
        }
      }
    }),
);

testOnDevices(
  devices,
  "posteriorOn() counts a row of log-weight log m as m rows",
  (device) =>
    withoutLeaks(async () => {
      for (const points of SETS) {
        const rows = Uint32Array.of(5, 0, 77, 31, 8, 2);
        const times = [1, 5, 2, 1, 9, 3];
        const repeated = rowsOf(
          points,
          [...rows].flatMap((row, i) => new Array(times[i]).fill(row)),
        );
        const subset: Subset = { rows, logWeights: Float64Array.from(times, Math.log) };
        for (const store of await storesOf(device, points)) {
          for (const sigma of [30, 1]) {
            const query = noisy(points, sigma, 1);
            const x = tensorSpace.from(query, [1, points.dimension]);
            const { mean, facts } = await store.posteriorOn(x, sigma, [subset]);
            const expected = referencePosterior(repeated, query, sigma);
            const tolerance = posteriorTolerance(repeated, query, sigma);
            assertClose(await tensorSpace.values(mean), expected.mean, tolerance.mean, "mean");
            assertClose(
              facts.logNormaliser,
              expected.facts.logNormaliser,
              tolerance.logit,
              "evidence",
            );
            tensorSpace.dispose(x, mean);
          }
          store.dispose();
        }
      }
    }),
);

testOnDevices(
  devices,
  "distancesTo() keeps its bound on the error, also for near-duplicates at low noise",
  (device) =>
    withoutLeaks(async () => {
      // Images that differ by a few grey values: the expanded square would lose them.
      const near = {
        data: Uint8Array.from({ length: 50 * 768 }, (_, i) =>
          100 + i % 768 % 97 + (i * 7919 % 5 === 0 ? 1 : 0)),
        dimension: 768,
      };
      for (const points of [...SETS, near]) {
        const { data, dimension } = points;
        const { scale, offset } = affineOf(points);
        const lists = listsFor(data.length / dimension);
        for (const store of await storesOf(device, points)) {
          for (const sigma of [60, 0.01]) {
            const queries = noisy(points, sigma);
            const x = tensorSpace.from(queries, [BATCH, dimension]);
            const { squares, errors } = await store.distancesTo(x, lists);
            lists.forEach((rows, q) => {
              const expected = Float64Array.from(rows, (row) => {
                let sum = 0;
                for (let c = 0; c < dimension; c++) {
                  sum +=
                    (queries[q * dimension + c] - (data[row * dimension + c] * scale + offset)) **
                      2;
                }
                return sum;
              });
              // The oracle rounds too: float64 sums of d terms.
              expected.forEach((square, i) => {
                const error = errors[q][i] + dimension * 2 ** -52 * square;
                assertClose([squares[q][i]], [square], error, `sigma ${sigma}`);
                // The bound is of use: a hundred-thousandth of the distance, or a tenth of a nat.
                const most = Math.max(1e-5 * square, 0.1 * 2 * sigma * sigma);
                assert.ok(errors[q][i] <= most, `bound ${errors[q][i]} of ${square}`);
              });
            });
            x.dispose();
          }
          store.dispose();
        }
      }
    }),
);

testOnDevices(
  devices,
  "posteriorOn() names the lowest of rows that are equally near, in whatever order they are listed",
  async (device) => {
    const points = { data: Float32Array.of(3, 1, 1, 5, 1, -1), dimension: 1 };
    const x = tensorSpace.from([0.5], [1, 1]);
    for (const store of await storesOf(device, points)) {
      for (const rows of [[4, 2, 1, 0], [1, 4, 2], [2, 4, 1], [3, 4, 0, 2]]) {
        const subset = { rows: Uint32Array.from(rows) };
        const { mean, facts } = await store.posteriorOn(x, 0.4, [subset]);
        assert.deepEqual([facts.topIndex[0], facts.logitGap[0]], [rows.includes(1) ? 1 : 2, 0]);
        mean.dispose();
      }
      store.dispose();
    }
    x.dispose();
  },
);

testOnDevices(
  devices,
  "posteriorOn() takes distances that are known as they are",
  async (device) => {
    const points = moons(90);
    const queries = noisy(points, 0.5), lists = listsFor(90);
    const x = tensorSpace.from(queries, [BATCH, 2]);
    for (const store of await storesOf(device, points)) {
      const { squares } = await store.distancesTo(x, lists);
      // Some known, some not.
      const subsets = lists.map((rows, q) => ({ rows, ...(q !== 2 && { squares: squares[q] }) }));
      const known = await store.posteriorOn(x, 0.5, subsets);
      const measured = await store.posteriorOn(x, 0.5, lists.map((rows) => ({ rows })));
      const [a, b] = [
        await tensorSpace.values(known.mean),
        await tensorSpace.values(measured.mean),
      ];
      assertClose(a, b, 0, "mean");
      assertClose(known.facts.logNormaliser, measured.facts.logNormaliser, 0, "evidence");
      // Wrong ones are believed: all rows at the same distance weigh the same.
      const even = await store.posteriorOn(
        x,
        0.5,
        lists.map((rows) => ({
          rows,
          squares: new Float64Array(rows.length).fill(3),
        })),
      );
      assertClose(even.facts.effectiveSampleSize, lists.map(({ length }) => length), 1e-9, "size");
      tensorSpace.dispose(known.mean, measured.mean, even.mean);
      store.dispose();
    }
    x.dispose();
  },
);

testOnDevices(
  devices,
  "posteriorOn() gives a query the same bits alone and in a batch",
  async (device) => {
    const points = shapes(900);
    const store = await device.store(points);
    const queries = noisy(points, 2), lists = listsFor(900);
    const bits = async (first: number, batch: number) => {
      const x = tensorSpace.from(
        queries.subarray(first * points.dimension, (first + batch) * points.dimension),
        [batch, points.dimension],
      );
      const subsets = lists.slice(first, first + batch).map((rows) => ({ rows }));
      const { mean, facts } = await store.posteriorOn(x, 2, subsets);
      const values = await tensorSpace.values(mean);
      tensorSpace.dispose(x, mean);
      return [...values, ...facts.logNormaliser];
    };
    const whole = await bits(0, BATCH);
    for (let q = 0; q < BATCH; q++) {
      const alone = await bits(q, 1);
      const d = points.dimension;
      assertClose(alone.slice(0, d), whole.slice(q * d, (q + 1) * d), 0, `query ${q}`);
      assert.equal(alone[d], whole[BATCH * d + q]);
    }
    store.dispose();
  },
);

Deno.test({
  name: "posteriorOn() works across the buffers and bindings of a GPU [webgpu]",
  ignore: devices.find(({ kind }) => kind === "webgpu")!.skip !== undefined,
  fn: async () => {
    // Chunks of 4 rows, buffers of 64, bindings of 20: 300 rows lie in five buffers and 16 bindings.
    using device = await openWebGpu((await findAdapter())!, "test", {
      chunkBytes: 4 * 3072,
      shardBytes: 64 * 3072,
      bindingBytes: 20 * 3072,
    });
    const points = shapes(300);
    const store = await device.store(points);
    const rows = Uint32Array.from({ length: 150 }, (_, i) => 299 - 2 * i);
    const alone = rowsOf(points, rows);
    // At high noise all rows weigh, so that none may be taken for another.
    const query = noisy(points, 200, 1);
    const x = tensorSpace.from(query, [1, points.dimension]);
    const { mean, facts } = await store.posteriorOn(x, 200, [{ rows }]);
    assert.ok(facts.effectiveSampleSize[0] > 50);
    assertClose(
      await tensorSpace.values(mean),
      referencePosterior(alone, query, 200).mean,
      posteriorTolerance(alone, query, 200).mean,
      "mean",
    );
    tensorSpace.dispose(x, mean);
    store.dispose();
  },
});

testOnDevices(
  devices,
  "posteriorOn() and distancesTo() refuse what they cannot use",
  (device) =>
    withoutLeaks(async () => {
      for (const store of await storesOf(device, moons(50))) {
        const x = tensorSpace.from([0, 0], [1, 2]);
        const rows = Uint32Array.of(1, 2);
        const refused = (subsets: Subset[], error: typeof RangeError | typeof TypeError) =>
          assert.rejects(store.posteriorOn(x, 1, subsets), error);
        await refused([], TypeError);
        await refused([{ rows: new Uint32Array() }], RangeError);
        await refused([{ rows: Uint32Array.of(50) }], RangeError);
        await refused([{ rows, logWeights: Float64Array.of(1) }], TypeError);
        await refused([{ rows, squares: Float64Array.of(1) }], TypeError);
        await refused([{ rows, logWeights: Float64Array.of(1, -Infinity) }], RangeError);
        await assert.rejects(store.posteriorOn(x, 0, [{ rows }]), RangeError);
        await assert.rejects(store.distancesTo(x, [Uint32Array.of(50)]), RangeError);
        await assert.rejects(store.distancesTo(x, []), TypeError);
        const wrong = tensorSpace.from([0, 0, 0], [1, 3]), bad = tensorSpace.from([0, NaN], [1, 2]);
        await assert.rejects(store.posteriorOn(wrong, 1, [{ rows }]), TypeError);
        await assert.rejects(store.distancesTo(wrong, [rows]), TypeError);
        await assert.rejects(store.posteriorOn(bad, 1, [{ rows }]), RangeError);
        const signal = AbortSignal.abort(new DOMException("stop", "AbortError"));
        await assert.rejects(store.posteriorOn(x, 1, [{ rows }], { signal }), {
          name: "AbortError",
        });
        await assert.rejects(store.distancesTo(x, [rows], { signal }), { name: "AbortError" });
        store.dispose();
        await assert.rejects(store.posteriorOn(x, 1, [{ rows }]), DeviceError);
        await assert.rejects(store.distancesTo(x, [rows]), DeviceError);
        tensorSpace.dispose(x, wrong, bad);
      }
    }),
);
