/**
 * Statements about local and equivariant denoisers: what they become at the ends of locality, equivariance and the noise axis.
 *
 * @module
 */
import { Dataset } from "../datasets/dataset.ts";
import { shapes } from "../datasets/shapes.ts";
import { equivariant } from "../denoisers/local/equivariant.ts";
import { local } from "../denoisers/local/local.ts";
import { optimal } from "../denoisers/optimal.ts";
import { noised } from "./_problems.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

const SIGMAS = [0.3, 1, 5, 40];
/** Sums of some hundred squares, whose logits are up to a few thousand nats: a few thousand times 2⁻⁵³. */
const ROUNDING = 1e-12;

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
  return worst;
}

/** An image moved around the torus: pixel `(y, x)` of the result is `(y + dy, x + dx)` of the image. */
function moved<A extends Float64Array | Uint8Array>(
  image: A,
  [height, width, channels]: readonly number[],
  dy: number,
  dx: number,
): A {
  return image.map((_, at) => {
    const p = Math.floor(at / channels);
    const y = (Math.floor(p / width) + dy) % height, x = (p % width + dx) % width;
    return image[(y * width + x) * channels + at % channels];
  }) as A;
}

/** All translates of images of bytes, as a data set. */
function translatesOf(images: Dataset): Dataset {
  const { count, dimension, shape: [height, width] } = images;
  const data = new Uint8Array(count * height * width * dimension);
  for (let i = 0, to = 0; i < count; i++) {
    const image = Uint8Array.from(images.data.subarray(i * dimension, (i + 1) * dimension));
    for (let u = 0; u < height * width; u++, to += dimension) {
      data.set(moved(image, images.shape, Math.floor(u / width), u % width), to);
    }
  }
  return new Dataset({ data, shape: images.shape, name: "translates" });
}

/**
 * With windows that cover the image, the local denoiser is the optimal one: all pixels see the same distances.
 *
 * @returns The largest difference at four noise levels, and a rounding error.
 */
export async function localIsOptimal(): Promise<Report> {
  const images = shapes(40, { size: 8 });
  const seen = await local(images, { windows: 15, device: "float64" });
  const exact = await optimal(images, { device: "float64" });
  let worst = 0;
  for (const sigma of SIGMAS) {
    const x = noised(images, 3, sigma, 11);
    const { mean } = await seen.denoise(x, sigma);
    worst = Math.max(worst, largestDifference(mean, (await exact.denoise(x, sigma)).mean));
  }
  return report(
    "LS with windows ≥ 2H−1 is the optimal denoiser (largest difference)",
    worst,
    ROUNDING,
  );
}

/**
 * The equivariant local denoiser commutes with translations of the torus: `D(T x) = T D(x)`, because the patches that compete
 * are the same at all pixels.
 *
 * @returns The largest difference over noise levels and translations, and a rounding error.
 */
export async function equivariance(): Promise<Report> {
  const images = shapes(4, { size: 8 });
  const denoiser = await equivariant(images, { windows: 3, device: "float64" });
  let worst = 0;
  for (const sigma of SIGMAS) {
    const x = noised(images, 1, sigma, 12);
    const denoised = (await denoiser.denoise(x, sigma)).mean;
    for (const [dy, dx] of [[1, 0], [3, 6]]) {
      const other = (await denoiser.denoise(moved(x, images.shape, dy, dx), sigma)).mean;
      worst = Math.max(worst, largestDifference(other, moved(denoised, images.shape, dy, dx)));
    }
  }
  return report("ELS commutes with translations (largest difference)", worst, ROUNDING);
}

/**
 * With the whole image as window, the equivariant denoiser (ES) is the optimal denoiser of the data and all their translates.
 *
 * @returns The largest difference at four noise levels, and a rounding error.
 */
export async function equivariantIsOptimal(): Promise<Report> {
  const images = shapes(4, { size: 8 });
  const denoiser = await equivariant(images, { windows: Infinity, device: "float64" });
  const exact = await optimal(translatesOf(images), { device: "float64" });
  let worst = 0;
  for (const sigma of SIGMAS) {
    const x = noised(images, 2, sigma, 13);
    const denoised = (await denoiser.denoise(x, sigma)).mean;
    worst = Math.max(worst, largestDifference(denoised, (await exact.denoise(x, sigma)).mean));
  }
  return report(
    "ES is the optimal denoiser of all translates (largest difference)",
    worst,
    ROUNDING,
  );
}

/**
 * The end point of the local denoiser is a mosaic: at low noise each pixel is that of the image whose window is nearest, and how near
 * it comes is bounded by the pixel's own logit gap.
 *
 * ```text
 * |D(p) − x₍₁₎(p)| ≤ 2 (N−1) exp(−(d²₍₂₎(p) − d²₍₁₎(p))/2σ²),   values in [−1, 1]
 * ```
 *
 * Reference for the mosaic: M. Kamb, S. Ganguli (2024), arXiv:2412.20292; the bound is the truncation theorem for one kept image.
 *
 * @returns The largest excess of the left side over the right one, over all pixels at four noise levels, and a rounding error.
 */
export async function mosaicLimit(): Promise<Report> {
  const images = shapes(30, { size: 8 }), radius = 1;
  const denoiser = await local(images, { windows: 2 * radius + 1, device: "float64" });
  const rows = Array.from({ length: images.count }, (_, i) => images.values(i));
  let excess = -Infinity;
  for (const sigma of [0.3, 0.1, 0.03, 0.01]) {
    const x = noised(images, 7, sigma, 14);
    const denoised = (await denoiser.denoise(x, sigma)).mean;
    for (let p = 0; p < 64; p++) {
      const squares = rows.map((row) => windowSquare(x, row, p, radius));
      const [first, second] = squares.toSorted((a, b) => a - b);
      const nearest = rows[squares.indexOf(first)];
      const bound = 2 * (images.count - 1) * Math.exp((first - second) / (2 * sigma * sigma));
      for (let c = 3 * p; c < 3 * p + 3; c++) {
        excess = Math.max(excess, Math.abs(denoised[c] - nearest[c]) - bound);
      }
    }
  }
  // The float32 values of an image are off by 2⁻²⁵.
  return report(
    "LS is a mosaic of nearest windows, up to 2(N−1)exp(−gap) (largest excess)",
    excess,
    2 ** -24,
  );
}

/** The squared distance of two images of 8 × 8 × 3 in the window around a pixel. */
function windowSquare(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  p: number,
  radius: number,
): number {
  const [y, x] = [Math.floor(p / 8), p % 8];
  let sum = 0;
  for (let v = Math.max(0, y - radius); v <= Math.min(7, y + radius); v++) {
    for (let u = Math.max(0, x - radius); u <= Math.min(7, x + radius); u++) {
      for (let c = 3 * (8 * v + u), end = c + 3; c < end; c++) sum += (a[c] - b[c]) ** 2;
    }
  }
  return sum;
}
