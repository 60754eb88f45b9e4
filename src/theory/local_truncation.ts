/**
 * Statements about local estimators: the truncation theorem holds in each
 * coordinate with that coordinate's own mass, and not with the global one.
 *
 * @module
 */
import { affineOf } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { shapes } from "../datasets/shapes.ts";
import { noised } from "./_problems.ts";
import { posteriorLogits, rowsByLogit } from "./posterior_logits.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";
import { truncation } from "./truncation.ts";

/** A local estimator against the same one on a globally chosen subset. */
export interface LocalTruncation {
  /** The true error of the local estimator, root mean square over its numbers. */
  readonly error: number;
  /** `ε_p · range` of each number, root mean square: a bound of the error. */
  readonly localCertificate: number;
  /** `2Rε` of the global posterior, root mean square: a bound of the *global* estimator's error only. */
  readonly globalCertificate: number;
  /** The largest true error over its local bound, over all numbers. */
  readonly worstRatio: number;
}

/**
 * The local score machine, pixel by pixel in float64, over all images and over
 * the `kept` globally nearest ones, with the certificates of both views.
 *
 * ```text
 * l_{i,p} = −‖x_Ω − x_{i,Ω}‖²/2σ²,   D(p) = Σᵢ softmaxᵢ(l_{i,p}) xᵢ(p)
 * |D(p) − D_S(p)| ≤ ε_p · range_p,   ε_p = the mass that S leaves out at p
 * ```
 *
 * with Ω the `side × side` window around `p`, cut at the border. The theorem of
 * {@linkcode truncation} asks for nothing but logits, so it holds at each
 * pixel with the pixel's logits. It does not hold with the mass of the whole
 * images: an image that is hopeless as a whole may be the best in one window.
 * One number is enough to see it. Let the query be 0 but for `a` in its last pixel; image A is
 * all 0, image B is 1 but for `a` in the last pixel. Globally B is behind by
 * `(d−1−a²)/2σ²`; in a window of that one pixel it leads by `a²/2σ²`, and `S = {A}` is off by `a`
 * there while the global certificate says `2R exp(−(d−1−a²)/2σ²)`.
 *
 * Reference: M. Kamb, S. Ganguli (2024), arXiv:2412.20292, for the estimator; the statement is derived here.
 *
 * @param images The data, images of shape `[H, W, C]`.
 * @param query The query `x`, one image of `d` numbers in data units.
 * @param sigma Noise level `σ > 0` in data units.
 * @param side The odd side of the window, in pixels.
 * @param kept The number of globally nearest images kept.
 * @returns The error and both certificates.
 * @throws {TypeError} If the data are not images, or the query is none of their shape.
 * @throws {RangeError} If the side is not odd, or `kept` is out of range.
 *
 * @example The two images above
 * ```ts
 * import { Dataset } from "@closedform/diffusion";
 * import { localTruncation } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const b = Array.from({ length: 64 }, (_, i) => i < 63 ? 1 : 0.9);
 * const data = Float32Array.of(...new Array(64).fill(0), ...b);
 * const images = new Dataset({ data, shape: [8, 8, 1], name: "A and B" });
 * const query = b.map((v, i) => i < 63 ? 0 : v);
 * const { error, globalCertificate, localCertificate } = localTruncation(images, query, 0.3, 1, 1);
 * assert.ok(globalCertificate < 1e-100 && error > 0.1 && error <= localCertificate);
 * ```
 */
export function localTruncation(
  images: Dataset,
  query: ArrayLike<number>,
  sigma: number,
  side: number,
  kept: number,
): LocalTruncation {
  const [height, width, channels] = checkImages(images, side, kept);
  const logits = posteriorLogits(images, query, sigma);
  const subset = rowsByLogit(logits).subarray(0, kept);
  const squares = squareMaps(images, query);
  let error = 0, certificate = 0, worstRatio = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const local = windowLogits(squares, [height, width], row, column, side, sigma);
      const values = pixelValues(images, row * width + column, channels);
      const { difference, perCoordinate } = truncation(values, local, subset);
      difference.forEach((v, c) => {
        error += v * v;
        certificate += perCoordinate[c] ** 2;
        if (v !== 0) worstRatio = Math.max(worstRatio, Math.abs(v) / perCoordinate[c]);
      });
    }
  }
  const rms = (square: number) => Math.sqrt(square / images.dimension);
  const { bounds } = truncation(images, logits, subset);
  return {
    error: rms(error),
    localCertificate: rms(certificate),
    globalCertificate: rms(bounds.mass ** 2),
    worstRatio,
  };
}

