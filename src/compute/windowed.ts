/**
 * Posteriors per pixel: what the window kernels take and give, and which pixels they compare.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { boxOfChannels, FAR } from "./data_box.ts";
import type { DataBox } from "./data_box.ts";
import { checkRegion } from "./pixel_region.ts";
import type { PixelRegion } from "./pixel_region.ts";
import { checkQueries, sigmaPerRow } from "./posterior.ts";
import type { Sigma } from "./posterior.ts";
import { checkSubsets } from "./subset.ts";
import type { Subset } from "./subset.ts";
import { WORK_OPTIONS, type WorkOptions } from "./work_options.ts";

/**
 * Which patches of an image compete at a pixel, besides the one at the same place:
 *
 * - `none`: no other. Windows end at the border of the image.
 * - `circular`: the patches at all places. Image and query are continued periodically.
 * - `interior`: the patches that lie in the image as a whole. The query is continued periodically.
 * - `border`: those that lie as the window of the pixel does: for a window inside of the image, all patches inside of
 *   theirs; for one that an edge cuts, the patches along that edge, cut alike; in a corner, the same place only.
 */
export type Translations = "none" | "circular" | "interior" | "border";

/** No state of noise level σ is so many σ away from its image, in the root mean square. */
const FAR_NOISE = 4;

/** Options of a posterior per pixel. */
export interface WindowOptions extends WorkOptions {
  /** The shape of a row of the data, `[height, width, channels]`. */
  readonly shape: readonly number[];
  /** Side of the windows, odd, one for all queries or one each. Infinite: the whole image. */
  readonly patch: number | ArrayLike<number>;
  /** Which patches of an image compete. Default `none`. */
  readonly translations?: Translations;
  /** The images that compete, one subset per query. Default: all. */
  readonly subsets?: readonly Subset[];
  /** Compute only these pixels. Default: all. */
  readonly region?: PixelRegion;
}

/** The options of {@linkcode WindowOptions}. */
export const WINDOW_OPTIONS = {
  ...WORK_OPTIONS,
  shape: undefined,
  patch: undefined,
  translations: "none",
  subsets: undefined,
  region: undefined,
} satisfies OptionTable<WindowOptions>;

/** The posterior mean per pixel, and how much evidence each had. */
export interface WindowPosterior<X> {
  /** `D(p)` per query, pixel and channel, in data units, `[B, height, width, channels]` of the region. */
  readonly mean: X;
  /** `log Σ exp(logit)` per query and pixel, nats, `[B, height, width]` of the region. */
  readonly logNormaliser: Float64Array;
}

/** What is attempted, for messages. */
export const WINDOW_ACTION = "compute the posterior mean per pixel";

/** Checked options of a posterior per pixel. */
export interface WindowJob {
  /** Number of queries. */
  readonly queries: number;
  /** Noise level in data units, per query. */
  readonly sigmas: Float64Array;
  /** Rows of pixels. */
  readonly height: number;
  /** Columns of pixels. */
  readonly width: number;
  /** Numbers per pixel. */
  readonly channels: number;
  /** Side of the windows, per query. */
  readonly patches: Float64Array;
  /** Which patches compete. */
  readonly translations: Translations;
  /** The pixels that are asked for. */
  readonly region: PixelRegion;
  /** The images that compete, if not all of them. */
  readonly subsets?: readonly Subset[];
}

/**
 * Checks what a posterior per pixel is asked.
 *
 * @param store The data.
 * @param queries Noisy images, rows one after the other.
 * @param sigma Noise level, one for all queries or one each.
 * @param options The options.
 * @returns The options, filled in.
 * @throws {TypeError} If queries, data, shape and noise levels do not fit together.
 * @throws {RangeError} If there are no queries, or a number is not finite, or a noise level, a patch, the region or a subset is
 * out of range.
 */
