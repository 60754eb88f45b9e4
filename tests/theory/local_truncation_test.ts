import { Dataset, shapes, startNoise } from "@closedform/diffusion";
import { localTruncation } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";

const images = shapes(40, { size: 8 });

function noisy(i: number, sigma: number): Float64Array {
  const noise = startNoise(70, i, 1, images.dimension);
  return Float64Array.from(images.values(i), (v, c) => v + sigma * noise[c]);
}

/** The local score machine over some images, written out. */
function localMean(rows: number[], query: Float64Array, sigma: number, side: number): number[] {
  const [height, width, channels] = images.shape, reach = (side - 1) / 2;
  const value = (i: number, at: number) => images.data[i * images.dimension + at] / 127.5 - 1;
  return Array.from({ length: images.dimension }, (_, at) => {
    const pixel = Math.floor(at / channels), r = Math.floor(pixel / width), c = pixel % width;
    const logits = rows.map((i) => {
      let sum = 0;
      for (let y = Math.max(0, r - reach); y <= Math.min(height - 1, r + reach); y++) {
        for (let x = Math.max(0, c - reach); x <= Math.min(width - 1, c + reach); x++) {
          for (let k = 0; k < channels; k++) {
            const there = (y * width + x) * channels + k;
            sum += (query[there] - value(i, there)) ** 2;
          }
        }
      }
      return -sum / (2 * sigma * sigma);
    });
    const top = Math.max(...logits), weights = logits.map((l) => Math.exp(l - top));
    const total = weights.reduce((sum, w) => sum + w, 0);
    return weights.reduce((sum, w, j) => sum + w * value(rows[j], at), 0) / total;
  });
}

Deno.test("localTruncation() measures the error of a local denoiser written out", () => {
  for (const [sigma, side, kept] of [[0.3, 3, 5], [1, 5, 12]]) {
    const query = noisy(3, sigma);
    const all = Array.from({ length: 40 }, (_, i) => i);
    const squares = all.map((i) =>
      query.reduce((sum, v, at) => sum + (v - (images.data[i * 192 + at] / 127.5 - 1)) ** 2, 0)
    );
    const near = all.toSorted((i, j) => squares[i] - squares[j]).slice(0, kept);
    const [full, cut] = [all, near].map((rows) => localMean(rows, query, sigma, side));
    const rms = Math.sqrt(full.reduce((sum, v, at) => sum + (v - cut[at]) ** 2, 0) / 192);
    const { error } = localTruncation(images, query, sigma, side, kept);
    assert.ok(Math.abs(error - rms) < 1e-12, `${error} ${rms}`);
  }
});

Deno.test("localTruncation() holds per pixel with the pixel's mass, and fails with the global one", () => {
  let broken = 0;
  for (const sigma of [0.1, 0.4, 1.5]) {
    for (let i = 0; i < 5; i++) {
      const found = localTruncation(images, noisy(i, sigma), sigma, 3, 6);
      assert.ok(found.worstRatio <= 1 && found.error <= found.localCertificate);
      if (found.error > found.globalCertificate) broken++;
    }
  }
  assert.ok(broken > 5, `${broken} of 15`);
});

Deno.test("localTruncation() through a window over the whole image obeys the global certificate", () => {
  for (const sigma of [0.5, 2]) {
    const { error, globalCertificate } = localTruncation(images, noisy(1, sigma), sigma, 15, 10);
    assert.ok(error <= globalCertificate && error > 0);
  }
});

Deno.test("localTruncation() refuses what is no window and no image", () => {
  const query = noisy(0, 1);
  const points = new Dataset({ data: Float32Array.of(0, 1), shape: [2], name: "a point" });
  assert.throws(() => localTruncation(points, [0, 0], 1, 1, 1), TypeError);
  assert.throws(() => localTruncation(images, query, 1, 4, 1), RangeError);
  assert.throws(() => localTruncation(images, query, 1, 3, 0), RangeError);
  assert.throws(() => localTruncation(images, query, 1, 3, 41), RangeError);
});
