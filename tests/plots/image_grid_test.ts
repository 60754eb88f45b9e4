import { imageGrid } from "@closedform/diffusion";
import type { Bitmap } from "@closedform/diffusion";
import assert from "node:assert/strict";
import fc from "fast-check";

function pixel({ width, data }: Bitmap, x: number, y: number): number[] {
  return [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)];
}

Deno.test("imageGrid puts every number where it belongs", () => {
  const parameters = fc.record({
    count: fc.integer({ min: 1, max: 7 }),
    height: fc.integer({ min: 1, max: 4 }),
    width: fc.integer({ min: 1, max: 4 }),
    channels: fc.constantFrom(1, 3),
    columns: fc.integer({ min: 1, max: 5 }),
    scale: fc.integer({ min: 1, max: 3 }),
    padding: fc.integer({ min: 0, max: 2 }),
  });
  fc.assert(
    fc.property(parameters, (p) => {
      const size = p.height * p.width * p.channels;
      const bytes = Uint8Array.from(
        { length: p.count * size },
        (_, i) => (i * 89 + 7) % 256,
      );
      const { columns: most, scale, padding } = p;
      const grid = imageGrid(bytes, {
        columns: most,
        scale,
        padding,
        shape: [p.height, p.width, p.channels],
        range: [0, 255],
        background: [1, 2, 3],
      });
      const columns = Math.min(p.columns, p.count);
      const [stepX, stepY] = [p.width, p.height].map((side) => side * p.scale + p.padding);
      assert.equal(grid.width, columns * stepX + p.padding);
      assert.equal(
        grid.height,
        Math.ceil(p.count / columns) * stepY + p.padding,
      );
      for (let y = 0; y < grid.height; y++) {
        for (let x = 0; x < grid.width; x++) {
          // From the pixel back to the image, the reverse of drawing it.
          const [tileX, tileY] = [
            Math.floor((x - p.padding) / stepX),
            Math.floor((y - p.padding) / stepY),
          ];
          const column = Math.floor((x - p.padding - tileX * stepX) / p.scale);
          const row = Math.floor((y - p.padding - tileY * stepY) / p.scale);
          const image = tileY * columns + tileX;
          const inside = x >= p.padding && y >= p.padding &&
            column < p.width && row < p.height && image < p.count;
          const at = image * size + (row * p.width + column) * p.channels;
          const expected = inside ? [0, 1, 2].map((c) => bytes[at + c % p.channels]) : [1, 2, 3];
          assert.deepEqual(pixel(grid, x, y), [...expected, 255]);
        }
      }
    }),
    { seed: 31, numRuns: 60 },
  );
});

Deno.test("imageGrid maps its range to bytes and clamps", () => {
  const { data } = imageGrid([-7, -1, 0, 1, 7], {
    shape: [1, 5],
    scale: 1,
    padding: 0,
  });
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((i) => data[4 * i]),
    [0, 0, 128, 255, 255],
  );
});

Deno.test("imageGrid lays images with opacity on white, whatever is between them", () => {
  const grid = imageGrid([200, 100, 0, 255, 200, 100, 0, 51, 7, 7, 7, 0], {
    ...{ shape: [1, 3, 4], range: [0, 255], scale: 1, padding: 0, background: [9, 9, 9] },
  });
  // 51 of 255 is a fifth: 0.2 v + 0.8 · 255.
  assert.deepEqual(
    [0, 1, 2].map((x) => pixel(grid, x, 0)),
    [[200, 100, 0, 255], [244, 224, 204, 255], [255, 255, 255, 255]],
  );
});

Deno.test("imageGrid enlarges small images to at least 64 pixels and makes square grids", () => {
  const { width, height } = imageGrid(new Float32Array(9 * 32 * 32 * 3), {
    shape: [32, 32, 3],
    padding: 0,
  });
  assert.deepEqual([width, height], [192, 192]);
  const large = imageGrid(new Float32Array(100 * 80), {
    shape: [100, 80],
    padding: 0,
  });
  assert.deepEqual([large.width, large.height], [80, 100]);
});

Deno.test("imageGrid refuses what is no image", () => {
  assert.throws(() => imageGrid([1, 2], { shape: [2] }), TypeError);
  assert.throws(() => imageGrid([1, 2], { shape: [1, 1, 2] }), TypeError);
  assert.throws(() => imageGrid([1, 2, 3], { shape: [1, 2] }), TypeError);
  assert.throws(() => imageGrid([], { shape: [1, 2] }), TypeError);
  assert.throws(() => imageGrid([0, NaN], { shape: [1, 2] }), {
    name: "RangeError",
    message: "Cannot draw images: image 0 holds NaN, wanted finite numbers",
  });
  for (
    const bad of [{ columns: 0 }, { scale: 1.5 }, { padding: -1 }, {
      range: [1, 1] as const,
    }]
  ) {
    assert.throws(
      () => imageGrid([0, 0], { shape: [1, 2], ...bad }),
      RangeError,
    );
  }
});
