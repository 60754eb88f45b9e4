/**
 * The pictures of a run: samples, and the way some of them took.
 *
 * @module
 */
import { isImage } from "../base/_shape.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { Bitmap } from "../plots/bitmap.ts";
import { imageGrid } from "../plots/image_grid.ts";
import { scatterImage } from "../plots/scatter_image.ts";
import { trajectoryImage } from "../plots/trajectory_image.ts";
import type { TrajectoryPoint } from "../samplers/run.ts";

// More points than this only make a picture darker.
const MOST_POINTS = 5000;

/** A grid of images, or points over the data they come from. */
export function samplesPicture(values: ArrayLike<number>, dataset: Dataset): Bitmap {
  const { shape, range, dimension } = dataset;
  if (isImage(shape)) return imageGrid(values, { shape, range });
  return scatterImage(values, { dimension, data: someData(dataset) });
}

/**
 * The way down the grid.
 *
 * @param decode Leads from the space of the states to that of the data.
 */
export function trajectoryPicture(
  trajectory: readonly TrajectoryPoint[],
  dataset: Dataset,
  decode: (rows: Float32Array) => Promise<Float32Array>,
): Promise<Bitmap> {
  const { shape, range } = dataset;
  const data = isImage(shape) ? {} : { data: someData(dataset) };
  return trajectoryImage(trajectory, { shape, range, decode, ...data });
}

function someData(dataset: Dataset): Float32Array {
  const count = Math.min(dataset.count, MOST_POINTS);
  const data = new Float32Array(count * dataset.dimension);
  for (let i = 0; i < count; i++) data.set(dataset.values(i), i * dataset.dimension);
  return data;
}
