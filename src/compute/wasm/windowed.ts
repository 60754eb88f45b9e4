/**
 * The posterior per pixel on the CPU: the caller of the kernel in `windowed.as`.
 *
 * @module
 */
import { comparisonOf, squareFrom } from "../data_box.ts";
import type { Subset } from "../subset.ts";
import {
  axisShifts,
  isFarInAWindow,
  WINDOW_ACTION,
  windowBases,
  windowBox,
  windowReach,
} from "../windowed.ts";
import type { AxisShift, WindowJob, WindowOptions, WindowPosterior } from "../windowed.ts";
import { grow, roundUp } from "./memory.ts";
import * as module from "./modules/windowed.ts";
import type { StoreView } from "./store_view.ts";

// All rows that are left out weigh less than a quarter of float32 rounding together.
const LOG_LEFT_OUT = 26 * Math.LN2;
// Parts of the data that are scanned separately; it decides the last bits, so it depends on their number only.
const SHARDS = 32;
const SHARD_IMAGES = 64;
// Queries per scan, and bytes of their sums in all shards.
const MOST_QUERIES = 32;
const STATE_BYTES = 2 ** 28;
// Bytes of images that are compared with one query after the other.
const BLOCK_BYTES = 2 ** 18;
// Milliseconds between two reports of progress.
const REPORT = 200;
// The largest square that float32 holds, about.
const MOST_SQUARE = 3e38;
// Sizes that the kernel agrees on.
const PARAMETERS = 128, AXIS = 16, MARGIN = 8, SPARE = 8;

/** One query after the other, each with the translations of its windows. */
interface Batch {
  readonly first: number;
  readonly queries: number;
  /** The images that compete; only a single query can have some of its own. */
  readonly subset?: Subset;
}

/**
 * The posterior mean per pixel of a batch of queries.
 *
 * @param view The data.
 * @param values The queries, rows one after the other, in data units.
 * @param job What to compute.
 * @param options A signal, and whom to tell the progress.
 * @returns The means in data units and the log normalisers.
 * @throws {RangeError} If a query is so far from the data that float32 overflows.
 */
export async function windowedPosterior(
  view: StoreView,
  values: Float32Array,
  job: WindowJob,
  options: Pick<WindowOptions, "signal" | "onProgress">,
): Promise<WindowPosterior<Float32Array>> {
  await view.pool.load("windowed", module);
  const pixels = job.region.height * job.region.width;
  const out = {
    mean: new Float32Array(job.queries * pixels * job.channels),
    logNormaliser: new Float64Array(job.queries * pixels),
  };
  const perQuery = stateBytes(job) * SHARDS;
  const most = job.subsets
    ? 1
    : Math.max(1, Math.min(MOST_QUERIES, Math.floor(STATE_BYTES / perQuery)));
  for (let first = 0; first < job.queries; first += most) {
    const queries = Math.min(most, job.queries - first);
    const subset = job.subsets?.[first];
    const scan = new WindowScan(view, values, job, { first, queries, subset });
    await scan.run(options.signal, (done) => {
      options.onProgress?.(first + done * queries, job.queries);
    });
    for (let k = 0; k < queries; k++) scan.write(k, out);
  }
  return out;
}

function stateBytes({ height, width, channels }: WindowJob): number {
  return height * width * (2 + channels) * 8;
}

function tooFar(query: number): RangeError {
  return new RangeError(
    `Cannot ${WINDOW_ACTION}: query ${query} is too far from the data for float32, wanted squared distances below 3e38`,
  );
}

/** One scan of the data, or of a subset, for some queries. */
class WindowScan {
  readonly #view: StoreView;
  readonly #job: WindowJob;
  readonly #batch: Batch;
  readonly #rates: Float64Array;
  /** Per query what comparisons fall short of squared differences, if it is far. */
  readonly #bases: (Float64Array | undefined)[] = [];
  readonly #images: number;
  readonly #shards: number;
  readonly #axes = new Map<AxisShift[], number>();
  readonly #axesOf: { rows: AxisShift[]; columns: AxisShift[] }[];
  /** Addresses. */
  readonly #at: Record<
    "geometry" | "control" | "parameters" | "list" | "logs" | "queries" | "states" | "scratch",
    number
  >;
  readonly #queryBytes: number;
  readonly #scratchBytes: number;
  readonly #block: number;

