import type { Device, PointSet } from "@closedform/diffusion";
import { moons, shapes, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { referenceNeighbours } from "@closedform/diffusion/compute";
import fc from "fast-check";
import assert from "node:assert/strict";
import { exactNeighbours } from "../../src/compute/neighbours.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose } from "../_helpers/tolerance.ts";

const devices = await testDevices();

async function search(device: Device, points: PointSet, queries: ArrayLike<number>, k: number) {
  const store = await device.store(points);
  const x = tensorSpace.from(queries, [queries.length / points.dimension, points.dimension]);
  try {
    return await store.nearest(x, k);
  } finally {
    x.dispose();
    store.dispose();
  }
}

/** Noisy copies of rows as float32. */
function noisy(points: PointSet, batch: number, sigma: number): Float32Array {
  const { data, dimension } = points;
  return Float32Array.from(startNoise(5, 0, batch, dimension), (e, at) => {
    const v = data[at % data.length];
    return (data instanceof Uint8Array ? v / 127.5 - 1 : v) + sigma * e;
  });
}

Deno.test("referenceNeighbours() is the sorted list of all distances", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })), {
        minLength: 1,
        maxLength: 30,
      }),
      fc.nat(),
      (rows, pick) => {
        const points = { data: Float32Array.from(rows.flat()), dimension: 2 };
        const k = 1 + pick % rows.length;
        const { indices, distances } = referenceNeighbours(points, [0.5, 0], k);
        const all = rows.map(([x, y], i) => [Math.sqrt((0.5 - x) ** 2 + y ** 2), i])
          .sort((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, k);
        assert.deepEqual([...indices], all.map(([, i]) => i));
        assert.deepEqual([...distances], all.map(([d]) => d));
      },
    ),
    { seed: 1 },
  );
});

testOnDevices(
  devices,
  "nearest() finds the same rows as the float64 oracle, at any noise and any k",
  (device) =>
    withoutLeaks(async () => {
      for (
        const points of [shapes(700), moons(900), { data: noisy(moons(10), 300, 1), dimension: 2 }]
      ) {
        const count = points.data.length / points.dimension;
        for (const sigma of [60, 1, 0.01]) {
          const queries = noisy(points, 6, sigma);
          for (const k of [1, 2, 100, count]) {
            const actual = await search(device, points, queries, k);
            const expected = referenceNeighbours(points, queries, k);
            assert.deepEqual(actual.indices, expected.indices, `sigma ${sigma}, k ${k}`);
            // Both are float64 sums of d terms.
            const tolerance = points.dimension * 2 ** -52 *
              expected.distances.reduce((a, b) => Math.max(a, b));
            assertClose(actual.distances, expected.distances, tolerance, "distances");
          }
        }
      }
    }),
);

Deno.test("exactNeighbours() measures what the error of a scan leaves in doubt, and no more", async () => {
  const count = 300, k = 20, error = 2.5;
  const exact = Float64Array.from({ length: count }, (_, i) => i * 7 % count);
  let measured = 0;
  const { indices, distances } = await exactNeighbours(
    {
      count,
      scan: (_first, _batch, size) => {
        // Off by up to the error, back and forth.
        const scanned = exact.map((d, i) => Math.max(0, d + error * (i % 2 ? 0.99 : -0.99)));
        const order = [...scanned.keys()].sort((a, b) => scanned[a] - scanned[b] || a - b)
          .slice(0, size);
        return Promise.resolve([{ indices: order, squares: order.map((i) => scanned[i]), error }]);
      },
      measure: (_first, found) => {
        measured = found[0].indices.length;
        return Promise.resolve(found.map(({ indices }) => indices.map((i) => exact[i])));
      },
    },
    1,
    k,
    1,
  );
  const order = [...exact.keys()].sort((a, b) => exact[a] - exact[b]).slice(0, k);
  assert.deepEqual([...indices], order);
  assert.deepEqual([...distances], order.map((i) => Math.sqrt(exact[i])));
  // Scanned squares are as dense as whole numbers: those within twice the error of the k-th, and the k nearest.
  assert.ok(measured > k && measured <= k + 4 * error + 2, `${measured} measured`);
});

