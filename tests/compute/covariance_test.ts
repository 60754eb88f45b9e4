import { startNoise } from "@closedform/diffusion";
import type { PointSet } from "@closedform/diffusion";
import assert from "node:assert/strict";
import {
  centreOf,
  momentsOf,
  referenceMoments,
  sampleMoments,
} from "../../src/compute/covariance.ts";
import { columnProducts } from "../../src/compute/wasm/column_products.ts";
import { assertClose } from "../_helpers/tolerance.ts";

function bytesOf(count: number, dimension: number, seed = 1): PointSet {
  const noise = startNoise(seed, 0, count, dimension);
  const data = Uint8Array.from(noise, (e) => Math.max(0, Math.min(255, 128 + 90 * e)));
  return { data, dimension, range: [-1, 3] };
}

function floatsOf(count: number, dimension: number, offset = 0): PointSet {
  return {
    data: Float32Array.from(startNoise(2, 0, count, dimension), (e) => e + offset),
    dimension,
  };
}

async function threaded(points: PointSet, options = {}) {
  const centred = centreOf(points);
  return momentsOf(points, {
    ...centred,
    products: await columnProducts(points, centred.centre, options),
  });
}

/** Exact covariance of bytes: whole numbers of any size, one division in the end. */
function exactCovariance({ data, dimension, range }: PointSet, a: number, b: number): number {
  const count = data.length / dimension;
  let product = 0n, sumA = 0n, sumB = 0n;
  for (let i = 0; i < count; i++) {
    const [x, y] = [BigInt(data[i * dimension + a]), BigInt(data[i * dimension + b])];
    product += x * y;
    sumA += x;
    sumB += y;
  }
  const numerator = BigInt(count) * product - sumA * sumB;
  const scale = (range![1] - range![0]) / 255;
  return Number(numerator) / (count * (count - 1)) * scale ** 2;
}

Deno.test("referenceMoments() of bytes is exact", () => {
  const points = bytesOf(500, 7);
  const { covariance, mean } = referenceMoments(points);
  for (let a = 0; a < 7; a++) {
    const column = Array.from({ length: 500 }, (_, i) => points.data[i * 7 + a]);
    const average = column.reduce((sum, v) => sum + v, 0) / 500;
    assertClose([mean[a]], [average / 255 * 4 - 1], 8 * Number.EPSILON, "mean");
    for (let b = 0; b < 7; b++) {
      const expected = exactCovariance(points, a, b);
      // Rounded a few times; the subtraction of the means' part, below N/4, costs no more than one more.
      const size = Math.sqrt(exactCovariance(points, a, a) * exactCovariance(points, b, b));
      assertClose([covariance[a * 7 + b]], [expected], 6 * Number.EPSILON * size, `${a}, ${b}`);
    }
  }
});

Deno.test("columnProducts() of bytes gives the reference's bits, for any shape, threads and arithmetic", async () => {
  for (const [count, dimension] of [[1, 1], [2, 3], [700, 13], [1024, 8], [2049, 37], [400, 70]]) {
    const points = bytesOf(count, dimension);
    const expected = referenceMoments(points);
    for (const options of [{}, { threads: 1 }, { threads: 3, relaxed: false }]) {
      const actual = await threaded(points, options);
      assertClose(actual.mean, expected.mean, 0, "mean");
      assertClose(actual.covariance, expected.covariance, 0, `${count} × ${dimension}`);
    }
  }
});

Deno.test("columnProducts() of bytes cannot overflow", async () => {
  // 1,024 rows of 255 in one go beside 49,152 rows of 0, and the other way round: the largest deviations from the mean.
  const count = 49 * 1024, bright = 1024;
  const data = Uint8Array.from(
    { length: 2 * count },
    (_, at) => (at >> 1) < bright === (at % 2 === 0) ? 255 : 0,
  );
  const { covariance } = await threaded({ data, dimension: 2 });
  const share = bright / count;
  const variance = 4 * share * (1 - share) * count / (count - 1);
  const expected = [variance, -variance, -variance, variance];
  assertClose(covariance, expected, 8 * Number.EPSILON * variance, "covariance");
});

Deno.test("columnProducts() of floats agrees with the reference, far from the origin too", async () => {
  for (const offset of [0, 1000]) {
    for (const [count, dimension] of [[1, 1], [2, 3], [513, 13], [700, 37], [400, 70]]) {
      const points = floatsOf(count, dimension, offset);
      const expected = referenceMoments(points);
      const actual = await threaded(points);
      assertClose(actual.mean, expected.mean, 0, "mean");
      // Sums of N products of about 1, rounded at every step in another order, over N − 1.
      const tolerance = 2 * count * Number.EPSILON * Math.max(...expected.covariance.map(Math.abs));
      assertClose(actual.covariance, expected.covariance, tolerance, `${count} × ${dimension}`);
    }
  }
});

Deno.test("sampleMoments() is the same on either side of the size at which threads start", async () => {
  const points = bytesOf(600, 200);
  assert.ok(points.data.length * points.dimension > 2e7);
  const rows: [number, number][] = [];
  const actual = await sampleMoments(points, { onProgress: (...progress) => rows.push(progress) });
  assert.deepEqual(rows.at(-1), [600, 600]);
  assertClose(actual.covariance, referenceMoments(points).covariance, 0, "covariance");
  const few = { ...points, data: points.data.subarray(0, 200 * 10) };
  assertClose(
    (await sampleMoments(few)).covariance,
    referenceMoments(few).covariance,
    0,
    "covariance of few",
  );
});

Deno.test("sampleMoments() of one row, or of rows that agree, has no variance", async () => {
  for (const count of [1, 5]) {
    const row = [0, 255, 17, 128];
    const data = Uint8Array.from({ length: 4 * count }, (_, i) => row[i % 4]);
    const { mean, covariance } = await sampleMoments({ data, dimension: 4 });
    assertClose(covariance, new Float64Array(16), 0, "covariance");
    assertClose(mean, row.map((v) => v * 2 / 255 - 1), 2 * Number.EPSILON, "mean");
  }
});

Deno.test("sampleMoments() refuses numbers that are not finite, and stops when told", async () => {
  await assert.rejects(
    sampleMoments({ data: Float32Array.of(1, NaN), dimension: 1 }),
    RangeError,
  );
  const points = bytesOf(3000, 100);
  const stop = new AbortController();
  const running = sampleMoments(points, {
    signal: stop.signal,
    onProgress: () => stop.abort(new RangeError("enough")),
  });
  await assert.rejects(running, /enough/);
});
