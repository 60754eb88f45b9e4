/**
 * The pictures of a run: samples, and the way some of them took.
 *
 * @module
 */
import type { Dataset } from "../datasets/dataset.ts";
import { joinBitmaps } from "../plots/bitmap.ts";
import type { Bitmap } from "../plots/bitmap.ts";
import { imageGrid } from "../plots/image_grid.ts";
import { scatterImage } from "../plots/scatter_image.ts";
import type { TrajectoryPoint } from "../samplers/sample.ts";

// More points than this only make a picture darker.
const MOST_POINTS = 5000;
const TRAJECTORY_IMAGES = 6;
const TRAJECTORY_LEVELS = 11;

/** Whether items of this shape are images. */
export function isImage(shape: readonly number[]): boolean {
  return shape.length === 2 || (shape.length === 3 && (shape[2] === 1 || shape[2] === 3));
}

/** A grid of images, or points over the data they come from. */
export function samplesPicture(values: ArrayLike<number>, dataset: Dataset): Bitmap {
  const { shape, range, dimension } = dataset;
  if (isImage(shape)) return imageGrid(values, { shape, range });
  return scatterImage(values, { dimension, data: someData(dataset) });
}

/**
 * Some states of a way, evenly spread, with the variance that a variance-preserving process keeps,
 * and in the space of the data.
 *
 * @param decode Leads from the space of the states to that of the data.
 */
export async function drawnStates(
  trajectory: readonly TrajectoryPoint[],
  decode: (rows: Float32Array) => Promise<Float32Array>,
): Promise<TrajectoryPoint[]> {
  const states: TrajectoryPoint[] = [];
  for (const { sigma, x, denoised } of spread(trajectory)) {
    const scale = Math.sqrt(1 + sigma * sigma);
    states.push({
      sigma,
      x: await decode(Float32Array.from(x, (v) => v / scale)),
      ...(denoised && { denoised: await decode(Float32Array.from(denoised)) }),
    });
  }
  return states;
}

/**
 * The way down the grid, from left to right. Images: for each of the first
 * samples the state and below it what the denoiser made of it. Points: all
 * states at each level.
 */
export function trajectoryPicture(
  points: readonly TrajectoryPoint[],
  dataset: Dataset,
): Bitmap {
  const { shape, range, dimension } = dataset;
  if (!isImage(shape)) {
    const data = someData(dataset);
    return joinBitmaps(
      points.map(({ x }) => scatterImage(x, { dimension, data, size: 256 })),
    );
  }
  const count = Math.min(TRAJECTORY_IMAGES, points[0].x.length / dimension);
  const rows: number[] = [];
  for (let sample = 0; sample < count; sample++) {
    const [from, to] = [sample * dimension, (sample + 1) * dimension];
    for (const { x } of points) {
      for (let c = from; c < to; c++) rows.push(x[c]);
    }
    for (const { denoised } of points) {
      // Before the first step there is no estimate: its place stays mid-grey.
      const middle = (range[0] + range[1]) / 2;
      for (let c = from; c < to; c++) rows.push(denoised ? denoised[c] : middle);
    }
  }
  return imageGrid(rows, { shape, range, columns: points.length });
}

/** At most so many levels, evenly spread, the first and the last among them. */
function spread(points: readonly TrajectoryPoint[]): readonly TrajectoryPoint[] {
  const most = Math.min(points.length, TRAJECTORY_LEVELS);
  return Array.from(
    { length: most },
    (_, i) => points[Math.round(i * (points.length - 1) / (most - 1))],
  );
}

function someData(dataset: Dataset): Float32Array {
  const count = Math.min(dataset.count, MOST_POINTS);
  const data = new Float32Array(count * dataset.dimension);
  for (let i = 0; i < count; i++) data.set(dataset.values(i), i * dataset.dimension);
  return data;
}
