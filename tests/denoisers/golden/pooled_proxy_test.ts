import { atOnce } from "../../../src/base/_turns.ts";
import type { Device } from "@closedform/diffusion";
import { Dataset, openDevice, pooledProxy, shapes, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { affineOf } from "../../../src/compute/posterior.ts";
import { pooledProjection } from "../../../src/denoisers/golden/pooled_proxy.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

const devices = await testDevices();

/** Images of bytes and of floats, also such that pool in threes and with a range of their own. */
const SETS = [
  shapes(60),
  new Dataset({
    data: Uint8Array.from(startNoise(2, 0, 40, 9 * 12 * 2), (e) => 127 + 60 * e),
    shape: [9, 12, 2],
    range: [0, 1],
    name: "bytes in threes",
  }),
  new Dataset({
    data: Float32Array.from(startNoise(3, 0, 50, 8 * 8)),
    shape: [8, 8, 1],
    name: "floats",
  }),
  // Flat images: nothing is left out, and the norm of the rest cancels to rounding.
  new Dataset({
    data: Uint8Array.from({ length: 20 * 18 * 18 }, (_, i) => 12 * Math.floor(i / 324)),
    shape: [18, 18, 1],
    name: "flat",
  }),
];

function queriesOf(set: Dataset, sigma: number): Float32Array {
  const items = [0, 1, 2, 3].flatMap((i) => [...set.values(i)]);
  return Float32Array.from(startNoise(7, 0, 4, set.dimension), (e, at) => items[at] + sigma * e);
}

/** Squared distances to all items as they are stored, in float64, under a map. */
function squaresTo(
  set: Dataset,
  query: ArrayLike<number>,
  of: (image: ArrayLike<number>) => ArrayLike<number>,
): number[] {
  const a = of(query), { scale, offset } = affineOf(set);
  return Array.from({ length: set.count }, (_, i) => {
    const b = of(Float64Array.from(
      set.data.subarray(i * set.dimension, (i + 1) * set.dimension),
      (v) => v * scale + offset,
    ));
    let square = 0;
    for (let c = 0; c < a.length; c++) square += (a[c] - b[c]) ** 2;
    return square;
  });
}

/** Average pooling times p, written out. */
function pooled(
  [height, width, channels]: readonly number[],
  p: number,
  image: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(image.length / (p * p));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        const to = (Math.floor(y / p) * (width / p) + Math.floor(x / p)) * channels + c;
        out[to] += image[(y * width + x) * channels + c] / p;
      }
    }
  }
  return out;
}

testOnDevices(
  devices,
  "pooledProxy() bounds true distances from below, and by more than pooling alone",
  (device) =>
    withoutLeaks(async () => {
      for (const set of SETS) {
        using proxy = await pooledProxy(set, device);
        const side = Number(/to (\d+)x/.exec(proxy.label)![1]);
        const { error } = atOnce(pooledProjection(set));
        for (const sigma of [30, 1, 0]) {
          const queries = queriesOf(set, sigma);
          const x = tensorSpace.from(queries, [4, set.dimension]);
          const found = await proxy.measure(x);
          [0, 1, 2, 3].map(found.bounds).forEach((list, q) => {
            const query = queries.slice(q * set.dimension, (q + 1) * set.dimension);
            const truth = squaresTo(set, query, (image) => image);
            const pools = squaresTo(set, query, (image) =>
              pooled(set.shape, set.shape[0] / side, image));
            list.forEach((bound, i) => {
              const what = `${set.name}, sigma ${sigma}, query ${q}, item ${i}`;
              assert.ok(bound <= truth[i] * (1 + 1e-6), `${what}: bound ${bound} of ${truth[i]}`);
              // Storing, and float32 queries and distances, cost no more than this.
              const slack = 2 * error + 1e-5 * Math.sqrt(truth[i]) + 1e-3;
              const least = Math.max(0, Math.sqrt(pools[i]) - slack) ** 2;
              assert.ok(bound >= least, `${what}: bound ${bound}, pooling alone ${pools[i]}`);
            });
          });
          x.dispose();
        }
      }
    }),
);

testOnDevices(
  devices,
  "pooledProxy() bounds the distances to some items as those to all",
  (device) =>
    withoutLeaks(async () => {
      const [set] = SETS;
      using proxy = await pooledProxy(set, device, { side: 8 });
      assert.equal(proxy.count, set.count);
      const x = tensorSpace.from(queriesOf(set, 1), [4, set.dimension]);
      const all = await proxy.measure(x);
      const lists = [
        Uint32Array.of(5, 3),
        Uint32Array.of(),
        Uint32Array.of(59),
        Uint32Array.of(0, 1, 2),
      ];
      const some = await proxy.measure(x, lists);
      lists.forEach((rows, q) => {
        const of = (list: Float64Array) => Float64Array.from(rows, (row) => list[row]);
        assertClose(some.squares[q], of(all.squares[q]), 0, `squares of query ${q}`);
        assertClose(some.bounds(q), of(all.bounds(q)), 0, `bounds of query ${q}`);
      });
      x.dispose();
    }),
);

Deno.test("pooledProjection() keeps bytes as bytes", () => {
  const { points, error } = atOnce(pooledProjection(SETS[0]));
  assert.ok(points.data instanceof Uint8Array);
  assert.equal(points.dimension, 768);
  // Rounding 768 numbers to half a unit of 4/255 at most; in the root mean square much less.
  assert.ok(error < Math.sqrt(768) * 2 / 255, `error ${error}`);
});

Deno.test("pooledProxy() pools to 16 per side where it can, 28 to 14", async () => {
  using device: Device = await openDevice("float64");
  for (
    const [shape, label] of [
      [[28, 28, 1], "14x14"],
      [[32, 32, 3], "16x16"],
      [[64, 64, 1], "16x16"],
      [[16, 16, 1], "8x8"],
      [[7, 7, 1], "1x1"],
    ] as const
  ) {
    const data = new Uint8Array(shape.reduce<number>((a, b) => a * b, 1));
    using proxy = await pooledProxy(new Dataset({ data, shape, name: "image" }), device);
    assert.equal(proxy.label, `pooled to ${label} pixels`);
  }
  await assert.rejects(pooledProxy(shapes(3), device, { side: 5 }), RangeError);
  await assert.rejects(pooledProxy(shapes(3), device, { side: 0 }), RangeError);
  const points = new Dataset({ data: new Float32Array(8), shape: [4], name: "points" });
  await assert.rejects(pooledProxy(points, device), TypeError);
});