export function windowJob(
  store: { readonly count: number; readonly dimension: number },
  queries: ArrayLike<number>,
  sigma: Sigma,
  options: WindowOptions,
): WindowJob {
  const { translations, subsets } = readOptions(WINDOW_ACTION, options, WINDOW_OPTIONS);
  const [height, width, channels] = options.shape;
  if (options.shape.length !== 3 || height * width * channels !== store.dimension) {
    throw new TypeError(
      `Cannot ${WINDOW_ACTION}: the images have shape [${options.shape}], wanted height, width and channels of ${store.dimension} numbers`,
    );
  }
  const batch = queries.length / store.dimension;
  if (!Number.isInteger(batch)) {
    throw new TypeError(
      `Cannot ${WINDOW_ACTION}: received ${queries.length} numbers, wanted rows of ${store.dimension}`,
    );
  }
  const sigmas = sigmaPerRow(sigma, batch, WINDOW_ACTION);
  checkQueries(queries, WINDOW_ACTION);
  const region = options.region ?? { top: 0, left: 0, height, width };
  checkRegion(region, options.shape, WINDOW_ACTION);
  if (subsets) checkSubsets(subsets, batch, store.count, WINDOW_ACTION);
  const patches = patchPerQuery(options.patch, batch);
  if (translations === "interior") {
    const wide = patches.find((patch) => patch > Math.min(height, width));
    if (wide !== undefined) {
      throw new RangeError(
        `Cannot ${WINDOW_ACTION}: a patch has side ${wide}, wanted one inside of an image of ${height}×${width} pixels`,
      );
    }
  }
  return {
    queries: batch,
    sigmas,
    height,
    width,
    channels,
    patches,
    translations,
    region,
    ...(subsets && { subsets }),
  };
}

function patchPerQuery(patch: number | ArrayLike<number>, queries: number): Float64Array {
  const patches = typeof patch === "number"
    ? new Float64Array(queries).fill(patch)
    : Float64Array.from(patch);
  if (patches.length !== queries) {
    throw new TypeError(
      `Cannot ${WINDOW_ACTION}: received ${patches.length} patch sides for ${queries} queries, wanted 1 or ${queries}`,
    );
  }
  for (const side of patches) {
    if (!(side === Infinity || (side >= 1 && side % 2 === 1))) {
      throw new RangeError(
        `Cannot ${WINDOW_ACTION}: a patch has side ${side}, wanted an odd number or Infinity`,
      );
    }
  }
  return patches;
}

/** How far a window reaches along one axis: it holds the pixels `p − before … p + after − 1`. */
export interface Reach {
  /** Pixels before its own. */
  readonly before: number;
  /** Pixels from its own on. */
  readonly after: number;
  /** Whether pixels beyond the border are those of the other end; else there are none. */
  readonly wraps: boolean;
}

/**
 * How far windows reach along one axis.
 *
 * @param size Pixels along the axis.
 * @param patch Side of the windows.
 * @param translations Which patches compete.
 * @returns The reach; where windows wrap, no pixel is in one twice.
 */
export function windowReach(size: number, patch: number, translations: Translations): Reach {
  const wraps = translations === "circular" || translations === "interior";
  if (wraps && patch >= size) return { before: 0, after: size, wraps };
  const radius = (patch - 1) / 2;
  return { before: Math.min(radius, size), after: Math.min(radius + 1, size), wraps };
}

/** One axis of a translation: pixel `p` of the query meets pixel `p + shift` of an image. */
export interface AxisShift {
  /** By how many pixels; where windows wrap, from 0 on and modulo the size. */
  readonly shift: number;
  /** The first pixel that the windows of the outputs reach. */
  readonly from: number;
  /** One past the last pixel that they reach. */
  readonly to: number;
  /** 1 for each pixel of the query that competes for, else 0. */
  readonly outputs: Uint8Array;
}