  constructor(
    view: StoreView,
    values: Float32Array,
    job: WindowJob,
    batch: Batch,
  ) {
    this.#view = view;
    this.#job = job;
    this.#batch = batch;
    const { height, width, channels } = job;
    const { queries, first, subset } = batch;
    this.#images = subset?.rows.length ?? view.count;
    const perImage = job.translations === "none" ? SHARD_IMAGES : 1;
    this.#shards = Math.min(SHARDS, Math.ceil(this.#images / perImage));
    this.#rates = job.sigmas.slice(first, first + queries).map((sigma) =>
      0.5 * (view.scale / sigma) ** 2
    );
    this.#axesOf = this.#translations();
    const pixels = height * width;
    const pitch = job.translations === "circular" || job.translations === "interior"
      ? 2 * width
      : width;
    const imageBytes = channels * (height * pitch + MARGIN) * 4;
    this.#block = 2 * Math.max(1, Math.floor(BLOCK_BYTES / imageBytes / 2));
    this.#queryBytes = 2 * channels * (pixels + MARGIN) * 4;
    this.#scratchBytes = roundUp(
      (pixels + MARGIN) * 8 + (1 + channels) * (pixels + MARGIN) * 4 +
        (width + (height + 2) * (3 * width + SPARE)) * 16 + this.#block * imageBytes,
      64,
    );
    let next = view.free;
    const take = (bytes: number) => {
      const at = next;
      next += roundUp(bytes, 64);
      return at;
    };
    this.#at = {
      geometry: take(64),
      control: take(8),
      parameters: take(queries * PARAMETERS),
      list: take(subset ? this.#images * 4 : 0),
      logs: take(subset?.logWeights ? this.#images * 8 : 0),
      queries: take(queries * this.#queryBytes),
      states: take(this.#shards * queries * stateBytes(job)),
      scratch: take(view.pool.threads * this.#scratchBytes),
    };
    for (const { rows, columns } of this.#axesOf) {
      if (!this.#axes.has(rows)) this.#axes.set(rows, take(rows.length * (AXIS + height)));
      if (!this.#axes.has(columns)) {
        this.#axes.set(columns, take(columns.length * (AXIS + 4 * (width + 4))));
      }
    }
    grow(view.memory, next);
    for (const { rows, columns } of this.#axesOf) {
      this.#writeAxis(rows, false);
      this.#writeAxis(columns, true);
    }
    this.#writeGeometry();
    for (let k = 0; k < queries; k++) this.#writeQuery(k, values);
  }

  /** The translations of each query; queries with windows of the same side share them. */
  #translations(): { rows: AxisShift[]; columns: AxisShift[] }[] {
    const { patches, height, width, region, translations } = this.#job;
    const known = new Map<number, { rows: AxisShift[]; columns: AxisShift[] }>();
    return Array.from({ length: this.#batch.queries }, (_, k) => {
      const patch = patches[this.#batch.first + k];
      const found = known.get(patch) ?? {
        rows: axisShifts(height, patch, translations, region.top, region.height),
        columns: axisShifts(width, patch, translations, region.left, region.width),
      };
      known.set(patch, found);
      return found;
    });
  }

  #writeAxis(shifts: AxisShift[], columns: boolean): void {
    const { buffer } = this.#view.memory;
    const at = this.#axes.get(shifts)!;
    let mask = at + shifts.length * AXIS;
    shifts.forEach(({ shift, from, to, outputs }, i) => {
      new Int32Array(buffer, at + i * AXIS, 4).set([shift, from, to, mask]);
      if (columns) {
        new Int32Array(buffer, mask, outputs.length + 4).fill(0).set(
          Array.from(outputs, (v) => -v),
        );
        mask += 4 * (outputs.length + 4);
      } else {
        new Uint8Array(buffer, mask, outputs.length).set(outputs);
        mask += outputs.length;
      }
    });
  }

  #writeGeometry(): void {
    const { memory, bytes, rowBytes } = this.#view;
    const { height, width, channels, translations } = this.#job;
    const wraps = translations === "circular" || translations === "interior";
    const ends = (axis: "rows" | "columns") => {
      const shifts = this.#axesOf.flatMap((axes) => axes[axis]);
      return [
        Math.min(...shifts.map(({ from, shift }) => wraps ? 0 : from + shift)),
        Math.max(
          ...shifts.map(({ to, shift }) => wraps ? (axis === "rows" ? height : width) : to + shift),
        ),
      ];
    };
    new Int32Array(memory.buffer, this.#at.geometry, 11).set([
      height,
      width,
      channels,
      wraps ? 1 : 0,
      bytes ? 1 : 0,
      rowBytes,
      ...ends("rows"),
      ...ends("columns"),
      this.#block,
    ]);
    const { subset } = this.#batch;
    if (subset) new Uint32Array(memory.buffer, this.#at.list, this.#images).set(subset.rows);
    if (subset?.logWeights) {
      new Float64Array(memory.buffer, this.#at.logs, this.#images).set(subset.logWeights);
    }
  }

  #writeQuery(k: number, values: Float32Array): void {
    const { memory, scale, offset } = this.#view;
    const { height, width, channels, patches, translations } = this.#job;
    const pixels = height * width, row = this.#batch.first + k;
    const { rows, columns } = this.#axesOf[k];
    const vertical = windowReach(height, patches[row], translations);
    const horizontal = windowReach(width, patches[row], translations);
    const at = this.#at.queries + k * this.#queryBytes;
    const competitors = this.#images * rows.length * columns.length;
    const from = row * pixels * channels;
    const box = windowBox(this.#view.box, this.#job);
    const stored = Float64Array.from(
      values.subarray(from, from + pixels * channels),
      (v) => (v - offset) / scale,
    );
    const sigma = this.#job.sigmas[row] / scale;
    const far = isFarInAWindow(this.#job, row, stored, box, sigma);
    const { points, slopes, bases } = comparisonOf(stored, box, far ? undefined : () => false);
    this.#bases[k] = far ? windowBases(this.#job, row, bases) : undefined;
    if (!(squareFrom(stored, box.centre) < MOST_SQUARE)) throw tooFar(row);
    new Float64Array(memory.buffer, this.#at.parameters + k * PARAMETERS, 12).set([
      this.#rates[k],
      LOG_LEFT_OUT + Math.log(competitors),
      vertical.before,
      vertical.after,
      horizontal.before,
      horizontal.after,
      this.#axes.get(rows)!,
      rows.length,
      this.#axes.get(columns)!,
      columns.length,
      at,
      far ? 1 : 0,
    ]);
    const planes = new Float32Array(memory.buffer, at, this.#queryBytes / 4).fill(0);
    for (let p = 0, i = 0; p < pixels; p++) {
      for (let c = 0; c < channels; c++, i++) {
        planes[c * (pixels + MARGIN) + p] = points[i];
        planes[(channels + c) * (pixels + MARGIN) + p] = slopes[i];
      }
    }
  }

  /** Scans. */
  async run(signal: AbortSignal | undefined, progress: (done: number) => void): Promise<void> {
    const { memory, pool, data } = this.#view;
    const at = this.#at, { queries, subset } = this.#batch;
    const control = new Int32Array(memory.buffer, at.control, 2);
    const report = setInterval(() => {
      // Shards that were taken are under way, of which there may be as many as threads.
      const taken = Atomics.load(control, 0) - pool.threads;
      if (taken > 0) progress(Math.min(1, taken / this.#shards));
    }, REPORT);
    try {
      await pool.run({
        module: "windowed",
        kernel: "scan",
        memory,
        rows: this.#images,
        shards: this.#shards,
        control: at.control,
        arguments: [
          { base: at.geometry },
          { base: data },
          { base: subset ? at.list : 0 },
          { base: subset?.logWeights ? at.logs : 0 },
          { row: 1 },
          { rows: 1 },
          { base: at.parameters },
          { base: queries },
          { base: at.states, shard: queries * stateBytes(this.#job) },
          { base: at.scratch, thread: this.#scratchBytes },
          { base: at.control + 4 },
        ],
      }, signal);
    } finally {
      clearInterval(report);
    }
  }

  /** Merges the shards of one query. */
  write(k: number, out: WindowPosterior<Float32Array>): void {
    const { memory, scale, offset } = this.#view;
    const { height, width, channels, region } = this.#job;
    const pixels = height * width, row = this.#batch.first + k;
    const states = Array.from({ length: this.#shards }, (_, s) => {
      const at = this.#at.states + (s * this.#batch.queries + k) * stateBytes(this.#job);
      return new Float64Array(memory.buffer, at, pixels * (2 + channels));
    });
    const sums = new Float64Array(channels);
    const first = row * region.height * region.width, bases = this.#bases[k];
    let to = first;
    for (let y = region.top; y < region.top + region.height; y++) {
      for (let x = region.left; x < region.left + region.width; x++, to++) {
        const p = y * width + x;
        const least = states.reduce((least, state) => Math.min(least, state[p]), Infinity);
        let z = 0;
        sums.fill(0);
        for (const state of states) {
          const factor = Math.exp(least - state[p]);
          if (!(factor > 0)) continue;
          z += factor * state[pixels + p];
          for (let c = 0; c < channels; c++) sums[c] += factor * state[(2 + c) * pixels + p];
        }
        if (!(z > 0)) {
          throw tooFar(row);
        }
        const base = (bases?.[to - first] ?? 0) * this.#rates[k];
        out.logNormaliser[to] = Math.log(z) - least - base;
        for (let c = 0; c < channels; c++) {
          out.mean[to * channels + c] = sums[c] / z * scale + offset;
        }
      }
    }
  }
}
