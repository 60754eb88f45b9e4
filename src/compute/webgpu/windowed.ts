/**
 * The posterior per pixel on a GPU device: the thin caller of `windowed_wgsl.ts`.
 *
 * @module
 */
import { comparisonOf } from "../data_box.ts";
import { WORKGROUP } from "../posterior_plan.ts";
import { NO_DISTANCE } from "./posterior_wgsl.ts";
import { bind, dispatch, segments, storedQuery, using } from "./subset.ts";
import type { GpuRows, Segment } from "./subset.ts";
import { axisShifts, WINDOW_ACTION, windowBases, windowBox, windowReach } from "../windowed.ts";
import type { WindowJob, WindowOptions, WindowPosterior } from "../windowed.ts";
import {
  ACROSS,
  differenceShader,
  rowSumShader,
  SPLITS,
  windowWeightShader,
} from "./windowed_wgsl.ts";

/** Floats of one chunk of sums. It decides the last bits, so it depends on nothing else. */
const CHUNK = 2 ** 19;
const WORK_BYTES = 80;

/** What one query needs. */
interface Call {
  readonly rows: GpuRows;
  readonly job: WindowJob;
  readonly query: number;
  /** Nats per squared stored unit. */
  readonly rate: number;
  /** Translations, two numbers each. */
  readonly shifts: Int32Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
}

/**
 * The posterior mean per pixel of a batch of queries.
 *
 * @param rows The data.
 * @param values The queries, rows one after the other, in data units.
 * @param job What to compute.
 * @param options A signal, and whom to tell the progress.
 * @returns The means in data units and the log normalisers.
 */
export async function windowedPosterior(
  rows: GpuRows,
  values: Float32Array,
  job: WindowJob,
  options: Pick<WindowOptions, "signal" | "onProgress">,
): Promise<WindowPosterior<Float32Array>> {
  const pixels = job.region.height * job.region.width;
  const out = {
    mean: new Float32Array(job.queries * pixels * job.channels),
    logNormaliser: new Float64Array(job.queries * pixels),
  };
  const all = Uint32Array.from({ length: job.subsets ? 0 : rows.count }, (_, i) => i);
  const whole = job.subsets ? [] : segments(rows, [all]);
  for (let query = 0; query < job.queries; query++) {
    const call: Call = {
      rows,
      job,
      query,
      rate: 0.5 * (rows.affine.scale / job.sigmas[query]) ** 2,
      shifts: translationsOf(job, query),
      signal: options.signal,
    };
    const compared = comparedQuery(call, values);
    const parts = job.subsets ? segments(rows, [job.subsets[query].rows]) : whole;
    const images = job.subsets?.[query].rows.length ?? rows.count;
    const states = await scan(call, compared.factors, parts, (done) => {
      options.onProgress?.(query * images + done, job.queries * images);
    });
    merge(call, states, compared.bases, out);
  }
  return out;
}

/** All translations of a query, two numbers each. */
function translationsOf(job: WindowJob, query: number): Int32Array<ArrayBuffer> {
  const { height, width, region, translations, patches } = job;
  const rows = axisShifts(height, patches[query], translations, region.top, region.height);
  const columns = axisShifts(width, patches[query], translations, region.left, region.width);
  return Int32Array.from(rows.flatMap((y) => columns.flatMap((x) => [y.shift, x.shift])));
}

/**
 * How a query is compared with the data, point and slope of each number side by side (see the kernel), in stored units, and by what
 * that falls short of a squared difference.
 */
function comparedQuery({ rows, job, query }: Call, values: Float32Array) {
  const box = windowBox(rows.box, job);
  const { points, slopes, bases } = comparisonOf(storedQuery(rows, values, query), box);
  const factors = new Float32Array(2 * points.length);
  points.forEach((a, c) => {
    factors.set([a, slopes[c]], 2 * c);
    const edge = Math.abs(a - box.centre[c]) + box.halves[c];
    // Infinities would be lost on the way: compilers may assume that there are none.
    if (!(points.length * edge * (edge + Math.abs(slopes[c])) < NO_DISTANCE)) throw tooFar(query);
  });
  return { factors, bases };
}

function tooFar(query: number): RangeError {
  return new RangeError(
    `Cannot ${WINDOW_ACTION}: query ${query} is too far from the data for float32, wanted squared distances below 3e38`,
  );
}

