/**
 * Copies data to the GPU in pieces.
 *
 * @module
 */
import type { DataBox } from "../data_box.ts";
import type { Affine, PointSet } from "../posterior.ts";
import { CHUNK_UNIFORM_STRIDE, chunkUniform, type PosteriorPlan } from "../posterior_plan.ts";
import type { Gpu } from "./context.ts";

/** Bytes that are copied at once; the driver holds a copy of them until they have arrived. */
const PIECE = 2 ** 24;

/**
 * Copies the rows of a data set into as many buffers as the plan asks for, each row padded with zeros to whole vectors.
 *
 * @param gpu The device.
 * @param points The data.
 * @param plan How they are cut.
 * @returns The buffers, `plan.shardRows` rows each.
 * @throws {DeviceError} If the device has no memory left for them.
 */
export async function uploadRows(
  gpu: Gpu,
  points: PointSet,
  plan: PosteriorPlan,
): Promise<GPUBuffer[]> {
  const count = points.data.length / points.dimension;
  const shards: GPUBuffer[] = [];
  try {
    for (let from = 0; from < count; from += plan.shardRows) {
      const end = Math.min(count, from + plan.shardRows);
      const shard = await gpu.buffer(
        (end - from) * plan.rowBytes,
        GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
      );
      shards.push(shard);
      await uploadShard(gpu, points, plan, shard, from, end);
    }
    return shards;
  } catch (error) {
    gpu.free(...shards);
    throw error;
  }
}

async function uploadShard(
  gpu: Gpu,
  { data, dimension }: PointSet,
  plan: PosteriorPlan,
  shard: GPUBuffer,
  from: number,
  end: number,
): Promise<void> {
  const { queue } = gpu.device;
  const pieceRows = Math.max(1, Math.floor(PIECE / plan.rowBytes));
  for (let row = from; row < end; row += pieceRows) {
    const last = Math.min(end, row + pieceRows);
    const rows = data.subarray(row * dimension, last * dimension);
    const padded = pad(rows, dimension, plan.vectors * 4);
    queue.writeBuffer(
      shard,
      (row - from) * plan.rowBytes,
      padded.buffer as ArrayBuffer,
      padded.byteOffset,
      padded.byteLength,
    );
    queue.submit([]);
    await gpu.wait(queue.onSubmittedWorkDone());
  }
}

/** Rows of `width` numbers, zeros after the first `dimension`. */
function pad<T extends PointSet["data"]>(
  rows: T,
  dimension: number,
  width: number,
): T {
  if (dimension === width) return rows;
  const count = rows.length / dimension;
  const padded = new (rows.constructor as new (length: number) => T)(
    count * width,
  );
  for (let i = 0; i < count; i++) {
    padded.set(rows.subarray(i * dimension, (i + 1) * dimension), i * width);
  }
  return padded;
}

/**
 * The uniforms of all chunks in one buffer.
 *
 * @param gpu The device.
 * @param plan How the data are cut.
 * @param count Rows in the data set.
 * @returns The buffer.
 */
export async function uploadChunks(
  gpu: Gpu,
  plan: PosteriorPlan,
  count: number,
): Promise<GPUBuffer> {
  const chunks = Math.ceil(count / plan.chunkRows);
  const stride = CHUNK_UNIFORM_STRIDE / 4;
  const words = new Uint32Array(chunks * stride);
  for (let i = 0; i < chunks; i++) {
    words.set(chunkUniform(plan, count, i), i * stride);
  }
  const buffer = await gpu.buffer(
    words.byteLength,
    GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  );
  gpu.device.queue.writeBuffer(buffer, 0, words);
  return buffer;
}

/** A point in stored units, and what it stands for. */
export interface Point {
  /** Padded to whole vectors with zeros. */
  readonly stored: GPUBuffer;
  /** Its value in data units, rounded to float32, `d` floats. */
  readonly values: GPUBuffer;
  /** What is to be added to each of these: for floats nothing. */
  readonly low: number;
}

/** The points that the data are taken relative to. */
export interface Middle {
  /** For differences of distances: the middle of the data. */
  readonly centre: Point;
  /** For sums of rows: the same for floats; 0 for bytes, whose sums are small and whose ends are to come out exactly. */
  readonly anchor: Point;
}

/**
 * Copies the middle of the data to the GPU.
 *
 * @param gpu The device.
 * @param plan How the data are cut.
 * @param box The box of the data, stored units.
 * @param affine From stored units to data units.
 * @returns The buffers.
 */
export async function uploadMiddle(
  gpu: Gpu,
  plan: PosteriorPlan,
  { centre }: DataBox,
  affine: Affine,
): Promise<Middle> {
  const point = await uploadPoint(gpu, plan, centre, affine);
  if (!plan.bytes) return { centre: point, anchor: point };
  try {
    const anchor = await uploadPoint(gpu, plan, new Float32Array(centre.length), affine);
    return { centre: point, anchor };
  } catch (error) {
    gpu.free(point.stored, point.values);
    throw error;
  }
}

async function uploadPoint(
  gpu: Gpu,
  plan: PosteriorPlan,
  point: Float32Array,
  { scale, offset }: Affine,
): Promise<Point> {
  const padded = new Float32Array(plan.vectors * 4);
  padded.set(point);
  const exact = Float64Array.from(point, (c) => c * scale + offset);
  const values = Float32Array.from(exact);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const stored = await gpu.buffer(padded.byteLength, usage);
  try {
    const rounded = await gpu.buffer(values.byteLength, usage);
    gpu.device.queue.writeBuffer(stored, 0, padded);
    gpu.device.queue.writeBuffer(rounded, 0, values);
    // That of bytes is the same everywhere.
    return { stored, values: rounded, low: exact[0] - values[0] };
  } catch (error) {
    gpu.free(stored);
    throw error;
  }
}

/**
 * Frees the buffers of a middle.
 *
 * @param gpu The device.
 * @param middle The buffers.
 */
export function freeMiddle(gpu: Gpu, { centre, anchor }: Middle): void {
  gpu.free(...new Set([centre.stored, centre.values, anchor.stored, anchor.values]));
}
