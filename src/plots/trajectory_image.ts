/**
 * The way of samples from noise to data, as a picture.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { isImage, sizeOf } from "../base/_shape.ts";
import type { TrajectoryPoint } from "../samplers/run.ts";
import { joinBitmaps } from "./bitmap.ts";
import type { Bitmap } from "./bitmap.ts";
import { imageGrid } from "./image_grid.ts";
import { scatterImage } from "./scatter_image.ts";

/** Options of {@linkcode trajectoryImage}. */
export interface TrajectoryImageOptions {
  /** The shape of one sample: `[height, width, channels]`, or `[d]` for points. */
  readonly shape: readonly number[];
  /** The numbers drawn black and white. Default `[-1, 1]`. */
  readonly range?: readonly [number, number];
  /** Points drawn light grey below those on the way: the training data. */
  readonly data?: ArrayLike<number>;
  /** Leads from the space of the states to that of the samples, if it is another one. */
  readonly decode?: (rows: Float32Array) => Promise<Float32Array>;
}

const IMAGES = 6;
const LEVELS = 11;

const OPTIONS = {
  shape: undefined,
  range: undefined,
  data: undefined,
  decode: undefined,
} satisfies OptionTable<TrajectoryImageOptions>;

/**
 * A trajectory from left to right, at eleven of its noise levels at most.
 *
 * Images: for each of the first six samples the state, and below it what the denoiser makes of it. Points: all
 * states at each level. States are divided by `√(1+σ²)`, as a process that preserves the variance has them.
 *
 * @param trajectory What `sample()` returns if it is asked for the trajectory.
 * @param options The shape of a sample, and how to draw it.
 * @returns The picture.
 * @throws {TypeError} If the states are no whole number of samples of that shape.
 * @throws {RangeError} If there are no states, or a number is not finite.
 *
 * @example
 * ```ts
 * import { optimal, sample, tinyShapes, trajectoryImage } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = tinyShapes(50);
 * const { trajectory } = await sample(await optimal(set, { device: "float64" }), { count: 2, trajectory: true, output: "tensor" });
 * const { width, height } = await trajectoryImage(trajectory!, { shape: set.shape });
 * assert.ok(width > 2 * height);
 * ```
 */
export async function trajectoryImage(
  trajectory: readonly TrajectoryPoint[],
  options: TrajectoryImageOptions,
): Promise<Bitmap> {
  if (trajectory.length === 0) {
    throw new RangeError("Cannot draw a trajectory: received no states, wanted at least 1");
  }
  const { shape, range, data } = readOptions("draw a trajectory", options, OPTIONS);
  const dimension = sizeOf(shape);
  const points = await drawnStates(trajectory, options.decode);
  if (!isImage(shape)) {
    return joinBitmaps(
      points.map(({ x }) => scatterImage(x, { dimension, size: 256, ...(data && { data }) })),
    );
  }
  return imageGrid(rowsOf(points, dimension), {
    shape,
    columns: points.length,
    ...(range && { range }),
  });
}

/** For each of the first samples a row of states and one of estimates. */
function rowsOf(
  points: readonly TrajectoryPoint[],
  dimension: number,
): number[] {
  const count = Math.min(IMAGES, points[0].x.length / dimension);
  const rows: number[] = [];
  for (let sample = 0; sample < count; sample++) {
    const [from, to] = [sample * dimension, (sample + 1) * dimension];
    for (const { x } of points) {
      for (let c = from; c < to; c++) rows.push(x[c]);
    }
    for (const { denoised } of points) {
      for (let c = from; c < to; c++) rows.push(denoised[c]);
    }
  }
  return rows;
}

/** Some states, evenly spread, the first and the last among them, scaled and decoded. */
async function drawnStates(
  trajectory: readonly TrajectoryPoint[],
  decode: (rows: Float32Array) => Promise<Float32Array> = (rows) => Promise.resolve(rows),
): Promise<TrajectoryPoint[]> {
  const most = Math.min(trajectory.length, LEVELS);
  const states: TrajectoryPoint[] = [];
  for (let i = 0; i < most; i++) {
    const at = most === 1 ? 0 : Math.round(i * (trajectory.length - 1) / (most - 1));
    const { sigma, x, denoised } = trajectory[at];
    const scale = Math.sqrt(1 + sigma * sigma);
    states.push({
      sigma,
      x: await decode(Float32Array.from(x, (v) => v / scale)),
      denoised: await decode(Float32Array.from(denoised)),
    });
  }
  return states;
}