/**
 * The translations along one axis, those without outputs left out. A pixel takes part in a translation of the
 * plane if it does along both axes.
 *
 * @param size Pixels along the axis.
 * @param patch Side of the windows.
 * @param translations Which patches compete.
 * @param first The first pixel that is asked for.
 * @param count How many pixels are asked for.
 */
export function axisShifts(
  size: number,
  patch: number,
  translations: Translations,
  first: number,
  count: number,
): AxisShift[] {
  const { before, after, wraps } = windowReach(size, patch, translations);
  const radius = (patch - 1) / 2;
  const inside = (p: number) => p >= radius && p < size - radius;
  const competes = (p: number, shift: number) => {
    if (translations === "interior") return inside((p + shift) % size);
    return wraps || shift === 0 || (inside(p) && inside(p + shift));
  };
  const least = translations === "border" ? 1 - size : 0;
  const most = translations === "none" ? 0 : size - 1;
  const shifts: AxisShift[] = [];
  for (let shift = least; shift <= most; shift++) {
    const outputs = Uint8Array.from(
      { length: size },
      (_, p) => p >= first && p < first + count && competes(p, shift) ? 1 : 0,
    );
    const from = outputs.indexOf(1), to = outputs.lastIndexOf(1) + 1;
    if (from < 0) continue;
    shifts.push({
      shift,
      from: wraps ? 0 : Math.max(0, from - before),
      to: wraps ? size : Math.min(size, to - 1 + after),
      outputs,
    });
  }
  return shifts;
}

/**
 * The box that a query's numbers are compared with: that of the same number of all images, or, where patches at other places
 * compete, of the same channel anywhere.
 *
 * @param box The box of the data.
 * @param job What is computed.
 */
export function windowBox(box: DataBox, { channels, translations }: WindowJob): DataBox {
  return translations === "none" ? box : boxOfChannels(box, channels);
}

/**
 * Whether a query is far from data in some window: farther than three radii of the data there, and than noise explains.
 *
 * @param job What is computed.
 * @param query The query.
 * @param stored The query in stored units.
 * @param box What it is compared with, see {@linkcode windowBox}.
 * @param sigma Noise level in stored units.
 */
export function isFarInAWindow(
  job: WindowJob,
  query: number,
  stored: Float64Array,
  { centre, halves }: DataBox,
  sigma: number,
): boolean {
  const away = windowBases(job, query, stored.map((q, c) => (q - centre[c]) ** 2));
  const near = windowBases(
    job,
    query,
    halves.map((half) => Math.max((FAR * half) ** 2, (FAR_NOISE * sigma) ** 2)),
  );
  return away.some((square, i) => square > near[i]);
}

/**
 * Sums over the windows of what comparisons fall short of squared differences.
 *
 * @param job What is computed.
 * @param query The query.
 * @param base What each of its numbers falls short of.
 * @returns One sum per pixel that is asked for.
 */
export function windowBases(job: WindowJob, query: number, base: Float64Array): Float64Array {
  const { height, width, channels, region, patches, translations } = job;
  const vertical = windowReach(height, patches[query], translations);
  const horizontal = windowReach(width, patches[query], translations);
  const rows = new Float64Array(height * width);
  const place = (v: number, size: number) => vertical.wraps ? (v + size) % size : v;
  const along = (
    p: number,
    { before, after }: typeof vertical,
    size: number,
    term: (v: number) => number,
  ) => {
    let sum = 0;
    for (let v = p - before; v < p + after; v++) {
      const at = place(v, size);
      if (at >= 0 && at < size) sum += term(at);
    }
    return sum;
  };
  const pixel = (p: number) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += base[p * channels + c];
    return sum;
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rows[y * width + x] = along(x, horizontal, width, (u) => pixel(y * width + u));
    }
  }
  return Float64Array.from({ length: region.height * region.width }, (_, i) => {
    const y = region.top + Math.floor(i / region.width), x = region.left + i % region.width;
    return along(y, vertical, height, (v) => rows[v * width + x]);
  });
}