/** The states of all splits and pixels of one query. */
async function scan(
  call: Call,
  factors: Float32Array<ArrayBuffer>,
  parts: readonly Segment[],
  progress: (images: number) => void,
): Promise<Float32Array> {
  const { rows: { gpu, plan, submit }, job, shifts, signal } = call;
  const { height, width, channels, region, translations } = job;
  const pixels = height * width, asked = region.height * region.width;
  const size = Math.max(1, Math.floor(CHUNK / pixels));
  const shader = { bytes: plan.bytes, channels, translations };
  const pipelines = [differenceShader, rowSumShader, windowWeightShader].map((text) =>
    gpu.pipeline(text(shader))
  );
  const states = new Float32Array(SPLITS * asked * (2 + channels));
  for (let at = 0; at < states.length; at += 2 + channels) states[at] = NO_DISTANCE;
  await using(gpu, async (make) => {
    const { STORAGE, COPY_DST, COPY_SRC, UNIFORM, MAP_READ } = GPUBufferUsage;
    const write = async (words: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>) => {
      const buffer = await make(words.byteLength, STORAGE | COPY_DST | COPY_SRC);
      gpu.device.queue.writeBuffer(buffer, 0, words);
      return buffer;
    };
    const query = await write(factors), sums = await write(states), moves = await write(shifts);
    const differences = await make(size * pixels * 4, STORAGE);
    const along = await make(size * pixels * 4, STORAGE);
    const work = await make(WORK_BYTES, UNIFORM | COPY_DST);
    let done = 0;
    for (const segment of parts) {
      await using(gpu, async (make) => {
        const words = entryWords(call, segment);
        const entries = await make(words.byteLength, STORAGE | COPY_DST);
        gpu.device.queue.writeBuffer(entries, 0, words);
        const data = [segment.binding, entries, moves, work];
        const groups = [
          bind(gpu, pipelines[0], [...data, query, differences]),
          bind(gpu, pipelines[1], [differences, along, work]),
          bind(gpu, pipelines[2], [...data, along, differences, sums]),
        ];
        const pairs = segment.places.length * shifts.length / 2;
        for (let first = 0; first < pairs; first += size) {
          const count = Math.min(size, pairs - first);
          gpu.device.queue.writeBuffer(work, 0, uniformWords(call, first, count));
          const each = Math.ceil(count * pixels / WORKGROUP);
          const grid = [Math.min(each, ACROSS), Math.ceil(each / ACROSS)] as const;
          submit(signal, (encoder) => {
            dispatch(encoder, pipelines[0], groups[0], ...grid);
            dispatch(encoder, pipelines[1], groups[1], ...grid);
            dispatch(encoder, pipelines[2], groups[2], Math.ceil(asked / WORKGROUP), SPLITS);
          });
          await gpu.wait(gpu.device.queue.onSubmittedWorkDone());
          progress(done + segment.places.length * Math.min(1, (first + count) / pairs));
        }
        done += segment.places.length;
      });
    }
    const staging = await make(states.byteLength, MAP_READ | COPY_DST);
    submit(
      signal,
      (encoder) => encoder.copyBufferToBuffer(sums, 0, staging, 0, states.byteLength),
    );
    await gpu.read(staging, (bytes) => states.set(new Float32Array(bytes)));
  });
  return states;
}

/** The largest log-weight: energies are relative to it, so that they are of the size of the distances they are added to. */
function largestLogWeight(job: WindowJob, query: number): number {
  return job.subsets?.[query].logWeights?.reduce((a, b) => Math.max(a, b)) ?? 0;
}

function entryWords(call: Call, { first, places }: Segment): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(2 * places.length);
  const energies = new Float32Array(words.buffer);
  const weights = call.job.subsets?.[call.query].logWeights;
  const most = largestLogWeight(call.job, call.query);
  places.forEach(({ row, index }, i) => {
    words[2 * i] = row - first;
    energies[2 * i + 1] = (most - (weights?.[index] ?? 0)) / call.rate;
  });
  return words;
}

/** The kernels' `Work`. */
function uniformWords(call: Call, first: number, count: number): Uint32Array<ArrayBuffer> {
  const { job: { height, width, patches, translations, region }, query, rate, shifts } = call;
  const patch = patches[query];
  const [up, left] = [height, width].map((size) => windowReach(size, patch, translations));
  const radius = Math.min((patch - 1) / 2, Math.max(height, width));
  const words = new Uint32Array(WORK_BYTES / 4);
  words.set([first, count, shifts.length / 2, call.rows.plan.vectors]);
  new Int32Array(words.buffer).set([
    height,
    width,
    up.before,
    left.before,
    up.before + up.after,
    left.before + left.after,
    radius,
    radius,
    region.top,
    region.left,
    region.height,
    region.width,
  ], 4);
  new Float32Array(words.buffer)[16] = rate;
  return words;
}

/** Merges the splits of one query in float64. */
function merge(
  { rows: { affine: { scale, offset } }, job, query, rate }: Call,
  states: Float32Array,
  base: Float64Array,
  out: WindowPosterior<Float32Array>,
): void {
  const { channels, region } = job;
  const asked = region.height * region.width, stride = 2 + channels;
  const bases = windowBases(job, query, base);
  const most = largestLogWeight(job, query);
  const sums = new Float64Array(stride);
  for (let place = 0; place < asked; place++) {
    let least = Infinity;
    for (let s = 0; s < SPLITS; s++) {
      least = Math.min(least, states[(s * asked + place) * stride]);
    }
    sums.fill(0);
    for (let s = 0; s < SPLITS; s++) {
      const at = (s * asked + place) * stride;
      const factor = Math.exp((least - states[at]) * rate);
      for (let c = 1; c < stride; c++) sums[c] += factor * states[at + c];
    }
    const to = query * asked + place;
    out.logNormaliser[to] = Math.log(sums[1]) + most - (least + bases[place]) * rate;
    for (let c = 0; c < channels; c++) {
      out.mean[to * channels + c] = sums[2 + c] / sums[1] * scale + offset;
    }
  }
}
