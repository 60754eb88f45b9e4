import type { PointSet } from "@closedform/diffusion";
import { Dataset, RandomStream } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { extentOf } from "@closedform/diffusion/theory";
import { referencePosterior } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { boxOf, squareFrom } from "../../src/compute/data_box.ts";
import { affineOf } from "../../src/compute/posterior.ts";
import { MeanRounding } from "../../src/denoisers/golden/rounded_mean.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";

const devices = await testDevices();
const SHAPES = [[1, 1], [2, 3], [40, 1], [60, 17], [200, 48], [130, 300]];

/** Data of many kinds, none of them kind. */
const HOSTILE: Record<string, (count: number, dimension: number, s: RandomStream) => PointSet> = {
  floats: (n, d, s) => floats(n, d, () => s.normal()),
  "floats from 0 to 1": (n, d, s) => floats(n, d, () => s.uniform()),
  "floats near 1000": (n, d, s) => floats(n, d, () => 1000 + s.normal()),
  "floats near -1e7": (n, d, s) => floats(n, d, () => -1e7 + 64 * s.normal()),
  "tiny floats": (n, d, s) => floats(n, d, () => 1e-8 * s.normal()),
  "coordinates of all sizes": (n, d, s) =>
    floats(n, d, (c) => [0, 1e4, -3][c % 3] + 10 ** (c % 4) * s.normal()),
  "constant coordinates": (n, d, s) => floats(n, d, (c) => c % 2 ? 7 : s.normal()),
  copies: (n, d, s) => {
    const row = Array.from({ length: d }, () => s.normal());
    return floats(n, d, (c) => row[c]);
  },
  bytes: (n, d, s) => bytes(n, d, [-1, 1], s),
  "bytes from 1000 to 1001": (n, d, s) => bytes(n, d, [1000, 1001], s),
  "bytes from -0.1 to 1e4": (n, d, s) => bytes(n, d, [-0.1, 1e4], s),
};

function floats(count: number, dimension: number, draw: (c: number) => number): PointSet {
  return {
    data: Float32Array.from({ length: count * dimension }, (_, i) => draw(i % dimension)),
    dimension,
  };
}

function bytes(
  count: number,
  dimension: number,
  range: [number, number],
  s: RandomStream,
): PointSet {
  return {
    data: Uint8Array.from({ length: count * dimension }, () => s.below(256)),
    dimension,
    range,
  };
}

function datasetOf({ data, dimension, range }: PointSet, name: string): Dataset {
  return new Dataset({ data, shape: [dimension], name, ...(range && { range }) });
}

/** Queries on a row and at a distance from it, in units of the radius, and the noise that lets rows compete there. */
function queriesOf(points: PointSet, radius: number, s: RandomStream) {
  const { data, dimension } = points, { scale, offset } = affineOf(points);
  const size = radius || 1;
  const distances = [0, 0.01, 0.3, 2, 5, 40, 1e4];
  const queries = distances.flatMap((distance) => {
    const noise = Float64Array.from({ length: dimension }, () => s.normal());
    const length = Math.sqrt(squareFrom(noise, new Float64Array(dimension)));
    return Array.from(
      noise,
      (e, c) => data[c] * scale + offset + distance * size * e / length,
    );
  });
  const sigmas = distances.map((distance) =>
    size * Math.sqrt(Math.max(0.1 * distance, distance ** 2 / dimension, 1e-3) / 5)
  );
  return { queries: Float32Array.from(queries), sigmas };
}

for (const [name, make] of Object.entries(HOSTILE)) {
  testOnDevices(
    devices,
    `rounding of ${name} is within its bounds, and near them`,
    async (device) => {
      let closest = 0;
      for (const [at, [count, dimension]] of SHAPES.entries()) {
        const s = new RandomStream({ seed: 3, sample: at, purpose: "data" });
        const points = make(count, dimension, s);
        const extent = extentOf(datasetOf(points, name));
        const means = new MeanRounding(extent, { count, dimension });
        const { scale } = affineOf(points), radius = boxOf(points.data, dimension).radius * scale;
        const store = await device.store(points);
        for (const factor of [0.05, 0.2, 1, 8, 100]) {
          const { queries, sigmas: competing } = queriesOf(points, radius, s);
          const sigmas = competing.map((sigma) => factor * sigma);
          const expected = referencePosterior(points, queries, sigmas);
          const x = tensorSpace.from(queries, [sigmas.length, dimension]);
          const { mean, facts } = await store.posterior(x, sigmas);
          const values = await tensorSpace.values(mean);
          tensorSpace.dispose(x, mean);
          sigmas.forEach((sigma, q) => {
            const part = <T extends ArrayLike<number>>(all: T) =>
              Float64Array.from(
                Array.prototype.slice.call(all, q * dimension, (q + 1) * dimension),
              );
            const query = Float32Array.from(part(queries));
            const what = `${count} x ${dimension}, sigma ${sigma}, query ${q}`;
            const bound = means.ofAll(store.rounding!, query, sigma, facts, q);
            const off = Math.sqrt(squareFrom(part(values), part(expected.mean)) / dimension);
            assert.ok(off <= bound, `mean off by ${off} > ${bound}, ${what}`);
            if (radius > 0) closest = Math.max(closest, off / bound);
            const gap = expected.facts.logitGap[q];
            if (gap > 30) return;
            const { logits } = store.rounding!.posterior({
              values: query,
              sigma,
              square: 2 * sigma * sigma * (60 - facts.topLogit[q]),
              diameter: extent.diameter,
              entropy: facts.entropy[q],
            });
            const error = Math.abs(facts.logitGap[q] - gap);
            // The reference rounds two logits of its own.
            const reference = means.slack(60 - expected.facts.topLogit[q], sigma);
            const allowed = 2 * (logits + reference);
            assert.ok(error <= allowed, `gap off by ${error} > ${allowed}, ${what}`);
            closest = Math.max(closest, error / allowed);
          });
        }
        store.dispose();
      }
      // Copies have no other mean than themselves. A worst case of a hundred roundings is ten times what they come to, whose
      // largest is rarely met.
      if (name !== "copies") {
        assert.ok(closest > 1 / 200, `nothing came nearer than ${closest} of its bound`);
      }
    },
  );
}

testOnDevices(
  devices,
  "rounding of logits far from floats is no more than optimal() says",
  async (device) => {
    if (device.kind === "float64") return;
    const dimension = 20_000, s = new RandomStream({ seed: 4 });
    const points = floats(4, dimension, () => s.normal());
    const { radius } = boxOf(points.data, dimension);
    const { diameter } = extentOf(datasetOf(points, "floats"));
    const store = await device.store(points), sigma = 1;
    for (const distance of [4, 10, 1e4]) {
      const away = distance * radius;
      const values = new Float32Array(dimension).fill(away / Math.sqrt(dimension));
      const x = tensorSpace.from(values, [1, dimension]);
      const { mean, facts } = await store.posterior(x, sigma);
      tensorSpace.dispose(x, mean);
      const square = -2 * facts.topLogit[0] * sigma * sigma;
      const { logits } = store.rounding!.posterior({ values, sigma, square, diameter, entropy: 0 });
      const said = 7e-6 * radius * (radius + 2 * away) / sigma ** 2;
      // Of a difference of two.
      assert.ok(2 * logits <= said && 2 * logits > said / 2, `${2 * logits}, said ${said}`);
    }
    store.dispose();
  },
);
