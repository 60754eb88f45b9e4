import assert from "node:assert/strict";
import { cutAtRounding, directionsOf } from "../../../src/denoisers/gaussian/_spectrum_rounding.ts";
import { dataSpectrum } from "../../../src/denoisers/gaussian/spectrum.ts";
import { Dataset } from "../../../src/datasets/dataset.ts";
import { startNoise } from "../../../src/base/random.ts";

/** The rank of the covariance of some numbers, by the path that their shape takes. */
async function rankOf(data: Float32Array | Uint8Array, d: number): Promise<number> {
  const set = new Dataset({ data, shape: [d], name: "points" });
  return directionsOf(await dataSpectrum(set, { cache: false }));
}

/** Whole numbers of exactly known rank: random combinations of `rank` unit vectors, each of which fills a block. */
function ofRank(count: number, d: number, rank: number, offset = 0): Float32Array {
  const noise = startNoise(rank, 0, count, rank);
  return Float32Array.from({ length: count * d }, (_, at) => {
    const i = Math.floor(at / d), c = at % d;
    // The last tenth of the coordinates is constant.
    return offset + (c >= 0.9 * d ? 0 : Math.round(20 * noise[i * rank + c % rank]));
  });
}

// Below 1,024 dimensions by the covariance, above by the inner products of at most d/2 items.
for (const d of [40, 300, 1500]) {
  for (const offset of [0, 1e6]) {
    Deno.test(`dataSpectrum() has exactly the rank of the data, ${d} dimensions, ${offset} away from 0`, async () => {
      for (const rank of [1, 7, 19]) {
        // Whole numbers up to 2²⁴ are float32 numbers, and their combinations are exact.
        assert.equal(await rankOf(ofRank(60, d, rank, offset), d), rank);
      }
      // No more than N − 1 of N items in general position, and copies add none.
      const noise = Float32Array.from(startNoise(3, 0, 20, d), (v) => v + offset);
      assert.equal(await rankOf(noise, d), 19);
      assert.equal(await rankOf(Float32Array.of(...noise, ...noise), d), 19);
      assert.equal(await rankOf(noise.subarray(0, d), d), 0);
      assert.equal(
        await rankOf(Float32Array.from({ length: 5 * d }, (_, at) => noise[at % d]), d),
        0,
      );
    });
  }
  Deno.test(`dataSpectrum() of bytes has exactly the rank of the data, ${d} dimensions`, async () => {
    const bytes = Uint8Array.from(ofRank(60, d, 19), (v) => Math.max(0, Math.min(255, v + 128)));
    assert.equal(await rankOf(bytes, d), 19);
    const noise = Uint8Array.from(startNoise(3, 0, 20, d), (v) => 128 + 20 * v);
    assert.equal(await rankOf(noise, d), 19);
    assert.equal(await rankOf(new Uint8Array(3 * d).fill(201), d), 0);
  });
}

Deno.test("dataSpectrum() cuts what rounding to float32 adds to data of low rank, far from 0 too", async () => {
  for (const d of [40, 1500]) {
    for (const offset of [0, 300]) {
      const draws = startNoise(1, 0, 200, 6), map = startNoise(2, 0, 6, d);
      const data = Float32Array.from({ length: 200 * d }, (_, at) => {
        const i = Math.floor(at / d);
        let sum = offset;
        for (let k = 0; k < 6; k++) sum += draws[6 * i + k] * map[k * d + at % d];
        return sum;
      });
      assert.equal(await rankOf(data, d), 6, `${d} dimensions, offset ${offset}`);
    }
  }
});

Deno.test("dataSpectrum() keeps a small direction beside one that lies far from 0", async () => {
  // One coordinate near 10⁶, where float32 numbers are 1/16 apart, and one of a thousandth.
  const noise = startNoise(5, 0, 300, 2);
  const data = Float32Array.from(noise, (v, at) => at % 2 ? 1e6 + 10 * v : 1e-3 * v);
  assert.equal(await rankOf(data, 2), 2);
});

Deno.test("cutAtRounding() moves what it cuts to the end, with its direction", () => {
  const d = 3, count = 100;
  const data = new Dataset({ data: new Float32Array(count * d), shape: [d], name: "points" });
  const spectrum = {
    mean: Float64Array.of(0, 1e6, 0),
    // Far from 0 along the second axis: 1e-5 is below the rounding of float32 numbers there.
    variances: Float64Array.of(1, 1e-5, 1e-6),
    basis: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1),
    floor: 0,
  };
  const { variances, basis } = cutAtRounding(spectrum, data);
  assert.deepEqual([...variances], [1, 1e-6, 0]);
  assert.deepEqual([...basis], [1, 0, 0, 0, 0, 1, 0, 1, 0]);
  assert.equal(cutAtRounding({ ...spectrum, mean: new Float64Array(d) }, data).variances[1], 1e-5);
});
