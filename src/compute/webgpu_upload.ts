/**
 * Copies data to the GPU in pieces.
 *
 * @module
 */
import type { PointSet } from "./posterior.ts";
import { CHUNK_UNIFORM_STRIDE, chunkUniform, type PosteriorPlan } from "./posterior_plan.ts";
import type { Gpu } from "./webgpu_context.ts";

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
function pad<T extends Uint8Array | Float32Array>(
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
 * @param centre The middle of the range of the data, stored units.
 * @returns The buffer.
 */
export async function uploadChunks(
  gpu: Gpu,
  plan: PosteriorPlan,
  count: number,
  centre: number,
): Promise<GPUBuffer> {
  const chunks = Math.ceil(count / plan.chunkRows);
  const stride = CHUNK_UNIFORM_STRIDE / 4;
  const words = new Uint32Array(chunks * stride);
  for (let i = 0; i < chunks; i++) {
    words.set(chunkUniform(plan, count, i, centre), i * stride);
  }
  const buffer = await gpu.buffer(
    words.byteLength,
    GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  );
  gpu.device.queue.writeBuffer(buffer, 0, words);
  return buffer;
}