Deno.test("exactNeighbours() finds a row that a scan misjudges by all it may, before rows misjudged the other way", async () => {
  // By the scan, the nearest row comes after all others of `scanned`, whose last is next to twice the error away.
  const error = 1, share = 0.999;
  const answer = async (scanned: number[]) => {
    const found = [...scanned, 10 + share * error, 99, 100], last = scanned.length;
    const exact = found.map((d, i) =>
      i < last ? d + share * error : i === last ? d - share * error : d
    );
    const { indices } = await exactNeighbours(
      {
        count: found.length,
        scan: (_first, _batch, size) => {
          const order = [...found.keys()].sort((a, b) => found[a] - found[b]).slice(0, size);
          return Promise.resolve([{ indices: order, squares: order.map((i) => found[i]), error }]);
        },
        measure: (_first, candidates) =>
          Promise.resolve(candidates.map(({ indices }) => indices.map((i) => exact[i]))),
      },
      1,
      1,
      1,
    );
    assert.equal(exact.indexOf(Math.min(...exact)), last);
    assert.equal(indices[0], last);
  };
  const first = 10.001 - share * error, far = first + 1.99 * error;
  // One row among the candidates of the first scan, and one just beyond them.
  await answer([first]);
  await answer([...Array.from({ length: 16 }, (_, i) => first + i / 1000), far]);
});

testOnDevices(
  devices,
  "nearest() finds a row whose float32 distance is as wrong as it can be",
  async (device) => {
    // Sums of many squares, the first about 1 and the others about half a unit in its last place: those a little
    // above are rounded up to a whole one each, those a little below to none. Four sums of 64, as on the CPU,
    // and one of 56, as on a GPU.
    for (
      const { dimension, sums, farthest } of [
        { dimension: 256, sums: 4, farthest: 30 },
        { dimension: 56, sums: 1, farthest: 24 },
      ]
    ) {
      const row = (first: number, factor: number) =>
        Array.from({ length: dimension }, (_, c) => c < sums ? first : 2 ** -12 * factor);
      const up = row(1, 1 + 2 ** -10);
      const down = (units: number) => row(1 + units * 2 ** -23, 1 - 2 ** -10);
      const far = row(3, 1);
      const rows = [...new Array(16).fill(down(1)), down(farthest), up, ...new Array(60).fill(far)];
      const points = { data: Float32Array.from(rows.flat()), dimension };
      // Alone and as four, which takes another loop.
      for (const batch of [1, 4]) {
        const queries = new Float32Array(batch * dimension);
        const { indices } = await search(device, points, queries, 1);
        assert.equal(referenceNeighbours(points, queries, 1).indices[0], 17);
        assert.deepEqual([...indices], new Array(batch).fill(17));
      }
    }
  },
);

/** The float32 numbers from `from` on, and how far each is above the nearest multiple of `unit`, in units. */
function* residuals(from: number, unit: number): Generator<[value: number, residual: number]> {
  const bits = new Uint32Array(1), value = new Float32Array(bits.buffer);
  for (value[0] = from;; bits[0]++) yield [value[0], value[0] / unit - Math.round(value[0] / unit)];
}

/** The first of these numbers whose residual is as wanted. */
function withResidual(from: number, unit: number, wanted: (residual: number) => boolean): number {
  for (const [value, residual] of residuals(from, unit)) if (wanted(residual)) return value;
  throw new RangeError("no such number");
}

testOnDevices(
  devices,
  "nearest() finds a row that the digits of a query misjudge by nearly all they may",
  async (device) => {
    const dimension = 257, level = 100;
    const set = (rows: number[][]) => ({
      data: Uint8Array.from(rows.flat(), (v) => v + 128),
      dimension,
      range: [-128, 127] as const,
    });
    const constant = (v: number) => [0, ...new Array(dimension - 1).fill(v)];
    const nearestOf = async (points: PointSet, query: Float32Array) => {
      const { indices } = await search(device, points, query, 1);
      assert.deepEqual(indices, referenceNeighbours(points, query, 1).indices);
      return indices[0];
    };
    // The largest number makes the unit of the first digit 1. What the digits leave of the others is half a
    // unit each, of the same sign, while the numbers themselves all but cancel.
    const query = new Float32Array(dimension);
    query[0] = 32767;
    for (let c = 1; c < dimension; c++) query[c] = c % 2 ? 0.49 : -0.51;
    query[dimension - 1] = 0.49 + 0.02 * (dimension - 1) / 2 + 0.1;
    // A crowd of rows at one side, nearly as near, fills the list of 17 before the one at the other.
    const crowd = Array.from({ length: 18 }, (_, i) => constant(-level).with(1, -level - i));
    const filled = set([
      ...crowd,
      constant(level),
      ...new Array(60).fill(constant(0).with(0, -100)),
    ]);
    assert.equal(await nearestOf(filled, query), 18);

    // The same of the second digit, with a unit so small that float32 numbers fill it.
    query[0] = 1000;
    const unit = 1000 / 32767 / 65534;
    let sum = 0;
    for (let c = 1; c < dimension - 1; c += 2) {
      const up = withResidual(0.032 + c / 1e5, unit, (r) => r > 0.47 && r < 0.49);
      const down = withResidual(up, unit, (r) => r > -0.49 && r < -0.47);
      query[c] = up;
      query[c + 1] = -down;
      sum += up - down;
    }
    // What is left over goes into the last number, which keeps its residual.
    query[dimension - 1] = withResidual(
      query[dimension - 1] - sum + unit,
      unit,
      (r) => r > 0.4 && r < 0.49,
    );
    assert.equal(await nearestOf(set([constant(-level), constant(level)]), query), 1);
  },
);

