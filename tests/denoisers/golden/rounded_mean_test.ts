import type { DataStore } from "@closedform/diffusion";
import { Dataset, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { extentOf } from "@closedform/diffusion/theory";
import { referencePosterior } from "@closedform/diffusion/compute";
import fc from "fast-check";
import assert from "node:assert/strict";
import {
  MeanRounding,
  movedMass,
  movedMassOfAll,
} from "../../../src/denoisers/golden/rounded_mean.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";

const devices = await testDevices();

/** Weights of logits. */
function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const weights = logits.map((l) => Math.exp(l - top));
  const z = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / z);
}

/** Half the sum of the differences. */
function variation(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, w, i) => sum + Math.abs(w - b[i]), 0) / 2;
}

Deno.test("movedMass() and movedMassOfAll() bound how far weights move when logits are off", () => {
  const item = fc.tuple(
    fc.double({ min: -40, max: 0, noNaN: true }),
    fc.double({ min: 0, max: 3, noNaN: true }),
    fc.constantFrom(-1, 1, 0.3),
  );
  let tight = 0;
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 12 }), (items) => {
      const logits = items.map(([l]) => l), slack = items.map(([, s]) => s);
      const off = items.map(([l, s, sign]) => l + sign * s);
      const weights = softmax(logits);
      const moved = variation(weights, softmax(off));
      const bound = movedMass({
        logits: Float64Array.from(logits),
        slack: Float64Array.from(slack),
      });
      assert.ok(moved <= bound + 1e-12, `${moved} of ${bound}`);
      const sorted = logits.toSorted((a, b) => b - a);
      const facts = {
        topLogit: Float64Array.of(sorted[0]),
        logNormaliser: Float64Array.of(
          sorted[0] + Math.log(sorted.reduce((sum, l) => sum + Math.exp(l - sorted[0]), 0)),
        ),
        logitGap: Float64Array.of(sorted[0] - (sorted[1] ?? -Infinity)),
      };
      const most = Math.max(...slack);
      const all = movedMassOfAll(facts, 0, most, { count: logits.length, sums: 0 });
      assert.ok(moved <= all + 1e-12, `${moved} of ${all}`);
      if (moved > all / 4 && all < 0.5 && moved > 1e-3) tight++;
    }),
    { seed: 6, numRuns: 2000 },
  );
  // A bound that is always 1 would hold as well.
  assert.ok(tight > 10, `${tight} tight bounds`);
});

/** Data at an offset, as floats or bytes; every other row may be a copy of one of the first ten. */
function hostile(
  d: number,
  count: number,
  { offset, bytes, copies }: { offset: number; bytes: boolean; copies: boolean },
): Dataset {
  const noise = startNoise(3, 0, count, d);
  const data = bytes
    ? Uint8Array.from(noise, (e) => 128 + 40 * e)
    : Float32Array.from(noise, (e) => offset + 0.5 * e);
  for (let i = 11; copies && i < count; i += 2) {
    data.copyWithin(i * d, (i % 10) * d, (i % 10 + 1) * d);
  }
  const range = [offset - 1, offset + 1] as const;
  return new Dataset({ data, shape: [d], name: "hostile", ...(bytes && { range }) });
}

/** Near and far queries at a noise level. */
function queriesOf(set: Dataset, sigma: number): Float32Array {
  const d = set.dimension, items = [0, 7, 14].map((row) => set.values(row));
  return Float32Array.from(startNoise(9, 0, 3, d), (e, at) => {
    const row = Math.floor(at / d), item = items[row][at % d];
    // The last one is far from all data, at any noise level.
    return row < 2 ? item + sigma * e : item + 30 * Math.abs(e);
  });
}

async function bounded(store: DataStore, set: Dataset, sigma: number): Promise<number[]> {
  const d = set.dimension, values = queriesOf(set, sigma);
  const rounding = new MeanRounding(extentOf(set), set);
  const exact = referencePosterior(set, values, sigma);
  const x = tensorSpace.from(values, [3, d]);
  const { mean, facts } = await store.posterior(x, sigma);
  const all = await tensorSpace.values(mean);
  const rows = Uint32Array.from({ length: Math.min(set.count, 90) }, (_, i) => i);
  const part = new Dataset({
    data: set.data.slice(0, rows.length * d),
    shape: [d],
    name: "part",
    range: set.range,
  });
  const { squares, errors } = await store.distancesTo(x, [rows, rows, rows]);
  const listed = await store.posteriorOn(x, sigma, squares.map((squares) => ({ rows, squares })));
  const some = await tensorSpace.values(listed.mean);
  const exactSome = referencePosterior(part, values, sigma);
  tensorSpace.dispose(x, mean, listed.mean);
  const ratios: number[] = [];
  const rate = 0.5 / (sigma * sigma);
  for (let q = 0; q < 3; q++) {
    const row = values.subarray(q * d, (q + 1) * d);
    const logits = squares[q].map((s) => -s * rate);
    const slack = logits.map((l, i) => errors[q][i] * rate + rounding.slack(l, sigma));
    const of = [
      [all, exact.mean, rounding.ofAll(store.rounding!, row, sigma, facts, q)],
      [some, exactSome.mean, rounding.ofListed(store.rounding!, { logits, slack })],
    ] as const;
    for (const [found, expected, bound] of of) {
      let square = 0;
      for (let c = q * d; c < (q + 1) * d; c++) square += (found[c] - expected[c]) ** 2;
      const error = Math.sqrt(square / d);
      assert.ok(
        error <= bound,
        `${set.dimension} numbers, sigma ${sigma}, query ${q}: ${error} of ${bound}`,
      );
      ratios.push(bound / error);
    }
  }
  return ratios;
}

testOnDevices(
  devices,
  "MeanRounding bounds the rounding of every store: offsets, bytes, copies, near and far queries",
  (device) =>
    withoutLeaks(async () => {
      const ratios: number[] = [];
      for (const [d, count] of [[2, 300], [300, 120], [3072, 24]]) {
        for (const offset of [0, 1, 1e3, 1e5]) {
          for (const bytes of [false, true]) {
            const copies = offset > 0;
            const set = hostile(d, count, { offset, bytes, copies });
            const store = await device.store(set);
            for (const sigma of [80, 5, 0.3, 0.002]) {
              ratios.push(...await bounded(store, set, sigma));
            }
            store.dispose();
          }
        }
      }
      // Bounds are of the longest chain of roundings, all in one direction. The medians were 5 (float64), 94 (wasm), 177 (webgpu).
      const usual = ratios.filter(Number.isFinite).sort((a, b) => a - b);
      const median = usual[usual.length >> 1];
      assert.ok(median < 300, `median ${median}`);
    }),
);
