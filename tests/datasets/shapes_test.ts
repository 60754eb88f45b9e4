import { builtinShapes, shapes } from "@closedform/diffusion";
import { SHAPE_CLASSES } from "../../src/datasets/shapes.ts";
import assert from "node:assert/strict";

Deno.test("shapes() items depend on the seed and their index only", () => {
  const long = shapes(60, { seed: 5 });
  assert.deepEqual(shapes(13, { seed: 5 }).data, long.take(13).data);
  assert.notDeepEqual(shapes(13, { seed: 6 }).data, long.take(13).data);
});

Deno.test("shapes() go through the six classes in turn", () => {
  const set = shapes(14);
  assert.deepEqual([...set.labels!], [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1]);
  assert.deepEqual(set.classNames, SHAPE_CLASSES);
  assert.deepEqual(shapes(1, { size: 8 }).shape, [8, 8, 3]);
});

Deno.test("shapes() are all different, of two colours that stand out, and anti-aliased", () => {
  const set = shapes(600);
  const seen = new Set<string>();
  for (let i = 0; i < set.count; i++) {
    const image = set.data.subarray(i * 3072, (i + 1) * 3072);
    seen.add(image.join());
    const colours = new Map<string, number>();
    for (let p = 0; p < 1024; p++) {
      const colour = image.subarray(3 * p, 3 * p + 3).join();
      colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
    const [[back, many], [front, some]] = [...colours].sort((a, b) => b[1] - a[1]);
    const luma = (colour: string) => {
      const [r, g, b] = colour.split(",").map(Number);
      return 0.299 * r + 0.587 * g + 0.114 * b;
    };
    // Colours are drawn with a difference above 80 in luma; rounding to bytes takes at most 1.
    assert.ok(Math.abs(luma(back) - luma(front)) > 79, `image ${i}`);
    assert.ok(many >= some && some > 15, `image ${i}: ${some} pixels of the shape`);
    assert.ok(colours.size > 10, `image ${i}: ${colours.size} colours`);
  }
  assert.equal(seen.size, set.count);
});

Deno.test("shapes() cover the share of the image that their geometry says", () => {
  // The area of a disc of radius 0.9 r in [-1, 1]² is π (0.9 r)² / 4 of the image, with r uniform in [0.4, 0.75].
  const share = Math.PI * 0.81 / 4 * (0.75 ** 3 - 0.4 ** 3) / 3 / 0.35;
  const discs = shapes(6 * 400, { seed: 9 }).classSubset("disc");
  let sum = 0, squares = 0;
  for (let i = 0; i < discs.count; i++) {
    const image = discs.data.subarray(i * 3072, (i + 1) * 3072);
    // A corner pixel is background, since a disc stays 0.05 off the border.
    const middle = brightestDifference(image);
    let covered = 0;
    for (let p = 0; p < 1024; p++) {
      covered += Math.abs(image[3 * p + middle.channel] - image[middle.channel]) / middle.most;
    }
    sum += covered / 1024;
    squares += (covered / 1024) ** 2;
  }
  const mean = sum / discs.count;
  const error = Math.sqrt((squares / discs.count - mean ** 2) / discs.count);
  assert.ok(Math.abs(mean - share) < 5 * error, `${mean} against ${share} ± ${error}`);
});

/** The channel in which some pixel differs most from the corner, and by how much. */
function brightestDifference(image: ArrayLike<number>): { channel: number; most: number } {
  let best = { channel: 0, most: 0 };
  for (let at = 0; at < image.length; at++) {
    const most = Math.abs(image[at] - image[at % 3]);
    if (most > best.most) best = { channel: at % 3, most };
  }
  return best;
}

Deno.test("shapes() refuses numbers out of range", () => {
  for (const n of [0, 1.5, NaN]) assert.throws(() => shapes(n), RangeError);
  for (const size of [7, 1025, 8.5]) assert.throws(() => shapes(1, { size }), RangeError);
  assert.throws(() => shapes(1, { seed: -1 }), RangeError);
});

Deno.test("builtinShapes() are shapes(4096), byte for byte", async () => {
  const [shipped, drawn] = [await builtinShapes(), shapes()];
  assert.deepEqual(shipped.data, drawn.data);
  assert.deepEqual(shipped.labels, drawn.labels);
  assert.deepEqual(shipped.classNames, drawn.classNames);
  assert.deepEqual((await builtinShapes({ limit: 5 })).data, drawn.take(5).data);
});
