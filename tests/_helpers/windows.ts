/** The posterior per pixel by its definition: every patch that competes, one by one. */
import type { PointSet, Subset, Translations } from "@closedform/diffusion";
import { affineOf } from "../../src/compute/posterior.ts";

/** What to compute. */
export interface BruteWindows {
  readonly shape: readonly [number, number, number];
  readonly patch: number;
  readonly translations?: Translations;
  readonly subset?: Subset;
}

const modulo = (a: number, n: number) => ((a % n) + n) % n;

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}

function pairs(a: number[], b: number[]): [number, number][] {
  return a.flatMap((u) => b.map((v): [number, number] => [u, v]));
}

/** Along one axis: offsets of the window of pixel `p` of `n`, and places that compete. */
function along(p: number, n: number, patch: number, translations: Translations) {
  const r = Math.min((patch - 1) / 2, n);
  const wraps = translations === "circular" || translations === "interior";
  if (wraps) {
    // No pixel twice: a window as wide as the image is the image.
    const offsets = patch >= n ? range(0, n) : range(-r, r + 1);
    const places = translations === "circular" ? range(0, n) : range(r, n - r);
    return { offsets, places };
  }
  const offsets = range(Math.max(-r, -p), Math.min(r + 1, n - p));
  const cut = p < r || p >= n - r;
  const places = translations === "none" || cut ? [p] : range(r, n - r);
  return { offsets, places };
}

/** The offsets of the window of a pixel, and the places whose patches compete. */
function candidates(p: [number, number], { shape, patch, translations = "none" }: BruteWindows) {
  const rows = along(p[0], shape[0], patch, translations);
  const columns = along(p[1], shape[1], patch, translations);
  return {
    offsets: pairs(rows.offsets, columns.offsets),
    places: pairs(rows.places, columns.places),
  };
}

/** The window of a pixel of the query, and the patches that compete for it, each as a row. */
export interface Competition {
  /** The window's numbers in data units. */
  readonly window: Float64Array;
  /** The patches, stored as the data are. */
  readonly patches: PointSet;
  /** Where in a row the pixel itself is. */
  readonly centre: number;
  /** Added to the logit of each patch. */
  readonly logWeights: Float64Array;
}

/** What competes for the pixel `(y, x)` of a query. */
export function competition(
  points: PointSet,
  query: ArrayLike<number>,
  what: BruteWindows,
  [y, x]: [number, number],
): Competition {
  const [height, width, channels] = what.shape;
  const { data, dimension, range: values } = points;
  const at = (y: number, x: number) => (modulo(y, height) * width + modulo(x, width)) * channels;
  const { offsets, places } = candidates([y, x], what);
  const images = what.subset ? [...what.subset.rows] : range(0, data.length / dimension);
  const length = offsets.length * channels;
  const patches = new (data instanceof Uint8Array ? Uint8Array : Float32Array)(
    images.length * places.length * length,
  );
  const logWeights = new Float64Array(images.length * places.length);
  const window = new Float64Array(length);
  const each = (visit: (to: number, dy: number, dx: number) => void) =>
    offsets.forEach(([dy, dx], i) => visit(i * channels, dy, dx));
  each((to, dy, dx) => {
    for (let c = 0; c < channels; c++) window[to + c] = query[at(y + dy, x + dx) + c];
  });
  images.forEach((image, k) =>
    places.forEach(([v, u], j) => {
      const row = k * places.length + j;
      logWeights[row] = what.subset?.logWeights?.[k] ?? 0;
      each((to, dy, dx) => {
        const from = image * dimension + at(v + dy, u + dx);
        for (let c = 0; c < channels; c++) patches[row * length + to + c] = data[from + c];
      });
    })
  );
  // A window that covers a torus begins at its pixel.
  const centre = offsets.findIndex(([dy, dx]) => dy === 0 && dx === 0) * channels;
  return {
    window,
    patches: { data: patches, dimension: length, ...(values && { range: values }) },
    centre,
    logWeights,
  };
}

/** The pixels of an image, row by row. */
export function pixelsOf([height, width]: readonly number[]): [number, number][] {
  return pairs(range(0, height), range(0, width));
}

/** The posterior mean of one query, and the log normaliser per pixel, in float64. */
export function bruteWindows(
  points: PointSet,
  query: ArrayLike<number>,
  sigma: number,
  what: BruteWindows,
): { mean: Float64Array; logNormaliser: Float64Array } {
  const [height, width, channels] = what.shape;
  const { scale, offset } = affineOf(points);
  const mean = new Float64Array(height * width * channels);
  const logNormaliser = new Float64Array(height * width);
  pixelsOf(what.shape).forEach((pixel, p) => {
    const { window, patches: { data, dimension }, centre, logWeights } = competition(
      points,
      query,
      what,
      pixel,
    );
    const logits = logWeights.map((logWeight, k) => {
      let square = 0;
      for (let c = 0; c < dimension; c++) {
        square += (window[c] - (data[k * dimension + c] * scale + offset)) ** 2;
      }
      return logWeight - square / (2 * sigma * sigma);
    });
    const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const weights = logits.map((l) => Math.exp(l - top));
    const z = weights.reduce((a, b) => a + b, 0);
    logNormaliser[p] = top + Math.log(z);
    weights.forEach((w, k) => {
      for (let c = 0; c < channels; c++) {
        mean[p * channels + c] += w / z * (data[k * dimension + centre + c] * scale + offset);
      }
    });
  });
  return { mean, logNormaliser };
}
