import {
  Dataset,
  goldenSubset,
  local,
  optimal,
  pcaLocality,
  startNoise,
  tiledGoldenSubset,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose } from "../../_helpers/tolerance.ts";
import { subsetOf } from "../../../src/denoisers/_capabilities.ts";
import { localFloat64 } from "../../_helpers/float64.ts";

const devices = await testDevices();
const SIDE = 9;
/** Smooth images of bytes, of a side that tiles do not divide. */
const set = new Dataset({
  data: Uint8Array.from(startNoise(3, 0, 90, SIDE * SIDE * 2), (e, at) => {
    const i = Math.floor(at / (SIDE * SIDE * 2)), pixel = Math.floor(at % (SIDE * SIDE * 2) / 2);
    return 128 + 70 * Math.sin(i + pixel / 7) + 25 * Math.cos(i * i + pixel % SIDE) + 12 * e;
  }),
  shape: [SIDE, SIDE, 2],
  name: "waves",
});

function queriesAt(sigma: number): Float32Array {
  const items = [4, 50].flatMap((i) => [...set.values(i)]);
  return Float32Array.from(startNoise(5, 0, 2, set.dimension), (e, at) => items[at] + sigma * e);
}

testOnDevices(
  devices,
  "tiledGoldenSubset() with one tile and windows of the whole image is the golden subset",
  (device) =>
    withoutLeaks(async () => {
      using base = await optimal(set, { device });
      using whole = await local(set, { device, windows: 2 * SIDE - 1 });
      using tiled = await tiledGoldenSubset(whole, { tiles: 1, k: 12 });
      using golden = await goldenSubset(base, { k: 12, proxy: "exact", tail: false });
      for (const sigma of [10, 0.5, 0.05]) {
        const x = tensorSpace.from(queriesAt(sigma), [2, ...set.shape]);
        const [a, b] = [
          (await tiled.denoise(x, sigma)).mean,
          (await golden.denoise(x, sigma)).mean,
        ];
        // At low noise the windows' sums of squares round more than distances of whole rows do.
        const tolerance = sigma < 0.1 ? 1e-3 : 1e-5;
        assertClose(
          await tensorSpace.values(a),
          await tensorSpace.values(b),
          tolerance,
          `sigma ${sigma}`,
        );
        tensorSpace.dispose(x, a, b);
      }
    }),
);

testOnDevices(
  devices,
  "tiledGoldenSubset() is the local denoiser over the items nearest in each tile and its margin",
  (device) =>
    withoutLeaks(async () => {
      const patch = 3, margin = 1, k = 7, sigma = 0.6;
      using base = await local(set, { device, windows: patch });
      using tiled = await tiledGoldenSubset(base, { tiles: 2, margin, k });
      const queries = queriesAt(sigma);
      const x = tensorSpace.from(queries, [2, ...set.shape]);
      const y = (await tiled.denoise(x, sigma)).mean;
      const values = await tensorSpace.values(y);
      const oracle = localFloat64(set, { windows: patch });
      // 9 pixels make tiles of 4 and 5.
      for (const [top, bottom] of [[0, 4], [4, 9]]) {
        for (const [left, right] of [[0, 4], [4, 9]]) {
          for (let q = 0; q < 2; q++) {
            const query = queries.slice(q * set.dimension, (q + 1) * set.dimension);
            const squares = Float64Array.from({ length: set.count }, (_, i) => {
              const item = set.values(i);
              let square = 0;
              for (let r = Math.max(0, top - margin); r < Math.min(SIDE, bottom + margin); r++) {
                for (let c = Math.max(0, left - margin); c < Math.min(SIDE, right + margin); c++) {
                  for (let ch = 0; ch < 2; ch++) {
                    const at = (r * SIDE + c) * 2 + ch;
                    square += (query[at] - item[at]) ** 2;
                  }
                }
              }
              return square;
            });
            const rows = Uint32Array.from(
              [...squares.keys()].sort((a, b) => squares[a] - squares[b]).slice(0, k),
            );
            const expected = await subsetOf(oracle, "test").denoiseOn(
              Float64Array.from(query),
              sigma,
              [{ rows }],
            );
            for (let r = top; r < bottom; r++) {
              const from = (r * SIDE + left) * 2, to = (r * SIDE + right) * 2;
              assertClose(
                values.slice(q * set.dimension + from, q * set.dimension + to),
                expected.slice(from, to),
                1e-4,
                `query ${q}, tile ${top} ${left}, row ${r}`,
              );
            }
          }
        }
      }
      tensorSpace.dispose(x, y);
    }),
);

testOnDevices(
  devices,
  "tiledGoldenSubset() of all items is its base, local or by PCA",
  (device) =>
    withoutLeaks(async () => {
      using windows = await local(set, { device, windows: 5 });
      using masks = await pcaLocality(set, { device, cache: false });
      for (const base of [windows, masks]) {
        using tiled = await tiledGoldenSubset(base, { tiles: 3, k: set.count });
        for (const sigma of [5, 0.4]) {
          const x = tensorSpace.from(queriesAt(sigma), [2, ...set.shape]);
          const [a, b] = [
            (await tiled.denoise(x, sigma)).mean,
            (await base.denoise(x, sigma)).mean,
          ];
          assert.deepEqual(a.shape, b.shape);
          assertClose(
            await tensorSpace.values(a),
            await tensorSpace.values(b),
            1e-4,
            `${base.label}, sigma ${sigma}`,
          );
          tensorSpace.dispose(x, a, b);
        }
      }
    }),
);

testOnDevices(
  devices,
  "tiledGoldenSubset() refuses what makes no sense and hears a signal",
  (device) =>
    withoutLeaks(async () => {
      using base = await local(set, { device, windows: 3 });
      for (
        const options of [{ tiles: 0 }, { tiles: 10 }, { tiles: 1.5 }, { margin: -1 }, { k: 91 }]
      ) {
        await assert.rejects(tiledGoldenSubset(base, options), RangeError);
      }
      const points = new Dataset({ data: new Float32Array(8), shape: [4], name: "points" });
      using plain = await optimal(points, { device });
      await assert.rejects(tiledGoldenSubset(plain), TypeError);
      using tiled = await tiledGoldenSubset(base);
      const x = tensorSpace.from(queriesAt(1), [2, ...set.shape]);
      const signal = AbortSignal.abort(new DOMException("stop", "AbortError"));
      await assert.rejects(tiled.denoise(x, 1, { signal }), { name: "AbortError" });
      await assert.rejects(tiled.denoise(x, 0), RangeError);
      x.dispose();
    }),
);
