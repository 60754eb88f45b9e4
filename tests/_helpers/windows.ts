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

/** The offsets of a window, and the places whose patches compete at a pixel. */
interface Candidates {
  readonly offsets: [number, number][];
  readonly places: [number, number][];
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

function candidates(p: [number, number], { shape, patch, translations = "none" }: BruteWindows) {
  const rows = along(p[0], shape[0], patch, translations);
  const columns = along(p[1], shape[1], patch, translations);
  return {
    offsets: pairs(rows.offsets, columns.offsets),
    places: pairs(rows.places, columns.places),
  };
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
  const { data, dimension } = points;
  const at = (y: number, x: number) => (modulo(y, height) * width + modulo(x, width)) * channels;
  const value = (image: number, place: number) => data[image * dimension + place] * scale + offset;
  const images = what.subset ? [...what.subset.rows] : range(0, data.length / dimension);
  const mean = new Float64Array(dimension), logNormaliser = new Float64Array(height * width);
  for (const [y, x] of pairs(range(0, height), range(0, width))) {
    const { offsets, places }: Candidates = candidates([y, x], what);
    const logits: number[] = [], centres: [number, number][] = [];
    images.forEach((image, k) => {
      for (const [v, u] of places) {
        let square = 0;
        for (const [dy, dx] of offsets) {
          for (let c = 0; c < channels; c++) {
            square += (query[at(y + dy, x + dx) + c] - value(image, at(v + dy, u + dx) + c)) ** 2;
          }
        }
        logits.push((what.subset?.logWeights?.[k] ?? 0) - square / (2 * sigma * sigma));
        centres.push([image, at(v, u)]);
      }
    });
    const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const weights = logits.map((l) => Math.exp(l - top));
    const z = weights.reduce((a, b) => a + b, 0);
    logNormaliser[y * width + x] = top + Math.log(z);
    centres.forEach(([image, place], i) => {
      for (let c = 0; c < channels; c++) {
        mean[at(y, x) + c] += weights[i] / z * value(image, place + c);
      }
    });
  }
  return { mean, logNormaliser };
}
