import { scatterImage } from "@closedform/diffusion";
import type { Bitmap } from "@closedform/diffusion";
import assert from "node:assert/strict";

type Box = [left: number, top: number, right: number, bottom: number];

/** The box around all pixels that pass a test. */
function boxOf(
  { width, data }: Bitmap,
  test: (red: number, green: number, blue: number) => boolean,
): Box {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < data.length; at += 4) {
    if (!test(data[at], data[at + 1], data[at + 2])) continue;
    const [x, y] = [at / 4 % width, Math.floor(at / 4 / width)];
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}

const isBlue = (red: number, _: number, blue: number) => blue > red + 60;
const isGrey = (red: number, _: number, blue: number) => red > 170 && red < 230 && blue - red < 30;

Deno.test("scatterImage draws points where they are, y upwards, with equal axes", () => {
  // A 2 by 1 rectangle, and a sample in its upper right corner.
  const data = [0, 0, 2, 0, 0, 1, 2, 1];
  const picture = scatterImage([2, 1], { dimension: 2, data, size: 200 });
  const [left, top, right, bottom] = boxOf(picture, isGrey);
  const blue = boxOf(picture, isBlue);
  assert.ok(blue[0] > 150 && blue[3] < 100, `${blue}`);
  // The discs add the same to both sides, a few pixels.
  assert.ok(Math.abs((right - left) - 2 * (bottom - top)) < 12);
});

Deno.test("scatterImage centres a single point, and points that coincide", () => {
  for (const samples of [[5, 5], [5, 5, 5, 5]]) {
    const blue = boxOf(
      scatterImage(samples, { dimension: 2, size: 100 }),
      isBlue,
    );
    assert.ok(Math.abs(blue[0] + blue[2] - 99) <= 1, `${blue}`);
    assert.ok(Math.abs(blue[1] + blue[3] - 99) <= 1, `${blue}`);
  }
});

Deno.test("scatterImage cuts discs off at the border, and leaves the other side alone", () => {
  // In the largest picture the discs of few points reach over its edge.
  const { width, data } = scatterImage([0, 0, 1, 1], { dimension: 2, size: 4096 });
  const blue = (column: number, row: number) => {
    const at = 4 * (row * width + column);
    return isBlue(data[at], data[at + 1], data[at + 2]);
  };
  // Both discs have their centres 24 pixels from two borders, and a radius of 32.
  const [near, far] = [24, width - 1 - 24];
  assert.ok(blue(0, far) && blue(near, width - 1) && blue(width - 1, near) && blue(far, 0));
  for (let k = 0; k < 64; k++) {
    assert.ok(!blue(0, k) && !blue(width - 1, width - 1 - k), `${k}`);
    assert.ok(!blue(k, 0) && !blue(width - 1 - k, width - 1), `${k}`);
  }
});

Deno.test("scatterImage of numbers is a histogram as tall as its largest bin", () => {
  const picture = scatterImage([0, 0, 0, 1], { dimension: 1, size: 200 });
  const column = (from: number, to: number) =>
    boxOf({
      ...picture,
      data: picture.data.map((v, i) => {
        const x = Math.floor(i / 4) % picture.width;
        return x >= from && x < to ? v : 255;
      }),
    }, isBlue);
  const [, highTop, , bottom] = column(0, 100);
  const [, lowTop] = column(100, 200);
  // Three of four against one of four, to a pixel of rounding each.
  assert.ok(
    Math.abs((bottom - highTop + 1) - 3 * (bottom - lowTop + 1)) <= 4,
  );
});

Deno.test("scatterImage of points in space shortens all three axes equally", () => {
  const reach = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((axis) => {
    const picture = scatterImage([0, 0, 0, ...axis], {
      dimension: 3,
      // The frame of reference: the unit cube's corners fix the scale.
      data: [-1, -1, -1, 1, -1, -1, -1, 1, -1, -1, -1, 1, 1, 1, 1],
      size: 400,
    });
    const [left, top, right, bottom] = boxOf(picture, isBlue);
    return Math.hypot(right - left - 7, bottom - top - 7);
  });
  // Pixels: rounding of the box's four sides, and of the disc's diameter, about 7.
  assert.ok(Math.max(...reach) - Math.min(...reach) < 8, `${reach}`);
});

Deno.test("scatterImage draws the first two of more coordinates", () => {
  assert.deepEqual(
    scatterImage([0, 1, 9, 9, 1, 0, 5, 5], { dimension: 4 }).data,
    scatterImage([0, 1, 1, 0], { dimension: 2 }).data,
  );
});

Deno.test("scatterImage refuses what it cannot draw", () => {
  assert.throws(() => scatterImage([], { dimension: 2 }), TypeError);
  assert.throws(() => scatterImage([1, 2, 3], { dimension: 2 }), TypeError);
  assert.throws(() => scatterImage([1, NaN], { dimension: 2 }), RangeError);
  assert.throws(
    () => scatterImage([1, 2], { dimension: 2, data: [1] }),
    TypeError,
  );
  assert.throws(
    () => scatterImage([1, 2], { dimension: 2, size: 5 }),
    RangeError,
  );
});
