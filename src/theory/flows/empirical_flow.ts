/**
 * The flow of a finite data set, to rounding.
 *
 * @module
 */
import { referencePosterior } from "../../compute/float64/posterior.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { ExactFlow } from "./exact_flow.ts";
import { exactFlow } from "./exact_flow.ts";
import type { DenoiseRow } from "./extrapolation.ts";
import { normals } from "./gaussian_flow.ts";
import { followFlow, sizeOf } from "./mixture_flow.ts";

/**
 * The flow of the empirical law of a data set: the optimal denoiser by the reference kernel, the
 * flow map by extrapolation to a relative accuracy of about 1e-12. Slow; for small sets.
 *
 * At noise level 0 trajectories end at items, but for those on the border between two.
 *
 * @param dataset The data, all equally likely.
 * @returns The flow.
 *
 * @example Two points: the trajectory ends at the nearer one
 * ```ts
 * import { Dataset } from "@closedform/diffusion";
 * import { empiricalFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
 * assert.deepEqual([...await empiricalFlow(set).transport(Float64Array.of(3), 5, 0)], [1]);
 * ```
 */
export function empiricalFlow(dataset: Dataset): ExactFlow {
  const denoise: DenoiseRow = (x, sigma) => referencePosterior(dataset, x, sigma).mean;
  const rows = Array.from({ length: dataset.count }, (_, i) => dataset.values(i));
  const spread = sizeOf(rows) || 1;
  return exactFlow({
    name: dataset.name,
    mean: dataset.mean(),
    shape: dataset.shape,
    denoise,
    transport: (x, from, to, signal) => followFlow(denoise, x, from, to, spread, signal),
    draw: (stream, sigma) => {
      const item = rows[stream.below(rows.length)];
      return normals(stream, dataset.dimension).map((e, c) => item[c] + sigma * e);
    },
  });
}