testOnDevices(devices, "nearest() breaks ties by the order of the rows", async (device) => {
  for (
    const data of [Uint8Array.of(9, 7, 7, 7, 200, 7, 9), Float32Array.of(9, 7, 7, 7, 200, 7, 9)]
  ) {
    const points = { data, dimension: 1, range: [0, 255] as const };
    const { indices, distances } = await search(device, points, [8], 7);
    assert.deepEqual([...indices], [0, 1, 2, 3, 5, 6, 4]);
    assertClose(distances, [1, 1, 1, 1, 1, 1, 192], 1e-12, "distances");
  }
});

testOnDevices(
  devices,
  "nearest() orders equal distances by row where their squares differ in the last bit",
  async (device) => {
    // Permutations of the same numbers: equally far from the origin, but for the order in which squares are added.
    const numbers = [0.31, 7.3, 0.0031, 9.7, 0.55].map(Math.fround), rows: number[][] = [];
    const permute = (row: number[], rest: number[]) => {
      if (rest.length === 0) rows.push(row);
      rest.forEach((v, i) => permute([...row, v], rest.toSpliced(i, 1)));
    };
    permute([], numbers);
    const points = { data: Float32Array.from(rows.flat()), dimension: 5 };
    const squares = rows.map((row) => row.reduce((sum, v) => sum + v * v, 0));
    const byRoot = new Map(squares.map((square) => [Math.sqrt(square), square]));
    assert.ok(new Set(squares).size > byRoot.size, "squares differ where roots do not");
    for (const k of [120, 60, 7]) {
      for (
        const { indices, distances } of [
          await search(device, points, new Float32Array(5), k),
          referenceNeighbours(points, new Float32Array(5), k),
        ]
      ) {
        for (let i = 1; i < k; i++) {
          assert.ok(distances[i] >= distances[i - 1]);
          if (distances[i] === distances[i - 1]) {
            assert.ok(indices[i] > indices[i - 1], `rows ${indices[i - 1]}, ${indices[i]}`);
          }
        }
        // A row that is left out is farther, or as far and later.
        const last = distances[k - 1] * (1 - 2 ** -50);
        const out = squares.findIndex((square, row) =>
          Math.sqrt(square) < last && !indices.includes(row)
        );
        assert.equal(out, -1);
      }
    }
  },
);

testOnDevices(devices, "nearest() tells near-duplicates apart", async (device) => {
  // Bytes that differ in one grey level of one pixel, seen from far away.
  const dimension = 3072, count = 40;
  const data = new Uint8Array(count * dimension).fill(100);
  for (let i = 0; i < count; i++) data[i * dimension + 70 * i] = 101;
  const points = { data, dimension };
  const queries = noisy(points, 4, 0.5);
  const actual = await search(device, points, queries, 10);
  assert.deepEqual(actual.indices, referenceNeighbours(points, queries, 10).indices);
});

testOnDevices(devices, "nearest() refuses what it cannot answer", async (device) => {
  const store = await device.store(moons(10));
  const x = tensorSpace.from([0, 0], [1, 2]);
  for (const k of [0, 11, 1.5, NaN]) await assert.rejects(store.nearest(x, k), RangeError);
  const [empty, wide, bad] = [[0, 2], [1, 3], [1, 2]].map((shape) =>
    tensorSpace.from(new Array(shape[0] * shape[1]).fill(NaN), shape)
  );
  await assert.rejects(store.nearest(empty, 1), RangeError);
  await assert.rejects(store.nearest(wide, 1), TypeError);
  await assert.rejects(store.nearest(bad, 1), RangeError);
  const reason = new TypeError("enough");
  await assert.rejects(
    store.nearest(x, 1, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  assert.equal((await store.nearest(x, 10)).indices.length, 10);
  tensorSpace.dispose(x, empty, wide, bad);
  store.dispose();
});
