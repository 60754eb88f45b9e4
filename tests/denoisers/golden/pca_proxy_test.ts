import type { PointSet } from "@closedform/diffusion";
import {
  Dataset,
  dataSpectrum,
  goldenSubset,
  optimal,
  pcaProxy,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { affineOf } from "../../../src/compute/posterior.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";

const devices = await testDevices();

/** Rows with a few strong directions. */
function rowsOf(count: number, dimension: number, bytes: boolean): Dataset {
  const noise = startNoise(4, 0, count, dimension);
  const values = noise.map((e, at) => {
    const i = Math.floor(at / dimension), c = at % dimension;
    return 0.3 * Math.sin(c / 3 + noise[i * dimension]) +
      0.2 * noise[i * dimension + 1] * Math.cos(c) + 0.05 * e;
  });
  const data = bytes
    ? Uint8Array.from(values, (v) => Math.max(0, Math.min(255, 127 + 127 * v)))
    : Float32Array.from(values);
  return new Dataset({ data, shape: [dimension], name: bytes ? "bytes" : "floats" });
}

function squareTo(
  { data, dimension }: PointSet,
  affine: { scale: number; offset: number },
  i: number,
  query: Float32Array,
): number {
  let square = 0;
  for (let c = 0; c < dimension; c++) {
    square += (query[c] - (data[i * dimension + c] * affine.scale + affine.offset)) ** 2;
  }
  return square;
}

testOnDevices(
  devices,
  "pcaProxy() bounds true distances from below, closely where it holds all directions",
  (device) =>
    withoutLeaks(async () => {
      for (const set of [rowsOf(80, 30, true), rowsOf(80, 30, false)]) {
        const store = await device.store(set);
        for (const rank of [3, 30]) {
          const { basis } = await dataSpectrum(set, { rank });
          using proxy = await pcaProxy(store, device, basis);
          assert.equal(proxy.dimension, rank);
          for (const sigma of [20, 1, 0]) {
            const items = [0, 1, 2].flatMap((i) => [...set.values(i)]);
            const queries = Float32Array.from(startNoise(6, 0, 3, 30), (e, at) =>
              items[at] + sigma * e);
            const x = tensorSpace.from(queries, [3, 30]);
            const { bounds, squares } = await proxy.measure(x);
            [0, 1, 2].map(bounds).forEach((list, q) =>
              list.forEach((bound, i) => {
                const truth = squareTo(set, affineOf(set), i, queries.slice(q * 30, (q + 1) * 30));
                const what = `${set.name}, rank ${rank}, sigma ${sigma}, query ${q}, item ${i}`;
                assert.ok(bound <= truth * (1 + 1e-12), `${what}: bound ${bound} of ${truth}`);
                if (rank < 30) {
                  return;
                }
                // Float32 rounding of coordinates and directions, and on a GPU of the distances they come from.
                const slack = device.kind === "webgpu" ? 1e-2 : 1e-4;
                assert.ok(
                  Math.sqrt(truth) - Math.sqrt(bound) < slack * (1 + sigma),
                  `${what}: bound ${bound} of ${truth}`,
                );
                assert.ok(
                  Math.abs(Math.sqrt(squares[q][i]) - Math.sqrt(truth)) < slack * (1 + sigma),
                  what,
                );
              })
            );
            x.dispose();
          }
        }
        store.dispose();
      }
    }),
);

testOnDevices(
  devices,
  "goldenSubset() finds its candidates by principal components when told so",
  async (device) => {
    const set = rowsOf(300, 40, true);
    using base = await optimal(set, { device });
    using golden = await goldenSubset(base, {
      proxy: "pca",
      k: 10,
      m: 60,
      tail: false,
    });
    const x = tensorSpace.from(set.values(17), [1, 40]);
    const { mean, ...facts } = await golden.denoise(x, 0.05);
    assert.equal(facts.topIndex[0], 17);
    assert.ok(facts.errorBound![0] < 2);
    tensorSpace.dispose(x, mean);
  },
);

testOnDevices(devices, "pcaProxy() refuses a basis that is none", async (device) => {
  const store = await device.store(rowsOf(5, 4, false));
  await assert.rejects(pcaProxy(store, device, new Float64Array(6)), TypeError);
  await assert.rejects(
    pcaProxy(store, device, Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0)),
    RangeError,
  );
  await assert.rejects(pcaProxy(store, device, Float64Array.of(2, 0, 0, 0)), RangeError);
  store.dispose();
});
