/**
 * How the posterior kernel cuts a data set into buffers, chunks and work-groups.
 *
 * @module
 */

/** Work-group size of every kernel but the statistics; 64 suits software drivers and GPUs alike. */
export const WORKGROUP = 64;
/** Rows whose distances one thread keeps in registers. */
export const ROWS = 8;
/** Threads that share a row in the distance kernel, at most. */
const MAX_LANES = 16;

/** How the data of one store are cut, all of it independent of the queries. */
export interface PosteriorPlan {
  /** Whether the data are bytes: four to a word, else four floats to a vector. */
  readonly bytes: boolean;
  /** Vectors of four numbers per row, `⌈d/4⌉`; what is missing to four is 0. */
  readonly vectors: number;
  /** Bytes per row. */
  readonly rowBytes: number;
  /** Rows per chunk, such that chunks start at multiples of 256 bytes. */
  readonly chunkRows: number;
  /** Rows per GPU buffer, a multiple of `chunkRows`. */
  readonly shardRows: number;
  /** Threads that share a row in the distance kernel, a power of two. */
  readonly lanes: number;
  /** Vectors of a row that one work-group of the weighted sum covers, a power of two. */
  readonly columns: number;
  /** Parts of a chunk that are summed separately. */
  readonly splits: number;
  /** Queries that are worked on at once, a multiple of 4. */
  readonly block: number;
}

/** What limits a plan: the device, and sizes in bytes that tests make small. */
export interface PlanLimits {
  /** The largest buffer. */
  readonly maxBufferSize: number;
  /** The largest range of a buffer that a kernel may see. */
  readonly maxStorageBufferBindingSize: number;
  /** The most work-groups along one axis. */
  readonly maxComputeWorkgroupsPerDimension: number;
  /** The wanted size of a chunk. Default 4 MiB: its second read comes from the cache. */
  readonly chunkBytes?: number;
  /** The wanted size of a shard. Default: the largest buffer. */
  readonly shardBytes?: number;
}

const CHUNK_BYTES = 2 ** 22;
const MAX_CHUNK_ROWS = 2 ** 14;
const MAX_BLOCK = 64;
const ALIGNMENT = 256;
/** Work-groups that a weighted sum of one query should give the device. */
const WANTED_GROUPS = 64;

function powerOfTwoBelow(x: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, x)));
}

/**
 * Cuts a data set for a device. The cut depends on the data and the device
 * only, so that the arithmetic of one query is the same in every batch.
 *
 * @param dimension Numbers per row.
 * @param bytes Whether they are bytes.
 * @param limits The limits of the device.
 * @returns The plan, or undefined if a single row is larger than the device allows.
 */
export function planPosterior(
  dimension: number,
  bytes: boolean,
  limits: PlanLimits,
): PosteriorPlan | undefined {
  const vectors = Math.ceil(dimension / 4);
  const rowBytes = vectors * (bytes ? 4 : 16);
  const largest = Math.min(
    limits.maxBufferSize,
    limits.maxStorageBufferBindingSize,
  );
  // The fewest rows that end on the alignment of a binding.
  let unit = 1;
  while ((unit * rowBytes) % ALIGNMENT !== 0) unit *= 2;
  const units = (bytes: number) => Math.floor(bytes / (unit * rowBytes));
  const groups = Math.ceil(dimension / WORKGROUP);
  if (units(largest) < 1 || groups > limits.maxComputeWorkgroupsPerDimension) {
    return undefined;
  }
  const wanted = Math.min(limits.chunkBytes ?? CHUNK_BYTES, largest);
  const chunkRows = unit *
    Math.max(1, Math.min(units(wanted), Math.floor(MAX_CHUNK_ROWS / unit)));
  const shard = Math.min(
    limits.shardBytes ?? Infinity,
    limits.maxBufferSize,
  );
  const shardRows = chunkRows *
    Math.max(1, Math.floor(shard / (chunkRows * rowBytes)));
  const columns = Math.min(WORKGROUP, 2 * powerOfTwoBelow(vectors - 1));
  const covered = vectors === 1 ? 1 : columns;
  const splits = Math.max(
    1,
    Math.floor(WANTED_GROUPS / Math.ceil(vectors / covered)),
  );
  const sumsBytes = splits * vectors * 16;
  const fitting = Math.floor(largest / Math.max(sumsBytes, chunkRows * 4));
  if (fitting < 4) return undefined;
  return {
    bytes,
    vectors,
    rowBytes,
    chunkRows,
    shardRows,
    lanes: Math.min(MAX_LANES, powerOfTwoBelow(vectors / 8)),
    columns: covered,
    splits,
    block: Math.min(MAX_BLOCK, fitting - fitting % 4),
  };
}

/** Bytes from one chunk's uniform to the next. */
export const CHUNK_UNIFORM_STRIDE = 256;

/**
 * The uniform of one chunk.
 *
 * @param plan The plan.
 * @param count Rows in the data set.
 * @param index Number of the chunk.
 * @returns The words of the uniform.
 */
export function chunkUniform(
  plan: PosteriorPlan,
  count: number,
  index: number,
): Uint32Array {
  const first = index * plan.chunkRows;
  const rows = Math.min(plan.chunkRows, count - first);
  const words = Uint32Array.of(
    rows,
    first,
    index,
    Math.min(plan.chunkRows, count),
    plan.vectors,
    Math.ceil(rows / plan.splits),
    0,
    0,
  );
  // Together the neglected weights are at most 2⁻²⁶ of the largest one.
  new Float32Array(words.buffer).set([2 ** -26 / count], 6);
  return words;
}

/**
 * Rows that one work-group of the distance kernel covers.
 *
 * @param plan The plan.
 * @returns Their number.
 */
export function rowsPerGroup(plan: PosteriorPlan): number {
  return WORKGROUP / plan.lanes * ROWS;
}