function checkImages(images: Dataset, side: number, kept: number): readonly number[] {
  if (images.shape.length !== 3) {
    throw new TypeError(
      `Cannot look through windows: the data have shape [${images.shape}], wanted [H, W, C]`,
    );
  }
  if (!(Number.isInteger(side) && side % 2 === 1 && side > 0)) {
    throw new RangeError(`Cannot look through windows: side is ${side}, wanted an odd number`);
  }
  if (!(Number.isInteger(kept) && kept >= 1 && kept <= images.count)) {
    throw new RangeError(
      `Cannot keep images: kept is ${kept}, wanted a whole number from 1 to ${images.count}`,
    );
  }
  return images.shape;
}

/** For each image, the squared difference from the query at each pixel, summed over channels. */
function squareMaps(images: Dataset, query: ArrayLike<number>): Float64Array[] {
  const { data, dimension, count } = images;
  const { scale, offset } = affineOf(images);
  const channels = images.shape[2];
  return Array.from({ length: count }, (_, i) => {
    const map = new Float64Array(dimension / channels);
    for (let c = 0; c < dimension; c++) {
      const difference = query[c] - (data[i * dimension + c] * scale + offset);
      map[Math.floor(c / channels)] += difference * difference;
    }
    return map;
  });
}

function windowLogits(
  maps: readonly Float64Array[],
  [height, width]: readonly number[],
  row: number,
  column: number,
  side: number,
  sigma: number,
): Float64Array {
  const reach = (side - 1) / 2;
  const [top, bottom] = [Math.max(0, row - reach), Math.min(height - 1, row + reach)];
  const [left, right] = [Math.max(0, column - reach), Math.min(width - 1, column + reach)];
  return Float64Array.from(maps, (map) => {
    let sum = 0;
    for (let r = top; r <= bottom; r++) {
      for (let c = left; c <= right; c++) sum += map[r * width + c];
    }
    return -sum / (2 * sigma * sigma);
  });
}

/** The values of one pixel in all images, as data of their own. */
function pixelValues(images: Dataset, pixel: number, channels: number) {
  const { data, dimension, count, range } = images;
  const values = data instanceof Uint8Array
    ? new Uint8Array(count * channels)
    : new Float32Array(count * channels);
  for (let i = 0; i < count; i++) {
    const from = i * dimension + pixel * channels;
    values.set(data.subarray(from, from + channels), i * channels);
  }
  return { data: values, dimension: channels, range };
}

/** Held-out shapes under noise, denoised by windows of 3 × 3 and the 15 nearest of 150 images. */
function measured(): LocalTruncation[] {
  const images = shapes(150, { size: 8 }), heldOut = shapes(4, { size: 8, seed: 99 });
  return [0.1, 0.3, 1].flatMap((sigma) =>
    [0, 1, 2, 3].map((q) => localTruncation(images, noised(heldOut, q, sigma, 16), sigma, 3, 15))
  );
}

/**
 * The truncation theorem in each coordinate of a local estimator:
 * `|D(p) − D_S(p)| ≤ ε_p · range_p`, see {@linkcode localTruncation}.
 *
 * @returns The largest left side over its right side, for 12 queries, and 1.
 */
export function localTruncationBound(): Report {
  const worst = Math.max(...measured().map(({ worstRatio }) => worstRatio));
  return report("|D(p) − D_S(p)| ≤ ε_p · range for a local denoiser (ratio)", worst, 1);
}

/**
 * A global subset does not certify a local base: counterexamples, measured. The
 * local estimator's error exceeds the global certificate `2Rε` at every query;
 * see {@linkcode localTruncation}.
 *
 * @returns The largest of global certificate over true local error, for 12 queries; 1, below which the certificate is broken.
 */
export function globalSubsetIsNotLocal(): Report {
  const most = Math.max(...measured().map((found) => found.globalCertificate / found.error));
  return report("2Rε of a global subset is no bound for a local denoiser (2Rε/error)", most, 1);
}
