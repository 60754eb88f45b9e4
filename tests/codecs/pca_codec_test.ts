import assert from "node:assert/strict";
import { encodeDataset } from "../../src/codecs/codec.ts";
import { pcaCodec } from "../../src/codecs/pca_codec.ts";
import { Dataset } from "../../src/datasets/dataset.ts";
import { shapes } from "../../src/datasets/shapes.ts";
import { startNoise } from "../../src/base/random.ts";

/** Gaussian points with standard deviations 1, 2, … along the axes. */
function stretched(count: number, d: number): Dataset {
  const data = Float32Array.from(startNoise(1, 0, count, d), (v, at) => v * (1 + at % d));
  return new Dataset({ data, shape: [d], name: "stretched" });
}

Deno.test("pcaCodec() latents have mean zero, unit variance and no correlation", async () => {
  const data = stretched(500, 6);
  using codec = await pcaCodec(data, { rank: 4 });
  const { data: y, count } = await encodeDataset(data, codec);
  for (let a = 0; a < 4; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = 0, product = 0;
      for (let i = 0; i < count; i++) {
        sum += y[4 * i + a];
        product += y[4 * i + a] * y[4 * i + b];
      }
      // Latents are rounded to float32: 500 numbers of order one.
      assert.ok(Math.abs(sum / count) < 1e-6);
      assert.ok(Math.abs(product / (count - 1) - Number(a === b)) < 1e-5);
    }
  }
});

Deno.test("pcaCodec() of full rank is the identity, of less the projection with the least error", async () => {
  const data = stretched(200, 5);
  const errorOf = async (rank: number, whiten: boolean) => {
    using codec = await pcaCodec(data, { rank, whiten });
    const x = Float32Array.from(data.data);
    const back = await codec.decode(await codec.encode(x));
    return back.reduce((sum, v, i) => sum + (v - x[i]) ** 2, 0) / (data.count - 1);
  };
  for (const whiten of [true, false]) {
    assert.ok(await errorOf(5, whiten) < 1e-9);
    // What a projection loses is the variance of the components that it leaves out, here the three smallest.
    using all = await pcaCodec(data, { rank: 5, whiten: false });
    const { data: y } = await encodeDataset(data, all);
    let left = 0;
    for (let i = 0; i < data.count; i++) for (const k of [2, 3, 4]) left += y[5 * i + k] ** 2;
    left /= data.count - 1;
    assert.ok(Math.abs(await errorOf(2, whiten) - left) < 1e-5 * left);
  }
});

Deno.test("encodeDataset() keeps labels, tells progress, can be cancelled, and refuses other shapes", async () => {
  const data = shapes(600, { size: 8 });
  using codec = await pcaCodec(data, { rank: 10, cache: false });
  const seen: number[] = [];
  const latents = await encodeDataset(data, codec, { onProgress: (done) => seen.push(done) });
  assert.deepEqual([latents.shape, latents.count, seen], [[10], 600, [512, 600]]);
  assert.equal(latents.labels, data.labels);
  const signal = AbortSignal.abort(new DOMException("enough", "AbortError"));
  await assert.rejects(() => encodeDataset(data, codec, { signal }), { name: "AbortError" });
  const reject = (call: Promise<unknown>) => assert.rejects(call, { name: "AbortError" });
  await reject(codec.encode(Float32Array.from(data.values(0)), { signal }));
  await reject(codec.decode(latents.values(0), { signal }));
  await assert.rejects(() => encodeDataset(stretched(5, 3), codec), TypeError);
  await assert.rejects(() => codec.decode(new Float32Array(9)), TypeError);
  await assert.rejects(() => pcaCodec(data, { rank: 0, cache: false }), RangeError);
});

Deno.test("pcaCodec() of fewer items than components keeps what varies, and enlarges nothing that it never saw", async () => {
  // One path for few dimensions, another for many.
  for (const side of [16, 36]) {
    const data = shapes(60, { size: side });
    using codec = await pcaCodec(data.take(20), { rank: 100, cache: false });
    assert.equal(codec.latentDimension, 19);
    assert.match(
      codec.label,
      /^19 principal components, all that have variance \(of 100\), whitened$/,
    );
    const { data: seen } = await encodeDataset(data.take(20), codec);
    const { data: held } = await encodeDataset(
      data.subset(Array.from({ length: 40 }, (_, i) => 20 + i)),
      codec,
    );
    const most = (rows: ArrayLike<number>) =>
      Array.from(rows).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    // Whitened latents of N items are at most (N−1)/√N; others are larger by the ratio of norms at most, not by 10⁷.
    assert.ok(most(seen) <= 19 / Math.sqrt(20) + 1e-4);
    assert.ok(most(held) < 100, `${most(held)}`);
  }
  const same = shapes(20, { size: 8 }).subset([3, 3, 3]);
  await assert.rejects(() => pcaCodec(same, { cache: false }), /all items of .* are the same/);
});
