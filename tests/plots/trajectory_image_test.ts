import { imageGrid, karrasGrid, sample, tinyShapes, trajectoryImage } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { optimalFloat64 } from "../_helpers/float64.ts";

Deno.test("trajectoryImage() pairs each state with what the denoiser makes of it, the first one too", async () => {
  const set = tinyShapes(40), denoiser = optimalFloat64(set), d = set.dimension;
  const grid = karrasGrid(4);
  const { trajectory } = await sample(denoiser, {
    count: 2,
    grid,
    trajectory: true,
    seed: 1,
    output: "tensor",
  });
  const rows: number[] = [];
  for (const sample of [0, 1]) {
    const row = (values: ArrayLike<number>) =>
      Float64Array.from({ length: d }, (_, c) => values[sample * d + c]);
    for (const { sigma, x } of trajectory!) {
      rows.push(...row(x).map((v) => v / Math.hypot(1, sigma)));
    }
    for (const { sigma, x } of trajectory!) {
      rows.push(
        ...sigma === 0 ? row(x) : row((await denoiser.denoise(x as Float64Array, sigma)).mean),
      );
    }
  }
  const wanted = imageGrid(rows, { shape: set.shape, columns: 5, range: set.range });
  const found = await trajectoryImage(trajectory!, { shape: set.shape, range: set.range });
  assert.deepEqual([found.width, found.height], [wanted.width, wanted.height]);
  // States are rounded to float32 before they are drawn, which can move an 8-bit level by one.
  const far = found.data.reduce((most, v, i) => Math.max(most, Math.abs(v - wanted.data[i])), 0);
  assert.ok(far <= 1, `levels differ by ${far}`);
});
